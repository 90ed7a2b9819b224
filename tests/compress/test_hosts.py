"""compress/timing.py: several hosts of a run: who must be reached before anything is taught, and what stands where one was lost."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from edgekd.bench import Bench
from edgekd.compress import timing
from edgekd.compress.story import Story
from edgekd.errors import DeviceError
from edgekd.recipe import Recipe
from edgekd.record import Report
from edgekd.run import Run
from tests.report.sample import sample_report

LOST = {"orin": "it is off"}


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a line was opened to; those whose names begin with `off` are not to be reached."""
    seen: list[str] = []

    @contextlib.contextmanager
    def connect(host: str, python: Sequence[str] = ()) -> Iterator[None]:
        seen.append(host)
        if host.startswith("off"):
            raise DeviceError(f"{host} cannot be reached")
        yield

    monkeypatch.setattr(timing, "connect", connect)
    return seen


def test_every_host_before_long_work(tried: list[str]) -> None:
    """The first that is not there ends it; this machine and targets without a host are not asked."""
    recipe = Recipe(on={"cpu": "local", "l4": "", "a100": "orin", "h100": "off", "h200": "pi"})
    with pytest.raises(DeviceError, match="off cannot be reached"):
        timing.reach(recipe, every=True)
    assert tried == ["orin", "off"]


@pytest.mark.parametrize(
    ("on", "fails"), [({"a100": "off", "h100": "pi"}, False), ({"a100": "off", "cpu": "local"}, False), ({"a100": "off", "h100": "off2"}, True)]
)
def test_one_host_is_enough_to_measure(tried: list[str], on: dict[str, str], fails: bool) -> None:
    """The others are told of when they are measured; where none is left there is nothing to begin."""
    with pytest.raises(DeviceError) if fails else contextlib.nullcontext():
        timing.reach(Recipe(on=on), every=False)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A story whose files are made, with a real run folder."""
    with Run.open(tmp_path / "run", origin="here", recipe_toml="", emit=lambda event: None) as run:
        found = SimpleNamespace(run=run, recipe=Recipe(on={"cpu": "orin"}), base=Path(), images=SimpleNamespace(train=[0]))
        found.report = msgspec.structs.replace(sample_report(), doubts=[])
        found.add = lambda **parts: setattr(found, "report", msgspec.structs.replace(found.report, **parts))
        yield cast(Story, found)


def test_a_bench_that_lost_a_host_is_done_anew(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others came to is in the report with a doubt; the next time begins anew, until nobody is lost; a look alone begins nothing."""
    answers: list[dict[str, str]] = [LOST, LOST, {}]
    report: Report = story.report
    artifacts = report.artifacts

    def measure(*_: Any, **__: Any) -> Bench:
        return Bench(report.measurements, report.ratios, report.hosts, {}, answers.pop(0))

    monkeypatch.setattr(timing, "measure", measure)
    assert timing.bench(story, artifacts, do=True) == LOST
    assert story.report.doubts == ["orin was not measured: it is off"]
    assert timing.bench(story, artifacts, do=False) == LOST
    assert len(answers) == 2
    assert timing.bench(story, artifacts, do=True) == LOST
    assert timing.bench(story, artifacts, do=True) == {}
    assert timing.bench(story, artifacts, do=True) == {}
    assert answers == []
