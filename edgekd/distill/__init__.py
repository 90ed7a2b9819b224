"""How a student learns: phases of weighted terms, one loop, a teacher that answers.

`distill` teaches a student by a teacher's answers; without a teacher it teaches by the labels alone, as a teacher itself is taught.
Both go on from a checkpoint in their folder where there is one. Which networks, which data and which files come of it is others' business.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import torch
from torch import nn

from edgekd.data.batches import Batches
from edgekd.distill import leading
from edgekd.distill.asking import Asking, asked_as
from edgekd.distill.beside import Beside
from edgekd.distill.defaults import all_steps, filled, paced
from edgekd.distill.heap import freed_memory_is_kept
from edgekd.distill.inside import Inside
from edgekd.distill.job import Job
from edgekd.distill.mixture import Ensemble, Mixed, check_terms
from edgekd.distill.quantised import check as check_rounding
from edgekd.distill.ranks import ALONE, Ranks, check_batch
from edgekd.distill.remembered import Remembered, memory_key
from edgekd.distill.stored import StoredAnswers
from edgekd.distill.subset import NEEDS_TEACHER
from edgekd.distill.teacher import BATCH, Adjusted, Live, Teacher, check_classes
from edgekd.distill.train import fit
from edgekd.events import Emit, Note, silent
from edgekd.files import sha256_json
from edgekd.models.folded import folded
from edgekd.models.load import Network, OnnxTeacher, fingerprint
from edgekd.phases import Phase, Train
from edgekd.record import How, Training
from edgekd.tasks import several
from edgekd.tasks.classify import Frequencies
from edgekd.terms import Label

__all__ = ["alone", "distill", "filled", "supervised"]


@freed_memory_is_kept()
def distill(
    student: Network,
    teacher: Network | Ensemble | StoredAnswers | None,
    *,
    data: Batches,
    data_sha256: str,
    valid: Batches | None = None,
    phases: Sequence[Phase],
    train: Train,
    folder: Path,
    memory: Path | None = None,
    how: How = "distilled",
    seed: int = 0,
    frequencies: Frequencies | None = None,
    wanted: Frequencies | None = None,
    checkpoint_s: float = 30.0,
    kept: Callable[[], None] = lambda: None,
    beside: Beside | None = None,
    ranks: Ranks = ALONE,
    emit: Emit = silent,
) -> Training:
    """Teach `student` in place; it ends in eval mode, on the device of `data`.

    Args:
        teacher: who answers the soft terms and chooses subsets; None where no phase asks for it. An ensemble brings its class frequencies itself.
        data: training images; `data_sha256` is their hash, which a remembered teacher's answers are kept under.
        train: with batch, optimiser and augmentation stated (`filled`); precision and memory format are measured where they are open.
        folder: where the checkpoint stands; a killed run goes on from it, bit for bit on the CPU.
        memory: where the teacher's answers are kept, to be shared by students; None: in `folder`.
        frequencies: (classes,) class frequencies of the teacher's own training, which are taken off its logits; None: nothing is.
        wanted: (classes,) class frequencies to put in their place; None: all alike.
        kept: called after each checkpoint.
        beside: what is learnt beside the phases' terms; not with several ranks.
        ranks: the processes that teach together, each on its part of every batch: as many images a step as one alone shows.

    Raises:
        UsageError: the teacher answers other classes, a term looks inside and no one network is asked, ranks cannot share a batch, or nothing rounds.
        TrainingError: the loss is not a number, or a subset is empty. RunError: the checkpoint is another job's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assert train.batch is not None, "the defaults are not filled in"
    assert all(phase.terms for phase in phases), "phases that name no terms are given theirs by edgekd.phases.termed"
    assert ranks.count == 1 or beside is None, "lessons beside the terms are one process's"
    check_batch(train.batch, ranks)
    check_rounding(student.to(data.device), student.name, phases, data.images.shape)
    train = paced(train, student, data, folder, steps=all_steps(phases, len(data), train.batch), ranks=ranks, emit=emit)
    answers, inside = None, None
    if teacher is not None and asks_teacher(phases):
        check_classes(teacher.classes, student.classes)
        ask = partial(_answers, data=data, data_sha256=data_sha256, phases=phases, train=train, folder=folder, memory=memory, ranks=ranks, emit=emit)
        if isinstance(teacher, (Ensemble, StoredAnswers)):
            check_terms(phases)
            answers = _together(teacher, ask) if isinstance(teacher, Ensemble) else Adjusted(teacher.on(data.device), frequencies, wanted)
        else:
            answers = Adjusted(ask(teacher, few=_few(teacher, data, phases, train, corrected=frequencies is not None)), frequencies, wanted)
        inside = _inside(student, teacher, answers, phases, data=data, train=train, folder=folder, ranks=ranks, seed=seed, emit=emit)
    job = Job(
        name=student.name, how=how, phases=tuple(phases), train=train, seed=seed, folder=folder, checkpoint_s=checkpoint_s, kept=kept, beside=beside,
        ranks=ranks,
    )  # fmt: skip
    return fit(student, job, data=data, valid=valid, teacher=answers, inside=inside, emit=emit)


def _inside(
    student: Network,
    teacher: Network | Ensemble | StoredAnswers,
    answers: Teacher,
    phases: Sequence[Phase],
    *,
    data: Batches,
    train: Train,
    folder: Path,
    ranks: Ranks,
    seed: int,
    emit: Emit,
) -> Inside | None:
    """What terms look at inside the student, and inside the teacher where it is one network; None where none looks. The teacher is compiled where the
    student is, and asked in the way that is fastest."""
    if not any(phase.looks_inside for phase in phases):
        return None
    one, adjusted = teacher if isinstance(teacher, Network) else None, answers.adjusted if isinstance(answers, Adjusted) else None
    inside = Inside(student, one, phases, seed=seed, adjusted=adjusted, compiled=bool(train.compile), emit=emit)
    if inside.teacher is not None:
        total = round(sum(phase.epochs for phase in phases if phase.compares_insides) * len(data))
        file, bf16 = folder / f"asking-inside-{teacher.name}.json", train.precision == "bf16"
        inside.at_once = _asked(inside.teacher, data, train, file, total, name=teacher.name, bf16=bf16, ranks=ranks, emit=emit)
    return inside


def _together(teachers: Ensemble, asked: Callable[[Network], Teacher]) -> Teacher:
    """Several teachers as one, each asked by itself."""
    own = zip(map(asked, teachers.members), teachers.frequencies, strict=True)
    return Mixed([Adjusted(one, theirs, teachers.wanted) for one, theirs in own], teachers)


def _few(teacher: Network, data: Batches, phases: Sequence[Phase], train: Train, *, corrected: bool) -> bool:
    """Whether the teacher's largest logits alone are remembered, as of very many classes; raises as `leading.check`."""
    few = bool(train.views) and teacher.classes > leading.MANY and not several(data.labels)
    if few:
        leading.check(phases, teacher.classes, corrected=corrected)
    return few


def asks_teacher(phases: Sequence[Phase]) -> bool:
    """Whether a term or the choice of a subset needs a teacher's answers."""
    return any(phase.soft or (phase.subset is not None and phase.subset.by in NEEDS_TEACHER) for phase in phases)


def _answers(
    teacher: Network,
    *,
    data: Batches,
    data_sha256: str,
    phases: Sequence[Phase],
    train: Train,
    folder: Path,
    memory: Path | None,
    ranks: Ranks,
    emit: Emit,
    few: bool = False,
) -> Teacher:
    """The teacher, remembered where its answers may be kept. It answers in the precision that students are trained in, compiled where they are."""
    assert train.augment is not None
    teacher.to(data.device).eval()
    bf16 = train.precision == "bf16" and not isinstance(teacher, OnnxTeacher)
    quick = folded(teacher, emit if ranks.main else silent)
    asked = partial(_asked, quick, data, train, name=teacher.name, bf16=bf16, ranks=ranks, emit=emit)
    if not train.views:
        emit(Note(text=f"{teacher.name} answers live: train.views is 0"))
        compiled = bool(train.compile) and not isinstance(teacher, OnnxTeacher)
        total = round(sum(phase.epochs for phase in phases if phase.soft and not phase.compares_insides) * len(data))
        return Live(quick, data, bf16=bf16, compiled=compiled, at_once=asked(folder / f"asking-{teacher.name}.json", total))
    key = memory_key(
        weights=fingerprint(teacher),
        preprocess=teacher.preprocess,
        data=sha256_json({"data": data_sha256, "images": len(data)}),
        augment=train.augment,
        view_seed=train.view_seed,
        precision="bf16" if bf16 else "fp32",
        few=few,
        code=teacher.code,
    )
    place = (memory or folder / "remembered") / key
    remembered = Remembered(
        quick,
        data,
        place,
        classes=teacher.classes,
        augment=train.augment,
        view_seed=train.view_seed,
        emit=emit,
        bf16=bf16,
        ranks=ranks,
        few=few,
    )
    remembered.at_once = asked(place / f"asking-{teacher.name}.json", remembered.missing(train.views) * len(data))
    asked_again = [phase.name for phase in phases if phase.compares_insides]
    if ranks.main and asked_again:
        emit(Note(text=f"{teacher.name} answers live in {', '.join(asked_again)}, whose terms look inside it"))
    if ranks.main and len(asked_again) < len(phases):
        emit(Note(text=f"{teacher.name}'s {remembered.told(train.views)}"))
    return remembered


def _asked(teacher: nn.Module, data: Batches, train: Train, file: Path, total: int, *, name: str, bf16: bool, ranks: Ranks, emit: Emit) -> int | None:
    """How many images the teacher is asked for at once, about `total` in all, as a file keeps it; its weights take the memory format that it is
    fastest in."""
    if train.teacher_batch is not msgspec.UNSET:
        found = Asking(at_once=train.teacher_batch, channels_last=bool(train.channels_last))
    else:
        images = data.plain(torch.arange(min(train.batch or BATCH, len(data))))[0]
        own = asked_as(file, teacher, images, name=name, total=total, bf16=bf16, emit=emit) if ranks.main else None
        found = ranks.agreed(own) or Asking()
    # always one of the two, so that whoever was taught before in this process leaves no trace
    teacher.to(memory_format=torch.channels_last if found.channels_last else torch.contiguous_format)
    return found.at_once


def alone(phases: Sequence[Phase], *, keep_subsets: bool = False) -> tuple[Phase, ...]:
    """The same schedule without a teacher: the same steps, cross entropy with weight 1, on all data or on the phases' own subsets.

    What a phase's label term says of smoothing, and of unbalanced or missing classes, stays, so that a gain is not taken for the teacher's
    which labels give too.
    """
    return tuple(
        Phase(
            name=phase.name,
            epochs=phase.epochs,
            terms=(_hard(phase),),
            temperature=1.0,
            subset=phase.subset if keep_subsets else None,
            plain=phase.plain,
            batchnorm=phase.batchnorm,
            quantised=phase.quantised,
        )
        for phase in phases
    )


def _hard(phase: Phase) -> Label:
    own = next((term for term in phase.terms if isinstance(term, Label)), Label())
    return msgspec.structs.replace(own, weight=1.0)


PLAIN_SHARE = 1 / 8
"""How much of a teacher's training is on plain images at the end, as of a student's (phases.TWO_PHASES): without it, students overtake it."""


def supervised(epochs: float) -> tuple[Phase, ...]:
    """Cross entropy on views, then on plain images: how a teacher is taught."""
    last = PLAIN_SHARE * epochs
    return (
        Phase(name="teach", epochs=epochs - last, terms=(Label(),), temperature=1.0),
        Phase(name="settle", epochs=last, terms=(Label(),), temperature=1.0, plain=True),
    )
