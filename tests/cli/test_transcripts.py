"""Each command as a person sees it at 80 columns and as a program reads it: its help, one ordinary use, the same under --json.

tests/golden/transcripts/ holds what the terminal showed in the end, one file a command; where it depends on the machine, numbers stand as `#`.
`UPDATE_GOLDEN=1 pytest tests/cli/test_transcripts.py` writes them anew: read the difference before you commit it. A new command fails here until
`USES` has a use of it.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.cells import cell_len

from edgekd.cli.app import app
from tests.label.conftest import noise
from tests.needs import ROOT
from tests.toys import brightness

GOLDEN = ROOT / "tests" / "golden"
STUDENT, TEACHER = "runs/images/export/student-*/*.onnx", "runs/images/export/teacher-*/*.onnx"
UNTIMED = ["runs/images", "--set", "on={}"]
USES = {
    # pack first: what follows takes the times out of the run's report.
    "pack": ["runs/images", "--for", "cpu", "--out", "pack{n}"],
    "watch": ["runs/images"],
    "init": ["--data", "npz:images.npz", "--teacher", "nets.py:wide", "--yes", "--out", "mine{n}.toml"],
    **{step: UNTIMED for step in ("compress", "teach", "distill", "export", "evaluate")},
    "label": ["npz:photos.npz", "--teacher", "bright.onnx", "--out", "labels{n}"],
    "robustness": ["runs/images", "--images", "12"],
    "bench": [TEACHER, STUDENT, "--max-time", "1"],
    "predict": [STUDENT, "grey.png"],
    "check": ["cifar10.json", "--limit", "size=1MB"],
    "budget init": ["cifar10.json", "--out", "limits{n}.toml"],
    "budget tighten": ["cifar10.json", "--budget", "limits{n}.toml", "--margin", "5 %"],
    "baseline save": ["cifar10.json", "--out", "kept{n}.json"],
    "baseline show": ["kept{n}.json"],
    "baseline compare": ["cifar10.json", "--baseline", "kept{n}.json"],
    "report": ["cifar10.json"],
    "taps": ["resnet8"],
    "recipe": ["--student", "resnet8"],
    "doctor": [],
    "selftest": ["--only", "state", "--only", "energy", "--out", "tried{n}.json"],
    "targets": [],
    "targets show": ["cpu"],
    "targets probe": ["--out", "box{n}.toml"],
}
"""An ordinary use of each command, in a folder with a finished run, a report and a picture; {n} is 1 on the terminal and 2 in the pipe."""
VOLATILE = ("init", "pack", "label", "compress", "teach", "distill", "export", "evaluate", "robustness", "bench", "predict", "doctor", "selftest")
"""What depends on the machine: trained there, or timed."""
pytestmark = pytest.mark.timeout(900)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
CSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def commands() -> Iterator[tuple[str, bool]]:
    """Every command and group by name, and whether it does something by itself."""
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", {})
        yield name, not inner or command.invoke_without_command
        for below in inner:
            yield f"{name} {below}", True


DOING = [name for name, does in commands() if does]


@pytest.fixture(scope="module")
def shown(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], dict[str, Any]]:
    """What each command showed, by its name and "help", "terminal" or "pipe"."""
    from PIL import Image

    base = tmp_path_factory.mktemp("transcripts") / "work"
    shutil.copytree(finished, base)
    shutil.copy(GOLDEN / "report-v1.json", base / "cifar10.json")
    Image.new("RGB", (40, 30), (200, 200, 200)).save(base / "grey.png")
    np.savez(base / "photos.npz", x=noise(90))
    brightness(base / "bright.onnx")
    jobs = [((name, "help"), [*name.split(), "--help"]) for name in ["", *(name for name, _ in commands())]]
    for name, use in USES.items():
        for number, (kind, more) in (("1", ("terminal", [])), ("2", ("pipe", ["--json"]))):
            jobs.append(((name, kind), [*name.split(), *(word.replace("{n}", number) for word in use), *more]))
    asked = [{"arguments": arguments, "terminal": kind != "pipe"} for (_, kind), arguments in jobs]
    quiet = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.terminal"],
        cwd=base,
        env={**quiet, "PYTHONPATH": str(ROOT)},
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: {**found, "arguments": arguments} for (name, arguments), found in zip(jobs, json.loads(done.stdout), strict=True)}


Shown = Mapping[tuple[str, str], dict[str, Any]]


def test_every_command_has_its_transcript() -> None:
    """And there is none of a command that is gone."""
    assert sorted(USES) == sorted(DOING), "give the new command an ordinary use in USES, and write its golden file"
    names = {"edgekd", *(name for name, _ in commands())}
    assert {file.stem for file in (GOLDEN / "transcripts").glob("*.txt")} == {name.replace(" ", "-") for name in names}


@pytest.mark.parametrize("name", ["", *(name for name, _ in commands())])
def test_the_transcript_is_as_it_was(name: str, shown: Shown) -> None:
    """To the letter, but for what depends on the machine."""
    found = shown[name, "help"]
    text = f"$ edgekd {' '.join(found['arguments'])}\n{screen(found['out'])}"
    if name in USES:
        used = shown[name, "terminal"]
        assert used["code"] == 0, used["out"]
        text += f"\n$ edgekd {' '.join(used['arguments'])}\n{lasting(name, screen(used['out']))}"
    file = GOLDEN / "transcripts" / f"{name.replace(' ', '-') or 'edgekd'}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file.name} reads differently now; UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("name", DOING)
def test_the_terminal_is_80_columns_wide(name: str, shown: Shown) -> None:
    """Nothing was ever wider, moving lines included, and no cell of a table runs over into a second line."""
    for kind in ("help", "terminal"):
        out = shown[name, kind]["out"]
        for line in re.split(r"[\r\n]+", CSI.sub("", out)):
            assert cell_len(line.rstrip()) <= 80, line
    inside = False
    for line in screen(shown[name, "terminal"]["out"]).splitlines():
        if not line.strip():
            inside = False
        if inside:
            assert re.match(r" ?\S", line), f"a row of a table begins in the middle: {line}"
        inside = inside or bool(re.fullmatch(r" ?─+ ?", line))


@pytest.mark.parametrize("name", DOING)
def test_a_pipe_gets_one_document_and_no_control_characters(name: str, shown: Shown) -> None:
    """--json: stdout is one JSON document; stderr is plain text."""
    found = shown[name, "pipe"]
    assert found["code"] == 0, found["said"]
    assert json.loads(found["out"]) is not None
    assert not CONTROL.search(found["out"])
    assert not CONTROL.search(found["said"]), found["said"]


def test_colours_stay_away_where_nobody_wants_them(shown: Shown) -> None:
    """NO_COLOR is set in tests: lines move, none is coloured."""
    assert re.findall(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m", "".join(found["out"] for found in shown.values())) == []


# What stays on the screen ---------------------------------------------------------------------------------------------


def screen(out: str) -> str:
    """The text that a terminal shows in the end: cursor up, lines taken away and written over."""
    lines, row, column = [""], 0, 0
    for code, letter in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|(.)", out, re.DOTALL):
        if code.endswith("A"):
            row -= int(code[2:-1] or 1)
        elif code == "\x1b[2K":
            lines[row] = ""
        elif letter == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif letter == "\r":
            column = 0
        elif letter:
            lines[row] = lines[row][:column].ljust(column) + letter + lines[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def lasting(name: str, text: str) -> str:
    """The part of a use that is the same on every machine and every day."""
    if name == "doctor":
        return "\n".join(line[:13].rstrip() for line in text.split("\n\n")[1].splitlines() if line[0] != " ") + "\n"
    if name == "selftest":
        return "".join(line + "\n" for line in text.splitlines() if line.startswith("wrote"))
    text = text.replace(str(ROOT), "ROOT")
    if name not in VOLATILE:
        return text
    if name == "bench":
        text = text.partition("\nOn cpu\n")[0] + "\n"
    text = re.sub(r"^doubt: .*?(?=^report|^file|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub("above|below|left", "CLASS", text)
    number = r"(?<![\w/-])[-−+]?\d[\d.,]*(?:e[-+]?\d+)?"
    shorten: list[tuple[str, str]] = [(r"-[0-9a-f]{8}\b", "-HASH"), (number, "#"), (r"# (µs|ms|s|min)\b", "# s")]
    shorten += [(r"# (B|kB|MB|GB)\b", "# B"), (r"# s # s", "# s"), (r" +", " "), (r"─+", "─"), (r" +$", "")]
    return functools.reduce(lambda so_far, each: re.sub(each[0], each[1], so_far, flags=re.MULTILINE), shorten, text)
