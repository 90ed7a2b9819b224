"""Settings of a host for as long as something is measured there: asked for, applied, verified, put back however the measuring ends.

In: a session and a wish. Out: a context, and reasons to doubt what was measured in it. How a setting is changed is the agent's (`agent/settings.py`),
which also puts it back where the line is lost or edgekd is killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.events import Emit, Note

PATIENCE_S = 300.0
"""How long a change may take: another session that is being ended is waited for."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to change on the hosts while they measure; nothing by default."""

    power_mode: str | None = None
    """nvpmodel's, by name or number."""
    lock_clocks: bool = False
    """By jetson_clocks."""

    def __bool__(self) -> bool:
        return self.power_mode is not None or self.lock_clocks


UNCHANGED = Settings()


@contextmanager
def applied(session: Session, wish: Settings, emit: Emit) -> Iterator[list[str]]:
    """The wish, while the block runs; doubts are in the list when it has ended. Without a wish nothing is asked.

    Raises:
        DeviceError: it cannot be applied there, with the remedy; or it could not be put back, where the block itself did not fail.
    """
    doubts: list[str] = []
    if not wish:
        yield doubts
        return
    with session.start() as agent:
        told = agent.ask("set", PATIENCE_S, power_mode=wish.power_mode, lock_clocks=wish.lock_clocks)
        emit(Note(text=f"{session.host}: {_said(told)}; before, {_said(told['before'])}. It is put back at the end"))
        try:
            yield doubts
        except BaseException:
            # What failed is what the user must hear of; where the agent is gone, its guardian puts everything back.
            with suppress(DeviceError):
                agent.ask("restore", PATIENCE_S)
            raise
        if not agent.ask("settings", PATIENCE_S)["held"] or agent.lost:
            doubts.append("its settings did not stay as they were asked for until the end")
        after = agent.ask("restore", PATIENCE_S)
        emit(Note(text=f"{session.host}: put back, {_said(after)}"))


def _said(told: dict[str, object]) -> str:
    """Settings in words."""
    parts = [f"power mode {told['power_mode']}"] if told["power_mode"] is not None else []
    locked = told["clocks_locked"]
    parts += [] if locked is None else ["clocks locked" if locked else "clocks not locked"]
    return ", ".join(parts) or "its settings are not told"
