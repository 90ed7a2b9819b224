"""device/doubts.py: each doubt from a situation that raises it, and none from a quiet one."""

from typing import Any

import pytest

from edgekd.device.doubts import doubts
from edgekd.measurements import Launch, State, Timing

STEADY = [1.0 + 0.001 * (number % 7) for number in range(40)]
"""Samples of 1 ms that scatter by half a per cent."""


def timing(*rounds: list[float]) -> Timing:
    """A timing with a launch for each of these lists of samples."""
    return Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[samples]) for samples in rounds])


def scaled(samples: list[float], factor: float) -> list[float]:
    """The same samples on a machine of another pace."""
    return [factor * ms for ms in samples]


QUIET: dict[str, Any] = {"clocks": [2000.0, 2050.0, 0.0], "states": [State(when="before", throttled=False)], "others": [0.1, 0.15], "cores": 2}


def test_nothing_to_doubt() -> None:
    """Steady samples enough, on a machine that does nothing else; a clock of 0 is one that is not told."""
    assert doubts(timing(STEADY, scaled(STEADY, 1.02)), **QUIET) == []
    assert doubts(timing(STEADY, STEADY)) == []


SITUATIONS: dict[str, tuple[Timing, dict[str, Any], str]] = {
    "short": (timing(scaled(STEADY + STEADY, 0.05)), {}, "the median is 0.050 ms: under 0.1 ms it measures the call more than the network"),
    "few": (timing(STEADY[:30], STEADY[:33]), {}, "only 63 samples: a 90th percentile needs 64"),
    "spread": (timing([1.0, 1.4] * 40), {}, "samples scatter by 25 % of the median"),
    "drift": (timing(STEADY, scaled(STEADY, 1.06)), {}, "the medians of 2 launches lie 6 % apart"),
    "clocks": (timing(STEADY, STEADY), {"clocks": [2000.0, 0.0, 2100.0]}, "clocks changed between 2000 and 2100 MHz while it ran"),
    "heat": (timing(STEADY, STEADY), {"states": [State(when="after", throttled=True)]}, "the processor was slowed for its heat"),
    "busy": (timing(STEADY, STEADY), {"others": [0.1, 0.6], "cores": 4}, "other programs kept 0.6 of 4 cores busy"),
    "GPU clock": (timing(STEADY, STEADY), {"gpu_clocks": [0.0, 2500.0, 2300.0]}, "the GPU's clock changed between 2300 and 2500 MHz while it ran"),
    "foreign": (timing(STEADY, STEADY), {"states": [State(when="during", foreign=2)]}, "2 other programs computed on the GPU"),
    "full": (timing(STEADY, STEADY), {"states": [State(when="during", memory_free=90_000_000)]}, "the machine had 90 MB of memory left"),
    "mode": (
        timing(STEADY, STEADY),
        {"states": [State(when="before", power_mode="15W (0)"), State(when="after", power_mode="MAXN (2)")]},
        "the power mode changed from 15W (0) to MAXN (2) while it ran",
    ),
    "locks": (
        timing(STEADY, STEADY),
        {"states": [State(when="before", clocks_locked=True), State(when="after", clocks_locked=False)]},
        "its clocks were locked for a part of the time only",
    ),
    "held": (timing(STEADY, STEADY), {"states": [State(when="during", held=["the GPU was slowed"])] * 2}, "the GPU was slowed"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_doubt_with_its_figure(name: str) -> None:
    """One situation raises one doubt, and no other."""
    samples, given, doubt = SITUATIONS[name]
    assert doubts(samples, **{**QUIET, **given}) == [doubt]


@pytest.mark.parametrize(
    ("samples", "given"),
    [
        (timing(scaled(STEADY, 0.11), scaled(STEADY, 0.11)), {}),
        (timing(STEADY[:32], STEADY[:32]), {}),
        (timing([*STEADY, *STEADY, 500.0]), {}),
        (timing(STEADY, scaled(STEADY, 1.04)), {}),
        (timing(STEADY, STEADY), {"clocks": [2000.0, 2090.0]}),
        (timing(STEADY, STEADY), {"states": [State(when="after", throttled=None)]}),
        (timing(STEADY, STEADY), {"others": [0.75], "cores": 8}),
        (timing(STEADY, STEADY), {"gpu_clocks": [0.0, 2500.0, 2400.0]}),
        (timing(STEADY, STEADY), {"states": [State(when="during", foreign=0), State(when="during", foreign=None)]}),
        (timing(STEADY, STEADY), {"states": [State(when="during", memory_free=300_000_000)]}),
        (timing(STEADY, STEADY), {"states": [State(when="before", power_mode="15W (0)"), State(when="after", power_mode=None)]}),
        (timing(STEADY, STEADY), {"states": [State(when="before", clocks_locked=True), State(when="after", clocks_locked=None)]}),
        (timing(STEADY, STEADY), {"states": [State(when="during", held=[])]}),
    ],
    ids=[*SITUATIONS],
)
def test_just_within(samples: Timing, given: dict[str, Any]) -> None:
    """A little less is no doubt; nor is one hiccup among many samples, nor a machine that does not tell of its heat."""
    assert doubts(samples, **{**QUIET, **given}) == []


def test_doubts_add_up() -> None:
    """Everything at once is told, each in its place."""
    found = doubts(timing([0.05, 0.09], [0.09, 0.15]), clocks=[1.0, 2.0], states=[State(when="after", throttled=True)], others=[2.0], cores=2)
    assert [doubt.split()[0] for doubt in found] == ["the", "only", "samples", "the", "clocks", "the", "other"]
