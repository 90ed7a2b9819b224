"""pack: a run's file for a target as a folder that someone else can ship."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.face import Face

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
For = Annotated[str, typer.Option("--for", metavar="TARGET", help="What it shall run on: one of `edgekd targets`, or FILE.toml.")]
Named = Annotated[
    str | None, typer.Option("--artifact", metavar="ROLE/NAME/PRECISION", help="The file to pack.  [default: what the report ships on the target]")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="New or empty.  [default: packs/ and the names of run and target]")]
Images = Annotated[
    tuple[Path, Path, Path] | None, typer.Option("--images", metavar="FILE FILE FILE", help="Three pictures to pack instead of test images.")
]
Zip = Annotated[bool, typer.Option("--zip", help="Write FOLDER.zip beside it, too.")]


def pack(run: Run, *, on: For, artifact: Named = None, out: Out = None, images: Images = None, zip: Zip = False, face: Face) -> None:
    """Write a folder to ship: a file, samples, the report.

    The file that the report ships on the target (or another), how its images are prepared, its class names, three test images with its answers, and
    samples in Python and C++ that reproduce these. Nothing in it needs edgekd or torch.
    """
    from edgekd.cli.jobs import job_from
    from edgekd.cli.options import Flags
    from edgekd.pack import pack as write

    folder = out or Path("packs") / f"{run.resolve().name}-{Path(on).stem}"
    base = job_from(run, Flags(), None).base if (run / "recipe.toml").is_file() else Path.cwd()
    with face.watching() as emit:
        packed = write(run, on, folder, artifact=artifact, images=images or (), base=base, zipped=zip, emit=emit)
    archive = folder.with_name(f"{folder.name}.zip") if zip else None
    lines = [
        f"packed  {packed.artifact} for {packed.target}",
        f"folder  {folder} ({len(packed.files) + 1} files)",
        *([f"zip     {archive}"] if archive else []),
        f"try it  python {folder / 'sample.py'}",
        f"read    {folder / 'README.txt'}",
    ]
    face.result("\n".join(lines), {"folder": str(folder), "zip": None if archive is None else str(archive), "packed": packed})
