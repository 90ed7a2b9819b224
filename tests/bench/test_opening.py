"""bench/opening.py and bench/runtimes.py: other runtimes than ONNX Runtime, from a target's words to a report: OpenVINO for real, engines on a
machine whose GPU and TensorRT are made up."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from onnx import TensorProto

from edgekd import target
from edgekd.bench import Bench, Plan, answering, bench, opening, sustain
from edgekd.bench.duel import by
from edgekd.bench.operators import Node, layers_of
from edgekd.bench.plan import Way
from edgekd.bench.runtimes import beside_each_other
from edgekd.bench.where import target_of
from edgekd.budget.figures import Ask, speedup
from edgekd.device.host import connect
from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.events import Event, Note, Progress, silent
from edgekd.measurements import Launch, Measurement, Timing
from edgekd.preprocess import Preprocess
from edgekd.record import Artifact, Report
from edgekd.report.columns import tables
from edgekd.report.text import text
from edgekd.target import Target
from tests.device.agent import gpu
from tests.device.nets import aim, artifact, heavy, passing
from tests.needs import need_package

TINY = Plan(launches=1, rounds=2, block_ms=4, block_runs=3, warm_ms=1, flow_ms=150, duels=2, duel_ms=20)
MAX_S = 60.0
ORIN = "jetson-orin-nano"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a driver."""
    folder = tmp_path_factory.mktemp("gpu")
    gpu.compiled(folder)
    return folder


@pytest.fixture
def orin(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine with a GPU and TensorRT; the file that is measured there."""
    gpu.offered(machine, monkeypatch)
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    return passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])})


def test_what_an_agent_is_told() -> None:
    """Of ONNX Runtime no more than ever; other runtimes by name, with the shape to prepare for; engines with what they were built for."""
    way = Way(dims={"h": 4}, batches=(1, 32))
    assert opening.wishes(target.load("cpu"), way) == {"provider": "CPUExecutionProvider"}
    assert opening.wishes(target.load("cpu-openvino"), way) == {"provider": "CPU", "runtime": "openvino", "batch": 1, "dims": {"h": 4}}
    told = opening.wishes(target.load(ORIN), way, shape=False)
    assert told == {"provider": "TensorRT", "runtime": "tensorrt", "batches": (1, 1, 32), "graph": True, "spin": True, "workspace": None}
    assert opening.batches(target.load(ORIN), Way()) == (1, 1, 8)


def reported(found: Bench, *files: Path) -> str:
    """The report's tables."""
    known = [artifact(file)[0] for file in files]
    return text(
        Report(edgekd="0", name="p", created="", artifacts=known, measurements=found.measurements, ratios=found.ratios, hosts=found.hosts), width=200
    )


@pytest.mark.slow
def test_two_runtimes_side_by_side(tmp_path: Path) -> None:
    """A file by both, with the ratio of its latencies, which no limit takes for a ratio of two files."""
    need_package("openvino")
    (tmp_path / "own.toml").write_text((target.folder() / "cpu-openvino.toml").read_text().replace("threads = 0", "threads = 1"))
    file = heavy(tmp_path / "a.onnx")
    found = bench(
        [artifact(file)], {aim(tmp_path): "local", str(tmp_path / "own.toml"): "local"}, plan=TINY, max_s=MAX_S, layers=True, beside=True
    )  # fmt: skip
    assert [(each.target, each.runtime, each.provider) for each in found.measurements] == [
        *(("quiet", "onnxruntime", "CPUExecutionProvider"), ("own", "openvino", "CPU")),
    ]
    for each in found.measurements:
        assert min(each.timing.samples) > 0
        assert each.throughput is not None
        assert each.layer_times
    assert {"onnxruntime", "openvino"} <= found.hosts["local"].runtimes.keys()
    (ratio,) = found.ratios
    assert (ratio.target, ratio.against_target, len(ratio.launches)) == ("own", "quiet", 2)
    assert 0.02 < ratio.value < 50
    assert "× quiet" in reported(found, file)


def test_a_runtime_over_another_is_no_file_over_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where both measured a file at one batch: a ratio of its own, which no limit on a speedup takes for one; another batch is not compared."""
    held: list[Any] = []

    class Played:
        def __init__(self, session: object, what: Target, *, rival: Target, **rest: object) -> None:
            self.names, self.rival = (what.name, rival.name), rival

        def hold(self, files: Mapping[str, Path], **rest: object) -> None:
            held.append((*self.names, list(files)))
            self.launches = [{**{name: [2.0, 4.0] for name in files}, **{by(self.rival, name): [1.0, 2.0] for name in files}}] * 2

    monkeypatch.setattr("edgekd.bench.runtimes.Duel", Played)
    files = [artifact(tmp_path / f"{name}.onnx") for name in ("a", "b")]
    first, second = target.load("cpu"), target.load("cpu-openvino")
    targets = [first, msgspec.structs.replace(second, name="of two", batch=2), second, target.load(ORIN)]
    measured = [measurement(files[0][0], what) for what in targets] + [measurement(files[1][0], first)]
    found = Bench(measured, [], {}, {})
    beside_each_other(found, cast(Session, SimpleNamespace(now=lambda: 0.0)), targets, files, plan=TINY, way=Way(), emit=silent)
    assert held == [("cpu", "cpu-openvino", [files[0][0].name])]
    (ratio,) = found.ratios
    assert (ratio.artifact, ratio.against, ratio.target, ratio.against_target, ratio.value) == (*[files[0][0].name] * 2, "cpu-openvino", "cpu", 0.5)
    report = Report(edgekd="0", name="p", created="", artifacts=[each for each, _ in files], measurements=found.measurements, ratios=found.ratios)
    assert speedup(Ask(report, files[0][0], "cpu-openvino", files[0][0].name)) == (1.0, 1.0, 1.0)
    (head,) = [column for table in tables(report) for column in table.columns if column.head == "× cpu"]
    assert head.cells == ["2.00×"]


def measurement(which: Artifact, what: Target) -> Measurement:
    """A millisecond."""
    timing = Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[1.0] * 3])])
    known: dict[str, Any] = {"host": "local", "runtime": what.runtime, "provider": what.provider}
    return Measurement(artifact=which.name, target=what.name, batch=what.batch, threads=1, timing=timing, **known)


def test_an_engine_is_built_timed_and_described(orin: Path) -> None:
    """Built on the device by what is there, told of while it is, kept for the next time; copies apart from the work."""
    events: list[Event] = []
    found = bench([artifact(orin)], {ORIN: "local"}, plan=TINY, max_s=MAX_S, layers=True, emit=events.append)
    assert any(isinstance(event, Progress) and event.what.startswith(f"building f.onnx for {ORIN}: Building Engine") for event in events)
    (measured,) = found.measurements
    engine = measured.engine
    assert engine is not None
    assert (engine.library, engine.version, engine.by, engine.gpu, engine.batches) == ("tensorrt", "10.3.0", "python", "Fake GPU 8 (8.7)", [1, 1, 8])
    assert (engine.cached, engine.cuda_graph, engine.graph_reason, engine.spin_wait) == (False, True, None, True)
    assert (set(engine.to_gpu_ms), set(engine.compute_ms), set(engine.from_gpu_ms)) == ({0.25}, {2.0}, {0.25})
    assert (measured.runtime, measured.provider, found.hosts["local"].runtimes["tensorrt"]) == ("tensorrt", "tensorrt", "10.3.0")
    assert measured.throughput is not None
    assert any("its layers were not timed" in doubt for doubt in measured.doubts)
    assert "CUDA graph and spin-wait" in reported(found, orin)
    assert "GPU work" in reported(found, orin)
    with connect("local") as session:
        assert opening.build(session, target.load(ORIN), orin, Way(), events.append)["cached"]


def test_how_much_memory_a_builder_may_use_is_the_targets(orin: Path, tmp_path: Path) -> None:
    """The engine is built so, opened by the same wish, and its table says it."""
    own = tmp_path / "own.toml"
    own.write_text("workspace = 1048576\n" + (target.folder() / f"{ORIN}.toml").read_text())
    (measured,) = bench([artifact(orin)], {str(own): "local"}, plan=TINY, max_s=MAX_S).measurements
    assert measured.engine is not None
    (table,) = (tmp_path / "cache").rglob("*.engine.json")
    assert json.loads(table.read_text())["workspace"] == 2**20


@pytest.mark.slow
def test_engines_are_compared_in_turn_and_under_load(orin: Path, tmp_path: Path) -> None:
    """As files of any runtime are."""
    other = passing(tmp_path / "g.onnx", {"x": (TensorProto.FLOAT, ["n", 3])})
    files = [artifact(orin), artifact(other)]
    found = bench(files, {ORIN: "local"}, pairs=[(files[1][0].name, files[0][0].name)], plan=TINY, max_s=MAX_S)
    assert [(each.target, len(each.launches)) for each in found.ratios] == [(ORIN, 2)]
    (load,) = sustain([(*files[0], ORIN)], {ORIN: "local"}, seconds=0.2)
    assert load.moments


@pytest.mark.slow
def test_by_trtexec(orin: Path, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no TensorRT: its own samples, with the same words about them; what it cannot do is a failure of that alone."""
    (tmp_path / "bin").mkdir()
    gpu.trtexec(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (machine / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    files = [artifact(orin), artifact(passing(tmp_path / "g.onnx", {"x": (TensorProto.FLOAT, ["n", 3])}))]
    found = bench(files, {ORIN: "local"}, pairs=[(files[1][0].name, files[0][0].name)], plan=TINY, max_s=MAX_S)
    measured = found.measurements[0]
    assert measured.engine is not None
    assert (measured.engine.by, measured.engine.build_s, measured.provider) == ("trtexec", 12.5, "trtexec")
    assert measured.timing.launches[0].load_ms == 250.0
    assert min(measured.timing.samples) == 1.15
    assert measured.throughput == 8 * 800.5
    assert found.failures == {
        f"ratios on {ORIN}": "trtexec does not take turns with others. Install TensorRT's Python bindings there: sudo apt install python3-libnvinfer"
    }


@pytest.mark.parametrize(
    ("changes", "doubts"),
    [
        ({}, []),
        ({"graph_reason": "cuStreamEndCapture failed"}, ["it is launched without a CUDA graph, though one was wanted: cuStreamEndCapture failed"]),
        ({"to_gpu_ms": [0.2, 0.9]}, ["copies to and from the GPU take 0.650 ms, its work 0.500 ms"]),
    ],
)
def test_what_of_an_engine_is_doubted(changes: dict[str, Any], doubts: list[str]) -> None:
    """A graph that could not be, and copies that take longer than the work."""
    table = {
        "library": "tensorrt",
        "version": "10.3.0",
        "by": "python",
        "gpu": "g",
        "sha256": "",
        "size": 1,
        "cached": False,
        "batches": (1, 1, 8),
        "seconds": 1,
    }
    parts = {"to_gpu": [0.1], "compute": [0.5], "from_gpu": [0.1], "graph": True, "graph_reason": None, "spin": True}
    engine = opening.engine_run(table, parts)
    assert list(opening.engine_doubts(msgspec.structs.replace(engine, **changes))) == doubts


def test_what_openvino_calls_a_layer() -> None:
    """Its FullyConnected is the file's MatMul."""
    node = Node("x1", "MatMul", ("x0", "w"), ("x1",))
    assert layers_of([("x1", "FullyConnected")], [node], {"x1"}) == ["x1"]


def test_no_gpu_and_no_tensorrt(tmp_path: Path) -> None:
    """In words, with what to install."""
    file = artifact(passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])}))
    with pytest.raises(DeviceError, match=r"there is no tensorrt for Python here .* On a Jetson: sudo apt install"):
        bench([file], {ORIN: "local"}, plan=TINY, max_s=MAX_S)


def test_the_target_that_fits_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is a Jetson by its words is measured as one only where its runtime is there; else as a CPU, and why is said."""
    monkeypatch.setattr(target, "fitting", lambda machine: [target.load(ORIN)])
    notes: list[Event] = []
    assert target_of("local", emit=notes.append) == "cpu"
    (note,) = notes
    assert isinstance(note, Note)
    assert "measured as cpu (it fits jetson-orin-nano too: there is no tensorrt for Python here" in note.text


@pytest.mark.slow
def test_the_engine_that_is_timed_answers(orin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that fits a target of engines: images in, that engine's logits out, and what answers is said."""
    monkeypatch.setattr(target, "fitting", lambda machine: [target.load(ORIN)])
    size = (1, 1, 4)
    file = passing(tmp_path / "logits.onnx", {"logits": (TensorProto.FLOAT, ["n", *size])})
    known = Preprocess(size=(1, 4), mean=(0.0,), std=(1.0,), colour="grey")
    monkeypatch.setattr("edgekd.device.predict._carried", lambda path, metadata: known)
    pixels = np.arange(40, dtype=np.uint8).reshape(10, 1, 4, 1)
    notes: list[Event] = []
    with connect("local") as session, answering(session, file, notes.append) as predict:
        logits = predict({"images": pixels})["logits"]
    np.testing.assert_allclose(logits, 2 * pixels.reshape(10, 4) / 255 + 1, rtol=1e-6)
    assert any(isinstance(note, Note) and "an engine of tensorrt 10.3.0 answers" in note.text for note in notes)
