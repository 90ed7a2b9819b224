"""Events → what a person watches: a live view on a terminal, else plain lines. Writes to one stream and computes nothing
but text, and the time left of work that does not know its own.

On a terminal two lines at the bottom follow the work while what is done scrolls up above them; between events its clock
goes on, so that a long step does not look like a dead one. Elsewhere there is a line per stage and per epoch, the latter at
most every few seconds. Both fit 80 columns.
"""

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

import msgspec

from edgekd import units
from edgekd.events import Event, Note, PhaseStarted, Progress, StageFinished, StageStarted, Trained, Wrote

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

EVERY_S = 5.0
"""Seconds between two plain lines about the same work."""
FRAMES_PER_S = 4
UNSAID_S = 1.0
"""So long may work between two stages take before it is mentioned."""
BAR = 20


class Drawer(Protocol):
    """Takes events and shows them; remembers which stages are done and which is under way."""

    finished: list[str]
    under_way: str | None

    def take(self, event: Event) -> None: ...


@contextlib.contextmanager
def drawing(stream: TextIO, *, quiet: bool = False, verbose: bool = False) -> Iterator[Drawer]:
    """The drawer that suits the stream: live on a terminal that can move its cursor, else plain."""
    if quiet or not stream.isatty():
        yield Lines(stream, quiet=quiet, verbose=verbose)
        return
    from rich.console import Console

    console = Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(stream, verbose=verbose)
        return
    view = View(console, verbose=verbose)
    with view.live(auto_refresh=True):
        yield view


class _Stages:
    """Which stages are done and which is under way."""

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.under_way: str | None = None

    def note(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.under_way = event.stage
        elif isinstance(event, StageFinished):
            self.finished.append(event.stage)
            self.under_way = None


class _Left:
    """How long work will take that counts what is done and says no more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}

    def told(self, event: Progress) -> Progress:
        """The event with its time left, where that is known."""
        now = self._clock()
        since, before = self._begun.setdefault(event.what, (now, event.done))
        if event.done < before:  # the same work once more
            since, before = self._begun[event.what] = (now, event.done)
        if event.seconds_left is not None or event.done == before:
            return event
        left = (now - since) / (event.done - before) * max(event.total - event.done, 0)
        return msgspec.structs.replace(event, seconds_left=left)


class Lines(_Stages):
    """Plain lines, for pipes and logs."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stream, self._quiet, self._verbose, self._clock = stream, quiet, verbose, clock
        self._left = _Left(clock)
        self._said: dict[str, float] = {}

    def take(self, event: Event) -> None:
        self.note(event)
        text = None if self._quiet else self._text(event)
        if text is not None:
            print(text, file=self._stream, flush=True)

    def _text(self, event: Event) -> str | None:
        if isinstance(event, Trained):
            return "  " + "  ".join(trained_lines(event, self._verbose)) if self._due(event.network, event.step == event.steps) else None
        if isinstance(event, Progress):
            told = self._left.told(event)
            return f"  {progress_line(told)}" if self._due(event.what, False) else None
        return lasting_line(event, self._verbose)

    def _due(self, what: str, last: bool) -> bool:
        """Whether this work has been silent for long enough, or is at its end."""
        now = self._clock()
        due = last or now - self._said.setdefault(what, now) >= EVERY_S
        if due:
            self._said[what] = now
        return due


class View(_Stages):
    """Two moving lines at the bottom of a terminal; what lasts is printed above them."""

    def __init__(self, console: "Console", *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._console, self._verbose, self._clock = console, verbose, clock
        self._left = _Left(clock)
        self._moving: Trained | Progress | None = None
        self._heard = self._began = clock()

    def live(self, *, auto_refresh: bool) -> "Live":
        """The moving lines on the console, drawn a few times a second by themselves if wanted."""
        from rich.live import Live

        return Live(
            get_renderable=self.frame,
            console=self._console,
            auto_refresh=auto_refresh,
            refresh_per_second=FRAMES_PER_S,
            transient=True,
            redirect_stdout=False,
        )

    def take(self, event: Event) -> None:
        self.note(event)
        self._heard = self._clock()
        if isinstance(event, StageStarted):
            self._began = self._heard
        if isinstance(event, (StageStarted, StageFinished)):
            self._moving = None
        elif isinstance(event, Trained):
            self._moving = event
        elif isinstance(event, Progress):
            self._moving = None if event.done >= event.total else self._left.told(event)
        lasting = lasting_line(event, self._verbose)
        if lasting is not None:
            from rich.text import Text

            text = textwrap.fill(lasting, self._console.width, subsequent_indent="    ", break_on_hyphens=False)
            self._console.print(Text(text, style=_style(event)), soft_wrap=True)

    def frame(self) -> "Text":
        """The moving lines as they are now, cut at the terminal's edge."""
        from rich.text import Text

        return Text("\n".join(self._lines()), no_wrap=True, overflow="ellipsis")

    def _lines(self) -> list[str]:
        moving, now = self._moving, self._clock()  # once: events come in while a thread of Rich's draws
        silent = now - self._heard
        stage = [] if self.under_way is None else [f"{self.under_way} · {units.seconds_text(now - self._began)} so far"]
        if isinstance(moving, Trained):
            told = msgspec.structs.replace(moving, seconds_left=max(0.0, moving.seconds_left - silent))
            first, *rest = trained_lines(told, self._verbose)
            return [f"{bar(told.step, told.steps)} {first}", *rest]
        if moving is not None:
            left = moving.seconds_left
            work = msgspec.structs.replace(moving, seconds_left=None if left is None else max(0.0, left - silent))
            return [f"{bar(work.done, work.total)} {progress_line(work, self._console.width - BAR - 1)}", *stage]
        return stage or ([f"at work · {units.seconds_text(silent)}"] if silent >= UNSAID_S else [])


def _style(event: Event) -> str:
    if isinstance(event, Note):
        return "yellow" if event.level == "warning" else "dim"
    return "green" if isinstance(event, StageFinished) else ""


def lasting_line(event: Event, verbose: bool = False) -> str | None:
    """The line of an event that stays on the screen; None where there is none to stay."""
    if isinstance(event, StageStarted):
        return f"{event.stage} …"
    if isinstance(event, StageFinished):
        return f"{event.stage}: {'stood already' if event.reused else f'done in {units.seconds_text(event.seconds)}'}"
    if isinstance(event, Note):
        return f"  warning: {event.text}" if event.level == "warning" else f"  {event.text}"
    if isinstance(event, PhaseStarted):
        return f"  {event.network}, phase {event.phase}: {event.images:,} images, {event.steps:,} steps"
    if isinstance(event, Wrote) and verbose:
        return f"  wrote {event.path} ({event.what})"
    return None


def trained_lines(event: Trained, verbose: bool = False) -> list[str]:
    """Where training stands: first which network and how far, then how it goes; each at most 80 columns with a bar before the first."""
    first = [f"{event.network} {event.phase}", f"epoch {event.epoch:.1f}/{event.epochs:g}", f"{units.seconds_text(event.seconds_left)} left"]
    second = [] if event.temperature is None else [f"T {event.temperature:.2f}"]
    second.append(f"loss {event.loss:.3f}")
    if event.shares:
        second.append(_shares(event.shares))
    if verbose and event.gradient_shares:
        second.append(f"gradient {_shares(event.gradient_shares)}")
    if event.valid_accuracy is not None:
        second.append(f"valid {units.percent_text(event.valid_accuracy)}")
    second.append(f"{event.images_per_s:,.0f} images/s")
    return [" · ".join(first), " · ".join(second)]


def progress_line(event: Progress, width: int = 78) -> str:
    """How far other work is; a long name gives way to the figures."""
    left = "" if event.seconds_left is None else f" · {units.seconds_text(event.seconds_left)} left"
    figures = f": {event.done:,}/{event.total:,} {event.unit}{left}"
    room = max(width - len(figures), 8)
    what = event.what if len(event.what) <= room else f"{event.what[: room // 2]}…{event.what[len(event.what) - (room - 1 - room // 2) :]}"
    return f"{what}{figures}"


def bar(done: int, total: int) -> str:
    """A bar of fixed width, filled to the share that is done."""
    filled = min(BAR, BAR * done // max(total, 1))
    return "━" * filled + "─" * (BAR - filled)


def _shares(shares: dict[str, float]) -> str:
    return " ".join(f"{name} {units.percent_text(share, 0)}" for name, share in shares.items())
