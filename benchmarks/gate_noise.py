"""How often does the gate cry wolf, and how often is it right? A model against itself, and against itself with work added.

    python -m benchmarks.gate_noise [--same 300] [--slower 100] [--minutes 100] [--quick]

Each check is what `edgekd check NEW.onnx --baseline OLD.onnx --measure --limit growth.latency=5% --max-time 20` does: half of them on a quiet
machine, half beside a neighbour that takes the cores in bursts; a figure is the worse half's. What the same samples come to when judged as others
judge stands beside it. The added work, convolutions whose result is multiplied by zero, is calibrated against long measurements first. Goes on where
it was stopped.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from scipy.stats import mannwhitneyu

from benchmarks.result import WORK, save, saved_rows
from edgekd import budget
from edgekd.bench import Plan, bench
from edgekd.budget.growth import twin
from edgekd.events import silent
from edgekd.export.onnx import to_onnx
from edgekd.gate import read_all, renamed
from edgekd.gate.measuring import Contest, measured
from edgekd.limit import Limit
from edgekd.models.load import build

LIMIT = Limit(growth={"latency": "5 %"})
ALLOWED = 1.05
MAX_S = 20.0
SLOWER = (5, 10, 20)
"""Known slowdowns, %."""
BURST_S, PAUSE_S = (0.05, 1.0), (0.1, 2.0)
"""The neighbour works and rests for random times between these, on each core for itself."""
LONG = Plan(launches=1, rounds=1, flow_ms=0.0, duels=24, duel_ms=800.0)
SHORT = Plan(launches=1, rounds=1, flow_ms=0.0, duels=2, duel_ms=100.0)
Samples = Sequence[float]


# Models ---------------------------------------------------------------------------------------------------------------


def base(folder: Path) -> Path:
    """A resnet20 with random weights: about as long an inference as a small student's."""
    file = folder / "base.onnx"
    if not file.is_file():
        torch.manual_seed(0)
        network = build("resnet20", classes=10, shape=(32, 32, 3))
        onnx.save(to_onnx(network.body, (3, 32, 32), opset=20, batch=1), file)
    return file


def with_work(model: Path, channels: int, file: Path) -> Path:
    """The same answers after `channels` more feature maps, which are averaged, multiplied by zero and added to the logits."""
    graph = onnx.load(model)
    image, logits = graph.graph.input[0].name, graph.graph.output[0].name
    for node in graph.graph.node:
        node.output[:] = ["added.before" if name == logits else name for name in node.output]
    kernel = np.full((channels, 3, 3, 3), 1e-3, np.float32)
    weights = {"added.kernel": kernel, "added.zero": np.zeros((channels, 10), np.float32)}
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    graph.graph.node.extend(
        [
            helper.make_node("Conv", [image, "added.kernel"], ["added.maps"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["added.maps"], ["added.mean"]),
            helper.make_node("Flatten", ["added.mean"], ["added.flat"]),
            helper.make_node("MatMul", ["added.flat", "added.zero"], ["added.nothing"]),
            helper.make_node("Add", ["added.before", "added.nothing"], [logits]),
        ]
    )
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, file)
    return file


def calibrated(model: Path, percent: int, folder: Path, *, quick: bool) -> tuple[Path, float]:
    """The model with so much work added that a long measurement finds it `percent` slower, and the ratio that it found."""
    done, file = folder / f"slower-{percent}.json", folder / f"slower-{percent}.onnx"
    if done.is_file():
        return file, float(json.loads(done.read_text())["ratio"])
    wanted, channels = 1 + percent / 100, 5 * percent
    tried: dict[int, float] = {}
    while channels not in tried and len(tried) < (1 if quick else 6):
        tried[channels] = ratio = slowdown(model, with_work(model, channels, file), SHORT if quick else LONG)
        print(f"  {channels} channels: {ratio:.4f} of {wanted:.2f}", flush=True)
        channels = max(1, round(channels * min(2.0, (wanted - 1) / max(ratio - 1, 0.01))))
    # Kernels work on channels by the dozen, so that the time grows in steps: the nearest of those tried.
    channels = min(tried, key=lambda each: abs(tried[each] - wanted))
    with_work(model, channels, file)
    done.write_text(json.dumps({"channels": channels, "ratio": tried[channels]}))
    return file, tried[channels]


def slowdown(old: Path, new: Path, plan: Plan) -> float:
    """New over old, taken in turn."""
    ((_, report),) = read_all([new], deep=False)
    before, after = twin(report.artifacts[0]), report.artifacts[0]
    found = bench([(after, new), (before, old)], {"cpu": "local"}, pairs=[(after.name, before.name)], max_s=120.0, plan=plan, emit=silent)
    return found.ratios[0].value


# A neighbour ----------------------------------------------------------------------------------------------------------


def _work_in_bursts(seed: int) -> None:
    dice = random.Random(seed)
    while True:
        end = time.monotonic() + dice.uniform(*BURST_S)
        while time.monotonic() < end:
            sum(range(1000))
        time.sleep(dice.uniform(*PAUSE_S))


@contextlib.contextmanager
def neighbour(loaded: bool, seed: int, cores: int | None = None) -> Iterator[None]:
    """Another tenant on so many cores, or on every one, where the machine is to be loaded."""
    busy = [
        multiprocessing.Process(target=_work_in_bursts, args=(seed + core,), daemon=True)
        for core in range((cores or os.cpu_count() or 1) if loaded else 0)
    ]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


# Checks ---------------------------------------------------------------------------------------------------------------


def check(old: Path, new: Path) -> tuple[str, float, tuple[Samples, Samples]]:
    """The gate's verdict on new after old, the seconds that it took, and the samples of both, ms."""
    begun = time.monotonic()
    ((_, now),), ((_, then),) = read_all([new], deep=False), read_all([old], deep=False)
    report, earlier = measured(Contest(now, [LIMIT], renamed(then, [new]), old), max_s=MAX_S, emit=silent)
    assert earlier is not None
    (verdict,) = budget.judge(report, [LIMIT], earlier)
    samples = report.measurements[0].timing.samples, earlier.measurements[0].timing.samples
    return verdict.state, time.monotonic() - begun, samples


def rivals(new: Samples, old: Samples, apart: Samples | None) -> dict[str, bool]:
    """Whether each other way of judging calls the new model over; `apart` is the old model's run of another check."""
    mean = float(np.mean(new)) / float(np.mean(old))
    found = {"mean_10": mean > 1.10, "mean_200": mean > 3.0, "min": min(new) / min(old) > ALLOWED}
    if apart is not None:
        slower = float(np.median(new)) / float(np.median(apart)) > ALLOWED
        found["mann_whitney"] = slower and float(mannwhitneyu(new, apart, alternative="greater").pvalue) < 0.002
    return found


RIVALS = ("mean_10", "mean_200", "min", "mann_whitney")


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Shares of the checks, each the worse half's; with a prefix, a rival's."""
    found: dict[str, float] = {}

    def share(percent: int, loaded: bool, judge: str) -> float | None:
        of = [row for row in rows if (row["percent"], row["loaded"]) == (percent, loaded) and (judge == "gate" or judge in row)]
        return sum(row["state"] == "over" if judge == "gate" else row[judge] for row in of) / len(of) if of else None

    for judge in ("gate", *RIVALS):
        prefix = "" if judge == "gate" else f"{judge}_"
        for percent in (0, *SLOWER):
            halves = [value for loaded in (False, True) if (value := share(percent, loaded, judge)) is not None]
            if halves:
                found[f"{prefix}{'found_' + str(percent) if percent else 'false_alarm_rate'}"] = min(halves) if percent else max(halves)
    for percent in (0, *SLOWER):
        states = [row["state"] for row in rows if row["percent"] == percent]
        for state in ("pass", "over", "undecided") if states else ():
            found[f"{state}_at_{percent}"] = states.count(state) / len(states)
    found["longest_check_s"] = max(row["seconds"] for row in rows)
    found["checks"] = float(len(rows))
    return found


def main() -> None:
    """Every check that is not there yet, A/A and A/B in turn, quiet and loaded in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=300)
    parser.add_argument("--slower", type=int, default=100, help="of each known slowdown")
    parser.add_argument("--minutes", type=float, default=110.0, help="start no new check after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one check of each kind, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    folder = WORK / ("gate-quick" if args.quick else "gate")
    folder.mkdir(parents=True, exist_ok=True)
    old = base(folder)
    contenders = {0: (old, 1.0), **{percent: calibrated(old, percent, folder, quick=args.quick) for percent in SLOWER}}
    rows = [] if args.quick else saved_rows("gate_noise")
    wanted = {percent: 1 if args.quick else args.slower if percent else args.same for percent in contenders}
    apart: dict[bool, Samples] = {}
    # Those that no figure is asked of come last: most of them take all the time that a check has.
    orders = [
        (number, percent) for last in (False, True) for number in range(max(wanted.values())) for percent in contenders if (percent == 5) is last
    ]
    for number, percent in orders:
        loaded, (new, ratio) = number % 2 == 1, contenders[percent]
        stands = any((row["percent"], row["number"]) == (percent, number) for row in rows)
        if stands or number >= wanted[percent] or time.monotonic() - begun > 60 * args.minutes:
            continue
        with neighbour(loaded, number):
            state, seconds, (ours, theirs) = check(old, new)
        others = rivals(ours, theirs, apart.get(loaded))
        apart[loaded] = theirs
        rows.append({"percent": percent, "number": number, "loaded": loaded, "ratio": ratio, "state": state, "seconds": round(seconds, 2), **others})
        print(json.dumps(rows[-1]), flush=True)
        save("gate_noise", figures=figures(rows), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=args.quick)


if __name__ == "__main__":
    main()
