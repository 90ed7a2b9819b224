"""What the runtime ran → which layer of the file that was, as far as names tell.

A runtime fuses nodes and calls what comes of it after a node or a tensor of the file, with something before or behind: `conv1_nchwc`,
`relu_3_token_7`. What stands so under a tensor's name is looked for behind that tensor: the nearest layer of the same kind that is nobody else's.
What is found so is no more than likely; what is not found keeps the runtime's name.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.measurements import LayerTime
from edgekd.record import Artifact

_CUT = 8
"""So many words may stand before and behind a name of the file."""
_MULTIPLY = ("Conv", "MatMul")


@dataclass(frozen=True)
class Node:
    """A node of the file, by what its layer is called."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def layer_times(artifact: Artifact, file: Path, told: Sequence[Mapping[str, Any]]) -> list[LayerTime]:
    """An agent's answer to `profile` as a record, with the artifact's layers."""
    ran = [(str(node["name"]), str(node["op"])) for node in told]
    found = layers_of(ran, _nodes(file), {layer.name for layer in artifact.layers}) if artifact.layers else [None] * len(ran)
    return [
        LayerTime(name=name, op=op, us=[float(us) for us in node["us"]], layer=layer)
        for (name, op), node, layer in zip(ran, told, found, strict=True)
    ]


def layers_of(ran: Sequence[tuple[str, str]], nodes: Sequence[Node], layers: set[str]) -> list[str | None]:
    """For each operator that ran, by name and kind and in the order they ran, the layer that it is; no layer is two operators'."""
    makers = {output: node for node in nodes for output in node.outputs}
    named = {**makers, **{node.name: node for node in nodes}}
    found: list[str | None] = [None] * len(ran)
    fused: list[tuple[int, Node]] = []
    for at, (name, op) in enumerate(ran):
        node = _meant(name, named)
        if node is not None and _kind(node.op) != _kind(op):
            fused.append((at, node))
        elif node is not None and node.name in layers and node.name not in found:
            found[at] = node.name
    for at, node in fused:
        found[at] = _behind(node, _kind(ran[at][1]), makers, layers.difference(name for name in found if name))
    return found


def _nodes(file: Path) -> list[Node]:
    from edgekd.graph import read

    return [Node(node.name or node.output[0], node.op_type, tuple(node.input), tuple(node.output)) for node in read(file).graph.node]


def _kind(op: str) -> str:
    """What fused and quantised forms of an operator have in common."""
    return _MULTIPLY[0] if "Conv" in op else _MULTIPLY[1] if "MatMul" in op or "Gemm" in op or op == "FullyConnected" else op


def _meant(name: str, named: Mapping[str, Node]) -> Node | None:
    """The node or tensor with the longest name that stands in an operator's, whole words taken away at either end."""
    ends = [match.start() for match in re.finditer(r"[_/ :]|$", name)]
    starts = [0, *(match.end() for match in re.finditer(r"[_/ :]", name))]
    pieces = {name[start:end] for start in starts[: _CUT + 1] for end in ends[-_CUT - 1 :] if start < end}
    return next((named[piece] for piece in sorted(pieces, key=lambda piece: (-len(piece), piece)) if piece in named), None)


def _behind(node: Node, kind: str, makers: Mapping[str, Node], free: set[str]) -> str | None:
    """The nearest `free` layer of a kind on the way back from a node; the way ends at whatever multiplies."""
    queue, seen = deque([node]), {node.name}
    while queue:
        here = queue.popleft()
        if here.name in free and _kind(here.op) == kind:
            return here.name
        for before in (makers[name] for name in here.inputs if name in makers and _kind(here.op) not in _MULTIPLY):
            if before.name not in seen:
                seen.add(before.name)
                queue.append(before)
    return None
