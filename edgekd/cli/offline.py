"""bench --offline and --collect: a folder for a device without a network, and what came back in it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.cli.face import Face
from edgekd.cli.jobs import Job, run_job
from edgekd.cli.options import Flags
from edgekd.cli.timed import print_more, show_bench

if TYPE_CHECKING:
    from edgekd.bench.offline import Written


def bench_offline(
    face: Face,
    flags: Flags,
    what: Job | list[Path],
    offline: Path | None,
    collect: Path | None,
    line: Mapping[str, Any],
    own: Mapping[str, Any],
    *,
    dims: dict[str, int],
    layers: bool,
    batches: list[int],
) -> None:
    """Write the folder `offline`, or read the folder `collect`, for a run or bare files. `line` are options that mean something over a line only,
    `own` those of bare files, by their names and as they were typed.

    Raises:
        UsageError: both at once, or an option that says nothing here.
    """
    bare = isinstance(what, list)
    settled = {**own, "--throughput": batches or None, "--on": flags.on if bare else None}
    _refuse(offline, collect, line, settled if collect is not None else {} if bare else own)
    if collect is not None:
        _collect_bare(face, what, collect, layers=layers) if isinstance(what, list) else _collect_run(face, what, collect, layers=layers)
    elif offline is not None and isinstance(what, list):
        max_s = 60.0 if own["--max-time"] is None else own["--max-time"]
        _offline_bare(face, what, flags, offline, max_s=max_s, fps=own["--fps"], dims=dims, layers=layers, batches=batches)
    elif offline is not None and not isinstance(what, list):
        _offline_run(face, what, offline, batches)


def _refuse(offline: Path | None, collect: Path | None, line: Mapping[str, object], other: Mapping[str, object]) -> None:
    """Refuse what goes with no folder: options by their names, as they were typed, that mean something over a line only, and `other` ones that mean
    nothing here.

    Raises:
        UsageError: both commands at once, or such an option.
    """
    from edgekd.errors import UsageError

    if offline is not None and collect is not None:
        raise UsageError("--offline writes a folder for a device, and --collect reads what came back in one; give one of them")
    command = "--offline" if offline is not None else "--collect"
    for name, value in {**line, **other}.items():
        if value is not None and value is not False:
            why = "is for devices that a line reaches" if name in line else "says nothing" if offline is not None else "was settled by --offline"
            raise UsageError(f"{name} {why}, and does not go with {command}; take it away")


def _offline_run(face: Face, job: Job, folder: Path, batches: Sequence[int]) -> None:
    """Write the folder for the files of a recipe or run."""
    import msgspec

    from edgekd import compress  # after what was typed has been read, as this takes seconds
    from edgekd.recipefile import read_recipe

    # The device comes beside the targets that the run has, whose times stay.
    own = read_recipe(job.folder / "recipe.toml").on if (job.folder / "recipe.toml").is_file() else {}
    recipe = msgspec.structs.replace(job.recipe, on={**own, **job.recipe.on})
    with face.watching(job.folder) as emit:
        written = compress.offline_files(
            recipe, folder=job.folder, origin=job.origin, base=job.base, emit=emit, device=folder, on=job.recipe.on, batches=batches
        )  # fmt: skip
    _tell(face, [job.folder], folder, written)


def _collect_run(face: Face, job: Job, folder: Path, *, layers: bool) -> None:
    """The report of a recipe or run with what the device answered."""
    from edgekd import compress

    report = run_job(face, job, compress.collected_files, device=folder)
    print_more(face, report, layers=layers)


def _offline_bare(
    face: Face,
    files: list[Path],
    flags: Flags,
    folder: Path,
    *,
    max_s: float,
    fps: float | None,
    dims: dict[str, int],
    layers: bool,
    batches: list[int],
) -> None:
    """Write the folder for bare files, the later ones to be compared with the first.

    Raises:
        UsageError: no time; else as `bench.offline.write`.
    """
    from edgekd.bench.offline import Asked, aimed, write
    from edgekd.cli.resolve import recipe_from
    from edgekd.errors import UsageError
    from edgekd.gate.bare import bare_report
    from edgekd.recipe import Recipe

    if not 0 < max_s < float("inf"):
        raise UsageError(f"--max-time takes seconds above 0, got {max_s:g}")
    artifacts, cwd = bare_report(files).artifacts, Path.cwd()
    targets = aimed(recipe_from(Recipe(), flags, base=cwd, cwd=cwd).on)
    pairs = [(artifact.name, artifacts[0].name) for artifact in artifacts[1:]]
    asked = Asked(pairs=pairs, max_s=max_s, fps=fps, dims=dims, layers=layers, batches=batches)
    with face.watching() as emit:
        written = write(folder, list(zip(artifacts, files, strict=True)), targets, asked, emit=emit)
    _tell(face, files, folder, written)


def _collect_bare(face: Face, files: list[Path], folder: Path, *, layers: bool) -> None:
    """The report on bare files with what the device answered."""
    from edgekd.bench.offline import collect
    from edgekd.gate.bare import bare_report

    report = bare_report(files)
    with face.watching() as emit:
        found, targets = collect(folder, list(zip(report.artifacts, files, strict=True)), also=lambda session, targets: targets, emit=emit)
    show_bench(face, report, found, targets, layers=layers)


def _tell(face: Face, what: Sequence[Path], folder: Path, written: "Written") -> None:
    """What was written, and what to do with it."""
    from edgekd import units

    back = shlex.join(["edgekd", "bench", *map(str, what), "--collect", str(folder)])
    files = f"{written.files} file{'s' if written.files != 1 else ''}, {units.bytes_text(written.bytes)}"
    work = f"{written.parts} parts of work, loading apart {units.seconds_text(written.seconds)} at most"
    text = f"wrote {folder}: {files}; {work}\nthere   cd {shlex.quote(folder.name)} && python3 agent.pyz .\nback    {back}"
    face.result(text, {"folder": str(folder), "files": written.files, "bytes": written.bytes, "parts": written.parts, "seconds": written.seconds})
