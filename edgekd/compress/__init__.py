"""The whole story on one page: images → teacher and students → files → scores, times → verdicts → report.

`compress` does all of it; `teach`, `distill`, `export_files`, `evaluate_files`, `bench_files` and `robustness` each do one step with what must come
before. All work in one run folder: a step whose result stands there is not done again, and every report tells all that the folder holds.

    from edgekd.compress import compress
    report = compress(Recipe(data="folder:photos"), folder=Path("runs/photos"))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgekd.compress import assistants, continued, domain, ensemble, files, inherit, students, sustained, teacher
from edgekd.compress.lesson import Learner
from edgekd.compress.plan import plan
from edgekd.compress.story import Story
from edgekd.compress.tracking import Tracker, tracking
from edgekd.errors import UsageError
from edgekd.evaluate.robustness import IMAGES
from edgekd.events import Emit, silent
from edgekd.recipe import Recipe
from edgekd.record import Report

__all__ = ["bench_files", "compress", "distill", "evaluate_files", "export_files", "plan", "robustness", "teach"]

Step = Literal["teach", "distill", "export", "evaluate", "bench"]


def compress(
    recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, log: Sequence[Tracker] = ()
) -> Report:
    """Teach or load the teacher, distil it into each student, export, score and time the files, and hold them to the recipe's limits.

    Args:
        folder: the run's; a killed run goes on in it.
        origin: whose run the folder is; another origin's folder is refused.
        base: what the recipe's paths are relative to.
        emit: told of all that happens, beside the run's events.jsonl.
        log: trackers that training's figures go to as well, below the run's log/.

    Returns:
        The report, as it stands in report.json, report.md and report.html.

    Raises:
        EdgekdError: whatever cannot be done, with its remedy; finished stages stand.
    """
    with tracking(log, folder, recipe, emit) as told:
        return _walk(recipe, {"teach", "distill", "export", "evaluate", "bench"}, folder, origin, base, told)


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
) -> Report:
    """Time every file on the targets, anew where they were timed before; then, for `sustained_s` seconds each, load those that ship. `python` starts
    Python on other machines. Other arguments as `compress`."""
    return _walk(recipe, {"teach", "distill", "export", "bench"}, folder, origin, base, emit, anew=True, sustained_s=sustained_s, python=python)


def robustness(recipe: Recipe, *, folder: Path, origin: str = "python", base: Path = Path(), emit: Emit = silent, images: int = IMAGES) -> Report:
    """Ask every network about `images` corrupted and moved test images, and fit a temperature to each; other arguments as `compress`.

    Raises:
        UsageError: images may have several labels; else as `compress`.
    """
    if recipe.task != "classify":
        raise UsageError("robustness counts images whose one label is told; with several labels an image it is not measured.")
    return _walk(recipe, {"teach", "distill", "export", "evaluate"}, folder, origin, base, emit, changed=images)


def _walk(
    recipe: Recipe,
    do: set[Step],
    folder: Path,
    origin: str,
    base: Path,
    emit: Emit,
    *,
    anew: bool = False,
    sustained_s: float = 0.0,
    python: Sequence[str] = (),
    changed: int = 0,
) -> Report:
    """Do these steps, and take up what stands of the others."""
    with Story.opened(recipe, folder, origin, base, emit) as story:
        files.check(recipe, base)
        if "bench" in do:
            files.reach(recipe)
        ensemble.check(story)
        students.check(story)
        inherit.check(story)
        learners = _learners(story, do)
        made = files.export(story, learners, do="export" in do)
        inherit.note_temperatures(story, made)
        if made:
            files.evaluate(story, made, do="evaluate" in do)
            domain.scored(story, made, do="evaluate" in do)
            files.bench(story, made, do="bench" in do, anew=anew, python=python)
            files.ship(story)
            sustained.load(story, seconds=sustained_s, python=python)
        inherit.measure(story, learners, images=changed)
        return story.told()


def _learners(story: Story, do: set[Step]) -> list[Learner]:
    """The teacher and its students; none but students where these go on from another run without one."""
    old = continued.opened(story) if story.previous is not None else None
    if old is not None and story.recipe.teacher is None:
        return continued.distilled(story, old, None, do="distill" in do)
    first = teacher.learnt_or_brought(story)
    answerer = assistants.last(story, ensemble.answering(story, first), do="distill" in do)
    if answerer is None:
        return [first]
    if old is not None:
        return [first, *continued.distilled(story, old, answerer, do="distill" in do)]
    return [first, *students.distilled(story, first, answerer, do="distill" in do)]
