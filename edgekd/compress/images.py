"""The images of a recipe, held as its networks want them.

In: the recipe, and the run before where students go on from one. Out: the data's `Source`, and a domain's `Target`, of one size and cut alike. How a
teacher wants its images is looked up here before it is built, since pictures are cut when they are read.
"""

from pathlib import Path

import msgspec

from edgekd import graph, units
from edgekd.compress.previous import Old
from edgekd.data import source
from edgekd.data.noise import flipped
from edgekd.data.target import Target
from edgekd.data.target import load as load_target
from edgekd.errors import EdgekdError, UsageError
from edgekd.events import Emit
from edgekd.models.weights import read_metadata
from edgekd.models.zoo import published_preprocess
from edgekd.recipe import Recipe, Student, Teacher
from edgekd.record import Preprocess, carried_preprocess

PICTURES = ("folder:", "csv:", "hf:")
"""How data is named whose images have a size of their own, which they are cut from."""


def brings(spec: Teacher | Student) -> bool:
    """Whether a network comes with weights."""
    return spec.weights is not None or spec.model.endswith((".onnx", ".safetensors"))


def teachers_preprocess(teacher: Teacher, base: Path) -> Preprocess | None:
    """How the teacher wants its images, as far as that is known before it is built: as stated, published, or carried by its file.

    What was stated without a size takes size and crop from what is known otherwise.
    """
    carried = None
    if teacher.model.endswith(".onnx"):
        carried = carried_preprocess(graph.summary(base / teacher.model).metadata, base / teacher.model)
    elif teacher.model.endswith(".safetensors") or (teacher.weights or "").endswith(".safetensors"):
        file = base / (teacher.model if teacher.model.endswith(".safetensors") else teacher.weights or "")
        carried = carried_preprocess(read_metadata(file), file)
    else:
        carried = published_preprocess(teacher.model, teacher.weights)
    stated = teacher.preprocess
    if stated is None or carried is None or stated.size is not None:
        return stated or carried
    return msgspec.structs.replace(stated, size=carried.size, resize=carried.resize, crop=carried.crop)


def load_images(recipe: Recipe, base: Path, emit: Emit, *, like: Old | None = None) -> source.Source:
    """The recipe's images. Pictures are held at the size that the recipe or the teacher states, cut as it cuts them; arrays as they are. Where
    students go on, all are held `like` that run's, and cut as its teacher cut them if this one has none.

    Raises:
        UsageError: the recipe states another size or colour than that run had. Else as `source.load`.
    """
    pictures = recipe.data.startswith(PICTURES)
    stated = _cut(recipe, base, like) if pictures else None
    height, width, channels = like.data.shape if like is not None else (0, 0, 0)
    size = recipe.size or (None if stated is None else stated.size)
    if like is not None:
        if recipe.size not in (None, (height, width)) or recipe.channels not in (None, channels):
            raise UsageError(
                f"students go on with images as they know them, {height}x{width} and {'grey' if channels == 1 else 'in colour'} as in {like.folder}; "
                "others are brought to that by themselves. Leave size and channels out."
            )
        size = height, width
    found = source.load(
        recipe.data,
        size=size,
        channels=recipe.channels if like is None else channels,
        fewest=2 if like is None else 1,
        validation=units.parse_fraction(recipe.train.validation),
        test=recipe.test,
        imbalance=recipe.imbalance,
        crop_fraction=1.0 if stated is None else stated.crop_fraction,
        download=recipe.download,
        several=recipe.task == "multilabel",
        base=base,
        emit=emit,
    )
    return flipped(found, units.parse_fraction(recipe.label_noise))


def _cut(recipe: Recipe, base: Path, before: Old | None) -> Preprocess | None:
    """How pictures are cut: as the teacher wants them, or else the teacher of the run before, as far as its file is there."""
    if recipe.teacher is not None:
        return teachers_preprocess(recipe.teacher, base)
    try:
        return None if before is None else _cut(before.recipe, before.base, before.before)
    except EdgekdError:
        return None


def target_images(recipe: Recipe, base: Path, images: source.Source, emit: Emit, *, like: Old | None = None) -> Target | None:
    """The images of the recipe's domain, as the run's own are held (`load_images`): of their size and channels, pictures cut alike.

    Raises:
        UsageError, MissingError: as `target.load`.
    """
    if recipe.domain is None:
        return None
    stated = _cut(recipe, base, like) if recipe.domain.target.startswith(PICTURES) else None
    return load_target(
        recipe.domain.target,
        test=recipe.domain.test,
        classes=images.classes,
        shape=images.train.shape,
        crop_fraction=1.0 if stated is None else stated.crop_fraction,
        download=recipe.download,
        base=base,
        emit=emit,
    )
