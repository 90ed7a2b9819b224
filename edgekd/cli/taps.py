"""taps: what may be tapped inside a network, and what of it belongs together with a teacher's."""

from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face

if TYPE_CHECKING:
    from edgekd.models.taps import Tap

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The network, as a recipe names it.")]
Teacher = Annotated[str | None, typer.Option("--teacher", metavar="MODEL", help="Also suggest which of its stages belong together with MODEL's.")]
Classes = Annotated[int, typer.Option("--classes", metavar="N", help="How many classes the networks answer.")]
Size = Annotated[str, typer.Option("--size", metavar="HxW", help="The images' size in pixels.")]
Channels = Annotated[int, typer.Option("--channels", metavar="1|3", help="The images' channels.")]


def taps(model: Model, *, teacher: Teacher = None, classes: Classes = 10, size: Size = "32x32", channels: Channels = 3, face: Face) -> None:
    """List what feature terms may compare inside a network.

    With --teacher: which of both belong together, as pairs that a recipe's term takes.
    """
    from edgekd.cli.resolve import parse_channels, parse_size
    from edgekd.distill.within import comparable
    from edgekd.errors import UsageError
    from edgekd.models.load import build
    from edgekd.models.taps import landmarks, suggested, suggested_heads
    from edgekd.models.taps import taps as places

    height, width = parse_size(size, "--size")
    parse_channels(channels)
    if classes < 1:
        raise UsageError(f"--classes takes a number from 1 on, got {classes}")
    shape = (height, width, channels)
    network = build(model, classes=classes, shape=shape)
    named, listed = landmarks(network), places(network)
    other = None if teacher is None else build(teacher, classes=classes, shape=shape)
    pairs = [] if other is None else suggested(network, other)
    heads = [] if other is None else [pair for pair in suggested_heads(network, other) if comparable(network, other, pair)]
    wide = max(len(tap.name) for tap in [*named.values(), *listed]) + 2
    lines = [f"{name:8}{tap.name:{wide}}{_extent(tap)}" for name, tap in named.items()]
    lines += ["", *(f"{'':8}{tap.name:{wide}}{_extent(tap)}" for tap in listed)]
    if teacher is not None:
        stages = ", ".join(f'["{mine}", "{other}"]' for mine, other in pairs)
        lines += ["", f"pairs = [{stages}]" if pairs else f"no stages of {model} and {teacher} belong together: name pairs of the modules above"]
        lines += ['of a term, as { loss = "review", pairs = … }; `--features-first` needs none'] if pairs else []
        lines += [f'pairs = [["{mine}", "{other}"]]  for heads and values' for mine, other in heads]
    face.result(
        "\n".join(line.rstrip() for line in lines),
        {
            "landmarks": [{"name": name, **_described(tap)} for name, tap in named.items()],
            "taps": [_described(tap) for tap in listed],
            "pairs": pairs,
            "heads_pairs": heads,
        },
    )


def _extent(tap: "Tap") -> str:
    return " × ".join(map(str, tap.shape)) + (f", {tap.heads} heads" if tap.heads else "")


def _described(tap: "Tap") -> dict[str, object]:
    return {"module": tap.name, "shape": tap.shape} | ({"heads": tap.heads} if tap.heads else {})
