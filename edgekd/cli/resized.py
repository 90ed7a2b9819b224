"""`evaluate --resize`: what another library's resizing costs bare files, each scored on the same images resized by it and by edgekd's own way."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.cli.bare import aligned, opened, preprocess_of, several, thresholds_for
from edgekd.cli.face import Face
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.evaluate import Predict
    from edgekd.preprocess import Preprocess
    from edgekd.report.cells import Table
    from edgekd.scores import Score

OWN = "edgekd"


def evaluate_resized(face: Face, files: Sequence[Path], flags: Flags, libraries: Sequence[str]) -> None:
    """Score files on test images as edgekd resizes them, then as each library does.

    Pictures are held at --size, else twice as high and wide as the largest network sees them, as a camera may give them; arrays as they are.

    Raises:
        UsageError: no data, no such library, or images that have a network's size already.
        MissingError: a library is not installed.
    """
    import numpy as np

    from edgekd.cli.resolve import parse_size
    from edgekd.data import source
    from edgekd.errors import UsageError
    from edgekd.evaluate.resizers import LIBRARIES, resized
    from edgekd.report.text import drawn

    if unknown := [name for name in libraries if name not in LIBRARIES]:
        raise UsageError(f"--resize takes {', '.join(LIBRARIES)}; got {unknown[0]!r}")
    for name in libraries:  # what is not installed is said before anything is scored
        resized(np.zeros((1, 4, 4, 3), np.uint8), (2, 2), "bilinear", name)
    if flags.data is None:
        raise UsageError("bare files are scored on images of yours: add --data SPEC, as in --data folder:photos")
    carried = {file: preprocess_of(file) for file in files}
    largest = max(carried.values(), key=lambda each: math.prod(each.size or (0, 0)))
    size = parse_size(flags.size, "--size") if flags.size else None
    if size is None and largest.size is not None and source.of_pictures(flags.data):
        size = (2 * largest.size[0], 2 * largest.size[1])
    found: dict[str, dict[str, Score]] = {}
    with face.watching() as emit:
        wanted: dict[str, Any] = {"size": size, "channels": flags.channels, "crop_fraction": largest.crop_fraction, "several": several(files)}
        images = source.load(flags.data, test=flags.test, download=flags.download, emit=emit, **wanted)
        for file in files:
            found[str(file)] = _scored(file, carried[file], images, list(dict.fromkeys(libraries)), emit)
    text = drawn([_table(name, scores, images.test.shape[:2]) for name, scores in found.items()])
    face.result(text, [{"file": name, "resize": library, **_told(score)} for name, scores in found.items() for library, score in scores.items()])


def _scored(file: Path, preprocess: "Preprocess", images: Any, libraries: Sequence[str], emit: Any) -> "dict[str, Score]":
    """The file's scores by who resized its images, edgekd's own way first; the others are held against that."""
    from edgekd.errors import UsageError
    from edgekd.evaluate import evaluate as score

    held, size = images.test.shape[:2], preprocess.size
    if size is None or size == held:
        raise UsageError(
            f"--resize is about images of another size than a file's own, and {file} takes those of {held[0]}x{held[1]} as they are. "
            "Hold them as they come from the camera, as in --size 480x640."
        )
    with opened(file) as answer:
        own, limits = aligned(answer, file, images.classes), thresholds_for(file, images.classes)
        wanted: dict[str, Any] = {"split": "test", "classes": images.classes, "thresholds": limits, "emit": emit}
        first, logits = score(own, images.test, artifact=f"{file.stem}, resized by {OWN}", **wanted)
        found = {OWN: first}
        for library in libraries:
            other = _through(own, size, preprocess, library)
            name = f"{file.stem}, resized by {library}"
            found[library], _ = score(other, images.test, artifact=name, teacher_logits=logits, teacher_thresholds=limits, **wanted)
    return found


def _through(answer: "Predict", size: tuple[int, int], preprocess: "Preprocess", library: str) -> "Predict":
    """The same file, given images that the library has brought to its size already."""
    from edgekd.evaluate.resizers import resized

    return lambda arrays: answer({**arrays, "images": resized(arrays["images"], size, preprocess.interpolation, library)})


def _told(score: "Score") -> dict[str, Any]:
    """A score's figures, and what they are against edgekd's own."""
    lead = "map" if "map" in score.metrics else "accuracy"
    return {lead: score.metrics[lead], "n": score.n, **{key: score.against[key] for key in (f"{lead}_drop", "flips", "agreement") if score.against}}


def _table(name: str, scores: "dict[str, Score]", held: tuple[int, ...]) -> "Table":
    from edgekd import units
    from edgekd.report.cells import Column, Table

    rows = [(library, score.lead, score.against) for library, score in scores.items()]
    lead = "mAP" if "map" in scores[OWN].metrics else "accuracy"
    drop = "map_drop" if lead == "mAP" else "accuracy_drop"

    def column(head: str, key: str, text: Any) -> Column:
        return Column(head, [text(against[key].value) if against else "–" for _, _, against in rows])

    columns = [
        Column("resized by", [library for library, _, _ in rows]),
        Column(lead, [units.percent_text(value.value, 2) for _, value, _ in rows]),
        column("lost", drop, lambda value: units.points_text(value, 2)),
        column("flips", "flips", lambda value: units.percent_text(value, 2)),
        column("agreement", "agreement", lambda value: units.percent_text(value, 2)),
    ]
    told = "What is lost, flips (right before, wrong now) and agreement are against edgekd's own resizing."
    return Table(name, f"{scores[OWN].n} test images, held at {held[0]}x{held[1]}. {told}", columns)
