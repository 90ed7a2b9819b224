"""What `bench` does once its options are read: times a run's files or bare ones, loads them for long where that is asked for, prints."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgekd.cli.face import Face
from edgekd.cli.jobs import Job, run_job, show_report
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.bench import Bench
    from edgekd.device.settings import Settings
    from edgekd.record import Report
    from edgekd.target import Target

SHORTEST_S, LONGEST_S = 1.0, 3600.0
LARGEST_BATCH = 4096


def load_s(text: str | None) -> float:
    """Seconds of sustained load; 0 where none is asked for.

    Raises:
        UsageError: no time, or one too short or too long.
    """
    from edgekd import units
    from edgekd.errors import UsageError

    if text is None:
        return 0.0
    seconds = units.parse_time_ms(text) / 1e3
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UsageError(f"--sustained takes a time from 1 s to 60 min with its unit, as in 60s or 10min; got {text!r}")
    return seconds


def throughput_batches(text: str | None) -> list[int]:
    """The batches in "1,8,32", in rising order; none where nothing was typed.

    Raises:
        UsageError: no such numbers.
    """
    from edgekd.errors import UsageError

    parts = [part.strip() for part in text.split(",")] if text is not None else []
    if not all(part.isdecimal() and part.isascii() and len(part) < 9 and 0 < int(part) <= LARGEST_BATCH for part in parts):
        raise UsageError(f"--throughput takes batches from 1 to {LARGEST_BATCH}, as in 1,8,32; got {text!r}")
    return sorted({int(part) for part in parts})


def bench_run(
    face: Face,
    job: Job,
    *,
    layers: bool,
    sustained_s: float,
    batches: Sequence[int],
    settings: "Settings",
    python: Sequence[str] = (),
) -> None:
    """Time the files of a recipe or run."""
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    report = run_job(face, job, compress.bench_files, sustained_s=sustained_s, python=python, settings=settings, batches=batches)
    print_more(face, report, layers=layers)


def bench_bare(
    face: Face,
    files: list[Path],
    flags: Flags,
    *,
    max_s: float,
    fps: float | None,
    dims: Mapping[str, int],
    layers: bool,
    sustained_s: float,
    batches: Sequence[int],
    settings: "Settings",
    python: Sequence[str] = (),
    host: str | None = None,
) -> None:
    """Time bare files, the later ones against the first; on `host` as the target that fits it."""
    from edgekd import target
    from edgekd.bench import bench, loaded, sustain, target_of
    from edgekd.cli.resolve import recipe_from
    from edgekd.gate.bare import bare_report
    from edgekd.recipe import Recipe

    report = bare_report(files)
    refuse_unused(dims, files)
    cwd = Path.cwd()
    first, *others = [artifact.name for artifact in report.artifacts]
    pairs = [(name, first) for name in others]
    together = list(zip(report.artifacts, files, strict=True))
    with face.watching() as emit:
        targets = {target_of(host, python, emit): host} if host else recipe_from(Recipe(), flags, base=cwd, cwd=cwd).on
        wishes: dict[str, Any] = {"fps": fps, "dims": dims, "settings": settings, "python": python, "emit": emit}
        found = bench(together, targets, pairs=pairs, max_s=max_s, layers=layers, batches=batches, beside=True, **wishes)
        measurements = found.measurements
        if sustained_s:
            places = {artifact.name: (artifact, path) for artifact, path in together}
            asked = [(*places[each.artifact], each.target) for each in measurements]
            measurements = loaded(measurements, sustain(asked, targets, seconds=sustained_s, **wishes))
    show_bench(face, report, replace(found, measurements=measurements), [target.load(name) for name in targets], layers=layers)


def refuse_unused(dims: Mapping[str, int], files: Sequence[Path]) -> None:
    """Refuse sizes of axes that no file leaves open: a misspelt name would pass in silence.

    Raises:
        UsageError: there is one.
    """
    from edgekd.errors import UsageError
    from edgekd.graph import summary

    inputs = [put for file in files for put in summary(file).inputs] if dims else []
    axes = [(put.name, axis, size) for put in inputs for axis, size in enumerate(put.shape or ()) if not isinstance(size, int)]
    known = dict.fromkeys(size if size is not None else f"{name}.{axis}" for name, axis, size in axes)
    for dim in dims:
        if dim not in known and dim not in {f"{name}.{axis}" for name, axis, _ in axes}:
            raise UsageError(f"--dim names an axis that a file leaves open; {dim!r} is none. Open: {', '.join(known) or 'no axis of these files'}.")


def show_bench(face: Face, report: "Report", found: "Bench", targets: Sequence["Target"], *, layers: bool) -> None:
    """Print what bare files came to on these targets; where a host was lost, as was told when it was, that is a failure all the same."""
    import msgspec

    from edgekd.bench.floor import floors

    doubts = [f"{name}: {why}" for name, why in (found.failures | found.lost).items()]
    parts = {"measurements": found.measurements, "ratios": found.ratios, "hosts": found.hosts, "doubts": doubts}
    report = msgspec.structs.replace(report, floors=floors(report.artifacts, targets), **parts)
    show_report(face, report, more(report, layers=layers))
    if found.lost:
        raise typer.Exit(3)


def print_more(face: Face, report: "Report", *, layers: bool) -> None:
    """`more` behind what stands on the terminal; a program finds it in the report."""
    lines = more(report, layers=layers)
    if lines and not face.json:
        print("\n".join(["", *lines]))


def more(report: "Report", *, layers: bool) -> list[str]:
    """The lines of a terminal on what sustained load came to, and where the time goes."""
    from edgekd.report import sustained, text
    from edgekd.report.operators import slowest

    parts = [_filled(sentence) for sentence in sustained.sentences(report)]
    parts += [text.drawn(slowest(report))] if layers else []
    return "\n\n".join(parts).splitlines()


def _filled(sentence: str) -> str:
    """At 80 columns, no line ending between a number and its unit."""
    from edgekd.report.text import firm

    return textwrap.fill(firm(sentence), 80, break_on_hyphens=False, break_long_words=False).replace("\u00a0", " ")
