"""What was typed → the recipe in force and where its run stands. Pure: no file is read or written.

The recipe file comes first, flags override it, `--set` overrides both. Paths typed as flags are relative to where
edgekd was started, paths in a recipe to the recipe's folder; `recipe_from` turns the first into the second.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgekd.cli.options import Flags
from edgekd.cli.paths import Moved
from edgekd.errors import RecipeError, UsageError
from edgekd.phases import Phase, Temperature, features_first
from edgekd.preprocess import COLOURS, Stated
from edgekd.recipe import LABELLED, Previous, Recipe, Student, Teacher
from edgekd.recipefile import override

_T = TypeVar("_T", Recipe, Teacher)


def recipe_from(start: Recipe, flags: Flags, *, base: Path, cwd: Path) -> Recipe:
    """The recipe `start` with the flags put in; `base` is the folder that its paths are relative to, `cwd` that of the flags' paths.

    Raises:
        UsageError: flags that contradict each other or do not read.
        RecipeError: the result is no recipe.
    """
    if flags.previous is not None and flags.data is None and start.data == Recipe().data and not any(_sets_data(each) for each in flags.set or ()):
        raise UsageError("--from needs images to learn on from, which the run did not have. Name them with --data SPEC.")
    move = Moved(cwd, base)
    changes: dict[str, Any] = {
        key: value
        for key, value in {
            "data": _given(move.spec, flags.data),
            "test": _given(move.spec, flags.test),
            "size": None if flags.size is None else parse_size(flags.size, "--size"),
            "channels": parse_channels(flags.channels),
            "imbalance": _imbalance(flags.imbalance),
            "download": flags.download or None,
            "teacher": _teacher(start.teacher, flags, move),
            "assistants": tuple(map(move.file, flags.assistant or ())) or None,
            "student": _students(start.student, flags, move),
            "previous": _previous(start.previous, flags, move),
            "seed": flags.seed,
            "device": flags.device,
            "alone": flags.alone or None,
            "on": _targets(flags.on, move),
            "phase": _phases(start.phase, flags),
        }.items()
        if value is not None
    }
    recipe = override(_changed(start, changes), flags.set or [])
    if flags.features_first and recipe.previous is not None and recipe.teacher is None:
        raise UsageError("--features-first looks inside a teacher, and students that go on have none unless it is named. Add --teacher MODEL.")
    return recipe


def _sets_data(setting: str) -> bool:
    return setting.partition("=")[0].strip() == "data"


def _given(change: Callable[[str], str], text: str | None) -> str | None:
    return None if text is None else change(text)


def _changed(start: _T, changes: dict[str, Any]) -> _T:
    """A recipe, or a part of one, with some of its keys set; raises UsageError where the result breaks a rule."""
    try:
        return msgspec.structs.replace(start, **changes)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def run_name(recipe_file: Path | None, data: str) -> str:
    """What a run is called: the recipe's stem, else the last name in the data's spec ("npz:images/cifar10.npz" → "cifar10")."""
    if recipe_file is not None:
        name = recipe_file.stem
    else:
        kind, colon, rest = data.partition(":")
        path = kind if kind.endswith(".py") or not colon else rest
        own = re.sub(r"\.(npz|csv|py|toml)$", "", os.path.basename(path.rstrip("/")))
        if os.path.basename(path) == LABELLED:  # every result of `edgekd label` is called so: its folder tells them apart
            own = f"{os.path.basename(os.path.dirname(path)) or 'run'}-labelled"
        name = own if kind in ("npz", "folder", "csv", "hf") or kind.endswith(".py") or not colon else kind
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"


def origin(recipe_file: Path | None, recipe: Recipe, folder: Path) -> str:
    """Whose run a folder is: its recipe as seen from the folder, so that both may move together; without one, the data and the teacher."""
    if recipe_file is not None:
        return f"recipe {Path(os.path.relpath(recipe_file.resolve(), folder.resolve())).as_posix()}"
    old = f", from {recipe.previous.run}" if recipe.previous is not None else ""
    return f"data {recipe.data}, teacher {recipe.teacher.model if recipe.teacher else 'of edgekd'}{old}"


def parse_size(text: str, flag: str) -> tuple[int, int]:
    """(height, width) in "96x512" or "224".

    Raises:
        UsageError: neither.
    """
    match = re.fullmatch(r"([1-9]\d*)(?:\s*[x×]\s*([1-9]\d*))?", text.strip())
    if match is None:
        raise UsageError(f"{flag} takes height x width in pixels, as in 96x512 or 224, got {text!r}")
    return int(match[1]), int(match[2] or match[1])


def parse_channels(channels: int | None) -> int | None:
    """Of `--channels`.

    Raises:
        UsageError: neither 1 nor 3.
    """
    if channels not in (None, 1, 3):
        raise UsageError(f"--channels takes 1 (grey) or 3 (colour), got {channels}")
    return channels


def _imbalance(imbalance: float | None) -> float | None:
    if imbalance is not None and not 1 <= imbalance < float("inf"):
        raise UsageError(f"--imbalance takes a number of 1 or more, as in 100 for 100:1, got {imbalance:g}")
    return imbalance


def _teacher(teacher: Teacher | None, flags: Flags, move: Moved) -> Teacher | None:
    about = {
        "--teacher-weights": flags.teacher_weights,
        "--weights-key": flags.weights_key,
        "--teacher-mean": flags.teacher_mean,
        "--teacher-std": flags.teacher_std,
        "--teacher-size": flags.teacher_size,
        "--teacher-colour": flags.teacher_colour,
        "--teacher-classes": flags.teacher_classes,
    }
    typed = [name for name, value in about.items() if value is not None]
    if flags.teacher is not None:
        teacher = Teacher(model=move.file(flags.teacher))
    elif typed and teacher is None:
        raise UsageError(f"{typed[0]} describes a teacher, and none is named. Add --teacher MODEL.")
    if teacher is None or not typed:
        return teacher
    classes = flags.teacher_classes
    changes = {
        "weights": _given(move.file, flags.teacher_weights),
        "weights_key": flags.weights_key,
        "classes": classes.split(",") if classes and "," in classes else _given(move.file, classes),
        "preprocess": _preprocess(teacher.preprocess, flags),
    }
    return _changed(teacher, {key: value for key, value in changes.items() if value is not None})


def _preprocess(stated: Stated | None, flags: Flags) -> Stated | None:
    changes: dict[str, Any] = {}
    for key, text in (("mean", flags.teacher_mean), ("std", flags.teacher_std)):
        if text is not None:
            changes[key] = _numbers(text, f"--teacher-{key}")
    if flags.teacher_size is not None:
        changes["size"] = parse_size(flags.teacher_size, "--teacher-size")
    if flags.teacher_colour is not None:
        if flags.teacher_colour not in COLOURS:
            raise UsageError(f"--teacher-colour takes {', '.join(COLOURS)}, got {flags.teacher_colour!r}")
        changes["colour"] = flags.teacher_colour
    if not changes:
        return None
    if (stated is None or stated.mean is None) and ("mean" in changes) != ("std" in changes):
        raise UsageError("--teacher-mean and --teacher-std stand together, as in --teacher-mean 0.485,0.456,0.406 --teacher-std 0.229,0.224,0.225")
    try:
        return msgspec.structs.replace(stated or Stated(), **changes)
    except ValueError as error:
        raise RecipeError(f"the teacher's preprocess: {error}") from None


def _numbers(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{flag} takes a number per channel, as in 0.485,0.456,0.406, got {text!r}") from None


def _students(students: tuple[Student, ...] | None, flags: Flags, move: Moved) -> tuple[Student, ...] | None:
    if flags.no_student:
        if flags.student or flags.student_weights:
            raise UsageError("--no-student leaves the teacher alone; take --student and --student-weights away, or --no-student")
        return ()
    weights = _given(move.file, flags.student_weights)
    if flags.student:
        return tuple(Student(model=move.file(model), weights=weights) for model in flags.student)
    if weights is None:
        return None
    if not students:
        raise UsageError("--student-weights starts a student from weights, and none is named. Add --student MODEL.")
    return tuple(msgspec.structs.replace(student, weights=weights) for student in students)


def _previous(previous: Previous | None, flags: Flags, move: Moved) -> Previous | None:
    """The run that students go on from; None: as before."""
    if flags.previous is None and flags.replay is None:
        return None
    if flags.previous is not None:
        run = move.path(flags.previous)
        previous = Previous(run=run) if previous is None else msgspec.structs.replace(previous, run=run)
    if previous is None:
        raise UsageError("--replay shows images of a run that students go on from, and none is named. Add --from RUN.")
    replay = _given(move.spec, flags.replay)
    return previous if replay is None else msgspec.structs.replace(previous, replay=replay)


def _targets(on: list[str] | None, move: Moved) -> dict[str, str] | None:
    """{target: host}; a target without a host is this machine if it is called cpu, else one that is not at hand."""
    if not on:
        return None
    targets: dict[str, str] = {}
    for text in on:
        name, equals, host = text.partition("=")
        if not name or name in targets:
            raise UsageError(f"--on takes TARGET or TARGET=HOST, each target once, as in --on cpu --on jetson-orin-nano=user@orin, got {text!r}")
        targets[move.file(name)] = host if equals else "local" if name == "cpu" else ""
    return targets


def _phases(phases: tuple[Phase, ...], flags: Flags) -> tuple[Phase, ...] | None:
    """The phases with the epochs shared out as before, and the temperature put where a phase holds or starts it; one on features before them all."""
    if flags.epochs is None and flags.temperature is None and not flags.features_first:
        return None
    for flag, value in (("--epochs", flags.epochs), ("--temperature", flags.temperature)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{flag} takes a number above 0, got {value:g}")
    scale = 1.0 if flags.epochs is None else flags.epochs / sum(phase.epochs for phase in phases)
    phases = tuple(
        msgspec.structs.replace(phase, epochs=round(phase.epochs * scale, 6), temperature=_temperature(phase.temperature, flags.temperature))
        for phase in phases
    )
    if not flags.features_first:
        return phases
    if phases[0].compares_insides:
        raise UsageError(f"--features-first puts a phase on features first, and the phase {phases[0].name!r} is one already. Leave the flag out.")
    return features_first(phases)


def _temperature(before: float | Temperature, typed: float | None) -> float | Temperature:
    if typed is None:
        return before
    return msgspec.structs.replace(before, start=typed) if isinstance(before, Temperature) else typed
