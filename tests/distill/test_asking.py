"""edgekd.distill.asking: whole batches in torch's own order stay unless another way is clearly faster; timings are made up here."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekd.distill import asking
from edgekd.distill.asking import Asking, asked_as, choose_asking
from edgekd.distill.teacher import answer_all
from edgekd.events import Event, Note
from tests.distill import nets

IMAGES = torch.rand(70, 3, 8, 8)


def timings(monkeypatch: pytest.MonkeyPatch, faster: dict[tuple[int, bool], float]) -> list[tuple[int, bool]]:
    """An image takes 1 s, and what is said of so many at once in that order; ten times as long the first time. Returns who was timed."""
    timed: list[tuple[int, bool]] = []

    def seconds(network: nn.Module, images: Tensor, *, bf16: bool) -> float:
        last = next(p for p in network.parameters() if p.dim() == 4).is_contiguous(memory_format=torch.channels_last)
        candidate = (len(images), last)
        timed.append(candidate)
        return len(images) * faster.get(candidate, 1.0) * (10 if timed.count(candidate) == 1 else 1)

    monkeypatch.setattr(asking, "_seconds", seconds)
    return timed


@pytest.mark.parametrize(("other", "chosen"), [(0.96, None), (0.951, None), (0.95, 32), (0.5, 32)])
def test_whole_batches_stay_unless_5_percent_are_gained(monkeypatch: pytest.MonkeyPatch, other: float, chosen: int | None) -> None:
    """32 at once in channels last, at so many seconds an image against one."""
    timings(monkeypatch, {(32, True): other})
    found = choose_asking(nets.network(), IMAGES)
    assert (found.at_once, found.channels_last) == (chosen, chosen is not None)


def test_the_fastest_of_all_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and orders are tried together, none larger than the batch, and each candidate's time is kept, by name."""
    timed = timings(monkeypatch, {(16, False): 0.9, (16, True): 0.6, (32, True): 0.7})
    found = choose_asking(nets.network(), IMAGES[:40])
    assert set(timed) == {(size, last) for size in (40, 32, 16) for last in (False, True)}
    assert str(found) == "16 at once, channels last"
    assert found.seconds["16 at once, channels last"] == 0.6
    assert found.seconds["a batch at once"] == 1.0


def test_a_way_that_fails_is_none() -> None:
    """Code that views its maps cannot have them in channels last; the network is left in the order that it had."""
    network = nets.Viewed()
    found = choose_asking(network, IMAGES)
    assert not found.channels_last
    assert set(found.seconds) == {"a batch at once", "64 at once", "32 at once", "16 at once"}
    assert network.convolution.weight.is_contiguous()


def test_a_network_that_fails_at_all_is_an_error() -> None:
    """Nothing is made of the plain way's failure."""
    with pytest.raises(RuntimeError, match="channels"):
        choose_asking(nets.Viewed(), torch.rand(4, 5, 8, 8))


def test_few_questions_are_not_worth_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below so many images nothing is timed, and nothing said."""
    timed, told = timings(monkeypatch, {(16, True): 0.1}), list[Event]()
    assert asked_as(tmp_path / "toy.json", nets.network(), IMAGES, name="toy", total=asking.OFTEN - 1, bf16=False, emit=told.append) == Asking()
    assert (timed, told) == ([], [])


def test_a_choice_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with its reason, and read wherever it stands; a file that does not read is written anew."""
    timings(monkeypatch, {(32, True): 0.5})
    told: list[Event] = []

    def ask(name: str = "toy", total: int = asking.OFTEN) -> Asking:
        return asked_as(tmp_path / f"{name}.json", nets.network(), IMAGES, name=name, total=total, bf16=False, emit=told.append)

    first = ask()
    timings(monkeypatch, {(16, False): 0.1})
    assert ask(total=1) == first, "a run that is nearly done goes on as it began"
    assert ask("other").at_once == 16
    (tmp_path / "toy.json").write_text("{")
    assert ask().at_once == 16
    notes = [event.text for event in told if isinstance(event, Note)]
    assert len(notes) == 3
    assert notes[0] == "toy is asked for 32 at once, channels last: an image takes 500 ms so, and 1.0 s of a batch at once"


@pytest.mark.parametrize("at_once", [1, 3, 70, 200])
def test_pieces_answer_as_the_whole(at_once: int) -> None:
    """In eval mode an image's answer is its own, BatchNorm or not."""
    network = nets.network().eval()
    (whole,), (pieces,) = (list(answer_all(network, iter([IMAGES]), at_once=size)) for size in (None, at_once))
    torch.testing.assert_close(pieces, whole, rtol=1e-5, atol=1e-6)
