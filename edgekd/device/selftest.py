"""What works on a device, tried on a tiny network: runtimes that are there, engines, energy counters, whether times follow the work.

In: a session. Out: a `Selftest`, which may be sent to strangers: no host, no user, no path is in it. What is not there, and what a runtime refuses,
is an answer like any other; a crash costs its own line.
"""

import datetime
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from edgekd import __version__
from edgekd.device import tiny
from edgekd.device.cleaner import Cleaner
from edgekd.device.session import Session
from edgekd.device.tries import PARTS, PRECISIONS, Check
from edgekd.errors import UsageError
from edgekd.events import Emit, Progress


class Selftest(msgspec.Struct, frozen=True, kw_only=True):
    """All that was tried on a device."""

    schema: int = 1
    edgekd: str
    date: str
    facts: dict[str, Any]
    checks: list[Check]


def selftest(session: Session, emit: Emit, only: Collection[str] = ()) -> Selftest:
    """Try what this device has, each piece in an agent of its own; `only` these of `PARTS`, (): all.

    Raises:
        UsageError: no such part. DeviceError: not even the agent runs there.
    """
    strange = sorted(set(only) - set(PARTS))
    if strange:
        raise UsageError(f"there is no part {strange[0]!r} to try; there are {', '.join(PARTS)}")
    with session.start() as agent:
        facts = agent.ask("facts")
    facts.pop("id")
    files: dict[str, Path] = {precision: tiny.write(session.folder / f"tiny-{precision}.onnx", precision) for precision in PRECISIONS}
    files["deep"] = tiny.write(session.folder / "tiny-deep.onnx", depth=6)
    tried = [each for name, pieces in PARTS.items() if not only or name in only for each in pieces(session, files, facts)]
    clean, checks = Cleaner(session.host), []
    for number, each in enumerate(tried):
        emit(Progress(what=f"trying {each.name}", done=number, total=len(tried), unit="parts"))
        checks.append(clean.check(each.run()))
    return Selftest(edgekd=__version__, date=datetime.date.today().isoformat(), facts=clean.facts(facts), checks=checks)
