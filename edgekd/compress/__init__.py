"""The whole story on one page: images → teacher and students → files → scores, times → verdicts → report.

`compress` does all of it; `teach`, `distill`, `export_files`, `evaluate_files`, `bench_files` and `robustness` each do one step with what must come
before. All work in one run folder: a step whose result stands there is not done again, and every report tells all that the folder holds.

    from edgekd.compress import compress
    report = compress(Recipe(data="folder:photos"), folder=Path("runs/photos"))
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from edgekd.bench.offline import Written
from edgekd.compress import assistants, checks, continued, domain, ensemble, files, inherit, offline, students, sustained, teacher, timing
from edgekd.compress.lesson import Learner
from edgekd.compress.plan import plan
from edgekd.compress.story import Story
from edgekd.compress.timing import NO_WISHES, Wishes
from edgekd.compress.tracking import Tracker, tracking
from edgekd.device.settings import UNCHANGED, Settings
from edgekd.distill.ranks import launched
from edgekd.errors import HostsLostError, UsageError
from edgekd.evaluate.robustness import IMAGES
from edgekd.events import Emit, silent
from edgekd.recipe import Recipe
from edgekd.record import Artifact, Report

__all__ = [
    "bench_files",
    "collected_files",
    "compress",
    "distill",
    "evaluate_files",
    "export_files",
    "offline_files",
    "plan",
    "robustness",
    "teach",
]

Step = Literal["teach", "distill", "export", "evaluate", "bench"]


def compress(
    recipe: Recipe,
    *,
    folder: Path,
    origin: str = "python",
    base: Path = Path(),
    emit: Emit = silent,
    log: Sequence[Tracker] = (),
    settings: Settings = UNCHANGED,
    python: Sequence[str] = (),
) -> Report:
    """Teach or load the teacher, distil it into each student, export, score and time the files, and hold them to the recipe's limits.

    Args:
        folder: the run's; a killed run goes on in it.
        origin: whose run the folder is; another origin's folder is refused.
        base: what the recipe's paths are relative to.
        emit: told of all that happens, beside the run's events.jsonl.
        log: trackers that training's figures go to as well, below the run's log/.
        settings: what to change on the hosts while they measure; it is put back.
        python: the command that starts Python on other machines; (): the first there that has ONNX Runtime.

    Returns:
        The report, as it stands in report.json, report.md and report.html.

    Raises:
        EdgekdError: whatever cannot be done, with its remedy; finished stages stand.
    """
    with tracking(log, folder, recipe, emit) as told:
        steps: set[Step] = {"teach", "distill", "export", "evaluate", "bench"}
        return _walk(recipe, steps, folder, origin, base, told, wishes=Wishes(settings=settings, python=python))


def teach(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, log: Sequence[Tracker] = ()) -> Report:
    """Teach the teacher, or check the weights that it came with; arguments as `compress`."""
    with tracking(log, folder, recipe, emit) as told:
        return _walk(recipe, {"teach"}, folder, origin, base, told)


def distill(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, log: Sequence[Tracker] = ()) -> Report:
    """Distil the teacher into each student; arguments as `compress`."""
    with tracking(log, folder, recipe, emit) as told:
        return _walk(recipe, {"teach", "distill"}, folder, origin, base, told)


def export_files(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent) -> Report:
    """Write checked files of teacher and students; arguments as `compress`."""
    return _walk(recipe, {"teach", "distill", "export"}, folder, origin, base, emit)


def evaluate_files(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent) -> Report:
    """Score every file on validation and test images; arguments as `compress`."""
    return _walk(recipe, {"teach", "distill", "export", "evaluate"}, folder, origin, base, emit)


def bench_files(
    recipe: Recipe,
    *,
    folder: Path,
    origin: str = "python",
    base: Path = Path(),
    emit: Emit = silent,
    sustained_s: float = 0.0,
    python: Sequence[str] = (),
    settings: Settings = UNCHANGED,
    batches: Sequence[int] = (),
) -> Report:
    """Time every file on the targets, anew where they were timed before; then, for `sustained_s` seconds each, load those that ship. `batches` are
    those that throughput is measured at. Other arguments as `compress`."""
    wishes = Wishes(anew=True, sustained_s=sustained_s, batches=batches, settings=settings, python=python)
    return _walk(recipe, {"teach", "distill", "export", "bench"}, folder, origin, base, emit, wishes=wishes)


def offline_files(
    recipe: Recipe,
    *,
    folder: Path,
    origin: str = "python",
    base: Path = Path(),
    emit: Emit = silent,
    device: Path,
    on: Mapping[str, str] | None = None,
    batches: Sequence[int] = (),
) -> Written:
    """Write the folder `device` for one that no line reaches: every file, test images, and what is to be done there on the targets `on` (None: the
    recipe's); other arguments as `bench_files`."""
    with Story.opened(recipe, folder, origin, base, emit) as story:
        made = _made(story, {"teach", "distill", "export"})[1]
        written = offline.write(story, made, device, on=recipe.on if on is None else on, batches=batches)
        _told_of(story, made, set())
        story.told()
        return written


def collected_files(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, device: Path) -> Report:
    """The report with what the folder `device` brought back; other arguments as `compress`."""
    return _walk(recipe, {"teach", "distill", "export"}, folder, origin, base, emit, device=device)


def robustness(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, images: int = IMAGES) -> Report:
    """Ask every network about `images` corrupted and moved test images, and fit a temperature to each; other arguments as `compress`.

    Raises:
        UsageError: images may have several labels, or no teacher stands beside the students; else as `compress`.
    """
    inherit.refuse_untold(recipe)
    return _walk(recipe, {"teach", "distill", "export", "evaluate"}, folder, origin, base, emit, changed=images)


def _walk(
    recipe: Recipe,
    do: set[Step],
    folder: Path,
    origin: str,
    base: Path,
    emit: Emit,
    *,
    wishes: Wishes = NO_WISHES,
    changed: int = 0,
    device: Path | None = None,
) -> Report:
    """Do these steps, and take up what stands of the others.

    Raises:
        UsageError: a launcher has started several processes for what one does.
        HostsLostError: some of several hosts could not be measured; all that the others came to is in the report.
    """
    if launched()[1] > 1 and not do <= {"teach", "distill"}:
        raise UsageError(
            f"networks are taught by several processes, files are made and measured by one; {launched()[1]} were launched. "
            "Launch `teach` or `distill`, then run this command by itself: it takes up what they taught."
        )
    with Story.opened(recipe, folder, origin, base, emit) as story:
        learners, made = _made(story, do, wishes.python)
        lost: Mapping[str, str] = {}
        if made:
            lost = _told_of(story, made, do, device, wishes)
        inherit.measure(story, learners, images=changed)
        report = story.told()
    if lost and "bench" in do:
        raise HostsLostError(lost, report)
    return report


def _told_of(story: Story, made: Sequence[Artifact], do: set[Step], device: Path | None = None, wishes: Wishes = NO_WISHES) -> Mapping[str, str]:
    """Scores and times of the files in the report: those of `do` anew, and what stands of the others; which hosts were lost, and why."""
    files.evaluate(story, made, do="evaluate" in do)
    domain.scored(story, made, do="evaluate" in do)
    lost = timing.bench(story, made, do="bench" in do, wishes=wishes)
    offline.take_up(story, made, device)
    timing.ship(story)
    sustained.load(story, wishes)
    return lost


def _made(story: Story, do: set[Step], python: Sequence[str] = ()) -> tuple[list[Learner], list[Artifact]]:
    """The networks and their files; what could not be done later is refused first."""
    files.check(story.recipe, story.base)
    if "bench" in do:
        timing.reach(story.recipe, every="evaluate" in do, python=python)
    if "export" in do:
        files.check_images(story)
    checks.check(story)
    learners = _learners(story, do)
    made = files.export(story, learners, do="export" in do)
    inherit.note_temperatures(story, made)
    return learners, made


def _learners(story: Story, do: set[Step]) -> list[Learner]:
    """The teacher and its students; none but students where these go on from another run without one, or learn from stored answers.

    Raises:
        UsageError: a teacher is to be taught, and nothing but its answers is there.
    """
    old = continued.opened(story) if story.previous is not None else None
    if old is not None and story.recipe.teacher is None and do == {"teach"}:
        raise UsageError("students go on from a run without a teacher here: there is none to teach. Run `edgekd distill` or `edgekd compress`.")
    if old is not None and story.recipe.teacher is None:
        return continued.distilled(story, old, None, do="distill" in do)
    if story.recipe.by_answers and "distill" not in do:
        raise UsageError("stored answers are no network that could be taught. Name a teacher, or run `edgekd distill` or `edgekd compress`.")
    first = None if story.recipe.by_answers else teacher.learnt_or_brought(story)
    teachers = [] if first is None else [first]
    answerer = assistants.last(story, ensemble.answering(story, first), do="distill" in do)
    if answerer is None:
        return teachers
    if old is not None:
        return [*teachers, *continued.distilled(story, old, answerer, do="distill" in do)]
    return [*teachers, *students.distilled(story, first, answerer, do="distill" in do)]
