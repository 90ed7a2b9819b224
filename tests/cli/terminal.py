"""Commands on a terminal of 80 columns, and through a pipe: `python -m tests.cli.terminal < jobs.json` prints what each of them showed.

What takes seconds to import is imported once; each command then runs in a forked process of its own, with a terminal of its own where it is to have
one. In: a JSON list of {"arguments": [...], "terminal": bool}, where a word with * stands for the files; the working folder is the commands'.
Out: a JSON list of {"code", "out", "said"}; on a terminal both streams are one, in `out`.
"""

import gc
import glob
import importlib
import json
import os
import pty
import struct
import sys
import tempfile
import termios
from fcntl import ioctl
from typing import Any

LINES, COLUMNS = 40, 80
SLOW = ("edgekd.cli.app", "edgekd.compress", "edgekd.bench", "edgekd.export", "rich.live", "rich.console")


def main() -> None:
    """Run the jobs on stdin, one after the other."""
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()  # no child looks through all of torch's objects for garbage
    done = []
    for job in json.load(sys.stdin):
        arguments = [file for word in job["arguments"] for file in (sorted(glob.glob(word)) if "*" in word else [word])]
        done.append(on_terminal(arguments) if job["terminal"] else in_pipe(arguments))
    json.dump(done, sys.stdout)


def command(arguments: list[str]) -> None:
    """Become the command; never comes back."""
    from edgekd.cli import main as edgekd

    sys.argv = ["edgekd", *arguments]
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, encoding="utf-8") for number, mode in ((0, "r"), (1, "w"), (2, "w")))
    code: Any = 70
    try:
        edgekd()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def on_terminal(arguments: list[str]) -> dict[str, Any]:
    """What a person sees, control characters and all."""
    child, terminal = pty.fork()
    if child == 0:
        ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.environ.pop("COLUMNS", None)
        os.environ["TERM"] = "xterm-256color"
        command(arguments)
    shown = bytearray()
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # Linux: the other end is closed
        pass
    os.close(terminal)
    return {"code": _code(child), "out": shown.decode(), "said": ""}


def in_pipe(arguments: list[str]) -> dict[str, Any]:
    """What a program reads."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(said.fileno(), 2)
            command(arguments)
        code = _code(child)
        out.seek(0)
        said.seek(0)
        return {"code": code, "out": out.read().decode(), "said": said.read().decode()}


def _code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
