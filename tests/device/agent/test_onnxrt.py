"""device/agent/onnxrt.py: how a file is opened, described and fed with made-up inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from edgekd.device.agent import feed
from edgekd.device.agent.feed import shape
from edgekd.device.agent.onnxrt import Model, imported
from edgekd.device.agent.protocol import RefusedError
from tests.device.nets import Shape, classifier, passing

CPU = "CPUExecutionProvider"
DYNAMIC: dict[str, Any] = {"name": "images", "shape": ["n", 3, "height", None]}


def opened(path: Path) -> Model:
    """A file opened on one thread."""
    return Model(str(path), CPU, 1, short_spin=True)


def test_the_runtime_and_its_providers() -> None:
    """Its version, and the CPU among what it can run on."""
    told = imported()
    assert told["runtimes"] == {"onnxruntime": onnxruntime.__version__}
    assert CPU in told["providers"]


def test_a_file_is_described(tmp_path: Path) -> None:
    """Inputs and outputs with name, shape and numpy's word for the type; its metadata."""
    model = opened(classifier(tmp_path / "f.onnx", (2, 8, 8, 3), kind=TensorProto.UINT8, metadata={"a": "b"}))
    assert model.inputs == [{"name": "images", "shape": [2, 8, 8, 3], "type": "uint8"}]
    assert [(put["name"], put["type"]) for put in model.outputs] == [("logits", "float32")]
    assert (model.metadata, model.provider) == ({"a": "b"}, CPU)


@pytest.mark.parametrize(("first", "batch"), [("n", None), (4, 4), (1, 1)])
def test_the_batch_is_what_the_first_axis_says(tmp_path: Path, first: int | str, batch: int | None) -> None:
    """Fixed where it is a number."""
    assert opened(classifier(tmp_path / "f.onnx", (first, 3, 2, 2))).batch == batch


@pytest.mark.parametrize(("first", "dims", "images"), [("n", {}, 8), (4, {}, 4), ("n", {"n": 2}, 2), ("n", {"images.0": 3, "n": 2}, 3)])
def test_images_of_an_inference(tmp_path: Path, first: int | str, dims: dict[str, int], images: int) -> None:
    """As many as it is fed: the file's number, or what the axis was given, or the batch that was asked for."""
    model = opened(classifier(tmp_path / "f.onnx", (first, 3, 2, 2)))
    assert len(model.feeds(8, dims)["images"]) == model.images(8, dims) == images


@pytest.mark.parametrize("shape", [[], ["n"]])
def test_images_of_other_inputs(tmp_path: Path, shape: Shape) -> None:
    """A single number counts as one, and so does a file that wants nothing."""
    assert opened(passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, shape)})).images(3, {}) == (3 if shape else 1)


@pytest.mark.parametrize(
    ("inputs", "outputs", "batch", "images"),
    [
        ({"anchors": [8400, 4], "images": ["n", 3, 32, 32]}, [["n", 10]], None, 5),
        ({"image": [224, 224, 3]}, [[1000]], 1, 1),
        ({"images": [1, 3, 64, 64], "sizes": ["N", 2]}, [["N", 4]], 1, 1),
        ({"images": [4, 3, 32, 32]}, [[40]], 4, 4),
        ({"ids": ["n", 77], "mask": [1, 77]}, [["n", 512]], None, 5),
        ({"anchors": [8400, 4], "images": [2, 3, 32, 32]}, [[2, 10]], 2, 2),
        ({"sizes": [4, 2], "images": [4, 3, 32, 32]}, [[None, 10]], 4, 4),
        ({"x": [6, 10]}, [[6, 5], [3]], 6, 6),
    ],
)
def test_which_axis_counts_images(inputs: dict[str, Shape], outputs: list[Shape], batch: int | None, images: int) -> None:
    """That of images; else an open one, or one that an output has too: not each first axis is a batch."""
    model = feed.Model(
        "CPUExecutionProvider",
        [{"name": name, "shape": shape, "type": "float32"} for name, shape in inputs.items()],
        [{"name": f"y{at}", "shape": shape, "type": "float32"} for at, shape in enumerate(outputs)],
        {},
    )
    assert (model.batch, model.images(5, {})) == (batch, images)


def test_open_axes_get_their_sizes() -> None:
    """By the axis's name or by its place, which goes first; the batch where none is given for the first."""
    assert shape(DYNAMIC, 2, {"height": 5, "images.3": 7}) == (2, 3, 5, 7)
    assert shape(DYNAMIC, 2, {"height": 5, "images.3": 7, "images.2": 6, "n": 9, "images.1": 1}) == (9, 3, 6, 7)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({"images.3": 7}, r"axis 2 of input 'images' has no fixed size \(.*\); say how long it is, as in edgekd bench --dim height=224"),
        ({"height": 5}, r"axis 3 of input 'images' has no fixed size .* as in edgekd bench --dim images\.3=224"),
    ],
)
def test_an_open_axis_needs_a_size(dims: dict[str, int], message: str) -> None:
    """It is asked for by its name, or by its place where it has none."""
    with pytest.raises(RefusedError, match=message):
        shape(DYNAMIC, 1, dims)


KINDS = {
    "f32": (TensorProto.FLOAT, np.float32),
    "f16": (TensorProto.FLOAT16, np.float16),
    "f64": (TensorProto.DOUBLE, np.float64),
    "u8": (TensorProto.UINT8, np.uint8),
    "i8": (TensorProto.INT8, np.int8),
    "u16": (TensorProto.UINT16, np.uint16),
    "i32": (TensorProto.INT32, np.int32),
    "i64": (TensorProto.INT64, np.int64),
    "u32": (TensorProto.UINT32, np.uint32),
    "u64": (TensorProto.UINT64, np.uint64),
    "flag": (TensorProto.BOOL, np.bool_),
    "text": (TensorProto.STRING, np.object_),
}


def test_inputs_of_every_type_are_made_up(tmp_path: Path) -> None:
    """In the declared type and shape, accepted by the runtime; noise for numbers, zeros for what may be an index, the same every time."""
    model = opened(passing(tmp_path / "f.onnx", {name: (kind, ["n", 50]) for name, (kind, _) in KINDS.items()}))
    feeds = model.feeds(2, {})
    assert {name: (array.dtype.type, array.shape) for name, array in feeds.items()} == {name: (kind, (2, 50)) for name, (_, kind) in KINDS.items()}
    for name in ("i32", "i64", "u32", "u64", "flag"):
        assert not feeds[name].any()
    for name in ("f32", "f16", "f64", "u8", "i8", "u16"):
        assert np.std(feeds[name].astype(np.float64)) > 0.5
        assert np.isfinite(feeds[name]).all()
    assert all(np.array_equal(array, answer) for array, answer in zip(feeds.values(), model.run(feeds), strict=True))
    assert all(np.array_equal(array, again) for array, again in zip(feeds.values(), model.feeds(2, {}).values(), strict=True))


def test_a_type_that_numpy_lacks(tmp_path: Path) -> None:
    """It is refused with the runtime's name of it."""
    model = opened(passing(tmp_path / "f.onnx", {"x": (TensorProto.BFLOAT16, [1, 2])}))
    with pytest.raises(RefusedError, match=r"input 'x' is a tensor\(bfloat16\), which cannot be made up here"):
        model.feeds(1, {})


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """It is refused with those that are."""
    with pytest.raises(RefusedError, match=r"this onnxruntime has no OddProvider; it has .*CPUExecutionProvider"):
        Model(str(classifier(tmp_path / "f.onnx")), "OddProvider", 1, short_spin=True)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that quietly takes the CPU instead is not believed."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OddProvider"])
    with pytest.raises(RefusedError, match="OddProvider does not start here, onnxruntime offers CPUExecutionProvider instead"):
        Model(str(classifier(tmp_path / "f.onnx")), "OddProvider", 1, short_spin=False)


def test_a_provider_that_leaves_work_to_the_cpu(tmp_path: Path) -> None:
    """It is opened and doubted: what Azure's takes of a file that is here is nothing."""
    file = classifier(tmp_path / "f.onnx")
    assert not Model(str(file), "CPUExecutionProvider", 1, short_spin=False).partly
    if "AzureExecutionProvider" in onnxruntime.get_available_providers():
        assert Model(str(file), "AzureExecutionProvider", 1, short_spin=False).partly


def test_the_size_that_a_file_carries_is_its_open_axes(tmp_path: Path) -> None:
    """Whatever they are called, channels first or last; a size that is given goes first."""
    metadata = {"edgekd.preprocess": '{"size": [5, 7]}'}
    for axes, expected in ((["n", 3, "h", "w"], (2, 3, 5, 7)), (["n", None, None, 3], (2, 5, 7, 3)), (["n", 3, 6, None], (2, 3, 6, 7))):
        model = feed.Model("", [{"name": "x", "shape": axes, "type": "float32"}], [], metadata)
        assert model.feeds(2, {})["x"].shape == expected
    model = feed.Model("", [{"name": "x", "shape": ["n", 3, "h", "w"], "type": "float32"}], [], metadata)
    assert model.feeds(1, {"h": 9})["x"].shape == (1, 3, 9, 7)
