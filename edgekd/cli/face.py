"""What every command shares: how loud it is, how it ends, and options that come in groups.

`command(function)` makes of a function what Typer takes: its parameters that are dataclasses are spread into their
fields' options, the switches of `Face` come last, and an exception becomes a short message and an exit code (`faults`).
`Face.watching` shows events meanwhile, `Face.result` prints the one result. A terminal says `starting …` until one of them speaks: packages
take seconds to load.
"""

import contextlib
import dataclasses
import functools
import inspect
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from edgekd.cli import complete, faults

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgekd.events import Emit

Extra = Literal["measure", "train"]

_NAMED = 5
"""Finished stages that an interrupt lists."""


@dataclasses.dataclass(frozen=True)
class Face:
    """How loud a command is. Results go to stdout, all else to stderr."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result and nothing else.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more: each file written, shares of the gradient.")] = False
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False

    @contextlib.contextmanager
    def watching(self, folder: Path | None = None) -> Iterator["Emit"]:
        """Draw what happens, on stderr; an interrupt says what `folder` keeps and how to go on."""
        from edgekd.cli.draw import drawing

        starting.clear()
        with drawing(sys.stderr, quiet=self.quiet, verbose=self.verbose) as drawer:
            try:
                yield drawer.take
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_kept(drawer.finished, drawer.under_way, folder)) from None
            except SystemExit as stop:
                raise faults.Terminated(_kept(drawer.finished, drawer.under_way, folder), stop) from None

    def result(self, text: str, document: Any, drawn: Callable[[int], "RenderableType"] | None = None) -> None:
        """Print the result: under --json the document (a dict, a list or a struct), on a terminal `drawn` for its width, else `text`."""
        starting.clear()
        # A reader that has left wants no more of it, and does not change how the command ends.
        with contextlib.suppress(BrokenPipeError):
            if self.json:
                import msgspec

                print(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())
            elif drawn is not None and sys.stdout.isatty():
                from rich.console import Console

                console = Console()
                console.print(drawn(console.width))
            else:
                print(text.rstrip("\n"))


class _Starting:
    """One line on a terminal while a command's packages load; gone before anything else is said."""

    TEXT = "starting …"

    def __init__(self) -> None:
        self._shown = False

    def show(self, face: Face) -> None:
        self._shown = not (face.quiet or face.json) and sys.stderr.isatty()
        self._write(f"{self.TEXT}\r")

    def clear(self) -> None:
        self._write(f"{' ' * len(self.TEXT)}\r")
        self._shown = False

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(text)
            sys.stderr.flush()


starting = _Starting()


def command(function: Callable[..., None], *, needs: Extra | None = None, asks: bool = False) -> Callable[..., None]:
    """`function` with its dataclass parameters spread into options and its errors turned into exit codes.

    `needs` is the extra to name where a package is missing; a command that `asks` questions speaks at once. Options of closed sets complete.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}

    @functools.wraps(function)
    def run(**typed: Any) -> None:
        arguments = {name: kind(**{field.name: typed.pop(field.name) for field in dataclasses.fields(kind)}) for name, kind in groups.items()}
        name, face = next((name, value) for name, value in arguments.items() if isinstance(value, Face))
        if typed.get("format") == "json":
            face = arguments[name] = dataclasses.replace(face, json=True)
        with _terminable():
            try:
                if needs == "train" and not asks:
                    starting.show(face)
                function(**typed, **arguments)
            except (Exception, KeyboardInterrupt) as error:
                _end(error, face, needs, typed.get("format"))
            finally:
                starting.clear()

    parameters = list(_spread(inspect.signature(function, eval_str=True), groups))
    for parameter in parameters:
        _let_complete(parameter)
    # Typer reads both: the signature for order and defaults, the annotations for types.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__
    return run


def _spread(signature: inspect.Signature, groups: dict[str, Any]) -> Iterator[inspect.Parameter]:
    for parameter in signature.parameters.values():
        kind = groups.get(parameter.name)
        if kind is None:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        hints = get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])


def _let_complete(parameter: inspect.Parameter) -> None:
    """Give an option of a closed set its values."""
    for info in getattr(parameter.annotation, "__metadata__", ()):
        values = complete.offered(parameter.name, getattr(info, "metavar", None) or "")
        if values is not None:
            info.autocompletion = _completion(values)


def _completion(values: Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    def complete_(incomplete: str) -> list[str]:
        return [value for value in values() if value.startswith(incomplete)]

    return complete_


def _end(error: BaseException, face: Face, needs: Extra | None, form: str | None) -> None:
    """Say what went wrong and leave with its exit code; what is Typer's own goes on to Typer."""
    if isinstance(error, typer.Exit) or faults.is_usage(error):
        raise error
    if faults.is_broken_pipe(error):
        raise typer.Exit(faults.READER_LEFT)
    starting.clear()
    fault = faults.explain(error, needs)
    if face.debug:
        import traceback

        traceback.print_exception(error)
    faults.tell(fault, form="json" if face.json else form)
    raise typer.Exit(fault.exit_code)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack as SystemExit(143), so that what is held is let go; only the main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_LEARNS = ("teach", "co-teach", "assist", "distill", "alone", "alone-on-subset", "label")
"""Stages that keep checkpoints."""


def _kept(finished: list[str], under_way: str | None, folder: Path | None) -> str:
    """What a stopped command leaves and how to go on."""
    from edgekd import units

    if folder is None:
        return "Stopped. Nothing was written."
    parts = ["Stopped."]
    if finished:
        parts.append(f"Finished and kept in {folder}: {units.some(finished, _NAMED)}.")
    if under_way is not None:
        learns = under_way.partition("/")[0] in _LEARNS
        parts.append(f"{under_way} goes on from its last checkpoint." if learns else f"{under_way} begins again.")
    parts.append(f"To go on: {shlex.join(['edgekd', *sys.argv[1:]])}")
    return "\n".join(parts)
