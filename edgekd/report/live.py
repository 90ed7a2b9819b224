"""A run as far as it has come, from the lines of its events.jsonl: what is under way, the curves so far, the stages that are done.

`Told` takes the lines as they are appended; `live` makes a page of it that loads itself again. A run that has ended has its own report, which this
is not.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from edgekd import units
from edgekd.events import Event, Note, PhaseStarted, Progress, StageFinished, StageStarted, Trained, Wrote
from edgekd.record import CurvePoint, How, Network, Report, Training
from edgekd.report.curves import training
from edgekd.report.html import page, section
from edgekd.report.markup import NONE, Markup, grid, lines, name, percent, plain, tag
from edgekd.report.text import firm
from edgekd.scores import NetworkRole

_NOTES = 20
"""So many notes are shown, the last first."""
_ROLES: dict[str, tuple[NetworkRole, How]] = {
    "teach": ("teacher", "taught"),
    "co-teach": ("co-teacher", "taught"),
    "assist": ("assistant", "distilled"),
    "distill": ("student", "distilled"),
    "alone": ("alone", "alone"),
    "alone-on-subset": ("alone-on-subset", "alone"),
}
"""What a stage makes, by the first part of its name."""


class _When(msgspec.Struct, frozen=True):
    """The time of a line, in seconds since 1970."""

    time: Annotated[float, msgspec.Meta(ge=0, lt=2.5e11)] = 0.0


@dataclass
class Told:
    """What the events said, in their order. `finished`: a report was written, and nothing begun since."""

    finished: bool = False
    under_way: str | None = None
    doing: Trained | Progress | None = None
    when: float = 0.0
    done: dict[str, float] = field(default_factory=dict)
    """Stages with the seconds that they took."""
    notes: list[str] = field(default_factory=list)
    _curves: dict[tuple[str, str], dict[int, CurvePoint]] = field(default_factory=dict)

    def read(self, data: bytes) -> None:
        """Take the lines of a piece of events.jsonl; what is no event, as a later edgekd may write, is passed over."""
        for text in data.splitlines():
            try:
                event = msgspec.json.decode(text, type=Event)
                self.when = msgspec.json.decode(text, type=_When).time
            except msgspec.MsgspecError:
                continue
            self.take(event)

    def take(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, StageStarted):
            self.under_way, self.doing, self.finished = event.stage, None, False
        elif isinstance(event, StageFinished):
            self.done[event.stage] = event.seconds
            self.under_way, self.doing, self.finished = None, None, False
        elif isinstance(event, Trained):
            self.doing = event
            self._keep(event)
        elif isinstance(event, Progress):
            self.doing = event if event.done < event.total else None
        elif isinstance(event, Note):
            self.notes.append(event.text)
        elif isinstance(event, Wrote):
            self.finished = self.finished or event.what == "report"
        else:
            assert isinstance(event, PhaseStarted)

    def _keep(self, event: Trained) -> None:
        """The last word on each epoch, or that with an accuracy."""
        curve = self._curves.setdefault(((self.under_way or "distill").partition("/")[0], event.network), {})
        epoch = math.ceil(event.epoch)
        if event.valid_accuracy is None and epoch in curve and curve[epoch].valid_accuracy is not None:
            return
        curve[epoch] = CurvePoint(
            epoch=event.epoch,
            step=event.step,
            phase=event.phase,
            loss=event.loss,
            temperature=event.temperature,
            shares=event.shares,
            learning_rate=event.learning_rate,
            valid_accuracy=event.valid_accuracy,
        )

    def networks(self) -> list[Network]:
        """Those that were taught, each with its curve so far."""
        found = []
        for (stage, network), points in self._curves.items():
            role, how = _ROLES.get(stage, _ROLES["distill"])
            curve = [points[epoch] for epoch in sorted(points)]
            accuracy = next((point.valid_accuracy for point in reversed(curve) if point.valid_accuracy is not None), None)
            found.append(Network(role=role, name=network, params=0, macs=None, training=Training(how=how, curve=curve), valid_accuracy=accuracy))
        return found


def live(run: str, told: Told, *, refresh: int) -> str:
    """The page of a run that goes on, which loads itself again after `refresh` seconds."""
    report = Report(edgekd="", name=run, created="", networks=told.networks())
    drawn = [lines([tag("h3", name(title)), figure]) for title, figure in training(report)]
    parts = [
        tag("header", tag("h1", name(run)), tag("p", plain(f"This run goes on; its last word is of {_moment(told.when)}."), class_="note")),
        _now(told),
        section("How training goes", *drawn),
        section("Stages that are done", _stages(told)),
        section("Notes", _notes(told.notes)) if told.notes else NONE,
    ]
    return page(run, parts, f"This page runs no script and loads nothing but itself, every {refresh} seconds.", refresh=refresh)


def _moment(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _now(told: Told) -> Markup:
    """What is under way, how far it is, and how long it will take."""
    what = told.under_way or "between two stages"
    said = [tag("p", plain("Now: "), tag("b", name(what)), class_="lead")]
    if isinstance(told.doing, Trained):
        event = told.doing
        said.append(_bar(event.step / max(event.steps, 1), f"{event.network}, {event.phase}: step {event.step} of {event.steps}", event.seconds_left))
    elif isinstance(told.doing, Progress):
        said.append(_bar(told.doing.done / max(told.doing.total, 1), _counted(told.doing), told.doing.seconds_left))
    return lines(said)


def _counted(event: Progress) -> str:
    return f"{event.what}: {event.done} of {event.total} {event.unit}"


def _bar(share: float, text: str, left: float | None) -> Markup:
    rest = f", {units.seconds_text(left)} left" if left is not None else ""
    title = tag("title", plain(f"{units.percent_text(share, 0)} done"))
    track = tag("rect", x=0, y=0, width="100%", height=10, class_="track")
    bar = tag("rect", x=0, y=0, width=percent(min(1.0, max(0.0, share))), height=10, class_="bar student")
    return lines([tag("p", plain(firm(text + rest))), tag("svg", title, track, bar, class_="strip", height=10, role="img")])


def _stages(told: Told) -> Markup:
    rows = [[name(stage), plain(units.seconds_text(seconds))] for stage, seconds in told.done.items()]
    return grid("In the order they ended", ["stage", "took"], rows, class_="wide figures") if rows else NONE


def _notes(notes: Sequence[str]) -> Markup:
    return tag("ul", *(tag("li", plain(note)) for note in list(dict.fromkeys(reversed(notes)))[:_NOTES]))
