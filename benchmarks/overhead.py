"""What measuring costs: the agent's median of a model of about 1 ms over that of a loop written by hand, block by block in turn.

    python -m benchmarks.overhead [--launches 12] [--quick]

Both run in one agent process on one session of ONNX Runtime: two processes would differ by where they lie in memory, and that by more than what is
looked for. The agent is the real one, asked over its pipes as `edgekd bench` asks it, with one job more: the loop. Who begins changes from pair to
pair.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.result import WORK, save
from edgekd import stats
from edgekd.device import tiny
from edgekd.device.agent.jobs import Desk
from edgekd.device.agent.protocol import serve
from edgekd.device.process import Agent

BLOCK_MS = 200.0
PAIRS = 20
WIDTHS = (16, 24, 32, 40, 48, 64, 80, 96, 128)
SERVE = "--serve"


def by_hand(desk: Desk, milliseconds: float) -> dict[str, Any]:
    """The loop that people write: the desk's open session, a clock before and after."""
    model: Any = desk._opened()
    session, feeds = model._session, model.feeds(1, {})
    for _ in range(20):
        session.run(None, feeds)
    samples = []
    end = time.perf_counter() + milliseconds / 1e3
    while time.perf_counter() < end:
        begin = time.perf_counter()
        session.run(None, feeds)
        samples.append(1e3 * (time.perf_counter() - begin))
    return {"samples": samples}


def agent() -> Agent:
    """The agent with the loop as a job."""
    nonce = secrets.token_hex(8)
    return Agent([sys.executable, "-m", "benchmarks.overhead", SERVE, nonce], nonce)


def model(folder: Path) -> Path:
    """The tiny network as wide as it takes for an inference on one thread to take about 1 ms here."""
    with agent() as one:
        for width in WIDTHS:
            file = tiny.write(folder / f"tiny-{width}.onnx", width=width, batch=1)
            one.ask("open", path=str(file), provider="CPUExecutionProvider", threads=1)
            if stats.median(one.ask("loop", milliseconds=100)["samples"]) >= 0.9:
                break
    return file


def launch(file: Path, number: int, pairs: int) -> dict[str, Any]:
    """Blocks of both in turn in one process: the ratio of medians of each pair."""
    ratios, loops = [], []
    with agent() as one:
        one.ask("open", path=str(file), provider="CPUExecutionProvider", threads=1)
        for pair in range(pairs):
            medians = {}
            for who in ("agent", "loop") if (pair + number) % 2 else ("loop", "agent"):
                if who == "agent":
                    told = one.ask("time", min_ms=BLOCK_MS, min_runs=20, max_ms=10 * BLOCK_MS)
                else:
                    told = one.ask("loop", milliseconds=BLOCK_MS)
                medians[who] = stats.median(told["samples"])
            ratios.append(round(medians["agent"] / medians["loop"], 4))
            loops.append(round(medians["loop"], 4))
    return {"launch": number, "ratios": ratios, "loop_ms": loops}


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The mean overhead in percent, with its interval over launches, and the median of the loop."""
    launches = [stats.median(row["ratios"]) for row in rows]
    mean, low, high = stats.mean_ratio(launches)
    found = {"overhead_percent": 100 * (mean - 1), "loop_ms": stats.median([ms for row in rows for ms in row["loop_ms"]])}
    return found if len(launches) < 2 else {**found, "overhead_percent_low": 100 * (low - 1), "overhead_percent_high": 100 * (high - 1)}


def main() -> None:
    """Some launches, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one launch of two pairs, results thrown away")
    parser.add_argument(SERVE, metavar="NONCE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve is not None:
        desk = Desk()
        serve({**desk.jobs(), "loop": lambda milliseconds: by_hand(desk, milliseconds)}, args.serve)
    begun = time.monotonic()
    folder = WORK / "overhead"
    folder.mkdir(parents=True, exist_ok=True)
    file = model(folder)
    rows: list[dict[str, Any]] = []
    for number in range(1 if args.quick else args.launches):
        rows.append(launch(file, number, 2 if args.quick else PAIRS))
        print(json.dumps(figures(rows)), flush=True)
    save("overhead", figures=figures(rows), rows=rows, seconds=time.monotonic() - begun, quick=args.quick)


if __name__ == "__main__":
    main()
