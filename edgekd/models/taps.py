"""Intermediate features of a network by name: which there are, and a network that gives them beside its logits.

A tap is the output of a module, named as the module is (`layer2`, `features.7.conv`), or one of the names that mean the same place in any network:

    stem       the first normalised convolution
    stage1 …   the last block at each resolution of the feature maps, from the largest on
    pooled     what the head is given, as a vector

In: a `Network`. Out: names with shapes, or a `Tapped` that answers (logits, features by tap). The network is shared, never copied, and stays as it
was: what is learnt through a `Tapped` is learnt by the network. Taps are read through torchvision's feature extraction (torch.fx), which
torch.compile takes; a network that cannot be traced is read through hooks, and says so. A trace fixes what a forward pass leaves to Python's own
chance (`random.random() < p`): draw by torch there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.heads import find_head
from edgekd.models.network import Network

POOLED, STEM, STAGE = "pooled", "stem", "stage"
_LOGITS = "logits"


@dataclass(frozen=True)
class Tap:
    """A module's output, and its shape for one image: (c, h, w) of maps, (tokens, width) of tokens, (width,) of a vector."""

    name: str
    shape: tuple[int, ...]


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
                found[name] = Tap(name, tuple(output.shape[1:]))

        return heard

    hooks = [module.register_forward_hook(hear(name)) for name, module in network.body.named_modules() if name]
    try:
        _ask(network)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def landmarks(network: Network) -> dict[str, Tap]:
    """`stem`, `stage1` … and `pooled` of a network, as far as it has them. A tap bears its module's name, `pooled` the head's that it is given to.

    What lies within one of torchvision's own units (a convolution with its norm and activation) is left out: its extraction does not look into them.
    """
    return _landmarks(network, taps(network))


def _landmarks(network: Network, found: Sequence[Tap]) -> dict[str, Tap]:
    modules = dict(network.body.named_modules())
    units = {name for name, module in modules.items() if type(module).__module__.startswith("torchvision.ops")}
    places = {tap.name: tap for tap in found if len(tap.shape) == 3 and not any(tap.name.startswith(f"{unit}.") for unit in units)}
    named: dict[str, Tap] = {}
    first = [name for kind in (nn.BatchNorm2d, nn.Conv2d) for name in places if isinstance(modules[name], kind) or name in units]
    if first:
        named[STEM] = places[first[0]]
    blocks = {name: tap for name, tap in places.items() if _is_block(modules[name])} or places
    last_at: dict[tuple[int, ...], Tap] = {}
    for name, tap in blocks.items():
        if all(ancestor.shape[1:] == tap.shape[1:] for ancestor in _around(name, places, modules)):
            last_at[tap.shape[1:]] = tap
    named |= {f"{STAGE}{number}": tap for number, tap in enumerate(last_at.values(), 1)}
    head = find_head(network.body)
    if head is not None:
        named[POOLED] = Tap(head[0], (head[1].weight.shape[1],))
    return named


def _is_block(module: nn.Module) -> bool:
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
    equal = [(ours_name, name) for ours_name, tap in ours.items() for name, other in theirs.items() if tap.shape[1:] == other.shape[1:]]
    return equal or list(zip(list(ours)[::-1], list(theirs)[::-1], strict=False))[::-1]


def find(network: Network, *names: str) -> dict[str, Tap]:
    """The taps of those names, modules' or landmarks', by name; `pooled` has its head's name.

    Raises:
        UsageError: there is none of a name.
    """
    found = taps(network)
    named = _landmarks(network, found)
    places = {tap.name: tap for tap in found} | named
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
        self.places = {name: tap.name for name, tap in find(network, *self.names).items()}
        self.network = network
        self.note: str | None = None
        try:
            self.read: nn.Module = _traced(network.body, self.places)
        except Exception as error:  # a body may be a person's own code, which raises what it likes when traced
            self.note = (
                f"{network.name} cannot be traced ({_first_line(error)}): its features are read through hooks, which torch.compile does not take"
            )
            self.read = _Hooked(network.body, self.places)

    def forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        answers: dict[str, Tensor] = self.read(self.network.prepare(images))
        features = {name: answers[name].flatten(1) if name == POOLED else answers[name] for name in self.names}
        return answers[_LOGITS], features


def _traced(body: nn.Module, places: dict[str, str]) -> nn.Module:
    """The body as a graph in train and one in eval mode, over the same modules, which answers logits and taps."""
    from torchvision.models.feature_extraction import create_feature_extractor

    wanted = {mode: _nodes(body, mode == "train", places) for mode in ("train", "eval")}
    # torchvision takes node → name, and two names may mean one node
    nodes = {mode: {node: node for node in names.values()} for mode, names in wanted.items()}
    extractor = create_feature_extractor(body, train_return_nodes=nodes["train"], eval_return_nodes=nodes["eval"], suppress_diff_warning=True)
    return _Renamed(extractor, wanted)


def _nodes(body: nn.Module, training: bool, places: dict[str, str]) -> dict[str, str]:
    """The name of the graph's node for each tap and for the logits, in train or eval mode."""
    from torchvision.models.feature_extraction import NodePathTracer

    before = body.training
    body.train(training)
    try:
        tracer = NodePathTracer()
        graph = tracer.trace(body)
    finally:
        body.train(before)
    (answer,) = next(node for node in graph.nodes if node.op == "output").args
    wanted = {name: place for name, place in places.items() if name != POOLED}
    if POOLED in places:
        head = next(node for node in graph.nodes if node.op == "call_module" and node.target == places[POOLED])
        wanted[POOLED] = tracer.node_to_qualname[head.args[0]]
    return {**wanted, _LOGITS: tracer.node_to_qualname[answer]}


class _Renamed(nn.Module):
    """An extractor's answers under the names of the taps."""

    def __init__(self, extractor: nn.Module, wanted: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self.extractor, self.wanted = extractor, wanted

    def forward(self, prepared: Tensor) -> dict[str, Tensor]:
        answers = self.extractor(prepared)
        return {name: answers[node] for name, node in self.wanted["train" if self.training else "eval"].items()}


class _Hooked(nn.Module):
    """The body itself, with its modules' outputs noted on the way. Hooks stand only while it answers, so that the body stays as it was."""

    def __init__(self, body: nn.Module, places: dict[str, str]) -> None:
        super().__init__()
        self.body, self.places = body, places

    def forward(self, prepared: Tensor) -> dict[str, Tensor]:
        heard: dict[str, Tensor] = {}

        def given(name: str) -> Callable[..., None]:
            return lambda module, inputs: heard.update({name: inputs[0]})

        def answered(name: str) -> Callable[..., None]:
            return lambda module, inputs, output: heard.update({name: output})

        hooks = []
        for name, place in self.places.items():
            module = self.body.get_submodule(place)
            hooks.append(module.register_forward_pre_hook(given(name)) if name == POOLED else module.register_forward_hook(answered(name)))
        try:
            heard[_LOGITS] = self.body(prepared)
        finally:
            for hook in hooks:
                hook.remove()
        silent = [name for name in self.places if name not in heard]
        if silent:
            raise UsageError(f"every tap must answer at every step; {', '.join(silent)} did not. Choose a module that always runs.")
        return heard


def _ask(network: Network) -> None:
    """One black image in eval mode."""
    height, width = network.preprocess.size or (32, 32)
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network.body(torch.zeros(1, network.channels, height, width, device=network.mean.device))
    finally:
        network.train(training)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
