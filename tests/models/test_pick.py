"""edgekd.models.pick: the student that is proposed, and why."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from edgekd.models import pick
from edgekd.models.count import macs
from edgekd.models.network import Network
from edgekd.models.pick import LARGE, SMALL, pick_student
from edgekd.models.small import factory
from edgekd.preprocess import Preprocess

CIFAR = (32, 32, 3)


@pytest.fixture(autouse=True, scope="module")
def remembered() -> Iterator[None]:
    """Candidates are built once a test file, as their MACs are the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pick, "_candidate", cache(pick._candidate))
        yield


@cache
def cost(name: str, shape: tuple[int, int, int] = CIFAR) -> int:
    """MACs of one of the small networks."""
    make = factory(name)
    assert make is not None
    with torch.device("meta"):
        network = Network(make(10, shape[2]), Preprocess(colour="grey" if shape[2] == 1 else "rgb"), name=name, classes=10)
    count = macs(network, shape)
    assert count is not None
    return count


@pytest.mark.parametrize("name", SMALL)
def test_the_largest_within_an_eighth(name: str) -> None:
    """A teacher of eight times its MACs gets that student, and one of a MAC less the next smaller."""
    smaller = [other for other in SMALL if cost(other) < cost(name)]
    assert pick_student(8 * cost(name), CIFAR, 10)[0] == name
    assert pick_student(8 * cost(name) - 1, CIFAR, 10)[0] == (max(smaller, key=cost) if smaller else name)


def test_the_reason_in_words() -> None:
    """The list, the rule, the size and the student's own share."""
    name, reason = pick_student(10 * cost("resnet20"), CIFAR, 10)
    assert name == "resnet20"
    assert reason == f"resnet20 is the largest of {', '.join(SMALL)} with at most 1/8 of the teacher's MACs at 32x32 (it has 10.0 %)"


def test_a_teacher_that_is_small_itself() -> None:
    """The smallest is proposed, and that it is too large is said."""
    name, reason = pick_student(2 * cost("resnet8"), CIFAR, 10)
    assert name == "resnet8"
    assert reason == f"resnet8 is the smallest of {', '.join(SMALL)}; none has at most 1/8 of the teacher's MACs at 32x32 (it has 50.0 %)"


def test_grey_images_are_counted_as_grey() -> None:
    """The first convolution of one channel makes a student fit that would not with three."""
    teacher = 8 * cost("resnet20", (28, 28, 1))
    assert pick_student(teacher, (28, 28, 1), 10)[0] == "resnet20"
    assert pick_student(teacher, (28, 28, 3), 10)[0] == "resnet14"


@pytest.mark.parametrize("shape", [(64, 64, 3), (65, 40, 3)])
def test_small_networks_up_to_64_px(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int]) -> None:
    """Above, by the longer side, torchvision's are proposed."""
    asked: list[str] = []

    def noted(name: str, shape: tuple[int, int, int], classes: int) -> pick.Candidate:
        asked.append(name)
        return pick.Candidate(len(asked), 1, name)

    monkeypatch.setattr(pick, "_candidate", noted)
    pick_student(10**9, shape, 10)
    assert tuple(asked) == (SMALL if shape[0] == 64 else LARGE)


def test_large_images_get_a_network_of_torchvision() -> None:
    """An eighth of resnet50's 4.09 thousand million MACs at 224 px is more than efficientnet_b0's 0.39."""
    assert pick_student(4_089_184_256, (224, 224, 3), 1000)[0] == "efficientnet_b0"
