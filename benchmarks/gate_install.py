"""What does the gate cost a CI job? Bytes and seconds of `pip install edgekd` and `edgekd[measure]`, and of one `edgekd check`.

    python -m benchmarks.gate_install [--quick]

Each is installed into an empty virtual environment as action.yml does it, from a wheel of this checkout and what the package index has today, nothing
cached. Bytes are those of the files that came, the interpreter's own and pip's left out; seconds of installing are mostly the network's. A torch that
comes along is an error. A check's seconds are those of the CPU; `load` says how busy the machine was. `--quick` installs the core alone.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.result import ROOT, save

GOLDEN = ROOT.parent / "tests" / "golden" / "report-v1.json"
CHECKS = 5
"""Runs of `edgekd check`; the quickest counts."""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command writes on stdout.

    Raises:
        SystemExit: it fails.
    """
    # The index is the machine's own; nothing else of the environment that this runs in shall be seen.
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def size(folder: Path) -> int:
    """Bytes of all files in a folder, links not followed."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def installed(wheel: Path, extra: str, folder: Path) -> dict[str, Any]:
    """One row: how long it took, how much came, which packages, and how long a check then takes."""
    environment = folder / (extra or "core")
    run(sys.executable, "-m", "venv", environment, cwd=folder)
    python, before = environment / "bin" / "python", size(environment)
    begun = time.monotonic()
    run(python, "-m", "pip", "install", "--quiet", "--no-cache-dir", f"edgekd{f'[{extra}]' if extra else ''} @ {wheel.as_uri()}", cwd=folder)
    seconds, came = time.monotonic() - begun, size(environment) - before
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check", cwd=folder))
    packages = {each["name"]: each["version"] for each in listed if each["name"] not in ("pip", "setuptools")}
    unwanted = {"torch", "torchvision", *(() if extra else ("numpy", "onnx", "onnxruntime"))} & packages.keys()
    if unwanted:
        raise SystemExit(f"the gate needs none of {', '.join(sorted(unwanted))}, and edgekd[{extra}] brought it")
    check = min(checked(environment / "bin" / "edgekd", folder) for _ in range(CHECKS))
    load = round(os.getloadavg()[0], 1)
    return {"extra": extra, "seconds": round(seconds, 1), "bytes": came, "check_seconds": round(check, 3), "load": load, "packages": packages}


def checked(edgekd: Path, folder: Path) -> float:
    """CPU seconds of one check of a report."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(edgekd, "check", GOLDEN, "--limit", "size=400kB", cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """The core, then with what reads inside bare files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke test: the core alone, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as place:
        folder = Path(place)
        run("uv", "build", "--wheel", "--quiet", "--out-dir", folder, cwd=ROOT.parent)
        (wheel,) = folder.glob("*.whl")
        rows = [installed(wheel, extra, folder) for extra in ([""] if args.quick else ["", "measure"])]
    figures = {f"{row['extra'] or 'core'}_{name}": row[name] for row in rows for name in ("seconds", "bytes", "check_seconds")}
    print(json.dumps(figures, indent=1))
    save("gate_install", figures=figures, rows=rows, seconds=time.monotonic() - begun, quick=args.quick)


if __name__ == "__main__":
    main()
