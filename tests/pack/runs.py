"""Finished runs by hand: a file of a few weights, a report that names it, and the images that it was tested on. Nothing is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.data import source
from edgekd.files import sha256_file
from edgekd.preprocess import Preprocess
from edgekd.recipe import Recipe
from edgekd.recipefile import encode_recipe, recipe_table
from edgekd.record import Artifact, DataSummary, Report
from edgekd.reportfile import encode_report
from edgekd.run import Manifest
from edgekd.scores import Metric, Score
from tests.toys import brightness

GREY = Preprocess(size=(4, 4), mean=(0.0,), std=(1.0,), colour="grey")


def grey_images(count: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey 4×4 images, dark (0) and bright (1) in turn."""
    draw = np.random.default_rng(4)
    labels = np.arange(count) % 2
    pixels = draw.integers(0, 100, (count, 4, 4, 1), np.uint8) + (labels * 150).astype(np.uint8)[:, None, None, None]
    return pixels, labels


def finished(base: Path, *, classes: Sequence[str] = ("dark", "bright"), preprocess: Preprocess = GREY, **other: Any) -> Path:
    """A run at base/run, of the data npz:images.npz beside it; `file(path)` writes its model, `images` are all of its images and labels."""
    pixels, labels = other.get("images", grey_images())
    half = len(pixels) // 2
    arrays = {"x_train": pixels[:half], "y_train": labels[:half], "x_test": pixels[half:], "y_test": labels[half:]}
    np.savez(base / "images.npz", classes=np.array(classes), **arrays)
    found = source.load("npz:images.npz", base=base)
    run = base / "run"
    (run / "export").mkdir(parents=True)
    other.get("file", brightness)(run / "export" / "student-toy-fp32.onnx")
    artifact = made(run, "export/student-toy-fp32.onnx", preprocess, len(classes))
    report = Report(
        edgekd="0.1.0",
        name="toy",
        created="2026-11-20T12:00:00+00:00",
        recipe=recipe_table(Recipe(data="npz:images.npz")),
        data=DataSummary(spec="npz:images.npz", sha256=found.sha256, classes=list(classes), train=27, valid=3, test=half, shape=found.test.shape),
        artifacts=[artifact],
        scores=[Score(artifact=artifact.name, split="test", host="local", n=half, metrics={"accuracy": Metric(value=0.98, low=0.9, high=1, n=half)})],
        shipped={"cpu/toy": artifact.name},
    )
    (run / "recipe.toml").write_text(encode_recipe(Recipe(data="npz:images.npz")))
    (run / "manifest.json").write_bytes(msgspec.json.encode(Manifest(origin="data npz:images.npz, teacher of edgekd")))
    return rewritten(run, report)


def made(run: Path, path: str, preprocess: Preprocess, classes: int) -> Artifact:
    """What a report says of a file."""
    file, size = run / path, (run / path).stat().st_size
    return Artifact(
        role="student", network="toy", precision="fp32", path=path, sha256=sha256_file(file), size=size,
        params=34, macs=32, opset=20, classes=classes, preprocess=preprocess,
    )  # fmt: skip


def rewritten(run: Path, report: Report, **changes: Any) -> Path:
    """The run with another report."""
    (run / "report.json").write_bytes(encode_report(msgspec.structs.replace(report, **changes)))
    return run
