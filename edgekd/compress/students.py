"""The students of a run: named or picked, each distilled, and taught alone beside it where that is asked for.

In: an open `Story`, the teacher, and who answers them. Out: a `Learner` each. What comes of them is `files`'.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from edgekd import graph
from edgekd.compress import domain
from edgekd.compress.ensemble import Answerer
from edgekd.compress.images import brings
from edgekd.compress.lesson import Learner, Lesson, built, code_of, learnt, settled, tell
from edgekd.compress.story import Story
from edgekd.distill import alone, leading, quantised
from edgekd.distill.defaults import pinned
from edgekd.distill.subset import NEEDS_TEACHER
from edgekd.distill.teacher import StoredAnswers
from edgekd.errors import UsageError
from edgekd.models.load import Network, OnnxTeacher, fingerprint, macs, pick_student
from edgekd.models.settle import probe_learning
from edgekd.phases import DEFAULT, LARGEST_TERMS, MANY_CLASSES, Phase, Subset, termed, usual_terms
from edgekd.recipe import Student
from edgekd.scores import NetworkRole
from edgekd.tasks import multilabel, several, task_of
from edgekd.terms import LOGIT_TERMS, Term

STANDARDISED = 10.0
"""The weight that a soft loss wants on standardised logits, over that on plain ones: 9 and 0.9 are what was measured (benchmarks/LOG.md)."""


def distilled(story: Story, of: Learner | None, answerer: Answerer, *, do: bool) -> list[Learner]:
    """Every student, distilled, and taught alone beside it where the recipe asks for that; [] where they do not stand and nothing is to be done."""
    found: list[Learner] = []
    for spec in _named(story, of, quiet=not do):
        step = stepped(story, spec, answerer, "student", do=do)
        if step is None:
            return []
        found.append(step.learner)
        if story.recipe.alone:
            alike = msgspec.structs.replace(step.lesson, train=pinned(step.lesson.train, step.folder))
            _alone(story, spec, alike, do=do)
    return found


class Step(NamedTuple):
    """A network that was taught by another: how, and where its stage lies."""

    learner: Learner
    lesson: Lesson
    folder: Path


def stepped(story: Story, spec: Student, answerer: Answerer, role: Literal["assistant", "student"], *, do: bool) -> Step | None:
    """One step from who answers to who learns, as a stage; None where it does not stand and nothing is to be done."""
    network = built(story, spec, replace_head=True)
    phases = phases_of(story)
    lesson = _lesson(story, spec, network, answerer, phases if role == "student" else quantised.unrounded(phases))
    key = {**_key(story, spec, network, lesson), **answerer.key, **(domain.key(story) if role == "student" else {})}
    name = f"{'distill' if role == 'student' else 'assist'}/{network.name}"
    if not do and not story.run.stands(name, key):
        return None
    stage = story.run.stage(name, key)
    there = domain.self_teaching(story, network, lesson) if role == "student" and not stage.done else None
    said = partial(domain.told, network, there)
    tell(story, role, network, learnt(story, stage, network, lesson, answerer.network, tested=role == "assistant", beside=there, said=said))
    return Step(Learner("student", network, code_of(story, spec)), lesson, stage.folder)


def _key(story: Story, spec: Student, network: Network, lesson: Lesson) -> dict[str, Any]:
    """What decides how a student that begins so turns out."""
    return {
        "data": story.images.sha256,
        "student": spec,
        "start": fingerprint(network),
        "lesson": lesson,
        "seed": story.recipe.seed,
        **code_of(story, spec),
    }


def check(story: Story) -> None:
    """Refuse students that cannot be built, losses that do not fit and priors about other classes, before the teacher is taught.

    Raises:
        UsageError: as `build`, one that cannot learn, two of one name, or none where only answers teach.
    """
    labels = story.images.train.labels
    task_of(labels).check_phases(phases_of(story), len(story.classes))
    if largest_alone(story) and _distils(story):
        leading.check(phases_of(story), len(story.classes), corrected=story.recipe.train.prior != "data")
    _tell(story)
    if story.recipe.by_answers and story.recipe.student == ():
        raise UsageError("stored answers become no files, so there is nothing to do without a student. Take --no-student away, and name one.")
    if story.recipe.by_answers and not story.recipe.student:
        raise UsageError("a student is picked by its teacher's size, and stored answers have none. Name one with --student MODEL.")
    if story.previous is not None:
        return  # its students were looked at when it was read
    for model in story.recipe.assistants:
        _learner(story, Student(model=model), "an assistant")
    names = [_learner(story, spec).name for spec in story.recipe.student or ()]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"students need names of their own, and two are called {name}. Leave one out, or rename its function.")


def _tell(story: Story) -> None:
    """Say what was decided for phases that leave it open, or that do not fit so many classes or labels."""
    phases = termed(story.recipe.phase, _usual(story))
    severally = several(story.images.train.labels)
    if severally and phases_of(story) != phases:
        story.note(
            "with several labels an image each logit is compared for itself: soft losses take logits as they are and not standardised, with "
            f"{1 / STANDARDISED:g} of the weight, and a subset by 'mixed' is chosen at random"
        )
    elif len(story.classes) == 2 and phases != tuple(map(_on_plain_logits, phases)):
        story.note(
            "of two classes standardised logits tell which one and no more: soft losses take them as they are, "
            f"with {1 / STANDARDISED:g} of the weight"
        )
    elif largest_alone(story) and phases != story.recipe.phase and _distils(story):
        story.note(
            f"of {len(story.classes)} classes a teacher's {leading.KEPT} largest logits are remembered: phases that name no terms teach by plain kd, "
            "on images chosen at random; train.views = 0 asks for all logits in every step"
        )
    elif _many(story) and phases != story.recipe.phase and _distils(story):
        story.note(f"of {len(story.classes)} classes a phase that names no terms teaches by dist and labels: of many they teach better than kd")
    balanced = [phase.name for phase, asked in zip(phases_of(story), story.recipe.phase, strict=True) if phase.subset != asked.subset]
    if story.recipe.train.prior == "uniform" and balanced and _distils(story):
        story.note(f'prior = "uniform": in {" and ".join(balanced)} the half of the images is shown that is nearest to balanced')
    if _is_even(story) and not all(phase.terms for phase in story.recipe.phase) and _distils(story):
        story.note('prior = "uniform": where no terms are named, the label loss is adjusted for how often classes occur (logit_adjustment)')


def _learner(story: Story, spec: Student, who: str = "a student") -> Network:
    """A student or assistant as it would begin, where it can learn at all."""
    if not spec.model.endswith(".onnx"):
        network = built(story, spec, replace_head=True)
        if network.trainable:
            probe_learning(network)
            quantised.check(network, network.name, () if who == "an assistant" else story.recipe.phase, story.shape)
            return network
    raise UsageError(f"{who} learns, and {spec.model} has no weights to train. Name a network for it, or give that file as --teacher.")


def planned(story: Story, teacher: Network | None) -> list[Network]:
    """The students as they would begin; of stored answers instead of a teacher, those that are named."""
    of = None if teacher is None else Learner("teacher", teacher, {})
    return [built(story, spec, replace_head=True) for spec in _named(story, of, quiet=False)]


def planned_between(story: Story) -> list[Network]:
    """The assistants as they would begin."""
    return [built(story, Student(model=model), replace_head=True) for model in story.recipe.assistants]


def _named(story: Story, of: Learner | None, *, quiet: bool) -> list[Student]:
    """The recipe's students, or one that edgekd picks for the teacher, with the reason."""
    if story.recipe.student is not None:
        return list(story.recipe.student)
    assert of is not None, "who learns from stored answers is named (`check`)"
    count = graph.summary(of.network.path).macs if isinstance(of.network, OnnxTeacher) else macs(of.network, story.shape)
    if count is None:
        raise UsageError("a student is picked by the teacher's MACs, and this teacher's cannot be counted. Name one with --student MODEL.")
    name, reason = pick_student(count, story.shape, len(story.classes))
    if not quiet:
        story.note(f"no student is named: {reason}. Choose another with --student.")
    return [Student(model=name)]


def _lesson(story: Story, spec: Student, network: Network, answerer: Answerer, phases: tuple[Phase, ...]) -> Lesson:
    train = msgspec.structs.replace(story.recipe.train, teacher_epochs=None, teacher_optimizer=None)
    if isinstance(answerer.network, StoredAnswers):  # nobody has to remember its views
        train = msgspec.structs.replace(train, views=0)
    train = settled(story, train, network, brought=brings(spec))
    return Lesson(
        phases=phases,
        train=train,
        how="distilled",
        teacher=answerer.fingerprint,
        frequencies=answerer.frequencies,
        wanted=answerer.wanted,
    )


def _alone(story: Story, spec: Student, lesson: Lesson, *, do: bool) -> None:
    """The same student by the labels alone; once more on the phases' own subsets where choosing them needs no teacher."""
    for keep in ways_alone(lesson.phases):
        network = built(story, spec, replace_head=True)
        alike = Lesson(phases=alone(lesson.phases, keep_subsets=keep), train=lesson.train, how="alone")
        key = _key(story, spec, network, alike)
        role: NetworkRole = "alone-on-subset" if keep else "alone"
        name = f"{role}/{network.name}"
        if do or story.run.stands(name, key):
            tell(story, role, network, learnt(story, story.run.stage(name, key), network, alike, tested=True))
            story.alone.append((role, network))


def ways_alone(phases: tuple[Phase, ...]) -> list[bool]:
    """In which ways a student is taught alone: on all images (False), and on the phases' own subsets (True)."""
    subsets = [phase.subset for phase in phases if phase.subset is not None]
    return [False, True] if subsets and not any(subset.by in NEEDS_TEACHER for subset in subsets) else [False]


def phases_of(story: Story) -> tuple[Phase, ...]:
    """The recipe's phases, with the terms that suit the number of classes where they name none; on plain logits where there are two classes or an
    image may have several, and under a uniform prior with a balanced last one."""
    severally = several(story.images.train.labels)
    phases = tuple(map(_by_largest, story.recipe.phase)) if largest_alone(story) else story.recipe.phase
    phases = termed(phases, _usual(story))
    phases = phases if len(story.classes) > 2 and not severally else tuple(map(_on_plain_logits, phases))
    phases = tuple(map(multilabel.fitted, phases)) if severally else phases
    if story.recipe.train.prior != "uniform":  # a table says that classes are not met alike, and balanced images would
        return phases
    last = sum(not phase.is_quantised for phase in phases) - 1  # quantised phases go on as it ends
    return (*phases[:last], *map(_on_a_balanced_half, phases[last:])) if last > 0 else phases


def _usual(story: Story) -> tuple[Term, ...]:
    """What phases that name no terms teach by."""
    return usual_terms(many=_many(story), even=_is_even(story))


def _is_even(story: Story) -> bool:
    """Whether labels are adjusted for how often classes occur, as a device meets them alike: not of several an image, which are no rarer for each
    other's sake, nor where a student goes on, whose old classes would count as those of hardly an image."""
    return story.recipe.train.prior == "uniform" and story.recipe.previous is None and not several(story.images.train.labels)


def _many(story: Story) -> bool:
    """Whether classes are so many that `dist` teaches better; of several labels an image kd was measured alone."""
    return len(story.classes) >= MANY_CLASSES and not several(story.images.train.labels)


def _distils(story: Story) -> bool:
    """Whether there are students, and not labels alone that teach them."""
    return story.recipe.student != () and (story.previous is None or story.recipe.teacher is not None)


def largest_alone(story: Story) -> bool:
    """Whether of a teacher's answers the largest logits alone are remembered; several are mixed, which takes all of each one's."""
    remembered = bool(story.recipe.train.views) and not story.recipe.by_answers and not story.recipe.co_teacher
    return remembered and len(story.classes) > leading.MANY and not several(story.images.train.labels)


def _by_largest(phase: Phase) -> Phase:
    """A phase that names no terms, by what asks for the largest logits alone."""
    return phase if phase.terms else multilabel.fitted(msgspec.structs.replace(phase, terms=LARGEST_TERMS))


def _on_a_balanced_half(phase: Phase) -> Phase:
    """Of most of a long tail the common classes are still the most: a half was measured (DESIGN section 3). A subset that the recipe names stays."""
    if phase.subset not in (None, *(default.subset for default in DEFAULT)):
        return phase
    return msgspec.structs.replace(phase, subset=Subset(by="balanced", fraction=0.5))


def _on_plain_logits(phase: Phase) -> Phase:
    terms = tuple(
        msgspec.structs.replace(term, standardise=False, weight=term.weight / STANDARDISED)
        if isinstance(term, LOGIT_TERMS) and term.standardise
        else term
        for term in phase.terms
    )
    return msgspec.structs.replace(phase, terms=terms)
