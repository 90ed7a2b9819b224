"""Exports that are broken on purpose: each is refused by the name of what is wrong, through the export as it is, and the file is kept aside."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UsageError
from edgekd.events import silent
from edgekd.export import export, files
from edgekd.export import onnx as exporter
from edgekd.export.calibration import refuse_noise, together
from edgekd.export.fp16 import halved
from edgekd.export.int8 import Quantiser
from edgekd.export.rejected import Rejected
from edgekd.models.network import Network
from edgekd.recipe import Export
from edgekd.record import Artifact
from tests.export.nets import CLASSES, network, pixels


def run(net: Network, folder: Path, *precisions: str, **changes: Any) -> list[Artifact]:
    given: dict[str, Any] = {
        "role": "student",
        "name": "toy",
        "classes": CLASSES,
        "settings": Export(precisions=precisions or ("fp32",)),  # type: ignore[arg-type]
        "calibration": pixels(32, 1),
        "parity": pixels(16, 2),
    }
    return export(net, folder, emit=silent, **(given | changes))


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def rejected(folder: Path, precision: str) -> Rejected:
    """The report beside the one file that was kept aside."""
    aside = f"student-toy-{precision}.onnx.rejected"
    onnx.checker.check_model(onnx.load(folder / aside))
    return msgspec.json.decode((folder / f"{aside}.json").read_bytes(), type=Rejected)


def breaking(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None]) -> None:
    """Let what is exported be another network than the one that it is compared with."""
    to_onnx = exporter.to_onnx

    def wrong(body: nn.Module, *args: Any, **kwargs: Any) -> onnx.ModelProto:
        other = copy.deepcopy(body)
        change(other)
        return to_onnx(other, *args, **kwargs)

    monkeypatch.setattr(exporter, "to_onnx", wrong)


def given(monkeypatch: pytest.MonkeyPatch, model: onnx.ModelProto) -> None:
    """Spare the export."""
    monkeypatch.setattr(exporter, "to_onnx", lambda *args, **kwargs: copy.deepcopy(model))


def test_a_batchnorm_with_another_variance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: onnx.ModelProto) -> None:
    """The BatchNorm behind the depthwise convolution: named, with the node that stands for it; a later file that is fit takes all of it away."""
    with monkeypatch.context() as patch:
        breaking(patch, lambda body: body.depthwise[1].running_var.mul_(9))
        with pytest.raises(EdgekdError, match="does not answer as the step before") as error:
            run(network(), tmp_path)
    told = str(error.value)
    assert "It differs first in depthwise.1 (BatchNorm2d): what the file has in its place, " in told
    assert "(Conv), is off by 0." in told
    assert "This BatchNorm's statistics or weights are not the network's." in told
    assert f"kept as {tmp_path / 'student-toy-fp32.onnx.rejected'}, with its figures in student-toy-fp32.onnx.rejected.json beside it." in told
    report = rejected(tmp_path, "fp32")
    assert report.message == told
    assert report.drift is not None
    assert report.drift.first is not None
    assert (report.drift.cause, report.drift.first.layer) == ("batchnorm", "depthwise.1")
    before = [each for each in report.drift.layers if each.layer in ("first.1", "first.2")]
    assert len(before) == 2
    assert all(each.error is not None and each.error < 1e-4 for each in before)
    assert report.parity is not None
    assert report.parity.largest > 1e-3
    assert report.parity.images == 7
    given(monkeypatch, trained)
    (artifact,) = run(network(), tmp_path)
    assert names(tmp_path) == [artifact.path]
    assert [each.batch for each in artifact.parities] == [1, 2, 7]
    assert artifact.parity == {str(each.batch): each.largest for each in artifact.parities}


class ByBatch(nn.Module):
    """A BatchNorm as it is in training: it normalises by what it is shown."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, planes: Tensor) -> Tensor:
        var, mean = torch.var_mean(planes, (0, 2, 3), correction=0, keepdim=True)
        scale = self.layer.weight.view(1, -1, 1, 1) * torch.rsqrt(var + self.layer.eps)
        return (planes - mean) * scale + self.layer.bias.view(1, -1, 1, 1)


def test_a_batchnorm_in_training_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by the images of the batch instead of its running statistics."""

    def train(body: Any) -> None:
        body.first[1] = ByBatch(body.first[1])

    breaking(monkeypatch, train)
    with pytest.raises(EdgekdError, match=r"It differs first in first\.1 \(BatchNorm2d\)") as error:
        run(network(), tmp_path)
    assert "This BatchNorm was exported in training mode: it goes by the images of the batch." in str(error.value)


def scaled_inside(model: onnx.ModelProto, *, shown: bool) -> onnx.ModelProto:
    """The model with a number beyond fp16 before its head, and the same answers in fp32: scaled up and down again, or cut off and of no account."""
    other = copy.deepcopy(model)
    head = next(node for node in other.graph.node if node.op_type == "Gemm")
    given, result = head.input[0], "scaled back" if shown else "unmoved"
    constants = {"up": 6e4, "down": 1 / 6e4, "none": 0.0, "six": 6.0}
    other.graph.initializer.extend(numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items())
    up = helper.make_node("Mul", [given, "up"], ["scaled up"])
    nodes = [up, helper.make_node("Mul", ["scaled up", "down"], [result])]
    if not shown:
        cut = [helper.make_node("Clip", ["scaled up", "none", "six"], ["cut"]), helper.make_node("Mul", ["cut", "none"], ["nothing"])]
        nodes = [up, *cut, helper.make_node("Add", [given, "nothing"], [result])]
    head.input[0] = result
    at = list(other.graph.node).index(head)
    for place, node in enumerate(nodes):
        other.graph.node.insert(at + place, node)
    return other


def test_an_fp16_overflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: onnx.ModelProto) -> None:
    """A converter that takes no notice of large numbers: the tensor that leaves fp16's range is named."""
    given(monkeypatch, scaled_inside(trained, shown=True))
    monkeypatch.setattr(files, "to_fp16", lambda model, *args, **wishes: (halved(model), []))
    with pytest.raises(EdgekdError, match=r"scaled up \(Mul\)") as error:
        run(network(), tmp_path, "fp16")
    assert "fp16 overflow" in str(error.value)
    assert names(tmp_path)[:2] == ["student-toy-fp16.onnx.rejected", "student-toy-fp16.onnx.rejected.json"]
    report = rejected(tmp_path, "fp16")
    assert report.drift is not None
    assert report.drift.first is not None
    assert (report.drift.cause, report.drift.first.layer) == ("overflow", "scaled up")


def test_an_fp16_overflow_that_no_answer_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: onnx.ModelProto) -> None:
    """The file answers as before, and is refused all the same."""
    given(monkeypatch, scaled_inside(trained, shown=False))
    monkeypatch.setattr(files, "to_fp16", lambda model, *args, **wishes: (halved(model), []))
    message = r"toy-fp16\.onnx has an fp16 overflow: fp16 holds numbers up to 65504, and scaled up \(Mul\) reaches \S+\. A CPU need not show it"
    with pytest.raises(EdgekdError, match=message):
        run(network(), tmp_path, "fp16")


def test_a_calibration_on_noise(tmp_path: Path) -> None:
    """Random pixels are no training images: refused before anything is written."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match=r"these look like noise: neighbouring pixels go together by \S+, in the images that files are checked on"):
        run(network(), tmp_path, "int8", calibration=noise)
    with pytest.raises(UsageError, match="these look like blanks"):
        run(network(), tmp_path, "int8", calibration=np.full((32, 8, 8, 3), 7, np.uint8))
    assert names(tmp_path) == []


def test_what_is_no_noise() -> None:
    """Pictures beside pictures pass, and so does noise where all images are noise."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)
    assert together(pixels(32)) > 0.7
    assert abs(together(noise)) < 0.1
    refuse_noise(pixels(32, 1), pixels(16, 2))
    refuse_noise(noise, noise[:7])


def test_a_calibration_on_images_prepared_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: onnx.ModelProto) -> None:
    """Images of a twentieth of their contrast give ranges that the real ones leave: refused by its name, though the toy's answers bear it."""
    monkeypatch.setattr(files, "Quantiser", lambda model, images, *args: Quantiser(model, images / 20, *args))
    given(monkeypatch, trained)
    with pytest.raises(
        EdgekdError, match=r"toy-int8-cpu\.onnx was calibrated wrongly, whatever it answers here: 9\d % of the numbers of images"
    ) as error:
        run(network(), tmp_path, "int8")
    told = str(error.value)
    assert "which int8 was calibrated to: on other images than these, or on images prepared otherwise. Export without int8" in told
    assert "It differs first at images (input), off by 0." in told
    report = rejected(tmp_path, "int8-cpu")
    assert report.drift is not None
    assert report.drift.first is not None
    assert (report.drift.cause, report.drift.first.layer) == ("calibration", "images")
    assert (report.drift.first.clipped or 0) > 0.5


def test_a_file_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: onnx.ModelProto) -> None:
    """A batch that was baked in: which layer is at fault cannot be told, and that is said; the file is kept all the same."""
    fixed = copy.deepcopy(trained)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    given(monkeypatch, fixed)
    with pytest.raises(EdgekdError, match=r"does not run at batch 1: .* Which layer that comes from cannot be told: "):
        run(network(), tmp_path)
    report = rejected(tmp_path, "fp32")
    assert (report.drift, report.parity) == (None, None)
