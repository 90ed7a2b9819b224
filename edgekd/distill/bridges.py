"""What feature terms need beside the two networks: modules that bring the student's features to the teacher's shapes.

In: a term of the recipe and the taps of both networks. Out: a module that takes pairs of features (the student's, the teacher's) and gives pairs
that the term's loss can compare. What it learns, it learns with the student; it is kept in the checkpoint and never reaches the student's file.
Where maps are compared, tokens of a square picture stand for maps, without what stands before their patches. What is read inside transformers
(`heads`, `values`, `tokens`) has its bridges in `within`.

Sources: FitNets (Romero et al. 2015) for the 1×1 projection, CRD (Tian et al. 2020) for embeddings, the knowledge review (Chen et al. 2021,
section 3.2) for fusing stages.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import UsageError
from edgekd.models.attention import patches
from edgekd.models.taps import Tap
from edgekd.terms import Attention, Contrast, Feature, Relation, Review

Features = list[tuple[Tensor, Tensor]]
"""The student's and the teacher's, pair by pair."""


def bridge(term: Feature | Attention | Relation | Contrast | Review, pairs: Sequence[tuple[Tap, Tap]]) -> nn.Module:
    """The module for a term's pairs of taps.

    Raises:
        UsageError: a tap is of a kind that the term cannot compare; stages to be fused stand the wrong way round.
    """
    kind = type(term).__name__.lower()
    maps = isinstance(term, (Attention, Review))
    if isinstance(term, (Feature, Attention, Review)):
        pairs = [(as_maps(ours), as_maps(theirs)) for ours, theirs in pairs]
    for tap in (tap for pair in pairs for tap in pair):
        if maps and len(tap.shape) != 3:
            raise UsageError(f"the term {kind} compares maps (channels, height, width); the tap {tap.name} is {tap.shape}. Choose a stage.")
    if isinstance(term, Feature):
        for ours, theirs in pairs:
            if len(ours.shape) != len(theirs.shape) or len(ours.shape) not in (1, 3):
                raise UsageError(
                    f"the term feature compares maps with maps or vectors with vectors; {ours.name} is {ours.shape}, {theirs.name} {theirs.shape}. "
                    "Choose two stages, or pooled for both."
                )
        return Projected(pairs)
    if isinstance(term, Attention):
        return Resized()
    if isinstance(term, Relation):
        return Vectors()
    if isinstance(term, Contrast):
        return Embedded(pairs, term.width)
    for (before, _), (after, _) in pairwise(pairs):
        if after.shape[1] > before.shape[1]:
            raise UsageError(
                f"the term review takes its pairs from the shallowest stage to the deepest; {after.name} is {after.shape} and stands behind "
                f"{before.name}, {before.shape}. Turn them around."
            )
    return Fused(pairs)


class Projected(nn.Module):
    """The student's channels to the teacher's by a 1×1 convolution (a linear layer for vectors), then its places to the teacher's."""

    def __init__(self, pairs: Sequence[tuple[Tap, Tap]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(ours.shape[0], theirs.shape[0], 1) if len(ours.shape) == 3 else nn.Linear(ours.shape[0], theirs.shape[0])
            for ours, theirs in pairs
        )

    def forward(self, features: Features) -> Features:
        return [(resized(layer(ours), theirs), theirs) for layer, (ours, theirs) in zip(self.layers, _placed(features), strict=True)]


class Resized(nn.Module):
    """The student's maps at the teacher's size; channels stay."""

    def forward(self, features: Features) -> Features:
        return [(resized(ours, theirs), theirs) for ours, theirs in _placed(features)]


class Vectors(nn.Module):
    """Both as one vector for each sample: maps and tokens by their mean over places."""

    def forward(self, features: Features) -> Features:
        return [(vector(ours), vector(theirs)) for ours, theirs in features]


class Embedded(nn.Module):
    """Both through linear layers into one space, in which they can be told alike."""

    def __init__(self, pairs: Sequence[tuple[Tap, Tap]], width: int) -> None:
        super().__init__()
        self.ours = nn.ModuleList(nn.Linear(_width(ours), width) for ours, _ in pairs)
        self.theirs = nn.ModuleList(nn.Linear(_width(theirs), width) for _, theirs in pairs)

    def forward(self, features: Features) -> Features:
        layers = zip(self.ours, self.theirs, features, strict=True)
        return [(mine(vector(ours)), other(vector(theirs))) for mine, other, (ours, theirs) in layers]


class Fused(nn.Module):
    """From the deepest stage to the shallowest: each of the student's, mixed with what the deeper ones came to, to the teacher's channels and size.

    The mix is by two attention maps, one for each side, computed from both.
    """

    def __init__(self, pairs: Sequence[tuple[Tap, Tap]]) -> None:
        super().__init__()
        middle = min(256, max(theirs.shape[0] for _, theirs in pairs))
        self.enter = nn.ModuleList(_normed(ours.shape[0], middle, 1) for ours, _ in pairs)
        self.mix = nn.ModuleList(nn.Conv2d(2 * middle, 2, 1) for _ in pairs[:-1])
        self.leave = nn.ModuleList(_normed(middle, theirs.shape[0], 3) for _, theirs in pairs)

    def forward(self, features: Features) -> Features:
        fused: Features = []
        features = _placed(features)
        deeper: Tensor | None = None
        for stage in reversed(range(len(features))):
            ours, theirs = features[stage]
            own = self.enter[stage](ours)
            if deeper is not None:
                deeper = F.interpolate(deeper, own.shape[-2:], mode="nearest")
                shares = self.mix[stage](torch.cat([own, deeper], dim=1)).sigmoid()
                own = own * shares[:, :1] + deeper * shares[:, 1:]
            deeper = own
            fused.append((resized(self.leave[stage](own), theirs), theirs))
        return fused[::-1]


def as_maps(tap: Tap) -> Tap:
    """Tokens as the maps (width, h, w) that `placed` makes of them, where their patches are a square; another tap as it is."""
    return replace(tap, shape=(tap.shape[1], *tap.grid)) if len(tap.shape) == 2 and tap.grid is not None else tap


def placed(features: Tensor) -> Tensor:
    """Tokens (batch, tokens, width) as maps (batch, width, h, w) of their patches; maps and vectors as they are."""
    if features.dim() != 3:
        return features
    found = patches(features.shape[1])
    assert found is not None, "tokens that are no square are refused before they come"
    before, side = found
    return torch.unflatten(features[:, before:].transpose(1, 2), 2, (side, side))


def _placed(features: Features) -> Features:
    return [(placed(ours), placed(theirs)) for ours, theirs in features]


def resized(maps: Tensor, like: Tensor) -> Tensor:
    """Maps at the height and width of others: averaged where they are larger, between neighbours where smaller; vectors as they are."""
    if maps.dim() != 4 or maps.shape[-2:] == like.shape[-2:]:
        return maps
    size = (like.shape[-2], like.shape[-1])
    if maps.shape[-2] >= size[0] and maps.shape[-1] >= size[1]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def vector(features: Tensor) -> Tensor:
    """(batch, width): maps (batch, c, h, w) and tokens (batch, tokens, width) by their mean over places."""
    if features.dim() == 4:
        return features.mean(dim=(2, 3))
    return features.mean(dim=1) if features.dim() == 3 else features


def _width(tap: Tap) -> int:
    return tap.shape[0] if len(tap.shape) in (1, 3) else tap.shape[-1]


def _normed(inputs: int, outputs: int, side: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False), nn.BatchNorm2d(outputs))
