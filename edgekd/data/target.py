"""Where a student will work, as images: those that it learns from without labels, and labelled ones that tell how well it does there.

In: a data spec, the class names and image shape of the run. Out: a `Target`, its images at the run's size and channels. `folder:` and `npz:` name
images with labels or without, which their layout tells; any other spec's have labels. Whatever labels there are, those of the images to learn from
are taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekd.data import arrays, source, unlabelled
from edgekd.data.folders import SPLIT_NAMES
from edgekd.data.images import Images
from edgekd.data.pictures import Wanted
from edgekd.data.unlabelled import UNKNOWN
from edgekd.errors import UsageError
from edgekd.events import Emit, silent

_NEEDED = "x, the images (n, h, w[, 1 or 3]) as uint8, or x_train, y_train, x_test, y_test"


@dataclass(frozen=True, eq=False)
class Target:
    """`images` have labels of -1; `test` is None where nobody labelled any. `sha256` changes with the images to learn from, `tested` with the others.

    `unreadable` names files that were dropped.
    """

    spec: str
    images: Images
    sha256: str
    test: Images | None
    tested: str
    unreadable: tuple[str, ...] = ()


def load(
    spec: str,
    *,
    test: str | None = None,
    classes: Sequence[str],
    shape: tuple[int, int, int],
    crop_fraction: float = 1.0,
    download: bool = False,
    base: Path = Path(),
    emit: Emit = silent,
) -> Target:
    """All images that a spec names, without labels; with the labels of its test split, or of `test`, another spec's test images or all that it has.

    `classes` are the run's, by label; `shape` is height, width and channels of its images. Other arguments are as `source.load` has them.

    Raises:
        UsageError: the spec, or the data under it, is not as its kind demands, or what is to be scored shows classes that the run does not know.
        MissingError: a file or folder is not there.
    """
    wanted = Wanted(shape[:2], shape[2], crop_fraction)
    if _without_labels(spec, classes, base):
        found = unlabelled.load(spec, wanted, base=base, emit=emit)
        target = Target(spec, found.images, found.content, None, "", found.unreadable)
    else:
        known = source.load(
            spec, size=shape[:2], channels=shape[2], validation=0.0, crop_fraction=crop_fraction, download=download, fewest=1, base=base, emit=emit
        )
        images = replace(known.train, labels=np.full(len(known.train), UNKNOWN, dtype=np.int64), logits=None)
        held = None if test is not None else source.relabelled(known.test, known.classes, classes, f"domain.target {spec}")
        target = Target(spec, images, known.sha256, held, known.sha256, known.unreadable)
    if test is not None:
        held, content = source.labelled(test, classes, wanted, called=f"domain.test {test}", download=download, base=base, emit=emit)
        target = replace(target, test=held, tested=content)
    if len(target.images) < 2:
        raise UsageError(f"a target has 2 images or more to learn from; {spec} has {len(target.images)}. Add some.")
    if target.test is not None and len(target.test) < 2:
        raise UsageError(f"a score takes 2 images or more; {test or spec} has {len(target.test)} to test on. Name others with domain.test.")
    return target


def _without_labels(spec: str, classes: Sequence[str], base: Path) -> bool:
    """Whether a spec names images without labels: a folder that has neither `train` nor a class's name below it, or an array without y beside it.

    Raises:
        UsageError: an npz file with some of the arrays that labels and a test split take.
    """
    kind, _, rest = spec.partition(":")
    if kind == "folder" and rest:
        place = base / rest
        below = {child.name for child in place.iterdir() if child.is_dir()} if place.is_dir() else set()
        return not below & set(classes) and not any(SPLIT_NAMES.get(name.lower()) == "train" for name in below)
    if kind != "npz" or not rest:
        return False
    _, keys = arrays.archive(base / rest, (), _NEEDED)
    if "x_train" not in keys:
        return True
    lacking = [key for key in ("y_train", "x_test", "y_test") if key not in keys]
    if lacking:
        raise UsageError(
            f"a target's npz file holds {_NEEDED}; {base / rest} has x_train without {' and '.join(lacking)}. "
            "Save its images as x, and name labelled ones with domain.test, if there are any."
        )
    return False
