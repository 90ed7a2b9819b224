"""How much int8 may lose, and what is put back to float until it loses no more.

In: a `Quantiser`, images that neither training nor calibration saw, what the fp32 file answers to them. Out: the int8 model with its way of
calibrating and the layers that stay in float, named. Chosen by how far the answers' distributions move, which shows in a thousand images what
accuracy would need ten times as many for; held to accuracy, or what stands in its place, where labels are there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.budget.choose import within
from edgekd.evaluate.metrics import log_shares
from edgekd.events import Emit, Note, Progress
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import METHODS, Flavour, Method, Quantiser

FEW = 128
"""Images on which each layer is tried in float: the order of the layers is wanted, not their exact cost."""
BATCH = 32
Quality: TypeAlias = Callable[[NDArray[np.float32]], float]
"""Logits (n, classes) for the held-out images, to the share that `max_drop` is about."""
Answer: TypeAlias = Literal["logits", "probabilities", "several"]
"""What a file answers: logits of one label, its probabilities, or logits of labels that are each there or not by itself."""
ENOUGH = 0.005
"""Nats by which answers may move before another way of calibrating is tried: those are slow, and a thousand images do not tell smaller ones apart."""


@dataclass(frozen=True)
class Cost:
    """What a file loses against fp32's: the mean KL divergence of its answers, nats, and quality, a share (None where nothing tells it)."""

    divergence: float
    drop: float | None


@dataclass(frozen=True)
class Judge:
    """Held-out images (n, c, h, w), prepared; what fp32 answers to them (n, classes); how good answers are, where labels tell."""

    images: NDArray[np.float32]
    before: NDArray[np.float32]
    quality: Quality | None
    feed: Feed
    name: str
    answer: Answer = "logits"

    def cost(self, model: onnx.ModelProto, most: int | None = None) -> Cost:
        """What a model loses on all images; on the first `most` only how far answers move."""
        images, before = self.images[:most], self.before[:most]
        session: Any = open_session(model.SerializeToString(), self.name, layouts=False)
        after = self.feed.answer(session, images, self.feed.batch or BATCH)
        if self.answer == "probabilities":
            before, after = (np.log(np.maximum(shares, np.finfo(np.float32).tiny)) for shares in (before, after))
        shares = _each_log_share if self.answer == "several" else log_shares
        first, second = shares(before), shares(after)
        divergence = float((np.exp(first) * (first - second)).reshape(len(images), -1).sum(axis=1).mean())
        if self.quality is None or most is not None:
            return Cost(divergence, None)
        return Cost(divergence, self.quality(before) - self.quality(after))


@dataclass(frozen=True)
class Choice:
    """An int8 model, how its ranges were taken, which layers are float, what it loses, and what each method alone would have lost."""

    model: onnx.ModelProto
    method: Method
    floats: tuple[str, ...]
    cost: Cost
    tried: dict[str, float]


def chosen(quantiser: Quantiser, flavour: Flavour, judge: Judge, *, max_drop: float, reduce_range: bool, emit: Emit) -> Choice | None:
    """The int8 model that moves the answers least, with as many layers in float as it takes to lose no more than `max_drop` (a share).

    None where even all but one layer in float lose more: there is no int8 of this network then.
    """
    models: dict[Method, onnx.ModelProto] = {}
    costs: dict[Method, Cost] = {}
    for method in METHODS:
        models[method] = quantiser.made(flavour, method, reduce_range=reduce_range)
        costs[method] = judge.cost(models[method])
        if costs[method].divergence <= ENOUGH and _holds(costs[method], max_drop):
            break
    best = min(costs, key=lambda method: costs[method].divergence)
    tried: dict[str, float] = {method: cost.divergence for method, cost in costs.items()}
    if _holds(costs[best], max_drop):
        return Choice(models[best], best, (), costs[best], tried)
    order = _by_harm(quantiser, flavour, best, judge, reduce_range=reduce_range, emit=emit)

    def tried_with(count: int) -> Choice | None:
        floats = tuple(order[:count])
        model = quantiser.made(flavour, best, floats, reduce_range=reduce_range)
        cost = judge.cost(model)
        return Choice(model, best, floats, cost, tried) if _holds(cost, max_drop) else None

    choice = _fewest(tried_with, len(order) - 1)
    if choice is None:
        lost, allowed = 100 * (costs[best].drop or 0), 100 * max_drop
        text = f"no {flavour} of {judge.name}: it loses {lost:.1f} points, and with its worst layers in float still more than {allowed:g}"
        emit(Note(text=text, level="warning"))
    return choice


def _fewest(tried: Callable[[int], Choice | None], most: int) -> Choice | None:
    """What comes of the fewest layers in float that hold, from 1 to `most`: their number doubles until some hold, then it is halved in."""
    failed, count, found = 0, 1, None
    while found is None and failed < most:
        count = min(count, most)
        found = tried(count)
        failed, count = (failed, count) if found else (count, 2 * count)
    while found is not None and failed + 1 < len(found.floats):
        middle = (failed + len(found.floats)) // 2
        fewer = tried(middle)
        found, failed = (fewer, failed) if fewer else (found, middle)
    return found


def _holds(cost: Cost, max_drop: float) -> bool:
    return cost.drop is None or within(cost.drop, max_drop)


def _by_harm(quantiser: Quantiser, flavour: Flavour, method: Method, judge: Judge, *, reduce_range: bool, emit: Emit) -> Sequence[str]:
    """Layers, first that whose return to float helps most, all others being int8."""
    layers = quantiser.layers(flavour)
    left: dict[str, float] = {}
    for number, layer in enumerate(layers):
        emit(Progress(what=f"{judge.name}: which layers int8 hurts", done=number, total=len(layers), unit="layers"))
        left[layer] = judge.cost(quantiser.made(flavour, method, (layer,), reduce_range=reduce_range), FEW).divergence
    emit(Progress(what=f"{judge.name}: which layers int8 hurts", done=len(layers), total=len(layers), unit="layers"))
    return sorted(layers, key=lambda layer: left[layer])


def _each_log_share(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, classes, 2): of each class that it is there, and that it is not."""
    wide = logits.astype(np.float64)
    return np.stack([-np.logaddexp(0, -wide), -np.logaddexp(0, wide)], axis=-1)
