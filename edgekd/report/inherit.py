"""What students inherit of their teacher beyond accuracy, as tables: a row a figure, and teacher, students and those taught alone beside
each other; then the files that a temperature is folded into.

In: a report that has its `robustness` measured, or files with a temperature. Out: the tables. Drawn it is by `steadiness`.
"""

from collections.abc import Callable, Sequence

from edgekd import units
from edgekd.record import Artifact, Report
from edgekd.report.cells import Table, tabled
from edgekd.scores import Calibration, Inheritance, Metric, Robustness

_LONGEST = 22
"""Characters of a network's name over its column."""


def inherited(report: Report) -> list[Table]:
    """The tables that there is something to say in."""
    found = [] if report.robustness is None else [_networks(report.robustness)]
    folded = [artifact for artifact in report.artifacts if artifact.temperature is not None]
    return [*found, *([_files(report, folded)] if folded else [])]


def ordered(robustness: Robustness) -> list[Inheritance]:
    """The teacher, then each student with itself alone beside it, then files."""
    names = list(dict.fromkeys(each.name.partition("/")[2] for each in robustness.networks))
    place = {"teacher": 0, "file": 2}
    return sorted(robustness.networks, key=lambda each: (place.get(each.role, 1), names.index(each.name.partition("/")[2])))


def called(networks: Sequence[Inheritance]) -> list[str]:
    """What each is called over its column: its role where that tells it apart."""
    roles = [each.role for each in networks]
    short = [each.name.rpartition("/")[2] if each.role == "file" else each.role for each in networks]
    return [name if roles.count(each.role) == 1 else _clipped(each.name) for name, each in zip(short, networks, strict=True)]


def _clipped(name: str) -> str:
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"


# Networks -------------------------------------------------------------------------------------------------------------


def _networks(robustness: Robustness) -> Table:
    networks = ordered(robustness)
    rows = [(name, [read(each) for each in networks]) for name, read in _rows(robustness)]
    rows = [(name, cells) for name, cells in rows if any(cell != units.NOTHING for cell in cells)]
    columns = [(head, [cells[place] for _, cells in rows]) for place, head in enumerate(called(networks))]
    return tabled("What the student inherits", _note(robustness, networks), [name for name, _ in rows], columns, first="on test images")


Read = Callable[[Inheritance], str]


def _rows(robustness: Robustness) -> list[tuple[str, Read]]:
    """Every figure by its name."""
    kinds = [name for names in robustness.families.values() for name in names]
    return [
        ("accuracy", lambda each: units.percent_text(each.clean.value)),
        ("agreement with the teacher", lambda each: _percent(each.agreement)),
        ("ECE", _of(lambda fit: units.percent_text(fit.ece.value))),
        ("ECE, divided by T", _of(lambda fit: units.percent_text(fit.scaled_ece.value))),
        ("NLL", _of(lambda fit: units.number_text(fit.nll.value))),
        ("NLL, divided by T", _of(lambda fit: units.number_text(fit.scaled_nll.value))),
        ("T", _of(lambda fit: units.number_text(fit.temperature))),
        *((f"corrupted: {family}", _under(names)) for family, names in robustness.families.items()),
        ("corrupted: all", _under(kinds)),
        ("corrupted, of its accuracy", lambda each: _share(each, kinds)),
        *((f"FGSM by {step}/255", _at(lambda each: each.fgsm, place)) for place, step in enumerate(robustness.steps)),
        *((f"the teacher's FGSM by {step}/255", _at(lambda each: each.transferred, place)) for place, step in enumerate(robustness.steps)),
    ]


def _percent(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.percent_text(metric.value)


def _of(text: Callable[[Calibration], str]) -> Read:
    return lambda each: units.NOTHING if each.calibration is None else text(each.calibration)


def _under(names: Sequence[str]) -> Read:
    return lambda each: units.percent_text(each.under(names))


def _share(each: Inheritance, kinds: Sequence[str]) -> str:
    return units.percent_text(each.under(kinds) / each.clean.value) if each.clean.value else units.NOTHING


def _at(read: Callable[[Inheritance], list[float]], place: int) -> Read:
    def text(each: Inheritance) -> str:
        return units.percent_text(read(each)[place]) if read(each) else units.NOTHING

    return text


def _note(robustness: Robustness, networks: Sequence[Inheritance]) -> str:
    names = [f"{head}: {each.name.partition('/')[2]}" for head, each in zip(called(networks), networks, strict=True) if head == each.role]
    held = next((each.calibration.images for each in networks if each.calibration is not None), None)
    parts = [
        ", ".join(names),
        f"accuracy, corrupted and FGSM: of {robustness.images} test images, as many of each class; corrupted: mean of five severities",
        "agreement, ECE and NLL: of all test images",
        f"T: fitted on {held} validation images" if held is not None else "",
        "the corruptions are edgekd's own and compare with no published figures",
        *robustness.notes,
    ]
    return "; ".join(filter(None, parts))


# Files ----------------------------------------------------------------------------------------------------------------


def _files(report: Report, files: Sequence[Artifact]) -> Table:
    """Calibration of the files that a temperature is folded into, before and after."""
    columns = [
        ("T", [units.number_text(file.temperature) for file in files]),
        ("ECE before", [_percent(_metric(report, file, "unscaled_ece")) for file in files]),
        ("ECE after", [_percent(_metric(report, file, "ece")) for file in files]),
        ("NLL before", [_number(_metric(report, file, "unscaled_nll")) for file in files]),
        ("NLL after", [_number(_metric(report, file, "nll")) for file in files]),
    ]
    note = "T was fitted on validation images and is folded into the last layer: no answer changes; ECE and NLL are of the test images"
    return tabled("A temperature folded in", note, [file.name for file in files], columns)


def _metric(report: Report, file: Artifact, name: str) -> Metric | None:
    score = report.score(file.name)
    return None if score is None else score.metrics.get(name)


def _number(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.number_text(metric.value)
