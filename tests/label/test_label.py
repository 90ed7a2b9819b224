"""edgekd.label as a whole: from images without labels to a data source, and what cannot become one."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from edgekd.data import source
from edgekd.errors import EdgekdError, MissingError, RunError, UsageError
from edgekd.events import Event, Note
from edgekd.label import Labelled, Rules, label
from edgekd.preprocess import Stated
from edgekd.recipe import Recipe, Teacher
from tests.compress import jobs
from tests.label.conftest import NETS, noise, teachers
from tests.toys import METADATA, brightness

ONNX = Teacher(model="bright.onnx")
BRIGHT = Teacher(
    model="nets.py:bright", weights="bright.safetensors", preprocess=Stated(mean=(0.0,), std=(1.0,)), classes=["dark", "bright"]
)  # fmt: skip
QUICK = Rules(views=1, duplicates=None)


def labelled(
    place: Path, data: str, rules: Rules = QUICK, teacher: Teacher | None = ONNX, out: str = "out", **more: Any
) -> tuple[Labelled, list[str]]:
    """The result of labelling in a folder, and the warnings."""
    told: list[Event] = []
    result = label(Recipe(data=data, teacher=teacher), rules, folder=place / out, base=place, emit=told.append, **more)
    return result, [each.text for each in told if isinstance(each, Note) and each.level == "warning"]


def reasons(place: Path, out: str = "out") -> dict[str, str]:
    """Why each rejected image is, by its name."""
    lines = [json.loads(line) for line in (place / out / "rejected.jsonl").read_text().splitlines()]
    return {line["image"]: line["reason"] for line in lines}


def greys(folder: Path, **values: int) -> None:
    """Pictures of noise around a grey, called after it, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, value) in enumerate(values.items()):
        pixels = np.random.default_rng(seed).integers(max(value - 20, 0), min(value + 20, 255), (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the teachers."""
    return teachers(tmp_path)


def test_a_folder_becomes_data(here: Path) -> None:
    """What the teacher is sure of, by the names that its file carries; colour and grey, other sizes, broken ones and two of one name in it."""
    greys(here / "photos", black=20, grey=125, white=230)
    greys(here / "photos" / "more", black=40, white=240)
    Image.new("RGB", (30, 20), (250, 250, 250)).save(here / "photos" / "large.jpg")
    (here / "photos" / "broken.png").write_bytes(b"")
    result, _ = labelled(here, "folder:photos")
    assert reasons(here) == {"broken.png": "unreadable", "grey.png": "unsure"}
    assert (result.images, result.kept, result.classes) == (7, 5, {"dark": 2, "bright": 3})
    assert (result.rejected, result.teacher) == ({"unreadable": 1, "unsure": 1}, "bright")
    with np.load(here / "out" / "labelled.npz") as found:
        assert found["names_train"].tolist() == ["black.png", "large.jpg", "more/black.png", "more/white.png", "white.png"]
        assert found["y_train"].tolist() == [0, 1, 0, 1, 1]
        assert np.array_equal(found["logits_train"].argmax(1), found["y_train"])


def test_the_result_is_a_data_source(place: Path) -> None:
    """With the teacher's logits beside the labels, in the splits too, and a note that nobody else looked. It tests nothing."""
    labelled(place, "npz:x.npz", teacher=BRIGHT, out="source")
    spec = "npz:source/labelled.npz"
    with pytest.raises(UsageError, match=r"has no test images.*--test SPEC"):
        source.load(spec, base=place)
    x, y = noise(20, seed=5), np.arange(20) % 2
    np.savez(place / "test.npz", x_train=x, y_train=y, x_test=x, y_test=y, classes=np.array(["bright", "dark"]))
    with pytest.raises(UsageError, match=r"only labels that people gave .* a teacher's"):
        source.load("npz:test.npz", test=spec, base=place)
    images = source.load(spec, test="npz:test.npz", base=place)
    assert any("nobody's besides" in note for note in images.notes)
    assert images.test.labels.tolist() == (1 - y).tolist()
    for split in (images.train, images.valid):
        assert split.logits is not None
        assert split.logits.shape == (len(split), 2)
        assert np.array_equal(split.logits.argmax(1), split.labels)
    assert images.test.logits is None


@pytest.mark.timeout(600)
def test_distill_takes_the_result(here: Path) -> None:
    """A student learns from it with the same teacher, is tested on what people labelled, and the report says whose labels they are."""
    (here / "nets.py").write_text(NETS + jobs.NETS)
    np.savez(here / "x.npz", x=noise(200, size=8))
    labelled(here, "npz:x.npz", teacher=BRIGHT)
    x = noise(60, seed=9, size=8)
    np.savez(here / "test.npz", x_train=x, y_train=(x.mean((1, 2, 3)) > 127).astype(int), classes=np.array(["dark", "bright"]))
    job = msgspec.structs.replace(jobs.recipe(), data="npz:out/labelled.npz", test="npz:test.npz", teacher=BRIGHT)
    report, _ = jobs.run(here, job, verb="distill")
    by = {network.role: network for network in report.networks}
    assert by["student"].training.how == "distilled"
    assert report.data is not None
    assert any("agreement with that teacher" in note for note in report.data.notes)


def test_other_rules_ask_the_teacher_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers stand. Other views are asked for, beside them."""
    first, _ = labelled(place, "npz:x.npz", teacher=BRIGHT, out="rules")
    with monkeypatch.context() as patch:
        patch.setattr("edgekd.label.answers._answered", None)
        second, _ = labelled(place, "npz:x.npz", Rules(confidence=0.99, views=1, duplicates=None, per_class=20), BRIGHT, "rules")
    assert second.kept < first.kept
    assert set(second.classes.values()) == {20}
    assert second.rejected.keys() == {"unsure", "balance"}
    labelled(place, "npz:x.npz", Rules(views=2, duplicates=None), BRIGHT, "rules")
    assert len(list((place / "rules").glob("label-*"))) == 2


def test_known_images_tell_a_teacher_that_is_used_wrongly(here: Path) -> None:
    """Right: its accuracy. In another class order, or under another mean: an error that names what fits, before anything is asked."""
    x = noise(200, size=4)
    y = (x.mean((1, 2, 3)) > 127).astype(int)
    np.savez(here / "known.npz", x_train=x, y_train=1 - y, classes=np.array(["bright", "dark"]))
    np.savez(here / "x.npz", x=x)
    result, warnings = labelled(here, "npz:x.npz", known="npz:known.npz")
    assert result.known_accuracy is not None
    assert result.known_accuracy > 0.95
    assert warnings == []
    turned = msgspec.structs.replace(BRIGHT, classes=["bright", "dark"])
    with pytest.raises(UsageError, match=r"classes in another order"):
        labelled(here, "npz:x.npz", teacher=turned, out="turned", known="npz:known.npz")
    with pytest.raises(UsageError, match=r"--known npz:known.npz must be one of the teacher's, as --teacher-classes names them \(no, yes\)"):
        labelled(here, "npz:x.npz", teacher=msgspec.structs.replace(BRIGHT, classes=["no", "yes"]), out="named", known="npz:known.npz")
    assert {path.parts[-3] for path in here.glob("*/label-*/part-*")} == {"out"}


def test_doubts_are_said(here: Path) -> None:
    """That nobody looked; that a class has no image, which the result names all the same."""
    np.savez(here / "x.npz", x=noise(30))
    weights = torch.tensor([[-10 / 3] * 3, [10 / 3] * 3, [0] * 3])
    save_file({"2.weight": weights, "2.bias": torch.tensor([5.0, -5.0, -9.0])}, str(here / "bright.safetensors"))
    result, warnings = labelled(here, "npz:x.npz", teacher=msgspec.structs.replace(BRIGHT, classes=["dark", "bright", "grey"]))
    assert "--known SPEC" in warnings[0]
    assert warnings[1].startswith("no image is labelled grey")
    assert (result.classes["grey"], result.confidence["grey"]) == (0, None)


def test_many_alike_are_doubted(here: Path) -> None:
    """Plain pictures all hash alike: the warning says how to look, and how to do without."""
    np.savez(here / "x.npz", x=np.concatenate([noise(20, size=4), np.full((10, 4, 4, 3), 250, np.uint8)]))
    result, warnings = labelled(here, "npz:x.npz", Rules(views=0, duplicates=0))
    assert result.rejected["duplicate"] >= 9
    assert "--duplicates 0 or off" in warnings[-1]


@pytest.mark.parametrize(
    ("rules", "gain", "values", "message"),
    [
        (Rules(confidence=1.0, views=0), 1.0, (30, 220), "of 20 images none are kept (20 unsure; "),
        (Rules(views=0, duplicates=None), 10.0, (30, 60), "of 20 images 20 of class 'dark' are kept"),
        (Rules(views=0), float("nan"), (30, 220), "of 20 images none are kept (20 not-finite; "),
    ],
    ids=["all-unsure", "one-class", "nan"],
)
def test_too_little_is_an_error(here: Path, rules: Rules, gain: float, values: tuple[int, int], message: str) -> None:
    """All left out, one class only, a teacher of NaN: the reasons stand in the file, and no older result stays that these rules did not give."""
    brightness(here / "bright.onnx", gain=gain)
    low, high = values
    np.savez(here / "x.npz", x=np.repeat(np.linspace(low, high, 20).astype(np.uint8), 16).reshape(20, 4, 4))
    with pytest.raises(UsageError) as caught:
        labelled(here, "npz:x.npz", rules)
    assert message in str(caught.value)
    assert ("Check the teacher's weights" in str(caught.value)) == bool(np.isnan(gain))
    assert len(reasons(here)) == (0 if "dark" in message else 20)
    assert not (here / "out" / "labelled.npz").exists()


def test_an_older_result_goes_with_rules_that_leave_nothing(place: Path) -> None:
    """It would belong to other reasons than those in the file."""
    labelled(place, "npz:x.npz", teacher=BRIGHT, out="emptied")
    assert (place / "emptied" / "labelled.npz").exists()
    with pytest.raises(UsageError, match="Loosen --confidence or --agreement"):
        labelled(place, "npz:x.npz", Rules(confidence=1, views=1), BRIGHT, "emptied")
    assert not (place / "emptied" / "labelled.npz").exists()


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (None, "no network is named. Add --teacher"),
        (msgspec.structs.replace(BRIGHT, weights=None), "comes without weights. Add --teacher-weights"),
        (msgspec.structs.replace(BRIGHT, classes=None), "carries none. Give its class names"),
        (msgspec.structs.replace(BRIGHT, classes=["a", "a"]), "two classes or more apart, each with a name of its own; got 'a', 'a'"),
        (msgspec.structs.replace(BRIGHT, classes="none.txt"), "a text file with one a line"),
        (msgspec.structs.replace(ONNX, classes=["a", "b", "c"]), "answers 2 and the data has 3"),
        (msgspec.structs.replace(ONNX, model="none.onnx"), "none.onnx"),
        (msgspec.structs.replace(ONNX, model="strange.onnx"), "the class names in the metadata of strange.onnx do not read"),
        (msgspec.structs.replace(ONNX, model="several.onnx"), "teachers that tell one label an image; several.onnx tells several"),
    ],
)
def test_a_teacher_that_cannot_label_is_refused(here: Path, teacher: Teacher | None, message: str) -> None:
    """None, without weights, without names, of other classes."""
    brightness(here / "strange.onnx", {**METADATA, "edgekd.classes": '{"dark": 0}'})
    brightness(here / "several.onnx", {**METADATA, "edgekd.thresholds": "[0.5, 0.4]"})
    np.savez(here / "x.npz", x=noise(4, size=4))
    with pytest.raises((UsageError, MissingError)) as caught:
        labelled(here, "npz:x.npz", teacher=teacher)
    assert message in str(caught.value)


def test_images_without_their_kind_are_refused_before_a_folder_is_looked_at(here: Path) -> None:
    """With what to write, though a result of the same images stands where this one would."""
    np.savez(here / "x.npz", x=noise(4, size=4))
    (here / "out").mkdir()
    (here / "out" / "other.txt").write_text("somebody's")
    with pytest.raises(UsageError, match=r"folder:DIR .* or npz:FILE .*; got 'x\.npz'\. Write npz:x\.npz"):
        labelled(here, "x.npz")
    with pytest.raises(UsageError, match=r"got 'street'\.$"):
        labelled(here, "street")


def test_class_names_stand_in_a_file(here: Path) -> None:
    """One a line, as for every other command."""
    (here / "names.txt").write_text("night\nday\n\n")
    np.savez(here / "x.npz", x=noise(30, size=4))
    result, _ = labelled(here, "npz:x.npz", teacher=msgspec.structs.replace(ONNX, classes="names.txt"))
    assert list(result.classes) == ["night", "day"]


def test_another_folder_is_left_alone(here: Path) -> None:
    """One that is no run, or that holds other images' labels."""
    np.savez(here / "x.npz", x=noise(30, size=4))
    shutil.copy(here / "x.npz", here / "other.npz")
    with pytest.raises(RunError, match="is not empty and no run"):
        labelled(here, "npz:x.npz", out=".")
    labelled(here, "npz:x.npz")
    with pytest.raises(EdgekdError, match=r"holds the run of labels for npz:x\.npz by bright\.onnx, not of labels for npz:other\.npz"):
        labelled(here, "npz:other.npz")
