"""edgekd.models.heads: where a head is, a new one in its place, its outputs in another order."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.heads import find_head, head_parameters, likely_head, outputs, permute_head, replace_head, take_over
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
    assert [id(parameter) for parameter in head_parameters(body, 4)] == [id(body.head.weight), id(body.head.bias)]
    assert head_parameters(nn.Flatten(), 4) == []


def test_a_head_may_be_registered_first() -> None:
    """The last layer that answers the classes is it, and not the last of all; where none does, as of weights for others, the last of all."""
    body = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(3, 6, 3))
    head = likely_head(body, 4)
    assert head is not None
    assert head[0] == "0"
    last = likely_head(body, 5)
    assert last is not None
    assert last[0] == "1"
    older = nn.Sequential(nn.Linear(6, 3), nn.Conv2d(3, 6, 3))
    take_over(body, older, 4)
    assert torch.equal(body[0].weight[:3], older[0].weight)  # type: ignore[index, arg-type]


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


@pytest.mark.parametrize("make", [Tiny, squeezed, lambda classes: squeezed(classes, bias=False)])
def test_a_network_takes_over_what_another_learnt(make: Callable[[int], nn.Module]) -> None:
    """It answers the old classes as before, and the others by rows of its own, which stay as they were."""
    old, new = make(3).eval(), make(5).eval()
    before: Tensor = new(noise(2))
    found = find_head(new)
    assert found is not None
    own = found[1].weight[3:].detach().clone()
    take_over(new, old, 5)
    torch.testing.assert_close(new(noise(2))[:, :3], old(noise(2)))
    assert torch.equal(found[1].weight[3:], own)
    assert not torch.equal(new(noise(2)), before)


def test_as_many_outputs_are_taken_over_whole() -> None:
    """Where nothing is new, the two are one."""
    old, new = Tiny(4).eval(), Tiny(4).eval()
    take_over(new, old, 4)
    torch.testing.assert_close(new(noise(2)), old(noise(2)))


def test_a_network_of_another_kind_is_not_taken_over() -> None:
    """Nor one with more outputs; what differs is listed, and nothing was changed."""
    new = squeezed(4)
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    with pytest.raises(UsageError, match=r"but for more outputs of its head 2; these differ: 2\.bias, 2\.weight"):
        take_over(new, squeezed(5), 4)
    with pytest.raises(UsageError, match=r"must be as that one was, .*Build it as it was built then"):
        take_over(new, Tiny(4), 4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in new.state_dict().items())
