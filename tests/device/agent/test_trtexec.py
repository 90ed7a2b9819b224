"""device/agent/trtexec.py: command lines of 10 and 11, published logs (public/) and made-up ones (synthetic/), and a made-up tool that is run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from edgekd.device.agent import onnxfile, trtexec
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import trtexec as made_up
from tests.device.nets import passing

LOGS = Path(__file__).parent / "synthetic"
PUBLIC = Path(__file__).parent / "public"
ROW = {"h2dMs": 0.1, "computeMs": 1.0, "d2hMs": 0.05, "latencyMs": 1.15}
SHAPES = {"x": (2, 3), "y": (2,)}
TIMED: dict[str, Any] = {"warm_ms": 20.5, "min_ms": 1200, "min_runs": 10, "shapes": SHAPES}


@pytest.mark.parametrize(("major", "typed"), [(10, ["--stronglyTyped"]), (11, [])])
def test_the_command_that_builds(major: int, typed: list[str]) -> None:
    """Strongly typed by an option in 10, by nature in 11; nothing is run."""
    shapes = [{"x": [n, 3]} for n in (1, 2, 8)]
    layers = ["--profilingVerbosity=detailed", "--exportLayerInfo=f.engine.layers"]
    assert trtexec.build_command("trtexec", major, "f.onnx", "f.engine", shapes, 2**30, "t.cache") == [
        *("trtexec", "--onnx=f.onnx", "--saveEngine=f.engine", "--skipInference", *layers, *typed),
        *("--minShapes=x:1x3", "--optShapes=x:2x3", "--maxShapes=x:8x3", "--memPoolSize=workspace:1024M", "--timingCacheFile=t.cache"),
    ]
    fixed = trtexec.build_command("t", major, "f.onnx", "f.engine", [{}, {}, {}])
    assert fixed == ["t", "--onnx=f.onnx", "--saveEngine=f.engine", "--skipInference", *layers, *typed]


@pytest.mark.parametrize(
    ("major", "graph", "spin", "words"),
    [
        (10, True, True, ["--useCudaGraph", "--useSpinWait"]),
        (10, False, False, []),
        (10, False, True, ["--useSpinWait"]),
        (11, True, True, ["--includeDataTransfers"]),
        (11, False, False, ["--includeDataTransfers", "--noCudaGraph", "--noSpinWait"]),
        (11, True, False, ["--includeDataTransfers", "--noSpinWait"]),
    ],
)
def test_the_command_that_times(major: int, graph: bool, spin: bool, words: list[str]) -> None:
    """What 11 turned round is said in full, so that both time the same."""
    assert trtexec.time_command("trtexec", major, "f.engine", "t.json", graph=graph, spin=spin, **TIMED) == [
        *("trtexec", "--loadEngine=f.engine", "--exportTimes=t.json", "--warmUp=21", "--duration=2", "--iterations=10", "--shapes=x:2x3,y:2", *words)
    ]
    streams = trtexec.time_command("trtexec", major, "e", "t", graph=graph, spin=spin, streams=2, **{**TIMED, "shapes": {}})
    assert "--infStreams=2" in streams
    assert not any(word.startswith("--shapes") for word in streams)


def test_a_log_of_10() -> None:
    """Every figure of its summary, the warnings apart; a series whose name ends another's is not taken for it."""
    said = trtexec.parse_log((LOGS / "trtexec-10.3.txt").read_text())
    assert (said["version"], said["passed"], said["throughput"], said["load_s"], said["walltime_s"]) == ("10.3.0", True, 812.25, 0.0213, 3.0028)
    assert said["latency_ms"] == {"min": 1.2002, "max": 1.98315, "mean": 1.23456, "median": 1.22888, "p90": 1.25, "p95": 1.27, "p99": 1.5}
    assert (said["to_gpu_ms"]["median"], said["compute_ms"]["median"], said["from_gpu_ms"]["median"]) == (0.0410156, 1.18, 0.00500488)
    assert (said["enqueue_ms"]["p99"], said["compute_s"]) == (0.012, 2.89)
    assert said["warnings"] == ["The timings below are of a made-up board.", "* GPU compute time is unstable, with coefficient of variance = 3.1%."]
    assert said["errors"] == []


def test_a_published_summary() -> None:
    """Of 10, from a public thread: every series by its own name, and the totals."""
    said = trtexec.parse_log((PUBLIC / "summary.txt").read_text())
    assert (said["throughput"], said["walltime_s"], said["compute_s"]) == (130.298, 3.00082, 2.96536)
    assert said["latency_ms"] == {"min": 5.38672, "max": 13.3664, "mean": 7.60628, "median": 7.16092, "p90": 10.2996, "p95": 10.8698, "p99": 12.9675}
    assert (said["enqueue_ms"]["mean"], said["to_gpu_ms"]["min"]) == (7.63062, 0.0065918)
    assert (said["compute_ms"]["p99"], said["from_gpu_ms"]["max"]) == (12.9485, 0.110596)
    assert (said["version"], said["passed"], said["warnings"], said["errors"]) == (None, None, [], [])


def test_a_published_summary_that_is_cut_off() -> None:
    """Of an AGX Orin: averages on the way are no summary, and of a torn line what stands in full is taken."""
    said = trtexec.parse_log((PUBLIC / "summary-orin.txt").read_text())
    assert (said["throughput"], said["latency_ms"]["median"], said["enqueue_ms"]["p99"]) == (208.729, 4.83752, 0.384033)
    assert said["to_gpu_ms"] == {"min": 0.0480957, "max": 0.0679321, "mean": 0.0507424, "median": 0.050293, "p90": 0.052002, "p95": 0.0533447}
    assert not {"compute_ms", "from_gpu_ms", "walltime_s"} & set(said)


@pytest.mark.parametrize(
    ("file", "version"),
    [("options-orin", "10.3.0"), ("options-windows", "10.8.0"), ("run-windows", "10.2.0"), ("device-orin", None)],
)
def test_published_beginnings(file: str, version: str | None) -> None:
    """A build number, a Windows path, a board that thinks it is 1970: the version is read where it stands, and nothing is made up."""
    said = trtexec.parse_log((PUBLIC / f"{file}.txt").read_text())
    assert said == {"version": version, "passed": None, "warnings": [], "errors": []}


def test_a_log_of_11() -> None:
    """Of a build alone; what it does not say is not there."""
    said = trtexec.parse_log((LOGS / "trtexec-11.1.txt").read_text())
    assert (said["version"], said["passed"], said["build_s"]) == ("11.1.0", True, 41.75)
    assert "latency_ms" not in said


@pytest.mark.parametrize(("word", "version"), [("v8601", "8.6.1"), ("v100300", "10.3.0"), ("v101602", "10.16.2"), ("v110100", "11.1.0")])
def test_versions(word: str, version: str) -> None:
    """Four digits before 10, six since."""
    assert trtexec.version_of(f"&&&& RUNNING TensorRT.trtexec [TensorRT {word}] [b10] # trtexec") == version
    assert trtexec.version_of("nothing of the sort") is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """A torn or foreign log is no exception."""
    said = trtexec.parse_log((LOGS / "trtexec-10.3.txt").read_text()[: len(text) * 7] + text)
    assert isinstance(said["warnings"], list)


def test_windows_line_ends() -> None:
    """Read alike."""
    text = (LOGS / "trtexec-10.3.txt").read_text()
    assert trtexec.parse_log(text.replace("\n", "\r\n")) == trtexec.parse_log(text)


def test_exported_times() -> None:
    """Raw samples, and what each is made of."""
    assert trtexec.parse_times(json.dumps([ROW, {**ROW, "latencyMs": 2}])) == {
        **{"samples": [1.15, 2.0], "to_gpu": [0.1, 0.1], "compute": [1.0, 1.0], "from_gpu": [0.05, 0.05]},
    }


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[]", "[1]", '[{"latencyMs": 1}]', *(json.dumps([{**ROW, "latencyMs": value}]) for value in (None, "x", float("nan")))]
)
def test_times_that_do_not_read(text: str) -> None:
    """Refused, never a number out of nothing."""
    with pytest.raises(RefusedError, match="the times that trtexec exported"):
        trtexec.parse_times(text)


def test_a_tool_that_is_run(tmp_path: Path) -> None:
    """Built, loaded, timed and asked for throughput; what it cannot do is refused with the line that helps."""
    tool, said = str(made_up(tmp_path)), onnxfile.read(str(passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])})))
    told, out = trtexec.version(tool), tmp_path / "f.engine"
    assert told == "10.3.0"
    shapes = [{"x": [n, 3]} for n in (1, 1, 8)]
    built = trtexec.build(tool, told, "f.onnx", str(out), shapes, workspace=None, timings=None, limit_s=60, beat=lambda: None)
    assert built == {"seconds": 12.5, "kernels": [{"name": "double y + add", "kind": "", "precision": ""}], "warnings": []}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["f.engine", "f.onnx", "trtexec"]
    assert json.loads(out.read_text())["maxShapes"] == "x:8x3"
    model = trtexec.Model(tool, told, str(out), said, graph=True, spin=False)
    assert (model.load_ms, model.first(), model.first()) == (250.0, 1.15, None)
    found = model.timed(2, {}, warm_ms=1, min_ms=1, min_runs=3, max_ms=10)
    assert found["samples"] == pytest.approx([1.15, 1.151, 1.152])
    assert found["compute"] == pytest.approx([1.0, 1.001, 1.002])
    assert model.flow(8, {}, min_ms=10, streams=2) == 8 * 800.5
    with pytest.raises(RefusedError, match=r"trtexec answers no images\. Install TensorRT's Python bindings there: sudo apt install"):
        model.run({})
    with pytest.raises(RefusedError, match="trtexec keeps no camera's pace"):
        model.timed(1, {}, warm_ms=1, min_ms=1, min_runs=1, max_ms=10, period_ms=33)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('print("[11/26/2026-13:00:00] [E] Error: no memory"); raise SystemExit(1)', "trtexec failed with code 1: Error: no memory"),
        ('print("&&&& FAILED TensorRT.trtexec [TensorRT v100300]")', "trtexec failed with code 0: &&&& FAILED"),
        ("import os; os.abort()", "trtexec failed with code -6: it said nothing"),
        ("import time; time.sleep(60)", "trtexec must end within 0 s and did not; it was ended"),
    ],
)
def test_a_tool_that_fails(script: str, message: str) -> None:
    """By its own words, and never longer than it may."""
    beats: list[None] = []
    with pytest.raises(RefusedError, match=message):
        trtexec.run([sys.executable, "-c", script], 0.2 if "sleep" in script else 60.0, lambda: beats.append(None))


def test_no_tool(tmp_path: Path) -> None:
    """One that is not there, and one that is something else."""
    with pytest.raises(RefusedError, match="trtexec does not start"):
        trtexec.version(str(tmp_path / "odd"))
    with pytest.raises(RefusedError, match="does not say which TensorRT it belongs to"):
        trtexec.version("true")
    with pytest.raises(RefusedError, match=r"TensorRT 10 or newer, and this is 8\.6\.1"):
        trtexec.version(str(made_up(tmp_path, "v8601")))


def test_it_says_that_it_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that takes half an hour is not taken for dead."""
    monkeypatch.setattr(trtexec, "BEAT_S", 0.05)
    beats: list[None] = []
    trtexec.run([sys.executable, "-c", "import time; time.sleep(0.4)"], 60, lambda: beats.append(None))
    assert beats
