"""export/inside.py: pictures in, and the same answers as the network gives to what the house prepares of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgekd.data.pictures import fit
from edgekd.device.agent.feed import Model
from edgekd.device.host import connect
from edgekd.device.predict import open_predict, prepare
from edgekd.events import silent
from edgekd.export import export
from edgekd.export.inside import INSIDE_KEY, left, with_preprocessing
from edgekd.models.blackbox import onnx_teacher
from edgekd.models.network import Network
from edgekd.pack.answers import answered
from edgekd.preprocess import PREPROCESS_KEY, Preprocess
from edgekd.recipe import Export, Recipe
from edgekd.recipefile import encode_recipe
from edgekd.record import Artifact
from tests.export.nets import CLASSES, MACS, PARAMS, PREPROCESS, network, pixels

Pixels = NDArray[np.uint8]
BGR = msgspec.structs.replace(PREPROCESS, colour="bgr")
GREY = Preprocess(size=(8, 8), mean=(0.3,), std=(0.2,), colour="grey")
OWN, CUT = (8, 6), Preprocess(size=(8, 8), resize=10, crop=8, mean=(0.0,), std=(1 / 255,))
STEPS = 0.02
"""Of the 255 of a pixel: how far the graph's resizing may be from the house's own."""


def model(nodes: Sequence[onnx.NodeProto], weights: dict[str, NDArray[np.float32]], shape: list[Any], answers: list[Any]) -> onnx.ModelProto:
    """A model from images of this shape to logits of that."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, answers)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def convolution(channels: int = 3, *, pads: int = 0, bias: bool = True, groups: int = 1) -> onnx.ModelProto:
    """A convolution of 8×8 images, flattened and through a matrix: where an image is wrong at its edge, the answer is wrong."""
    draw = np.random.default_rng(channels)
    side = 6 + 2 * pads
    weights = {"w": draw.normal(0, 1, (6, channels // groups, 3, 3)), "m": draw.normal(0, 1, (6 * side * side, 4))}
    weights |= {"b": draw.normal(0, 1, 6)} if bias else {}
    nodes = [
        helper.make_node("Conv", ["images", "w", *(["b"] if bias else [])], ["features"], pads=[pads] * 4, group=groups),
        helper.make_node("Flatten", ["features"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["logits"]),
    ]
    return model(nodes, {name: values.astype(np.float32) for name, values in weights.items()}, ["batch", channels, 8, 8], ["batch", 4])


def planes(size: tuple[int, int] = OWN) -> onnx.ModelProto:
    """A network that answers what it is given."""
    return model([helper.make_node("Identity", ["images"], ["logits"])], {}, ["batch", 3, *size], ["batch", 3, *size])


def run(made: onnx.ModelProto, images: NDArray[Any]) -> NDArray[np.float32]:
    """What ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"images": images})[0]
    return found


def pictures(count: int, height: int, width: int) -> Pixels:
    """Smooth ones, as photographs are: noise of a sixth of their size, made larger."""
    coarse = np.random.default_rng(height).integers(0, 256, (count, max(2, height // 6), max(2, width // 6), 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC)) for each in coarse])


# What is folded -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preprocess", [PREPROCESS, BGR, GREY], ids=["rgb", "bgr", "grey"])
@pytest.mark.parametrize(
    ("options", "added"),
    [
        ({}, set()),
        ({"bias": False}, set()),
        ({"pads": 1}, {"Sub"}),
        ({"groups": 0}, {"Sub", "Mul"}),
    ],
    ids=["unpadded", "without a bias", "padded", "in groups"],
)
def test_a_convolution_takes_up_what_it_can(options: dict[str, Any], added: set[str], preprocess: Preprocess) -> None:
    """Scale and colours always, the mean where nothing is padded, nothing where it works in groups; the answers stay."""
    channels = 1 if preprocess.colour == "grey" else 3
    if options.get("groups") == 0:
        options, added = ({"groups": 3}, added | ({"Gather"} if preprocess.colour == "bgr" else set())) if channels == 3 else ({}, set())
    plain = convolution(channels, **options)
    made = with_preprocessing(plain, preprocess, "normalise")
    onnx.checker.check_model(made, full_check=True)
    assert {node.op_type for node in made.graph.node} - {"Cast", "Transpose"} == added | {"Conv", "Flatten", "MatMul"}
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, channels), np.uint8)
    wanted = run(plain, prepare(images, preprocess))
    np.testing.assert_allclose(run(made, images), wanted, atol=1e-4 * wanted.std())
    assert len(plain.graph.node) == 3  # the given one is left alone


def test_no_mean_needs_no_subtraction() -> None:
    """Padded zeros are zeros before normalisation too."""
    made = with_preprocessing(convolution(pads=1), Preprocess(size=(8, 8), mean=(0.0,), std=(0.2,)), "normalise")
    assert [node.op_type for node in made.graph.node] == ["Cast", "Transpose", "Conv", "Flatten", "MatMul"]


def test_what_is_left_to_do() -> None:
    """Size and crop stand; mean, std and the order of colours are the graph's."""
    assert left(BGR, (8, 8)) == Preprocess(size=(8, 8), mean=(0.0,), std=(1.0,))
    assert left(GREY, (8, 8)).colour == "grey"
    assert left(CUT, (8, 8)).crop_fraction == 0.8


# Resizing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_resizing_is_the_houses_own(interpolation: Literal["nearest", "bilinear", "bicubic"]) -> None:
    """Pictures of the network's proportions, smaller and larger ones and noise: within a fiftieth of one of the 255 steps of a pixel."""
    preprocess = Preprocess(size=OWN, interpolation=interpolation, mean=(0.0,), std=(1 / 255,))
    session = onnxruntime.InferenceSession(with_preprocessing(planes(), preprocess, "resize").SerializeToString(), providers=["CPUExecutionProvider"])
    for height in (4, 8, 12, 32, 100):
        images = np.random.default_rng(height).integers(0, 256, (2, height, height * 3 // 4, 3), np.uint8)
        (found,) = session.run(None, {"images": images})
        np.testing.assert_allclose(found, prepare(images, preprocess), atol=STEPS, err_msg=f"{interpolation} {height}")


@pytest.mark.parametrize(("height", "width"), [(30, 40), (40, 30), (9, 8), (64, 64)])
def test_the_centre_is_cut_out(height: int, width: int) -> None:
    """Scaled until it covers 10×10, of which the middle 8×8 are seen: as torch does it in two steps, and near to how edgekd reads pictures."""
    images = pictures(2, height, width)
    found = run(with_preprocessing(planes((8, 8)), CUT, "resize"), images)
    tall, wide = max(10, round(10 * height / width)), max(10, round(10 * width / height))
    scaled = torch.nn.functional.interpolate(torch.from_numpy(images).permute(0, 3, 1, 2).float(), (tall, wide), mode="bilinear", antialias=True)
    top, begin = (tall - 8) // 2, (wide - 8) // 2
    np.testing.assert_allclose(found, scaled[:, :, top : top + 8, begin : begin + 8].numpy(), atol=STEPS)
    read = np.stack([fit(Image.fromarray(image), (8, 8, 3), 0.8) for image in images])
    assert np.abs(found - read.transpose(0, 3, 1, 2)).mean() < 16  # half a pixel of the 8 at the most, where a side's rounding moves the centre


def test_a_picture_of_the_networks_own_size_is_taken_as_it_is() -> None:
    """It has been cut out already."""
    images = pictures(2, 8, 8)
    assert np.array_equal(run(with_preprocessing(planes((8, 8)), CUT, "resize"), images), images.transpose(0, 3, 1, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 255))
def test_any_size_is_taken(height: int, width: int, value: int) -> None:
    """Whatever its proportions; a picture of one colour keeps it."""
    found = EVEN.run(None, {"images": np.full((1, height, width, 3), value, np.uint8)})[0]
    assert found.shape == (1, 3, 8, 8)
    assert np.abs(found - value).max() < STEPS


EVEN = onnxruntime.InferenceSession(with_preprocessing(planes((8, 8)), CUT, "resize").SerializeToString(), providers=["CPUExecutionProvider"])


# Whole files ----------------------------------------------------------------------------------------------------------

Made = tuple[Network, Path, list[Artifact]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A Toy in all precisions and both flavours of int8, that takes pictures of any size and answers probabilities."""
    folder = tmp_path_factory.mktemp("inside")
    net = network()
    asked = Export(preprocess="resize", softmax=True)
    files = export(
        net, folder, role="student", name="toy", classes=CLASSES, settings=asked, calibration=pixels(32, 1), parity=pixels(16, 2),
        flavours=("int8-cpu", "int8-trt"), emit=silent,
    )  # fmt: skip
    return net, folder, files


def shares(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """A softmax."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return found


def test_every_precision_takes_pictures(made: Made) -> None:
    """fp32, fp16 and both int8: bytes in, probabilities out, parameters and MACs the network's own, and the metadata says what is where."""
    net, folder, files = made
    assert [file.precision for file in files] == ["fp32", "fp16", "int8-cpu", "int8-trt"]
    images, larger = pixels(7, 3), pictures(7, 30, 40)
    wanted = shares(net.predict({"images": images})["logits"])
    resized = run(onnx.load(folder / files[0].path), larger)
    for file, bound in zip(files, (1e-5, 1e-2, 0.1, 0.1), strict=True):
        read = onnx.load(folder / file.path)
        put, told = read.graph.input[0], {entry.key: entry.value for entry in read.metadata_props}
        assert (put.name, put.type.tensor_type.elem_type) == ("images", TensorProto.UINT8)
        assert [dim.dim_param or dim.dim_value for dim in put.type.tensor_type.shape.dim] == ["batch", "height", "width", 3]
        assert np.abs(run(read, images) - wanted).max() < bound
        assert np.abs(run(read, larger) - resized).max() < bound * resized.std()  # runtimes move nodes past the resizing of an int8 file
        assert (file.params, file.macs, file.preprocess) == (PARAMS, MACS, left(PREPROCESS, (8, 8)))
        assert msgspec.json.decode(told[PREPROCESS_KEY], type=Preprocess) == file.preprocess
        assert msgspec.json.decode(told[INSIDE_KEY], type=Preprocess) == PREPROCESS
    assert all(file.quantised for file in files[2:])


def test_every_consumer_feeds_such_a_file(made: Made) -> None:
    """A Predict, a teacher and a pack's samples give the answers of the network, each by what the file says of itself."""
    net, folder, files = made
    file, images = folder / files[0].path, pixels(5, 4)
    wanted = np.log(shares(net.predict({"images": images})["logits"]))
    with connect("local") as session, open_predict(session, file, threads=1) as predict:
        np.testing.assert_allclose(predict({"images": images})["logits"], wanted, atol=1e-3)
        assert predict({"images": pixels(2, 4, size=16)})["logits"].shape == (2, 4)
    teacher = onnx_teacher(file, classes=4, shape=(8, 8, 3), preprocess=None, spec="toy.onnx")
    np.testing.assert_allclose(teacher.predict({"images": images})["logits"], wanted, atol=1e-3)
    assert files[0].preprocess is not None
    answers, feed = answered(file, images, files[0].preprocess)
    np.testing.assert_allclose(np.log(answers), wanted, atol=1e-3)
    assert (feed.type, feed.layout, feed.answers, feed.plain) == ("uint8", "nhwc", "probabilities", False)


def test_a_clock_feeds_the_networks_own_size() -> None:
    """Where no other is asked for: `--dim` goes before what the file says."""
    put = {"name": "images", "shape": ["batch", "height", "width", 3], "type": "uint8"}
    opened = Model("CPUExecutionProvider", [put], [], {"edgekd.preprocess": '{"size": [4, 6]}'})
    assert opened.feeds(2, {})["images"].shape == (2, 4, 6, 3)
    assert opened.feeds(2, {"height": 9})["images"].shape == (2, 9, 6, 3)
    assert opened.images(2, {}) == 2


def test_what_is_left_out_of_a_recipe_is_not_written() -> None:
    """Recipes and keys of runs from before these options were there are as they were."""
    assert "softmax" not in encode_recipe(Recipe())
    assert "\npreprocess" not in encode_recipe(Recipe())
    assert "softmax = true" in encode_recipe(Recipe(export=Export(softmax=True)))
