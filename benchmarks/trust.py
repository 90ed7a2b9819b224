"""How far can a ratio be trusted that was measured in seconds? Teacher over student, again and again, quiet and beside a neighbour on one core.

    python -m benchmarks.trust [--sessions 300] [--minutes 100] [--quick]

Each session is what `edgekd bench STUDENT.onnx TEACHER.onnx` does under the quick plan, 15 s at most; every other one is loaded. Its ratio is held
against the long-run value under the same load: the geometric mean of all launches of all other sessions. In the same minutes, what others do: a plain
loop of 100 runs of each file, and OpenVINO's benchmark_app. Goes on where it was stopped; rows keep launches, so that another way to an interval
needs no new ones.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.gate_noise import neighbour
from benchmarks.result import WORK, save, saved_rows
from edgekd.bench import QUICK, bench, duel
from edgekd.events import silent
from edgekd.export.onnx import to_onnx
from edgekd.gate import read_all
from edgekd.models.load import build

MAX_S = 14.5
RIVALS = ("loop_100", "benchmark_app")


def model(name: str, folder: Path) -> Path:
    """A network with random weights: what it answers does not matter here."""
    file = folder / f"{name}.onnx"
    if not file.is_file():
        torch.manual_seed(0)
        onnx.save(to_onnx(build(name, classes=10, shape=(32, 32, 3)).body, (3, 32, 32), opset=20, batch=1), file)
    return file


def session(student: Path, teacher: Path) -> dict[str, Any]:
    """The ratio's launches, the seconds that it took, and the files' own latencies, ms, in each launch of theirs."""
    begun = time.monotonic()
    reports = [read_all([file], deep=False)[0][1] for file in (student, teacher)]
    (ours, theirs) = (report.artifacts[0] for report in reports)
    found = bench([(ours, student), (theirs, teacher)], {"cpu": "local"}, pairs=[(theirs.name, ours.name)], max_s=MAX_S, plan=QUICK, emit=silent)
    medians = [[float(np.median(np.concatenate(launch.rounds))) for launch in each.timing.launches] for each in found.measurements]
    return {"launches": found.ratios[0].launches, "seconds": time.monotonic() - begun, "latencies": medians}


def loop(file: Path) -> float:
    """What people write first: one session of the runtime, 100 runs, their mean in ms."""
    opened = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feeds = {opened.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)}
    begun = time.perf_counter()
    for _ in range(100):
        opened.run(None, feeds)
    return 10 * (time.perf_counter() - begun)


def benchmark_app(file: Path, seconds: int) -> float:
    """OpenVINO's own tool, for latency: its median in ms."""
    asked = [str(Path(sys.executable).parent / "benchmark_app"), "-m", str(file), "-hint", "latency", "-t", str(seconds)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r"Median:\s*([\d.]+) (ms|us)", told)
    assert found is not None, told
    return float(found[1]) / (1.0 if found[2] == "ms" else 1e3)


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Half-widths of the central 95 % of ratio over long-run value, how often the interval holds that value, and the shift that load makes."""
    found: dict[str, float] = {}
    held: list[bool] = []
    long_run: dict[bool, float] = {}
    for loaded, name in ((False, "quiet"), (True, "loaded")):
        of = [row for row in rows if row["loaded"] == loaded]
        if len(of) < 2:
            continue
        logs = [np.log(row["launches"]) for row in of]
        total, count = sum(float(each.sum()) for each in logs), sum(len(each) for each in logs)
        long_run[loaded] = math.exp(total / count)
        others = [math.exp((total - float(own.sum())) / (count - len(own))) for own in logs]
        told = [duel.ratio("teacher", "student", "cpu", row["launches"]) for row in of]
        held += [ratio.low <= value <= ratio.high for ratio, value in zip(told, others, strict=True)]
        found[f"ratio_spread_{name}"] = _spread([ratio.value / value for ratio, value in zip(told, others, strict=True)])
        found[f"ratio_{name}"] = long_run[loaded]
        for rival in RIVALS:
            theirs = [row[rival] for row in of if rival in row]
            if len(theirs) > 1:
                found[f"{rival}_spread_{name}"] = _spread([ratio / float(np.exp(np.mean(np.log(theirs)))) for ratio in theirs])
    if held:
        found["coverage"] = sum(held) / len(held)
    if len(long_run) == 2:
        found["shift_under_load"] = long_run[True] / long_run[False] - 1
    found["longest_session_s"] = max(row["seconds"] for row in rows)
    found["sessions"] = float(len(rows))
    return found


def _spread(shares: Sequence[float]) -> float:
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(high - low) / 2


def main() -> None:
    """Every session that is not there yet, quiet and loaded in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=110.0, help="start no new session after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: two of each kind, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    folder = WORK / "trust"
    folder.mkdir(parents=True, exist_ok=True)
    student, teacher = model("resnet8", folder), model("resnet56", folder)
    rows = [] if args.quick else saved_rows("trust")
    for number in range(len(rows), 4 if args.quick else args.sessions):
        if time.monotonic() - begun > 60 * args.minutes:
            break
        loaded = number % 2 == 1
        with neighbour(loaded, number, cores=1):
            row: dict[str, Any] = {"number": number, "loaded": loaded, **session(student, teacher)}
            row["loop_100"] = loop(teacher) / loop(student)
            # It takes ten times as long as a loop: beside every tenth session.
            if number % 20 < 2:
                row["benchmark_app"] = benchmark_app(teacher, 2) / benchmark_app(student, 2)
        rows.append(row)
        print(json.dumps(row), flush=True)
        save("trust", figures=figures(rows), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=args.quick)


if __name__ == "__main__":
    main()
