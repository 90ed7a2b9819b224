"""What the networks of a run inherit: a stage each, kept and taken up; a temperature in the files; labels that are flipped."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgekd.compress import inherit
from edgekd.compress.story import Story
from edgekd.compress.teacher import learnt_or_brought
from edgekd.device.predict import prepare
from edgekd.errors import UsageError
from edgekd.events import Event, Note, StageFinished
from edgekd.recipe import Export, Recipe, Teacher
from edgekd.record import Artifact, Report
from edgekd.reportfile import read_report
from edgekd.scores import Inheritance
from tests.compress.jobs import images, recipe, run, workplace

IMAGES = 12
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace that the tests of this module share."""
    return workplace(tmp_path_factory.mktemp("work"))


def job() -> Recipe:
    """Everything: the student alone, too, a temperature, and flipped labels."""
    return recipe(alone=True, label_noise="20 %", phase=recipe().phase[:1], export=Export(precisions=("fp32",), calibrate=True))


@pytest.fixture(scope="module")
def plain(base: Path) -> tuple[Report, list[Event]]:
    """The run, before it was asked anything."""
    return run(base, job(), out="whole")


@pytest.fixture(scope="module")
def asked(base: Path, plain: tuple[Report, list[Event]]) -> tuple[Report, list[Event]]:
    """The run, asked about a few images."""
    return run(base, job(), verb="robustness", out="whole", images=IMAGES)


def done(told: list[Event]) -> list[str]:
    """Stages that were done now."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


def of(report: Report, name: str) -> Inheritance:
    """What was found of a network."""
    assert report.robustness is not None
    (found,) = (each for each in report.robustness.networks if each.name == name)
    return found


def test_every_network_is_asked_the_same(asked: tuple[Report, list[Event]]) -> None:
    """Teacher, student and the student alone; each with all figures, the teacher's own gradient among them."""
    report, told = asked
    assert report.robustness is not None
    assert [each.name for each in report.robustness.networks] == ["teacher/wide", "student/thin", "alone/thin"]
    assert (report.robustness.images, report.robustness.steps) == (IMAGES, [1, 2, 4, 8])
    assert {"robustness/teacher-wide", "robustness/student-thin", "robustness/alone-thin"} <= set(done(told))
    for each in report.robustness.networks:
        assert each.calibration is not None
        assert each.calibration.images == 24
        assert len(each.corrupted) == 12
        assert len(each.fgsm) == 4
        assert (each.agreement is None, len(each.transferred)) == ((True, 0) if each.role == "teacher" else (False, 4))


def test_the_networks_are_those_of_the_run(asked: tuple[Report, list[Event]]) -> None:
    """The student's agreement is its file's, to the image; its calibration before is what its file had before the temperature."""
    report, _ = asked
    score, found = report.score("student/thin/fp32"), of(report, "student/thin")
    assert score is not None
    assert found.calibration is not None
    assert found.agreement == score.against["agreement"]
    assert found.calibration.ece.value == pytest.approx(score.metrics["unscaled_ece"].value, abs=1e-3)
    assert found.calibration.scaled_nll.value == pytest.approx(score.metrics["nll"].value, abs=1e-3)
    assert report.artifact("student/thin/fp32").temperature == pytest.approx(found.calibration.temperature, rel=1e-5)


def test_the_report_keeps_it(base: Path, asked: tuple[Report, list[Event]]) -> None:
    """report.json reads back equal; the pages tell it."""
    report, _ = asked
    assert read_report(base / "whole") == report
    page = (base / "whole" / "report.html").read_text(encoding="utf-8")
    assert "What the student inherits" in page
    text = (base / "whole" / "report.md").read_text(encoding="utf-8")
    assert "## What the student inherits" in text
    assert "## A temperature folded in" in text


def test_what_stands_is_taken_up_by_every_later_step(base: Path, asked: tuple[Report, list[Event]]) -> None:
    """Without asking again; with another number of images all are asked anew."""
    report, _ = asked
    later, told = run(base, job(), verb="teach", out="whole")
    assert (later.robustness, done(told)) == (report.robustness, [])
    _, told = run(base, job(), verb="robustness", out="whole", images=IMAGES)
    assert done(told) == []
    fewer, told = run(base, job(), verb="robustness", out="whole", images=6)
    assert set(done(told)) == {f"robustness/{name}" for name in ("teacher-wide", "student-thin", "alone-thin")}
    assert fewer.robustness is not None
    assert fewer.robustness.images == 6


def test_without_being_asked_nothing_is_measured(plain: tuple[Report, list[Event]]) -> None:
    """And nothing is said."""
    report, told = plain
    assert report.robustness is None
    assert not any(stage.startswith("robustness") for stage in done(told))


def test_a_file_that_ships_in_another_precision_is_asked_too(base: Path, asked: tuple[Report, list[Event]]) -> None:
    """By itself and by its hash, after the networks; an fp32 file answers as its network does, and is not asked twice."""
    report, _ = asked
    whole = report.artifact("student/thin/fp32")
    small = msgspec.structs.replace(whole, precision="int8-cpu", sha256="ab" * 32)
    with Story.opened(job(), base / "whole", "test", base, lambda event: None) as story:
        learners = [learnt_or_brought(story)]
        story.add(artifacts=[whole, small], shipped={"cpu/thin": small.name, "pi/thin": whole.name})
        *networks, file = inherit._everyone(story, learners)
    assert [each.name for each in networks] == ["teacher/wide"]
    assert (file.name, file.role, file.network, file.file) == ("student/thin/int8-cpu", "file", None, small)
    assert file.key["file"] == "ab" * 32


# A temperature in the files -------------------------------------------------------------------------------------------


def test_the_temperature_is_in_every_file_and_says_so(base: Path, asked: tuple[Report, list[Event]]) -> None:
    """In the artifact, in the file's metadata, and as a note; one a network."""
    report, told = asked
    for artifact in report.artifacts:
        assert artifact.temperature is not None
        metadata = {entry.key: entry.value for entry in onnx.load(base / "whole" / artifact.path).metadata_props}
        assert json.loads(metadata["edgekd.temperature"]) == artifact.temperature
    assert len({(artifact.network, artifact.temperature) for artifact in report.artifacts}) == 2
    notes = [note for note in report.notes if "are divided by T = " in note]
    assert [note.split(" are")[0] for note in notes] == ["in its files the logits of teacher/wide", "in its files the logits of student/thin"]
    assert all("fitted on 24 validation images" in note for note in notes)
    assert any(isinstance(event, Note) and event.text in notes for event in told)


@pytest.mark.parametrize(("found", "right", "doubt"), [(1.5, 0.9, ""), (20.0, 0.9, "T stopped at its bound"), (1.5, 1.0, "all of them are right")])
def test_a_temperature_that_says_little(found: float, right: float, doubt: str) -> None:
    """At the end of its range, or of images that are all right: then their number sets it, and it is warned of."""
    told: list[tuple[str, bool]] = []
    story: Any = SimpleNamespace(
        recipe=recipe(export=Export(calibrate=True)),
        images=SimpleNamespace(valid=range(6)),
        report=SimpleNamespace(networks=[SimpleNamespace(role="student", name="thin", valid_accuracy=right)]),
        note=lambda text, warning: told.append((text, warning)),
    )
    inherit.note_temperatures(story, [cast(Artifact, SimpleNamespace(role="student", network="thin", temperature=found))])
    ((text, warned),) = told
    assert doubt in text
    assert warned == bool(doubt)


def logits(base: Path, artifact: Artifact) -> NDArray[np.float32]:
    """What a file of the run answers to the validation images, outside edgekd."""
    pixels, _ = images(40, 3)
    session = onnxruntime.InferenceSession(str(base / "whole" / artifact.path), providers=["CPUExecutionProvider"])
    assert artifact.preprocess is not None
    return np.asarray(session.run(["logits"], {"images": prepare(pixels, artifact.preprocess)})[0])


def test_it_divides_the_logits_and_changes_no_answer(base: Path, asked: tuple[Report, list[Event]]) -> None:
    """The same networks exported without it: their logits over T, the same classes, another stage."""
    report, _ = asked
    plain, told = run(base, msgspec.structs.replace(job(), export=Export(precisions=("fp32",))), verb="export_files", out="whole")
    assert "export/student-thin" in done(told)
    for before in plain.artifacts:
        after = report.artifact(before.name)
        assert (before.temperature, after.params, after.macs) == (None, before.params, before.macs)
        assert after.temperature is not None
        whole, divided = logits(base, before), logits(base, after)
        assert np.allclose(divided, whole / after.temperature, atol=1e-4 * float(divided.std()))
        assert np.array_equal(divided.argmax(1), whole.argmax(1))


def test_no_validation_images_no_temperature(tmp_path: Path) -> None:
    """Refused before anything is taught."""
    workplace(tmp_path)
    train = msgspec.structs.replace(recipe().train, validation="0 %")
    with pytest.raises(UsageError, match=r"export\.calibrate fits a temperature on validation images, and there are 0 \(train\.validation is 0 %\)"):
        run(tmp_path, recipe(train=train, export=Export(precisions=("fp32",), calibrate=True)))
    assert not list((tmp_path / "run").glob("teach*"))


def test_a_teacher_that_came_as_a_file_keeps_its_logits_and_has_no_gradient(base: Path, asked: tuple[Report, list[Event]], tmp_path: Path) -> None:
    """It is asked all the rest, and the report says what is missing."""
    workplace(tmp_path)
    file = base / "whole" / asked[0].artifacts[0].path
    train = msgspec.structs.replace(recipe().train, teacher_epochs=None)
    brought = recipe(teacher=Teacher(model=str(file)), student=(), train=train, export=Export(precisions=("fp32",), calibrate=True))
    report, _ = run(tmp_path, brought, verb="robustness", images=6)
    assert report.artifacts[0].temperature is None
    assert f"teacher/{file.stem} came as a file, which is copied as it is: no temperature is folded into it" in report.notes
    found = of(report, f"teacher/{file.stem}")
    assert (found.fgsm, len(found.corrupted)) == ([], 12)
    assert found.calibration is not None
    assert report.robustness is not None
    assert any("the teacher is an ONNX file, which has no gradient" in note for note in report.robustness.notes)


# Flipped labels -------------------------------------------------------------------------------------------------------


def test_flipped_labels_are_said_and_taught(base: Path, asked: tuple[Report, list[Event]], tmp_path: Path) -> None:
    """About a fifth of train, none of validation and test; as a note with their number, and under another hash than the clean data's."""
    report, _ = asked
    (note,) = (note for note in report.notes if "flipped" in note)
    wrong = int(note.split(" of ")[1])
    assert note.startswith(f"the labels of {wrong} of 216 training images are flipped to another class on purpose (label_noise)")
    assert 25 < wrong < 62
    with (
        Story.opened(recipe(), tmp_path / "clean", "test", base, lambda event: None) as clean,
        Story.opened(job(), tmp_path / "noisy", "test", base, lambda event: None) as noisy,
    ):
        assert int((clean.images.train.labels != noisy.images.train.labels).sum()) == wrong
        assert np.array_equal(clean.images.valid.labels, noisy.images.valid.labels)
        assert np.array_equal(clean.images.test.labels, noisy.images.test.labels)
        assert clean.images.sha256 != noisy.images.sha256
    assert report.data is not None
    assert report.data.sha256 != clean.images.sha256


@pytest.mark.parametrize("noise", ["100 %", "-5 %", 1.0])
def test_a_share_that_is_none_is_refused_before_anything_is_taught(base: Path, tmp_path: Path, noise: str | float) -> None:
    """In the words of the recipe."""
    with pytest.raises(UsageError, match="label_noise is a share of the training labels"):
        run(base, recipe(label_noise=noise), out=str(tmp_path / "refused"))
