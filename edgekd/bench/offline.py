"""Files that are timed on a device which no line reaches: a folder to bring there, and from what comes back the same `Bench` as over a line.

In: files, targets and all that a bench is asked. Out: a folder whose plan is what `bench` itself asked for, in its rounds and launches; later, what
`bench` makes of the answers in it. Whoever wants answers to images beside the times asks for them of the same session.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from edgekd import target, units
from edgekd.bench.plan import FULL, Bench, Plan
from edgekd.bench.rounds import bench
from edgekd.device.planned import planning
from edgekd.device.recorded import recorded
from edgekd.device.session import Session
from edgekd.errors import UsageError
from edgekd.events import Emit, silent
from edgekd.record import Artifact
from edgekd.target import Target

T = TypeVar("T")
Files = Sequence[tuple[Artifact, Path]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a bench is asked beside its files; as of `bench`."""

    pairs: list[tuple[str, str]] = []
    max_s: float = 60.0
    fps: float | None = None
    dims: dict[str, int] = {}
    layers: bool = False
    batches: list[int] = []
    plan: Plan = FULL


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder was written for: files by their hash, and the targets as they were."""

    files: dict[str, str]
    targets: list[str]
    known: list[Target]
    asked: Asked


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: how many parts of work, and about how long they take."""

    parts: int
    files: int
    bytes: int
    seconds: float


def device_of(folder: Path) -> str:
    """What a device is called in reports: as the folder that is carried to it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.")
    return name if name not in ("", "local") else "offline"


def aimed(targets: Mapping[str, str]) -> list[str]:
    """The targets that a folder is for: those without a host; where every one has a host, all."""
    return [name for name, host in targets.items() if not host] or list(targets)


def write(
    folder: Path,
    files: Files,
    targets: Sequence[str],
    asked: Asked,
    *,
    base: Path = Path(),
    also: Callable[[Session, Sequence[Target]], object] = lambda session, targets: None,
    emit: Emit = silent,
) -> Written:
    """Write a folder that times these files on the device that it is brought to, as these targets; `also` asks for more.

    Raises:
        UsageError, MissingError: as `bench`; a folder that holds other things.
    """
    if not targets:
        raise UsageError("a device is measured as a target, and none is named. Name one: --on TARGET")
    order = _order(files, targets, asked, base)
    with planning(device_of(folder), folder) as session:
        _bench(files, order, session, base, silent)
        also(session, order.known)
        session.write(msgspec.to_builtins(order))
        placed = list((folder / "files").iterdir())
        return Written(parts=len(session.parts), files=len(placed), bytes=sum(file.stat().st_size for file in placed), seconds=session.now())


def collect(
    folder: Path, files: Files, *, base: Path = Path(), also: Callable[[Session, Sequence[Target]], T], emit: Emit = silent
) -> tuple[Bench, T]:
    """What the device measured of these files, and what `also` makes of the further answers.

    Raises:
        UsageError: the folder was written for others, was not carried out, or something in it was changed.
        DeviceError: not a single file could be measured.
    """
    with recorded(folder) as session:
        try:
            order = msgspec.convert(session.asked, Order)
        except msgspec.ValidationError:
            raise UsageError(f"{folder} was written by another edgekd. Write it again with --offline.") from None
        _refuse_others(folder, order, _order(files, order.targets, order.asked, base))
        return _bench(files, order, session, base, emit), also(session, order.known)


def _order(files: Files, targets: Sequence[str], asked: Asked, base: Path) -> Order:
    known = [target.load(name, base) for name in targets]
    return Order(files={artifact.name: artifact.sha256 for artifact, _ in files}, targets=list(targets), known=known, asked=asked)


def _refuse_others(folder: Path, then: Order, now: Order) -> None:
    """Refuse a folder that was written for other files or targets than those at hand."""
    changed = sorted(name for name in {*then.files, *now.files} if then.files.get(name) != now.files.get(name))
    if changed:
        raise UsageError(
            f"{folder} was written for other files, or they changed since: {units.some(changed, 3)}. "
            "Give those that it was written for, or write it again with --offline."
        )
    if then.known != now.known:
        raise UsageError(f"{', '.join(then.targets)} changed since {folder} was written. Write it again with --offline.")


def _bench(files: Files, order: Order, session: Session, base: Path, emit: Emit) -> Bench:
    """What is asked of a device, over whatever session."""
    asked = order.asked
    return bench(
        files,
        dict.fromkeys(order.targets, session.host),
        pairs=asked.pairs,
        max_s=asked.max_s,
        fps=asked.fps,
        dims=asked.dims,
        layers=asked.layers,
        batches=asked.batches,
        plan=asked.plan,
        base=base,
        line=lambda host, python: contextlib.nullcontext(session),
        emit=emit,
    )
