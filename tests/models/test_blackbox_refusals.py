"""edgekd.models.blackbox: ONNX files that cannot be a teacher as they were given, each with its remedy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from edgekd.errors import UsageError
from edgekd.models.blackbox import onnx_teacher
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, IMAGENET, linear_file, passing_file, saved


def refused(
    path: Path, message: str, preprocess: Preprocess | None = AS_THEY_ARE, *, classes: int = 5, shape: tuple[int, int, int] = (4, 4, 3)
) -> None:
    """Holds that this file is refused in these words."""
    with pytest.raises(UsageError, match=message):
        onnx_teacher(path, classes=classes, shape=shape, preprocess=preprocess, spec=path.name)


# The file -------------------------------------------------------------------------------------------------------------


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    """With the runtime's version and reason."""
    (tmp_path / "net.onnx").write_bytes(b"no such thing")
    refused(tmp_path / "net.onnx", r"net\.onnx does not load in ONNX Runtime \d+\.\d+.*: .*Export it again, or check that it is an ONNX file")


@pytest.mark.parametrize("shapes", [{"a": [1, 3, 4, 4], "b": [1, 3, 4, 4]}, {"a": [1, 48]}])
def test_other_inputs(tmp_path: Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """Two of them, or rows instead of images: all are listed."""
    file = passing_file(tmp_path / "net.onnx", shapes)
    refused(file, rf"takes one input of images, .*net\.onnx takes a tensor\(float\) \[1, {shapes['a'][1]}.*Export it with")


def test_an_input_of_another_type(tmp_path: Path) -> None:
    """Whole numbers of 32 bits are no images."""
    refused(linear_file(tmp_path / "net.onnx", kind=TensorProto.INT32), r"in float, float16 or uint8; .* takes pictures tensor\(int32\)")


@pytest.mark.parametrize("shape", [["batch", 4, 4, 4], ["batch", "channels", 4, 4]])
def test_another_number_of_channels(tmp_path: Path, shape: Sequence[int | str]) -> None:
    """One or three, at the second or the last place."""
    file = passing_file(tmp_path / "net.onnx", {"images": shape})
    refused(file, r"has 1 or 3 channels at its second or last place; .* takes \['batch', .* Export it as \(n, c, h, w\)")


def test_an_output_that_is_no_row_of_logits(tmp_path: Path) -> None:
    """As of a network for segmentation."""
    file = passing_file(tmp_path / "net.onnx", {"images": ["batch", 3, 4, 4]})
    refused(file, r"a classifier answers \(n, classes\); .* answers images_out \['batch', 3, 4, 4\]")


def test_other_classes(tmp_path: Path) -> None:
    """How many it answers, and how many the data has."""
    refused(linear_file(tmp_path / "net.onnx"), r"net\.onnx answers 5 and the data has 7\. Give data with the teacher's classes", classes=7)


# Preprocess -----------------------------------------------------------------------------------------------------------


def test_a_preprocess_that_nobody_states(tmp_path: Path) -> None:
    """Neither the person nor the file: it is not guessed."""
    refused(linear_file(tmp_path / "net.onnx"), r"must be stated; the metadata of .*net\.onnx does not say\. Give preprocess = .*-std", None)


@pytest.mark.parametrize("text", ["{", '{"std": [-1.0], "mean": [0.0]}', '{"size": "large"}'])
def test_metadata_that_does_not_read(tmp_path: Path, text: str) -> None:
    """It is not passed over."""
    file = linear_file(tmp_path / "net.onnx", metadata={"edgekd.preprocess": text})
    refused(file, r"the metadata edgekd\.preprocess of .*net\.onnx does not read: .* or state preprocess beside its model", None)


def test_a_mean_for_a_file_of_bytes(tmp_path: Path) -> None:
    """It normalises for itself."""
    message = r"takes uint8 and normalises for itself; mean must be \[0\] and std \[1\], got \[0\.485, .*\] and \[0\.229, .*\]\. Leave them out"
    refused(linear_file(tmp_path / "net.onnx", kind=TensorProto.UINT8), message, IMAGENET)


@pytest.mark.parametrize(
    ("channels", "colour", "fits"),
    [(3, Preprocess(colour="grey"), "rgb"), (1, Preprocess(colour="bgr"), "grey"), (1, Preprocess(), "grey")],
)
def test_another_colour(tmp_path: Path, channels: int, colour: Preprocess, fits: str) -> None:
    """The file's channels, the stated colour, and the one to set."""
    file = linear_file(tmp_path / "net.onnx", ["batch", channels, 4, 4])
    refused(file, rf'takes {channels} channel\(s\), and preprocess says colour = "{colour.colour}"\. Set colour = "{fits}"', colour)


@pytest.mark.parametrize("stated", [Preprocess(size=(8, 6)), Preprocess(crop=8)])
def test_another_size(tmp_path: Path, stated: Preprocess) -> None:
    """A file of a fixed size takes no other, stated as size or as crop."""
    message = r"takes images of 4x4 and nothing else, and preprocess says 8x[68]\. Set size = \[4, 4\]"
    refused(linear_file(tmp_path / "net.onnx"), message, stated)


def test_a_size_that_only_running_finds_out(tmp_path: Path) -> None:
    """Open at the input and fixed inside: the size that was tried, and where to state the right one."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 5])
    sides = helper.make_tensor("sides", TensorProto.INT64, [2], [-1, 192])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [192, 5], [0.1] * 960)
    nodes = [helper.make_node("Reshape", ["images", "sides"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["answer"])]
    file = saved(tmp_path / "net.onnx", helper.make_graph(nodes, "open", [images], [answer], [sides, weights]))
    refused(file, r"(?s)does not take images of 5x5 with 3 channel\(s\): .* State the size that it was made for: size = \[H, W\]", shape=(5, 5, 3))
    assert onnx_teacher(file, classes=5, shape=(5, 5, 3), preprocess=Preprocess(size=(8, 8)), spec="").preprocess.size == (8, 8)


def test_mean_and_std_of_another_number_of_channels(tmp_path: Path) -> None:
    """Two values fit neither one channel nor three."""
    message = r"mean and std have one value, or one per channel; net's preprocess has mean \[0\.1, 0\.2\]"
    refused(linear_file(tmp_path / "net.onnx"), message, Preprocess(mean=(0.1, 0.2), std=(1.0, 1.0)))
