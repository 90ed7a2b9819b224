"""The teacher that labels: its network with weights, and its classes by name.

In: a recipe's `Teacher`, the images' shape. Out: a `Network` and its class names. There are no labels here to tell a wrong mean or class order by:
`check_known` looks at images whose labels are known.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from edgekd import graph
from edgekd.compress.images import brings, weights_preprocess
from edgekd.data.images import Images
from edgekd.errors import UsageError
from edgekd.models.check import IMAGES, check_brought
from edgekd.models.load import Network, build
from edgekd.recipe import Teacher
from edgekd.record import THRESHOLDS_KEY

CARRIED = "edgekd.classes"
"""Under which an exported file's metadata hold its class names."""


def class_names(teacher: Teacher, base: Path) -> list[str]:
    """The teacher's classes in the order of its outputs: as stated, else as its file carries them.

    Raises:
        UsageError: neither says them, they are not two or more different names, or the file tells several labels an image: its logits are then
            independent, and the likeliest of them is no class.
    """
    carried = graph.summary(base / teacher.model).metadata if teacher.model.endswith(".onnx") else {}
    if THRESHOLDS_KEY in carried:
        raise UsageError(
            f"labelling is by teachers that tell one label an image; {teacher.model} tells several. Give one that tells classes "
            "apart, or distil from this one directly: its answers need no labels."
        )
    if isinstance(teacher.classes, list):
        names = teacher.classes
    elif teacher.classes is not None:
        names = _listed(base / teacher.classes)
    else:
        names = _carried(teacher, carried.get(CARRIED))
    names = [name.strip() for name in names]
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise UsageError(f"a teacher tells two classes or more apart, each with a name of its own; got {', '.join(map(repr, names[:8])) or 'none'}.")
    return names


def brought(teacher: Teacher, names: Sequence[str], shape: tuple[int, int, int], base: Path) -> Network:
    """The teacher's network.

    Raises:
        UsageError: it has no weights, or they, its classes or its Preprocess do not fit; MissingError where a file is not there.
    """
    if not brings(teacher):
        raise UsageError(f"only a teacher that has learnt can label; {teacher.model} comes without weights. Add --teacher-weights pretrained|FILE.")
    return build(
        teacher.model,
        classes=len(names),
        shape=shape,
        weights=teacher.weights,
        weights_key=teacher.weights_key,
        preprocess=weights_preprocess(teacher, base),
        base=base,
    )


def check_known(network: Network, names: Sequence[str], images: Images) -> float:
    """The share of known images, whose labels count the teacher's classes, that it has right.

    Raises:
        UsageError: it is no better than chance, or better under another setting, which is named.
    """
    chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
    pixels = torch.from_numpy(images.read(chosen)).permute(0, 3, 1, 2).float() / 255
    return check_brought(network, pixels, torch.from_numpy(images.labels[chosen]), names, which="known")


def _listed(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--teacher-classes takes names between commas, or a text file with one a line; {file} does not read: {error}.") from None
    return [line for line in text.splitlines() if line.strip()]


def _carried(teacher: Teacher, carried: str | None) -> list[str]:
    if carried is None:
        raise UsageError(
            f"labels have names, and {teacher.model} carries none. Give its class names in the order of its outputs: --teacher-classes A,B,… or FILE."
        )
    try:
        return msgspec.json.decode(carried, type=list[str])
    except msgspec.MsgspecError as error:
        raise UsageError(f"the class names in the metadata of {teacher.model} do not read: {error}. Give them with --teacher-classes.") from None
