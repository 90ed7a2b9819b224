"""Options that several commands share, each with its help: a recipe by flags, and how loud to be.

`Flags` are the few settings of a recipe that people change daily; `--set` reaches the rest. A command that takes a
parameter of type `Flags` gets all of them (`face.command` spreads it). What the flags mean is `asked`'s business.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgekd.device.settings import Settings

RecipeFile = Annotated[
    Path | None, typer.Argument(metavar="RECIPE.toml", help="What to do, or a run's folder to take up; else the default recipe and the flags.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The run's folder.  [default: runs/ and the recipe's or data's name]")]

Python = Annotated[
    str | None, typer.Option("--python", metavar="COMMAND", help="What starts Python on other machines.  [default: the first with ONNX Runtime]")
]


def python_words(python: str | None) -> list[str]:
    """--python in words; none where it was not typed.

    Raises:
        UsageError: a quote in it is not closed.
    """
    from edgekd.errors import UsageError

    try:
        return shlex.split(python or "")
    except ValueError as error:
        raise UsageError(f"--python takes a command as a shell does, got {python}: {error}. Close what is quoted.") from None


def typed_as(name: str) -> str:
    """How a field of `Flags` is called on the command line; `from` is no name in Python."""
    return "--from" if name == "previous" else f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Hosts:
    """What to change on the hosts while they measure; nothing unless it is typed."""

    power_mode: Annotated[
        str | None,
        typer.Option("--power-mode", metavar="NAME|ID", help="Set this mode of nvpmodel on the hosts while they measure, and put the old one back."),
    ] = None
    lock_clocks: Annotated[
        bool, typer.Option("--lock-clocks", help="Let jetson_clocks lock the hosts' clocks while they measure, and free them again.")
    ] = False

    def settings(self) -> "Settings":
        """The wish as measuring takes it."""
        from edgekd.device.settings import Settings

        return Settings(power_mode=self.power_mode, lock_clocks=self.lock_clocks)


@dataclass(frozen=True)
class Flags:
    """A recipe's daily settings as typed; None: not typed. Paths are relative to where edgekd was started."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="SPEC", help="Images: digits, npz:FILE, folder:DIR, csv:FILE, cifar10:DIR and the like, hf:NAME, FILE.py:function."
        ),
    ] = None
    test: Annotated[str | None, typer.Option("--test", metavar="SPEC", help="Unseen test images, where --data has none of its own.")] = None
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Pixels at which images are held, as in 96x512 or 224.")] = None
    channels: Annotated[int | None, typer.Option("--channels", metavar="1|3", help="Grey or colour.")] = None
    imbalance: Annotated[
        float | None,
        typer.Option("--imbalance", metavar="N", help="Learn from a long tail: N times as many images of the first class as of the last."),
    ] = None
    download: Annotated[bool, typer.Option("--download", help="Fetch the data where it is one of torchvision's or Hugging Face's sets.")] = False
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="MODEL",
            help="The network to imitate: a built-in, torchvision, timm: or hf: name, FILE.py:function, FILE.onnx; or answers, which stand beside "
            "the images.",
        ),
    ] = None
    teacher_weights: Annotated[
        str | None, typer.Option("--teacher-weights", metavar="pretrained|FILE", help="Its weights; without them it is taught first.")
    ] = None
    weights_key: Annotated[
        str | None,
        typer.Option("--weights-key", metavar="KEY", help="Where in that file they stand, or what their names begin with, as in state_dict.net."),
    ] = None
    teacher_mean: Annotated[str | None, typer.Option("--teacher-mean", metavar="M,M,M", help="What it subtracts, per channel in [0, 1].")] = None
    teacher_std: Annotated[str | None, typer.Option("--teacher-std", metavar="S,S,S", help="What it divides by, per channel in [0, 1].")] = None
    teacher_size: Annotated[str | None, typer.Option("--teacher-size", metavar="HxW", help="Pixels at which it wants its images.")] = None
    teacher_colour: Annotated[str | None, typer.Option("--teacher-colour", metavar="rgb|bgr|grey", help="Its channels and their order.")] = None
    teacher_classes: Annotated[
        str | None, typer.Option("--teacher-classes", metavar="FILE|A,B,…", help="Its class names in the order of its outputs.")
    ] = None
    student: Annotated[list[str] | None, typer.Option("--student", metavar="MODEL", help="A network to teach; repeat it for several.")] = None
    student_weights: Annotated[
        str | None, typer.Option("--student-weights", metavar="pretrained|FILE", help="Start the students from these weights.")
    ] = None
    assistant: Annotated[
        list[str] | None,
        typer.Option("--assistant", metavar="MODEL", help="A network between teacher and students; repeat it, the largest first."),
    ] = None
    previous: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Let this run's student learn on, from --data, and keep what it knew; --student says which."),
    ] = None
    replay: Annotated[
        str | None,
        typer.Option("--replay", metavar="SHARE|SPEC", help="With --from, show old images again: a share of that run's, as 10 %, or others."),
    ] = None
    no_student: Annotated[bool, typer.Option("--no-student", help="Export, quantise and measure the teacher alone.")] = False
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="TARGET[=HOST]", help="Measure on this target (`edgekd targets` lists them); repeat it for several."),
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of everything random but the views.")] = None
    epochs: Annotated[float | None, typer.Option("--epochs", metavar="N", help="Passes over the data in all, split as the phases are.")] = None
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="T", help="Of the phases that hold it, and the start of those where it changes.")
    ] = None
    features_first: Annotated[
        bool, typer.Option("--features-first", help="Spend a third of the epochs inside the teacher, on its features, before its answers.")
    ] = False
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="Where training runs: cpu, cuda, cuda:1.")] = None
    alone: Annotated[bool, typer.Option("--alone", help="Also train each student without the teacher, to say what distilling bought.")] = False
    set: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key of the recipe, as in phase.0.epochs=30.")] = None
