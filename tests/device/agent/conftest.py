"""What the agent's tests share: a GPU that is made up."""

import pytest

from edgekd.device.agent import cuda
from tests.device.agent.gpu import Gpu, gpu


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Gpu:
    """The made-up driver."""
    return gpu(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def fake(compiled: Gpu, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """The same as this process's driver, with nothing called yet."""
    compiled.reset()
    monkeypatch.setattr(cuda, "LIBRARY", compiled.path)
    monkeypatch.setenv("FAKE_CUDA", compiled.path)
    return compiled
