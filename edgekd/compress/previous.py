"""The run that students go on from: its students with their weights, the classes that they know, and where its images are.

In: a recipe that names a previous run. Out: `Old`. That folder is only read. What comes of it, who is shown what and what is measured, is
`continued`'s.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edgekd import record
from edgekd.errors import EdgekdError, MissingError, RunError, UsageError
from edgekd.files import sha256_file
from edgekd.models.load import Network, build
from edgekd.recipe import Recipe, Student
from edgekd.recipefile import convert_recipe
from edgekd.record import DataSummary, Report, Training
from edgekd.reportfile import read_report
from edgekd.run import home, origin_of, refuse_labels
from edgekd.stage import StageRecord
from edgekd.userfile import is_userfile

_WEIGHTS = ".safetensors"


@dataclass(frozen=True, eq=False)
class Old:
    """A run that stands. `base` is what its recipe's paths start from; `students` are those that go on, by their specs as seen from the new run's
    base; `before` is the run that it went on from itself, where that is still there."""

    folder: Path
    base: Path
    recipe: Recipe
    data: DataSummary
    students: dict[str, Network]
    before: "Old | None" = None

    @property
    def classes(self) -> list[str]:
        """What its students know, by label; of a chain of runs each begins with those of the one before."""
        return self.data.classes

    @property
    def identity(self) -> list[str]:
        """Hashes of its images and of those before it."""
        return [self.data.sha256, *([] if self.before is None else self.before.identity)]


def read(recipe: Recipe, base: Path, folder: Path) -> Old:
    """The run that a recipe goes on from, with the students that it names; `folder` is the new run's.

    Raises:
        MissingError: no such folder.
        UsageError: it is no run, not finished, or has no such student; or the new run would be written into it.
        RunError: its weights are not those that it wrote.
    """
    assert recipe.previous is not None
    where = base / recipe.previous.run
    old, report = _run(where, base, [])
    refuse_within(where, folder)
    taught = [network for network in report.networks if network.role == "student"]
    if not taught:
        raise UsageError(f"a student goes on from a run that taught one, and {where} has none. Teach it first: edgekd distill {where}")
    if recipe.student is None and len(taught) > 1:
        names = ", ".join(one.name for one in taught)
        raise UsageError(f"{where} has {len(taught)} students: {names}. Say which goes on, as in --student {taught[0].name}")
    chosen = taught if recipe.student is None else [_named(taught, spec, where) for spec in recipe.student]
    networks = [_learnt(old, report, one) for one in chosen]
    students = {_seen_from(network.spec, old.base, base): network for network in networks}
    if len(students) < len(networks):
        raise UsageError(f"each student goes on once, and {', '.join(one.name for one in chosen)} were named. Leave out what stands there twice.")
    return replace(old, students=students)


def refuse_within(where: Path, folder: Path) -> None:
    """Refuse a new run's folder that is the run which students go on from, or lies in it.

    Raises:
        UsageError: it does.
    """
    if where.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise UsageError(
            f"{where} is the run that students go on from, and stays as it is: nothing is written there. Choose another folder with --out."
        )


def _named(taught: Sequence[record.Network], spec: Student, where: Path) -> record.Network:
    """The one of a run's students that a recipe names, by its name or its model."""
    if spec.weights is not None or spec.preprocess is not None:
        key = "weights" if spec.weights is not None else "preprocess"
        raise UsageError(f"a student that goes on has its weights and preprocess from {where}; take {key} away from {spec.model}.")
    for one in taught:
        if one.name in (spec.model, spec.model.rpartition(":")[2]):
            return one
    raise UsageError(f"{where} has no student {spec.model!r}; it has {', '.join(one.name for one in taught)}.")


# The folder -----------------------------------------------------------------------------------------------------------


def _run(where: Path, base: Path, seen: Sequence[Path]) -> tuple[Old, Report]:
    """A run and its report; `seen` are the runs that go on from it."""
    if where.suffix == ".onnx":
        raise UsageError(
            f"a student goes on from a run's folder, where its weights are; {where} is an ONNX file, which cannot learn. Give the folder."
        )
    if not where.exists():
        raise MissingError(f"no run at {where}. A relative path starts at the recipe's folder, or where you are; where it was moved: --from FOLDER")
    origin = origin_of(where)
    if origin is None:
        raise UsageError(f"a student goes on from the folder of a run, as runs/digits, and {where} is none: it has no manifest.json.")
    refuse_labels(where, origin)
    if not (where / "report.json").is_file():
        raise UsageError(f"{where} was not finished: it has no report.json yet. Take it up first: edgekd distill {where}")
    report = read_report(where)
    if report.data is None:
        raise UsageError(f"{where} only measured files; a student goes on from a run that taught one.")
    if report.data.task != "classify":
        raise UsageError(f"students go on where an image has one label, and {where} is about several. Distil anew on all images.")
    recipe = convert_recipe(report.recipe, str(where / "report.json"))
    there = home(where, origin, base)
    return Old(where, there, recipe, report.data, {}, _before(recipe, there, [*seen, where.resolve()])), report


def _before(recipe: Recipe, there: Path, seen: Sequence[Path]) -> Old | None:
    """The run before a run; None where there is none, or it is gone: then only its own images are known."""
    if recipe.previous is None or (there / recipe.previous.run).resolve() in seen:
        return None
    try:
        return _run(there / recipe.previous.run, there, seen)[0]
    except EdgekdError:
        return None


def _learnt(old: Old, report: Report, told: record.Network) -> Network:
    """A student of a run with its weights, which are those that its report speaks of."""
    for file in sorted((old.folder / "distill").glob("*/stage.json")):
        try:
            stage = msgspec.json.decode(file.read_bytes(), type=StageRecord)
            training = msgspec.convert(stage.result["training"], Training)
        except (msgspec.MsgspecError, LookupError, TypeError):
            continue
        if stage.stage == f"distill/{told.name}" and training == told.training:
            return _with_weights(old, stage, file.parent, told.name)
    raise UsageError(f"{old.folder} has a report of its student {told.name} and no longer its weights. Teach it again: edgekd distill {old.folder}")


def _with_weights(old: Old, stage: StageRecord, folder: Path, name: str) -> Network:
    listed = next((file for file in stage.files if file.endswith(_WEIGHTS)), None)
    file = folder / (listed or f"weights{_WEIGHTS}")
    if listed is None or not file.is_file():
        raise UsageError(
            f"{old.folder} no longer has the weights of its student {name}: {file} is gone, and an ONNX file cannot learn. "
            f"Teach it again: edgekd distill {old.folder}"
        )
    if sha256_file(file) != stage.files[listed]:
        raise RunError(f"{file} is not as that run wrote it, so nothing is built on it. Teach it again: edgekd distill {old.folder}")
    network = build(str(file.resolve()), classes=len(old.classes), shape=old.data.shape, base=old.base)
    network.name = name
    return network.eval()


def _seen_from(model: str, before: Path, now: Path) -> str:
    """A network's spec, whose file, if it names one, is looked for from another folder."""
    if not is_userfile(model) or before.resolve() == now.resolve():
        return model
    file, _, function = model.rpartition(":")
    return model if os.path.isabs(file) else f"{Path(os.path.relpath(before / file, now)).as_posix()}:{function}"
