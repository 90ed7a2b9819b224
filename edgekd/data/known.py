"""Images whose labels go by classes that are known already, and then by those that are new: how a student that learns on numbers them.

In: a `Source` as its data has it, the classes that are known. Out: the same images, with other numbers and another hash.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekd.data.images import Images, Source
from edgekd.files import sha256_json


def renumbered(found: Source, known: Sequence[str]) -> Source:
    """Labels by the `known` classes, in their order, and then by what the data has beside them; classes are the same where their names are.

    A teacher's own logits are left out, as they are about the data's classes.
    """
    classes = (*known, *(name for name in found.classes if name not in known))
    numbers = np.array([classes.index(name) for name in found.classes], dtype=np.int64)

    def moved(images: Images) -> Images:
        return replace(images, labels=numbers[images.labels], logits=None)

    return replace(
        found,
        classes=classes,
        train=moved(found.train),
        valid=moved(found.valid),
        test=moved(found.test),
        sha256=sha256_json([found.sha256, list(classes)]),
    )
