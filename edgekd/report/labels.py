"""Label by label, where an image may have several: how well the file that ships ranks and tells each, beside the teacher's own.

In: a report. Out: a table, a row a label, the rarest first; without any where an image has one label.
"""

from edgekd import units
from edgekd.record import Artifact, Report
from edgekd.report.cells import Table, tabled

_TITLE = "Label by label"


def labels(report: Report) -> Table:
    """A row a label, the rarest first."""
    artifact = _shown(report)
    score = report.score(artifact.name) if artifact is not None else None
    if artifact is None or score is None or not score.labels:
        return tabled(_TITLE, "", [], [])
    first = next((each for each in report.artifacts if each.role == "teacher" and each is not artifact), None)
    teacher = report.score(first.name) if first is not None else None
    rows = sorted(score.labels.items(), key=lambda each: each[1].positives)
    names = [name for name, _ in rows]
    theirs = [teacher.labels[name].average_precision if teacher is not None and name in teacher.labels else None for name in names]
    note = (
        f"of {artifact.name}; threshold: the probability from which on a label is said to be there, fitted on validation images; AP: average "
        "precision"
    )
    return tabled(
        _TITLE,
        note,
        names,
        [
            ("images", [str(told.positives) for _, told in rows]),
            ("threshold", [units.percent_text(told.threshold) for _, told in rows]),
            ("recall", [units.percent_text(score.recall[name].value if name in score.recall else None) for name in names]),
            ("F1", [units.percent_text(told.f1) for _, told in rows]),
            ("AUC", [units.percent_text(told.auc) for _, told in rows]),
            ("AP", [units.percent_text(told.average_precision) for _, told in rows]),
            ("teacher's AP", [units.percent_text(value) for value in theirs]),
        ],
        first="label",
    )


def _shown(report: Report) -> Artifact | None:
    """The first file that ships, else the first student's, else the first of all."""
    named = [artifact for name in report.shipped.values() for artifact in report.artifacts if artifact.name == name]
    students = [artifact for artifact in report.artifacts if artifact.role == "student"]
    return next(iter([*named, *students, *report.artifacts]), None)
