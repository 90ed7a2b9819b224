"""record: finding in a report."""

import pytest

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
