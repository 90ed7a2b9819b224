"""What every test shares: quiet, repeatable, offline."""

import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# One core per process: tests share the machine with others, and toy networks gain nothing from more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Hundreds of tests start processes, and each would compile torch's 1,800 files anew where this is set: four seconds of CPU a process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "100"

LONGEST = (
    *("cli/test_transcripts.py", "compress/test_compress.py", "cli/test_whole.py", "compress/test_refusals.py", "docs/test_blocks.py"),
    *("compress/test_multilabel.py", "compress/test_stale.py", "device/test_remote.py", "distill/test_resume.py", "cli/test_continue.py"),
)
"""Files whose tests take longest together, the longest first: begun last, one of them would run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the others stay in their order."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


hypothesis.settings.register_profile("edgekd", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("edgekd")


@pytest.fixture(scope="session", autouse=True)
def operators_are_read_once() -> Iterator[None]:
    """torch.onnx reads the source of every operator of onnxscript in each export, for a second; here once a process."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    read = functools.cache(ONNXRegistry.from_torchlib)

    def remembered(_: Any, opset_version: int) -> ONNXRegistry:
        return read(opset_version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", remembered)
        yield
