"""Whether images that int8 is calibrated on are pictures as those that it will see: noise and blanks give every layer the wrong range.

In: images to calibrate on, real ones. Out: nothing, or an error. Only what is no picture at all is told apart here, by how much neighbouring pixels
go together; whether pictures show the right things shows in what the file loses (`control`).
"""

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError

LEAST = 0.3
"""How much neighbouring pixels of real images must go together for others to be held to it: pictures reach 0.8 to 0.99, noise 0."""
SHARE = 0.25
"""Of what real images have, that others must have too."""
_SEEN = 64
"""Images that are looked at."""


def refuse_noise(calibration: NDArray[np.uint8], real: NDArray[np.uint8]) -> None:
    """Hold calibration images (n, h, w, c) to real ones.

    Raises:
        UsageError: they look like noise, or are all of one colour, and the real ones are not.
    """
    wanted, found = together(real), together(calibration)
    if wanted >= LEAST and found < SHARE * wanted:
        what = "noise" if calibration[:_SEEN].std() > 1 else "blanks"
        raise UsageError(
            f"int8 is calibrated on images as it will see them, and these look like {what}: neighbouring pixels go together by {found:.2f}, in the "
            f"images that files are checked on by {wanted:.2f}. Give real training images, or export without int8: "
            'precisions = ["fp32", "fp16"] under [export].'
        )


def together(images: NDArray[np.uint8]) -> float:
    """The correlation of each pixel with the one to its right, over some of the images; 0 where they are all of one colour."""
    some = images[np.linspace(0, len(images) - 1, min(len(images), _SEEN)).round().astype(int)].astype(np.float64)
    left, right = (part - part.mean() for part in (some[:, :, :-1], some[:, :, 1:]))
    size = np.sqrt(np.square(left).sum() * np.square(right).sum())
    return float((left * right).sum() / size) if size > 0 else 0.0
