"""How the teachers of a job come to answer: remembered or live, one or several, in the precision and by the batches that are fastest.

In: a `Job`, its images, who teaches. Out: a `Teacher` for the loop, and what terms look at inside. No step is taken here.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import nn

from edgekd.data.batches import Batches
from edgekd.distill import leading
from edgekd.distill.asking import Asking, asked_as
from edgekd.distill.inside import Inside
from edgekd.distill.job import Job
from edgekd.distill.mixture import Ensemble, Mixed, check_terms
from edgekd.distill.remembered import Remembered, memory_key
from edgekd.distill.teacher import BATCH, Adjusted, Live, StoredAnswers, Teacher
from edgekd.events import Emit, Note, silent
from edgekd.files import sha256_json
from edgekd.models.folded import folded
from edgekd.models.load import Network, OnnxTeacher, fingerprint
from edgekd.tasks import several
from edgekd.tasks.classify import Frequencies


@dataclass(frozen=True)
class Teaching:
    """How the teachers of a job are asked about its images, whose answers are kept under `data_sha256` in `memory`, or in the job's own folder."""

    job: Job
    data: Batches
    data_sha256: str
    memory: Path | None
    emit: Emit

    def by(self, teacher: Network | Ensemble | StoredAnswers, frequencies: Frequencies | None, wanted: Frequencies | None) -> Teacher:
        """Who answers, one or several as one, corrected for class frequencies: an ensemble brings those of its members itself.

        Raises:
            UsageError: a term looks inside and no one network is asked, or as `leading.check`.
        """
        if isinstance(teacher, Network):
            return Adjusted(self._asked(teacher, few=self._few(teacher, corrected=frequencies is not None)), frequencies, wanted)
        check_terms(self.job.phases)
        if isinstance(teacher, StoredAnswers):
            return Adjusted(teacher.on(self.data.device), frequencies, wanted)
        own = zip(map(self._asked, teacher.members), teacher.frequencies, strict=True)
        return Mixed([Adjusted(one, theirs, teacher.wanted) for one, theirs in own], teacher)

    def inside(self, student: Network, teacher: Network | Ensemble | StoredAnswers, answers: Teacher) -> Inside | None:
        """What terms look at inside the student, and inside the teacher where it is one network; None where none looks. The teacher is compiled where
        the student is, and asked in the way that is fastest."""
        job, compiled = self.job, bool(self.job.train.compile)
        if not any(phase.looks_inside for phase in job.phases):
            return None
        one, adjusted = teacher if isinstance(teacher, Network) else None, answers.adjusted if isinstance(answers, Adjusted) else None
        inside = Inside(student, one, job.phases, seed=job.seed, adjusted=adjusted, compiled=compiled, emit=self.emit)
        if inside.teacher is not None:
            total = round(sum(phase.epochs for phase in job.phases if phase.compares_insides) * len(self.data))
            file = job.folder / f"asking-inside-{teacher.name}.json"
            inside.at_once = self._at_once(inside.teacher, file, total, name=teacher.name, bf16=job.train.precision == "bf16")
        return inside

    def _few(self, teacher: Network, *, corrected: bool) -> bool:
        """Whether the teacher's largest logits alone are remembered, as of very many classes; raises as `leading.check`."""
        few = bool(self.job.train.views) and teacher.classes > leading.MANY and not several(self.data.labels)
        if few:
            leading.check(self.job.phases, teacher.classes, corrected=corrected)
        return few

    def _asked(self, teacher: Network, *, few: bool = False) -> Teacher:
        """One teacher, remembered where its answers may be kept. It answers in the precision that students learn in, compiled where they are."""
        train, ranks = self.job.train, self.job.ranks
        teacher.to(self.data.device).eval()
        bf16 = train.precision == "bf16" and not isinstance(teacher, OnnxTeacher)
        quick = folded(teacher, self.emit if ranks.main else silent)
        return self._remembered(teacher, quick, bf16=bf16, few=few) if train.views else self._live(teacher, quick, bf16=bf16)

    def _live(self, teacher: Network, quick: nn.Module, *, bf16: bool) -> Live:
        job = self.job
        self.emit(Note(text=f"{teacher.name} answers live: train.views is 0"))
        compiled = bool(job.train.compile) and not isinstance(teacher, OnnxTeacher)
        total = round(sum(phase.epochs for phase in job.phases if phase.soft and not phase.compares_insides) * len(self.data))
        at_once = self._at_once(quick, job.folder / f"asking-{teacher.name}.json", total, name=teacher.name, bf16=bf16)
        return Live(quick, self.data, bf16=bf16, compiled=compiled, at_once=at_once)

    def _remembered(self, teacher: Network, quick: nn.Module, *, bf16: bool, few: bool) -> Remembered:
        train, ranks, name = self.job.train, self.job.ranks, teacher.name
        assert train.augment is not None, "the defaults are not filled in"
        key = memory_key(
            weights=fingerprint(teacher),
            preprocess=teacher.preprocess,
            data=sha256_json({"data": self.data_sha256, "images": len(self.data)}),
            augment=train.augment,
            view_seed=train.view_seed,
            precision="bf16" if bf16 else "fp32",
            few=few,
            code=teacher.code,
        )
        place = (self.memory or self.job.folder / "remembered") / key
        remembered = Remembered(
            quick,
            self.data,
            place,
            classes=teacher.classes,
            augment=train.augment,
            view_seed=train.view_seed,
            emit=self.emit,
            bf16=bf16,
            ranks=ranks,
            few=few,
        )
        total = remembered.missing(train.views) * len(self.data)
        remembered.at_once = self._at_once(quick, place / f"asking-{name}.json", total, name=name, bf16=bf16)
        live = [phase.name for phase in self.job.phases if phase.compares_insides]
        if ranks.main and live:
            self.emit(Note(text=f"{name} answers live in {', '.join(live)}, whose terms look inside it"))
        if ranks.main and len(live) < len(self.job.phases):
            self.emit(Note(text=f"{name}'s {remembered.told(train.views)}"))
        return remembered

    def _at_once(self, teacher: nn.Module, file: Path, total: int, *, name: str, bf16: bool) -> int | None:
        """How many images the teacher is asked for at once, about `total` in all, as a file keeps it; its weights take the memory format that it is
        fastest in."""
        train, ranks = self.job.train, self.job.ranks
        if train.teacher_batch is not msgspec.UNSET:
            found = Asking(at_once=train.teacher_batch, channels_last=bool(train.channels_last))
        else:
            images = self.data.plain(torch.arange(min(train.batch or BATCH, len(self.data))))[0]
            own = asked_as(file, teacher, images, name=name, total=total, bf16=bf16, emit=self.emit) if ranks.main else None
            found = ranks.agreed(own) or Asking()
        # always one of the two, so that whoever was taught before in this process leaves no trace
        teacher.to(memory_format=torch.channels_last if found.channels_last else torch.contiguous_format)
        return found.at_once
