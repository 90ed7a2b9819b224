"""An exception → what a person is told and the exit code. Knows every way a command can end badly; prints nothing by
itself but through `show`.

0: done (or a gate passed), 1: a gate is over its limits, 2: wrong usage or something missing, 3: any other failure, 130
and 143: stopped from outside, 141: whoever read stdout left before the result was known.
"""

import contextlib
import dataclasses
import errno
import html
import itertools
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import typer

from edgekd.errors import EdgekdError, MissingExtra

_EXTRAS = {
    "measure": ("numpy", "onnx", "onnxruntime"),
    "train": ("torch", "torchvision", "accelerate", "jaxtyping", "onnxscript", "onnxslim", "PIL", "safetensors", "sklearn"),
    "timm": ("timm",),
    "hf": ("datasets", "transformers"),
}
"""Which extra brings a module; what no extra brings and is missing is a bug."""


READER_LEFT = 141
"""As shells have it of a program that SIGPIPE ended."""

_WRONG_USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""Whatever Typer says about how a command was typed; it has no public name for all of it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, with what is kept and how to go on; carries the exit code that whoever raised it chose."""

    def __init__(self, message: str, stop: SystemExit) -> None:
        super().__init__(message)
        self.exit_code = stop.code if isinstance(stop.code, int) else 143


@dataclasses.dataclass(frozen=True)
class Fault:
    """What went wrong. `kind` is the exception's name, `title` what stands over the message."""

    kind: str
    message: str
    exit_code: int
    title: str = "error"


def explain(error: BaseException, needs: str | None = None) -> Fault:
    """What to tell of an exception; `needs` is the extra that the command at hand asks for."""
    kind = type(error).__name__
    if isinstance(error, EdgekdError):
        return Fault(kind, str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Fault(kind, str(error) or "Stopped.", getattr(error, "exit_code", 130), title="stopped")
    if isinstance(error, ModuleNotFoundError) and error.name and (extra := _extra(error.name.partition(".")[0], needs)):
        missing = MissingExtra(error.name.partition(".")[0], extra)
        return Fault("MissingExtra", str(missing), missing.exit_code)
    if isinstance(error, OSError) and error.errno is not None:
        return Fault(kind, _about_files(error), 3)
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return Fault(kind, f"Out of memory: {_first_line(error)} A smaller batch needs less: --set train.batch=32", 3)
    message = f"{kind}: {_first_line(error)} Please report it with the output of the same command under --debug."
    return Fault(kind, message, 3, title="this is a bug in edgekd")


def wrong_usage(error: Any) -> Fault:
    """What to tell of Typer's own word about how a command was typed: its rule and value, and where the options stand."""
    if isinstance(error, typer.Abort):
        return Fault("Abort", "Stopped: the question was not answered. Give the answer as an option, or try again.", 2, title="stopped")
    rule = error.format_message().replace("\n", " ").rstrip(".")
    context = getattr(error, "ctx", None)
    return Fault("UsageError", rule + "." + (f" See {context.command_path} --help." if context else ""), 2)


def tell(fault: Fault, *, form: str | None) -> None:
    """Say a fault on stderr, and on stdout as the one document where a program reads that: as `json`, `junit`, `github`, or `markdown` for a comment.
    A workflow's summary has it too."""
    show(fault, sys.stderr)
    comment = f"**edgekd:** {html.escape(fault.message)}\n"
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    with contextlib.suppress(OSError):  # stdout may be what failed
        if form == "json":
            print(json.dumps({"error": {"kind": fault.kind, "message": fault.message}, "exit_code": fault.exit_code}, indent=1))
        elif form == "junit":
            print(_junit(fault), end="")
        elif form == "markdown":
            print(comment, end="")
        if form == "github" or (summary and form in ("text", "markdown")):
            from edgekd.report.github import command

            print(command("error", "edgekd", fault.message), file=sys.stdout if form == "github" else sys.stderr)
    if summary and form is not None:
        add_to_summary(summary, comment)


def add_to_summary(summary: str, text: str) -> None:
    """Write behind what stands in a workflow step's summary; that it cannot be written is said, and fails nothing."""
    try:
        with open(summary, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"the step's summary at {summary} cannot be written: {error.strerror}", file=sys.stderr)


def form_of(typed: Sequence[str]) -> str | None:
    """How a result was to be printed, by what was typed; None where no format was named."""
    if "--json" in typed:
        return "json"
    named = [value for option, value in itertools.pairwise(typed) if option == "--format"]
    return next((word.partition("=")[2] for word in typed if word.startswith("--format=")), named[0] if named else None)


def _junit(fault: Fault) -> str:
    """The test case that did not come to be, as that of a limit on what is missing."""
    from edgekd.record import Verdict
    from edgekd.report.junit import junit

    return junit(
        [Verdict(limit="check", artifact="edgekd", target=None, state="missing", quantity="", measured=None, bound=None, text=fault.message)]
    )


def show(fault: Fault, stream: TextIO) -> None:
    """Print a fault: a panel on a terminal, else a line."""
    if not stream.isatty():
        title = "" if fault.title == "stopped" else f"{fault.title}: "  # such a message begins with that word
        code = "\nimport " in fault.message  # lines of Python are no longer that on one line
        print(f"edgekd: {title}{fault.message if code else fault.message.replace(chr(10), ' ')}", file=stream)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    style = "yellow" if fault.title == "stopped" else "red"
    Console(file=stream).print(Panel(Text(fault.message), title=fault.title, title_align="left", border_style=style))


def is_usage(error: BaseException) -> bool:
    """Whether it is Typer's own word about how a command was typed, which Typer prints."""
    return isinstance(error, (_WRONG_USAGE, typer.Abort))


def is_broken_pipe(error: BaseException) -> bool:
    """Whether the reader of stdout has left, as `head` does."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _extra(module: str, needs: str | None) -> str | None:
    extra = next((extra for extra, modules in _EXTRAS.items() if module in modules), None)
    # Whoever needs torch is better told to install all of `train` at once than numpy first.
    return needs if extra == "measure" and needs is not None else extra


def _about_files(error: OSError) -> str:
    reason = os.strerror(error.errno or 0)
    where = f" at {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"The disk is full{where}. Finished files are whole and kept; free some space and run the same command to go on."
    return f"{reason}{where}. Check the path and its permissions."


def _first_line(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or ["no message"])[0]
    return text if text.endswith((".", "!", "?")) else f"{text}."
