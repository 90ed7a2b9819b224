"""edgekd.models.check: a network that is not used as it was taught is found out before anything is built on it."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

import msgspec
import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.check import check_brought
from edgekd.models.network import Network, reorder
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, GREY_AS_THEY_ARE, IMAGENET

NAMES = ["owl", "ant", "yak", "bee", "fox", "cat", "hen", "dog"]
COLOURS = torch.tensor(list(product((0.2, 0.8), repeat=3)))
"""Of the images of each class: the corners of a cube."""
MNIST = Preprocess(mean=(0.1307,), std=(0.3081,), colour="grey")
FASHION = Preprocess(mean=(0.2860,), std=(0.3530,), colour="grey")
GREYS = torch.linspace(0.1, 0.9, 4).view(-1, 1)


class Nearest(nn.Module):
    """Answers by the distance of an image's mean colour to those that it was taught, as they were prepared then."""

    def __init__(self, colours: Tensor, taught: Preprocess) -> None:
        super().__init__()
        prepared = Network(nn.Flatten(), taught, name="", classes=1).prepare(colours[:, :, None, None]).mean((2, 3))
        self.head = nn.Linear(colours.shape[1], len(colours))
        with torch.no_grad():
            self.head.weight.copy_(2 * prepared)
            self.head.bias.copy_(-prepared.square().sum(1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(images.mean((2, 3)))
        return logits


def brought(taught: Preprocess, stated: Preprocess, colours: Tensor = COLOURS) -> Network:
    """A network taught in one way and used in another."""
    return Network(Nearest(colours, taught), stated, name="brought", classes=len(colours)).train()


def seen(count: int = 600, colours: Tensor = COLOURS) -> tuple[Tensor, Tensor]:
    """Images of the classes' colours with a little noise, in no order, and their labels."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randperm(count, generator=generator) % len(colours)
    images = colours[labels][:, :, None, None] + 0.1 * (torch.rand(count, colours.shape[1], 4, 4, generator=generator) - 0.5)
    return images, labels


def turned(preprocess: Preprocess, colour: Literal["rgb", "bgr"]) -> Preprocess:
    """The same mean and std of red, green and blue in the other order."""
    return msgspec.structs.replace(preprocess, colour=colour, mean=preprocess.mean[::-1], std=preprocess.std[::-1])


def message(network: Network, images: Tensor, labels: Tensor, classes: Sequence[str] = NAMES) -> str:
    """What the check says against a network."""
    with pytest.raises(UsageError) as caught:
        check_brought(network, images, labels, classes)
    return str(caught.value)


# Good networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taught", [IMAGENET, AS_THEY_ARE, turned(IMAGENET, "bgr"), Preprocess(size=(2, 2))])
def test_a_good_network_passes(taught: Preprocess) -> None:
    """All right, and said so; it keeps its Preprocess and its mode."""
    network = brought(taught, taught)
    assert check_brought(network, *seen(), NAMES) == 1
    assert network.training
    assert network.preprocess == taught


def test_a_share_of_wrong_answers_is_no_fault() -> None:
    """Three in ten labels are wrong: as many answers are, under every other setting too."""
    images, labels = seen()
    wrong = torch.arange(600) % 10 < 3
    labels = torch.where(wrong, (labels + torch.arange(600) // 10 % 7 + 1) % 8, labels)
    assert check_brought(brought(IMAGENET, IMAGENET), images, labels, NAMES) == pytest.approx(0.7)


@pytest.mark.parametrize("rare", [2, 5])
def test_a_good_network_on_rare_defects(rare: int) -> None:
    """All right on 50 images of which hardly any is of the second class: no interval can lie above always naming the first."""
    images, _ = seen(50)
    labels = torch.zeros(50, dtype=torch.int64)
    labels[:rare] = 1
    images = COLOURS[labels][:, :, None, None].expand(-1, -1, 4, 4)
    assert check_brought(brought(IMAGENET, IMAGENET), images, labels, NAMES) == 1
    with pytest.raises(UsageError, match="must know the data"):
        check_brought(brought(IMAGENET, IMAGENET), COLOURS[torch.zeros(50, dtype=torch.int64)][:, :, None, None], labels, NAMES)


def test_only_the_first_1024_are_looked_at() -> None:
    """Later images may be of anything."""
    images, labels = seen(1200)
    labels[1024:] = 0
    assert check_brought(brought(IMAGENET, IMAGENET), images, labels, NAMES) == 1


def test_a_mean_that_does_no_harm_passes() -> None:
    """CIFAR-10's for ImageNet's changes no answer here."""
    cifar = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
    assert check_brought(brought(IMAGENET, cifar), *seen(), NAMES) == 1


def test_another_setting_must_be_clearly_better() -> None:
    """Of 1,000 grey images, MNIST's mean and std win 10, which passes, or 50, which does not."""
    network = brought(MNIST, FASHION, torch.tensor([[0.0], [0.3]]))
    for few, passes in ((10, True), (50, False)):
        labels = torch.arange(1000) % 2
        values = torch.where(labels == 1, 0.9, 0.0)
        values[1 : 2 * few : 2] = 0.17
        order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
        images = values[order].view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
        if passes:
            assert check_brought(network, images, labels[order], ["dark", "bright"]) == pytest.approx(0.99)
        else:
            assert "95.0% of 1000" in message(network, images, labels[order], ["dark", "bright"])


# Settings -------------------------------------------------------------------------------------------------------------


def test_a_wrong_mean_and_std() -> None:
    """Both accuracies, the setting by its name, and how to write it, in a recipe and as flags."""
    said = message(brought(IMAGENET, AS_THEY_ARE), *seen())
    assert said.startswith("the teacher brought has 32.3% of 600 validation images right as stated ({ mean = [0], std = [1] }), and 100.0% with")
    assert "with ImageNet's mean and std. " in said
    assert "Set preprocess = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] } beside its model" in said
    assert said.endswith("(--teacher-mean 0.485,0.456,0.406 --teacher-std 0.229,0.224,0.225).")


@pytest.mark.parametrize(
    ("taught", "stated", "words"),
    [
        (Preprocess(mean=(0.0,), std=(1 / 255,)), IMAGENET, r"that of 0 to 255.*mean = \[0\], std = \[0\.003922\]"),
        (Preprocess(mean=(0.485, 0.456, 0.406), std=(1 / 255,) * 3), AS_THEY_ARE, r"with ImageNet's.*mean = \[0\.485, 0\.456, 0\.406\]"),
    ],
)
def test_other_scales(taught: Preprocess, stated: Preprocess, words: str) -> None:
    """Networks that were taught on numbers from 0 to 255, as they are or off a mean."""
    with pytest.raises(UsageError, match=words):
        check_brought(brought(taught, stated), *seen(), NAMES)


@pytest.mark.parametrize(
    ("taught", "stated", "words"),
    [
        (FASHION, GREY_AS_THEY_ARE, "Fashion-MNIST's mean and std. Set preprocess = { mean = [0.286], std = [0.353], "),
        (GREY_AS_THEY_ARE, MNIST, "that of [0, 1] mean and std. Set preprocess = { mean = [0], std = [1], "),
    ],
)
def test_settings_of_grey_images(taught: Preprocess, stated: Preprocess, words: str) -> None:
    """Grey networks have usual means of their own."""
    assert f'with {words}colour = "grey" }}' in message(brought(taught, stated, GREYS), *seen(colours=GREYS), NAMES[:4])


def test_a_network_that_takes_blue_first() -> None:
    """With mean and std in that order, as a recipe and as flags say it."""
    said = message(brought(turned(IMAGENET, "bgr"), IMAGENET), *seen())
    assert "50.0% of 600" in said
    assert said.endswith(
        "100.0% with its own mean and std in the order bgr. "
        'Set preprocess = { mean = [0.406, 0.456, 0.485], std = [0.225, 0.224, 0.229], colour = "bgr" } beside its model '
        "(--teacher-mean 0.406,0.456,0.485 --teacher-std 0.225,0.224,0.229 --teacher-colour bgr)."
    )


def test_a_network_that_takes_red_first_after_all() -> None:
    """Stated as blue first: back to mean and std in the other order."""
    said = message(brought(IMAGENET, turned(IMAGENET, "bgr")), *seen())
    assert "100.0% with its own mean and std in the order rgb. Set preprocess = { mean = [0.485, 0.456, 0.406]," in said


def test_both_at_once() -> None:
    """Blue first and another mean: one message, with both."""
    said = message(brought(turned(IMAGENET, "bgr"), AS_THEY_ARE), *seen())
    assert "with ImageNet's mean and std in the order bgr. Set preprocess = { mean = [0.406, 0.456, 0.485]" in said


# Classes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [sorted(NAMES), NAMES[::-1]])
def test_classes_in_another_order(order: list[str]) -> None:
    """The order that fits is written out, alphabetical order by its name; set, it passes."""
    network = brought(IMAGENET, IMAGENET)
    reorder(network, NAMES, order)
    said = message(network, *seen())
    listed = ", ".join(f'"{name}"' for name in order)
    known = "alphabetical order: the order of its outputs" if order == sorted(NAMES) else "the order of its outputs"
    assert f"100.0% with its classes in another order. Set classes = [{listed}] beside its model ({known}), or --teacher-classes." in said
    reorder(network, order, NAMES)
    assert check_brought(network, *seen(), NAMES) == 1


@pytest.mark.parametrize("cycle", [[1, 0, 3, 2, 4, 5, 6, 7], [1, 2, 0, 3, 5, 6, 7, 4]])
def test_a_wrong_order_that_was_stated_is_put_right(cycle: list[int]) -> None:
    """What is to be written is the order of the outputs, whatever was stated before: two swaps, and rounds of three and four."""
    network = brought(IMAGENET, IMAGENET)
    stated = [NAMES[place] for place in cycle]
    reorder(network, stated, NAMES)
    images, labels = seen()
    with pytest.raises(UsageError, match=r"Set classes = \[" + ", ".join(f'"{name}"' for name in NAMES)):
        check_brought(network, images, labels, NAMES, stated=stated)


def test_classes_without_an_image_take_the_places_that_are_left() -> None:
    """In their own order."""
    network = brought(IMAGENET, IMAGENET)
    order = [*NAMES[5:], *NAMES[:5]]
    reorder(network, NAMES, order)
    images, labels = seen()
    some = (labels != 6) & (labels != 2)
    listed = ", ".join(f'"{name}"' for name in [NAMES[5], NAMES[2], NAMES[7], NAMES[0], NAMES[1], NAMES[6], NAMES[3], NAMES[4]])
    assert f"Set classes = [{listed}]" in message(network, images[some], labels[some])


# Chance ---------------------------------------------------------------------------------------------------------------


def test_a_network_that_knows_nothing() -> None:
    """One that always answers the same: its share with its interval, the commonest class's, and what was tried."""
    network = brought(IMAGENET, IMAGENET)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    said = message(network, *seen())
    assert said.startswith("the teacher brought must know the data; it has 12.5% of 600 validation images right (10.1% to 15.4%), and the ")
    assert "commonest class alone gives 12.5%. No usual mean and std (ImageNet's, CIFAR-10's, " in said


def test_a_setting_that_is_no_better_than_chance_is_not_offered() -> None:
    """Numbers to 255 make this network answer the commonest class each time, where it answered a rare one: that explains nothing."""
    network = brought(IMAGENET, IMAGENET)
    nn.init.zeros_(network.get_parameter("body.head.weight"))
    network.get_parameter("body.head.weight").data[1] = 1
    network.get_parameter("body.head.bias").data = 10 * torch.eye(8)[0]
    labels = torch.tensor([0, *([1] * 6), *([2] * 5), *([3] * 4), *([4] * 4)]).repeat(30)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    assert "must know the data; it has 5.0% of 600" in message(network, seen()[0], labels[order])


def test_naming_the_commonest_class_is_no_knowledge() -> None:
    """Nine in ten right is chance where nine in ten are of one class."""
    network = brought(IMAGENET, IMAGENET)
    nn.init.zeros_(network.get_parameter("body.head.weight"))
    images, _ = seen()
    labels = (torch.arange(600) % 10 == 0).long()
    network.get_parameter("body.head.bias").data = torch.eye(8)[0]
    assert "it has 90.0% of 600 validation images right" in message(network, images, labels)


def test_who_it_is_stands_in_the_message() -> None:
    """A student that was brought is no teacher."""
    with pytest.raises(UsageError, match=r"^the student brought has"):
        check_brought(brought(IMAGENET, AS_THEY_ARE), *seen(), NAMES, who="the student")
