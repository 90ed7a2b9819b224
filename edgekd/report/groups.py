"""Head, middle and tail in words and columns: what a report says of classes by how many training images they have.

In: a report whose data and scores have groups. Out: which classes the groups are, and cells for the table of scores. Drawn they are by `classes`.
"""

from collections.abc import Sequence

from edgekd import units
from edgekd.record import Artifact, Report

GROUPS = ("head", "middle", "tail")


def rule(report: Report) -> str:
    """By which rule the classes were grouped, with their numbers; "" where they were not."""
    data = report.data
    if data is None or data.groups is None:
        return ""
    images = dict(zip(data.classes, data.class_counts, strict=True))
    members: list[list[str]] = [getattr(data.groups, group) for group in GROUPS]
    if data.groups.rule == "bounds":
        told = _listed([f"{len(names)} with {bound}" for names, bound in zip(members, ("over 100", "20 to 100", "under 20"), strict=True)])
        return f"head, middle and tail: of the classes {told} training images"
    told = _listed([f"{len(names)} with {_span([images[name] for name in names])}" for names in members])
    return f"head, middle and tail: thirds of the classes, {told} training images"


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if max(counts) == min(counts) else f"{max(counts)} to {min(counts)}"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def columns(report: Report, artifacts: Sequence[Artifact]) -> list[tuple[str, list[str]]]:
    """A column a group: the mean recall of its classes on test images, by artifact."""
    scores = [report.score(artifact.name) for artifact in artifacts]
    found = [(group, [score.groups.get(group) if score is not None else None for score in scores]) for group in GROUPS]
    return [(group, [units.NOTHING if metric is None else units.percent_text(metric.value) for metric in metrics]) for group, metrics in found]
