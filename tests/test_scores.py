"""edgekd.scores: what is read off a score."""

import msgspec

from edgekd.scores import Metric, Score


def test_several_labels_an_image_are_judged_by_map_first() -> None:
    """Where there is one; else by accuracy."""
    low, high = (Metric(value=value, low=value, high=value, n=9) for value in (0.2, 0.8))
    score = Score(artifact="a", split="test", host="", n=9, metrics={"accuracy": low, "map": high})
    assert (score.lead, msgspec.structs.replace(score, metrics={"accuracy": low}).lead) == (high, low)
