"""Tables of what students kept, inherited and do in another place: the mean of each way over its seeds, of benchmarks/results/*.json."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import render
from docs.generate.figures import told

FORGETTING = {
    "before": "before",
    "fine_tuning": "labels of the new images alone",
    "lwf_one_head": "`keep`, labels among all classes",
    "lwf": "`keep`, labels among the new classes",
    "replay": "a tenth of the old images again",
    "lwf_replay": "both: `keep` and `replay`",
    "joint": "all images, old and new",
}
"""As benchmarks/forgetting.py calls its ways."""
DOMAIN = {
    "source_only": "the source alone",
    "own_logits": "KL to the student's own detached logits",
    "own_together": "the same, in one batch with the source's images",
    "ours_unaligned": "`domain`, `align = false`",
    "ours": "`domain`",
}
"""As benchmarks/domain.py calls its ways."""
INHERIT = {"teacher": "the teacher", "student": "the student", "alone": "the student alone"}
"""As benchmarks/inherit.py calls its ways."""
SETTINGS = {"clean": "labels as they are", "noisy": "20 % flipped, a teacher of clean ones", "taught": "20 % flipped, a teacher of those"}
"""As benchmarks/inherit.py calls its settings."""


def forgetting() -> str:
    """Accuracy on old and new classes, by way."""
    result = render.results()["forgetting"]
    columns = {"old": "old classes, %", "old_among_old": "among old ones alone", "new": "new classes, %", "all": "all, %"}
    return f"{told(result)}\n\n{_table(result['rows'], 'way', FORGETTING, columns)}"


def domain() -> str:
    """Accuracy and AUC in both places, by way; and the largest gradient of what is learnt of the target."""
    result = render.results()["domain"]
    columns = {"target_accuracy": "target, %", "target_auc": "AUC there, %", "source_accuracy": "source, %", "largest_gradient": "largest gradient"}
    teacher = result["figures"]["teacher_target_accuracy"]
    return f"{told(result)} The teacher has {teacher:.2f} % of the target.\n\n{_table(result['rows'], 'way', DOMAIN, columns)}"


def inherit() -> str:
    """Agreement, calibration and robustness, by setting and network."""
    result = render.results()["inherit"]
    columns = {"accuracy": "accuracy, %", "agreement": "agreement, %", "ece": "ECE, %", "scaled_ece": "scaled", "corrupted": "corrupted, %"}
    columns |= {"fgsm_4": "FGSM 4/255, %", "transferred_4": "by the teacher's gradient, %"}
    parts = [told(result)]
    for setting, words in SETTINGS.items():
        rows = [row for row in result["rows"] if row["setting"] == setting]
        parts += [f"**{words[0].upper()}{words[1:]}**", _table(rows, "way", INHERIT, columns)] if rows else []
    return "\n\n".join(parts)


def _table(rows: Sequence[Mapping[str, Any]], key: str, ways: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """A line for each way that has rows: how many seeds, and the mean of each column."""
    lines = ["| way | seeds | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 2) + "|"]
    for way, words in ways.items():
        own = [row for row in rows if row[key] == way]
        if own:
            means = [f"{statistics.fmean(row[column] for row in own):.4g}" if column in own[0] else "" for column in columns]
            lines.append(f"| {words} | {len(own)} | {' | '.join(means)} |")
    return "\n".join(lines)
