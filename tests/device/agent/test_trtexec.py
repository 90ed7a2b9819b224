"""device/agent/trtexec.py: command lines of 10 and 11, and a made-up tool that is run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from edgekd.device.agent import onnxfile, trtexec
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import trtexec as made_up
from tests.device.nets import passing

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
