"""What the tests of one machine share: the packed agent, and a session with this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.device.host import connect
from edgekd.device.session import Session, pack


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent, packed."""
    file = tmp_path_factory.mktemp("agent") / "agent.pyz"
    file.write_bytes(pack())
    return file


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A session with this machine."""
    with connect("local") as session:
        yield session
