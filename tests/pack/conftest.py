"""One finished run and its pack, for all tests here that only read them."""

from pathlib import Path

import pytest

from edgekd.pack import pack
from tests.pack.runs import finished


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; to be read only."""
    return finished(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def packed(toy_run: Path) -> Path:
    """Its pack for the CPU; to be read only."""
    pack(toy_run, "cpu", toy_run.parent / "pack", base=toy_run.parent, zipped=True)
    return toy_run.parent / "pack"
