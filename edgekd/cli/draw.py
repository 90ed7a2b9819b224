"""Events → what a person watches: a live view on a terminal, else plain lines. Writes to one stream and computes nothing
but text.

On a terminal two lines at the bottom follow the work while what is done scrolls up above them. Elsewhere there is a
line per stage and per epoch, the latter at most every few seconds. Both fit 80 columns.
"""

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

from edgekd import units
from edgekd.events import Event, Note, PhaseStarted, Progress, StageFinished, StageStarted, Trained, Wrote

if TYPE_CHECKING:
    from rich.live import Live

EVERY_S = 5.0
"""Seconds between two plain lines about the same work."""
REDRAW_S = 0.1
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
    from rich.live import Live

    console = Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(stream, verbose=verbose)
        return
    # Drawn by events and not by a thread of its own: worker processes are forked meanwhile.
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        yield View(live, verbose=verbose)


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


class Lines(_Stages):
    """Plain lines, for pipes and logs."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stream, self._quiet, self._verbose, self._clock = stream, quiet, verbose, clock
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
            return f"  {progress_line(event)}" if self._due(event.what, False) else None
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

    def __init__(self, live: "Live", *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._live, self._verbose, self._clock = live, verbose, clock
        self._drawn = float("-inf")

    def take(self, event: Event) -> None:
        self.note(event)
        lasting = lasting_line(event, self._verbose)
        if lasting is not None:
            text = textwrap.fill(lasting, self._live.console.width, subsequent_indent="    ", break_on_hyphens=False)
            self._live.console.print(text, style=_style(event), markup=False, highlight=False, soft_wrap=True)
        if isinstance(event, StageStarted):
            self._draw([event.stage, "starting"])
        elif isinstance(event, StageFinished):
            self._draw([])
        elif isinstance(event, (Trained, Progress)) and self._clock() - self._drawn >= REDRAW_S:
            self._draw(self._moving(event))

    def _moving(self, event: Trained | Progress) -> list[str]:
        if isinstance(event, Trained):
            first, *rest = trained_lines(event, self._verbose)
            return [f"{bar(event.step, event.steps)} {first}", *rest]
        return [f"{bar(event.done, event.total)} {progress_line(event)}", self.under_way or ""]

    def _draw(self, lines: list[str]) -> None:
        from rich.text import Text

        self._drawn = self._clock()
        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)


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


def progress_line(event: Progress) -> str:
    """How far other work is."""
    left = "" if event.seconds_left is None else f" · {units.seconds_text(event.seconds_left)} left"
    return f"{event.what}: {event.done:,}/{event.total:,} {event.unit}{left}"


def bar(done: int, total: int) -> str:
    """A bar of fixed width, filled to the share that is done."""
    filled = min(BAR, BAR * done // max(total, 1))
    return "━" * filled + "─" * (BAR - filled)


def _shares(shares: dict[str, float]) -> str:
    return " ".join(f"{name} {units.percent_text(share, 0)}" for name, share in shares.items())
