"""edgekd.distill.teacher: a live network answers what it is shown, stored answers theirs; corrected for class frequencies where that is asked."""

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd.data.batches import Batches
from edgekd.distill.leading import whole
from edgekd.distill.teacher import Adjusted, Live, StoredAnswers, check_classes
from edgekd.errors import UsageError
from tests.distill import nets

FEW = torch.tensor([9, 0, 299, 40])
EVERYTHING = torch.arange(300)


@pytest.fixture(scope="module")
def data() -> Batches:
    """More images than are answered at a time."""
    return nets.data(300)


def shown(data: Batches, view: int, positions: Tensor = EVERYTHING) -> Tensor:
    return data.view(positions, view, nets.AUGMENT, 0)[0]


def test_a_live_teacher_answers_what_it_is_shown(data: Batches) -> None:
    """In eval mode, without a graph; the network's mode stays as it was."""
    network = nets.network(nets.Toy(dropout=0.9)).train()
    live = Live(network, data)
    answer, images = live.answer(shown(data, 0, FEW), FEW, 0), shown(data, 0, FEW)
    assert network.training
    assert not answer.requires_grad
    assert not answer.is_inference()
    torch.testing.assert_close(answer, network.eval()(images).detach())
    torch.testing.assert_close(live.plain(), network(data.plain(EVERYTHING)[0]).detach())


def test_a_live_teacher_of_a_compiled_run_is_compiled(data: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the batches that are trained on; all images at once come in batches of other sizes, each of which would be compiled anew."""
    compiled = nets.Counted(nets.Toy())
    monkeypatch.setattr(torch, "compile", lambda network: compiled)
    network = nets.Counted(nets.Toy())
    live = Live(network, data, compiled=True)
    live.answer(shown(data, 0, FEW), FEW, 0)
    live.plain()
    assert (compiled.images, network.images) == (len(FEW), len(data))


class Given:
    """A teacher with the same probabilities for everything."""

    def __init__(self, *probabilities: float) -> None:
        self.logits = torch.tensor([probabilities]).log()

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        return self.logits.expand(len(positions), -1)

    def plain(self) -> Tensor:
        return self.logits.expand(5, -1)


@pytest.mark.parametrize(
    ("frequencies", "wanted", "expected"),
    [((50, 25, 25), None, (1 / 3, 1 / 3, 1 / 3)), ((1, 1, 1), None, (0.5, 0.25, 0.25)), ((2, 1, 1), (1, 1, 2), (0.25, 0.25, 0.5))],
)
def test_an_adjusted_teacher_by_hand(frequencies: tuple[int, ...], wanted: tuple[int, ...] | None, expected: tuple[float, ...]) -> None:
    """(0.5, 0.25, 0.25) from classes 2:1:1 says nothing where all are alike; a batch and all images are treated the same."""
    teacher = Adjusted(Given(0.5, 0.25, 0.25), frequencies, wanted)
    torch.testing.assert_close(whole(teacher.answer(torch.zeros(2, 3, 8, 8), FEW[:2], 0)).softmax(1), torch.tensor([expected] * 2))
    torch.testing.assert_close(whole(teacher.plain()).softmax(1), torch.tensor([expected] * 5))


def test_other_classes_than_the_datas_are_refused() -> None:
    """The message has both numbers and the way out; equal numbers pass."""
    check_classes(10, 10)
    with pytest.raises(UsageError, match=r"the teacher answers 1000, the data has 10\. .*edgekd teach"):
        check_classes(1000, 10)


def test_every_view_has_the_stored_answer_to_the_plain_image() -> None:
    """In float32 and by position, whatever is shown and whichever view it is."""
    logits = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float16)
    answers = StoredAnswers(logits)
    there = answers.on(torch.device("cpu"))
    some = torch.tensor([5, 0, 63])
    assert (answers.classes, answers.name) == (4, "answers")
    for view in (None, 0, 7):
        told = there.answer(torch.zeros(3, 3, 8, 8), some, view)
        assert told.dtype == torch.float32
        assert np.array_equal(told.numpy(), logits[[5, 0, 63]])
    assert np.array_equal(there.plain().numpy(), logits)


def test_the_hash_is_of_every_stored_answer() -> None:
    """Also of answers that lie otherwise in memory."""
    logits = np.arange(12, dtype=np.float16).reshape(3, 4)
    other = logits.copy()
    other[2, 3] += 1
    assert StoredAnswers(logits).sha256 == StoredAnswers(np.asfortranarray(logits)).sha256
    assert StoredAnswers(logits).sha256 != StoredAnswers(other).sha256
