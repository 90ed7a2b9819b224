"""A network that gives features from its inside beside its logits.

In: a `Network` and names of its taps. Out: a `Tapped` that answers (logits, features by tap). The network is shared, never copied, and stays as it
was: what is learnt through a `Tapped` is learnt by the network.

Taps are read through torchvision's feature extraction (torch.fx), which torch.compile takes; a network that cannot be traced is read through hooks,
and says so. A trace fixes what a forward pass leaves to Python's own chance (`random.random() < p`): draw by torch there.
"""

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from edgekd.errors import UsageError, first_line
from edgekd.events import Emit
from edgekd.models.folded import fold
from edgekd.models.network import Network
from edgekd.models.taps import LOGITS, POOLED, Tap, find, first_tensor

_AUGMENTED = frozenset(name for name in dir(operator) if name.startswith("i") and name[1:] in dir(operator))
"""Functions of `operator` that change their first argument."""


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
                f"{network.name} cannot be traced ({first_line(error)}): its features are read through hooks, which torch.compile does not take"
            )
            self.read = _Hooked(network.body, self.places)

    def forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        answers: dict[str, Tensor] = self.read(self.network.prepare(images))
        return answers[LOGITS], {name: self._formed(name, answers[name]) for name in self.names}

    def fold(self, emit: Emit) -> None:
        """From now on for answers in eval mode alone, which come sooner (`folded`). A convolution that is a tap keeps the BatchNorm behind it."""
        if self.note is not None:
            return  # what cannot be traced has been said
        read = fold(self.read, self.network, emit)
        if read is not self.read:  # a copy, which goes its own way: into another memory format, say
            self.read, self.network = read, self.network.with_body(nn.Identity())

    def _formed(self, name: str, value: Tensor) -> Tensor:
        """As the tap's shape has it."""
        if name == POOLED:  # a head that is a convolution, or reads tokens, comes before the places are put together
            return value.flatten(2).mean(2) if value.dim() == 4 else value.mean(1) if value.dim() == 3 else value
        return value.movedim(-1, 1) if name in self.places and self.places[name].channels_last else value


def _traced(body: nn.Module, places: Mapping[str, Tap]) -> nn.Module:
    """The body as a graph in train and one in eval mode, over the same modules, which answers logits and taps."""
    from torchvision.models.feature_extraction import create_feature_extractor

    wanted = {mode: _nodes(body, mode == "train", places) for mode in ("train", "eval")}
    # torchvision takes node → name, and two names may mean one node
    nodes = {mode: {node: node for node in names.values()} for mode, names in wanted.items()}
    extractor = create_feature_extractor(body, train_return_nodes=nodes["train"], eval_return_nodes=nodes["eval"], suppress_diff_warning=True)
    for graph in (extractor.train_graph, extractor.eval_graph):
        _keep(body, graph)
    extractor.graph = extractor.train_graph if extractor.training else extractor.eval_graph  # which compiles it anew
    return _Renamed(extractor, wanted)


def _keep(body: nn.Module, graph: Any) -> None:
    """Have a graph answer copies where it goes on in place with what it answers: a BatchNorm's answer is not what the ReLU after it makes of it."""
    output = next(node for node in graph.nodes if node.op == "output")
    answers = dict(output.args[0])
    for name, node in answers.items():
        if any(_in_place(body, user) for user in node.users):
            with graph.inserting_after(node):
                answers[name] = graph.call_method("clone", (node,))
    output.args = (answers,)


def _in_place(body: nn.Module, node: Any) -> bool:
    if node.op == "call_module":
        return bool(getattr(body.get_submodule(node.target), "inplace", False))
    called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace", False)) or (called.endswith("_") and not called.endswith("__")) or called in _AUGMENTED


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
    within = [node for node in graph.nodes if f"{_module(node, names)}.".startswith(f"{tap.name}.")]
    used = [node for inner in within for node in inner.all_input_nodes if node not in within and node.op != "get_attr"]
    found = used[:1] if tap.given else within[-1:]
    if not found:
        raise ValueError(f"its trace does not show {tap.name}")
    return found[0]


def _module(node: Any, names: Mapping[Any, str]) -> str:
    """The module that a node is, by its own name, or that an operation stands in: torchvision numbers names of modules anew, and `ln_2` may become
    `ln_1`."""
    return str(node.target) if node.op == "call_module" else names.get(node, "").rpartition(".")[0]


class _Renamed(nn.Module):
    """An extractor's answers under the names of the taps."""

    def __init__(self, extractor: nn.Module, wanted: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self.extractor, self.wanted = extractor, wanted
        self.training = extractor.training

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
            return lambda module, inputs, named: heard.update({name: _copy(first_tensor((*inputs, *named.values())))})

        def answered(name: str) -> Callable[..., None]:
            return lambda module, inputs, output: heard.update({name: _copy(output)})

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


def _copy(value: Tensor | None) -> Tensor | None:
    """What may be changed in place later on."""
    return None if value is None else value.clone()
