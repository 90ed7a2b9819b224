"""compress/sustained.py: which files of a run are loaded, and that what was measured is kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from edgekd.bench import Load
from edgekd.compress import sustained as module
from edgekd.compress.story import Story
from edgekd.compress.timing import Wishes
from edgekd.measurements import Moment
from edgekd.recipe import Recipe
from edgekd.record import Artifact
from edgekd.run import Run
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace
MOMENTS = [Moment(when="during", at_s=1.0, ms=2.0, inferences=3)]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A story whose files are timed and chosen, with a real run folder."""
    recipe = Recipe(on={"cpu": "local"})
    with Run.open(tmp_path / "run", origin="here", recipe_toml="", emit=lambda event: None) as run:
        found = SimpleNamespace(run=run, recipe=recipe, base=Path(), report=sample_report())
        found.add = lambda **parts: setattr(found, "report", replace(found.report, **parts))
        yield cast(Story, found)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was loaded and for how long."""
    seen: list[Any] = []

    def sustain(files: Sequence[tuple[Artifact, Path, str]], targets: dict[str, str], *, seconds: float, **_: Any) -> list[Load]:
        seen.append(([(artifact.name, path.name, target) for artifact, path, target in files], seconds))
        return [Load(artifact=artifact.name, target=target, moments=MOMENTS, doubts=["hot"]) for artifact, _, target in files]

    monkeypatch.setattr(module, "sustain", sustain)
    return seen


def loaded(story: Story) -> list[str]:
    """The files that the report has a load of."""
    return [each.artifact for each in story.report.measurements if each.sustained == MOMENTS and "hot" in each.doubts]


def test_what_ships_is_loaded_and_kept(story: Story, asked: list[Any]) -> None:
    """Once where it is asked for; the next report of the same files has it too, and asking again does it anew."""
    before = story.report
    module.load(story, Wishes(sustained_s=0))
    assert (asked, story.report) == ([], before)
    module.load(story, Wishes(sustained_s=60))
    assert asked == [([(SHIPPED, "student-resnet20-int8-cpu.onnx", "cpu")], 60)]
    assert loaded(story) == [SHIPPED]
    story.add(measurements=before.measurements)
    module.load(story, Wishes(sustained_s=0))
    assert loaded(story) == [SHIPPED]
    module.load(story, Wishes(sustained_s=30))
    assert [seconds for _, seconds in asked] == [60, 30]


def test_other_files_are_not_taken_for_it(story: Story, asked: list[Any]) -> None:
    """What was measured of a file that is no more is not put to its successor."""
    module.load(story, Wishes(sustained_s=60))
    report = sample_report()
    story.add(measurements=report.measurements, artifacts=[replace(each, sha256="cd" * 32) for each in report.artifacts])
    module.load(story, Wishes(sustained_s=0))
    assert loaded(story) == []


def test_a_device_that_was_measured_offline_is_not_loaded(story: Story, asked: list[Any]) -> None:
    """It has no host to be asked on; what ships on the others is loaded."""
    (there,) = (each for each in story.report.measurements if (each.artifact, each.target) == (SHIPPED, "cpu"))
    shipped = {**story.report.shipped, "jetson-orin-nano/resnet20": SHIPPED}
    story.add(measurements=[*story.report.measurements, replace(there, target="jetson-orin-nano")], shipped=shipped)
    module.load(story, Wishes(sustained_s=60))
    assert asked == [([(SHIPPED, "student-resnet20-int8-cpu.onnx", "cpu")], 60)]


def test_where_nothing_ships_all_are_loaded(story: Story, asked: list[Any]) -> None:
    """As in a run that was timed and not scored; and where nothing was timed, nothing."""
    story.add(shipped={})
    module.load(story, Wishes(sustained_s=5))
    assert loaded(story) == [each.artifact for each in sample_report().measurements]
    story.add(measurements=[])
    module.load(story, Wishes(sustained_s=5))
    assert len(asked) == 1
