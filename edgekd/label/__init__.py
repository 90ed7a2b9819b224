"""Labels by a teacher: images without labels become data that `npz:` names.

`label` asks a teacher about every image (`answers`), holds its answers to rules (`rules`) and writes what is kept, and why the rest is not
(`outputs`), into a run folder. Asking is a stage: it is gone on with after a kill, and not done again where only the rules change.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from edgekd import units
from edgekd.compress.images import teachers_preprocess
from edgekd.compress.where import training_device
from edgekd.data import source, unlabelled
from edgekd.data.images import class_counts
from edgekd.data.pictures import Wanted
from edgekd.data.unlabelled import Unlabelled
from edgekd.data.views import default_augment
from edgekd.errors import UsageError
from edgekd.events import Emit, Note, Wrote, silent
from edgekd.label import answers
from edgekd.label.outputs import REJECTED, write_labelled, write_rejected
from edgekd.label.rules import REASONS, Decision, Reason, Rejected, Rules, decide
from edgekd.label.teacher import brought, check_known, class_names
from edgekd.models.load import Network, fingerprint
from edgekd.phases import Augment
from edgekd.recipe import LABELLED, Recipe, Teacher
from edgekd.recipefile import recipe_table
from edgekd.run import LABELS_FOR, Run
from edgekd.userfile import code_hash, is_userfile

__all__ = ["Labelled", "Rules", "label"]

REMEDIES = {"duplicate": "Compare no images: --duplicates off", "balance": "Let classes have more: --per-class"}
"""Of too few images, by the reason that most were left out for."""
MANY_ALIKE = 0.1
"""From this share of images on that look like others, the hash may be the wrong measure."""


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """What labelling came to. `rejected` counts by reason; `classes` holds each class's kept images, `confidence` their mean by class."""

    data: str
    """The spec of the result."""
    teacher: str = ""
    images: int
    kept: int
    rejected: dict[Reason, int]
    classes: dict[str, int]
    confidence: dict[str, float | None]
    reasons: str
    """The file that says of each rejected image why."""
    known_accuracy: float | None = None
    """The share of the images with known labels that the teacher has right."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What asking the teacher comes to; the answers lie beside it."""

    images: int


def label(
    recipe: Recipe, rules: Rules, *, folder: Path, known: str | None = None, flip: bool = True, base: Path = Path(), emit: Emit = silent
) -> Labelled:
    """Label the recipe's images by its teacher, into `folder`.

    Args:
        recipe: only data, size, channels, teacher and device are looked at.
        known: the spec of labelled images that the teacher is scored on first.
        flip: mirroring keeps an image's meaning.
        base: what relative paths start from.

    Raises:
        UsageError: no teacher, one that does not fit, or fewer than two classes are left; MissingError: no images. RunError: the folder is another's.
    """
    teacher = recipe.teacher
    if teacher is None or teacher.stored:
        raise UsageError("a teacher labels, and no network is named. Add --teacher MODEL and --teacher-weights FILE, or --teacher FILE.onnx.")
    unlabelled.check(recipe.data, base)
    device, names = training_device(recipe), class_names(teacher, base)
    origin = f"{LABELS_FOR}{recipe.data} by {teacher.model}"
    with Run.open(folder, origin=origin, recipe_toml=_settings(recipe, rules, known, flip), emit=emit) as run:
        wanted = _wanted(recipe, teacher, base)
        found = unlabelled.load(recipe.data, wanted, base=base, emit=run.emit)
        network = brought(teacher, names, found.images.shape, base)
        for note in network.notes:
            run.emit(Note(text=note))
        seen = _known_accuracy(network, names, known, found, wanted, base, run.emit)
        augment = default_augment(found.images.shape, flip)
        stage = run.stage("label", _key(network, teacher, found, rules, augment, base))
        said = answers.ask(network, found.images, stage.folder, number=rules.views, augment=augment, device=device, emit=run.emit)
        if not stage.done:
            stage.finish(Asked(images=len(found.images)))
        decision = decide(said, rules, found.names, names)
        result = _written(run, decision, found, names)
        return msgspec.structs.replace(result, teacher=network.name, known_accuracy=seen)


def _settings(recipe: Recipe, rules: Rules, known: str | None, flip: bool) -> str:
    """What was asked for, as TOML. It stands under `label`, as it is no recipe that the other commands take."""
    table = {key: value for key, value in recipe_table(recipe).items() if key in ("data", "size", "channels", "teacher", "device")}
    asked = {key: value for key, value in {**asdict(rules), "known": known}.items() if value is not None}
    return tomli_w.dumps({"label": {**table, **asked, "flip": flip}})


def _wanted(recipe: Recipe, teacher: Teacher, base: Path) -> Wanted:
    """How pictures are held: as the recipe or the teacher states it; arrays as they are."""
    stated = teachers_preprocess(teacher, base)
    if stated is None:
        return Wanted(recipe.size, recipe.channels)
    size = stated.size if recipe.data.startswith("folder:") else None
    return Wanted(recipe.size or size, recipe.channels, stated.crop_fraction)


def _known_accuracy(
    network: Network, names: Sequence[str], known: str | None, found: Unlabelled, wanted: Wanted, base: Path, emit: Emit
) -> float | None:
    if known is None:
        emit(Note(text="nothing here can tell a wrong mean or class order of the teacher; --known SPEC, images with labels, can", level="warning"))
        return None
    height, width, channels = found.images.shape
    like = Wanted((height, width), channels, wanted.crop_fraction)
    images = source.judging(known, names, like, called=f"--known {known}", base=base, emit=emit)
    accuracy = check_known(network, names, images)
    emit(Note(text=f"teacher {network.name}: {units.percent_text(accuracy)} of the known images right"))
    return accuracy


def _key(network: Network, teacher: Teacher, found: Unlabelled, rules: Rules, augment: Augment, base: Path) -> dict[str, Any]:
    """All that decides the answers."""
    return {
        "format": answers.FORMAT,
        "data": found.content,
        "teacher": fingerprint(network),
        "preprocess": network.preprocess,
        "views": rules.views,
        "augment": augment,
        **({"code": code_hash(teacher.model, base)} if is_userfile(teacher.model) else {}),
    }


def _written(run: Run, decision: Decision, found: Unlabelled, names: Sequence[str]) -> Labelled:
    """The files of a decision, and what it comes to.

    Raises:
        UsageError: nothing can be learnt from what is left.
    """
    labelled, reasons = run.folder / LABELLED, run.folder / REJECTED
    rejected = [*(Rejected(image=name, reason="unreadable") for name in found.unreadable), *decision.rejected]
    count = Counter(each.reason for each in rejected)
    result = Labelled(
        data=f"npz:{labelled.as_posix()}",
        images=len(found.images) + len(found.unreadable),
        kept=len(decision.kept),
        rejected={reason: count[reason] for reason in REASONS if count[reason]},
        classes=_counts(decision, names),
        confidence=_confidences(decision, names),
        reasons=str(reasons),
    )
    _doubt(result, run.emit)
    if sum(kept > 0 for kept in result.classes.values()) < 2:
        labelled.unlink(missing_ok=True)  # of other rules, which gave more
        write_rejected(reasons, rejected)
        raise UsageError(_too_few(result))
    write_labelled(labelled, found.images, decision, found.names, names, run.emit)
    write_rejected(reasons, rejected)
    run.emit(Wrote(path=str(labelled), what="labelled images"))
    run.write_manifest()
    return result


def _counts(decision: Decision, names: Sequence[str]) -> dict[str, int]:
    counts = class_counts(decision.labels[decision.kept], len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def _confidences(decision: Decision, names: Sequence[str]) -> dict[str, float | None]:
    labels, sure = decision.labels[decision.kept], decision.confidence[decision.kept]
    return {name: round(float(sure[labels == number].mean()), 4) if (labels == number).any() else None for number, name in enumerate(names)}


def _doubt(result: Labelled, emit: Emit) -> None:
    """Say what makes a poor data source of it."""
    empty = [name for name, kept in result.classes.items() if not kept]
    if empty and result.kept:
        emit(Note(text=f"no image is labelled {units.some(empty)}: a student can learn that elsewhere only", level="warning"))
    alike, judged = result.rejected.get("duplicate", 0), result.kept + sum(result.rejected.get(reason, 0) for reason in ("duplicate", "balance"))
    if judged and alike >= MANY_ALIKE * judged:
        text = (
            f"{alike} of {judged} images look like others: pictures with much plain background can look alike to the hash and not to people; "
            f"see {REJECTED}, and --duplicates 0 or off"
        )
        emit(Note(text=text, level="warning"))


def _too_few(result: Labelled) -> str:
    why = ", ".join(f"{number} {reason}" for reason, number in result.rejected.items())
    ill = result.rejected.get("not-finite", 0)
    left = " and ".join(f"{kept} of class {name!r}" for name, kept in result.classes.items() if kept) or "none"
    told = f"images of fewer than two classes teach nothing; of {result.images} images {left} are kept"
    if not why:
        return f"{told}, and none is left out. Give images of more classes."
    commonest = max(result.rejected, key=lambda reason: result.rejected[reason])
    remedy = "Check the teacher's weights, mean and std" if 2 * ill > result.images else REMEDIES.get(commonest, "Loosen --confidence or --agreement")
    return f"{told} ({why}; {result.reasons} lists them). {remedy}: with other rules the teacher is not asked again."
