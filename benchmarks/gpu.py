"""What still lacks figures from a GPU: CIFAR-100 by the literature's protocol (benchmarks/protocol.py), training steps, and latency under CUDA.

    python -m benchmarks.gpu [--minutes 9] [--at-once 4] [--seeds 0 1 2] [--pairs resnet20b …] [--work DIR] [--quick]

First, a minute: images/s of each student's training step alone, with its teacher live and with answers that are there, in turn; and the latency of
teacher and student by torch. Then networks are taught, each in a process of its own, so many at once: teachers, then their students, the pairs in
the order of `PAIRS`, one seed of each before the next; then the same by plain KD and alone, and a long tail. When the time is up all are stopped
at a checkpoint below --work, and the same command goes on from there; teachers of at most `KEPT_BYTES` also stay beside the results, and are not
taught again.

Writes results/cifar100.json and results/gpu.json. What is wanted and has no result yet stands as "not run".
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.protocol import BATCH, NOT_RUN, PAIRS, ROW, Item, Pair, figures, items, network_of, restore, row_of, taught
from benchmarks.result import WORK, commit, save, saved_rows
from edgekd.files import write_atomic
from edgekd.models.load import Network

REPEATS, STEPS = 200, 30
"""Timed inferences of a network, and timed training steps of each kind."""

# Teaching -------------------------------------------------------------------------------------------------------------


def begun(item: Item, work: Path, *, quick: bool) -> subprocess.Popen[bytes]:
    """The process that teaches a network."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--work", str(work), "--item", json.dumps(dataclasses.astuple(item))]
    (work / item.folder).mkdir(parents=True, exist_ok=True)
    with (work / item.folder / "log.txt").open("ab") as log:
        return subprocess.Popen([*command, *(["--quick"] if quick else [])], stdout=log, stderr=subprocess.STDOUT)


def teach_all(wanted: Sequence[Item], work: Path, *, at_once: int, until: float, quick: bool) -> None:
    """So many at once, each when its teacher stands, until the time (of time.monotonic) is up; then all stop at a checkpoint.

    Raises:
        SystemExit: one failed; the end of its log is shown.
    """
    left = [item for item in wanted if not (work / item.folder / ROW).is_file()]
    running: dict[Item, subprocess.Popen[bytes]] = {}
    try:
        while (left or running) and time.monotonic() < until:
            for item in [item for item, process in running.items() if process.poll() is not None]:
                if running.pop(item).returncode:
                    raise SystemExit(f"{item.folder} failed:\n" + (work / item.folder / "log.txt").read_text()[-2000:])
            for item in list(left):
                stands = item.master is None or (work / item.master.folder / ROW).is_file()
                if stands and len(running) < at_once:
                    left.remove(item)
                    running[item] = begun(item, work, quick=quick)
            time.sleep(0.2 if quick else 1.0)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


# Times ----------------------------------------------------------------------------------------------------------------


def waited() -> None:
    """Until the GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def latency(network: Network, batch: int, half: bool, repeats: int) -> float:
    """Median of a forward pass with everything on the device, ms."""
    images = torch.rand(batch, 3, 32, 32, device=network.mean.device)
    samples = []
    with torch.inference_mode(), torch.autocast(images.device.type, dtype=torch.float16, enabled=half):
        for _ in range(repeats + 10):
            waited()
            before = time.perf_counter()
            network(images)
            waited()
            samples.append(1e3 * (time.perf_counter() - before))
    return float(np.median(samples[10:]))


def steppers(pair: Pair, device: str) -> dict[str, Callable[[], None]]:
    """One training step of the student: by labels, with the teacher asked in it, and with its answers there."""
    network, teacher = network_of(pair.student, device).train(), network_of(pair.teacher, device).eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, labels = torch.rand(BATCH, 3, 32, 32, device=device), torch.randint(0, 100, (BATCH,), device=device)
    with torch.no_grad():
        answers = teacher(images)

    def step(target: Callable[[], torch.Tensor] | None) -> None:
        logits = network(images)
        loss = functional.cross_entropy(logits, labels)
        if target is not None:
            loss = loss + functional.kl_div(logits.log_softmax(1), target().log_softmax(1), log_target=True, reduction="batchmean")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def asked() -> torch.Tensor:
        with torch.no_grad():
            return teacher(images)  # type: ignore[no-any-return]

    return {"alone": lambda: step(None), "live": lambda: step(asked), "remembered": lambda: step(lambda: answers)}


def paces(pair: Pair, device: str, *, quick: bool) -> dict[str, Any]:
    """Images/s of each kind of step, the kinds in turn, the median of rounds."""
    kinds, rounds, steps = steppers(pair, device), 2 if quick else 5, 2 if quick else STEPS
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds + 1):
        for kind, step in kinds.items():
            waited()
            before = time.perf_counter()
            for _ in range(steps):
                step()
            waited()
            seconds[kind].append((time.perf_counter() - before) / steps)
    return {f"{kind}_images_s": round(BATCH / float(np.median(found[1:])), 1) for kind, found in seconds.items()}


def times(pairs: Sequence[Pair], *, quick: bool) -> list[dict[str, Any]]:
    """A row for each pair: training steps, and latencies of both networks."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    rows = []
    for pair in pairs:
        row: dict[str, Any] = {"teacher": pair.teacher, "student": pair.student, "device": name, **paces(pair, device, quick=quick)}
        for role, network in (("teacher", pair.teacher), ("student", pair.student)):
            for batch in (1,) if quick else (1, 128):
                for half in (False, True) if device == "cuda" else (False,):
                    found = latency(network_of(network, device).eval(), batch, half, 3 if quick else REPEATS)
                    row[f"{role}_{'fp16' if half else 'fp32'}_batch{batch}_ms"] = round(found, 4)
        rows.append({**row, "commit": commit()})
    return rows


# ----------------------------------------------------------------------------------------------------------------------


def main() -> None:
    """Times first, where none stand; then what is not taught yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop at a checkpoint after so many")
    parser.add_argument("--at-once", type=int, default=4, help="so many networks learn beside each other")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--pairs", nargs="+", default=[pair.student for pair in PAIRS], choices=[pair.student for pair in PAIRS])
    parser.add_argument("--work", type=Path, help="where checkpoints lie  [default: work/gpu]")
    parser.add_argument("--item", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a smoke test on any device: a few steps, results thrown away")
    args = parser.parse_args()
    work: Path = args.work or WORK / ("gpu-quick" if args.quick else "gpu")
    if args.item is not None:
        item = Item(*json.loads(args.item))
        write_atomic(work / item.folder / ROW, json.dumps(taught(item, work, quick=args.quick)))
        return
    if not (args.quick or torch.cuda.is_available()):
        raise SystemExit("these figures need a GPU, and torch sees none. --quick tries the script on the CPU.")
    until = time.monotonic() + 60 * args.minutes
    pairs = [pair for pair in PAIRS if pair.student in args.pairs]
    if args.quick or not saved_rows("gpu"):
        rows = times(pairs, quick=args.quick)
        save("gpu", figures={"pairs": float(len(rows))}, rows=rows, seconds=0.0, quick=args.quick)
    wanted = list(items(pairs, args.seeds))
    if not args.quick:
        restore(wanted, work)
    teach_all(wanted, work, at_once=args.at_once, until=until, quick=args.quick)
    rows = [row_of(item, work) for item in items(PAIRS, args.seeds)]
    if any(row["test_accuracy"] != NOT_RUN for row in rows):
        save("cifar100", figures=figures(rows), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=args.quick)


if __name__ == "__main__":
    main()
