"""What everyone is asked: the choice of images, accuracy under corruption, FGSM against a gradient in float64, and what is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate.corruptions import FAMILIES, corrupt
from edgekd.evaluate.robustness import STEPS, Exam, answers, balanced, examined, gradient_signs, moved, on_corruptions, on_moved, together
from edgekd.events import Event, Progress
from edgekd.models.network import Network
from edgekd.preprocess import Preprocess
from tests.test_evaluate import Pictures

CLASSES = ["dark", "bright"]
PREPROCESS = Preprocess(size=(8, 8), mean=(0.5,), std=(0.25,))


def split(count: int, seed: int, channels: int = 3) -> Pictures:
    """Noise around two greys, the class of each."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, count)
    pixels = np.clip(120 + 15 * labels[:, None, None, None] + draw.normal(0, 25, (count, 8, 8, channels)), 0, 255)
    return Pictures(pixels.astype(np.uint8), labels)


def exam(count: int = 60, **changes: Any) -> Exam:
    """Validation and test images of two greys."""
    return Exam(split(40, 1), split(count, 2), CLASSES, **{"images": 40, **changes})


class Mean(nn.Module):
    """Bright where the mean is above the middle: sure of it by `gain`. One unused dropout tells whether it is in eval mode."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 64, 2)
        self.dropout = nn.Dropout(0.9)
        with torch.no_grad():
            self.head.weight.copy_(torch.stack([-torch.ones(192), torch.ones(192)]) * gain / 192)
            self.head.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(images.flatten(1)))
        return logits


class Curved(nn.Module):
    """A network with curves in it, of three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.conv(images)).mean((2, 3)))
        return logits


def network(body: nn.Module | None = None, classes: int = 2) -> Network:
    """A body behind its Preprocess, in training mode."""
    return Network(body or Mean(20.0), PREPROCESS, name="toy", classes=classes).train()


# The images -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 6), min_size=2, max_size=200), st.integers(2, 250), st.integers(0, 2**40))
def test_the_choice_is_balanced(labels: list[int], most: int, seed: int) -> None:
    """As many as asked for, each once, in order; no class has two more than another that has some left; the same again."""
    given_labels = np.array(labels)
    chosen = balanced(given_labels, most, seed)
    assert len(chosen) == min(most, len(labels))
    assert np.array_equal(chosen, np.unique(chosen))
    assert np.array_equal(chosen, balanced(given_labels, most, seed))
    there, taken = (np.bincount(some, minlength=7) for some in (given_labels, given_labels[chosen]))
    left = there > taken
    assert not left.any() or taken[left].min() >= taken.max() - 1


def test_fewer_than_two_images_are_refused() -> None:
    """Asked for, or there."""
    for labels, most in ((np.zeros(5, int), 1), (np.zeros(1, int), 9)):
        with pytest.raises(UsageError, match="2 images or more are needed, got 1"):
            balanced(labels, most, 0)


# Corruptions ----------------------------------------------------------------------------------------------------------


def test_accuracies_are_those_of_the_corrupted_images() -> None:
    """As asking by hand about the same images gives them, in batches and all at once; the progress reaches its end."""
    asked, net, told = exam(images=30), network(), list[Event]()
    clean, found = on_corruptions(asked, net.predict, name="toy", emit=told.append)
    pixels, labels = asked.test.read(asked.chosen), asked.labels

    def right(images: NDArray[np.uint8]) -> float:
        return float((net.predict({"images": images})["logits"].argmax(1) == labels).mean())

    assert (clean.value, clean.n) == (right(pixels), 30)
    assert set(found) == {name for names in FAMILIES.values() for name in names}
    for name in ("fog", "gaussian-noise", "jpeg"):
        assert found[name] == [right(corrupt(pixels, name, severity, asked.chosen)) for severity in range(1, 6)]
    progress = [event for event in told if isinstance(event, Progress)]
    assert progress[0].done == 0
    assert progress[-1].done == progress[-1].total == 30 * 60


def test_grey_images_have_no_saturation() -> None:
    """Eleven corruptions of them."""
    asked = Exam(split(10, 1, 1), split(12, 2, 1), CLASSES, images=4)
    assert sum(map(len, asked.families.values())) == 11
    _, found = on_corruptions(asked, network().predict, name="toy")
    assert "saturate" not in found


def test_it_is_noise_that_hurts_and_not_chance() -> None:
    """A network that looks at the mean stands blur, which keeps it, and falls where all becomes brighter."""
    asked = exam(60, images=60)
    clean, found = on_corruptions(asked, network().predict, name="toy")
    assert clean.value > 0.95
    assert found["defocus-blur"][-1] > 0.95
    assert found["brightness"][-1] < 0.7


@pytest.mark.parametrize(
    ("outputs", "kind", "words"),
    [
        ({"other": np.zeros((1, 2))}, UsageError, "must answer 40 images with 2 logits each as 'logits', got \\['other'\\]"),
        ({"logits": np.zeros((40, 3))}, UsageError, r"got an array of shape \(40, 3\)"),
        ({"logits": np.full((40, 2), np.nan)}, EdgekdError, "toy answers changed images with NaN or infinity"),
    ],
)
def test_answers_that_are_none_are_refused(outputs: dict[str, NDArray[Any]], kind: type[EdgekdError], words: str) -> None:
    """Another output, another shape, no numbers."""

    def predict(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return outputs

    with pytest.raises(kind, match=words):
        on_corruptions(exam(), predict, name="toy")


# One step along a gradient --------------------------------------------------------------------------------------------


def test_the_signs_are_those_of_the_cross_entropys_gradient() -> None:
    """In float64, of a network with curves and three classes; the mode that it was in stays."""
    asked = Exam(split(2, 1), split(20, 3), ["a", "b", "c"], images=20)
    net = network(Curved(), classes=3)
    found = gradient_signs(asked, net, name="toy")
    assert net.training
    exact = Network(Curved(), PREPROCESS, name="toy", classes=3).double().eval()
    images = torch.from_numpy(asked.test.read(asked.chosen)).permute(0, 3, 1, 2).double().div(255).requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(exact(images), torch.from_numpy(asked.labels), reduction="sum"), images)
    clear = gradient.abs() > 1e-6 * gradient.abs().max()
    assert bool(clear.any())
    assert torch.equal(gradient.sign()[clear], torch.from_numpy(found).permute(0, 3, 1, 2).double()[clear])


def test_a_network_that_is_sure_has_a_gradient_too() -> None:
    """Where the probability is 1 in float32 and the cross entropy's gradient is 0, the signs are not."""
    signs = gradient_signs(exam(), network(Mean(1e6)), name="toy")
    assert set(np.unique(signs)) == {-1, 1}


@given(st.integers(0, 10_000), st.sampled_from(STEPS))
def test_no_value_moves_by_more_than_the_step(seed: int, step: int) -> None:
    """Nor out of the range; where there is room, by the whole step."""
    draw = np.random.default_rng(seed)
    pixels, signs = draw.integers(0, 256, (3, 5, 4, 3)).astype(np.uint8), draw.integers(-1, 2, (3, 5, 4, 3)).astype(np.int8)
    away = moved(pixels, signs, step).astype(int) - pixels
    assert np.abs(away).max() <= step
    room = (pixels >= step) & (pixels <= 255 - step)
    assert np.array_equal(away[room], (step * signs.astype(int))[room])


def test_fgsm_lowers_accuracy_step_by_step() -> None:
    """And a step the other way raises it."""
    asked, net = exam(300, images=300), network()
    signs = gradient_signs(asked, net, name="toy")
    clean = net.predict({"images": asked.test.read(asked.chosen)})["logits"].argmax(1) == asked.labels
    accuracies = [float(clean.mean()), *on_moved(asked, net.predict, signs, name="toy")]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0] - 0.1
    assert on_moved(asked, net.predict, (-signs).astype(np.int8), name="toy")[-1] >= accuracies[0]


def test_a_file_has_no_gradient() -> None:
    """It is named, with what to give instead."""

    class Bare(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3), keepdim=False)[:, None].expand(-1, 2)

    with pytest.raises(UsageError, match="a gradient is taken in a network of torch, and m is an ONNX file"):
        gradient_signs(exam(), network(Bare()), name="m")


def test_a_gradient_that_is_no_number_is_refused() -> None:
    """As of a square root at 0."""

    class Rooted(Mean):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward((images - images.detach()).sqrt())

    with pytest.raises(EdgekdError, match="gradients must be finite numbers, and toy has one that is not"):
        gradient_signs(exam(), network(Rooted(1.0)), name="toy")


# All of it ------------------------------------------------------------------------------------------------------------


def test_student_and_teacher_are_asked_the_same() -> None:
    """A copy of the teacher agrees with it everywhere and falls where it does, to its own gradient and to the teacher's."""
    asked, net = exam(), network()
    teacher = answers(asked, net.predict, name="teacher/toy", network=net)
    first = examined(asked, net.predict, name="teacher/toy", role="teacher", network=net)
    student = examined(asked, net.predict, name="student/toy", role="student", network=net, teacher=teacher)
    assert (first.agreement, first.transferred) == (None, [])
    assert student.agreement is not None
    assert (student.agreement.value, student.agreement.n) == (1.0, 60)
    assert (student.corrupted, student.fgsm, student.transferred) == (first.corrupted, first.fgsm, first.fgsm)
    assert first.calibration is not None
    assert first.calibration.images == 40
    found = together(asked, [first, student], ["a note"])
    assert (found.images, found.steps, found.notes, len(found.networks)) == (40, [1, 2, 4, 8], ["a note"], 2)
    assert found.families == {family: list(names) for family, names in FAMILIES.items()}
    assert first.under(["fog", "snow"]) == pytest.approx(np.mean([first.corrupted["fog"], first.corrupted["snow"]]))


def test_without_validation_images_or_gradient_those_parts_stay_empty() -> None:
    """A file's Predict is asked all the rest."""
    asked = Exam(split(0, 1), split(30, 2), CLASSES, images=10)
    teacher = answers(asked, network().predict, name="teacher/toy")
    found = examined(asked, network().predict, name="file/toy", role="file", teacher=teacher)
    assert (teacher.signs, found.calibration, found.fgsm, found.transferred) == (None, None, [], [])
    assert found.agreement is not None
