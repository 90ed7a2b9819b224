"""selftest: what works on a device, in one command, and a file that can be sent."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import python_words

if TYPE_CHECKING:
    from edgekd.device.selftest import Selftest

Host = Annotated[str, typer.Option("--host", metavar="HOST", help="The device: local, or whatever `ssh` takes.")]
Python = Annotated[str | None, typer.Option("--python", metavar="COMMAND", help="What starts Python there.  [default: the first with ONNX Runtime]")]
Sent = Annotated[Path, typer.Option("--out", metavar="FILE.json", help="The file to write.")]

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PART", help="Try this part alone, as in energy, tensorrt or onnxruntime; repeat it for several.  [default: all]"),
]

MARKS = {"works": "✓", "absent": "–", "refused": "–", "fails": "✗"}


def selftest(*, host: Host = "local", python: Python = None, only: Only = None, out: Sent = Path("edgekd-selftest.json"), face: Face) -> None:
    """Try what a device can do, and write a file to send.

    Each runtime that is there, TensorRT engines, energy counters and the clock, on a tiny network. Nothing is changed on the device. The file
    holds no host, no user and no path: on boards that edgekd has never run on, it is worth sending. Exit code 1 where something fails.
    """
    import msgspec

    from edgekd.device.host import connect
    from edgekd.device.selftest import selftest as tried
    from edgekd.errors import UsageError
    from edgekd.files import write_atomic

    if out.suffix != ".json" or out.is_dir():
        raise UsageError(f"--out takes a file that ends in .json, got {out}")
    with face.watching() as emit, connect(host, python_words(python)) as session:
        found = tried(session, emit, only or ())
    write_atomic(out, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    face.result("\n".join([*lines(found), "", f"wrote {out}"]), found)
    if any(check.state == "fails" for check in found.checks):
        raise typer.Exit(1)


def lines(found: "Selftest") -> list[str]:
    """The table at 80 columns: a mark, the part, what it came to."""
    facts = found.facts
    told = [f"{facts['cpu']}, {facts['cores']} cores", *(str(facts[name]) for name in ("gpu", "system") if facts.get(name))]
    told += [f"{word} {facts[name]}" for name, word in (("l4t", "L4T"), ("jetpack", "JetPack"), ("cuda", "CUDA")) if facts.get(name)]
    told += [f"TensorRT {facts['tensorrt']}"] if facts.get("tensorrt") else []
    wide = max(len(check.name) for check in found.checks) + 4
    table = [
        textwrap.fill(
            f"{MARKS[check.state]} {check.name:{wide - 2}}{check.text if check.state == 'works' else f'{check.state}: {check.text}'}",
            80,
            subsequent_indent=" " * wide,
            break_on_hyphens=False,
        )
        for check in found.checks
    ]
    return [textwrap.fill("; ".join(told), 80), "", *table]
