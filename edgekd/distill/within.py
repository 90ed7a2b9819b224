"""Bridges for what is read inside transformers: layers of attention of both networks, and the two heads of a distilled student.

In: the terms `heads`, `values` and `tokens`, and both networks. Out: modules that take what attention layers or the student's head are given, and
give pairs that the terms' losses compare. They learn nothing: whatever they compute with is the networks' own. Gradients reach the student, through
what its layer is given and through the layer; the teacher's side has none.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from edgekd.distill import attentions
from edgekd.distill.bridges import Features
from edgekd.errors import UsageError
from edgekd.models.attention import Attended, extent, number_of_heads, read, width, windowed
from edgekd.models.deit import Deit
from edgekd.models.network import Network
from edgekd.models.taps import HEADS, LOGITS, POOLED, Tap, landmarks
from edgekd.terms import Heads, Values

Pairs = tuple[tuple[str, str], ...]


def attention_pairs(term: Heads | Values, student: Network, teacher: Network) -> Pairs:
    """The pairs of attention layers that a term names, by landmarks or by modules; the last ones of both where it names none.

    Raises:
        UsageError: a network without attention layers that can be read, or without one that is named.
    """
    kind = type(term).__name__.lower()
    ours, theirs = _layers(kind, student), _layers(kind, teacher)
    named = term.pairs or ((list(ours)[-1], list(theirs)[-1]),)
    return tuple((_found(kind, student, ours, mine), _found(kind, teacher, theirs, other)) for mine, other in named)


def token_pairs(student: Network) -> Pairs:
    """What the student's head is given, beside the teacher's answers.

    Raises:
        UsageError: it has no distillation token.
    """
    if not (isinstance(student.body, Deit) and student.body.distilled):
        raise UsageError(
            f"the term tokens teaches the head of a distillation token; {student.name} has none. "
            "Take a student that has one, as cifar-deit-ti-distilled, or kd, which any student learns by."
        )
    return ((POOLED, LOGITS),)


def halves(student: Network) -> "Halves":
    """The module for `tokens`, of a student that `token_pairs` takes."""
    assert isinstance(student.body, Deit), "token_pairs refuses others"
    return Halves(student.body)


def within(term: Heads | Values, pairs: Sequence[tuple[Tap, Tap]], student: Network, teacher: Network) -> nn.Module:
    """The module for a term's pairs of taps, as `attention_pairs` names them.

    Raises:
        UsageError: layers whose tokens do not belong together, or relation heads that do not divide the widths.
    """
    layers = [(student.body.get_submodule(ours.name), teacher.body.get_submodule(theirs.name)) for ours, theirs in pairs]
    for (mine, other), (ours, theirs) in zip(layers, pairs, strict=True):
        _check_tokens(type(term).__name__.lower(), (mine, ours), (other, theirs))
    if isinstance(term, Heads):
        return Attending(layers, term.match)
    return Relating(layers, [_relation_heads(term, mine, other) for mine, other in layers])


def comparable(student: Network, teacher: Network, pair: tuple[str, str]) -> bool:
    """Whether two layers of attention, by landmarks, attend among the same tokens."""
    ours, theirs = landmarks(student)[pair[0]], landmarks(teacher)[pair[1]]
    try:
        _check_tokens("heads", (student.body.get_submodule(ours.name), ours), (teacher.body.get_submodule(theirs.name), theirs))
    except UsageError:
        return False
    return True


class _Reading(nn.Module):
    """Reads the layers of both networks. It holds them in a tuple, so that they are no part of it: neither learnt nor kept a second time."""

    def __init__(self, layers: Sequence[tuple[nn.Module, nn.Module]]) -> None:
        super().__init__()
        self.layers = tuple(layers)

    def read(self, features: Features) -> list[tuple[Attended, Attended]]:
        found = []
        for (mine, other), (ours, theirs) in zip(self.layers, features, strict=True):
            with torch.no_grad():
                answer = read(other, theirs)
            found.append((read(mine, ours), answer))
        return found


class Attending(_Reading):
    """Probabilities of attention in as many heads, among the same tokens."""

    def __init__(self, layers: Sequence[tuple[nn.Module, nn.Module]], match: str) -> None:
        super().__init__(layers)
        self.match = match

    def forward(self, features: Features) -> Features:
        found = []
        for ours, theirs in self.read(features):
            student, teacher = ours.probabilities, theirs.probabilities
            if student.shape[-1] != teacher.shape[-1]:
                grid = attentions.shared_grid(student.shape[-1], teacher.shape[-1])
                assert grid is not None, "tokens that do not belong together are refused before they come"
                student, teacher = attentions.attention_on(grid, student), attentions.attention_on(grid, teacher)
            found.append(attentions.same_heads(student, teacher, self.match))
        return found


class Relating(_Reading):
    """Value vectors of the same tokens, in so many heads for each pair."""

    def __init__(self, layers: Sequence[tuple[nn.Module, nn.Module]], heads: Sequence[int]) -> None:
        super().__init__(layers)
        self.heads = tuple(heads)

    def forward(self, features: Features) -> Features:
        found = []
        for heads, (ours, theirs) in zip(self.heads, self.read(features), strict=True):
            student, teacher = ours.values, theirs.values
            if student.shape[-2] != teacher.shape[-2]:
                grid = attentions.shared_grid(student.shape[-2], teacher.shape[-2])
                assert grid is not None, "tokens that do not belong together are refused before they come"
                student, teacher = attentions.vectors_on(grid, student), attentions.vectors_on(grid, teacher)
            found.append((attentions.split(student, heads), attentions.split(teacher, heads)))
        return found


class Halves(nn.Module):
    """The answers of a distilled student's two heads: the class token's and the distillation token's, from what its head is given."""

    def __init__(self, body: Deit) -> None:
        super().__init__()
        self.body = (body,)  # in a tuple, for the same reason

    def forward(self, features: Features) -> Features:
        (body,) = self.body
        return [body.apart(pooled.to(body.head.weight.dtype)) for pooled, _ in features]


def _layers(kind: str, network: Network) -> dict[str, Tap]:
    """The attention layers of a network by landmark."""
    layers = {name: tap for name, tap in landmarks(network).items() if name.startswith(HEADS)}
    if not layers:
        raise UsageError(
            f"the term {kind} compares layers of attention; {network.name} has none that is read (DeiT's and ViT's, torch's own and Swin's are). "
            "Compare features between these networks (feature, relation, contrast), or answers (kd)."
        )
    return layers


def _found(kind: str, network: Network, layers: dict[str, Tap], name: str) -> str:
    """A layer's landmark, by it or by the module's name."""
    for landmark, tap in layers.items():
        if name in (landmark, tap.name):
            return landmark
    listed = ", ".join(f"{landmark} ({tap.name})" for landmark, tap in layers.items())
    raise UsageError(f"the term {kind} compares layers of attention; {network.name} has no {name!r} among them. It has {listed}.")


def _check_tokens(kind: str, ours: tuple[nn.Module, Tap], theirs: tuple[nn.Module, Tap]) -> None:
    """Refuse layers whose tokens cannot be the same ones."""
    (mine, our_tap), (other, their_tap) = ours, theirs
    first, second = extent(mine, our_tap.shape), extent(other, their_tap.shape)
    if windowed(mine) or windowed(other):
        if windowed(mine) and windowed(other) and first == second and our_tap.grid == their_tap.grid:
            return
        raise UsageError(
            f"the term {kind} compares windows with windows of the same maps; {our_tap.name} attends {_among(mine, our_tap)}, "
            f"{their_tap.name} {_among(other, their_tap)}. "
            "Choose two layers of Swin networks of one size, or compare features (feature, relation) or answers (kd)."
        )
    if first[1] != second[1] and None in (our_tap.grid, their_tap.grid):
        raise UsageError(
            f"the term {kind} compares tokens of equal number or of square pictures; {our_tap.name} has {first[1]}, {their_tap.name} {second[1]}. "
            "Give both networks images of one size and patches of one size, or square images."
        )


def _among(layer: nn.Module, tap: Tap) -> str:
    windows, tokens = extent(layer, tap.shape)
    if tap.grid is None or not windowed(layer):
        return f"among all of {tokens} tokens"
    return f"in {windows} window{'' if windows == 1 else 's'} of {tokens} on maps of {tap.grid[0]}×{tap.grid[1]}"


def _relation_heads(term: Values, ours: nn.Module, theirs: nn.Module) -> int:
    """Into how many heads the value vectors of two layers are split."""
    widths = width(ours), width(theirs)
    shared = math.gcd(*widths)
    if term.relation_heads is None:
        return max(heads for heads in range(1, number_of_heads(theirs) + 1) if shared % heads == 0)
    if shared % term.relation_heads:
        divisors = ", ".join(str(heads) for heads in range(1, shared + 1) if shared % heads == 0)
        raise UsageError(
            f"relation_heads must divide the widths of both networks' value vectors, {widths[0]} and {widths[1]}; got {term.relation_heads}. "
            f"These do: {divisors}."
        )
    return term.relation_heads
