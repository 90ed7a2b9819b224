"""Targets and measured tables as Markdown: what stands in targets/*.toml and benchmarks/results/*.json, never a number typed by hand."""

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks import render
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
    parts = [f"{_told(result)} Teacher: {result['figures']['teacher_accuracy']:.2f} %."]
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
            low, high = (f"{figures[f'{name}_{end}']:+.2f}".replace("-", "−") for end in ("low", "high"))
            yield f"{figures[name]:+.2f} points over {words} (95 % interval {low} to {high})".replace("-", "−", 1)


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
    return f"{_told(result)}\n\n{render.table(result['rows'])}"


def _told(result: dict[str, Any]) -> str:
    """Where a table comes from."""
    host = result["host"]
    return f"`{result['command']}`, commit {result['commit']}, {result['date']}, on {host['cpu']}, {host['cores']} cores."
