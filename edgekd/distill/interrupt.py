"""SIGINT and SIGTERM while a network learns: at once where nothing is half done, else as soon as the step is whole."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Turns signals into KeyboardInterrupt (SIGINT) or SystemExit(143) (SIGTERM), never inside `held()`.

    A rank that does not heed them goes on until the main rank, which does, has ended its step, saved and left.
    """

    def __init__(self, *, heeded: bool = True) -> None:
        self._heeded = heeded
        self._held = False
        self._pending: int | None = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals within; elsewhere than in the main thread Python cannot, and nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What is within runs whole; a signal that comes meanwhile takes effect at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending is not None:
            self._raise(self._pending)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._heeded:
            return
        if self._held:
            self._pending = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        self._pending = None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
