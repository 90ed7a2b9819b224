"""compress, teach, distill, export: a recipe's whole job, or a part of it with what comes before.

What was typed becomes a `Job` (the recipe in force, its folder, whose run it is); `edgekd.compress` does it; the report
that it returns is shown.
"""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import Flags, Hosts, Out, Python, RecipeFile, python_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgekd import record
    from edgekd.compress.plan import Work
    from edgekd.recipe import Recipe

Log = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="tensorboard|mlflow|wandb", help="Also write training's figures for this tracker, into log/ in the run's folder."),
]
Batches = Annotated[str | None, typer.Option("--batches", metavar="N|LEAST,USUAL,LARGEST", help="What engines of a bare file take.  [default: 1]")]
Inspect = Annotated[bool, typer.Option("--inspect", help="Also print the layers of engines, with their precisions.")]
Why = Annotated[bool, typer.Option("--why", help="Say of a bare file what its bytes, MACs and time are spent on, layer by layer.")]
Against = Annotated[Path | None, typer.Option("--against", metavar="OTHER.onnx", help="With --why, say what differs from this file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done: steps, memory, time, sizes; do nothing.")]


INSTEAD = {
    ".npz": "--data npz:",
    ".csv": "--data csv:",
    ".onnx": "--teacher ",
    **dict.fromkeys((".pt", ".pth", ".safetensors"), "--teacher-weights "),
}
"""What stands before files that are no recipes, where they are given as one."""


class Job(NamedTuple):
    """A recipe in force; `base` is the folder that its paths are relative to, `origin` names whose run `folder` is."""

    recipe: "Recipe"
    folder: Path
    origin: str
    base: Path


def compress(
    recipe: RecipeFile = None,
    *,
    flags: Flags,
    out: Out = None,
    log: Log = None,
    dry_run: DryRun = False,
    python: Python = None,
    hosts: Hosts,
    face: Face,
) -> None:
    """Make a model small and fast: teach, distil, export, measure.

    The whole way from a teacher to files that a device can run, judged and reported. Without
    arguments it takes the built-in handwritten digits and teaches its own teacher first.

    Where the recipe has limits, it exits as `check` does: 1 where something is over, 2 where something is missing.
    """
    job = job_from(recipe, flags, out)
    if dry_run:
        return _say(face, job, "compress", log)
    from edgekd.compress import compress as whole

    report = run_job(face, job, whole, log=log or (), settings=hosts.settings(), python=python_words(python))
    if report.verdicts:
        from edgekd.budget import exit_code

        raise typer.Exit(exit_code(report.verdicts))


def teach(recipe: RecipeFile = None, *, flags: Flags, out: Out = None, log: Log = None, dry_run: DryRun = False, face: Face) -> None:
    """Teach the teacher, or evaluate the weights it came with."""
    job = job_from(recipe, flags, out)
    if dry_run:
        return _say(face, job, "teach", log)
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    run_job(face, job, compress.teach, log=log or ())


def distill(recipe: RecipeFile = None, *, flags: Flags, out: Out = None, log: Log = None, dry_run: DryRun = False, face: Face) -> None:
    """Distil the teacher into each student.

    The teacher is taught first where it is not there yet. With --from, a student of another run
    learns on: its old self holds it to what it knew, and labels teach what is new.
    """
    job = job_from(recipe, flags, out)
    if dry_run:
        return _say(face, job, "distill", log)
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    run_job(face, job, compress.distill, log=log or ())


def export(
    recipe: RecipeFile = None,
    *,
    flags: Flags,
    out: Out = None,
    batches: Batches = None,
    inspect: Inspect = False,
    why: Why = False,
    against: Against = None,
    face: Face,
) -> None:
    """Write checked ONNX files in each precision, or engines.

    Of teacher and students alike; what they come from is taught first where it is not there yet. A bare FILE.onnx becomes a TensorRT engine for each
    --on TARGET; those for RTX cards need no GPU. With --why nothing is written: its layers are listed, the largest first.
    """
    if why or against is not None:
        from edgekd.cli.why import export_why
        from edgekd.errors import UsageError

        if not why or recipe is None or batches is not None or inspect or out is not None:
            raise UsageError("--why takes a FILE.onnx, --against another and --on TARGET; nothing else goes with them")
        export_why(face, recipe, flags, against)
        return
    if recipe is not None and recipe.suffix == ".onnx":
        from edgekd.cli.engines import export_engines

        export_engines(face, recipe, flags, out, batches=batches, inspect=inspect)
        return
    if batches is not None or inspect:
        from edgekd.errors import UsageError

        raise UsageError("--batches and --inspect are for engines: give a FILE.onnx and --on TARGET")
    job = job_from(recipe, flags, out)
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    run_job(face, job, compress.export_files)


def _say(face: Face, job: Job, work: "Work", log: Log) -> None:
    """What a job would do, and nothing else."""
    from edgekd.compress import plan

    with face.watching() as emit:
        lines = plan(job.recipe, base=job.base, work=work, folder=job.folder, log=log or (), emit=emit)
    face.result("\n".join(textwrap.fill(line, 80, subsequent_indent=" " * 10) for line in lines), {"plan": lines})


def job_from(recipe_file: Path | None, flags: Flags, out: Path | None) -> Job:
    """What was typed as a job; a run's folder in the recipe's place takes that run up again.

    Raises:
        EdgekdError: no such recipe, or one that does not read.
    """
    from edgekd.cli.resolve import origin, recipe_from, run_name
    from edgekd.errors import UsageError
    from edgekd.recipe import Recipe
    from edgekd.recipefile import read_recipe
    from edgekd.run import home

    cwd = Path.cwd()
    if recipe_file is not None and recipe_file.is_dir():
        return _taken_up(recipe_file, flags, out)
    if recipe_file is not None and recipe_file.suffix in INSTEAD:
        raise UsageError(f"a recipe is a TOML file or a run's folder; got {recipe_file}. Did you mean {INSTEAD[recipe_file.suffix]}{recipe_file}?")
    if recipe_file is not None and recipe_file.suffix != ".toml" and (recipe_file.name == "report.json" or not recipe_file.exists()):
        found = "give its folder" if recipe_file.exists() else "there is no such"
        raise UsageError(f"this takes a recipe (FILE.toml) or a run's folder; got {recipe_file}: {found}")
    base = cwd if recipe_file is None else home(Path(), f"recipe {recipe_file}", cwd)
    start = Recipe() if recipe_file is None else read_recipe(recipe_file)
    recipe = recipe_from(start, flags, base=base, cwd=cwd)
    folder = out or Path("runs") / run_name(recipe_file, recipe.data)
    return Job(recipe, folder, origin(recipe_file, recipe, folder), base)


def _taken_up(folder: Path, flags: Flags, out: Path | None) -> Job:
    """The job of a run that stands, by its own resolved recipe; flags may change it."""
    from edgekd.cli.resolve import recipe_from
    from edgekd.errors import UsageError
    from edgekd.recipefile import read_recipe
    from edgekd.run import home, origin_of, refuse_labels

    if out is not None:
        raise UsageError(f"{folder} is a run and stays where it is; take --out {out} away, or give the run's recipe instead")
    whose = origin_of(folder)
    if whose is None:
        damaged = ": its manifest.json does not read" if (folder / "manifest.json").is_file() else ""
        raise UsageError(f"{folder} is a folder and no run of edgekd{damaged}; give a recipe file, or the folder of a run")
    refuse_labels(folder, whose)
    cwd = Path.cwd()
    base = home(folder, whose, cwd)
    return Job(recipe_from(read_recipe(folder / "recipe.toml"), flags, base=base, cwd=cwd), folder, whose, base)


def run_job(face: Face, job: Job, work: "Callable[..., record.Report]", **wishes: Any) -> "record.Report":
    """Do a job while its events are drawn, then show its report and where its files are; `wishes` are the job's own arguments.

    Of several processes that a launcher started, the first one speaks. Where some of several hosts were lost, as was told when they were, the report
    is shown all the same, and it is a failure.
    """
    from edgekd.distill.ranks import launched
    from edgekd.errors import HostsLostError

    main, lost = launched()[0] == 0, False
    with (face if main else Face(quiet=True)).watching(job.folder) as emit:
        try:
            report = work(job.recipe, folder=job.folder, origin=job.origin, base=job.base, emit=emit, **wishes)
        except HostsLostError as error:
            report, lost = cast("record.Report", error.report), True
    if main:
        show_report(face, report, _made(job.folder, report))
    if lost:
        raise typer.Exit(HostsLostError.exit_code)
    return report


def show_report(face: Face, report: "record.Report", made: Sequence[str] = ()) -> None:
    """Print a report: sentences, tables, verdicts, doubts, and the lines of what was made."""
    from edgekd.report import text

    def drawn(width: int) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        return Group(text.render(report, width=width), Text("\n".join(["", *made])))

    face.result("\n".join([text.text(report), *made]), report, drawn)


def _made(folder: Path, report: "record.Report") -> list[str]:
    """Where to look next, as far as it is there."""
    pages = [folder / name for name in ("report.html", "report.md", "report.json")]
    files = [folder / artifact.path for artifact in report.artifacts]
    return [f"{'report' if path in pages else 'file':8}{path}" for path in [*pages, *files] if path.is_file()]
