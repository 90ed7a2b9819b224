"""Results as the design's section 9 has them: one JSON per script, with the figures, the rows behind them, and where and when they came about.

A script that runs in pieces calls `save` after each: what stands there then is what is known so far.
"""

import argparse
import datetime
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd import stats
from edgekd.device.agent import machine
from edgekd.events import Event, Note, StageFinished, Trained
from edgekd.files import write_atomic

ROOT = Path(__file__).resolve().parent
WORK = ROOT / "work"
"""Checkpoints and other things that come and go; git-ignored."""
RESULTS = ROOT / "results"


def pieces(doc: str | None, *, seeds: Sequence[int] = (0, 1, 2), minutes: float = 110.0) -> argparse.ArgumentParser:
    """The command line of a script that adds its rows in pieces: which seeds, how long, or quickly."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(seeds))
    parser.add_argument("--minutes", type=float, default=minutes, help="start no new row after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: a few steps, one seed, results thrown away")
    return parser


def data_file(name: str) -> Path:
    """An image set or weights: in EDGEKD_DATA, else in benchmarks/data.

    Raises:
        SystemExit: neither has it.
    """
    for folder in (os.environ.get("EDGEKD_DATA", ""), ROOT / "data"):
        if folder and (Path(folder) / name).is_file():
            return Path(folder) / name
    raise SystemExit(f"{name} is neither in EDGEKD_DATA nor in {ROOT / 'data'}")


def save(name: str, *, figures: Mapping[str, float], rows: Sequence[Mapping[str, Any]], seconds: float, quick: bool = False) -> Path:
    """Write results/NAME.json; a quick run goes to work/, where it counts as nothing."""
    facts = machine.facts()
    host = {key: facts[key] for key in ("cpu", "cores", "memory", "system")}
    document = {
        "schema": 1,
        "script": f"benchmarks/{name}.py",
        "command": shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "host": host,
        "figures": {key: round(value, 4) for key, value in figures.items()},
        "rows": list(rows),
    }
    file = (WORK / "quick" if quick else RESULTS) / f"{name}.json"
    write_atomic(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return file


def keep(name: str, figures: Callable[[list[dict[str, Any]]], Mapping[str, float]], rows: Mapping[Any, Mapping[str, Any]], *, quick: bool) -> Path:
    """Write what is known so far: rows by what tells them apart, in its order, and the figures that they come to."""
    listed = [dict(rows[what]) for what in sorted(rows)]
    return save(name, figures=figures(listed), rows=listed, seconds=sum(row["seconds"] for row in listed), quick=quick)


def gap(name: str, gaps: Sequence[float]) -> dict[str, float]:
    """The mean of paired differences, with its interval where there are seeds enough."""
    if len(gaps) < 2:
        return {name: gaps[0]}
    mean, low, high = stats.mean_interval(gaps)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def saved_rows(name: str) -> list[dict[str, Any]]:
    """The rows that stand in results/NAME.json; [] where there is none. A script that adds rows in pieces begins with them."""
    file = RESULTS / f"{name}.json"
    return list(json.loads(file.read_text())["rows"]) if file.is_file() else []


def commit() -> str:
    """The checkout's, short."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def tell(event: Event) -> None:
    """A line where something was decided, validated or finished."""
    if isinstance(event, Note):
        print(f"  {event.text}", flush=True)
    elif isinstance(event, StageFinished):
        print(f"  {event.stage}: {event.seconds:.0f} s", flush=True)
    elif isinstance(event, Trained) and event.valid_accuracy is not None:
        where = f"{event.network} {event.phase} {event.step}/{event.steps}"
        print(f"  {where} valid {100 * event.valid_accuracy:.2f} {event.seconds_left:.0f} s left", flush=True)
