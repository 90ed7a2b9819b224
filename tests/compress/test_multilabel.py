"""Several labels an image through the whole way: grey images of three independent patterns, some of whose labels nobody knows."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from edgekd.budget import judge
from edgekd.cli.app import app
from edgekd.compress import files, plan, robustness, timing
from edgekd.compress.story import Story
from edgekd.compress.students import phases_of
from edgekd.compress.teacher import learnt_or_brought
from edgekd.errors import RecipeError, UsageError
from edgekd.evaluate.severally import guessing
from edgekd.events import Event, Note, PhaseStarted
from edgekd.limit import Limit
from edgekd.measurements import Launch, Measurement, Timing
from edgekd.pack import pack
from edgekd.phases import TWO_PHASES, Subset
from edgekd.recipe import Export, Recipe, Teacher
from edgekd.recipefile import convert_recipe
from edgekd.record import Artifact, Report
from edgekd.reportfile import read_report
from edgekd.scores import Metric, Score
from edgekd.terms import Dkd, Kd, Label
from tests.compress.jobs import NETS, recipe, run

pytestmark = pytest.mark.timeout(600)  # the first test waits for the whole way

NAMES = ["above", "below", "middle"]
PLACES = [np.s_[:3, :], np.s_[5:, :], np.s_[3:5, 2:6]]
"""Where a label's images are bright; a mirrored image shows the same."""


def images(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Grey noise of 8×8 and what it shows, the last label in one of ten."""
    draw = np.random.default_rng(seed)
    marks = draw.random((count, 3)) < [0.5, 0.4, 0.15]
    pixels = draw.integers(0, 150, (count, 8, 8), np.uint8)
    for label, place in enumerate(PLACES):
        pixels[marks[:, label]] = _brighter(pixels[marks[:, label]], place)
    return pixels, marks.astype(np.float32)


def _brighter(pixels: NDArray[np.uint8], place: Any) -> NDArray[np.uint8]:
    pixels[(slice(None), *place)] += 70
    return pixels


def job(**changes: Any) -> Recipe:
    """The default phases, shorter; the teacher takes grey images, the student colour."""
    phases = tuple(msgspec.structs.replace(phase, epochs=epochs) for phase, epochs in zip(TWO_PHASES, (4.0, 1.0), strict=True))
    plain = recipe(
        data="npz:grey.npz",
        task="multilabel",
        teacher=Teacher(model="resnet8"),
        phase=phases,
        export=Export(precisions=("fp32", "int8")),
        alone=True,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 training images, of which a tenth of the labels is not known, and 120 test images."""
    folder = tmp_path_factory.mktemp("several")
    (x_train, y_train), (x_test, y_test) = images(300, 1), images(120, 2)
    y_train[np.random.default_rng(3).random(y_train.shape) < 0.1] = np.nan
    np.savez(folder / "grey.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=np.array(NAMES))
    np.savez(folder / "one.npz", x_train=x_train, y_train=np.arange(300) % 3, x_test=x_test, y_test=np.arange(120) % 3)
    (folder / "nets.py").write_text(NETS)
    shown = x_test[np.flatnonzero((y_test == [1, 1, 0]).all(axis=1))[0]]
    Image.fromarray(shown).save(folder / "shown.png")
    Image.fromarray(np.full((8, 8), 75, np.uint8)).save(folder / "nothing.png")
    return folder


@pytest.fixture(scope="module")
def done(base: Path) -> tuple[Report, list[Event]]:
    """The whole way."""
    return run(base, job())


def student(report: Report) -> Artifact:
    return report.artifact("student/thin/fp32")


def test_every_file_is_scored_by_its_labels(done: tuple[Report, list[Event]], base: Path) -> None:
    """mAP leads, far beyond guessing; each label has its own figures; what was said is what reads back."""
    report, _ = done
    assert report.data is not None
    assert (report.data.task, report.data.shape, report.leading) == ("multilabel", (8, 8, 1), "map")
    assert {score.artifact for score in report.scores} == {f"{who}/{p}" for who in ("teacher/resnet8", "student/thin") for p in ("fp32", "int8-cpu")}
    guessed = guessing(np.load(base / "grey.npz")["y_test"].astype(np.int64))
    for score in report.scores:
        assert {"map", "auc", "macro_f1", "accuracy", "label_accuracy", "nll"} == set(score.metrics)
        assert score.metrics["map"].value > guessed + 0.2
        assert list(score.labels) == NAMES
        assert ("map_drop" in score.against) == (score.artifact != "teacher/resnet8/fp32")
    assert read_report(base / "run" / "report.json") == report


def test_networks_are_told_by_the_same_figure(done: tuple[Report, list[Event]]) -> None:
    """On validation images while they learn, on test images where they get no file."""
    report, told = done
    alone = [network for network in report.networks if network.role.startswith("alone")]
    assert [network.role for network in alone] == ["alone", "alone-on-subset"]
    assert all(network.test_accuracy is not None and 0.3 < network.test_accuracy.value <= 1 for network in alone)
    first = next(network for network in report.networks if network.role == "teacher")
    assert first.valid_accuracy == pytest.approx(first.training.curve[-1].valid_accuracy, abs=1e-3)
    assert any(isinstance(event, Note) and event.text.startswith("teacher resnet8: ") and "% mAP on validation" in event.text for event in told)


def test_the_report_speaks_of_map(done: tuple[Report, list[Event]], base: Path) -> None:
    """In its sentences, tables and pictures, and not of accuracy, which is another thing here."""
    page, text = ((base / "run" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "% of the teacher's mAP" in text
    assert "of the teacher's accuracy" not in text
    for words in ("macro-F1", "AUC", "all right", "## Label by label", "threshold"):
        assert words in text
    for words in ("mAP lost to the teacher", "validation mAP", "Label by label"):
        assert words in page
    assert "validation accuracy" not in page


def test_the_default_phases_are_fitted_and_said(done: tuple[Report, list[Event]], base: Path) -> None:
    """Plain logits with a tenth of the weight, a random subset; what is not known of the labels is told, too."""
    report, told = done
    with Story.opened(job(phase=TWO_PHASES), base / "phases", "test", base, lambda event: None) as story:
        first, second = phases_of(story)
    assert first.terms == second.terms == (Kd(weight=0.9), Label(weight=0.1))
    assert second.subset == Subset(by="random", fraction=0.8)
    assert any("a subset by 'mixed' is chosen at random" in note for note in report.notes)
    assert any(note.endswith("of the training labels are not known, and teach nothing; scores leave such labels out") for note in report.notes)
    refined = [event.images for event in told if isinstance(event, PhaseStarted) and (event.network, event.phase) == ("thin", "refine")]
    assert report.data is not None
    some = round(0.8 * report.data.train)
    assert refined == [some, report.data.train, some]


def test_files_carry_labels_and_thresholds(done: tuple[Report, list[Event]], base: Path) -> None:
    """The same for all files of a network, in the report and in each file."""
    report, _ = done
    for network in ("resnet8", "thin"):
        same = [artifact for artifact in report.artifacts if artifact.network == network]
        assert len({tuple(artifact.thresholds) for artifact in same}) == 1
        for artifact in same:
            metadata = {entry.key: entry.value for entry in onnx.load(base / "run" / artifact.path).metadata_props}
            assert metadata["edgekd.task"] == "multilabel"
            assert json.loads(metadata["edgekd.thresholds"]) == artifact.thresholds
            assert json.loads(metadata["edgekd.classes"]) == NAMES
    score = report.score("student/thin/fp32")
    assert score is not None
    assert [told.threshold for told in score.labels.values()] == student(report).thresholds


def test_what_stands_is_not_done_again(done: tuple[Report, list[Event]], base: Path) -> None:
    """The same command once more teaches nobody, and tells the same."""
    again, told = run(base, job())
    assert not [event for event in told if isinstance(event, PhaseStarted)]
    assert (again.scores, again.artifacts, again.notes) == (done[0].scores, done[0].artifacts, done[0].notes)


def test_predict_names_the_labels_that_are_there(done: tuple[Report, list[Event]], base: Path) -> None:
    """Those whose probability reaches their own threshold, and none where none does; the teacher's beside them."""
    file = base / "run" / student(done[0]).path
    result = CliRunner().invoke(app, ["predict", str(file), str(base / "shown.png"), str(base / "nothing.png"), "--json"])
    assert result.exit_code == 0, result.output
    shown, nothing = json.loads(result.stdout)
    thresholds = dict(zip(NAMES, student(done[0]).thresholds, strict=True))
    assert {"above", "below"} >= {each["class"] for each in shown["top"]} > set()
    assert all(each["probability"] >= thresholds[each["class"]] for each in shown["top"])
    assert {"above", "below"} >= {each["class"] for each in shown["teacher"]}
    text = CliRunner().invoke(app, ["predict", str(file), str(base / "nothing.png")]).stdout
    assert ("none of its labels" in text) == (not nothing["top"] or not nothing["teacher"])


def test_bare_files_are_scored_as_the_run_scored_them(done: tuple[Report, list[Event]], base: Path) -> None:
    """By the thresholds that they carry; files of the two tasks are not compared."""
    paths = [str(base / "run" / done[0].artifact(name).path) for name in ("teacher/resnet8/fp32", "student/thin/fp32")]
    result = CliRunner().invoke(app, ["evaluate", paths[1], "--teacher", paths[0], "--data", f"npz:{base / 'grey.npz'}", "--json"])
    assert result.exit_code == 0, result.output
    scores = msgspec.convert(json.loads(result.stdout)["scores"], list[Score])
    own = done[0].score("student/thin/fp32")
    assert own is not None
    assert (scores[1].metrics, scores[1].labels, scores[1].against) == (own.metrics, own.labels, own.against)


def test_limits_judge_these_scores(done: tuple[Report, list[Event]]) -> None:
    """Each by its own interval."""
    limit = Limit(artifact="student/thin/fp32", map=0.3, auc=0.4, macro_f1=0.1, recall={"above": 0.1}, flips=0.9, agreement=0.1)
    states = {verdict.quantity: verdict.state for verdict in judge(done[0], [limit])}
    assert states == dict.fromkeys(("map", "auc", "macro_f1", "recall.above", "flips", "agreement"), "pass")
    assert [verdict.state for verdict in judge(done[0], [Limit(artifact="student/thin/fp32", map=0.9999)])] != ["pass"]


@pytest.mark.parametrize(("lost", "ships"), [(0.005, "student/thin/int8-cpu"), (0.02, "student/thin/fp32")])
def test_the_fastest_file_within_max_drop_of_map_ships(lost: float, ships: str) -> None:
    """A point of mAP on validation images, whatever becomes of whole images."""

    def scored(name: str, precise: float) -> Score:
        metrics = {key: Metric(value=value, low=0.0, high=1.0, n=9) for key, value in (("map", precise), ("accuracy", precise - 0.5))}
        return Score(artifact=name, split="valid", host="", n=9, metrics=metrics)

    def timed(name: str, ms: float) -> Measurement:
        timing = Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[ms]])])
        return Measurement(artifact=name, target="cpu", host="h", runtime="", provider="", batch=1, threads=1, timing=timing)

    common: dict[str, Any] = {"role": "student", "network": "thin", "path": "", "sha256": "", "size": 1, "params": 1, "macs": 1, "opset": 20}
    names = ["student/thin/fp32", "student/thin/int8-cpu"]
    report = Report(
        edgekd="",
        name="",
        created="",
        artifacts=[Artifact(precision="fp32", **common), Artifact(precision="int8-cpu", **common)],
        scores=[scored(names[0], 0.9), scored(names[1], 0.9 - lost)],
        measurements=[timed(names[0], 2.0), timed(names[1], 1.0)],
    )
    told: dict[str, Any] = {}
    timing.ship(SimpleNamespace(report=report, recipe=job(), base=Path(), add=lambda **parts: told.update(parts)))  # type: ignore[arg-type]
    assert told["shipped"] == {"cpu/thin": ships}


def test_a_teacher_that_was_brought(done: tuple[Report, list[Event]], base: Path) -> None:
    """Its weights are taken where it knows the data, in whichever form they come; where it says the contrary it is refused."""
    file = next((base / "run").glob("teach*/**/weights.safetensors"))
    train = msgspec.structs.replace(job().train, teacher_epochs=None)

    def taken(name: str, **teacher: str) -> Report:
        return run(base, job(train=train, teacher=msgspec.convert(teacher, Teacher)), verb="teach", out=name)[0]

    report = taken("brought", model="resnet8", weights=str(file))
    assert report.networks[0].training.how == "brought"
    assert report.networks[0].valid_accuracy == pytest.approx(done[0].networks[0].valid_accuracy, abs=1e-6)
    onnx_file = base / "run" / done[0].artifact("teacher/resnet8/fp32").path
    black = taken("black", model=str(onnx_file))
    assert black.networks[0].valid_accuracy == pytest.approx(done[0].networks[0].valid_accuracy, abs=1e-3)
    with pytest.raises(
        UsageError, match=r"the teacher resnet8 must know the data; its mAP is .* %, and guessing may give|must know the data; its mAP is"
    ):
        taken("wrong", model="resnet8", weights=str(_upside_down(file, base)))


@pytest.mark.parametrize(("count", "said"), [(14, ""), (30, "are too few to tell whether the teacher resnet8 knows the data: guessing may give")])
def test_a_teacher_that_few_images_cannot_judge(done: tuple[Report, list[Event]], base: Path, count: int, said: str) -> None:
    """Where any order of them may look as good, a teacher that has all right is not refused, and that they are few is said. Of one that is held out
    nothing is asked, but of the others."""
    file = next((base / "run").glob("teach*/**/weights.safetensors"))
    with np.load(base / "grey.npz") as grey:
        np.savez(base / f"few{count}.npz", **{name: array[:count] if name.endswith("train") else array for name, array in grey.items()})
    train = msgspec.structs.replace(job().train, teacher_epochs=None)
    few = job(data=f"npz:few{count}.npz", train=train, teacher=Teacher(model="resnet8", weights=str(file)))
    report, _ = run(base, few, verb="teach", out=f"few{count}")
    assert report.networks[0].training.how == "brought"
    assert any(said in note for note in report.notes if "too few" in note) == bool(said)


def _upside_down(file: Path, base: Path) -> Path:
    """The same weights with a head that says the contrary."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(file, "numpy") as store:
        weights = {name: store.get_tensor(name) for name in store.keys()}
        metadata = store.metadata()
    head = [name for name in weights if weights[name].shape[:1] == (3,)]
    wrong = base / "wrong.safetensors"
    save_file({name: -value if name in head else value for name, value in weights.items()}, wrong, metadata)
    return wrong


def test_a_dry_run(done: tuple[Report, list[Event]], base: Path) -> None:
    """Reads the same images, times a few steps, and says what would be taught."""
    data = done[0].data
    assert data is not None
    assert plan(job(), base=base)[0] == f"data      npz:grey.npz: {data.train} train, {data.valid} validation and 120 test images of 8x8x1"
    assert 265 <= data.train <= 275


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{"imbalance": 10.0}, {"train": {"prior": "uniform"}}, {"co_teacher": [{"model": "resnet8"}]}])
def test_keys_of_one_label_are_refused_when_the_recipe_is_read(more: dict[str, Any]) -> None:
    """Each by its name."""
    with pytest.raises(RecipeError, match=f'{next(iter(more))}.* is about one label an image; leave it out with task = "multilabel"'):
        convert_recipe({"task": "multilabel", **more})


def test_tasks_that_do_not_fit_the_labels(base: Path) -> None:
    """Either way round, before anything is taught."""
    with pytest.raises(UsageError, match=r'labels are one whole number an image; .* Several labels an image: task = "multilabel"'):
        run(base, job(task="classify"), out="a")
    with pytest.raises(UsageError, match=r'Where each image has one label, leave task = "classify"'):
        run(base, job(data="npz:one.npz"), out="b")
    assert not list(base.glob("[ab]/teach*"))


def test_terms_of_one_label_are_refused(base: Path) -> None:
    """In words, with what fits."""
    wrong = tuple(msgspec.structs.replace(phase, terms=(Dkd(), Label())) for phase in job().phase)
    with pytest.raises(UsageError, match=r"with several labels an image the terms that fit are label, kd, .* got 'dkd' in phase 'transfer'"):
        run(base, job(phase=wrong), out="c")


def test_packs_and_robustness_are_refused(done: tuple[Report, list[Event]], base: Path) -> None:
    """They are made for one label an image, and say so."""
    with pytest.raises(UsageError, match=r"a pack's samples tell one label of an image, and student/thin/fp32 tells several\. Ship .*onnx itself"):
        pack(base / "run", "cpu", base / "packed", artifact="student/thin/fp32")
    with pytest.raises(UsageError, match="with several labels an image it is not measured"):
        robustness(job(), folder=base / "robust", base=base)


def test_without_validation_images(base: Path) -> None:
    """Every threshold is a half, and the run says so."""
    train = msgspec.structs.replace(job().train, validation="0 %", teacher_epochs=1)
    with Story.opened(job(train=train, teacher=Teacher(model="nets.py:wide")), base / "bare", "test", base, lambda event: None) as story:
        learner = learnt_or_brought(story)
        assert files._thresholds(story, learner) == [0.5, 0.5, 0.5]
        assert "without validation images each label is said to be there from a probability of 0.5 on" in story.report.notes
        assert story.report.networks[0].valid_accuracy is None
