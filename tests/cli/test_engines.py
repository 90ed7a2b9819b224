"""edgekd export on a bare file: TensorRT engines for cards that are not there."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.cli.engines import _batches
from edgekd.errors import UsageError
from tests.needs import need_package
from tests.toys import brightness

runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one file."""
    monkeypatch.chdir(tmp_path)
    brightness(tmp_path / "a.onnx")
    return tmp_path


def test_engines_for_two_cards(folder: Path) -> None:
    """Beside the file, with what each is made of; --inspect names the layers."""
    need_package("tensorrt_rtx")
    result = runner.invoke(app, ["export", "a.onnx", "--on", "rtx-3060", "--on", "rtx-4090", "--inspect"])
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in folder.glob("*.engine*")) == [
        f"a-rtx-{card}.engine{more}" for card in ("3060", "4090") for more in ("", ".json")
    ]
    assert "rtx-4090: a-rtx-4090.engine" in result.stdout
    assert "fp32" in result.stdout
    told = json.loads(runner.invoke(app, ["export", "a.onnx", "--on", "rtx-3060", "--json"]).stdout)
    assert told["engines"][0]["chips"] == ["8.6"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("a.onnx",), "add --on TARGET"),
        (("b.onnx", "--on", "rtx-3060"), "b.onnx must be a file, and there is none"),
        (("a.onnx", "--on", "cpu"), "cpu runs onnxruntime"),
        (("a.onnx", "--on", "rtx-3060=user@box"), "write --on TARGET without a host"),
        (("a.onnx", "--on", "rtx-3060", "--batches", "8,1,2"), "--batches takes one batch"),
        (("a.onnx", "--on", "jetson-orin-nano"), "let `edgekd bench a.onnx --on jetson-orin-nano=USER@HOST` build and time it there"),
        (("--batches", "8"), "are for engines: give a FILE.onnx"),
    ],
)
def test_what_makes_no_engine(typed: tuple[str, ...], message: str) -> None:
    """Said in the user's words, as wrong usage."""
    result = runner.invoke(app, ["export", *typed])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(("text", "batches"), [(None, None), ("8", (8, 8, 8)), (" 1, 8,32", (1, 8, 32))])
def test_batches(text: str | None, batches: tuple[int, int, int] | None) -> None:
    """One for all, or the least, usual and largest."""
    assert _batches(text) == batches


@pytest.mark.parametrize("text", ["", "0", "1,2", "a", "3,2,1", "1,2,3,4", "-1"])
def test_what_are_no_batches(text: str) -> None:
    """Neither numbers that are none nor numbers out of order."""
    with pytest.raises(UsageError, match="--batches takes one batch or the least, usual and largest"):
        _batches(text or "x")
