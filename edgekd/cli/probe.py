"""targets probe: a machine as a new target."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import python_words

ProbedHost = Annotated[str, typer.Option("--host", metavar="HOST", help="The machine: local, or whatever `ssh` takes.")]
TargetFile = Annotated[Path | None, typer.Option("--out", metavar="FILE.toml", help="Write the target there instead of printing it.")]
Python = Annotated[str | None, typer.Option("--python", metavar="COMMAND", help="What starts Python there.  [default: the first with ONNX Runtime]")]


def probe_target(*, host: ProbedHost = "local", out: TargetFile = None, python: Python = None, face: Face) -> None:
    """Write a new target from a machine.

    What it tells of itself, and how fast it copies memory. Peak rates stand in the maker's data sheet only, and are left out.
    """
    from edgekd import target
    from edgekd.device.host import connect
    from edgekd.device.probe import probe, text
    from edgekd.errors import UsageError
    from edgekd.events import Note
    from edgekd.files import write_atomic

    if out is not None and out.suffix != ".toml":
        raise UsageError(f"--out takes a file that ends in .toml, as a target of yours does; got {out}")
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already, and what you wrote into it would be lost. Choose another --out.")
    with face.watching() as emit, connect(host, python_words(python)) as session:
        found = probe(session, out.stem if out is not None else "probed")
        known = target.fitting(" ".join([found.description, *found.fits]))
        if known:
            emit(Note(text=f"it fits {known[0].name}, which edgekd knows: `edgekd targets show {known[0].name}` has its maker's figures"))
    if out is None:
        face.result(text(found), found)
        return
    write_atomic(out, text(found))
    target.load(str(out))
    face.result(f"wrote {out}\nMeasure there with: edgekd bench FILE.onnx --on {shlex.quote(f'{out}={host}')}", {"file": str(out), "target": found})
