"""The students that go on from another run: taught what is new, kept at what they knew, and measured on both.

In: an open `Story` with its previous run, and who else answers, if anybody does. Out: a `Learner` each, and what each kept in the report. Without a
teacher the labels alone teach what is new. How old answers and old images enter a step is `distill.keeping`'s, which images these are `oldimages`',
what of it was kept `kept`'s.
"""

import msgspec
import numpy as np

from edgekd import units
from edgekd.compress import students
from edgekd.compress.ensemble import Answerer
from edgekd.compress.kept import tell_kept
from edgekd.compress.lesson import Learner, Lesson, built, code_of, learnt, settled, tell
from edgekd.compress.oldimages import Archive, share_of
from edgekd.compress.story import Story
from edgekd.compress.teacher import is_taught
from edgekd.data.batches import Batches
from edgekd.data.source import class_counts
from edgekd.distill import alone
from edgekd.distill.keeping import SHARE, WEIGHT, Keeping, Replay, gentler
from edgekd.errors import UsageError
from edgekd.files import sha256_json
from edgekd.models.folded import folded
from edgekd.models.heads import take_over
from edgekd.models.load import Network, fingerprint
from edgekd.phases import Phase
from edgekd.preprocess import Stated
from edgekd.recipe import Student
from edgekd.terms import Label


def opened(story: Story) -> Archive:
    """The old images, once it is sure that the students can go on; what they go on from is said.

    Raises:
        UsageError: a teacher would be taught without some of the classes, or other old images do not fit. MissingError: those are not there.
    """
    recipe, archive = story.recipe, Archive(story)
    counts = class_counts(story.images.train.labels, len(story.classes))
    unseen = [name for name, count in zip(story.classes, counts.tolist(), strict=True) if not count]
    for each in () if recipe.teacher is None else (recipe.teacher, *recipe.co_teacher):
        if unseen and is_taught(story, each):
            raise UsageError(
                f"a teacher knows all classes, old and new; {each.model} would be taught on {recipe.data}, which has none of {units.some(unseen)}. "
                "Bring one with weights for all of them, without train.teacher_epochs, or leave it out: then labels teach what is new."
            )
    if archive.share is None:
        _ = archive.replayed
    known = archive.old.classes
    again, new = [name for name in known if name not in unseen], story.classes[len(known) :]
    story.note(
        f"students go on from {archive.options.run}, which knew {len(known)} classes. Of these {recipe.data} shows "
        f"{units.some(again)}; new: {units.some(new)}"
    )
    if all(name.isdigit() for name in (*known, *story.classes)) and again:
        story.note(
            f"classes go by their names, and these are numbers: {units.some(again)} of {recipe.data} are taken for the same of "
            f"{archive.options.run}. If they are others, give them names (classes in an npz file, folders in folder:DIR).",
            warning=True,
        )
    if unseen and archive.share == 0:
        story.note(f"no image of {units.some(unseen)} is shown, so that others will often be answered in their stead. {_remedy(story)}", warning=True)
    return archive


def _remedy(story: Story) -> str:
    if story.recipe.teacher is not None or _asks_among_shown(story):
        return "Show old images again with --replay to keep more of them."
    return "With one class to learn all others are pushed down: show old images again with --replay."


def planned(story: Story, archive: Archive) -> list[Network]:
    """The students as they would begin."""
    return [_begun(story, _spec(model, was), was) for model, was in archive.old.students.items()]


def distilled(story: Story, archive: Archive, answerer: Answerer | None, *, do: bool) -> list[Learner]:
    """Every student, taught on; [] where they do not stand and nothing is to be done."""
    found: list[Learner] = []
    for model, was in archive.old.students.items():
        spec = _spec(model, was)
        network = _taught_on(story, archive, spec, was, answerer, do=do)
        if network is None:
            return []
        found.append(Learner("student", network, code_of(story, spec)))
        tell_kept(story, archive, was, network, do=do)
    return found


def phases_of(story: Story, *, taught: bool) -> tuple[Phase, ...]:
    """The recipe's phases. Without a teacher the labels alone, on the phases' own subsets where choosing them needs none; without old images, too,
    among the classes that are shown, so that images that are all of others do not push the old ones down."""
    phases = students.phases_of(story)
    if taught:
        return phases
    phases = alone(phases, keep_subsets=len(students.ways_alone(phases)) > 1)
    return tuple(map(_among_shown, phases)) if _asks_among_shown(story) else phases


def _asks_among_shown(story: Story) -> bool:
    """Whether labels ask among the classes that are shown. Beside old images they do not: these push new classes down, and nothing would push them
    up again (0 % of the new test images right instead of 78, benchmarks/forgetting.py)."""
    assert story.recipe.previous is not None
    return share_of(story.recipe.previous.replay) == 0 and np.unique(story.images.train.labels).size > 1


def _among_shown(phase: Phase) -> Phase:
    """Where the recipe says nothing else."""
    terms = (
        msgspec.structs.replace(term, among="shown") if isinstance(term, Label) and term.among is msgspec.UNSET else term for term in phase.terms
    )
    return msgspec.structs.replace(phase, terms=tuple(terms))


def _spec(model: str, was: Network) -> Student:
    return Student(model=model, preprocess=Stated(**msgspec.structs.asdict(was.preprocess)))


# Learning -------------------------------------------------------------------------------------------------------------


def _begun(story: Story, spec: Student, was: Network) -> Network:
    """The student as it begins: as it was, with outputs at random for what is new."""
    network = built(story, spec, replace_head=True)
    take_over(network.body, was.body, network.classes)
    network.name = was.name
    return network


def _taught_on(story: Story, archive: Archive, spec: Student, was: Network, answerer: Answerer | None, *, do: bool) -> Network | None:
    """A student with what it learnt on, as a stage; None where it does not stand and nothing is to be done."""
    network = _begun(story, spec, was)
    lesson = _lesson(story, network, answerer)
    options = msgspec.structs.replace(archive.options, run="-", replay=0.0, weight=_weight(archive))
    previous = {"was": fingerprint(was), "classes": archive.old.classes, "options": options, "replay": archive.identity}
    key = {
        "data": story.images.sha256,
        "student": spec,
        "start": fingerprint(network),
        "lesson": lesson,
        "seed": story.recipe.seed,
        "previous": previous,
        **code_of(story, spec),
        **({} if answerer is None else answerer.key),
    }
    name = f"distill/{network.name}"
    if not do and not story.run.stands(name, key):
        return None
    stage = story.run.stage(name, key)
    keeping = None if stage.done else _keeping(story, archive, was, lesson, sha256_json(previous))
    outcome = learnt(story, stage, network, lesson, None if answerer is None else answerer.network, beside=keeping)
    tell(story, "student", network, outcome)
    return network


def _lesson(story: Story, network: Network, answerer: Answerer | None) -> Lesson:
    """How a student learns on. Without a teacher, who would have to remember them, it sees fresh views in every pass."""
    train = msgspec.structs.replace(story.recipe.train, teacher_epochs=None, teacher_optimizer=None)
    train = settled(story, train if answerer is not None else msgspec.structs.replace(train, views=0), network, brought=False)
    return Lesson(
        phases=phases_of(story, taught=answerer is not None),
        train=gentler(train, story.recipe.train.optimizer),
        how="distilled",
        teacher=None if answerer is None else answerer.fingerprint,
        frequencies=None if answerer is None else answerer.frequencies,
        wanted=None if answerer is None else answerer.wanted,
    )


def _keeping(story: Story, archive: Archive, was: Network, lesson: Lesson, key: str) -> Keeping | None:
    """The lesson on what the student knew; None where it is held to nothing."""
    weight, images, train = _weight(archive), archive.replayed, lesson.train
    if images is None and not weight:
        return None
    assert train.batch is not None, "the defaults are not filled in"
    assert train.augment is not None, "the defaults are not filled in"
    replay = None
    if images is not None:
        shown = Batches(images, device=story.device)
        replay = Replay(shown, max(1, train.batch // SHARE), augment=train.augment, view_seed=train.view_seed, seed=story.recipe.seed)
    return Keeping(folded(was.to(story.device), story.run.emit), weight=weight, temperature=archive.options.temperature, replay=replay, key=key)


def _weight(archive: Archive) -> float:
    return WEIGHT[archive.share != 0] if archive.options.weight is None else archive.options.weight
