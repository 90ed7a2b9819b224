"""A long tail through the whole way: what is learnt, told and kept where `imbalance` cuts the data and all classes count alike."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekd.compress import plan
from edgekd.compress.ensemble import priors
from edgekd.compress.story import Story
from edgekd.compress.students import check, phases_of
from edgekd.errors import UsageError
from edgekd.events import Event, Note, PhaseStarted, silent
from edgekd.phases import TWO_PHASES, Subset
from edgekd.recipe import Recipe, Teacher
from edgekd.record import Report
from edgekd.reportfile import read_report
from edgekd.scores import ClassGroups
from tests.compress.jobs import PHASES, recipe, run, workplace

HALF = Subset(by="balanced", fraction=0.5)


def uneven() -> Recipe:
    """10:1, for a device that meets all classes alike."""
    phases = (PHASES[0], msgspec.structs.replace(PHASES[1], subset=None))
    return recipe(imbalance=10.0, train=msgspec.structs.replace(recipe().train, prior="uniform"), phase=phases)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 images, 80 of each class."""
    return workplace(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def tail(base: Path) -> tuple[Report, list[Event]]:
    """The whole way on the long tail of it."""
    return run(base, uneven(), out="tail")


def test_the_report_tells_head_middle_and_tail_of_both(tail: tuple[Report, list[Event]], base: Path) -> None:
    """Which classes they are and why, and a recall of each for teacher and student, on balanced test images."""
    report, _ = tail
    assert report.data is not None
    assert (report.data.class_counts, report.data.train, report.data.valid, report.data.test) == ([72, 23, 7], 102, 11, 90)
    assert report.data.groups == ClassGroups(rule="thirds", head=["above"], middle=["below"], tail=["left"])
    for score in (score for score in report.scores if score.split == "test"):
        assert {name: metric.n for name, metric in score.groups.items()} == {"head": 30, "middle": 30, "tail": 30}
        assert score.groups["tail"] == score.recall["left"]
    assert {score.artifact for score in report.scores} == {"teacher/wide/fp32", "student/thin/fp32"}
    assert read_report(base / "tail" / "report.json") == report
    page = (base / "tail" / "report.html").read_text(encoding="utf-8")
    assert "Mean recall of head, middle and tail: thirds of the classes, 1 with 72, 1 with 23 and 1 with 7 training images" in page


def test_the_run_says_what_was_cut(tail: tuple[Report, list[Event]]) -> None:
    """As a note of the report; and the last phase sees about as many of each class as there are."""
    report, told = tail
    text = "the data is cut to a long tail of 10:1: 102 training images, 72 of the first class down to 7 of the last, and 11 validation images"
    assert any(note.startswith(text) for note in report.notes)
    assert [event.images for event in told if isinstance(event, PhaseStarted) and event.phase == "refine"] == [51]


def test_a_dry_run_says_it_too(base: Path) -> None:
    """With the number of images that are left, and what is said of classes that are unbalanced."""
    lines = plan(recipe(imbalance=10.0), base=base)
    assert lines[0].startswith("data      npz:images.npz: 102 train, 11 validation and 90 test images")
    assert any(line.startswith("note      the data is cut to a long tail of 10:1") for line in lines)
    assert any("the commonest class has 72 training images, the rarest 7" in line for line in lines)


def test_a_teacher_of_unknown_classes_is_asked_about(base: Path, tail: tuple[Report, list[Event]]) -> None:
    """One that came with weights was perhaps taught on other frequencies than are taken off; stated, there is nothing to say."""
    weights = next((base / "tail").glob("**/weights.safetensors"))

    def said(**prior: str) -> list[str]:
        teacher = msgspec.convert({"model": "nets.py:wide", "weights": str(weights), **prior}, Teacher)
        told: list[Event] = []
        job = msgspec.structs.replace(uneven(), teacher=teacher)
        with Story.opened(job, base / f"asked-{len(prior)}", "test", base, told.append):
            return [event.text for event in told if isinstance(event, Note) and "came with weights" in event.text]

    (text,) = said()
    assert 'If it was taught on others, say so: prior = "uniform" beside its model' in text
    assert said(prior="uniform") == []


def test_a_subset_that_the_recipe_names_stays(base: Path) -> None:
    """So does one phase alone, which would learn from no other image; what is balanced is said."""
    hard = Subset(by="confident", fraction=0.9)
    named = msgspec.structs.replace(uneven(), phase=(TWO_PHASES[0], msgspec.structs.replace(TWO_PHASES[1], subset=hard)))
    for job, last, count in ((named, hard, 0), (msgspec.structs.replace(uneven(), phase=TWO_PHASES[:1]), None, 0), (uneven(), HALF, 1)):
        told: list[Event] = []
        with Story.opened(job, base / "named", "test", base, told.append) as story:
            check(story)
            assert phases_of(story)[-1].subset == last
        assert sum(isinstance(event, Note) and event.text.startswith('prior = "uniform": in refine the half') for event in told) == count


def test_frequencies_of_classes(base: Path) -> None:
    """One that no training image shows is as the others' geometric mean; a stated one is above 0, or refused before the teacher is taught."""
    with np.load(base / "images.npz") as archive:
        arrays = dict(archive)
    kept = arrays["y_train"] != 2
    arrays |= {"x_train": arrays["x_train"][kept], "y_train": arrays["y_train"][kept]}
    shown = arrays["y_test"] != 2
    np.savez(base / "lacking.npz", **(arrays | {"x_test": arrays["x_test"][shown], "y_test": arrays["y_test"][shown]}))
    with Story.opened(msgspec.structs.replace(uneven(), data="npz:lacking.npz", imbalance=1.0), base / "l", "test", base, silent) as story:
        frequencies, wanted = priors(story, None)
    assert frequencies is not None
    assert frequencies[2] == pytest.approx(math.sqrt(frequencies[0] * frequencies[1]))
    assert wanted is None
    stated = msgspec.structs.replace(recipe().train, prior={"above": 1.0, "below": 0.0, "left": 1.0})
    with pytest.raises(UsageError, match=r"train\.prior gives each class a finite frequency above 0; got 0 for 'below'"):
        run(base, recipe(train=stated), out="zero")
    assert not list((base / "zero").glob("teach*"))


def test_the_default_phases_end_on_a_balanced_half(base: Path) -> None:
    """Of most of a long tail the common classes would still be the most."""
    job = msgspec.structs.replace(uneven(), phase=TWO_PHASES)
    with Story.opened(job, base / "phases", "test", base, lambda event: None) as story:
        assert phases_of(story)[-1].subset == Subset(by="balanced", fraction=0.5)
