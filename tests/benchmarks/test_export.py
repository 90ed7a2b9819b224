"""Tests of benchmarks/export.py."""

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import export as exporting
from benchmarks import runtimes
from edgekd.models.load import build


def _bout(times: dict[runtimes.Way, float]) -> runtimes.Bout:
    """Everybody takes just so many ms, in two launches of three rounds; all answer alike."""
    logits = np.arange(8, dtype=np.float32).reshape(4, 2)
    return runtimes.Bout({way: [[[ms, ms]] * 3] * 2 for way, ms in times.items()}, dict.fromkeys(times, logits))


def test_an_int8_that_gains_nothing_is_said_and_not_picked() -> None:
    """The target's file is held against the best of all others, and so is the faster of both runtimes' files."""
    times = {(runtimes.ORT, "fp32"): 10.0, (runtimes.ORT, "int8-cpu"): 11.0, (runtimes.OPENVINO, "fp32"): 8.0, (runtimes.EAGER, "fp32"): 20.0}
    bout = _bout(times)
    bout.failures[runtimes.COMPILED, "fp32"] = "RuntimeError: no"
    rows = {(row["runtime"], row["precision"]): row for row in exporting.compared(bout, {(runtimes.ORT, "int8-cpu"): 100})}
    int8, fp32, vino = rows[runtimes.ORT, "int8-cpu"], rows[runtimes.ORT, "fp32"], rows[runtimes.OPENVINO, "fp32"]
    assert (int8["speedup"], int8["gains"], int8["picked"], int8["size"]) == (0.909, False, False, 100)
    assert (fp32["picked"], fp32["over_best"], fp32["best_other"]) == (True, 1.25, "openvino fp32")
    assert (vino["picked_with_openvino"], vino["over_best"], vino["output_error"]) == (True, 0.8, 0.0)
    assert rows[runtimes.COMPILED, "fp32"]["failed"] == "RuntimeError: no"


def test_what_was_refused_is_no_ones_to_pick_and_a_tie_is_the_targets() -> None:
    """A refused int8 neither ships nor is the best of the others; one as fast as fp32 to a twentieth ships, as the target has it first."""
    times = {(runtimes.ORT, "fp32"): 10.0, (runtimes.ORT, "int8-cpu"): 10.4, (runtimes.OPENVINO, "fp32"): 12.0, (runtimes.OPENVINO, "int8-cpu"): 5.0}
    assert exporting.picked(_bout(times)) == ((runtimes.ORT, "int8-cpu"), (runtimes.OPENVINO, "int8-cpu"))
    refused = exporting.compared(_bout(times), {}, {"int8-cpu"})
    (one,) = [row for row in refused if row["picked"]]
    assert (one["runtime"], one["precision"], one["picked_with_openvino"], one["best_other"]) == (runtimes.ORT, "fp32", True, "openvino fp32")


@pytest.mark.parametrize(("vnni", "suffix"), [(True, ""), (False, "_without_vnni")])
def test_a_cpu_without_vnni_has_figures_of_its_own_name(vnni: bool, suffix: str) -> None:
    """The median is of the five convolutional networks, and of nothing less; what is lost and what is picked are the worst of all rows."""
    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "runtime": runtimes.ORT,
            "precision": "int8-cpu",
            "vnni": vnni,
            "speedup": gain,
            "picked_with_openvino": True,
            "over_best": 1 / gain,
        }
        for name, gain in zip(exporting.CONVOLUTIONAL, [1.9, 0.8, 1.0, 4.0, 2.0], strict=True)
    ]
    rows.append({**rows[0], "network": "resnet20", "speedup": 9.0, "drop_points": 0.3, "picked_with_openvino": False, "picked": True})
    found = exporting.figures(rows)
    assert found[f"int8_speedup_median{suffix}"] == 1.9
    assert found["int8_drop_points_max"] == 0.3
    assert found["slower_than_best_max"] == pytest.approx(0.25)
    assert found["slower_than_best_max_by_onnxruntime"] == pytest.approx(1 / 1.9 - 1)
    assert [name for name in found if name.endswith("_without_vnni")] == [name for name in found if suffix and name.startswith("int8_speedup")]
    assert found[f"int8_speedup_median_by_either{suffix}"] == 1.9
    assert f"int8_speedup_median{suffix}" not in exporting.figures(rows[1:])
    by_openvino = {**rows[1], "runtime": runtimes.OPENVINO, "speedup": 3.0, "picked_with_openvino": False}
    assert exporting.figures([*rows, by_openvino])[f"int8_speedup_median_by_either{suffix}"] == 2.0


def test_random_networks_are_settled_on_real_images() -> None:
    """BatchNorm's statistics are those of the images, so that the network tells them apart."""
    torch.manual_seed(0)
    network = build("resnet8", classes=10, shape=(32, 32, 3))
    images = np.random.default_rng(0).normal(1, 2, (64, 3, 32, 32)).astype(np.float32)
    exporting.settle(network, images)
    with torch.no_grad():
        inside = network.body.get_submodule("conv1")(torch.from_numpy(images))
    norm = network.body.get_submodule("bn1")
    assert isinstance(norm.running_mean, torch.Tensor)
    assert torch.allclose(norm.running_mean, inside.mean((0, 2, 3)), atol=1e-4)
    assert not any(module.training for module in network.modules())


def test_how_far_answers_lie_is_told_in_their_own_spread() -> None:
    """As much as their mean for every image would: 1; and nothing where they are the same."""
    before = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32) + 100
    assert exporting.error(before, before) == 0
    assert exporting.error(np.repeat(before.mean(axis=0)[None], 16, axis=0), before) == pytest.approx(1)
