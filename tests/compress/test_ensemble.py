"""Several teachers: one that is taught, one that is an ONNX file of another input size, mixed by a rule; each scored, and together."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.compress import ensemble, plan
from edgekd.compress.story import Story
from edgekd.errors import RecipeError, UsageError
from edgekd.events import Event, Note, StageFinished
from edgekd.files import sha256_file
from edgekd.phases import Phase
from edgekd.preprocess import Stated
from edgekd.recipe import Recipe, Teacher
from edgekd.recipefile import decode_recipe
from edgekd.record import Report
from edgekd.report.columns import tables
from edgekd.scores import Metric
from edgekd.tasks import classify
from edgekd.terms import Feature, Kd, Tokens
from tests.compress.jobs import recipe, run, workplace

LARGE = Stated(size=(12, 10), mean=(0.3,), std=(0.2,))


def done(told: list[Event]) -> list[str]:
    """The stages that were not taken from the shelf."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


def halves(path: Path, gain: float = 20.0) -> Path:
    """A teacher of grey images of 12x10: how bright the upper, the lower and the left half are, times `gain`."""
    places = np.zeros((3, 12, 10), np.float32)
    places[0, :6], places[1, 6:], places[2, :, :5] = gain / 60, gain / 60, gain / 60
    nodes = [helper.make_node("Flatten", ["images"], ["flat"], axis=1), helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1)]
    shapes: list[tuple[str, list[str | int | None]]] = [("images", ["batch", 1, 12, 10]), ("logits", ["batch", 3])]
    given, answered = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes)
    graph = helper.make_graph(nodes, "halves", [given], [answered], [numpy_helper.from_array(places.reshape(3, 120), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, {"edgekd.preprocess": '{"size": [12, 10], "mean": [0.0], "std": [1.0], "colour": "grey"}'})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with halves.onnx."""
    folder = workplace(tmp_path_factory.mktemp("work"))
    halves(folder / "halves.onnx")
    return folder


def several(**changes: Any) -> Recipe:
    """wide is taught here, halves.onnx is brought; the settings of the job are pinned."""
    return recipe(**{"co_teacher": (Teacher(model="halves.onnx"),), **changes})


@pytest.fixture(scope="module")
def whole(base: Path) -> tuple[Report, list[Event]]:
    """By confidence, with a student."""
    return run(base, several(mixture="confidence"), verb="distill")


def test_every_teacher_and_the_ensemble_are_scored(whole: tuple[Report, list[Event]]) -> None:
    """On validation and test images, as stages that stand."""
    report, told = whole
    assert done(told) == ["teach", "co-teach/halves", "ensemble", "distill/thin"]
    assert [(network.role, network.name, network.training.how) for network in report.networks] == [
        ("teacher", "wide", "taught"), ("co-teacher", "halves", "brought"), ("ensemble", "wide+halves", "mixed"), ("student", "thin", "distilled"),
    ]  # fmt: skip
    for network in report.networks[:3]:
        assert network.valid_accuracy is not None
        assert isinstance(network.test_accuracy, Metric)
        assert network.test_accuracy.value > 0.6
    assert any(note.startswith("teachers are mixed by confidence, and count for: wide ") for note in report.notes)


def test_the_report_shows_the_step_from_the_ensemble_to_the_student(whole: tuple[Report, list[Event]]) -> None:
    """The teachers stand above it, and the student is measured against what they say together."""
    table = tables(whole[0])[-1]
    assert table.columns[0].cells == ["teacher/wide", "co-teacher/halves", "ensemble/wide+halves", "student/thin"]
    assert "than the teachers together" in table.note
    behind = next(column.cells for column in table.columns if column.head == "behind, points")
    assert behind[:3] == ["–"] * 3
    assert behind[3] != "–"


def test_a_second_time_nothing_is_done_again(whole: tuple[Report, list[Event]], base: Path) -> None:
    """And `teach` alone tells of every step, though it does none."""
    again, told = run(base, several(mixture="confidence"), verb="teach")
    assert (done(told), again.networks) == ([], whole[0].networks)


def test_another_rule_teaches_the_students_anew_and_asks_no_teacher(whole: tuple[Report, list[Event]], base: Path) -> None:
    """The answers are remembered teacher by teacher."""
    views = {file: file.stat().st_mtime_ns for file in (base / "run" / "remembered").rglob("*.npy")}
    assert len({file.parent for file in views}) == 2
    _, told = run(base, several(), verb="distill")
    assert done(told) == ["ensemble", "distill/thin"]
    assert {file: file.stat().st_mtime_ns for file in (base / "run" / "remembered").rglob("*.npy")} == views
    taught = list((base / "run").glob("distill/thin-*/weights.safetensors"))
    assert len({sha256_file(file) for file in taught}) >= 2


def test_nothing_stale_stands_when_a_co_teacher_changes(whole: tuple[Report, list[Event]], base: Path) -> None:
    """Another file under the same name: checked, scored and learnt from anew; the teacher stands. So too when one is left out."""
    halves(base / "halves.onnx", gain=10.0)
    _, told = run(base, several(mixture="confidence"), verb="distill")
    assert done(told) == ["co-teach/halves", "ensemble", "distill/thin"]
    halves(base / "halves.onnx")
    _, told = run(base, several(mixture="confidence"), verb="distill")
    assert done(told) == []
    _, told = run(base, recipe(), verb="distill")
    assert done(told) == ["distill/thin"]


def test_two_of_a_kind_are_taught_from_seeds_of_their_own(base: Path) -> None:
    """Else they would say the same, and nothing would come of asking both."""
    report, _ = run(base, recipe(co_teacher=(Teacher(model="nets.py:wide"),) * 2, mixture="accuracy"), verb="teach", out="kin")
    hashes = {sha256_file(file) for pattern in ("teach-*", "co-teach/*") for file in (base / "kin").glob(f"{pattern}/weights.safetensors")}
    assert len(hashes) == 3
    assert report.networks[-1].name == "wide+wide+wide"
    assert any(note.startswith("teachers are mixed by accuracy, and count for: wide 3") for note in report.notes)


def test_each_teachers_own_class_frequencies_are_taken_off(base: Path) -> None:
    """This data's off the one that was taught on it, none off a balanced one; they are part of the key."""
    train = msgspec.structs.replace(recipe().train, prior="uniform")
    run(base, several(train=train, co_teacher=(Teacher(model="halves.onnx", prior="uniform"),)), verb="teach")
    frequencies = [
        msgspec.json.decode(file.read_bytes())["inputs"]["frequencies"]
        for file in sorted((base / "run").glob("ensemble-*/stage.json"), key=lambda file: file.stat().st_mtime_ns)
    ]
    assert frequencies[-1] == [[72.0, 72.0, 72.0], [1.0, 1.0, 1.0]]
    assert frequencies[0] == [None, None]


def test_a_class_that_the_data_does_not_show_is_left_where_it_is() -> None:
    """Nothing is known of how often a teacher saw it: it moves as the mean of the others does, and where they are alike not at all."""
    assert ensemble._as_shown(np.array([0, 500, 500])) == pytest.approx([500, 500, 500])
    shift = classify.prior_shift(ensemble._as_shown(np.array([0, 100, 400])))
    assert shift.tolist() == pytest.approx([0, math.log(2), -math.log(2)], abs=1e-6)


def test_a_co_teacher_larger_than_the_pictures_is_said(base: Path) -> None:
    """Pictures are held as the first teacher wants them, so that the other sees them enlarged; arrays have no size but their own."""
    from PIL import Image

    with Image.new("RGB", (16, 16)) as picture:
        for number in range(40):
            for name in ("above", "below", "left"):
                (base / "photos" / name).mkdir(parents=True, exist_ok=True)
                shade = {"above": (200, 30, 30), "below": (30, 200, 30), "left": (30, 30, 200)}[name]
                picture.paste(tuple(min(255, value + number) for value in shade), (0, 0, 16, 16))
                picture.save(base / "photos" / name / f"{number}.png")
    job = recipe(data="folder:photos", size=(8, 8), co_teacher=(Teacher(model="nets.py:thin", preprocess=LARGE),))
    report, told = run(base, job, verb="teach", out="photos-run")
    (said,) = [event for event in told if isinstance(event, Note) and "wants images of 12x10" in event.text]
    assert said.level == "warning"
    assert said.text in report.notes
    assert said.text.endswith("Set size = [12, 10] to hold them as it wants them.")


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(base: Path, words: str, **changes: Any) -> None:
    """The job is refused with these words before anything is taught."""
    with pytest.raises(UsageError, match=words):
        run(base, several(**changes), out="refused")
    assert not list((base / "refused").glob("*teach*"))


def test_terms_that_look_inside(base: Path) -> None:
    """With phase, term, and remedy."""
    phases = (Phase(name="inside", epochs=1, terms=(Kd(), Feature())),)
    refused(base, r"need one network that is asked; phase 'inside' has feature\. Take these terms out .*, or teach with one", phase=phases)


def test_a_token_that_the_student_lacks(base: Path) -> None:
    """Before any teacher is taught."""
    refused(base, r"the head of a distillation token; thin has none", phase=(Phase(name="token", epochs=1, terms=(Kd(), Tokens())),))


def test_a_prior_that_nothing_uses_is_said(base: Path) -> None:
    """As where the device meets the classes as the data shows them."""
    told: list[Event] = []
    job = several(teacher=Teacher(model="nets.py:wide", prior="uniform"))
    with Story.opened(job, base / "unused", "test", base, told.append) as story:
        ensemble.check(story)
    assert [event.text for event in told if isinstance(event, Note) and event.level == "warning" and "is not used" in event.text]


def test_weighing_by_accuracy_without_validation_images(base: Path) -> None:
    """There is nothing to weigh by."""
    train = msgspec.structs.replace(recipe().train, validation="0 %")
    refused(base, r"mixture = .accuracy. weighs teachers .* there are none .*--set train.validation", train=train, mixture="accuracy")


def test_a_co_teacher_that_does_not_exist(base: Path) -> None:
    """Named, though it stands second."""
    refused(base, "no network is called 'resnet9'", co_teacher=(Teacher(model="resnet9"),))


def test_priors_about_other_classes(base: Path) -> None:
    """Whose they are."""
    train = msgspec.structs.replace(recipe().train, prior="uniform")
    refused(base, r"co_teacher\.prior names each class", train=train, co_teacher=(Teacher(model="halves.onnx", prior={"above": 1.0}),))


def test_a_rule_for_one_teacher() -> None:
    """There is nothing to mix."""
    with pytest.raises(RecipeError, match=r"mixture is of several teachers, so it needs a \[\[co_teacher\]\]"):
        decode_recipe('mixture = "confidence"')


def test_a_dry_run_tells_of_every_teacher(base: Path) -> None:
    """And what its answers cost; a co-teacher becomes no file of the run."""
    lines = plan(several(), base=base)
    (line,) = (number for number, text in enumerate(lines) if text.startswith("with      halves: "))
    assert "its answers, remembered" in lines[line + 1]
    assert lines[line + 2].startswith("student")
