"""preprocess: what cannot be, and what a recipe leaves out."""

from typing import Any

import pytest

from edgekd.preprocess import Preprocess, Stated

KNOWN = Preprocess(size=(224, 224), resize=256, crop=224, interpolation="bicubic", mean=(0.4,), std=(0.2,), colour="bgr")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"std": (0.0,)}, r"std must be above 0 in every channel, got \[0.0\]"),
        ({"std": (float("nan"),)}, r"std must be above 0 in every channel"),
        ({"mean": (0.1, 0.2, 0.3)}, "mean and std must have as many values, got 3 and 1"),
    ],
)
def test_a_preprocess_that_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    """Dividing by it would make every answer a nonsense."""
    with pytest.raises(ValueError, match=words):
        Preprocess(**settings)


def test_what_is_stated_goes_before_what_is_known() -> None:
    """The rest stays; a size comes without the crop that belonged to the other one."""
    assert Stated().over(KNOWN) == KNOWN
    assert Stated(mean=(0.1,), std=(0.3,)).over(KNOWN) == Preprocess(
        size=(224, 224), resize=256, crop=224, interpolation="bicubic", mean=(0.1,), std=(0.3,), colour="bgr"
    )
    assert Stated(size=(64, 48), colour="rgb").over(KNOWN) == Preprocess(size=(64, 48), interpolation="bicubic", mean=(0.4,), std=(0.2,))
