"""benchmarks/README.md and the table in the project's README, written from results/*.json and never by hand.

python -m benchmarks.render [--check]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.result import RESULTS, ROOT
from edgekd.files import write_atomic

BEGIN, END = "<!-- figures: written by benchmarks/render.py -->", "<!-- end of figures -->"


def results() -> dict[str, dict[str, Any]]:
    """Every result by its name."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}


def number(value: Any) -> str:
    """A figure as it is shown: whole, or with as many decimals as matter."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def signed(value: float) -> str:
    """A difference with its sign, as it is typeset."""
    return f"{value:+.2f}".replace("-", "−")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of one shape as a Markdown table; those that hold tables themselves are left to the JSON."""
    plain = [row for row in rows if all(not isinstance(value, (list, dict)) for value in row.values())]
    if not plain:
        return ""
    heads = list(dict.fromkeys(key for row in plain for key in row if key != "key"))
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(number(row.get(head, '')) for head in heads)} |" for row in plain)])


def section(name: str, result: dict[str, Any]) -> str:
    """One result: where it comes from, its figures, its rows."""
    host = result["host"]
    told = f"`{result['command']}`, commit {result['commit']}, {result['date']}, {result['seconds']:.0f} s, on {host['cpu']}, {host['cores']} cores."
    figures = table([{"figure": key, "value": float(value)} for key, value in result["figures"].items()])
    return "\n\n".join(part for part in (f"## {name}", told, figures, table(result["rows"])) if part)


def page(found: dict[str, dict[str, Any]]) -> str:
    """The whole of benchmarks/README.md."""
    head = (
        "# Benchmarks\n\nWritten by `python -m benchmarks.render` from `results/*.json`; do not edit. "
        "Each script takes `--quick` for a smoke test and goes on where it was stopped. Accuracies in %, differences in points."
    )
    lacking = [f"## {name}\n\nnot run: `{command}` {needs}." for name, (command, needs) in NOT_RUN.items() if name not in found]
    return "\n\n".join([head, *(section(name, result) for name, result in found.items()), *lacking]) + "\n"


NOT_RUN = {
    "cifar100": ("python -m benchmarks.gpu", "teaches by the literature's protocol, which takes a GPU"),
    "gpu": ("python -m benchmarks.gpu", "times training steps and latency under CUDA, which takes a GPU"),
}
"""What is wanted and may have no result yet: how it is had, and what that takes."""
OVER = {"alone": "points over alone", "kd": "over plain KD"}
"""What a method's gain is told against."""


def headline(found: dict[str, dict[str, Any]]) -> str:
    """The lines that the project's README quotes."""
    lines = []
    if "headline" in found:
        f = found["headline"]["figures"]
        lines.append(
            f"| Fashion-MNIST: wrn-16-3 → five thin convolutions | {f['size_ratio']:.1f}× smaller, {f['speedup']:.1f}× faster (FP32 to FP32); "
            f"{f['shipped_size_ratio']:.1f}× and {f['shipped_speedup']:.1f}× as shipped | "
            f"{f['teacher_accuracy']:.2f} → {f['student_accuracy']:.2f} %, {f['teacher_accuracy'] - f['shipped_drop_points']:.2f} % as shipped "
            f"({f['student_alone_accuracy']:.2f} % taught alone) |"
        )
    if "cifar10" in found:
        f = found["cifar10"]["figures"]
        for student, prefix in (("resnet8", ""), ("resnet20", "resnet20_")):
            if f"{prefix}two_phase_minus_kd" in f:
                gains = f"{f[f'{prefix}two_phase_minus_alone']:+.2f} points over alone, {f[f'{prefix}two_phase_minus_kd']:+.2f} over plain KD"
                lines.append(f"| CIFAR-10: resnet56 → {student}, few epochs, mean of seeds | two phases: {gains} | {f[f'{prefix}two_phase']:.2f} % |")
    many = found.get("methods", {}).get("figures", {})
    if "cifar100, two phases, dist minus kd, low" in many:
        gains = ", ".join(f"{many[f'cifar100, two phases, dist minus {other}']:+.2f} {what}" for other, what in OVER.items())
        accuracy = f"{many['cifar100, two phases, dist']:.2f} % (the teacher {many['cifar100, teacher']:.2f} %)"
        lines.append(f"| CIFAR-100: resnet56b → resnet8b, few epochs, mean of seeds | two phases: {gains} | {accuracy} |")
    if "two_phase" in found.get("longtail", {}).get("figures", {}):
        f = found["longtail"]["figures"]
        gains = f"{f['two_phase_minus_kd']:+.2f} points over plain KD, {f['two_phase_minus_alone_balanced']:+.2f} over labels on the same images"
        lines.append(
            f"| CIFAR-10 cut to a long tail of 100:1: resnet32 → resnet8, few epochs, mean of seeds | two phases: {gains}, "
            f"{f['two_phase_minus_teacher']:+.2f} over the teacher | {f['two_phase']:.2f} % |"
        )
    if "quantised_int8" in found.get("qat", {}).get("figures", {}):
        f = found["qat"]["figures"]
        low, high = (signed(f[f"quantised_minus_longer_{end}"]) for end in ("low", "high"))
        gains = f"{f['quantised_minus_longer']:+.2f} points over the same steps without it ({low} to {high})"
        gains += f", {f['quantised_minus_post_training']:+.2f} over two phases"
        lines.append(
            f"| CIFAR-10: resnet56 → cifar-mobilenet-v2 in int8, few epochs, mean of seeds | a quantised last phase: {gains} "
            f"| {f['quantised_int8']:.2f} % ({f['quantised_fp32']:.2f} % in fp32) |"
        )
    if "digits" in found:
        f = found["digits"]["figures"]
        lines.append(
            f"| digits, no arguments: {f['wall_s']:.0f} s in all "
            f"| {f['shipped_size_ratio']:.0f}× smaller, {f['shipped_speedup']:.0f}× faster as shipped | "
            f"{f['teacher_accuracy']:.1f} → {f['shipped_accuracy']:.1f} % |"
        )
    return "\n".join(["| what | gain | accuracy |", "|---|---|---|", *lines])


def main() -> int:
    """Write both files, or with --check say whether they are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    found = results()
    readme = ROOT.parent / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    wanted: dict[Path, str] = {ROOT / "README.md": page(found), readme: f"{before}{BEGIN}\n{headline(found)}\n{END}{after}"}
    stale = [file for file, text in wanted.items() if not file.is_file() or file.read_text() != text]
    if not args.check:
        for file in stale:
            write_atomic(file, wanted[file])
    print("\n".join(f"{'stale' if args.check else 'wrote'} {file.relative_to(ROOT.parent)}" for file in stale) or "nothing to do")
    return int(bool(args.check and stale))


if __name__ == "__main__":
    sys.exit(main())
