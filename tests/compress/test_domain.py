"""A domain through the whole way: who learns from the target, what is scored, told and kept, and what is done again."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekd import compress as verbs
from edgekd.errors import UsageError
from edgekd.events import Event, Note, StageFinished, Trained
from edgekd.files import sha256_file
from edgekd.recipe import Domain, Recipe
from edgekd.recipefile import override, read_recipe
from edgekd.record import Report
from edgekd.reportfile import read_report
from tests.compress.jobs import images, recipe, run, workplace

DARK = Domain(target="npz:dark.npz", weight=1.0)


def dark(count: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images of the same classes, at a third of their brightness."""
    pixels, labels = images(count, seed)
    return pixels // 3, labels


def place(folder: Path) -> Path:
    """A workplace with a target: dark.npz with labels, lone.npz without."""
    workplace(folder)
    (x_train, y_train), (x_test, y_test) = dark(180, 3), dark(60, 4)
    classes = np.array(["left", "above", "below"])  # in another order than the run's
    numbers = np.array([1, 2, 0])
    np.savez(folder / "dark.npz", x_train=x_train, y_train=numbers[y_train], x_test=x_test, y_test=numbers[y_test], classes=classes)
    np.savez(folder / "lone.npz", x=x_train)
    return folder


def job(domain: Domain = DARK, **changes: object) -> Recipe:
    """A quick job with a target."""
    return recipe(domain=domain, **changes)


def done(told: list[Event]) -> list[str]:
    """The stages that were not taken from the shelf."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace that the tests of this module share."""
    return place(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def whole(base: Path) -> tuple[Report, list[Event]]:
    """The whole way, with the student alone beside it."""
    return run(base, job(alone=True))


def test_teacher_and_student_are_scored_on_both(whole: tuple[Report, list[Event]], base: Path) -> None:
    """With labels by class name, though the target numbers them otherwise; the report reads back, and its forms have the table."""
    report, _ = whole
    assert report.domain is not None
    assert (report.domain.target, report.domain.images, report.domain.test) == ("npz:dark.npz", 180, 60)
    assert [score.artifact for score in report.domain.scores] == ["teacher/wide/fp32", "student/thin/fp32"]
    for score in report.domain.scores:
        own = report.score(score.artifact)
        assert own is not None
        assert {name: score.source[name] for name in ("accuracy", "balanced_accuracy")} == {
            name: own.metrics[name] for name in ("accuracy", "balanced_accuracy")
        }
        assert set(score.source) == set(score.target) == {"accuracy", "balanced_accuracy", "macro_auc"}
        assert (score.source["macro_auc"].n, score.target["macro_auc"].n) == (90, 60)
        assert score.source["macro_auc"].value > 0.8
    assert read_report(base / "run") == report
    assert "## Source and target" in (base / "run" / "report.md").read_text()
    assert "Source and target" in (base / "run" / "report.html").read_text()
    assert read_recipe(base / "run" / "recipe.toml").domain == DARK


def test_only_students_learn_from_the_target(whole: tuple[Report, list[Event]]) -> None:
    """Their curves have its share; the teacher's and those of the student alone do not. Both things are said."""
    report, told = whole
    learnt = {network.role: {name for point in network.training.curve for name in point.shares} for network in report.networks}
    assert "domain" in learnt["student"]
    assert not any("domain" in names for role, names in learnt.items() if role != "student")
    assert any(event.shares.get("domain", 0) > 0 for event in told if isinstance(event, Trained))
    notes = [event.text for event in told if isinstance(event, Note)]
    said = "students also learn from 180 images of npz:dark.npz, without labels; 60 other images of it, with labels, are only scored"
    assert said in notes
    assert said in report.notes
    assert any(note.startswith("thin: in the end the self-teacher was sure enough of ") for note in report.notes)


def test_labels_of_the_target_teach_nothing(whole: tuple[Report, list[Event]], base: Path) -> None:
    """The same images without them come to the same student, bit for bit, so that its file stands; only the source is scored then, which is said."""
    report, told = run(base, job(msgspec.structs.replace(DARK, target="npz:lone.npz"), alone=True))
    assert done(told) == ["distill/thin", "domain/teacher-wide", "domain/student-thin"]
    weights = [sha256_file(file) for file in (base / "run").glob("distill/thin-*/weights.safetensors")]
    assert (len(weights), len(set(weights))) == (2, 1)
    assert report.domain is not None
    assert report.domain.test == 0
    assert all(score.source and not score.target for score in report.domain.scores)
    assert any("none of them has a label, so that only the source can be scored" in event.text for event in told if isinstance(event, Note))


def test_a_second_time_nothing_is_done_again(whole: tuple[Report, list[Event]], base: Path) -> None:
    """And what stands is told by a step that does none of it, how sure the self-teacher was too."""
    report, _ = whole
    again, told = run(base, job(alone=True))
    assert (done(told), again.domain) == ([], report.domain)
    again, told = run(base, job(alone=True), verb="teach")
    assert (done(told), again.domain) == ([], report.domain)
    assert [note for note in again.notes if note.startswith("thin: ")] == [note for note in report.notes if note.startswith("thin: ")] != []


def test_only_the_student_is_taught_anew_for_another_domain(whole: tuple[Report, list[Event]], base: Path) -> None:
    """Other options, or none: the teacher and the student alone stand. Where the images lie does not matter."""
    _, told = run(base, job(msgspec.structs.replace(DARK, weight=0.5), alone=True), verb="distill")
    assert done(told) == ["distill/thin"]
    _, told = run(base, recipe(alone=True), verb="distill")
    assert done(told) == ["distill/thin"]
    (base / "moved.npz").write_bytes((base / "dark.npz").read_bytes())
    _, told = run(base, job(msgspec.structs.replace(DARK, target="npz:moved.npz"), alone=True), verb="distill")
    assert done(told) == []


def test_other_images_of_the_target_are_scored(whole: tuple[Report, list[Event]], base: Path) -> None:
    """Those that domain.test names: nothing is taught anew for them."""
    report, told = run(base, job(msgspec.structs.replace(DARK, test="npz:images.npz"), alone=True))
    assert done(told) == ["domain/teacher-wide", "domain/student-thin"]
    assert report.domain is not None
    assert report.domain.test == 90
    assert any("90 images of npz:images.npz, with labels, are only scored" in note for note in report.notes)
    assert all(score.source == score.target for score in report.domain.scores)


class Killed(BaseException):
    """As SIGKILL would leave a run: with its last checkpoint, and nothing done at the end."""


def test_a_killed_run_ends_with_the_same_bits(whole: tuple[Report, list[Event]], base: Path, tmp_path: Path) -> None:
    """In the midst of a student's second phase."""

    def emit(event: Event) -> None:
        if isinstance(event, Trained) and event.network == "thin" and event.step >= 45:
            raise Killed

    place(tmp_path)
    with pytest.raises(Killed):
        verbs.distill(job(checkpoint_s=0.0), folder=tmp_path / "run", origin="test", base=tmp_path, emit=emit)
    assert list((tmp_path / "run").rglob(".checkpoint.pt"))
    _, told = run(tmp_path, job(), verb="distill")
    assert done(told) == ["distill/thin"]
    (ours,) = (tmp_path / "run").glob("distill/thin-*/weights.safetensors")
    assert sha256_file(ours) in {sha256_file(file) for file in (base / "run").glob("distill/thin-*/weights.safetensors")}


def test_a_dry_run_tells_of_the_target(base: Path) -> None:
    """Its images, and what they cost; `--set` names them."""
    lines = verbs.plan(override(recipe(), ["domain.target=npz:dark.npz"]), base=base)
    assert "domain    npz:dark.npz: 180 images without labels, 60 labelled test images" in lines
    assert any(line.startswith("          as many images of the domain beside them: about ") for line in lines)
    assert not any("of the domain" in line for line in verbs.plan(recipe(), base=base))


def test_a_target_that_does_not_fit_before_the_teacher_is_taught(tmp_path: Path) -> None:
    """Its classes are other ones."""
    place(tmp_path)
    x, y = dark(60, 5)
    np.savez(tmp_path / "other.npz", x_train=x, y_train=y, x_test=x, y_test=y, classes=np.array(["cat", "dog", "deer"]))
    with pytest.raises(UsageError, match=r"every class of domain\.target npz:other\.npz must be one of the data's"):
        run(tmp_path, job(Domain(target="npz:other.npz")))
    assert not list((tmp_path / "run").glob("teach*"))
