"""edgekd.distill.pace: the plain way stays unless another is clearly faster; timings are made up here."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from edgekd.distill import pace
from edgekd.distill.pace import Pace, choose_pace
from tests.distill import nets

Timings = dict[tuple[str, bool], float]

IMAGES, LABELS = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])


def choose(
    monkeypatch: pytest.MonkeyPatch,
    timings: Timings,
    *,
    bf16: bool = True,
    precision: str | None = None,
    channels_last: bool | None = None,
    compile: bool | None = False,
    steps: int = 0,
    compiled_to: float | None = None,
) -> Pace:
    """A choice where a step takes what `timings` says, and ten times as long the first time; a candidate without one fails. Compiling brings a step
    to a share of that; None: it fails."""

    class Made:
        def __init__(
            self, network: nn.Module, images: Tensor, labels: Tensor, precision: str, channels_last: bool, *, compiled: bool = False
        ) -> None:
            if compiled and compiled_to is None:
                raise RuntimeError("no compiler\nfor this")
            share = compiled_to if compiled and compiled_to is not None else 1.0
            self.seconds, self.steps = share * timings[precision, channels_last], itertools.count()

        def step(self) -> float:
            return self.seconds * (1 if next(self.steps) else 10)

    monkeypatch.setattr(pace, "_Stepper", Made)
    monkeypatch.setattr(pace, "_bf16_runs", lambda device: bf16)
    monkeypatch.setattr(pace, "_compiler", lambda device: True)
    return choose_pace(nets.network(), IMAGES, LABELS, precision=precision, channels_last=channels_last, compile=compile, steps=steps)


@pytest.mark.parametrize(("other", "chosen"), [(0.96, False), (0.951, False), (0.95, True), (0.5, True), (1.5, False)])
def test_plain_stays_unless_5_percent_are_gained(monkeypatch: pytest.MonkeyPatch, other: float, chosen: bool) -> None:
    """Channels last at so many seconds against one."""
    found = choose(monkeypatch, {("fp32", False): 1.0, ("fp32", True): other}, bf16=False)
    assert (found.precision, found.channels_last) == ("fp32", chosen)


def test_the_fastest_of_all_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both choices are made together, and each candidate's time is kept, by name."""
    found = choose(monkeypatch, {("fp32", False): 1.0, ("fp32", True): 0.9, ("bf16", False): 0.7, ("bf16", True): 0.6})
    assert (found.precision, found.channels_last) == ("bf16", True)
    assert found.seconds == {"fp32": 1.0, "fp32 channels_last": 0.9, "bf16": 0.7, "bf16 channels_last": 0.6}


def test_where_bf16_is_emulated_it_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only fp32 is timed."""
    assert set(choose(monkeypatch, {("fp32", False): 1.0, ("fp32", True): 0.9}, bf16=False).seconds) == {"fp32", "fp32 channels_last"}


def test_a_way_that_fails_is_none() -> None:
    """Code that views its maps cannot have them in channels last; where the plain way fails it is an error."""
    assert choose_pace(nets.Viewed(), IMAGES, LABELS, precision="fp32", channels_last=None).seconds.keys() == {"fp32"}
    with pytest.raises(RuntimeError, match="channels"):
        choose_pace(nets.Viewed(), torch.rand(4, 5, 8, 8), LABELS, precision="fp32", channels_last=None)


def test_what_is_pinned_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pinned precision leaves the format open, a pinned format the precision; with both there is nothing to time."""
    precision = choose(monkeypatch, {("bf16", False): 1.0, ("bf16", True): 0.5}, precision="bf16")
    layout = choose(monkeypatch, {("fp32", True): 1.0, ("bf16", True): 0.5}, channels_last=True)
    assert (precision.precision, precision.channels_last) == ("bf16", True)
    assert (layout.precision, layout.channels_last) == ("bf16", True)
    assert choose(monkeypatch, {}, precision="bf16", channels_last=False) == Pace(precision="bf16", channels_last=False)


PLAIN = {("fp32", False): 0.5, ("fp32", True): 0.5}


@pytest.mark.parametrize(("steps", "tried"), [(800, False), (801, True)])
def test_compiling_is_tried_in_long_runs_alone(monkeypatch: pytest.MonkeyPatch, steps: int, tried: bool) -> None:
    """Of more than 10 times what it takes, at half a second a step; what came of it is kept in words."""
    found = choose(monkeypatch, PLAIN, bf16=False, compile=None, steps=steps, compiled_to=0.5)
    assert (found.compile, bool(found.compiling)) == (tried, tried)
    assert not tried or found.compiling.endswith(" s to 50% of a step's time")


def test_compiling_that_hardly_helps_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than 5 % of the run must not cost a compiler's whims."""
    found = choose(monkeypatch, PLAIN, bf16=False, compile=None, steps=10_000, compiled_to=0.96)
    assert not found.compile
    assert found.compiling.endswith("96% of a step's time")


def test_a_run_does_without_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first line of its reason."""
    found = choose(monkeypatch, PLAIN, bf16=False, compile=None, steps=10_000)
    assert (found.compile, found.compiling) == (False, "compiling failed (no compiler)")


@pytest.mark.parametrize("pin", [True, False])
def test_a_pin_is_not_tried(monkeypatch: pytest.MonkeyPatch, pin: bool) -> None:
    """It holds, however long the run is."""
    found = choose(monkeypatch, PLAIN, bf16=False, compile=pin, steps=10_000)
    assert (found.compile, found.compiling) == (pin, "")


def test_measuring_leaves_the_network_and_the_generator_alone() -> None:
    """Weights, BatchNorm statistics, mode and layout stay; dropout afterwards is what it would have been."""
    network, untouched = nets.network().eval(), nets.network()
    before = torch.get_rng_state()
    found = choose_pace(network, IMAGES, LABELS, precision=None, channels_last=None)
    assert {"fp32", "fp32 channels_last"} <= set(found.seconds)
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert nets.same(network, untouched)
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), before)
