"""edgekd.models.heads: where a head is, a new one in its place, its outputs in another order."""

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.heads import find_head, head_parameters, outputs, permute_head, replace_head
from tests.models.nets import Tiny, noise


def squeezed(classes: int = 4, bias: bool = True) -> nn.Sequential:
    """A network that ends in a 1×1 convolution."""
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, classes, 1, bias=bias), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_the_head_is_the_last_linear_layer_or_convolution() -> None:
    """By its name in the network."""
    linear, convolution = find_head(Tiny(4)), find_head(squeezed(5))
    assert linear is not None
    assert convolution is not None
    assert (linear[0], outputs(linear[1])) == ("head", 4)
    assert (convolution[0], outputs(convolution[1])) == ("2", 5)


def test_a_head_of_so_many_outputs() -> None:
    """The last one that answers them, or none."""
    body = nn.Sequential(nn.Linear(2, 7), nn.Linear(7, 4), nn.Linear(4, 9))
    found = find_head(body, 4)
    assert found is not None
    assert found[0] == "1"
    assert find_head(body, 5) is None
    assert find_head(nn.ReLU()) is None


def test_head_parameters() -> None:
    """Weight and bias of the head and nothing else; none where there is no head."""
    body = Tiny()
    assert [id(parameter) for parameter in head_parameters(body)] == [id(body.head.weight), id(body.head.bias)]
    assert head_parameters(nn.Flatten()) == []


@pytest.mark.parametrize("body", [Tiny(4), squeezed(4), nn.Sequential(nn.Flatten(), nn.Linear(48, 4, bias=False)), squeezed(4, bias=False)])
def test_a_new_head_stands_in_the_olds_place(body: nn.Module) -> None:
    """It answers the classes, has a bias where the old one had, and what was done is said."""
    before = find_head(body)
    assert before is not None
    images = noise(2)
    said = replace_head(body, 3)
    after = find_head(body)
    assert after is not None
    assert said == f"its head {before[0]} of 4 outputs was replaced by a new one of 3"
    assert body(images).shape == (2, 3)
    assert (type(after[1]), after[0], after[1].bias is None) == (type(before[1]), before[0], before[1].bias is None)


@pytest.mark.parametrize("body", [Tiny(4), squeezed(4), squeezed(4, bias=False)])
def test_outputs_in_another_order(body: nn.Module) -> None:
    """Output i becomes what output order[i] was."""
    body.eval()
    before: Tensor = body(noise(3))
    permute_head(body, [2, 0, 3, 1])
    torch.testing.assert_close(body(noise(3)), before[:, [2, 0, 3, 1]])


def test_a_network_without_a_head() -> None:
    """The rule, what was given, and the remedy."""
    with pytest.raises(UsageError, match=r"a head is a linear layer or 1×1 convolution; Flatten has none\. Give the network one"):
        replace_head(nn.Flatten(), 3)


def test_a_network_without_a_head_of_so_many_outputs() -> None:
    """A reordering of five outputs cannot be one of four."""
    with pytest.raises(UsageError, match=r"a head is a linear layer or 1×1 convolution with 5 outputs; Tiny has none"):
        permute_head(Tiny(4), [0, 1, 2, 3, 4])
