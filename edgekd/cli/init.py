"""init: from images and a teacher to a recipe that runs. Asks on a terminal for what was not typed, shows what it saw, writes the file.

The answers become `Flags`, as if they had been typed; what is suggested from them is `compress.suggest`'s, the questions are `interview`'s.
"""

import os
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import Flags, typed_as

if TYPE_CHECKING:
    from edgekd.compress.sight import Data, Sight, Teacher
    from edgekd.recipe import Recipe

NewRecipe = Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="The file to write; its folder is what paths in it start from.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing: what was not typed is as by default.")]

WIDTH = 80


def init(*, flags: Flags, out: NewRecipe = Path("recipe.toml"), force: Force = False, yes: Yes = False, face: Face) -> None:
    """Write a commented recipe for your images, teacher and target.

    It looks at them first and says why it suggests what it does. On a terminal it asks for data,
    teacher and targets where they were not typed. Nothing is taught or measured.
    """
    import dataclasses

    from edgekd.cli.interview import answered, found_here, spec_of
    from edgekd.cli.resolve import recipe_from
    from edgekd.errors import UsageError
    from edgekd.files import write_atomic
    from edgekd.recipe import Recipe
    from edgekd.recipefile import recipe_table

    if flags.previous is not None:
        raise UsageError("init suggests students that begin at random; a run that goes on needs few words: edgekd distill --from RUN --data SPEC")
    _check_out(out, force)
    cwd, base = Path.cwd(), out.absolute().parent.resolve()
    if flags.data is not None:
        flags = dataclasses.replace(flags, data=spec_of(flags.data))
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        flags = answered(flags, base=base, cwd=cwd, line=lambda given: _line(given, out, force))
    elif flags.data is None:
        flags = dataclasses.replace(flags, data=found_here(cwd))
    recipe = recipe_from(Recipe(), flags, base=base, cwd=cwd)
    _check_text(recipe)
    with face.watching() as emit:
        from edgekd.compress.commented import commented, printable
        from edgekd.compress.suggest import suggest

        made = suggest(recipe, base=base, emit=emit)
        head = f"Written by `edgekd init`. What it would take: edgekd compress {out.name} --dry-run. All keys: edgekd recipe --schema"
        write_atomic(out, commented(made.recipe, {"": [head], **made.remarks}))
    then = shlex.join(["edgekd", "compress", str(out), "--dry-run"])
    ending = [f"wrote {printable(str(out))}", f"next  {printable(then)}"]
    document = {"file": str(out), "next": then, "seen": made.sight, "recipe": recipe_table(made.recipe), "remarks": made.remarks}
    face.result("\n".join([*_told(made.sight), *ending]), document)


def _check_out(out: Path, force: bool) -> None:
    """Refuse a file that could not be written, before minutes are spent on looking."""
    from edgekd.errors import MissingError, UsageError

    if out.is_dir():
        raise UsageError(f"--out takes the file to write, and {out} is a folder. Give --out {out / 'recipe.toml'}")
    if os.path.lexists(out) and not force:
        raise UsageError(f"{out} is there already, and would be lost. Choose another --out, or write over it with --force.")
    folder = out.absolute().parent
    if not folder.is_dir():
        hint = "Choose another --out." if folder.exists() else f"Make it first: mkdir -p {shlex.quote(str(folder))}"
        raise MissingError(f"the recipe is written into a folder that is there, and {folder} is none. {hint}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"the recipe is written into a folder that you may write to, and {folder} is none. Choose another --out.")


def _check_text(recipe: "Recipe") -> None:
    from edgekd.errors import UsageError
    from edgekd.recipefile import encode_recipe

    try:
        encode_recipe(recipe).encode()
    except UnicodeEncodeError as error:
        near = error.object[: error.end].rpartition("\n")[2] + error.object[error.end :].partition("\n")[0]
        raise UsageError(f"a recipe is UTF-8 text, and a name in it is none: {near!a}. Rename that file or folder.") from None


def _line(flags: Flags, out: Path, force: bool) -> str:
    """The command that gives these answers without being asked."""
    words = ["edgekd", "init"]
    for name in flags.__dataclass_fields__:
        value = getattr(flags, name)
        option = typed_as(name)
        for each in value if isinstance(value, list) else [] if value in (None, False) else [value]:
            words += [option] if each is True else [option, str(each)]
    words += ["--out", str(out)] if out != Path("recipe.toml") else []
    return shlex.join([*words, *(["--force"] if force else []), "--yes"])


# What was seen --------------------------------------------------------------------------------------------------------


def _told(sight: "Sight") -> Iterator[str]:
    """What was seen, as lines of at most `WIDTH` characters."""
    from edgekd.compress.commented import printable
    from edgekd.report.text import firm

    for name, text in [*_data_rows(sight.data), ("teacher", _teacher_row(sight.teacher)), *_target_rows(sight)]:
        lines = textwrap.wrap(firm(printable(text)), WIDTH, initial_indent=f"{name:12}", subsequent_indent=" " * 12, break_on_hyphens=False)
        yield from (line.replace("\u00a0", " ") for line in lines)
    yield ""
    if sight.students:
        yield _students(sight)
        yield ""


def _data_rows(data: "Data") -> Iterator[tuple[str, str]]:
    from edgekd.compress.suggest import sizes_of

    height, width, channels = data.shape
    yield "data", data.spec
    yield "images", f"{data.train} train, {data.valid} validation, {data.test} test ({data.test_from})"
    yield "size", f"{height}x{width}, {'grey' if channels == 1 else 'colour'}" + (f"; {sizes_of(data.pictures)}" if data.pictures else "")
    yield "classes", f"{len(data.classes)}: {_some(data.classes)}"
    (most, many), (least, few) = data.extremes
    yield "balance", "all alike" if many == few else f"{data.imbalance:.3g}:1 ({_some([most])} {many}, {_some([least])} {few} in train)"
    if data.unreadable:
        yield "unreadable", f"{len(data.unreadable)}: {_some(data.unreadable)}"


def _teacher_row(teacher: "Teacher") -> str:
    from edgekd import units
    from edgekd.compress.suggest import size_text

    counts = f"{units.count_text(teacher.params)} parameters, {units.count_text(teacher.macs)} MACs, {size_text(teacher)}"
    return f"{teacher.model}: {counts}; {'taught on these images first' if teacher.taught else 'comes with its weights'}"


def _target_rows(sight: "Sight") -> Iterator[tuple[str, str]]:
    from edgekd import units

    for number, aim in enumerate(sight.targets):
        floor = sight.teacher.floors_ms.get(aim.target)
        where = f"measured on {'this machine' if aim.host == 'local' else aim.host}" if aim.host else "not measured: it has no host"
        computed = "" if floor is None else f"; the teacher is no faster there than {units.ms_text(floor, 2)} (fp16, computed)"
        yield "" if number else "targets", f"{aim.target}: {where}{computed}"


def _students(sight: "Sight") -> str:
    from edgekd import units
    from edgekd.report.cells import Column, Table
    from edgekd.report.text import drawn, without_middle

    rows = sight.students
    columns = [
        Column("network", [f"{row.model} *" if row.chosen else row.model for row in rows]),
        Column("params", [units.count_text(row.params) for row in rows]),
        Column("MACs ÷", [units.ratio_text(row.fewer_macs) for row in rows]),
        *(Column(each, [units.bytes_text(row.sizes[each], 2) for row in rows]) for each in rows[0].sizes),
        *(
            Column(without_middle(name, 20), [units.ms_text(row.floors_ms.get(name), 2) for row in rows])
            for name in (aim.target for aim in sight.targets if aim.target in rows[0].floors_ms)
        ),
    ]
    notes = ["computed, nothing was measured", "* stands in the recipe", "÷: how many times fewer than the teacher"]
    notes += ["under a target: the least time there, in fp16"] if rows[0].floors_ms else []
    return drawn([Table("What could be the student", "; ".join(notes), columns)], width=WIDTH)


def _some(names: list[str]) -> str:
    from edgekd import units
    from edgekd.report.text import without_middle

    return units.some(without_middle(name, 40) for name in names)
