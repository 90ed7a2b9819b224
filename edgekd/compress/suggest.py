"""A recipe for what is there: the one that was asked for, completed by what its images, its teacher and its targets suggest, each with the reason.

In: a recipe as far as a person stated it. Out: a `Suggestion`: what was seen, the recipe, and remarks that `commented` writes into it. Nothing that
was stated is changed. Every number in a remark was counted or computed; what is an aim says so. Nothing is taught, timed or written here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekd import units
from edgekd.compress import students
from edgekd.compress.bounds import suggest_limits
from edgekd.compress.draft import Draft
from edgekd.compress.images import teachers_preprocess
from edgekd.compress.plan import floor_text, looking, sizes_text
from edgekd.compress.sight import Data, Offer, Pictures, Sight, Teacher, looked, picked, pictures_of
from edgekd.compress.story import UNBALANCED
from edgekd.data.pictures import held_at
from edgekd.distill import leading
from edgekd.distill.defaults import all_steps, filled
from edgekd.events import Emit, silent
from edgekd.models.pick import LARGE
from edgekd.phases import DEFAULT, MANY_CLASSES, Phase, Temperature, Train
from edgekd.recipe import Recipe
from edgekd.report.text import without_middle
from edgekd.terms import Dist

AS_THEY_ARE = 256
"""Pictures of one size keep it up to this longer side, in pixels."""
FEW_STEPS, MOST_TIMES = 500, 4
"""Steps that all phases together should have, and how many times their epochs are multiplied for that at the most."""
ANSWERS = 4e9
"""Bytes that the teacher's remembered answers may take on the disk."""
LONGEST_NAME = 40
"""Of a class in a remark, in characters."""


@dataclass(frozen=True)
class Suggestion:
    """What was seen, and the recipe for it with its remarks by key."""

    sight: Sight
    recipe: Recipe
    remarks: dict[str, list[str]]


def suggest(recipe: Recipe, *, base: Path, emit: Emit = silent) -> Suggestion:
    """Look at what a recipe names, and complete it.

    Args:
        base: the folder that the recipe's paths are relative to.
        emit: told of all that happens while the images are read.

    Raises:
        EdgekdError: what `compress` would refuse before training.
    """
    pictures = pictures_of(recipe.data, base)
    draft = Draft(recipe)
    _hold(draft, pictures, base)
    with looking(draft.recipe, base, emit) as story:
        students.check(story)
        sight = looked(story, pictures)
        draft.put(phase=students.phases_of(story))
    _data(draft, sight)
    _teacher(draft, sight)
    _students(draft, sight)
    if sight.teacher.taught or sight.students:
        _train(draft, sight.data, chosen=recipe.phase != DEFAULT)
    _targets(draft, sight)
    suggest_limits(draft, sight)
    return Suggestion(sight, draft.recipe, draft.remarks)


# Images and networks --------------------------------------------------------------------------------------------------


def _hold(draft: Draft, pictures: Pictures | None, base: Path) -> None:
    """The size that pictures are held at, where nothing states it and they do not agree on a moderate one."""
    if pictures is None or draft.recipe.size is not None:
        return
    stated = None if draft.recipe.teacher is None else teachers_preprocess(draft.recipe.teacher, base)
    if stated is not None and stated.size is not None:
        draft.say("size", f"The images are held at {_by(stated.size)}, as the teacher wants them; {sizes_of(pictures)}.")
    elif pictures.sizes > 1 or max(pictures.most) > AS_THEY_ARE:
        side = held_at(pictures.shorter_side)
        draft.put(size=(side, side))
        draft.say("size", f"{sizes_of(pictures, capital=True)}. Each is scaled until its shorter side fits, and its middle is cut out.")


def sizes_of(pictures: Pictures, *, capital: bool = False) -> str:
    """How large picture files are, in words."""
    files = f"{'The' if capital else 'the'} {pictures.looked_at} picture files that were looked at"
    if pictures.sizes == 1:
        return f"{files} have {_by(pictures.least)} pixels (height x width)"
    high, wide = ((pictures.least[axis], pictures.most[axis]) for axis in (0, 1))
    return f"{files} have {pictures.sizes} sizes, {high[0]} to {high[1]} pixels high and {wide[0]} to {wide[1]} wide"


def _data(draft: Draft, sight: Sight) -> None:
    data = sight.data
    height, width, channels = data.shape
    draft.say(
        "data",
        f"{data.train} training, {data.valid} validation and {data.test} test images of {height}x{width}, "
        f"{'grey' if channels == 1 else 'in colour'}, in {len(data.classes)} classes. Test images: {data.test_from}.",
        f"Left out, as they cannot be read: {len(data.unreadable)}." if data.unreadable else "",
        *data.notes,
    )
    if sight.students:
        draft.say("alone", "alone = true would also teach the student without the teacher, to say what distilling bought.")


def _teacher(draft: Draft, sight: Sight) -> None:
    seen = sight.teacher
    brought = "It comes with its weights, and is scored on validation images before anything is taught."
    draft.say(
        "teacher",
        f"{seen.model}: {units.count_text(seen.params)} parameters, {units.count_text(seen.macs)} MACs an image, {size_text(seen)}.",
        "It is taught on these images first." if seen.taught else brought,
        *(f"It is {floor_text(name, floor)}." for name, floor in seen.floors_ms.items()),
    )
    if draft.recipe.teacher is None:
        example = 'teacher = { model = "resnet50", weights = "resnet50.pth", preprocess = { mean = [0.5], std = [0.5] } }'
        draft.say("teacher", "No teacher is named here. One of your own is written as:", example)


def size_text(teacher: Teacher) -> str:
    """How large the teacher is as a file."""
    return f"{units.bytes_text(teacher.size)} {'in its own file' if teacher.own_file else 'in FP32'}"


def _students(draft: Draft, sight: Sight) -> None:
    """The chosen student with its reason, and the others that could be."""
    if draft.recipe.student is None:
        draft.put(student=picked(sight))
    chosen, others = [one for one in sight.students if one.chosen], [one for one in sight.students if not one.chosen]
    for place, offer in enumerate(chosen):
        floors = [f"It is {floor_text(name, floor)}." for name, floor in offer.floors_ms.items()]
        draft.say(f"student.{place}", f"{sight.reason}." if sight.reason else "", f"Predicted: {_offered(offer)}.", *floors)
        if offer.model in LARGE and (draft.recipe.student or ())[place].weights is None:
            draft.say(f"student.{place}", 'weights = "pretrained" would start it from its published weights, which torchvision fetches.')
    if others:
        draft.say("student.0", "Others that could stand here:", *(f'model = "{offer.model}": {_offered(offer)}' for offer in others))


def _offered(offer: Offer) -> str:
    """A student's predicted figures in words."""
    fewer = ""
    if offer.fewer_macs is not None:
        times, word = (offer.fewer_macs, "fewer") if offer.fewer_macs >= 1 else (1 / offer.fewer_macs, "more")
        fewer = f", {units.ratio_text(times)} {word} MACs than the teacher"
    return f"{units.count_text(offer.params)} parameters, files of about {sizes_text(offer.sizes)}{fewer}"


def _by(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


# Training -------------------------------------------------------------------------------------------------------------


def _train(draft: Draft, data: Data, *, chosen: bool) -> None:
    """Augmentation, views, prior, and as many epochs as give few images steps enough; `chosen` phases keep theirs."""
    _augment(draft, data)
    _views(draft, data)
    _prior(draft, data)
    batch = filled(draft.recipe.train, images=data.train, shape=data.shape, flip=data.flip, brought=False).batch
    assert batch is not None
    steps = all_steps(draft.recipe.phase, data.train, batch)
    if steps < FEW_STEPS and not chosen:
        times = min(MOST_TIMES, math.ceil(FEW_STEPS / steps))
        draft.put(phase=tuple(msgspec.structs.replace(phase, epochs=times * phase.epochs) for phase in draft.recipe.phase))
        now = all_steps(draft.recipe.phase, data.train, batch)
        draft.say(
            "phase.0",
            f"{data.train} training images in batches of {batch} are few: the usual {sum(phase.epochs for phase in DEFAULT):g} epochs would be "
            f"{steps} steps. {times} times the epochs are {now}.",
        )
    many = not chosen and all(any(isinstance(term, Dist) for term in phase.terms) for phase in draft.recipe.phase)
    why = f" Of {MANY_CLASSES} classes and more `dist` taught better than `kd`." if many else ""
    for place, phase in enumerate(draft.recipe.phase):
        draft.say(f"phase.{place}", _phase(place, phase) + why)
    if many and _opens(draft.recipe):
        draft.say("phase.0", "`--features-first` taught better still on CIFAR-100, in twice the time: by a phase on features before these.")


def _opens(recipe: Recipe) -> bool:
    """Whether one network teaches, and its inside can be seen."""
    teacher = recipe.teacher
    return not recipe.co_teacher and (teacher is None or not (teacher.stored or teacher.model.endswith(".onnx")))


def _augment(draft: Draft, data: Data) -> None:
    if draft.recipe.train.augment is not None:
        return
    augment = filled(draft.recipe.train, images=data.train, shape=data.shape, flip=data.flip, brought=False).augment
    assert augment is not None
    draft.train(augment=augment)
    crop = f"each view is shifted by up to {augment.crop} pixels" if augment.crop else "no view is shifted"
    zoom = f"each view is a part of {units.percent_text(augment.scale, 0)} of the image or more, its colours changed a little"
    flip = "and mirrored by chance: set flip = false where a mirrored image means something else, as in writing" if augment.flip else "never mirrored"
    draft.say("train.augment", f"What suits images of {_by(data.shape)}: {crop if augment.scale == 1 else zoom}, {flip}.")


def _views(draft: Draft, data: Data) -> None:
    """Fewer views than usual where the teacher's answers to all of them would fill a disk."""
    usual = Train().views
    few = len(data.classes) > leading.MANY and not draft.recipe.co_teacher
    each = leading.answer_bytes(len(data.classes), few=few)
    one = data.train * each
    if draft.recipe.train.views != usual or (usual + 1) * one <= ANSWERS:
        return
    views = max(0, int(ANSWERS / one) - 1)
    draft.train(views=views)
    remembered = f"{views} views take {units.bytes_text((views + 1) * one)}" if views else "with 0 it is asked in every step instead"
    draft.say(
        "train.views",
        f"The teacher's answers are remembered, {each} bytes for each view of each image: {usual} views and the plain images would take "
        f"{units.bytes_text((usual + 1) * one)} on the disk; {remembered}.",
    )


def _prior(draft: Draft, data: Data) -> None:
    prior = draft.recipe.train.prior
    if prior == "data" and data.imbalance < UNBALANCED:
        return
    (most, many), (least, few) = data.extremes
    draft.say(
        "train.prior",
        f"Which class frequencies the device will meet. Of {without_middle(most, LONGEST_NAME)} there are {many} training images, of "
        f"{without_middle(least, LONGEST_NAME)} {few} ({data.imbalance:.3g}:1). "
        'prior = "data" expects the device to meet them as often; where it meets all classes alike, "uniform" takes the frequencies off the '
        "teacher's answers and balances the last phase.",
    )


def _phase(place: int, phase: Phase) -> str:
    """What a phase does, in words."""
    subset = "all images" if phase.subset is None else f"{units.percent_text(phase.subset.fraction, 0)} of the images ({phase.subset.by})"
    shown = "as they are" if phase.plain else "augmented"
    heat = phase.temperature
    at = f"temperatures from {heat.start:g} to {heat.end:g}" if isinstance(heat, Temperature) else f"a temperature of {heat:g}"
    return f"Phase {place + 1}: {subset}, {shown}" + (f"; answers are compared at {at}." if phase.soft else "; labels alone.")


# Targets --------------------------------------------------------------------------------------------------------------


def _targets(draft: Draft, sight: Sight) -> None:
    for aim in sight.targets:
        measured = f"measured on {'this machine' if aim.host == 'local' else aim.host}" if aim.host else "not measured, as it has no host"
        draft.say("on", f"{aim.target}: {aim.description}; {measured}.")
