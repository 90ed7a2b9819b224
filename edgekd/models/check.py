"""Is a brought network used as it was taught? It is scored on validation images before anything is trained.

In: a Network, validation images and labels, the class names. Out: its accuracy; or an error that names the setting that fits, where it is
near chance or another mean, colour order or class order is clearly better. Only the network's own answers are looked at; nothing is changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from edgekd import stats
from edgekd.errors import UsageError
from edgekd.models.network import Network, evaluating
from edgekd.preprocess import Preprocess

IMAGES = 1024
"""Images that are looked at, at most; `SCREEN` of them for each setting that was not asked for."""

SCREEN = 128

MARGIN = 0.02
"""Another setting must be better by this much, and its interval above zero, to be an error."""

NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-100's": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "that of [-1, 1]": ((0.5,), (0.5,)),
    "that of [0, 1]": ((0.0,), (1.0,)),
    "that of 0 to 255": ((0.0,), (1 / 255,)),
    "ImageNet's mean off 0 to 255": ((0.485, 0.456, 0.406), (1 / 255,) * 3),
}

GREY_NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "MNIST's": ((0.1307,), (0.3081,)),
    "Fashion-MNIST's": ((0.2860,), (0.3530,)),
    **{name: value for name, value in NORMALISATIONS.items() if len(value[0]) == 1},
}


@dataclass(frozen=True)
class _Setting:
    """A Preprocess that might be meant, and what it is in words."""

    words: str
    preprocess: Preprocess


def check_brought(
    network: Network,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, "n"],
    classes: Sequence[str],
    *,
    stated: Sequence[str] | None = None,
    who: str = "the teacher",
    which: str = "validation",
) -> float:
    """The share of validation images that a brought network has right.

    Args:
        images: in [0, 1], at least some dozens; the first 1,024 are looked at, so they should stand in no order.
        classes: the data's class names, by label.
        stated: the class names in the order of the network's outputs, by which its answers were put into the data's order; None: they were not.
        who: what the network is called in messages.
        which: what the images are called there.

    Raises:
        UsageError: it is no better than always naming the commonest class; or clearly better under another mean and std, colour order or
            class order, which is then given as it is to be written.
    """
    images, labels = images[:IMAGES], labels[:IMAGES]
    answers = _answers(network, network.preprocess, images)
    right = answers == labels
    better = _better_setting(network, images, labels, right, _chance(labels, len(classes)))
    _refuse_order(network, answers, labels, classes, stated or classes, who, which, least=0 if better is None else int(better[1].sum()))
    if better is not None:
        setting, other = better
        raise UsageError(
            f"{who} {network.name} has {_percent(right)} of {len(labels)} {which} images right as stated ({_toml(network.preprocess)}), "
            f"and {_percent(other)} with {setting.words}. Set preprocess = {_toml(setting.preprocess, told=network.preprocess.colour)} beside its "
            f"model{_flags(setting.preprocess, told=network.preprocess.colour)}."
        )
    _refuse_chance(network, right, labels, _chance(labels, len(classes)), who, which)
    return float(right.float().mean())


def _answers(network: Network, preprocess: Preprocess, images: Tensor) -> Tensor:
    """The network's first choices under a Preprocess, in eval mode, on the CPU."""
    seen = network.with_preprocess(preprocess).eval()
    with evaluating(network), torch.no_grad():
        return torch.cat([seen(batch.to(network.mean.device)).argmax(1).cpu() for batch in torch.split(images, SCREEN)])


def _chance(labels: Tensor, classes: int) -> float:
    """What naming the commonest class each time has right, or guessing where that is more."""
    return max(float(torch.bincount(labels).max()) / len(labels), 1 / classes)


def _better_setting(network: Network, images: Tensor, labels: Tensor, right: Tensor, chance: float) -> tuple[_Setting, Tensor] | None:
    """The best of the other settings on a few images, where it is clearly better on all, and than chance; and which images it has right."""
    room = 1 - float(right.float().mean())
    if room < MARGIN:
        return None
    few, their = images[:SCREEN], labels[:SCREEN]

    def hits(setting: _Setting) -> int:
        return int((_answers(network, setting.preprocess, few) == their).sum())

    best = max(_settings(network.preprocess), key=hits)
    if hits(best) <= int(right[:SCREEN].sum()):
        return None
    other = _answers(network, best.preprocess, images) == labels
    gain, low, _ = stats.paired_difference(int((other & ~right).sum()), int((right & ~other).sum()), len(labels))
    knows = stats.proportion(int(other.sum()), len(labels))[1] > chance
    return (best, other) if gain >= MARGIN and low > 0 and knows else None


def _settings(stated: Preprocess) -> Iterator[_Setting]:
    """The usual settings, but for the stated one."""
    usual = GREY_NORMALISATIONS if stated.colour == "grey" else NORMALISATIONS
    orders = (stated.colour,) if stated.colour == "grey" else ("rgb", "bgr")
    own = {} if stated.colour == "grey" else {"its own mean and std": (stated.mean, stated.std)}
    for words, (mean, std) in {**own, **usual}.items():
        for colour in orders:
            turned = colour != stated.colour if words in own else colour == "bgr"
            setting = msgspec.structs.replace(stated, mean=mean[::-1] if turned else mean, std=std[::-1] if turned else std, colour=colour)
            if setting != stated:
                order = "" if colour == stated.colour else f" in the order {colour}"
                yield _Setting(f"{words}{'' if words in own else ' mean and std'}{order}", setting)


def _refuse_order(
    network: Network, answers: Tensor, labels: Tensor, classes: Sequence[str], stated: Sequence[str], who: str, which: str, *, least: int
) -> None:
    """Refuse a network whose mistakes are a reordering of the classes, where that explains more than `least` images, those of another setting."""
    count = len(classes)
    table = torch.bincount(labels * count + answers, minlength=count * count).view(count, count)
    seen = table.sum(1) > 0
    usual = table.argmax(1)
    answered = [int(place) for place in usual[seen]]
    if len(set(answered)) < len(answered) or bool((usual[seen] == torch.arange(count)[seen]).all()):
        return
    as_stated, reordered = int(table.diagonal().sum()), int(table.max(1).values.sum())
    if reordered - as_stated <= 0.3 * len(labels) or reordered < 0.5 * len(labels) or reordered <= least:
        return
    theirs = _their_order(usual, seen, classes, stated)
    known = "alphabetical order: " if theirs == sorted(classes) else ""
    raise UsageError(
        f"{who} {network.name} has {as_stated / len(labels):.1%} of {len(labels)} {which} images right, and {reordered / len(labels):.1%} "
        f"with its classes in another order. Set classes = {_listed(theirs)} beside its model ({known}the order of its outputs), "
        "or --teacher-classes."
    )


def _their_order(usual: Tensor, seen: Tensor, classes: Sequence[str], stated: Sequence[str]) -> list[str]:
    """Class names by the network's output, that answers what `stated` says; classes without an image take the places that are left, in their own
    order."""
    theirs = {classes[int(usual[label])]: classes[label] for label in range(len(classes)) if seen[label]}
    left = iter(classes[label] for label in range(len(classes)) if not seen[label])
    return [theirs[name] if name in theirs else next(left) for name in stated]


def _refuse_chance(network: Network, right: Tensor, labels: Tensor, chance: float, who: str, which: str) -> None:
    """Refuse a network that does no better than naming the commonest class each time.

    Where few images are of other classes no interval can lie above that; then half of its mistakes, or fewer, are enough.
    """
    share, low, high = stats.proportion(int(right.sum()), len(labels))
    if low > chance or 1 - share <= (1 - chance) / 2:
        return
    tried = ", ".join(GREY_NORMALISATIONS if network.preprocess.colour == "grey" else NORMALISATIONS)
    raise UsageError(
        f"{who} {network.name} must know the data; it has {_percent(right)} of {len(labels)} {which} images right "
        f"({low:.1%} to {high:.1%}), and the commonest class alone gives {chance:.1%}. No usual mean and std ({tried}), colour order or class "
        "order does clearly better: check its weights, and the preprocess and classes beside its model."
    )


def _percent(right: Tensor) -> str:
    return f"{float(right.float().mean()):.1%}"


def _toml(preprocess: Preprocess, told: str = "rgb") -> str:
    """A Preprocess as it is written in a recipe, without what it leaves at its default, unless another colour was `told`."""
    parts = [f"mean = {_numbers(preprocess.mean)}", f"std = {_numbers(preprocess.std)}"]
    parts += [f'colour = "{preprocess.colour}"'] if {preprocess.colour, told} != {"rgb"} else []
    return f"{{ {', '.join(parts)} }}"


def _flags(preprocess: Preprocess, told: str) -> str:
    """The same as flags."""
    colour = "" if {preprocess.colour, told} == {"rgb"} else f" --teacher-colour {preprocess.colour}"
    return f" (--teacher-mean {_commas(preprocess.mean)} --teacher-std {_commas(preprocess.std)}{colour})"


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def _commas(values: Sequence[float]) -> str:
    return ",".join(f"{value:.4g}" for value in values)


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
