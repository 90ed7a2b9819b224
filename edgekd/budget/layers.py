"""Which layers are behind a figure: those that grew over the baseline's, or without one the largest.

In: a quantity and what is known of the file and of the one before. Out: sentences. Layers are told apart by name; where the two files share no
name, as when another exporter wrote one of them, their operators are compared instead. Judges nothing and reads no file.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from edgekd import units
from edgekd.budget.growth import plain
from edgekd.record import Artifact, Layer

MOST = 5
"""Layers that are named; the rest are counted."""


def behind(quantity: str, now: Artifact, then: Artifact | None) -> list[str]:
    """As "layer4.0.conv1 (Conv): 1.18 MB, was 590 kB", the greatest first; [] for a quantity that no layer is behind."""
    found = _WEIGHS.get(plain(quantity))
    if found is None:
        return []
    read, text = found
    if not now.layers or (then is not None and not then.layers):
        which = "this report" if not now.layers else "the baseline"
        return [f"{which} does not list the layers of {now.name}: it was made by an older edgekd, or without looking into the file"]
    return _largest(now, read, text) if then is None else _grown(now, then, read, text)


def _largest(now: Artifact, read: Callable[[Layer], int], text: units.Text) -> list[str]:
    whole = sum(map(read, now.layers)) or 1
    ranked = sorted(now.layers, key=read, reverse=True)
    lines = [f"{layer.name} ({layer.op}): {text(read(layer), 3)}, {units.percent_text(read(layer) / whole)} of all layers" for layer in ranked[:MOST]]
    return lines + _rest(len(ranked), "layers are smaller")


def _grown(now: Artifact, then: Artifact, read: Callable[[Layer], int], text: units.Text) -> list[str]:
    after, before = _by_name(now, read), _by_name(then, read)
    if not after.keys() & before.keys():
        after, before = _by_operator(now, read), _by_operator(then, read)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}
    ranked = sorted(grown, key=lambda name: grown[name], reverse=True)
    lines = [f"{name}: {text(after[name], 3)}, {f'was {text(before[name], 3)}' if name in before else 'new'}" for name in ranked[:MOST]]
    return lines + _rest(len(ranked), "layers grew less") if lines else ["no layer grew: what did stands between them, as metadata or constants"]


def _rest(count: int, what: str) -> list[str]:
    return [f"{count - MOST} more {what}"] if count > MOST else []


def _by_name(artifact: Artifact, read: Callable[[Layer], int]) -> Mapping[str, int]:
    return {f"{layer.name} ({layer.op})": read(layer) for layer in artifact.layers}


def _by_operator(artifact: Artifact, read: Callable[[Layer], int]) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for layer in artifact.layers:
        sums[f"all {layer.op}"] += read(layer)
    return sums


def _bytes(layer: Layer) -> int:
    return layer.bytes


def _params(layer: Layer) -> int:
    return layer.params


def _macs(layer: Layer) -> int:
    return layer.macs or 0


_WEIGHS: dict[str, tuple[Callable[[Layer], int], units.Text]] = {
    **{name: (_bytes, units.bytes_text) for name in ("size", "memory")},
    "params": (_params, units.count_text),
    **{name: (_macs, units.count_text) for name in ("macs", "latency", "latency_p50", "latency_p95", "energy", "speedup")},
}
"""What of a layer is behind each quantity."""
