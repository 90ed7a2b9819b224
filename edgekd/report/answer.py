"""What a page opens on: each shipped file in three figures, every file beside the teacher's own, the verdicts, the doubts.

The figures are those of `columns`, cell by cell; this chooses which of them stand first.
"""

from collections.abc import Sequence

from edgekd import units
from edgekd.budget import figures
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.record import Artifact, Report, Verdict
from edgekd.report import words
from edgekd.report.cells import SHIPS, Table, bare, led, measured_targets, reference, said
from edgekd.report.columns import tables
from edgekd.report.markup import NONE, Markup, folded, lines, name, plain, tag
from edgekd.report.rows import Row, by_network, cell, head
from edgekd.report.text import STATES, firm, verdict_text
from edgekd.report.verdicts import by_trouble, counts

_FEW = 3
"""So many shipped files have their figures written large."""
_MANY = 18
"""More files than these, and only the teacher's and the shipped ones stand in the answer."""
_DOUBTS = 4


class Cells:
    """The cells of a report's tables by target (None: wherever they are measured), file and heading."""

    def __init__(self, report: Report) -> None:
        self.led = led(report)
        targets = {f"On {target}": target for target in measured_targets(report)}
        self._found: dict[tuple[str | None, str, str], str] = {}
        for table in tables(report):
            self._add(table, targets.get(table.title))

    def _add(self, table: Table, target: str | None) -> None:
        files = [file.removesuffix(f" {SHIPS}") for file in table.columns[0].cells]
        for column in table.columns[1:]:
            self._found.update({(target, file, column.head): text for file, text in zip(files, column.cells, strict=True)})

    def read(self, file: str, heading: str, target: str | None = None) -> str:
        """The cell, or nothing where it holds no number."""
        found = self._found.get((target, file, heading), units.NOTHING)
        return "" if found == units.NOTHING else found


def answer(report: Report) -> Markup:
    """Everything that a reader in a hurry needs."""
    cells = Cells(report)
    return lines([*_shipped(report, cells), beside(report, cells), verdicts(report.verdicts), doubts(report)])


# Shipped files --------------------------------------------------------------------------------------------------------


def _shipped(report: Report, cells: Cells) -> list[Markup]:
    """Size, speed and accuracy of each file that ships, large; nothing where they are too many to be read so."""
    shipped = [(key.rpartition("/")[0], file) for key, file in report.shipped.items()]
    if len(shipped) > _FEW:
        return []
    files = {artifact.name: artifact for artifact in report.artifacts}
    return [_large(Ask(report, files[file], target), target, cells) for target, file in shipped if file in files]


def _large(ask: Ask, target: str, cells: Cells) -> Markup:
    file = ask.artifact.name
    faster, span = cells.read(file, "speedup", target), cells.read(file, "95 % interval", target)
    smaller = cells.read(file, "size ÷")
    facts = [
        ("size", cells.read(file, "size"), f"{smaller} less than the teacher" if smaller else ""),
        ("median latency", cells.read(file, "median", target), f"{faster} the teacher's speed{_in_brackets(span)}" if faster else ""),
        (cells.led, cells.read(file, cells.led), _moved(figures.lead_drop(ask))),
        ("energy of one image", cells.read(file, "J/image", target), ""),
    ]
    shown = [tag("div", tag("dt", plain(what)), tag("dd", tag("b", plain(value)), tag("small", plain(more)))) for what, value, more in facts if value]
    return lines(
        [tag("p", plain("Ships on "), name(target), plain(": "), tag("b", name(file)), class_="ships-on"), tag("dl", *shown, class_="large")]
    )


def _moved(drop: Seen) -> str:
    """As "0.2 points lost (0.0 to 0.5)", or gained."""
    if isinstance(drop, Unknown):
        return ""
    value, low, high = drop if drop[0] >= 0 else (-drop[0], -drop[2], -drop[1])
    span = units.span_text(*(bare(units.points_text(bound)) for bound in (low, high)))
    return f"{units.points_text(value)} {'lost' if drop[0] >= 0 else 'gained'}{_in_brackets(span)}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


# Beside the teacher ---------------------------------------------------------------------------------------------------


def beside(report: Report, cells: Cells) -> Markup:
    """The student's files beside the teacher's own FP32, FP16 and INT8."""
    shipped, first = set(report.shipped.values()), reference(report)
    files = (
        report.artifacts if len(report.artifacts) <= _MANY else [each for each in report.artifacts if each.role == "teacher" or each.name in shipped]
    )
    targets = measured_targets(report)
    energies = [target for target in targets if any(cells.read(each.name, "J/image", target) for each in files)]
    several = len(targets) > 1
    heads = ["size", *(f"latency, {target}" if several else "latency" for target in targets), cells.led]
    heads += [f"energy, {target}" if several else "energy" for target in energies]
    rows = [Row(each, _row(each, each != first, targets, energies, cells), each.name in shipped) for each in files]
    notes = []
    if first:
        notes.append(f"Under a figure: how many times less, how many times the speed, and how many points lost or gained, against {said(first)}.")
    if first and targets:
        notes.append("Speeds are measured for themselves, two files in turn, and need not be the quotient of the latencies.")
    notes += [f"{len(report.artifacts) - len(files)} more files stand under All figures."] if len(files) < len(report.artifacts) else []
    return by_network("Beside the teacher", [head(each) for each in heads], rows, note=" ".join(notes), class_="rows answer")


def _row(artifact: Artifact, compared: bool, targets: Sequence[str], energies: Sequence[str], cells: Cells) -> list[Markup]:
    def read(heading: str, target: str | None = None) -> str:
        return cells.read(artifact.name, heading, target)

    lost = read("lost, points")
    moved = f"{lost[1:]} gained" if lost.startswith("−") else f"{lost} lost" if lost else ""
    return [
        cell(read("size"), read("size ÷") if compared else ""),
        *(cell(read("median", target), read("speedup", target) if compared else "") for target in targets),
        cell(read(cells.led), moved),
        *(cell(read("J/image", target)) for target in energies),
    ]


# Verdicts and doubts --------------------------------------------------------------------------------------------------


def verdicts(found: Sequence[Verdict]) -> Markup:
    """Whether the limits hold: how many, then one by one, the worst first."""
    if not found:
        return tag("p", plain("No limits were set, so none was judged."), class_="note")
    holds = all(verdict.state == "pass" for verdict in found)
    summary = f"Limits: {counts(found)}" if not holds else _all_hold(len(found))
    return lines([tag("h2", plain(summary)), tag("ul", *map(_verdict, by_trouble(found)), class_="verdicts")])


def _all_hold(count: int) -> str:
    return {1: "The limit holds", 2: "Both limits hold"}.get(count, f"All {count} limits hold")


def _verdict(verdict: Verdict) -> Markup:
    where = [plain(" on "), name(verdict.target)] if verdict.target else []
    state = f"{verdict.state}, only a warning" if verdict.warn and verdict.state != "pass" else verdict.state
    sign = tag("span", plain(STATES[verdict.state]), class_=f"state {verdict.state}", aria_hidden="true")
    told = tag("span", tag("b", plain(state), class_=verdict.state), plain(": "), name(verdict.limit), tag("small", name(verdict.artifact), *where))
    behind = tag("ul", *(tag("li", plain(line)) for line in verdict.why)) if verdict.why else NONE
    return tag("li", sign, tag("div", told, tag("p", plain(firm(verdict_text(verdict)))), behind))


def doubts(report: Report) -> Markup:
    """What there is to doubt; a long list opens on a click."""
    found = words.doubts(report)
    if not found:
        return NONE
    listed = tag("ul", *(tag("li", plain(firm(doubt))) for doubt in found), class_="doubts")
    shown = listed if len(found) <= _DOUBTS else folded(f"All {len(found)} doubts", listed, printed=True)
    return lines([tag("h2", plain(f"{len(found)} doubt{'s' if len(found) > 1 else ''}")), shown])
