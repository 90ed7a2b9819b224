"""What `export` does with a bare ONNX file: engines for targets that run TensorRT, with their layers where these are asked for."""

from pathlib import Path

from edgekd.cli.face import Face
from edgekd.cli.options import Flags


def export_engines(face: Face, file: Path, flags: Flags, out: Path | None, *, batches: str | None, inspect: bool) -> None:
    """Build an engine of the file for each target of --on, beside it or in --out; print what came of it."""
    from edgekd import target, units
    from edgekd.errors import MissingError, MissingExtra, UsageError
    from edgekd.export.engine import engines

    if not file.is_file():
        raise MissingError(f"{file} must be a file, and there is none.")
    if not flags.on:
        raise UsageError("a bare file is made into engines for targets: add --on TARGET, as in --on rtx-4090 (`edgekd targets` lists them)")
    hosts = {name: host for name, _, host in (each.partition("=") for each in flags.on)}
    if any(host not in ("", "local") for host in hosts.values()):
        raise UsageError("engines are built on this machine; write --on TARGET without a host")
    targets = [target.load(name) for name in hosts]
    try:
        with face.watching() as emit:
            found = engines(file, targets, out or file.parent, batches=_batches(batches), emit=emit)
    except MissingExtra as error:
        there = next((each.name for each in targets if each.runtime == "tensorrt"), None)
        if there is None:
            raise
        raise MissingError(
            f"TensorRT builds an engine on the machine that it is for, and is not here ({error}). Run this on that machine; or let "
            f"`edgekd bench {file} --on {there}=USER@HOST` build and time it there."
        ) from None
    lines = []
    for engine in found:
        kinds = ", ".join(f"{count} {precision}" for precision, count in sorted(engine.precisions.items()))
        lines.append(f"{engine.target}: {(out or file.parent) / engine.file}")
        lines.append(
            f"  {units.bytes_text(engine.size)}, built in {units.seconds_text(engine.seconds)} by {engine.library} {engine.version}; layers: {kinds}"
        )
        if inspect:
            lines.append("  layers of the engine:" if engine.kernels else "  layers of the network (the engine was not opened):")
            lines += [f"  {layer.precision:6} {layer.kind:20} {layer.name}" for layer in engine.kernels or engine.layers]
    face.result("\n".join(lines), {"engines": found})


def _batches(text: str | None) -> tuple[int, int, int] | None:
    """The least, usual and largest batch in "1,8,32", or one for all in "8"; None where nothing is said.

    Raises:
        UsageError: no such numbers, or not in rising order.
    """
    from edgekd.errors import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) > 0]
    if len(numbers) != len(parts) or len(numbers) not in (1, 3) or numbers != sorted(numbers):
        raise UsageError(f"--batches takes one batch or the least, usual and largest, as in 1,8,32; got {text!r}")
    return (numbers[0], numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])
