"""Every command as Markdown, asked of the Typer app: usage, help, arguments and options with their defaults.

In: whatever `edgekd.cli.app` has registered. Out: text. Options that many commands share (`Flags`, `Face`) stand once, at the end.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from edgekd.cli.app import app
from edgekd.cli.face import Face
from edgekd.cli.options import Flags

SHARED: dict[type[Any], tuple[str, str]] = {
    Flags: ("The recipe's flags", "Settings of the recipe that change daily. Paths start where edgekd was started; `--set` goes before all others."),
    Face: ("Every command's switches", "Results go to stdout, everything else to stderr."),
}
"""Groups of options that commands take whole: the dataclass, its section, what stands over it."""


def reference() -> str:
    """A section for each command in the order of `edgekd --help`, then the options that they share."""
    found = dict(commands())
    sections = [_section(path, command) for path, command in found.items()]
    return "\n\n".join([*sections, *(_shared(kind, title, about, found.values()) for kind, (title, about) in SHARED.items())])


def commands(root: Any = None, path: str = "edgekd") -> Iterator[tuple[str, Any]]:
    """Every command that can be typed, by the words that call it, as in `edgekd budget init`; first of all `edgekd` itself."""
    command: Any = typer.main.get_command(app) if root is None else root
    children = getattr(command, "commands", {})
    if root is None or not children or command.invoke_without_command:
        yield path, command
    for name, child in children.items():
        yield from commands(child, f"{path} {name}")


def _section(path: str, command: Any) -> str:
    groups = [kind for kind in SHARED if _names(kind) <= {parameter.name for parameter in command.params}]
    shared = {name for kind in groups for name in _names(kind)}
    own = [parameter for parameter in command.params if parameter.name not in shared and parameter.name != "help"]
    links = [f"[{SHARED[kind][0][0].lower()}{SHARED[kind][0][1:]}](#{slug(SHARED[kind][0])})" for kind in groups]
    takes = f"It {'also ' if own else ''}takes {' and '.join(links)}." if links else ""
    given = [_usage(parameter) for parameter in own if parameter.param_type_name == "argument"]
    usage = " ".join([path, *given, "[OPTIONS]", *(["COMMAND"] if getattr(command, "commands", {}) else [])])
    return "\n\n".join(part for part in (f"## {path}", _prose(command.help or ""), f"```text\n{usage}\n```", _table(own), takes) if part)


def _shared(kind: type[Any], title: str, about: str, found: Sequence[Any] | Any) -> str:
    """One group's section; its options as the first command that takes all of them has them."""
    command = next(command for command in found if _names(kind) <= {parameter.name for parameter in command.params})
    return f"## {title}\n\n{about}\n\n{_table([parameter for parameter in command.params if parameter.name in _names(kind)])}"


def _names(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _usage(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    several = "..." if parameter.nargs == -1 and not name.endswith("...") else ""
    return f"{name}{several}" if parameter.required else f"[{name}{several}]"


def _table(parameters: Sequence[Any]) -> str:
    if not parameters:
        return ""
    rows = [f"| {_called(each)} | {_cell(each.help or '')} | {_default(each)} |" for each in parameters]
    return "\n".join(["| argument or option | what it does | default |", "|---|---|---|", *rows])


def _called(parameter: Any) -> str:
    """How it is typed, with the value that it takes."""
    if parameter.param_type_name == "argument":
        return _code(parameter.metavar or parameter.name.upper())
    names = ", ".join(map(_code, (*parameter.opts, *parameter.secondary_opts)))
    return f"{names} {_code(parameter.metavar)}" if parameter.metavar else names


def _default(parameter: Any) -> str:
    """What holds where it is not typed; help that tells it in words has the last word."""
    if parameter.required:
        return "required"
    if parameter.default in (None, False, (), []) or "[default:" in (parameter.help or ""):
        return "–"
    return _code(str(parameter.default))


def _prose(text: str) -> str:
    """Help text as Markdown: what would be read as markup is not."""
    return text.replace("<", "&lt;").replace("[[", "\\[\\[").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")


def _code(text: str) -> str:
    """Code in a table: no Markdown that every reader takes alike has a bar there, HTML has."""
    return f"<code>{_cell(text)}</code>" if "|" in text else f"`{text}`"


def slug(title: str) -> str:
    """What a link to a section is called."""
    return title.lower().replace("'", "").replace(" ", "-")
