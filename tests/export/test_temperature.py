"""A temperature in the last layer of an export: what it divides, what it says, and which networks cannot take it."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgekd.device.predict import prepare
from edgekd.errors import UsageError
from edgekd.events import silent
from edgekd.export import export
from edgekd.models.heads import divide_head
from edgekd.models.network import Network
from edgekd.recipe import Export
from edgekd.record import Artifact
from tests.export.nets import CLASSES, MACS, PARAMS, PREPROCESS, Toy, network, pixels


def run(net: Network, folder: Path, temperature: float | None, settings: Export | None = None) -> list[Artifact]:
    return export(
        net, folder, role="student", name="toy", classes=CLASSES, settings=settings or Export(), calibration=pixels(128, 1), parity=pixels(16, 2),
        temperature=temperature, emit=silent,
    )  # fmt: skip


@pytest.mark.parametrize("temperature", [0.05, 2.5])
def test_every_file_answers_the_logits_over_the_temperature(tmp_path: Path, temperature: float) -> None:
    """In each precision; no answer of fp32 changes, nor does its size, and the network stays as it was."""
    net = network()
    images = pixels(20, 3)
    wanted = net.predict({"images": images})["logits"] / temperature
    artifacts = run(net, tmp_path, temperature)
    for artifact, bound in zip(artifacts, (1e-5, 1e-2, 0.2), strict=True):
        session = onnxruntime.InferenceSession(tmp_path / artifact.path, providers=["CPUExecutionProvider"])
        logits = np.asarray(session.run(["logits"], {"images": prepare(images, PREPROCESS)})[0])
        assert np.abs(logits - wanted).max() < bound * wanted.std()
        assert (artifact.temperature, artifact.params, artifact.macs) == (temperature, PARAMS, MACS)
        metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / artifact.path).metadata_props}
        assert json.loads(metadata["edgekd.temperature"]) == temperature
    assert np.array_equal(net.predict({"images": images})["logits"] / temperature, wanted)


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    """Neither in the artifact nor in the file."""
    (artifact,) = run(network(), tmp_path, None, Export(precisions=("fp32",)))
    assert artifact.temperature is None
    assert "edgekd.temperature" not in {entry.key for entry in onnx.load(tmp_path / artifact.path).metadata_props}


class Bent(Toy):
    """Bends its logits after the last layer."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(super().forward(images))


def test_a_network_that_goes_on_after_its_head_is_refused(tmp_path: Path) -> None:
    """Its logits would not be those over T; nothing is written."""
    with pytest.raises(UsageError, match="a temperature is folded into the linear layer that gives the logits, and toy does something else after"):
        run(network(Bent), tmp_path, 3.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_is_divided_with_its_bias(bias: bool) -> None:
    """A linear layer or a 1×1 convolution, and nothing before it."""
    for body in (
        nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.Linear(5, 4, bias=bias)),
        nn.Sequential(nn.Conv2d(3, 4, 1, bias=bias), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ):
        images = torch.rand(2, 3, 4, 4)
        before: Tensor = body(images)
        divide_head(body, 4, 2.0)
        torch.testing.assert_close(body(images), before / 2)
    with pytest.raises(UsageError, match="a head is a linear layer or 1×1 convolution with 7 outputs"):
        divide_head(nn.Sequential(nn.Linear(3, 4)), 7, 2.0)
