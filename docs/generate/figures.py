"""Targets and measured tables as Markdown: what stands in targets/*.toml and benchmarks/results/*.json, never a number typed by hand."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks import render
from benchmarks.lessons import SETTINGS
from benchmarks.methods import KD_BY_ASSISTANT
from edgekd import target, units

WAYS = {
    "two_phase": "two phases (the default recipe)",
    "kd_plain": "plain KD, T = 4, plain images at the end",
    "kd": "plain KD, T = 4",
    "kd_t3": "plain KD, T = 3",
    "alone": "the student alone, same steps",
}
"""As benchmarks/cifar10.py calls its ways, the best first."""


def targets() -> str:
    """Every target that ships: how files run there, and whether edgekd has ever run on one."""
    rows = [
        f"| `{each.name}` | {each.description} | `{each.runtime}` | {', '.join(f'`{name}`' for name in each.precisions)} | {_tested(each)} |"
        for each in map(target.load, target.names())
    ]
    return "\n".join(["| target | device | runtime | precisions | run on real hardware |", "|---|---|---|---|---|", *rows])


def chips() -> str:
    """What the makers state of the targets' chips."""
    rows = []
    for each in map(target.load, target.names()):
        chip = each.chip
        if chip.source:
            peaks = [
                f"{name} {units.count_text(peak)} op/s"
                for name, peak in (("FP32", chip.peak_fp32), ("FP16", chip.peak_fp16), ("INT8", chip.peak_int8))
                if peak
            ]
            rows.append(f"| `{each.name}` | {units.bytes_text(chip.bandwidth)}/s | {', '.join(peaks) or '–'} | {chip.source} |")
    return "\n".join(["| target | memory bandwidth | peak operations | source |", "|---|---|---|---|", *rows])


def _tested(each: target.Target) -> str:
    return "yes" if each.tested else "**no**"


def headline() -> str:
    """What the README quotes."""
    return render.headline(render.results())


def ways() -> str:
    """What each way of learning came to on CIFAR-10's test images, by student."""
    result = render.results()["cifar10"]
    parts = [f"{told(result)} Teacher: {result['figures']['teacher_accuracy']:.2f} %."]
    for student in dict.fromkeys(row["student"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["student"] == student]
        lines = [f"| {WAYS.get(way, way)} | {_summary([row for row in rows if row['way'] == way])} |" for way in _in_order(rows)]
        head = [f"| {student}, {rows[0]['steps']} steps | seeds | test accuracy, % | lowest to highest | NLL |", "|---|---|---|---|---|"]
        parts += ["\n".join([*head, *lines]), _gains(student, result["figures"])]
    return "\n\n".join(parts)


def _in_order(rows: list[dict[str, Any]]) -> list[str]:
    there = {row["way"] for row in rows}
    return [*(way for way in WAYS if way in there), *sorted(there - set(WAYS))]


def _summary(rows: list[dict[str, Any]]) -> str:
    found, nll = [row["test_accuracy"] for row in rows], statistics.fmean(row["test_nll"] for row in rows)
    return f"{len(rows)} | {statistics.fmean(found):.2f} | {min(found):.2f} to {max(found):.2f} | {nll:.2f}"


def _gains(student: str, figures: dict[str, float]) -> str:
    """Paired differences with their intervals, in a sentence; those of one seed have none."""
    prefix = "" if student == "resnet8" else f"{student}_"
    told = list(_told_gains(prefix, figures))
    return f"{student}, paired by seed: two phases are {' and '.join(told)}." if told else ""


def _told_gains(prefix: str, figures: dict[str, float]) -> Iterator[str]:
    for other, words in (("alone", "the student alone"), ("kd", "plain KD")):
        name = f"{prefix}two_phase_minus_{other}"
        if f"{name}_low" in figures:
            low, high = (render.signed(figures[f"{name}_{end}"]) for end in ("low", "high"))
            yield f"{render.signed(figures[name])} points over {words} (95 % interval {low} to {high})"


LONG_TAIL = {
    "two_phase": "two phases, the teacher corrected, a balanced last phase",
    "alone_adjusted": "labels alone, logits adjusted, the same subset",
    "alone_balanced": "labels alone, the same subset",
    "alone": "labels alone",
    "kd": "plain KD",
    "teacher_corrected": "the teacher, corrected",
    "teacher": "the teacher",
}
"""As benchmarks/longtail.py calls its ways."""


def methods() -> str:
    """What every method came to, by data set, the best first; gains are paired by seed. One that has no row says so."""
    result = render.results()["methods"]
    parts = [told(result)]
    for name in dict.fromkeys(row["set"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["set"] == name and "test_accuracy" in row]
        by: dict[str, list[float]] = {}
        least: dict[str, float] = {}
        for row in rows:
            by.setdefault(row["method"], []).append(row["test_accuracy"])
            least[row["method"]] = min(row["epoch_s"], least.get(row["method"], math.inf))
        teacher = result["figures"][f"{name}, teacher"]
        head = [
            f"| {name}; its teacher has {teacher:.2f} % | seeds | test accuracy, % | over alone | over plain KD | of the gap, % | s an epoch |",
            "|---|---|---|---|---|---|---|",
        ]
        lines = []
        for method, found in sorted(by.items(), key=lambda each: -statistics.fmean(each[1])):
            gains = " | ".join(_over(result["figures"], f"{name}, {method} minus {other}") for other in ("alone", "kd"))
            gap = result["figures"].get(f"{name}, {method}, gap recovered")
            share = "" if gap is None else f"{round(100 * gap)}".replace("-", "−")
            lines.append(f"| {method} | {len(found)} | {statistics.fmean(found):.2f} | {gains} | {share} | {least[method]:.0f} |")
        lines += [f"| {method} | | not run | | | | |" for method in SETTINGS[name].methods if method not in by]
        parts.append("\n".join([*head, *lines]))
        parts += _by_assistant(name, {row["method"]: row["assistant_accuracy"] for row in rows if "assistant_accuracy" in row}, result["figures"])
    return "\n\n".join(parts)


def _by_assistant(name: str, accuracies: dict[str, float], figures: dict[str, float]) -> Iterator[str]:
    """Which methods an assistant teaches, how good it is, and what each gains over plain KD by the same."""
    if accuracies:
        told = f"{', '.join(accuracies)}: by an assistant, which the teacher taught before by plain KD, of {max(accuracies.values()):.2f} %."
        gains = [f"{method} {gain}" for method in accuracies if (gain := _over(figures, f"{name}, {method} minus {KD_BY_ASSISTANT}"))]
        yield told + (f" Over plain KD by that assistant: {', '.join(gains)}." if gains else "")


def _over(figures: dict[str, float], key: str) -> str:
    """A gain with its interval, where several seeds give one."""
    if key not in figures:
        return ""
    interval = f" ({render.signed(figures[f'{key}, low'])} to {render.signed(figures[f'{key}, high'])})" if f"{key}, low" in figures else ""
    return render.signed(figures[key]) + interval


def longtail() -> str:
    """Balanced accuracy, and recall of head and tail, by data set and imbalance."""
    result = render.results()["longtail"]
    parts = [told(result)]
    rows = [row for row in result["rows"] if "test_balanced_accuracy" in row]
    for data, imbalance in dict.fromkeys((row["data"], row["imbalance"]) for row in rows):
        own = [row for row in rows if (row["data"], row["imbalance"]) == (data, imbalance)]
        there = [way for way in LONG_TAIL if any(row["way"] == way for row in own)]
        title = f"{data}, {imbalance}:1" if imbalance > 1 else f"{data}, balanced"
        lines = [f"| {LONG_TAIL[way]} | {_recalls([row for row in own if row['way'] == way])} |" for way in there]
        parts.append("\n".join([f"| {title} | seeds | balanced accuracy, % | head | middle | tail |", "|---|---|---|---|---|---|", *lines]))
    return "\n\n".join(parts)


def _recalls(rows: list[dict[str, Any]]) -> str:
    keys = [f"test_{name}" for name in ("balanced_accuracy", "head", "middle", "tail")]
    means = [f"{statistics.fmean(row[key] for row in rows):.2f}" if key in rows[0] else "" for key in keys]
    return " | ".join([str(len(rows)), *means])


def search() -> str:
    """What each second phase came to in the search, on validation images."""
    result = render.results()["phase2_search"]
    rows = sorted(result["rows"], key=lambda row: (row["seed"], -row["valid_accuracy"]))
    lines = [
        f"| {row['seed']} | {row['first_phase']} | {row['second_phase']} | {row['valid_accuracy']:.2f} | {row['valid_nll']:.2f} |" for row in rows
    ]
    return "\n".join(["| seed | first phase | second phase | validation accuracy, % | NLL |", "|---|---|---|---|---|", *lines])


def files(name: str) -> str:
    """The files of a measured run, as a table."""
    result = render.results()[name]
    return f"{told(result)}\n\n{render.table(result['rows'])}"


def told(result: dict[str, Any]) -> str:
    """Where a table comes from; where its rows were made by several versions, that too: each keeps its own in the file."""
    host = result["host"]
    commits = {row["commit"] for row in result.get("rows", []) if isinstance(row, dict) and "commit" in row}
    older = f" The rows were made at {len(commits)} commits; each names its own in the result." if len(commits) > 1 else ""
    return f"`{result['command']}`, commit {result['commit']}, {result['date']}, on {host['cpu']}, {host['cores']} cores.{older}"
