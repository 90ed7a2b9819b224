"""record: finding in a report, and a Preprocess that cannot be."""

from typing import Any

import pytest

from edgekd import record
from edgekd.errors import MissingError
from tests.test_reportfile import full


def test_finding_in_a_report() -> None:
    """Artifacts by full name; scores by artifact and split; samples in their order."""
    report = full()
    assert report.artifact("student/resnet20/int8-cpu").size == 300_000
    assert report.score("student/resnet20/int8-cpu") is report.scores[0]
    assert report.score("student/resnet20/int8-cpu", "valid") is None
    assert report.measurements[0].timing.samples == [1.0, 1.1, 1.2]
    with pytest.raises(MissingError, match="no artifact is called 'x' in this report; it has: student/resnet20/int8-cpu"):
        report.artifact("x")


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
        record.Preprocess(**settings)
