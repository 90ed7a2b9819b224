"""recipe, targets, doctor: what would be done, on what, and what this machine can do."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import Flags, RecipeFile

Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes instead.")]
TargetName = Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="A target that edgekd knows, or a file that describes yours.")]


def recipe(recipe: RecipeFile = None, *, flags: Flags, schema: Schema = False, face: Face) -> None:
    """Print the recipe in force, or its JSON schema.

    As TOML: the default, or a file's, with the flags put in.
    """
    import msgspec

    if schema:
        from edgekd.recipe import Recipe

        document = msgspec.json.schema(Recipe)
        face.result(msgspec.json.format(msgspec.json.encode(document), indent=2).decode(), document)
        return
    from edgekd.cli.jobs import job_from
    from edgekd.recipefile import encode_recipe, left_open

    asked = job_from(recipe, flags, None).recipe
    face.result(encode_recipe(asked) + left_open(asked), asked)


def targets(context: typer.Context, *, face: Face) -> None:
    """The devices that edgekd knows; `show NAME` prints one."""
    if context.invoked_subcommand is not None:
        return
    from edgekd import target

    every = [target.load(name) for name in target.names()]
    wide = max(len(each.name) for each in every) + 4
    lines = [f"{each.name + ('' if each.tested else ' *'):{wide}}{each.description}" for each in every]
    text = "\n".join(textwrap.fill(line, 80, subsequent_indent=" " * wide) for line in [*lines, "", "* never run on real hardware"])
    face.result(text, every)


def show_target(name: TargetName, *, face: Face) -> None:
    """Print a target.

    How files run there, and what its chip could do at best.
    """
    from edgekd import target

    found = target.load(name)
    file = Path(name) if name.endswith(".toml") else target.folder() / f"{name}.toml"
    mark = "" if found.tested else "# never run on real hardware\n"
    text = f"# {file}\n{mark}{file.read_text(encoding='utf-8')}"
    face.result("\n".join(_folded(line) for line in text.splitlines()), found)


def _folded(line: str) -> str:
    """A line of TOML; one that is a remark is folded to 80 columns."""
    return textwrap.fill(line, 80, subsequent_indent="# ", break_long_words=False, break_on_hyphens=False) if line.startswith("#") else line


def doctor(face: Face) -> None:
    """Say what this machine can do and what it lacks.

    Devices, runtimes, INT8 instructions; what is missing and the line that installs it.
    """
    from edgekd.cli.doctor import examine, lines

    found = examine()
    face.result("\n".join(lines(found)), found)
