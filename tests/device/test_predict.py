"""device/predict.py: an artifact over there answers as the runtime does here on the same prepared images."""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from edgekd.device.predict import as_logits, logits_output, open_predict, prepare, zero_probability
from edgekd.device.session import Session
from edgekd.errors import DeviceError, MissingExtra, UsageError, install_line
from edgekd.models.network import Network
from edgekd.preprocess import Preprocess
from tests.device.nets import CLASSES, Shape, classifier

RGB = Preprocess(size=(6, 4), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
BGR = msgspec.structs.replace(RGB, colour="bgr")
GREY = Preprocess(size=(6, 4), mean=(0.5,), std=(0.25,), colour="grey")


def pictures(n: int = 7, channels: int = 3, height: int = 6, width: int = 4) -> NDArray[np.uint8]:
    """Images (n, h, w, c)."""
    return np.random.default_rng(n).integers(0, 256, (n, height, width, channels)).astype(np.uint8)


def directly(file: Path, fed: NDArray[Any]) -> NDArray[np.float32]:
    """What the runtime answers here, image by image or as the file's batch wants it."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    answers: list[NDArray[np.float32]] = [session.run(None, {"images": fed[at : at + 1]})[0] for at in range(len(fed))]
    return np.concatenate(answers)


def by_hand(images: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """Images prepared one pixel's channels after another, as the documentation says it: (n, h, w, c)."""
    values = images / 255
    if preprocess.colour == "grey":
        values = values if images.shape[3] == 1 else (0.299 * values[..., :1] + 0.587 * values[..., 1:2] + 0.114 * values[..., 2:])
    else:
        values = np.concatenate([values] * 3, axis=3) if images.shape[3] == 1 else values
        values = values[..., [2, 1, 0]] if preprocess.colour == "bgr" else values
    prepared: NDArray[np.float32] = ((values - np.array(preprocess.mean)) / np.array(preprocess.std)).astype(np.float32)
    return prepared


@pytest.mark.parametrize(
    ("shape", "kind", "preprocess", "channels"),
    [
        (("n", 3, 6, 4), "float", RGB, 3),
        (("n", 6, 4, 3), "float", RGB, 3),
        (("n", 3, 6, 4), "float", BGR, 3),
        (("n", 3, 6, 4), "float", BGR, 1),
        (("n", 1, 6, 4), "float", GREY, 3),
        (("n", 6, 4, 1), "float", GREY, 1),
        (("n", 6, 4, 3), "uint8", RGB, 3),
        (("n", 3, 6, 4), "uint8", BGR, 3),
        (("n", 3, 6, 4), "float16", RGB, 3),
    ],
)
def test_it_answers_as_the_runtime_does_here(
    session: Session, tmp_path: Path, shape: Shape, kind: str, preprocess: Preprocess, channels: int
) -> None:
    """In either layout, for normalised numbers and for pixels, in the file's colours."""
    types = {"float": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16}
    file = classifier(tmp_path / "f.onnx", shape, kind=types[kind])
    images = pictures(channels=channels)
    as_it_is = msgspec.structs.replace(preprocess, mean=(0.0,), std=(1 / 255,))
    fed = by_hand(images, as_it_is).round() if kind == "uint8" else by_hand(images, preprocess)
    if shape[1] in (1, 3):
        fed = np.moveaxis(fed, 3, 1)
    with open_predict(session, file, preprocess, threads=1, batch=3) as predict:
        logits = predict({"images": images})["logits"]
    assert logits.dtype == np.float32
    expected = directly(file, np.ascontiguousarray(fed, {"float": np.float32, "uint8": np.uint8, "float16": np.float16}[kind]))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-2 if kind == "float16" else 1e-5 * np.abs(expected).max() + 1e-5)


def test_a_fixed_batch_and_what_the_file_carries(session: Session, tmp_path: Path) -> None:
    """Seven images through a file of four at a time, prepared as its metadata say, call after call; no file of either is left."""
    fixed = classifier(tmp_path / "f.onnx", (4, 3, 6, 4), metadata={"edgekd.preprocess": msgspec.json.encode(RGB).decode()})
    images = pictures()
    before = set(session.folder.iterdir())
    with open_predict(session, fixed, threads=1) as predict:
        first, second = predict({"images": images})["logits"], predict({"images": images[:2]})["logits"]
    expected = directly(classifier(tmp_path / "open.onnx"), np.moveaxis(by_hand(images, RGB), 3, 1))
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second, expected[:2], rtol=1e-4, atol=1e-5)
    assert set(session.folder.iterdir()) == before


def test_a_softmax_in_the_file_is_undone(session: Session, tmp_path: Path) -> None:
    """Logarithms of its probabilities: the logits but for a constant of each image."""
    plain, soft = classifier(tmp_path / "f.onnx"), classifier(tmp_path / "soft.onnx", softmax=True)
    with open_predict(session, soft, RGB, threads=1) as predict:
        logs = predict({"images": pictures()})["logits"]
    logits = directly(plain, np.moveaxis(by_hand(pictures(), RGB), 3, 1))
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(logs - logs.mean(axis=1, keepdims=True), logits - logits.mean(axis=1, keepdims=True), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "floor"),
    [(np.float64, np.finfo(np.float32).tiny), (np.float32, np.finfo(np.float32).tiny), (np.float16, np.finfo(np.float16).smallest_subnormal)],
)
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_probabilities_are_told_from_logits(kind: type, floor: float, classes: int) -> None:
    """Rows of a softmax, sure and unsure, in each type; its logits, and what is not all one, are none."""
    logits = np.random.default_rng(0).normal(size=(4, classes)) * np.array([[0.1], [1], [5], [50]])
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(kind)
    assert zero_probability(shares) == pytest.approx(float(floor), rel=1e-3)
    assert zero_probability(logits.astype(kind)) is None
    assert zero_probability((shares * 0.9).astype(kind)) is None
    assert np.isfinite(as_logits(shares, zero_probability(shares))).all()


@pytest.mark.parametrize("margin", [0, 5, 15, 25, 60])
@pytest.mark.parametrize(("rows", "classes"), [(3, 2), (3, 10), (64, 2), (256, 1000)])
def test_a_sure_softmax_in_floats_has_no_steps(rows: int, classes: int, margin: float) -> None:
    """What is next to nothing is no multiple of anything; and large answers are not searched for one."""
    logits = np.random.default_rng(2).normal(size=(rows, classes))
    logits[np.arange(rows), np.arange(rows) % classes] += margin
    shares = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    assert zero_probability(shares) == np.finfo(np.float32).tiny


@pytest.mark.parametrize("step", [1 / 256, 0.97 / 255, 1 / 127])
@pytest.mark.parametrize("classes", [3, 10, 100])
def test_a_softmax_in_eight_bits(step: float, classes: int) -> None:
    """Multiples of one step do not add up to 1 and are probabilities all the same; none stands for half a step. One-hot rows have no step."""
    logits = np.random.default_rng(1).normal(size=(4, classes)) * np.array([[0.5], [1], [2], [3]])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    held = (np.rint(shares / step).clip(0, 255) * step).astype(np.float32)
    floor = zero_probability(held)
    assert floor == pytest.approx(step / 2, rel=1e-3)
    np.testing.assert_allclose(np.exp(as_logits(held, floor)), np.maximum(held, step / 2), rtol=1e-5)
    assert zero_probability(np.eye(classes, dtype=np.float32)) == np.finfo(np.float32).tiny


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"features": ["n", 64], "logits": ["n", 10]}, "logits"),
        ({"map": ["n", 64, 8, 8], "scores": ["n", 10], "more": ["n", 5]}, "scores"),
        ({"count": [], "scores": [1, 10, 1, 1]}, "scores"),
        ({"logits": [], "boxes": ["n", 4, 8]}, None),
    ],
)
def test_which_output_is_the_answer(shapes: dict[str, list[Any]], expected: str | None) -> None:
    """The one called logits, else the first of (n, classes); the same for teachers that come as a file and for what is scored."""
    assert logits_output(shapes) == expected


def test_an_output_that_counts_no_images_is_let_alone(session: Session, tmp_path: Path) -> None:
    """Others than the asked one may have any shape, a lone number too."""
    model = onnx.load(classifier(tmp_path / "f.onnx", outputs=("scores",)))
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["scores"], ["top"], keepdims=0))
    model.graph.output.insert(0, onnx.helper.make_tensor_value_info("top", onnx.TensorProto.FLOAT, []))
    onnx.save(model, tmp_path / "two.onnx")
    with open_predict(session, tmp_path / "two.onnx", RGB, threads=1, batch=3) as predict:
        logits = predict({"images": pictures()})["logits"]
    np.testing.assert_allclose(logits, directly(tmp_path / "f.onnx", np.moveaxis(by_hand(pictures(), RGB), 3, 1)), rtol=1e-4, atol=1e-5)


def test_no_output_that_could_be_the_answer(session: Session, tmp_path: Path) -> None:
    """All are named with their shapes."""
    model = onnx.load(classifier(tmp_path / "f.onnx", outputs=("scores", "pixels")))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "axis"))
    for put in model.graph.output:
        model.graph.node.append(onnx.helper.make_node("Unsqueeze", [put.name, "axis"], [f"{put.name}1"]))
        put.name = f"{put.name}1"
        put.type.tensor_type.shape.dim.add(dim_value=1)
    onnx.save(model, tmp_path / "f.onnx")
    with pytest.raises(UsageError, match=r"a classifier answers \(n, classes\); f\.onnx answers scores1 \[.*, 1\], pixels1"):
        open_predict(session, tmp_path / "f.onnx", RGB)


def test_logits_among_several_outputs(session: Session, tmp_path: Path) -> None:
    """The one called so is the answer, wherever it stands."""
    file = classifier(tmp_path / "f.onnx", outputs=("logits", "pixels"))
    with open_predict(session, file, RGB, threads=1) as predict:
        assert predict({"images": pictures()})["logits"].shape == (7, CLASSES)
        with pytest.raises(UsageError, match=r"f\.onnx was given no images; give one or more"):
            predict({"images": pictures(0)})
        with pytest.raises(UsageError, match=r"images must be uint8 \(n, h, w, 1 or 3\), got uint8 \(7, 6, 4, 2\)"):
            predict({"images": pictures(channels=2)})
        assert predict({"images": pictures()})["logits"].shape == (7, CLASSES)


@pytest.mark.parametrize(
    ("made", "preprocess", "message"),
    [
        ({}, None, r"f\.onnx does not carry how its images are prepared\. Give preprocess: size, mean, std, colour"),
        (
            {"metadata": {"edgekd.preprocess": '{"size": 4}'}},
            None,
            r"the metadata edgekd\.preprocess of .*f\.onnx does not read: .* Export the file again",
        ),
        ({"shape": ("n", 12)}, RGB, r"takes one input, images of four axes; f\.onnx has images \['n', 12\]"),
    ],
)
def test_what_is_no_classifier_is_refused(
    session: Session, tmp_path: Path, made: dict[str, Any], preprocess: Preprocess | None, message: str
) -> None:
    """Before any image is sent."""
    with pytest.raises(UsageError, match=message):
        open_predict(session, classifier(tmp_path / "f.onnx", **made), preprocess)


def test_images_that_do_not_fit(session: Session, tmp_path: Path) -> None:
    """A Preprocess of another colour gives another shape than the file takes."""
    with open_predict(session, classifier(tmp_path / "f.onnx"), GREY, threads=1) as predict:
        with pytest.raises(UsageError, match=r"f\.onnx takes images of shape \[3, 6, 4\], got \[1, 6, 4\]\. Give its size and colour"):
            predict({"images": pictures()})


def test_a_file_that_does_not_open(session: Session, tmp_path: Path) -> None:
    """The runtime's reason stands behind the path."""
    (tmp_path / "f.onnx").write_bytes(b"no model")
    with pytest.raises(DeviceError, match=r"f\.onnx: `open` failed in the runtime: .*"):
        open_predict(session, tmp_path / "f.onnx", RGB)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("preprocess", [RGB, BGR, GREY], ids=["rgb", "bgr", "grey"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_prepared_as_networks_prepare_them(interpolation: Any, preprocess: Preprocess, channels: int) -> None:
    """Smaller and larger ones, of either number of channels, in every colour order: the same numbers in numpy as in torch."""
    asked = msgspec.structs.replace(preprocess, interpolation=interpolation)
    network = Network(torch.nn.Identity(), asked, name="n", classes=1)
    for images in (pictures(3, channels, 13, 9), pictures(3, channels, 5, 4), pictures(3, channels)):
        theirs = network.prepare(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
        np.testing.assert_allclose(prepare(images, asked), theirs.numpy(), atol=1e-5)


def test_a_crop_is_a_size_too() -> None:
    """Images that are smaller than a square crop are brought to it; without either they stay as they are."""
    assert prepare(pictures(), Preprocess(resize=10, crop=8)).shape == (7, 3, 8, 8)
    assert prepare(pictures(), Preprocess()).shape == (7, 3, 6, 4)


def test_only_resizing_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, images of the file's own size are prepared all the same."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert prepare(pictures(), RGB).shape == (7, 3, 6, 4)
    with pytest.raises(MissingExtra, match=f"torch is needed here .*{re.escape(install_line('train'))}"):
        prepare(pictures(height=9), RGB)
