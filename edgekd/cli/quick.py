"""Typed text → values without pydantic, whose import alone costs every command 0.2 s; and wrong usage told as every other error is.

Typer (0.29) reads each option through a pydantic adapter that it builds when the option is first read. Options here are text, paths,
numbers and switches only; these classes put a plain reader in the adapter's place. Where a release of Typer keeps no such adapter,
nothing is done and Typer reads by itself: the same values, later.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from edgekd.cli import faults

READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    Path: (Path, "a path"),
    int: (int, "a whole number"),
    float: (float, "a number"),
}


@dataclass(frozen=True)
class Reader:
    """Reads one option's text, or a list of them."""

    kind: Any
    many: bool

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of an option: None (or an empty list) where it was not typed.

        Raises:
            typer.BadParameter: text that is no such value.
        """
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        return [self._one(item, param, ctx) for item in value] if self.many else self._one(value, param, ctx)

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, self.kind):
            return value
        read, what = READERS[self.kind]
        try:
            return read(value)
        except ValueError:
            raise typer.BadParameter(f"it takes {what}, got {value!r}", ctx=ctx, param=param) from None


def _eased(parameters: list[Any]) -> list[Any]:
    """The same options, each whose kind is plain with its reader."""
    for parameter in parameters:
        kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        many = get_origin(kind) is list
        kind = get_args(kind)[0] if many else kind
        if hasattr(parameter, "_runtime_param") and (kind in READERS or (kind is bool and not many)):
            parameter._runtime_param = Reader(kind, many)
    return parameters


class Command(TyperCommand):
    """A command that reads its options so."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All options, --help among them."""
        return _eased(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands that reads its options so."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Do what was typed and leave with its exit code; what cannot be read is told as a fault, under --json as the one document."""
        typed = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(args, *more, **{**options, "standalone_mode": False})
        except Exception as error:
            if not faults.is_usage(error):
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()  # type: ignore[attr-defined]
                sys.exit(2)
            fault = faults.wrong_usage(error)
            faults.tell(fault, form=faults.form_of(typed))
            code = fault.exit_code
        self._leave(code if isinstance(code, int) else 0)

    def _leave(self, code: int) -> NoReturn:
        """Leave with a code, which a reader of stdout that has left does not change; what cannot be written there fails."""
        try:
            if sys.stdout is not None:  # as where it was closed
                sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more, and say so
            if not faults.is_broken_pipe(error):
                faults.show(faults.explain(error), sys.stderr)
                code = 3
        sys.exit(code)

    def get_params(self, ctx: Any) -> list[Any]:
        """All options, --help among them."""
        return _eased(super().get_params(ctx))
