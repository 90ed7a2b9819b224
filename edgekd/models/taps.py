"""Intermediate features of a network by name: which there are.

A tap is the output of a module, named as the module is (`layer2`, `features.7.conv`), or one of the names that mean the same place in any network:

    stem       the first normalised convolution
    stage1 …   the last block at each resolution of the feature maps, from the largest on; a transformer's blocks count by their grid of patches
    pooled     what the head is given, as a vector
    heads1 …   what each attention layer is given that `attention` reads
    logits     what the network answers

In: a `Network`. Out: names with shapes, and which of two networks belong together; `tapped` reads them. Maps are (c, h, w), also those of modules
that have their channels last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models import attention
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.heads import likely_head
from edgekd.models.network import Network, evaluating, input_size

POOLED, STEM, STAGE, HEADS, LOGITS = "pooled", "stem", "stage", "heads", "logits"


@dataclass(frozen=True)
class Tap:
    """A module's output, and its shape for one image: (c, h, w) of maps, (tokens, width) of tokens, (width,) of a vector.

    Attributes:
        given: it is not what the module answers, but what it is given.
        channels_last: the module has maps as (h, w, c); they are turned.
        heads: how many an attention layer has.
        square: the network's images are.
    """

    name: str
    shape: tuple[int, ...]
    given: bool = False
    channels_last: bool = False
    heads: int | None = None
    square: bool = True

    @property
    def grid(self) -> tuple[int, int] | None:
        """Height and width of the places: of maps, or of the patches of a square picture; None of a vector and of other tokens."""
        if len(self.shape) == 3:
            return self.shape[1], self.shape[2]
        found = attention.patches(self.shape[0]) if len(self.shape) == 2 and self.square else None
        return None if found is None else (found[1], found[1])


def taps(network: Network) -> list[Tap]:
    """Every module whose output is one tensor, in the order in which they answer.

    Raises:
        UsageError: an ONNX file, which shows nothing but its answers.
    """
    if isinstance(network, OnnxTeacher):
        raise UsageError(
            f"features are tapped inside a network; {network.spec} is an ONNX file and shows its answers alone. Name its model and weights."
        )
    found: dict[str, Tap] = {}

    def hear(name: str) -> Callable[..., None]:
        def heard(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() > 1:
                found.pop(name, None)  # a module that answers twice stands where it answers last
                found[name] = _tap(network, name, output, channels_last=output.dim() == 4 and _channels_last(module))

        return heard

    hooks = [module.register_forward_hook(hear(name)) for name, module in network.body.named_modules() if name]
    try:
        _ask(network)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def _tap(network: Network, name: str, values: Tensor, *, channels_last: bool, given: bool = False, heads: int | None = None) -> Tap:
    shape = tuple((values.movedim(-1, 1) if channels_last else values).shape[1:])
    height, width = input_size(network.preprocess) or (1, 1)
    return Tap(name, shape, given=given, channels_last=channels_last, heads=heads, square=height == width)


def _channels_last(module: nn.Module) -> bool:
    """Whether a module that answers four sides answers (n, h, w, c): a linear layer, a norm of the last side, Swin's, a sequence that ends so."""
    if isinstance(module, nn.Sequential):
        layers = [layer for layer in module if not isinstance(layer, nn.Dropout)]
        return bool(layers) and _channels_last(layers[-1])
    if type(module) is nn.LayerNorm:
        return len(module.normalized_shape) == 1
    turned = type(module).__name__ == "Permute" and list(getattr(module, "dims", ())) == [0, 2, 3, 1]
    return turned or type(module) is nn.Linear or type(module).__module__ == attention.SWIN


def attention_layers(network: Network) -> list[Tap]:
    """What each attention layer that can be read is given, in the order in which they answer: tokens, or maps where they attend within windows."""
    found: dict[str, Tap] = {}

    def hear(name: str) -> Callable[..., None]:
        def heard(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            given, answer = first_tensor((*inputs, *named.values())), first_tensor(output if isinstance(output, tuple) else (output,))
            if given is not None and answer is not None and attention.agrees(module, given, answer):
                found.pop(name, None)
                last, heads = attention.windowed(module), attention.number_of_heads(module)
                found[name] = _tap(network, name, given, channels_last=last, given=True, heads=heads)

        return heard

    layers = {name: module for name, module in network.body.named_modules() if name and attention.reads(module)}
    hooks = [module.register_forward_hook(hear(name), with_kwargs=True) for name, module in layers.items()]
    try:
        if layers:
            _ask(network)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def landmarks(network: Network) -> dict[str, Tap]:
    """`stem`, `stage1` …, `pooled` and `heads1` … of a network, as far as it has them. A tap bears its module's name, `pooled` the head's that it is
    given to.

    What lies within one of torchvision's own units (a convolution with its norm and activation) is left out: its extraction does not look into them.
    """
    return _landmarks(network, taps(network))


def _landmarks(network: Network, found: Sequence[Tap]) -> dict[str, Tap]:
    modules = dict(network.body.named_modules())
    layers = attention_layers(network)
    units = {name for name, module in modules.items() if type(module).__module__.startswith("torchvision.ops")}
    attends = {name for name in modules if any(layer.name.startswith(f"{name}.") for layer in layers)}
    places = {
        tap.name: tap
        for tap in found
        if (len(tap.shape) == 3 or (tap.name in attends and tap.grid is not None)) and not any(tap.name.startswith(f"{unit}.") for unit in units)
    }
    named: dict[str, Tap] = {}
    convolving = {name for name in units if _convolves(modules[name])}
    first = [name for kind in (nn.BatchNorm2d, nn.Conv2d) for name in places if isinstance(modules[name], kind) or name in convolving]
    if first:
        named[STEM] = places[first[0]]
    # One place alone is no map: what pools all of them ends no stage.
    maps = {name: tap for name, tap in places.items() if tap.grid != (1, 1)} or places
    blocks = {name: tap for name, tap in places.items() if name in attends or _convolves(modules[name])} or maps
    last_at: dict[tuple[int, int] | None, Tap] = {}
    for name, tap in blocks.items():
        if all(ancestor.grid == tap.grid for ancestor in _around(name, places, modules)):
            last_at[tap.grid] = tap
    named |= {f"{STAGE}{number}": tap for number, tap in enumerate(last_at.values(), 1)}
    head = likely_head(network.body, network.classes)
    if head is not None:
        named[POOLED] = Tap(head[0], (head[1].weight.shape[1],), given=True)
    return named | {f"{HEADS}{number}": layer for number, layer in enumerate(layers, 1)}


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(inner, nn.Conv2d) for inner in module.modules() if inner is not module)


def _around(name: str, places: dict[str, Tap], modules: dict[str, nn.Module]) -> Iterator[Tap]:
    """The blocks that a module lies in, plain sequences left out: what happens within a block that changes the resolution is no stage's end."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in places and not isinstance(modules[name], nn.Sequential):
            yield places[name]


def suggested(student: Network, teacher: Network) -> list[tuple[str, str]]:
    """Stages of both that belong together: of equal resolution where any are, else counted from the last."""
    ours, theirs = ({name: tap for name, tap in landmarks(network).items() if name.startswith(STAGE)} for network in (student, teacher))
    equal = [(ours_name, name) for ours_name, tap in ours.items() for name, other in theirs.items() if tap.grid == other.grid]
    return equal or list(zip(list(ours)[::-1], list(theirs)[::-1], strict=False))[::-1]


def suggested_heads(student: Network, teacher: Network) -> list[tuple[str, str]]:
    """The last attention layers of both; none where one of the two has none that can be read."""
    last = [[name for name in landmarks(network) if name.startswith(HEADS)][-1:] for network in (student, teacher)]
    return [(mine, other) for mine in last[0] for other in last[1]]


def find(network: Network, *names: str) -> dict[str, Tap]:
    """The taps of those names, modules' or landmarks', by name; `pooled` has its head's name, `logits`, which any network answers, its own.

    Raises:
        UsageError: there is none of a name.
    """
    answer = {LOGITS: Tap(LOGITS, (network.classes,))}
    if set(names) <= answer.keys():
        return {name: answer[name] for name in names}
    found = taps(network)
    named = _landmarks(network, found)
    places = {tap.name: tap for tap in found} | named | answer
    for name in names:
        if name not in places:
            raise UsageError(
                f"a tap is a module of the network that answers a tensor; {network.name} has no {name!r}. It has {', '.join(named)}, "
                f"and the modules that `edgekd taps {network.spec}` lists."
            )
    return {name: places[name] for name in names}


def first_tensor(values: Sequence[Any]) -> Tensor | None:
    """The first tensor."""
    return next((value for value in values if isinstance(value, Tensor)), None)


def _ask(network: Network) -> None:
    """One image of noise in eval mode."""
    with evaluating(network), torch.no_grad():
        network.body(network.noise(1))
