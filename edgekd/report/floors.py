"""How fast files could be at best, computed from the makers' data: beside what was measured, and by itself for targets that were not at hand.

Never in a column of measurements: a floor says so in its heading or its table's title. Knows no widths and no markup.
"""

from collections.abc import Sequence

from edgekd import stats, units
from edgekd.measurements import Measurement
from edgekd.record import Artifact, Report
from edgekd.report.cells import Table, label, tabled

Columns = list[tuple[str, list[str]]]


def beside(report: Report, rows: Sequence[Artifact], found: dict[str, Measurement], target: str) -> Columns:
    """The floor of each file that was measured, and what part of its median that is."""
    floors = {each.artifact: each for each in report.floors if each.target == target}
    known = {name: floors[name].ms for name, each in found.items() if name in floors and floors[name].batch == each.batch and each.timing.samples}
    shares = {name: ms / stats.median(found[name].timing.samples) for name, ms in known.items() if stats.median(found[name].timing.samples) > 0}
    return [
        ("computed floor", [units.ms_text(known[row.name]) if row.name in known else units.NOTHING for row in rows]),
        ("reached", [units.percent_text(shares[row.name]) if row.name in shares else units.NOTHING for row in rows]),
    ]


def unmeasured(report: Report) -> Table:
    """A row a file, a column for each target that nothing was measured on and whose chip's data are known."""
    measured = {each.target for each in report.measurements}
    floors = {(each.artifact, each.target): each for each in report.floors if each.target not in measured}
    targets = list(dict.fromkeys(target for _, target in floors))
    rows = [artifact for artifact in report.artifacts if any((artifact.name, target) in floors for target in targets)]
    columns = [
        (target, [units.ms_text(floors[row.name, target].ms) if (row.name, target) in floors else units.NOTHING for row in rows])
        for target in targets
    ]
    sources = dict.fromkeys(each.source for each in floors.values() if each.source)
    batches = dict.fromkeys(str(each.batch) for each in floors.values())
    note = (
        f"nothing was measured there: the least time of batch {' or '.join(batches)}, were weights read and multiplications done at the chip's peak; "
        f"real times are longer, often several times ({'; '.join(sources)})"
    )
    return tabled("At best, computed", note, [label(row.name, set(report.shipped.values())) for row in rows], columns)
