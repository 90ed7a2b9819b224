"""What `bench` does once its options are read: times a run's files or bare ones, loads them for long where that is asked for, prints."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.cli.face import Face
from edgekd.cli.jobs import Job, run_job, show_report
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.record import Report

SHORTEST_S, LONGEST_S = 1.0, 3600.0


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


def bench_run(face: Face, job: Job, *, layers: bool, sustained_s: float, python: Sequence[str] = ()) -> None:
    """Time the files of a recipe or run."""
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    report = run_job(face, job, compress.bench_files, sustained_s=sustained_s, python=python)
    lines = _more(report, layers=layers)
    if lines and not face.json:
        print("\n".join(["", *lines]))


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
    python: Sequence[str] = (),
    host: str | None = None,
) -> None:
    """Time bare files, the later ones against the first; on `host` as the target that fits it."""
    import msgspec

    from edgekd.bench import bench, loaded, sustain, target_of
    from edgekd.cli.asked import recipe_from
    from edgekd.gate.bare import bare_report
    from edgekd.recipe import Recipe

    report = bare_report(files)
    cwd = Path.cwd()
    first, *others = [artifact.name for artifact in report.artifacts]
    pairs = [(name, first) for name in others]
    together = list(zip(report.artifacts, files, strict=True))
    with face.watching() as emit:
        targets = {target_of(host, python, emit): host} if host else recipe_from(Recipe(), flags, base=cwd, cwd=cwd).on
        found = bench(together, targets, pairs=pairs, max_s=max_s, fps=fps, dims=dims, layers=layers, python=python, emit=emit)
        measurements = found.measurements
        if sustained_s:
            places = {artifact.name: (artifact, path) for artifact, path in together}
            asked = [(*places[each.artifact], each.target) for each in measurements]
            measurements = loaded(measurements, sustain(asked, targets, seconds=sustained_s, fps=fps, dims=dims, python=python, emit=emit))
    doubts = [f"{name}: {why}" for name, why in found.failures.items()]
    report = msgspec.structs.replace(report, measurements=measurements, ratios=found.ratios, hosts=found.hosts, doubts=doubts)
    show_report(face, report, _more(report, layers=layers))


def _more(report: "Report", *, layers: bool) -> list[str]:
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
