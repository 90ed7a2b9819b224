"""edgekd.models.blackbox: ONNX files of every layout as teachers, and those that are none."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from edgekd.errors import MissingError, MissingExtra, install_line
from edgekd.models.blackbox import BlackBox, OnnxTeacher, onnx_teacher
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, GREY_AS_THEY_ARE, IMAGENET, linear_file, matrix, noise, saved

BATCHES: dict[str, int | str] = {"open": "batch", "one": 1, "four": 4}
CARRIED = {"edgekd.preprocess": '{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'}


def teacher(path: Path, preprocess: Preprocess | None = AS_THEY_ARE, *, classes: int = 5, shape: tuple[int, int, int] = (4, 4, 3)) -> OnnxTeacher:
    """A teacher of five classes on images of 4×4."""
    return onnx_teacher(path, classes=classes, shape=shape, preprocess=preprocess, spec=path.name)


def expected(images: Tensor, last: bool = False) -> Tensor:
    """The logits of `linear_file`, worked out from its matrix."""
    flat = (images.permute(0, 2, 3, 1) if last else images).flatten(1)
    return flat @ torch.from_numpy(matrix(flat.shape[1]))


# What a file may look like --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("last", [False, True])
def test_any_batch_in_either_layout(tmp_path: Path, batch: str, last: bool) -> None:
    """Six images through batches of six, one and four, channels first and last: the same logits."""
    shape: Sequence[int | str] = [BATCHES[batch], *((4, 4, 3) if last else (3, 4, 4))]
    network = teacher(linear_file(tmp_path / "net.onnx", shape))
    images = noise(6)
    torch.testing.assert_close(network(images), expected(images, last))
    assert (network.box.last, network.box.batch) == (last, None if batch == "open" else BATCHES[batch])
    assert (network.name, network.preprocess.size, network.notes) == ("net", (4, 4), [])


@pytest.mark.parametrize("batch", BATCHES)
def test_no_images_have_no_answers(tmp_path: Path, batch: str) -> None:
    """An empty batch comes back with the classes' width."""
    network = teacher(linear_file(tmp_path / "net.onnx", [BATCHES[batch], 3, 4, 4]))
    assert network(noise(6)[:0]).shape == (0, 5)


def test_a_file_of_halves(tmp_path: Path) -> None:
    """float16 in, logits as float32."""
    network = teacher(linear_file(tmp_path / "net.onnx", kind=TensorProto.FLOAT16))
    images = noise(3)
    assert network(images).dtype == torch.float32
    torch.testing.assert_close(network(images), expected(images.half().float()))


def test_a_file_of_bytes(tmp_path: Path) -> None:
    """uint8 in, and nothing to state: it is given each pixel as it was stored, resized ones rounded and clipped."""
    network = teacher(linear_file(tmp_path / "net.onnx", kind=TensorProto.UINT8), None)
    pixels = torch.randint(0, 256, (3, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    assert (network.preprocess.mean, network.preprocess.std) == ((0.0,), (1.0,))
    torch.testing.assert_close(network(pixels / 255), expected(pixels.float()))
    torch.testing.assert_close(network((pixels - 0.4) / 255), expected(pixels.float()))
    torch.testing.assert_close(network(pixels / 255 + 1), expected(torch.full((3, 3, 4, 4), 255.0)))


def test_a_grey_file(tmp_path: Path) -> None:
    """One channel; colour images are made grey for it."""
    network = teacher(linear_file(tmp_path / "net.onnx", ["batch", 1, 4, 4]), GREY_AS_THEY_ARE)
    grey = noise(2, channels=1)
    torch.testing.assert_close(network(grey.expand(-1, 3, -1, -1)), expected(grey), rtol=1e-4, atol=1e-5)
    assert teacher(linear_file(tmp_path / "bytes.onnx", ["batch", 1, 4, 4], kind=TensorProto.UINT8), None).preprocess.colour == "grey"


def test_logits_with_sides_of_one(tmp_path: Path) -> None:
    """(n, classes, 1, 1) is flattened."""
    images = noise(3)
    torch.testing.assert_close(teacher(linear_file(tmp_path / "net.onnx", places=True))(images), expected(images))


def test_mean_and_std_come_before_the_file(tmp_path: Path) -> None:
    """The file sees prepared images of its own size."""
    network = teacher(linear_file(tmp_path / "net.onnx"), IMAGENET, shape=(8, 8, 3))
    images = noise(2, 8, 8)
    torch.testing.assert_close(network(images), expected(network.prepare(images)), rtol=1e-4, atol=1e-5)
    assert network.prepare(images).shape == (2, 3, 4, 4)


def test_metadata_says_how_it_wants_its_images(tmp_path: Path) -> None:
    """What is stated goes before."""
    file = linear_file(tmp_path / "net.onnx", metadata=CARRIED)
    assert teacher(file, None).preprocess == Preprocess(size=(4, 4), mean=IMAGENET.mean, std=IMAGENET.std)
    assert teacher(file, AS_THEY_ARE).preprocess.mean == (0.0,)


def test_an_open_size_is_the_stated_or_the_datas(tmp_path: Path) -> None:
    """Height and width that the file leaves open."""
    pooled = helper.make_node("GlobalAveragePool", ["images"], ["answer"])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 3, 1, 1])
    file = saved(tmp_path / "net.onnx", helper.make_graph([pooled], "pool", [images], [answer]))
    assert teacher(file, classes=3, shape=(6, 5, 3)).preprocess.size == (6, 5)
    assert teacher(file, Preprocess(size=(7, 9)), classes=3).preprocess.size == (7, 9)


def test_the_output_called_logits(tmp_path: Path) -> None:
    """It goes before one that stands in front of it."""
    node = helper.make_node("Split", ["images"], ["features", "rest"], axis=2, num_outputs=2)
    flat = [helper.make_node("Flatten", [name], [new]) for name, new in (("features", "embedding"), ("rest", "logits"))]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 3, 4])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in (("embedding", 24), ("logits", 12))]
    file = saved(tmp_path / "net.onnx", helper.make_graph([node, *flat], "two", [images], outputs))
    assert teacher(file, classes=12).box.output == "logits"


# Softmax --------------------------------------------------------------------------------------------------------------


def test_a_softmax_inside_is_undone(tmp_path: Path) -> None:
    """Its logarithm differs from the logits by a constant a row, and a note says so."""
    network = teacher(linear_file(tmp_path / "net.onnx", softmax=True))
    images = noise(4)
    torch.testing.assert_close(network(images), expected(images).log_softmax(1), rtol=1e-4, atol=1e-4)
    assert network.box.softmax
    assert network.notes == ["net.onnx ends in a softmax; its logarithm serves as logits"]


def test_a_probability_of_zero_stays_finite(tmp_path: Path) -> None:
    """Logits thousands apart leave nothing of the others."""
    network = teacher(linear_file(tmp_path / "net.onnx", softmax=True))
    logits = network(1e5 * noise(2))
    assert logits.isfinite().all()
    assert logits.min() == pytest.approx(np.log(np.finfo(np.float32).tiny))


# As a Network ---------------------------------------------------------------------------------------------------------


def test_permute_leaves_the_file_and_adds_up(tmp_path: Path) -> None:
    """Reordered twice, the second order is of the first's answers."""
    network = teacher(linear_file(tmp_path / "net.onnx"))
    images, content = noise(2), (tmp_path / "net.onnx").read_bytes()
    network.permute([4, 3, 2, 1, 0])
    torch.testing.assert_close(network(images), expected(images)[:, [4, 3, 2, 1, 0]])
    network.permute([1, 2, 3, 4, 0])
    torch.testing.assert_close(network(images), expected(images)[:, [3, 2, 1, 0, 4]])
    assert (tmp_path / "net.onnx").read_bytes() == content


def test_another_preprocess_shares_the_session(tmp_path: Path) -> None:
    """And keeps notes, mode and device; "meta" stands for one that is not the CPU."""
    network = teacher(linear_file(tmp_path / "net.onnx", softmax=True)).eval()
    other = network.with_preprocess(IMAGENET)
    assert isinstance(other, OnnxTeacher)
    assert other.box is network.box
    assert (other.preprocess, other.notes, other.training) == (IMAGENET, network.notes, False)
    assert network.to("meta").with_preprocess(IMAGENET).mean.device.type == "meta"


def test_there_is_nothing_to_train(tmp_path: Path) -> None:
    """No parameters, and no gradient reaches the images."""
    network = teacher(linear_file(tmp_path / "net.onnx"))
    assert not network.trainable
    assert not network(noise(1).requires_grad_()).requires_grad


def test_telemetry_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    BlackBox(linear_file(tmp_path / "net.onnx"))
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_onnx_runtime_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=f"onnxruntime is needed here .*{re.escape(install_line('measure'))}"):
        BlackBox(linear_file(tmp_path / "net.onnx"))


def test_a_missing_file(tmp_path: Path) -> None:
    """Its path, and where relative ones start."""
    with pytest.raises(MissingError, match=r"no ONNX file at .*gone\.onnx\. A relative path starts at the recipe's folder"):
        teacher(tmp_path / "gone.onnx")
