"""How a student learns: phases of weighted terms, one loop, a teacher that answers.

`distill` teaches a student by a teacher's answers; without a teacher it teaches by the labels alone, as a teacher itself is taught.
Both go on from a checkpoint in their folder where there is one. Which networks, which data and which files come of it is others' business.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from edgekd.data.batches import Batches
from edgekd.distill.defaults import all_steps, filled, paced
from edgekd.distill.heap import freed_memory_is_kept
from edgekd.distill.job import Job
from edgekd.distill.mixture import Ensemble
from edgekd.distill.quantised import check as check_rounding
from edgekd.distill.ranks import check_batch
from edgekd.distill.subset import NEEDS_TEACHER
from edgekd.distill.teacher import StoredAnswers, check_classes
from edgekd.distill.teaching import Teaching
from edgekd.distill.train import fit
from edgekd.events import Emit, silent
from edgekd.models.load import Network
from edgekd.phases import Phase
from edgekd.record import Training
from edgekd.tasks.classify import Frequencies
from edgekd.terms import Label

__all__ = ["Job", "alone", "distill", "filled", "supervised"]


@freed_memory_is_kept()
def distill(
    student: Network,
    teacher: Network | Ensemble | StoredAnswers | None,
    job: Job,
    *,
    data: Batches,
    data_sha256: str,
    valid: Batches | None = None,
    memory: Path | None = None,
    frequencies: Frequencies | None = None,
    wanted: Frequencies | None = None,
    emit: Emit = silent,
) -> Training:
    """Teach `student` in place; it ends in eval mode, on the device of `data`.

    Args:
        teacher: who answers the soft terms and chooses subsets; None where no phase asks for it. An ensemble brings its class frequencies itself.
        data: training images; `data_sha256` is their hash, which a remembered teacher's answers are kept under.
        memory: where the teacher's answers are kept, to be shared by students; None: in the job's folder.
        frequencies: (classes,) class frequencies of the teacher's own training, which are taken off its logits; None: nothing is.
        wanted: (classes,) class frequencies to put in their place; None: all alike.

    Raises:
        UsageError: the teacher answers other classes, a term looks inside and no one network is asked, ranks cannot share a batch, or nothing rounds.
        TrainingError: the loss is not a number, or a subset is empty. RunError: the checkpoint is another job's.
    """
    phases, train, ranks = job.phases, job.train, job.ranks
    job.folder.mkdir(parents=True, exist_ok=True)
    assert train.batch is not None, "the defaults are not filled in"
    assert all(phase.terms for phase in phases), "phases that name no terms are given theirs by edgekd.phases.termed"
    assert ranks.count == 1 or job.beside is None, "lessons beside the terms are one process's"
    check_batch(train.batch, ranks)
    check_rounding(student.to(data.device), student.name, phases, data.images.shape)
    train = paced(train, student, data, job.folder, steps=all_steps(phases, len(data), train.batch), ranks=ranks, emit=emit)
    job = replace(job, train=train)
    answers, inside = None, None
    if teacher is not None and asks_teacher(phases):
        check_classes(teacher.classes, student.classes)
        teaching = Teaching(job, data, data_sha256, memory, emit)
        answers = teaching.by(teacher, frequencies, wanted)
        inside = teaching.inside(student, teacher, answers)
    return fit(student, job, data=data, valid=valid, teacher=answers, inside=inside, emit=emit)


def asks_teacher(phases: Sequence[Phase]) -> bool:
    """Whether a term or the choice of a subset needs a teacher's answers."""
    return any(phase.soft or (phase.subset is not None and phase.subset.by in NEEDS_TEACHER) for phase in phases)


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
