"""export/onnx.py: what torch's exporter is asked, and what it is not let through with."""

import logging
import warnings
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.export import onnx as subject
from edgekd.export.onnx import to_onnx
from edgekd.models.load import build
from tests.export.nets import Toy

SHAPE = (3, 8, 8)


def test_names_opset_and_open_batch() -> None:
    """Input images, output logits, the opset as asked, a batch with a name."""
    model = subject.to_onnx(Toy(), SHAPE, opset=18, batch=None)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["images", "logits"]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_param, [dim.dim_value for dim in dims[1:]]) == ("batch", [3, 8, 8])


def test_how_weights_lie_in_memory_leaves_the_file_as_it_is() -> None:
    """Channels last is for training: which way a network learnt is chosen by the clock, and its file must not depend on that."""
    torch.manual_seed(0)
    body = build("resnet8", classes=4, shape=(8, 8, 3)).body.eval()
    plain = to_onnx(body, (3, 8, 8), opset=20, batch=None)
    last = to_onnx(body.to(memory_format=torch.channels_last), (3, 8, 8), opset=20, batch=None)
    assert last.SerializeToString(deterministic=True) == plain.SerializeToString(deterministic=True)
    assert body.get_parameter("conv1.weight").is_contiguous(memory_format=torch.channels_last)


def test_quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed or logged, no warning leaves, and loggers keep their levels."""
    before = [logging.getLogger(name).level for name in subject._LOGGERS]
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        subject.to_onnx(Toy(), SHAPE, opset=20, batch=None)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert [logging.getLogger(name).level for name in subject._LOGGERS] == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float) -> None:
    """A network that diverged is refused by the name of its tensor."""
    net = Toy()
    with torch.no_grad():
        net.head.weight[1, 2] = value
    with pytest.raises(EdgekdError, match=r"weights must be finite, and 1 of 32 values of head\.weight are not"):
        subject.to_onnx(net, SHAPE, opset=20, batch=None)


class Baked(nn.Module):
    """Works for two images only."""

    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(2, 192)[:, :4]


def test_a_batch_that_is_baked_in() -> None:
    """torch exports a forward that holds for its example's batch alone, without a word; here it is refused."""
    with pytest.raises(EdgekdError, match=r"the forward of Baked works for a batch of 2 only\. Rewrite"):
        subject.to_onnx(Baked(), SHAPE, opset=20, batch=None)


class Branching(nn.Module):
    """Asks its own numbers which way to go."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


def test_a_forward_that_torch_cannot_trace() -> None:
    """Control flow on values is refused in one line, without the exporter's pages of advice."""
    with pytest.raises(EdgekdError, match=r"torch cannot export Branching to ONNX") as caught:
        subject.to_onnx(Branching(), SHAPE, opset=20, batch=None)
    assert len(str(caught.value)) < 500


def test_a_model_that_is_no_onnx() -> None:
    """The checker's refusal names the file and another opset to try."""
    model = onnx.helper.make_model(
        onnx.helper.make_graph([onnx.helper.make_node("Relu", ["nothing"], ["y"])], "odd", [], []), opset_imports=[onnx.helper.make_opsetid("", 20)]
    )
    with pytest.raises(EdgekdError, match=r"toy\.onnx is not valid ONNX: .*Export it with another opset"):
        subject.checked(model, "toy.onnx")


def test_another_opset_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch wrote is read back: a file of another opset is not passed off as the one asked for."""

    def other(model: onnx.ModelProto) -> onnx.ModelProto:
        model.opset_import[0].version = 19
        return model

    monkeypatch.setattr(subject, "slim", other)
    with pytest.raises(EdgekdError, match="opset 20 was asked for and torch wrote 19"):
        subject.to_onnx(Toy(), SHAPE, opset=20, batch=None)


def test_more_than_one_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of 2 GiB and more is refused with its size."""
    monkeypatch.setattr(subject, "LARGEST", 100)
    with pytest.raises(EdgekdError, match=r"weights take \d+ bytes, one ONNX file holds 2 GiB"):
        subject.to_onnx(Toy(), SHAPE, opset=20, batch=None)


def test_describe_replaces_what_was_there() -> None:
    """Old metadata, inner shapes and unused domains go; the new metadata stays."""
    model: Any = subject.to_onnx(Toy(), SHAPE, opset=20, batch=None)
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.helper.set_model_props(model, {"old": "1"})
    subject.describe(model, {"new": "2"})
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("new", "2")]
    assert [entry.domain for entry in model.opset_import] == [""]
    assert len(model.graph.value_info) == 0
