"""The questions of `edgekd init`, and what is taken where nobody answers. Asks on stderr; what was typed is not asked.

In: `Flags` as typed. Out: the same with the answers in them. An answer that cannot be used is said, and asked again.
"""

import itertools
import mimetypes
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.recipe import Recipe

IMAGENET = ("0.485,0.456,0.406", "0.229,0.224,0.225")
"""Mean and std that most published networks were taught with."""
_SUFFIXES = {".npz": "npz", ".csv": "csv"}
_LOOKED_INTO = 50
"""Files of a folder that are looked at for a picture."""


def answered(flags: Flags, *, base: Path, cwd: Path, line: Callable[[Flags], str]) -> Flags:
    """The flags, completed by a person; `line` is what to type for the same without questions, and is said at the end.

    Raises:
        KeyboardInterrupt: the person stopped.
    """
    asker = _Asker(base, cwd)
    before = flags
    try:
        flags = _data(asker, flags)
        flags = _teacher(asker, flags)
        flags = _targets(asker, flags)
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)
        raise KeyboardInterrupt("Stopped. Nothing was written.") from None
    if flags != before:
        asker.say(f"The same without questions: {line(flags)}\n", whole=True)
    return flags


def found_here(cwd: Path) -> str:
    """The data that lies in a folder, as a spec; `digits`, which is built in, where there is none."""
    if _has_pictures(cwd):
        return "folder:."
    children = sorted(child for child in cwd.iterdir() if not child.name.startswith("."))
    folders = [f"folder:{child.name}" for child in children if child.is_dir() and _has_pictures(child)]
    files = [f"{_SUFFIXES[child.suffix]}:{child.name}" for child in children if child.suffix in _SUFFIXES and child.is_file()]
    return next(iter([*folders, *files]), "digits")


def spec_of(text: str) -> str:
    """A data spec for what a person typed: a bare path says by itself what it is."""
    path = Path(text).expanduser()
    if text == "digits" or not (path.is_dir() or (path.suffix in _SUFFIXES and ":" not in text)):
        return text
    return f"{'folder' if path.is_dir() else _SUFFIXES[path.suffix]}:{path}"


def _has_pictures(folder: Path) -> bool:
    """Whether a folder is one of images: in train/CLASS/*, or in two folders or more, one a class."""

    def pictures(place: Path) -> bool:
        kinds = (mimetypes.guess_type(file.name)[0] for file in itertools.islice(place.iterdir(), _LOOKED_INTO))
        return any(kind is not None and kind.startswith("image/") for kind in kinds)

    try:
        inner = [child for child in (folder / "train" if (folder / "train").is_dir() else folder).iterdir() if child.is_dir()]
        return sum(map(pictures, inner[:_LOOKED_INTO])) >= 2
    except OSError:
        return False


# Asking ---------------------------------------------------------------------------------------------------------------


class _Asker:
    """Asks on stderr until an answer can be used."""

    def __init__(self, base: Path, cwd: Path) -> None:
        from rich.console import Console

        self.base, self.cwd = base, cwd
        self._console = Console(stderr=True)

    def say(self, text: str, style: str = "", *, whole: bool = False) -> None:
        """`whole`: a command, whose lines the terminal may break and we do not, so that it can be copied."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=whole)

    def ask(self, text: str, default: str) -> str:
        from rich.text import Text

        answer = self._console.input(Text(f"{text} [{default}]: ")).strip()
        return _unquoted(answer) or default

    def until(self, flags: Flags, explained: str, questions: Callable[[], dict[str, Any]]) -> Flags:
        """The flags with the answers, once they make a recipe whose files are there."""
        from edgekd.cli.resolve import recipe_from
        from edgekd.errors import EdgekdError
        from edgekd.recipe import Recipe

        self.say(explained, "bold")
        while True:
            answers: dict[str, Any] = {name: value or None for name, value in questions().items()}
            given = replace(flags, **answers)
            try:
                check(recipe_from(Recipe(), given, base=self.base, cwd=self.cwd), self.base)
                return given
            except EdgekdError as error:
                self.say(str(error), "red")


def _data(asker: _Asker, flags: Flags) -> Flags:
    if flags.data is not None:
        return flags
    default = found_here(asker.cwd)
    explained = "Images: a folder with one folder a class, npz:FILE, csv:FILE, FILE.py:function, or digits (built in)"
    return asker.until(flags, explained, lambda: {"data": spec_of(asker.ask("images", default))})


def _teacher(asker: _Asker, flags: Flags) -> Flags:
    if flags.teacher is None:
        explained = "Teacher: a torchvision name, timm:NAME, FILE.py:function or FILE.onnx; without one edgekd teaches its own"
        flags = asker.until(flags, explained, lambda: {"teacher": _none(asker.ask("teacher", "none"))})
        if flags.teacher is not None and flags.teacher_weights is None and not flags.teacher.endswith((".onnx", ".safetensors")):
            explained = "Its weights: FILE, or pretrained for the published ones; without them it is taught on your images first"
            flags = asker.until(flags, explained, lambda: {"teacher_weights": _none(asker.ask("weights", "none"))})
    brought = flags.teacher_weights or flags.teacher or ""
    known = brought == "pretrained" or (flags.teacher or "").startswith(("timm:", "hf:")) or flags.teacher_mean is not None
    if known or (flags.teacher_weights is None and not brought.endswith((".onnx", ".safetensors"))):
        return flags
    carried = brought.endswith((".onnx", ".safetensors"))
    mean, std = ("as its file says",) * 2 if carried else IMAGENET

    def preprocess() -> dict[str, Any]:
        means = _none(asker.ask("mean", mean), mean if carried else "")
        return {
            "teacher_mean": means,
            "teacher_std": _none(asker.ask("std", std), std if carried else "") if means else None,
            "teacher_size": _none(asker.ask("size, HxW", "as the images are"), "as the images are"),
            "teacher_classes": _none(asker.ask("classes, FILE or A,B,…", "as the images'"), "as the images'"),
        }

    return asker.until(flags, "How it was taught: mean and std of its images per channel in [0, 1], their size, its classes in order", preprocess)


def _targets(asker: _Asker, flags: Flags) -> Flags:
    from edgekd import target

    if flags.on is not None:
        return flags
    explained = f"Targets, with commas between: {', '.join(target.names())}, or FILE.toml"
    return asker.until(flags, explained, lambda: {"on": [each.strip() for each in asker.ask("targets", "cpu").split(",") if each.strip()]})


def check(recipe: "Recipe", base: Path) -> None:
    """Refuse what is not there while it can still be answered anew; the rest is refused when it is read.

    Raises:
        MissingError, UsageError: a file, folder or target that is not there, or no data spec.
    """
    from edgekd import target
    from edgekd.errors import MissingError, UsageError

    kind, colon, rest = recipe.data.partition(":")
    if not colon and recipe.data != "digits":
        raise UsageError(f"images are digits, a folder, npz:FILE, csv:FILE or FILE.py:function; {recipe.data!r} is none that is here.")
    teacher = recipe.teacher
    weights = None if teacher is None or teacher.weights == "pretrained" else teacher.weights
    model = teacher.model if teacher is not None and teacher.model.endswith((".onnx", ".safetensors")) else None
    own = [text.partition(":")[0] for text in (recipe.data, teacher.model if teacher else "") if ".py:" in text]
    for path in [*([rest] if kind in ("folder", "npz", "csv") else []), *own, *filter(None, (weights, model))]:
        if not (base / path).exists():
            raise MissingError(f"there is nothing at {base / path}. Give its path from here, or the whole.")
    for name in recipe.on:
        target.load(name, base)


def _none(answer: str, word: str = "none") -> str | None:
    return None if answer == word else answer


def _unquoted(text: str) -> str:
    """A path without the quotes that a terminal puts around one that is dropped on it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
