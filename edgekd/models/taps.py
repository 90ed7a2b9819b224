"""Intermediate features of a network by name: which there are, and a network that gives them beside its logits.

A tap is the output of a module, named as the module is (`layer2`, `features.7.conv`), or one of the names that mean the same place in any network:

    stem       the first normalised convolution
    stage1 …   the last block at each resolution of the feature maps, from the largest on; a transformer's blocks count by their grid of patches
    pooled     what the head is given, as a vector
    heads1 …   what each attention layer is given that `attention` reads
    logits     what the network answers

In: a `Network`. Out: names with shapes, or a `Tapped` that answers (logits, features by tap). The network is shared, never copied, and stays as it
was: what is learnt through a `Tapped` is learnt by the network. Maps are (c, h, w), also those of modules that have their channels last.

Taps are read through torchvision's feature extraction (torch.fx), which torch.compile takes; a network that cannot be traced is read through hooks,
and says so. A trace fixes what a forward pass leaves to Python's own chance (`random.random() < p`): draw by torch there.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models import attention
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.heads import find_head
from edgekd.models.network import Network

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
    height, width = _size(network)
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
            given, answer = _first((*inputs, *named.values())), _first(output if isinstance(output, tuple) else (output,))
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
    blocks = {name: tap for name, tap in places.items() if name in attends or _convolves(modules[name])} or places
    last_at: dict[tuple[int, int] | None, Tap] = {}
    for name, tap in blocks.items():
        if all(ancestor.grid == tap.grid for ancestor in _around(name, places, modules)):
            last_at[tap.grid] = tap
    named |= {f"{STAGE}{number}": tap for number, tap in enumerate(last_at.values(), 1)}
    head = find_head(network.body)
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


class Tapped(nn.Module):
    """A network that answers (logits (n, classes), features by tap's name) for images (n, c, h, w) in [0, 1].

    Its parameters are the network's own. `note` says where hooks had to serve, and why.

    Raises:
        UsageError: a tap that the network does not have.
    """

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(dict.fromkeys(names))
        self.places = {name: tap for name, tap in find(network, *self.names).items() if name != LOGITS}
        self.network = network
        self.note: str | None = None
        if not self.places:
            self.read: nn.Module = _Hooked(network.body, {})
            return
        try:
            self.read = _traced(network.body, self.places)
        except Exception as error:  # a body may be a person's own code, which raises what it likes when traced
            self.note = (
                f"{network.name} cannot be traced ({_first_line(error)}): its features are read through hooks, which torch.compile does not take"
            )
            self.read = _Hooked(network.body, self.places)

    def forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        answers: dict[str, Tensor] = self.read(self.network.prepare(images))
        return answers[LOGITS], {name: self._formed(name, answers[name]) for name in self.names}

    def _formed(self, name: str, value: Tensor) -> Tensor:
        """As the tap's shape has it."""
        if name == POOLED:
            return value.flatten(1)
        return value.movedim(-1, 1) if name in self.places and self.places[name].channels_last else value


def _traced(body: nn.Module, places: Mapping[str, Tap]) -> nn.Module:
    """The body as a graph in train and one in eval mode, over the same modules, which answers logits and taps."""
    from torchvision.models.feature_extraction import create_feature_extractor

    wanted = {mode: _nodes(body, mode == "train", places) for mode in ("train", "eval")}
    # torchvision takes node → name, and two names may mean one node
    nodes = {mode: {node: node for node in names.values()} for mode, names in wanted.items()}
    extractor = create_feature_extractor(body, train_return_nodes=nodes["train"], eval_return_nodes=nodes["eval"], suppress_diff_warning=True)
    return _Renamed(extractor, wanted)


def _nodes(body: nn.Module, training: bool, places: Mapping[str, Tap]) -> dict[str, str]:
    """The name of the graph's node for each tap and for the logits, in train or eval mode."""
    import torchvision
    from torchvision.models.feature_extraction import NodePathTracer

    # as create_feature_extractor traces, whose names these must be
    leaves = [kind for _, kind in inspect.getmembers(torchvision.ops, inspect.isclass) if issubclass(kind, nn.Module)]
    before = body.training
    body.train(training)
    try:
        tracer = NodePathTracer(autowrap_modules=(math, torchvision.ops), leaf_modules=leaves)
        graph = tracer.trace(body)
    finally:
        body.train(before)
    names: dict[Any, str] = tracer.node_to_qualname
    (answer,) = next(node for node in graph.nodes if node.op == "output").args
    return {name: names[_node(graph, names, tap)] for name, tap in places.items()} | {LOGITS: names[answer]}


def _node(graph: Any, names: Mapping[Any, str], tap: Tap) -> Any:
    """The node of a tap: the last within its module; of what the module is given, the first that is used in it and comes from outside."""
    within = [node for node in graph.nodes if f"{names.get(node)}.".startswith(f"{tap.name}.")]
    used = [node for inner in within for node in inner.all_input_nodes if node not in within and node.op != "get_attr"]
    found = used[:1] if tap.given else within[-1:]
    if not found:
        raise ValueError(f"its trace does not show {tap.name}")
    return found[0]


class _Renamed(nn.Module):
    """An extractor's answers under the names of the taps."""

    def __init__(self, extractor: nn.Module, wanted: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self.extractor, self.wanted = extractor, wanted

    def forward(self, prepared: Tensor) -> dict[str, Tensor]:
        answers = self.extractor(prepared)
        return {name: answers[node] for name, node in self.wanted["train" if self.training else "eval"].items()}


class _Hooked(nn.Module):
    """The body itself, with what goes into its modules or comes out noted on the way. Hooks stand only while it answers, so that the body stays as it
    was."""

    def __init__(self, body: nn.Module, places: Mapping[str, Tap]) -> None:
        super().__init__()
        self.body, self.places = body, places

    def forward(self, prepared: Tensor) -> dict[str, Tensor]:
        heard: dict[str, Any] = {}

        def given(name: str) -> Callable[..., None]:
            return lambda module, inputs, named: heard.update({name: _first((*inputs, *named.values()))})

        def answered(name: str) -> Callable[..., None]:
            return lambda module, inputs, output: heard.update({name: output})

        hooks = []
        for name, tap in self.places.items():
            module = self.body.get_submodule(tap.name)
            hooks.append(
                module.register_forward_pre_hook(given(name), with_kwargs=True) if tap.given else module.register_forward_hook(answered(name))
            )
        try:
            heard[LOGITS] = self.body(prepared)
        finally:
            for hook in hooks:
                hook.remove()
        silent = [name for name in self.places if name not in heard]
        if silent:
            raise UsageError(f"every tap must answer at every step; {', '.join(silent)} did not. Choose a module that always runs.")
        return heard


def _first(values: Sequence[Any]) -> Tensor | None:
    """The first tensor."""
    return next((value for value in values if isinstance(value, Tensor)), None)


def _ask(network: Network) -> None:
    """One image of noise in eval mode."""
    height, width = _size(network)
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            noise = torch.rand(1, network.channels, height, width, generator=torch.Generator().manual_seed(0))
            network.body(noise.to(network.mean.device))
    finally:
        network.train(training)


def _size(network: Network) -> tuple[int, int]:
    """Height and width of its images."""
    return network.preprocess.size or (32, 32)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
