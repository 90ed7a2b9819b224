"""The way from teacher to student, step by step: who taught whom, how well each network answers, and how far it stays behind the one before it.

In: a report in which co-teachers or assistants stand. Out: a table, a row a network. A run without either has no steps to tell apart, and no
columns: its scores say it all.
"""

from collections.abc import Sequence

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.figures import Ask, Unknown
from edgekd.record import Network, Report
from edgekd.report.cells import Table, tabled
from edgekd.stats import Interval

ROLES = ("teacher", "co-teacher", "ensemble", "assistant", "student")
"""In the order in which they teach each other; `alone` learns from nobody."""
_TITLE = "From teacher to student"


def steps(report: Report) -> Table:
    """A row a network; none where there is one teacher and no assistant."""
    networks = [network for role in ROLES for network in report.networks if network.role == role]
    if not any(network.role in ("co-teacher", "assistant") for network in networks):
        return tabled(_TITLE, "", [], [])
    first = next((place for role in ("ensemble", "teacher") for place, network in enumerate(networks) if network.role == role), None)
    tested = [_tested(report, network) for network in networks]
    validated = [None if network.valid_accuracy is None else (network.valid_accuracy,) * 3 for network in networks]
    compared = tested if None not in tested else validated
    behind = [_less(compared, _taught_by(place, networks, first), place) for place in range(len(networks))]
    in_all = [_less(compared, first if network.role in ("assistant", "student") else None, place) for place, network in enumerate(networks)]
    several = report.leading == "map"

    def what(split: str) -> str:
        return f"of mAP it has on the {split} images" if several else f"of the {split} images it has right"

    whom = "" if first is None else f"; in all: than {'the teachers together' if networks[first].role == 'ensemble' else 'the teacher'}"
    split, independent = ("test", "; the interval takes the two as independent") if compared is tested else ("validation", "")
    return tabled(
        _TITLE,
        f"behind: how many points fewer {what(split)} than the network that taught it{whom}{independent}",
        [f"{network.role}/{network.name}" for network in networks],
        [
            ("params", [units.count_text(network.params) if network.params else units.NOTHING for network in networks]),
            ("validation", [_accuracy(seen) for seen in validated]),
            ("test", [_accuracy(seen) for seen in tested]),
            ("behind, points", [_points(gap) for gap in behind]),
            ("95 % interval", [_span(gap) for gap in behind]),
            *([] if first is None else [("in all, points", [_points(gap) for gap in in_all])]),
        ],
        first="network",
    )


def _taught_by(place: int, networks: Sequence[Network], first: int | None) -> int | None:
    """Where who taught a network stands: the assistant before it, the last of them, or who teaches first; None: nobody here."""
    assistants = [number for number, network in enumerate(networks) if network.role == "assistant" and number < place]
    last = assistants[-1] if assistants else first
    return last if networks[place].role in ("assistant", "student") else None


def _tested(report: Report, network: Network) -> Interval | None:
    """Accuracy, or what leads in its place, on the test images, with its interval: taken when it had learnt, else of its first file."""
    if network.test_accuracy is not None:
        return network.test_accuracy.value, network.test_accuracy.low, network.test_accuracy.high
    own = next((artifact for artifact in report.artifacts if (artifact.role, artifact.network) == (network.role, network.name)), None)
    seen = Unknown("") if own is None else figures.lead(Ask(report, own))
    return None if isinstance(seen, Unknown) else seen


def _less(accuracies: Sequence[Interval | None], before: int | None, place: int) -> Interval | None:
    """How much less the one at a place has right than the one before it."""
    theirs, own = None if before is None else accuracies[before], accuracies[place]
    return None if theirs is None or own is None else stats.difference(theirs, own)


def _accuracy(seen: Interval | None) -> str:
    return units.NOTHING if seen is None else units.percent_text(seen[0])


def _points(gap: Interval | None) -> str:
    return units.NOTHING if gap is None else _bare(gap[0])


def _span(gap: Interval | None) -> str:
    return units.NOTHING if gap is None or gap[1] == gap[2] else units.span_text(_bare(gap[1]), _bare(gap[2]))


def _bare(share: float) -> str:
    """Points without the unit, which stands in the heading."""
    return units.points_text(share).partition(" ")[0]
