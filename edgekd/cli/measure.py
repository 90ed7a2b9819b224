"""evaluate, bench: how well and how fast files answer, those of a run or bare ones."""

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.bare import aligned, opened, preprocess_of, several, thresholds_for
from edgekd.cli.face import Face
from edgekd.cli.jobs import job_from, run_job, show_report
from edgekd.cli.options import Flags, Hosts, Out, Python, python_words, typed_as

What = Annotated[list[Path] | None, typer.Argument(metavar="RECIPE.toml|RUN|FILE.onnx", help="A recipe, a run's folder, or bare files.")]
MaxTime = Annotated[
    float | None, typer.Option("--max-time", metavar="SECONDS", help="Of measuring bare files, on all targets together.  [default: 60]")
]
Fps = Annotated[float | None, typer.Option("--fps", metavar="N", help="Start inferences of bare files at a camera's pace.")]
Layers = Annotated[bool, typer.Option("--layers", help="Also print which layers take longest.")]
Sustained = Annotated[
    str | None,
    typer.Option("--sustained", metavar="TIME", help="Then run one file after another for so long, as in 60s, and see whether latency holds."),
]
Throughput = Annotated[
    str | None,
    typer.Option("--throughput", metavar="N,N,…", help="Batches that throughput is measured at, as in 1,8,32.  [default: 8]"),
]
Host = Annotated[str | None, typer.Option("--host", metavar="HOST", help="Run bare files there: whatever `ssh` takes, as user@orin.")]
Offline = Annotated[
    Path | None,
    typer.Option("--offline", metavar="DIR", help="Write a folder for a device without a network; `python3 agent.pyz DIR` measures there."),
]
Collect = Annotated[Path | None, typer.Option("--collect", metavar="DIR", help="Read what the device wrote into that folder.")]
Resize = Annotated[
    list[str] | None,
    typer.Option(
        "--resize",
        metavar="opencv|pil|torch",
        help="Score bare files also with images resized by another library; repeat it for several.",
    ),
]
Dims = Annotated[list[str] | None, typer.Option("--dim", metavar="AXIS=N", help="Size of an open axis of a bare file, by its name or as INPUT.AXIS.")]


def evaluate(
    what: What = None, *, flags: Flags, out: Out = None, host: Host = None, python: Python = None, resize: Resize = None, face: Face
) -> None:
    """Score files on test images.

    Accuracy, calibration, each class, agreement with the teacher. Of a recipe or run, every file that it makes; of bare files (with
    --data), those, compared with --teacher FILE.onnx. With --host they answer on that machine, and each is compared with itself here; with --resize
    each is compared with itself on images that another library has resized, as a device may.
    """
    from edgekd.errors import UsageError

    bare = _bare(what)
    if not bare:
        if (host, python) != (None, None):
            raise UsageError("--host and --python are for files: give the run's .onnx files, with --data")
        if resize:
            raise UsageError("--resize is for files: give the run's .onnx files, with --data")
        job = job_from(_single(what), flags, out)
        from edgekd import compress

        run_job(face, job, compress.evaluate_files)
        return
    if resize:
        from edgekd.cli.resized import evaluate_resized

        if flags.teacher is not None:
            raise UsageError("with --resize each file is compared with itself, and with no teacher; take --teacher away")
        _refuse_others(flags, out, {"data", "test", "size", "channels", "download"})
        if (host, python) != (None, None):
            raise UsageError("--resize compares a file with itself, here; take --host and --python away")
        evaluate_resized(face, bare, flags, resize)
        return
    _refuse_others(flags, out, {"data", "test", "size", "channels", "download", "teacher", "seed"})
    _evaluate_bare(face, bare, flags, host or "local", python_words(python))


def bench(
    what: What = None,
    *,
    flags: Flags,
    out: Out = None,
    max_time: MaxTime = None,
    fps: Fps = None,
    dim: Dims = None,
    layers: Layers = False,
    sustained: Sustained = None,
    throughput: Throughput = None,
    host: Host = None,
    python: Python = None,
    offline: Offline = None,
    collect: Collect = None,
    hosts: Hosts,
    face: Face,
) -> None:
    """Measure how fast files run on each target.

    Of a recipe or run, every file that it makes; of bare ONNX files with any inputs, those: the later ones are compared with the first.
    --sustained loads the bare files, or those of the run that ship. --offline and --collect measure where no line reaches, as the targets that
    have no host; a run's files also answer test images there.
    """
    from edgekd.cli.timed import bench_bare, bench_run, load_s, throughput_batches
    from edgekd.errors import UsageError

    if fps is not None and not 0 < fps < float("inf"):
        raise UsageError(f"--fps takes images a second above 0, got {fps:g}")
    bare, seconds = _bare(what), load_s(sustained)
    asked: dict[str, Any] = {"batches": throughput_batches(throughput), "settings": hosts.settings()}
    if bare:
        _refuse_others(flags, out, {"on"})
    if offline is not None or collect is not None:
        from edgekd.cli.offline import bench_offline

        line = {"--host": host, "--python": python, "--sustained": sustained, "--power-mode": hosts.power_mode, "--lock-clocks": hosts.lock_clocks}
        own = {"--max-time": max_time, "--fps": fps, "--dim": dim}
        job = None if bare else job_from(_single(what), flags, out)
        bench_offline(face, flags, job or bare, offline, collect, line, own, dims=_dims(dim or []), layers=layers, batches=asked["batches"])
        return
    if not bare:
        job = job_from(_single(what), flags, out)
        if (max_time, fps, dim, host) != (None, None, None, None):
            raise UsageError("--max-time, --fps, --dim and --host are for bare files; take them away, or give .onnx files")
        bench_run(face, job, layers=layers, sustained_s=seconds, python=python_words(python), **asked)
        return
    if host is not None and flags.on:
        raise UsageError("--host finds the target that fits, and --on TARGET=HOST names it; give one of them")
    if max_time is not None and not 0 < max_time < float("inf"):
        raise UsageError(f"--max-time takes seconds above 0, got {max_time:g}")
    wishes: dict[str, Any] = {
        "fps": fps,
        "dims": _dims(dim or []),
        "layers": layers,
        "sustained_s": seconds,
        "python": python_words(python),
        "host": host,
        **asked,
    }
    bench_bare(face, bare, flags, max_s=max_time or 60.0, **wishes)


# Bare files -----------------------------------------------------------------------------------------------------------


def _bare(what: Sequence[Path] | None) -> list[Path]:
    """The files, where all that was given are .onnx files."""
    given = list(what or [])
    return given if given and all(path.suffix == ".onnx" for path in given) else []


def _single(what: Sequence[Path] | None) -> Path | None:
    from edgekd.errors import UsageError

    given = list(what or [])
    if len(given) > 1:
        raise UsageError(f"give one recipe, one run, or .onnx files only; got {', '.join(map(str, given))}")
    return given[0] if given else None


def _refuse_others(flags: Flags, out: Path | None, taken: set[str]) -> None:
    """Flags that mean nothing for bare files are refused and not passed over.

    Raises:
        UsageError: there is one.
    """
    from edgekd.errors import UsageError

    typed = ["out"] * (out is not None) + [field.name for field in fields(flags) if getattr(flags, field.name) and field.name not in taken]
    if typed:
        raise UsageError(f"{typed_as(typed[0])} says nothing about bare files; take it away, or give a recipe or a run")


def _dims(texts: Sequence[str]) -> dict[str, int]:
    from edgekd.errors import UsageError

    dims = {}
    for text in texts:
        axis, _, number = text.partition("=")
        if not axis or not (number.isascii() and number.isdigit()) or int(number) < 1:
            raise UsageError(f"--dim takes AXIS=N with a whole number above 0, as in height=224 or image.2=224, got {text!r}")
        dims[axis] = int(number)
    return dims


def _evaluate_bare(face: Face, files: list[Path], flags: Flags, host: str, python: Sequence[str]) -> None:
    """Score files on images, answered on a host; elsewhere than here each is compared with what it answers here."""
    import msgspec

    from edgekd.cli.resolve import parse_size
    from edgekd.data import source
    from edgekd.errors import UsageError
    from edgekd.evaluate import evaluate as score
    from edgekd.gate.bare import bare_report
    from edgekd.report.words import two_machines
    from edgekd.scores import Score

    if host != "local" and flags.teacher:
        raise UsageError("on another machine each file is compared with itself here; take --teacher away")
    if flags.data is None:
        raise UsageError("bare files are scored on images of yours: add --data SPEC, as in --data folder:photos")
    every = [*([Path(flags.teacher)] if flags.teacher else []), *files]
    report = bare_report(every)
    carried = {file: preprocess_of(file) for file in every}
    # Each file takes them down to its own size: none may see pictures that were made smaller for another.
    largest = max(every, key=lambda file: math.prod(carried[file].size or (0, 0)))
    size = parse_size(flags.size, "--size") if flags.size else carried[largest].size
    scores, against, theirs, said = list[Score](), None, list[float](), list[str]()
    with face.watching() as emit:
        wanted: dict[str, Any] = {"size": size, "channels": flags.channels, "crop_fraction": carried[largest].crop_fraction}
        wanted["several"] = several(every)
        images = source.load(flags.data, test=flags.test, download=flags.download, emit=emit, **wanted)
        for file, artifact in zip(every, report.artifacts, strict=True):
            against = against if host == "local" else None
            for where in dict.fromkeys(("local", host)):
                with opened(file, where, python, emit) as answer:
                    ordered, own = aligned(answer, file, images.classes), thresholds_for(file, images.classes)
                    one, logits = score(
                        ordered, images.test, artifact=artifact.name, split="test", classes=images.classes, host=where,
                        teacher_logits=against, thresholds=own, teacher_thresholds=theirs, emit=emit,
                    )  # fmt: skip
                scores.append(one)
                said += [two_machines(one, scores[-2])] if where != "local" else []
                against, theirs = (logits, own) if (flags.teacher and against is None) or where != host else (against, theirs)
    show_report(face, msgspec.structs.replace(report, scores=scores, doubts=list(images.notes)), said)
