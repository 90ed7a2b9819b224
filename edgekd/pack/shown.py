"""The three images of a pack, with the answers that are expected: from the run's test set, or a person's own.

In: a `Choice`, and picture files or nothing. Out: `Shown`, at the network's own size, so that a sample needs no resizing to check itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.events import Emit
from edgekd.pack.answers import Feed, Pixels, answered, sized
from edgekd.pack.chosen import Choice

IMAGES = 3
"""How many are packed."""
_CANDIDATES = 64
"""Test images among which the three are looked for."""

_TOLERANCES = {"fp32": 1e-3, "as-is": 1e-3, "fp16": 2e-2, "int8-cpu": 0.1, "int8-trt": 0.1}
"""By how much of the logits' standard deviation another runtime, or another CPU, may differ. Rounding to 8 bits in another order moved digits' int8
logits by up to 0.022 of it (OpenVINO 2026.4 beside ONNX Runtime 1.32), fp32's by 1e-6."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Images uint8 (n, height, width, channels), the file's answers float32 (n, classes), and for a reader where each comes from.

    An answer may be off by `tolerance`, in the answers' own unit.
    """

    pixels: Pixels
    answers: NDArray[np.float32]
    feed: Feed
    tolerance: float
    origins: list[str]


def shown(choice: Choice, images: Sequence[Path], base: Path, emit: Emit) -> Shown:
    """Three images and what the file answers to them.

    Raises:
        MissingError: the run's images are not at hand, or not those that it was tested on.
        UsageError: not three images are named, or one of them does not read.
    """
    if images:
        pixels, origins, labels = _own(choice, images), [path.name for path in images], None
    else:
        pixels, origins, labels = _tested(choice, base, emit)
    answers, feed = answered(choice.file, pixels, choice.preprocess)
    if answers.shape[1] != len(choice.data.classes):
        raise UsageError(f"{choice.file} answers {answers.shape[1]} classes, its run names {len(choice.data.classes)}. Name another run.")
    if not np.isfinite(answers).all():
        raise UsageError(f"the answers of {choice.file} to {'your' if images else 'the test'} images are not all finite: it is not fit to ship.")
    spread = float(answers.std())
    kept = np.arange(len(pixels)) if labels is None else _clearest(answers, labels)
    tolerance = _TOLERANCES[choice.artifact.precision] * (spread or 1.0)
    return Shown(pixels[kept], answers[kept], feed, tolerance, [origins[place] for place in kept])


def _own(choice: Choice, images: Sequence[Path]) -> Pixels:
    """A person's own pictures as the network sees them."""
    from PIL import Image

    from edgekd.data.pictures import fit

    if len(images) != IMAGES:
        raise UsageError(f"{IMAGES} images are packed; --images names {len(images)}.")
    found = []
    for path in images:
        try:
            with Image.open(path) as picture:
                found.append(fit(picture, (*choice.size, choice.channels), choice.preprocess.crop_fraction))
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            reason = getattr(error, "strerror", None) or "not a picture, or a broken one"
            raise UsageError(f"--images: {path} cannot be read: {reason}. Give PNG, JPEG or another format that Pillow reads.") from None
    return np.stack(found)


def _tested(choice: Choice, base: Path, emit: Emit) -> tuple[Pixels, list[str], NDArray[np.int64]]:
    """Some of the run's test images as the network sees them, in words where each comes from, and their labels."""
    from edgekd import units
    from edgekd.data import source
    from edgekd.data.known import renumbered
    from edgekd.data.noise import flipped

    remedy = "Put the data back where the run found it, or pack three pictures of your own: --images FILE FILE FILE"
    try:
        found = source.load(choice.data.spec, base=base, emit=emit, **_as_before(choice))
        found = flipped(found, units.parse_fraction(choice.report.recipe.get("label_noise", 0.0)))
        found = renumbered(found, choice.data.classes) if choice.report.recipe.get("previous") else found
    except MissingExtra:
        raise
    except (MissingError, UsageError) as error:
        raise MissingError(f"the images that the run was tested on are not at hand: {error} {remedy}") from None
    if found.sha256 != choice.data.sha256:
        raise MissingError(f"{choice.data.spec} holds other images now, or splits them otherwise, than when the run was tested. {remedy}")
    count = len(found.test)
    if not count:
        raise MissingError(f"the run has no test images. {remedy}")
    places = np.unique(np.linspace(0, count - 1, min(count, _CANDIDATES)).round().astype(np.int64))
    labels = found.test.labels[places]
    origins = [f"test image {place}, labelled {found.classes[label]}" for place, label in zip(places, labels, strict=True)]
    return sized(found.test.read(places), choice.preprocess), origins, labels


def _as_before(choice: Choice) -> Mapping[str, Any]:
    """How the run loaded its images: the hash of what comes of it is compared with the run's."""
    from edgekd import units
    from edgekd.recipefile import convert_recipe

    recipe = convert_recipe(choice.report.recipe, "the recipe in its report")
    height, width, channels = choice.data.shape
    first, cut = choice.report.artifacts[0].preprocess, choice.data.crop_fraction
    if cut is None:  # an older report says nothing of it
        cut = first.crop_fraction if first is not None and recipe.teacher is not None else 1.0
    return {
        "size": (height, width),
        "channels": channels,
        "validation": units.parse_fraction(recipe.train.validation),
        "test": recipe.test,
        "imbalance": recipe.imbalance,
        "fewest": 2 if recipe.previous is None else 1,
        "known": () if recipe.previous is None else choice.data.classes,
        "crop_fraction": cut,
        "download": recipe.download,
    }


def _clearest(answers: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Three images, of three classes where there are as many: those that the file answers rightly and most clearly."""
    ranked = np.sort(answers, axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if answers.shape[1] > 1 else ranked[:, -1]
    order = np.lexsort((-lead, answers.argmax(axis=1) != labels)).tolist()
    best: dict[int, int] = {}
    for place in order:
        best.setdefault(int(labels[place]), place)
    firsts = sorted(best.values(), key=order.index)
    chosen = [*firsts, *(place for place in order if place not in firsts)][:IMAGES]
    return np.array(sorted(chosen), dtype=np.int64)
