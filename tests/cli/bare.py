"""Bare files to be typed about: two classifiers, images of their two classes, a picture; and the commands that are typed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from tests.toys import brightness

runner = CliRunner()


def fill(folder: Path) -> Path:
    """Two files that answer dark or bright, the second contrarily, images of both classes, and a picture."""
    brightness(folder / "a.onnx")
    brightness(folder / "b.onnx", gain=-3.0)
    splits = {f"{axis}_{split}": array for split, n in (("train", 60), ("test", 40)) for axis, array in zip("xy", images(n), strict=True)}
    np.savez(folder / "d.npz", **splits, classes=np.array(["dark", "bright"]))  # type: ignore[arg-type]
    Image.fromarray(np.full((10, 7), 250, np.uint8)).save(folder / "bright.png")
    return folder


def images(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (n, 4, 4) and labels, dark and bright in turn."""
    labels = np.arange(n) % 2
    pixels = np.random.default_rng(0).integers(0, 120, (n, 4, 4)) + (labels * 130)[:, None, None]
    return pixels.astype(np.uint8), labels.astype(np.int64)


def ran(*typed: str) -> Result:
    """A command that ends well."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == 0, result.output
    return result


def refused(*typed: str) -> str:
    """The message of a command that was typed wrongly."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == 2, result.output
    return result.stderr
