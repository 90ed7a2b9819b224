"""targets: the devices that edgekd knows, one of them, or a machine as a new one."""

import shlex
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import python_words

TargetName = Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="A target that edgekd knows, or a file that describes yours.")]
ProbedHost = Annotated[str, typer.Option("--host", metavar="HOST", help="The machine: local, or whatever `ssh` takes.")]
TargetFile = Annotated[Path | None, typer.Option("--out", metavar="FILE.toml", help="Write the target there instead of printing it.")]
Python = Annotated[str | None, typer.Option("--python", metavar="COMMAND", help="What starts Python there.  [default: the first with ONNX Runtime]")]


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


def show(name: TargetName, *, face: Face) -> None:
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


def probe(*, host: ProbedHost = "local", out: TargetFile = None, python: Python = None, face: Face) -> None:
    """Write a new target from a machine.

    What it tells of itself, and how fast it copies memory. Peak rates stand in the maker's data sheet only, and are left out.
    """
    from edgekd import target
    from edgekd.device import probe as probing
    from edgekd.device.host import connect
    from edgekd.errors import UsageError
    from edgekd.events import Note
    from edgekd.files import write_atomic

    if out is not None and out.suffix != ".toml":
        raise UsageError(f"--out takes a file that ends in .toml, as a target of yours does; got {out}")
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already, and what you wrote into it would be lost. Choose another --out.")
    with face.watching() as emit, connect(host, python_words(python)) as session:
        found = probing.probe(session, out.stem if out is not None else "probed")
        known = target.fitting(" ".join([found.description, *found.fits]))
        if known:
            emit(Note(text=f"it fits {known[0].name}, which edgekd knows: `edgekd targets show {known[0].name}` has its maker's figures"))
    if out is None:
        face.result(probing.text(found), found)
        return
    write_atomic(out, probing.text(found))
    target.load(str(out))
    face.result(f"wrote {out}\nMeasure there with: edgekd bench FILE.onnx --on {shlex.quote(f'{out}={host}')}", {"file": str(out), "target": found})
