"""Why a file weighs and takes what it does: bytes, MACs and time of each layer, the largest first, and what changed against another file.

In: a file with its layers, and a target that runs ONNX Runtime on a CPU. Out: a `Why`, and of two such the `changes`. What is large is so by the
largest of its shares in weights, MACs and time. Times are of a profile, which slows what it times: they compare among themselves.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgekd import stats
from edgekd.bench.operators import layer_times
from edgekd.device.host import connect
from edgekd.errors import DeviceError, UsageError
from edgekd.measurements import LayerTime
from edgekd.record import Artifact
from edgekd.target import Target

PROFILE_S = 3.0
"""Seconds that a profile's runs take at most, but for the first two."""
PATIENCE_S = 300.0
"""How long the agent may say nothing beyond that: it loads the file first."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of the file, or an operator of the runtime's `own`, which has no weights. Shares are of the whole file; None: not known."""

    name: str
    op: str
    own: bool = False
    precision: str = ""
    bytes: int = 0
    bytes_share: float | None = None
    macs: int | None = 0
    macs_share: float | None = None
    ms: float | None = None
    ms_share: float | None = None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A file by its parts. `bytes` of its weights, `ms` of all operators together; `untimed` says why there are no times."""

    file: str
    target: str
    size: int
    params: int
    bytes: int
    macs: int | None
    ms: float | None
    untimed: str | None
    parts: list[Part]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A layer, or all of the runtime's own operators of a kind, in both files; None where one of them has none such."""

    name: str
    op: str
    before: Part | None
    after: Part | None


def why(artifact: Artifact, file: Path, what: Target, host: str = "local") -> Why:
    """A file by its layers, timed on a host; one that does not run there is told without times.

    Raises:
        UsageError: the target runs something else than ONNX Runtime on a CPU, or there is no such host's name.
        MissingExtra: there is no runtime.
    """
    if what.runtime != "onnxruntime" or what.provider != "CPUExecutionProvider":
        raise UsageError(
            f"layers are timed by ONNX Runtime on a CPU, {what.name} runs {what.provider}, whose calls are timed and not their work. "
            "Leave --on away, or name a target of a CPU."
        )
    untimed, times = None, list[LayerTime]()
    try:
        times = _timed(artifact, file, what, host)
    except DeviceError as error:
        untimed = str(error)
    parts = [*_layers(artifact, times), *(Part(name=each.name, op=each.op, own=True, ms=_ms(each)) for each in times if each.layer is None)]
    shares = [
        _share(parts, lambda part: part.bytes),
        _share(parts, lambda part: part.macs, unknown=artifact.macs is None),
        _share(parts, lambda part: part.ms),
    ]
    parts = [
        msgspec.structs.replace(part, bytes_share=weight, macs_share=macs, ms_share=ms) for part, weight, macs, ms in zip(parts, *shares, strict=True)
    ]
    return Why(
        file=str(file),
        target=what.name if host == "local" else f"{what.name} at {host}",
        size=artifact.size,
        params=artifact.params,
        bytes=sum(part.bytes for part in parts),
        macs=artifact.macs,
        ms=None if untimed else sum(part.ms or 0.0 for part in parts),
        untimed=untimed,
        parts=sorted(parts, key=lambda part: -max(part.bytes_share or 0.0, part.macs_share or 0.0, part.ms_share or 0.0)),
    )


def changes(now: Why, then: Why) -> list[Change]:
    """What differs between two files, the greatest change first, each measured by the whole: layers by name, the runtime's own operators by kind."""
    after, before = _by_name(now.parts), _by_name(then.parts)
    found = [
        Change(name=name, op=(after.get(name) or before[name]).op, before=before.get(name), after=after.get(name)) for name in {**after, **before}
    ]
    weighed = [(read, max(sum(map(read, why.parts)) for why in (now, then)) or 1.0) for read in (_bytes, _macs, _time)]

    def weight(change: Change) -> float:
        return max(abs(difference(change, read)) / whole for read, whole in weighed)

    return sorted((each for each in found if weight(each)), key=lambda each: -weight(each))


def difference(change: Change, read: Callable[[Part], float]) -> float:
    """How much more the file has than the other; what one of them lacks counts as 0."""
    return (read(change.after) if change.after else 0.0) - (read(change.before) if change.before else 0.0)


def _bytes(part: Part) -> float:
    return part.bytes


def _macs(part: Part) -> float:
    return part.macs or 0


def _time(part: Part) -> float:
    return part.ms or 0.0


def _timed(artifact: Artifact, file: Path, what: Target, host: str) -> list[LayerTime]:
    with connect(host) as session, session.start() as agent:
        told = agent.ask(
            "profile",
            PROFILE_S + PATIENCE_S,
            path=session.place(file),
            provider=what.provider,
            threads=what.threads,
            folder=session.room(),
            max_ms=1e3 * PROFILE_S,
            batch=what.batch,
        )
    return layer_times(artifact, file, told["nodes"])


def _layers(artifact: Artifact, times: Sequence[LayerTime]) -> list[Part]:
    taken = {each.layer: _ms(each) for each in times if each.layer is not None}
    return [
        Part(name=layer.name, op=layer.op, precision=layer.precision, bytes=layer.bytes, macs=layer.macs, ms=taken.get(layer.name))
        for layer in artifact.layers
    ]


def _ms(time: LayerTime) -> float:
    return stats.median(time.us) / 1e3 if time.us else 0.0


def _share(parts: Sequence[Part], read: Callable[[Part], float | None], *, unknown: bool = False) -> list[float | None]:
    """Of all parts together; None where a part has none, or all have nothing, or what one of them has is not known."""
    values = [read(part) for part in parts]
    whole = 0.0 if unknown else sum(value or 0.0 for value in values)
    return [None if value is None or not whole else value / whole for value in values]


def _by_name(parts: Sequence[Part]) -> dict[str, Part]:
    """Layers by their names; the runtime's own operators, whose names are chance, summed by kind."""
    found: dict[str, Part] = {}
    for part in parts:
        name = f"all {part.op} of the runtime" if part.own else part.name
        before = found.get(name)
        if before is not None:
            times = [each.ms for each in (before, part) if each.ms is not None]
            both, macs = before.bytes + part.bytes, (before.macs or 0) + (part.macs or 0)
            part = msgspec.structs.replace(part, bytes=both, macs=macs, ms=sum(times) if times else None)
        found[name] = msgspec.structs.replace(part, name=name)
    return found
