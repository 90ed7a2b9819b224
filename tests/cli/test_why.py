"""edgekd export --why: where a file's bytes, MACs and time are, and what changed against another."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from edgekd.bench import why as measured
from edgekd.cli.app import app
from edgekd.errors import DeviceError

runner = CliRunner()
LONG = "/backbone/features/stage3/block5/squeeze_excitation/expand/MatMul_with_a_name_that_fills_more_than_a_line"


def two_layers(path: Path, hidden: int) -> Path:
    """16 pixels → `hidden` → 2, the first layer with a very long name."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(0, 1, (16, hidden)), "b1": np.zeros(hidden), "w2": rng.normal(0, 1, (hidden, 2)), "b2": np.zeros(2)}
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["h"], name=LONG),
        helper.make_node("Tanh", ["h"], ["t"], name="bend"),
        helper.make_node("Gemm", ["t", "w2", "b2"], ["logits"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "two layers",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a narrow and a wide file."""
    monkeypatch.chdir(tmp_path)
    two_layers(tmp_path / "wide.onnx", 64)
    two_layers(tmp_path / "narrow.onnx", 8)
    return tmp_path


def run(*typed: str) -> str:
    result = runner.invoke(app, ["export", *typed])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_file_by_its_layers(folder: Path) -> None:
    """On 80 columns, with shares; the names of layers as they stand in the file, the runtime's own operators as they ran."""
    told = run("--why", "wide.onnx")
    assert all(len(line) <= 80 for line in told.splitlines())
    assert told.startswith("wide.onnx: ")
    assert "1.22k parameters, 1.15k MACs" in told
    assert "its operators take " in told
    (first,) = [line for line in told.splitlines() if line.startswith("/backbone")]
    assert "Gemm" in first
    assert "4.35 kB  89 %" in first
    assert "1.02k  89 %" in first
    assert any(line.startswith("head") and "520 B  11 %" in line for line in told.splitlines())
    assert any("Flatten" in line for line in told.splitlines())
    assert not list(folder.glob("*.engine")) + list(folder.glob("runs"))


def test_json(folder: Path) -> None:
    """One document: the file, the other and the changes, in full."""
    told = json.loads(run("wide.onnx", "--why", "--against", "narrow.onnx", "--json"))
    parts = {part["name"]: part for part in told["file"]["parts"]}
    assert parts[LONG]["bytes"] == 4 * 17 * 64
    assert parts[LONG]["macs"] == 16 * 64
    assert parts["head"]["bytes_share"] == pytest.approx(130 / (130 + 17 * 64))
    assert sum(part["ms_share"] for part in told["file"]["parts"] if part["ms_share"] is not None) == pytest.approx(1.0)
    assert told["file"]["untimed"] is None
    assert told["against"]["file"] == "narrow.onnx"
    changed = {each["name"]: each for each in told["changes"]}
    assert changed[LONG]["before"]["bytes"] == 4 * 17 * 8
    assert changed[LONG]["after"]["bytes"] == 4 * 17 * 64
    assert any(part["own"] and part["op"] == "Flatten" for part in told["file"]["parts"])


def test_what_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greatest change first; a file that does not run is told without times, and why."""

    def refuse(*args: Any) -> None:
        raise DeviceError("the runtime refuses the file")

    monkeypatch.setattr(measured, "_timed", refuse)
    told = run("--why", "wide.onnx", "--against", "narrow.onnx")
    assert all(len(line) <= 80 for line in told.splitlines())
    assert "not timed on cpu: the runtime refuses the file" in told
    assert "against narrow.onnx: " in told
    rows = [line for line in told.splitlines() if "→" in line]
    assert "544 B → 4.35 kB" in rows[0]
    assert "128 → 1.02k" in rows[0]
    assert "time" not in told.splitlines()[7]
    assert "No layer differs." in run("--why", "wide.onnx", "--against", "wide.onnx")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("--why",), "--why takes a FILE.onnx"),
        (("wide.onnx", "--against", "narrow.onnx"), "--why takes a FILE.onnx"),
        (("--why", "wide.onnx", "--inspect"), "nothing else goes with them"),
        (("--why", "wide.onnx", "--on", "rtx-4090"), "layers are timed by ONNX Runtime on a CPU, rtx-4090 runs TensorRT-RTX"),
        (("--why", "wide.onnx", "--on", "cpu", "--on", "cpu=box"), "name it once"),
        (("--why", "recipe.toml"), "--why takes .onnx files, got recipe.toml"),
        (("--why", "wide.onnx", "--against", "wide.txt"), "--why takes .onnx files, got wide.txt"),
        (("--why", "none.onnx"), "no file at none.onnx"),
        (("--why", "broken.onnx"), "broken.onnx is not an ONNX model"),
    ],
)
def test_what_has_no_why(folder: Path, typed: tuple[str, ...], message: str) -> None:
    """Said in the user's words, as wrong usage."""
    (folder / "broken.onnx").write_bytes(b"no model")
    result = runner.invoke(app, ["export", *typed])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
