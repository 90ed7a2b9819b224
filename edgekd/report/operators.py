"""Where the time of an inference goes: a file's operators as a profile timed them, by the layer that each is, in numbers, a sentence and tables.

Profiling slows what it times: these times compare among themselves, and their sum stands beside the latency without it.
"""

from dataclasses import dataclass

from edgekd import stats, units
from edgekd.measurements import Measurement
from edgekd.record import Report
from edgekd.report.cells import Column, Table
from edgekd.report.text import without_middle

_SLOWEST = 10


@dataclass(frozen=True)
class Operator:
    """What ran: called after its layer where `known`, else as the runtime calls it; its median in ms and its share of all of them."""

    name: str
    op: str
    ms: float
    share: float
    known: bool


def operators(measurement: Measurement) -> list[Operator]:
    """In the order in which they ran; none where nothing was profiled."""
    timed = [(each, stats.median(each.us) / 1e3) for each in measurement.layer_times if each.us]
    total = sum(ms for _, ms in timed)
    return [Operator(each.layer or each.name, each.op, ms, ms / total, each.layer is not None) for each, ms in timed] if total > 0 else []


def told(measurement: Measurement, found: list[Operator]) -> str:
    """How many took how long, beside the latency without a profile, and how much of it is known by layer."""
    total = units.ms_text(sum(each.ms for each in found))
    known = units.percent_text(sum(each.share for each in found if each.known), 0)
    whole = f"; an inference without it takes {units.ms_text(stats.median(measurement.timing.samples))}" if measurement.timing.samples else ""
    return (
        f"{len(found)} operators take {total} together, timed one by one by a profile, which slows them{whole}. "
        f"{known} of it is in layers of the file, the rest stands under the runtime's own names."
    )


def slowest(report: Report) -> list[Table]:
    """For each file on each target the operators that take longest."""
    return [_table(each, found) for each in report.measurements if (found := operators(each))]


def _table(measurement: Measurement, found: list[Operator]) -> Table:
    rows = sorted(found, key=lambda each: -each.ms)[:_SLOWEST]
    left = len(found) - len(rows)
    columns = [
        Column("layer", [each.name for each in rows]),
        Column("runs as", [each.op for each in rows]),
        Column("median", [units.ms_text(each.ms) for each in rows]),
        Column("share", [units.percent_text(each.share) for each in rows]),
    ]
    note = told(measurement, found) + (
        f" {left} more take {units.percent_text(sum(each.share for each in found) - sum(r.share for r in rows))}." if left else ""
    )
    return Table(f"Slowest layers of {without_middle(measurement.artifact, 40)} on {measurement.target}", note, columns)
