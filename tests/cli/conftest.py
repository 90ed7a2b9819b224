"""What tests of the command line share: one small run, done once."""

from pathlib import Path

import pytest

from tests.cli.processes import JOB, done
from tests.compress.jobs import workplace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a finished run that was timed; who changes the run works on a copy."""
    base = workplace(tmp_path_factory.mktemp("whole"))
    out = done(base, JOB)
    assert max(map(len, out.splitlines())) <= 80
    assert "thin: −" in out
    assert "report  runs/images/report.json" in out
    return base
