"""The default: `edgekd compress` with no arguments, as a process of its own in an empty folder, timed from start to end.

python -m benchmarks.digits [--quick]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.headline import accuracy, speedup
from benchmarks.result import save
from edgekd.reportfile import read_report
from edgekd.stats import median


def main() -> None:
    """One run; a quick one trains for two epochs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    few = ["--epochs", "2", "--set", "train.teacher_epochs=1", "--set", "train.views=1"] if args.quick else []
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "edgekd", "compress", *few], cwd=folder, check=True)
        wall = time.monotonic() - begun
        report = read_report(Path(folder) / "runs" / "digits")
    teacher = next(a for a in report.artifacts if (a.role, a.precision) == ("teacher", "fp32"))
    student = next(a for a in report.artifacts if (a.role, a.precision) == ("student", "fp32"))
    shipped = report.artifact(next(iter(report.shipped.values())))
    first = next(m for m in report.measurements if m.artifact == teacher.name)
    figures = {
        "wall_s": wall,
        "teacher_accuracy": accuracy(report, teacher.name),
        "teacher_median_ms": median(first.timing.samples),
        "student_accuracy": accuracy(report, student.name),
        "size_ratio": teacher.size / student.size,
        "speedup": speedup(report, student.name),
        "shipped_accuracy": accuracy(report, shipped.name),
        "shipped_size_ratio": teacher.size / shipped.size,
        "shipped_speedup": speedup(report, shipped.name),
    }
    rows = [{"artifact": a.name, "size": a.size, "params": a.params, "accuracy": round(accuracy(report, a.name), 3)} for a in report.artifacts]
    print(save("digits", figures=figures, rows=rows, seconds=wall, quick=args.quick).read_text())


if __name__ == "__main__":
    main()
