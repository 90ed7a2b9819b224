"""device/agent/openvinort.py: the same files by OpenVINO, agreeing with ONNX Runtime, timed, and told of in the same words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.device.agent import apart, openvinort
from edgekd.device.agent.jobs import Desk
from edgekd.device.agent.onnxrt import Model as Reference
from edgekd.device.agent.openvinort import Model
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.session import Session
from tests.device.nets import CLASSES, classifier, heavy, passing, written
from tests.needs import need_package

WISHES: dict[str, Any] = {"provider": "CPU", "threads": 1, "runtime": "openvino"}
QUICK: dict[str, Any] = {"warm_ms": 0, "min_ms": 0, "min_runs": 5, "max_ms": 1000}


@pytest.fixture(scope="module", autouse=True)
def _package() -> None:
    """OpenVINO, which few devices have."""
    need_package("openvino")


def test_the_runtime_and_its_devices() -> None:
    """Its version by its name, and the CPU among what it can run on."""
    told = openvinort.imported()
    assert told["runtimes"]["openvino"].split(".")[0].isdigit()
    assert "CPU" in told["providers"]


@pytest.mark.parametrize("first", ["n", 4])
@pytest.mark.parametrize("batch", [None, 4])
def test_it_agrees_with_onnx_runtime(tmp_path: Path, first: int | str, batch: int | None) -> None:
    """In inputs, outputs, metadata and answers, whether it was compiled for the shape or not; answers are the caller's to keep."""
    file = str(classifier(tmp_path / "f.onnx", (first, 3, 6, 4), outputs=("logits", "pixels"), metadata={"a": "b"}))
    ours, theirs = Model(file, "CPU", 1, batch=batch), Reference(file, "CPUExecutionProvider", 1, short_spin=True)
    assert (ours.inputs, ours.metadata, ours.batch) == (theirs.inputs, theirs.metadata, theirs.batch)
    assert [put["name"] for put in ours.outputs] == [put["name"] for put in theirs.outputs]
    assert ours._compiled.input(0).partial_shape.is_static == (4 in (first, batch))
    feeds = theirs.feeds(4, {}, seed=1)
    answers = ours.run(feeds)
    ours.run(theirs.feeds(4, {}, seed=2))
    for answer, wanted in zip(answers, theirs.run(feeds), strict=True):
        np.testing.assert_allclose(answer, wanted, rtol=1e-5, atol=1e-5)
    assert answers[0].shape == (4, CLASSES)


def test_any_batch_where_none_was_told(tmp_path: Path) -> None:
    """One image, then seven."""
    model = Model(str(classifier(tmp_path / "f.onnx")), "CPU", 1)
    for n in (1, 7):
        assert model.run(model.feeds(n, {}))[0].shape == (n, CLASSES)


def quantised(path: Path) -> Path:
    """A convolution whose images and weights are rounded to 8 bits, as `int8-cpu` files have them."""
    weights = np.random.default_rng(0).integers(-63, 64, (4, 3, 3, 3), dtype=np.int8)  # 7 bits: none saturates without VNNI
    constants: dict[str, Any] = {
        **{"w": weights, "scale": np.float32(0.03), "zero": np.uint8(128), "w_scale": np.float32(0.02), "w_zero": np.int8(0)},
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["kernel"]),
        helper.make_node("Conv", ["x", "kernel"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["y"], ["logits"]),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name, shape in (("images", (3, 8, 8)), ("logits", (4, 1, 1)))]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return written(path, helper.make_graph(nodes, "quantised", puts[:1], puts[1:], held), {})


def test_an_int8_file(tmp_path: Path) -> None:
    """What is rounded to 8 bits is computed in 8 bits, and answers are as ONNX Runtime's."""
    file = str(quantised(tmp_path / "f.onnx"))
    ours, theirs = Model(file, "CPU", 1, batch=4), Reference(file, "CPUExecutionProvider", 1, short_spin=True)
    feeds = theirs.feeds(4, {}, seed=1)
    np.testing.assert_allclose(ours.run(feeds)[0], theirs.run(feeds)[0], rtol=1e-3, atol=1e-3)
    told = [node.get_rt_info() for node in ours._compiled.get_runtime_model().get_ops()]
    assert {info["runtimePrecision"].astype(str) for info in told if "runtimePrecision" in info} & {"i8", "u8"}


def test_precision_is_the_files_own(tmp_path: Path) -> None:
    """Not bfloat16 on processors that have it."""
    model = Model(str(heavy(tmp_path / "f.onnx")), "CPU", 2)
    assert str(model._compiled.get_property("EXECUTION_MODE_HINT")).rpartition(".")[2] == "ACCURACY"
    assert model._compiled.get_property("INFERENCE_PRECISION_HINT").to_string() in ("f32", "dynamic")
    assert (model._compiled.get_property("INFERENCE_NUM_THREADS"), model._compiled.get_property("NUM_STREAMS")) == (2, 1)


def test_several_at_a_time_share_the_threads(tmp_path: Path) -> None:
    """As throughput asks for."""
    model = Model(str(heavy(tmp_path / "f.onnx")), "CPU", 2, streams=2)
    assert model._compiled.get_property("NUM_STREAMS") == 2


def test_what_it_runs_on() -> None:
    """A device that is not there is refused with those that are."""
    with pytest.raises(RefusedError, match=r"OpenVINO has no device NPU here; it has CPU"):
        Model("f.onnx", "NPU", 1)


def test_types_of_inputs(tmp_path: Path) -> None:
    """Whatever numpy has, passed on as it is; a scalar too."""
    kinds = {"b": TensorProto.UINT8, "i": TensorProto.INT64, "h": TensorProto.FLOAT16, "t": TensorProto.BOOL, "d": TensorProto.DOUBLE}
    model = Model(str(passing(tmp_path / "f.onnx", {name: (kind, ["n", 2]) for name, kind in kinds.items()})), "CPU", 1)
    feeds = model.feeds(3, {})
    for answer, array in zip(model.run(feeds), feeds.values(), strict=True):
        np.testing.assert_array_equal(answer, array)


def test_the_desk_runs_it(tmp_path: Path) -> None:
    """Opened, timed, asked for throughput and for its nodes, by the same jobs."""
    desk, file = Desk(), str(heavy(tmp_path / "f.onnx"))
    assert desk.start(runtime="openvino")["runtimes"].keys() == {"openvino"}
    told = desk.open(path=file, batch=2, dims={}, **WISHES)
    assert (told["provider"], told["threads"], told["batch"]) == ("CPU", 1, None)
    block = desk.time(batch=2, **QUICK)
    assert (len(block["samples"]), block["batch"]) == (5, 2)
    assert block["first_ms"] > 0
    assert desk.time(batch=2, **QUICK)["first_ms"] is None
    desk.open(path=file, batch=4, dims={}, streams=2, **WISHES)
    flow = desk.flow(batch=4, min_ms=20, streams=2)
    assert (flow["images_per_s"] > 0, flow["batch"], flow["streams"]) == (True, 4, 2)
    nodes = apart.profile(path=file, folder=str(tmp_path), max_ms=0, **WISHES)["nodes"]
    assert all(len(node["us"]) == 1 and min(node["us"]) >= 0 for node in nodes)
    assert nodes[0]["name"]  # it fuses what it can: the whole of this file


def test_images_by_the_desk(tmp_path: Path) -> None:
    """Ten in batches of four, the last not full, are answered as all at once."""
    desk, images = Desk(), np.random.default_rng(0).normal(0, 1, (10, 3, 6, 4)).astype(np.float32)
    np.save(tmp_path / "in.npy", images)
    file = str(classifier(tmp_path / "f.onnx"))
    desk.open(path=file, **WISHES)
    told = desk.predict(inputs={"images": str(tmp_path / "in.npy")}, output="logits", folder=str(tmp_path), batch=4)
    whole = Reference(file, "CPUExecutionProvider", 1, short_spin=True).run({"images": images})[0]
    np.testing.assert_allclose(np.load(told["outputs"]["logits"]), whole, rtol=1e-5, atol=1e-5)


def test_two_runtimes_in_turn(session: Session, tmp_path: Path) -> None:
    """As many samples of each file by each, the rival's behind the others."""
    paths = [str(heavy(tmp_path / name)) for name in ("f.onnx", "g.onnx")]
    wishes: dict[str, Any] = {"provider": "CPUExecutionProvider", "threads": 1, "min_ms": 0, "min_turns": 3, "max_ms": 60_000}
    with session.start() as agent:  # whose process has one pool of threads from then on
        told = agent.ask("duel", paths=paths, rival={"runtime": "openvino", "provider": "CPU"}, **wishes)
    assert [len(samples) for samples in told["samples"]] == [3] * 4
    assert min(map(min, told["samples"])) > 0
