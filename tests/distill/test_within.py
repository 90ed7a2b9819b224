"""edgekd.distill.within: attention layers of two transformers brought together, and the two heads of a distilled student."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from edgekd.distill import attentions
from edgekd.distill.within import Attending, Relating, attention_pairs, halves, token_pairs, within
from edgekd.errors import UsageError
from edgekd.models.attention import read
from edgekd.models.deit import Deit
from edgekd.models.network import Network
from edgekd.models.tapped import Tapped
from edgekd.models.taps import find
from edgekd.preprocess import Preprocess
from edgekd.terms import Heads, Values
from tests.distill import nets

IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def network(body: nn.Module, name: str, size: int = 16) -> Network:
    for parameter in body.parameters():
        nn.init.normal_(parameter, std=0.2)
    return Network(body, Preprocess(size=(size, size)), name=name, classes=3, spec=name)


def deit(depth: int = 2, width: int = 16, heads: int = 2, *, distilled: bool = False, size: int = 16) -> Network:
    torch.manual_seed(depth + width)
    return network(Deit(depth, width, 3, 3, heads=heads, distilled=distilled), "deit", size)


def vit() -> Network:
    torch.manual_seed(5)
    return network(VisionTransformer(16, 4, num_layers=3, num_heads=4, hidden_dim=24, mlp_dim=16, num_classes=3), "vit")


def swin(window: int = 4) -> Network:
    torch.manual_seed(6)
    body = SwinTransformer([2, 2], 8, [1, 1], [2, 4], [window, window], stochastic_depth_prob=0.0, num_classes=3)
    return network(body, "swin")


def compared(term: Heads | Values, student: Network, teacher: Network) -> list[tuple[Tensor, Tensor]]:
    """What a term is given for a batch of images."""
    pairs = attention_pairs(term, student, teacher)
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    mine, other = find(student, *ours), find(teacher, *theirs)
    module = within(term, [(mine[a], other[b]) for a, b in pairs], student, teacher)
    assert not list(module.parameters())
    first, second = Tapped(student, ours)(IMAGES)[1], Tapped(teacher, theirs)(IMAGES)[1]
    found: list[tuple[Tensor, Tensor]] = module([(first[a], second[b]) for a, b in pairs])
    return found


# Pairs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", [Heads(), Values()])
def test_the_last_layers_where_none_are_named(term: Heads | Values) -> None:
    """Of both networks, whatever their depths."""
    assert attention_pairs(term, deit(), vit()) == (("heads2", "heads3"),)


def test_layers_by_landmark_or_by_module() -> None:
    """As `edgekd taps` lists either."""
    named = Heads(pairs=(("heads1", "encoder.layers.encoder_layer_1.self_attention"), ("blocks.1.attn", "heads3")))
    assert attention_pairs(named, deit(), vit()) == (("heads1", "heads2"), ("heads2", "heads3"))


def test_a_layer_that_is_not_there_is_an_error() -> None:
    """A block is no layer of attention; the message lists what is."""
    words = r"the term values .* deit has no 'blocks\.1' among them\. It has heads1 \(blocks\.0\.attn\), heads2 \(blocks\.1\.attn\)\."
    with pytest.raises(UsageError, match=words):
        attention_pairs(Values(pairs=(("blocks.1", "heads1"),)), deit(), vit())


def test_a_network_without_attention_is_refused() -> None:
    """On either side, with what may be compared instead."""
    convolutional = nets.network(name="conv")
    for student, teacher in ((convolutional, deit()), (deit(), convolutional)):
        with pytest.raises(UsageError, match=r"the term heads compares layers of attention; conv has none that is read .* or answers \(kd\)"):
            attention_pairs(Heads(), student, teacher)


def test_only_a_distilled_student_has_two_heads() -> None:
    """Another is refused, with one that may be taken."""
    assert token_pairs(deit(distilled=True)) == (("pooled", "logits"),)
    for student in (deit(), nets.network(name="conv")):
        with pytest.raises(UsageError, match=r"the term tokens .* (deit|conv) has none\. Take .* cifar-deit-ti-distilled, or kd"):
            token_pairs(student)


# What is compared -----------------------------------------------------------------------------------------------------


def test_attention_in_as_many_heads() -> None:
    """The teacher's four averaged to the student's two, over the same tokens."""
    student, teacher = deit(), vit()
    ((ours, theirs),) = compared(Heads(), student, teacher)
    assert ours.shape == theirs.shape == (3, 2, 17, 17)
    given = Tapped(teacher, ["heads3"])(IMAGES)[1]["heads3"]
    whole = read(teacher.body.get_submodule("encoder.layers.encoder_layer_2.self_attention"), given).probabilities
    torch.testing.assert_close(theirs, torch.stack([whole[:, :2].mean(1), whole[:, 2:].mean(1)], 1))
    ((_, nearest),) = compared(Heads(match="nearest"), student, teacher)
    torch.testing.assert_close(nearest, whole[:, [1, 3]])


def test_value_vectors_of_any_widths() -> None:
    """16 in two heads beside 24 in four: both in four, the most up to the teacher's that divide both; or as many as the recipe says."""
    ((ours, theirs),) = compared(Values(), deit(), vit())
    assert (ours.shape, theirs.shape) == ((3, 4, 17, 4), (3, 4, 17, 6))
    ((ours, theirs),) = compared(Values(relation_heads=8), deit(), vit())
    assert (ours.shape, theirs.shape) == ((3, 8, 17, 2), (3, 8, 17, 3))
    assert attentions.values(ours, theirs) > 0


def test_relation_heads_must_divide_both_widths() -> None:
    """The message says which do."""
    with pytest.raises(UsageError, match=r"must divide .* 16 and 24; got 3\. These do: 1, 2, 4, 8\."):
        compared(Values(relation_heads=3), deit(), vit())


@pytest.mark.parametrize("term", [Heads(), Values()])
def test_a_network_like_its_teacher_loses_nothing(term: Heads | Values) -> None:
    """Teacher = student, through the traces and all that is computed anew."""
    loss = attentions.heads if isinstance(term, Heads) else attentions.values
    for one in (deit(), vit(), swin()):
        ((ours, theirs),) = compared(term, one, one)
        assert loss(ours, theirs).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", [Heads(), Values()])
def test_grids_that_differ_meet_on_the_coarser_one(term: Heads | Values) -> None:
    """Two tokens and 4×4 patches beside one and 2×2: the class token and four patches of each."""
    ((ours, theirs),) = compared(term, deit(distilled=True), deit(1, size=8))
    assert (ours.shape[-2], theirs.shape[-2]) == (5, 5)


@pytest.mark.parametrize("term", [Heads(), Values()])
def test_only_the_student_is_reached(term: Heads | Values) -> None:
    """Its layer's own weights and what comes before it; of the teacher nothing."""
    student, teacher = deit(), vit()
    loss = attentions.heads if isinstance(term, Heads) else attentions.values
    ((ours, theirs),) = compared(term, student, teacher)
    loss(ours, theirs).backward()  # type: ignore[no-untyped-call]
    reached = {name for name, parameter in student.named_parameters() if parameter.grad is not None and parameter.grad.any()}
    assert {"body.blocks.1.attn.qkv.weight", "body.blocks.0.mlp.fc1.weight", "body.cls_token"} <= reached
    assert not any(name.startswith(("body.blocks.1.mlp", "body.blocks.1.attn.proj", "body.head")) for name in reached)
    assert not theirs.requires_grad
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_windows_go_with_windows() -> None:
    """Swin beside Swin, window by window."""
    ((ours, theirs),) = compared(Heads(pairs=(("heads1", "heads1"),)), swin(), swin())
    assert ours.shape == theirs.shape == (3 * 4, 2, 16, 16)


@pytest.mark.parametrize(
    ("student", "teacher", "words"),
    [
        (deit(), swin(), r"blocks\.1\.attn attends among all of 17 tokens, features\.3\.0\.attn in 1 window of 16 on maps of 4×4"),
        (swin(2), swin(4), r"features\.3\.0\.attn attends in 4 windows of 4 on maps of 4×4, features\.3\.0\.attn in 1 window of 16 on maps of 4×4"),
    ],
)
def test_windows_do_not_go_with_anything_else(student: Network, teacher: Network, words: str) -> None:
    """Neither with tokens that see the whole picture nor with windows of another size."""
    with pytest.raises(UsageError, match=rf"the term heads compares windows with windows of the same maps; {words}\. Choose"):
        compared(Heads(), student, teacher)


def test_tokens_that_are_no_square() -> None:
    """Two numbers of tokens and no grid to bring them together, though nine tokens could be taken for one of 3×3."""
    oblong = Network(Deit(1, 16, 3, 3, heads=2), Preprocess(size=(8, 16)), name="oblong", classes=3)
    with pytest.raises(UsageError, match=r"the term heads compares tokens .* blocks\.1\.attn has 17, blocks\.0\.attn 9\. Give both networks"):
        compared(Heads(), deit(), oblong)


def test_two_heads_told_apart() -> None:
    """What the student's head is given becomes two answers, whose mean the logits are; also of half precision."""
    student = deit(distilled=True)
    module = halves(student)
    logits, features = Tapped(student, ["pooled"])(IMAGES)
    ((label, distillation),) = module([(features["pooled"], logits)])
    torch.testing.assert_close((label + distillation) / 2, logits)
    assert module([(features["pooled"].bfloat16(), logits)])[0][0].dtype == torch.float32
    assert not list(module.parameters())


def test_bridges_have_nothing_of_their_own() -> None:
    """Neither weights nor state: the networks are no part of them."""
    layers = [(nn.Linear(1, 1), nn.Linear(1, 1))]
    for module in (Attending(layers, "groups"), Relating(layers, [1])):
        assert module.state_dict() == {}
        assert list(module.modules()) == [module]
