"""What tests of the whole way share."""

from collections.abc import Iterator

import pytest

from edgekd.bench import Plan


@pytest.fixture(scope="module", autouse=True)
def hardly_timed() -> Iterator[None]:
    """Files are timed in earnest by tests/bench; here a few inferences of each do."""
    few = Plan(launches=2, rounds=2, block_ms=2.0, block_runs=3, warm_ms=1.0, flow_ms=20.0, duels=2, duel_ms=10.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgekd.compress.timing.QUICK", few)
        yield
