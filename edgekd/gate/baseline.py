"""A baseline: a report cut down to what is compared, as JSON that is kept in git.

In: what was checked, or where a baseline is kept. Out: a file, or the report in one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgekd.errors import UsageError
from edgekd.files import write_atomic
from edgekd.gate import own_baseline, read_all
from edgekd.gate.limits import nearest_budget
from edgekd.gate.origin import fetched
from edgekd.record import Report
from edgekd.reportfile import encode_report

PLACE = Path("budget") / "report.json"
"""Where it is kept, unless a budget file or the command line says otherwise."""


def save(paths: Sequence[Path | str], file: Path) -> Report:
    """Write the baseline of one run or report, or of bare files together.

    Raises:
        UsageError: more than one report; else as `read_report` and `bare_report`.
    """
    found = read_all(paths, deep=True)
    if len(found) != 1:
        raise UsageError(f"a baseline is of one run, or of .onnx files only; got {', '.join(map(str, paths)) or 'nothing'}")
    ((_, report),) = found
    report = slim(report)
    write_atomic(file, encode_report(report))
    return report


def slim(report: Report) -> Report:
    """Without what is never compared: how training went, its recipe, what was doubted then, what a page draws of the answers."""
    scores = [msgspec.structs.replace(score, reliability=[], confusion={}, disagreements=[]) for score in report.scores]
    return msgspec.structs.replace(report, networks=[], recipe={}, scores=scores, verdicts=[], doubts=[], notes=[])


@contextmanager
def opened(source: Path | str | None) -> Iterator[Report]:
    """The report that a path or REF:PATH names; without one what the nearest budget file names, else the usual place."""
    own = own_baseline(nearest_budget(Path.cwd())) if source is None else None
    with fetched(*(own or (source or PLACE, Path()))) as path:
        ((_, report),) = read_all([path], deep=True)
        yield report
