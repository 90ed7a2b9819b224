"""Several runs side by side, as tables of text: in what they differ, and what each of their files comes to.

Each run goes by a letter, so that rows and marks stay short. Figures are plain numbers under headings that name their unit, so that they copy into a
spreadsheet; `spreadsheet` has the same rows unrounded. Pictures of them are `together`'s.
"""

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgekd import units
from edgekd.budget import figures
from edgekd.budget.choose import shipped_on
from edgekd.budget.figures import Ask, Figure, Unknown
from edgekd.errors import UsageError
from edgekd.measurements import Host
from edgekd.record import Artifact, Report
from edgekd.report import kept
from edgekd.report.cells import SHIPS, Column, Table, measured_targets, reference, tabled
from edgekd.report.text import without_middle

_LONGEST = 40
"""Characters of a value, so that it and its key fit 80 columns."""


@dataclass(frozen=True)
class Run:
    """One of the runs, by its letter."""

    letter: str
    report: Report

    @property
    def said(self) -> str:
        """As "A: cifar10"."""
        return f"{self.letter}: {self.report.name}"


@dataclass(frozen=True)
class Quantity:
    """A column: `head` names the unit in which `text` writes it, `key` that of the report."""

    head: str
    key: str
    read: Figure
    text: Callable[[float], str]


def _plain(value: float, per: float = 1.0) -> str:
    return units.number_text(value / per, 4)


def _percent(value: float) -> str:
    return units.percent_text(value, 2).removesuffix(" %")


QUANTITIES = [
    Quantity("size, kB", "size_bytes", figures.size, partial(_plain, per=1e3)),
    Quantity("params", "params", figures.params, _plain),
    Quantity("MACs", "macs", figures.macs, _plain),
    Quantity("median, ms", "latency_p50_ms", partial(figures.latency, 50), _plain),
    Quantity("p95, ms", "latency_p95_ms", partial(figures.latency, 95), _plain),
    Quantity("speedup, ×", "speedup", figures.speedup, _plain),
    Quantity("memory, MB", "memory_bytes", figures.memory, partial(_plain, per=1e6)),
    Quantity("energy, mJ", "energy_joules", figures.energy, partial(_plain, per=1e-3)),
    Quantity("accuracy, %", "accuracy", partial(figures.metric, "accuracy"), _percent),
    Quantity("lost, points", "accuracy_drop", figures.accuracy_drop, _percent),
    Quantity("mAP, %", "map", partial(figures.metric, "map"), _percent),
    Quantity("AUC, %", "auc", partial(figures.metric, "auc"), _percent),
    Quantity("balanced, %", "balanced_accuracy", partial(figures.metric, "balanced_accuracy"), _percent),
    Quantity("agreement, %", "agreement", partial(figures.paired, "agreement"), _percent),
    Quantity("ECE, %", "ece", partial(figures.metric, "ece"), _percent),
    Quantity("NLL", "nll", partial(figures.metric, "nll"), _plain),
]


@dataclass(frozen=True)
class Row:
    """One file of one run on one target, with the quantities that are known of it by their keys."""

    run: Run
    artifact: Artifact
    target: str | None
    host: str
    ships: bool
    values: dict[str, float]


def lettered(reports: Sequence[Report]) -> list[Run]:
    """The runs in the order they were named.

    Raises:
        UsageError: more than there are letters.
    """
    if len(reports) > len(string.ascii_uppercase):
        raise UsageError(f"at most {len(string.ascii_uppercase)} runs stand side by side, got {len(reports)}. Name fewer.")
    return [Run(letter, report) for letter, report in zip(string.ascii_uppercase, reports, strict=False)]


def tables(runs: Sequence[Run]) -> list[Table]:
    """In what the runs differ, then their figures, and what students that learnt on kept."""
    return [differences(runs), *(table for table in (figure_table(runs), kept_table(runs)) if table is not None)]


# In what they differ --------------------------------------------------------------------------------------------------


def differences(runs: Sequence[Run]) -> Table:
    """A row for each key of the recipes that is not the same in all runs, and for data, version and machine likewise; the names first."""
    facts = [{"run": run.report.name, **dict(_facts(run.report))} for run in runs]
    every = dict.fromkeys(key for found in facts for key in found)
    keys = [key for key in every if key != "run" and len({found.get(key) for found in facts}) > 1]
    columns = [
        Column(run.letter, [without_middle(found.get(key, units.NOTHING), _LONGEST) for key in ("run", *keys)])
        for run, found in zip(runs, facts, strict=True)
    ]
    note = "" if keys else "the recipes are the same, and so are data, version and machine"
    return Table("What differs", note, [Column("key", ["run", *keys]), *columns])


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield from flat(report.recipe)
    if report.data is not None:
        yield "images, sha256", report.data.sha256[:12]
    yield "edgekd", report.edgekd
    machines = [", ".join(dict.fromkeys(_machine(host) for host in report.hosts.values()))]
    yield from (("machine", machine) for machine in machines if machine)


def _machine(host: Host) -> str:
    return f"{host.gpu or host.cpu}, {host.cores} cores"


def flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a recipe by their dotted keys, as `--set` takes them: ("phase.0.epochs", "30"); what is not set is left out."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for number, item in enumerate(value):
            yield from flat(item, f"{key}.{number}" if key else str(number))
    elif value is not None:
        yield key, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


# Figures --------------------------------------------------------------------------------------------------------------


def rows(runs: Sequence[Run]) -> list[Row]:
    """Every file of every run on every target; files of one name stand together."""
    found = [row for run in runs for row in _of(run)]
    order = {name: number for number, name in enumerate(dict.fromkeys(row.artifact.name for row in found))}
    return sorted(found, key=lambda row: order[row.artifact.name])


def _of(run: Run) -> Iterator[Row]:
    report, first = run.report, reference(run.report)
    hosts = {(each.artifact, each.target): each.host for each in reversed(report.measurements)}
    for artifact in report.artifacts:
        on: list[str | None] = [target for target in measured_targets(report) if (artifact.name, target) in hosts]
        for target in on or [None]:
            ask = Ask(report, artifact, target, first.name if first is not None and target is not None else None)
            seen = {quantity.key: quantity.read(ask) for quantity in QUANTITIES}
            host = report.hosts.get(hosts.get((artifact.name, target or ""), ""))
            ships = target is not None and artifact.name in shipped_on(report, target)
            values = {key: value[0] for key, value in seen.items() if not isinstance(value, Unknown)}
            yield Row(run, artifact, target, _machine(host) if host else "", ships, values)


def figure_table(runs: Sequence[Run]) -> Table | None:
    """A row for each file, a column for each quantity that any of them has; None where there are no files."""
    found = rows(runs)
    if not found:
        return None
    columns = [Column("file", [f"{row.run.letter} {row.artifact.name}{f' {SHIPS}' if row.ships else ''}" for row in found])]
    targets = dict.fromkeys(row.target for row in found if row.target is not None)
    columns += [Column("target", [row.target or units.NOTHING for row in found])] if len(targets) > 1 else []
    for quantity in QUANTITIES:
        if any(quantity.key in row.values for row in found):
            columns.append(Column(quantity.head, [_cell(row, quantity) for row in found]))
    notes = [f"{SHIPS} ships"] if any(row.ships for row in found) else []
    notes += [note for note in [strangers(runs)] if note]
    return Table("Files of these runs", "; ".join(notes), columns)


def kept_table(runs: Sequence[Run]) -> Table | None:
    """How students that learnt on do on old and new test images, before and after; None where none did."""
    told = [(f"{run.letter} {each.student}", kept.table(each, "", classes=False)) for run in runs for each in run.report.kept]
    found = [(whose, table.columns[0], table.cells) for whose, table in told if table.columns]
    if not found:
        return None
    names = [f"{whose}, {name}" for whose, first, _ in found for name in first.cells]
    heads = dict.fromkeys(head for _, first, cells in found for head in cells if head != first.head)
    columns = [(head, [cell for _, first, cells in found for cell in cells.get(head, [units.NOTHING] * len(first.cells))]) for head in heads]
    note = "old: the test images of the run that each went on from; new: its own; lost: before less after, on the same images"
    return tabled("What they kept", note, names, columns, first="student")


def _cell(row: Row, quantity: Quantity) -> str:
    """With a minus that a spreadsheet reads."""
    value = row.values.get(quantity.key)
    return units.NOTHING if value is None else quantity.text(value).replace("−", "-")


def strangers(runs: Sequence[Run]) -> str:
    """Which times may not be compared, as other machines took them; nothing where all may."""
    groups = alike(runs)
    if len(groups) < 2:
        return ""
    return f"times compare only on one machine: {'; '.join(letters(group) for group in groups)}"


def letters(runs: Sequence[Run]) -> str:
    """As "A, B, C"."""
    return ", ".join(run.letter for run in runs)


def alike(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that were measured, by the machine that did it: absolute times compare only on equal Hosts."""
    groups: list[tuple[list[Host], list[Run]]] = []
    for run in runs:
        hosts = [run.report.hosts[name] for name in dict.fromkeys(each.host for each in run.report.measurements) if name in run.report.hosts]
        if not hosts:
            continue
        group = next((members for known, members in groups if known == hosts), None)
        if group is None:
            groups.append((hosts, [run]))
        else:
            group.append(run)
    return [members for _, members in groups]
