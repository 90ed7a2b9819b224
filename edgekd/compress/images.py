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
from edgekd.models.blackbox import layout
from edgekd.models.weightfile import read_metadata
from edgekd.models.zoo import published_preprocess
from edgekd.preprocess import Preprocess, carried_preprocess
from edgekd.recipe import Recipe, Student, Teacher


def brings(spec: Teacher | Student) -> bool:
    """Whether a network comes with weights."""
    return spec.weights is not None or spec.model.endswith((".onnx", ".safetensors"))


def teachers_preprocess(teacher: Teacher, base: Path) -> Preprocess | None:
    """How the teacher wants its images, as far as that is known before it is built: as stated, published, or carried by its file."""
    known = _carried(teacher, base)
    found = known if teacher.preprocess is None else teacher.preprocess.over(known or Preprocess())
    if found is None or found.size is not None or not teacher.model.endswith(".onnx"):
        return found
    return msgspec.structs.replace(found, size=_only_size(base / teacher.model))


def _only_size(file: Path) -> tuple[int, int] | None:
    """Height and width in pixels of an ONNX file's first input, where it takes one size alone."""
    shape = next((tensor.shape for tensor in graph.summary(file).inputs), None)
    return layout(shape, file)[2] if shape is not None and len(shape) == 4 else None


def weights_preprocess(spec: Teacher | Student, base: Path) -> Preprocess | None:
    """How a network that comes with weights is to be built: None where the recipe says nothing of it. What it leaves out is as the weights say, but
    for the size, which need not be the one that they were taught at.

    Raises:
        UsageError: neither the recipe nor the weights say mean and std.
    """
    stated = spec.preprocess
    if stated is None:
        return None
    known = _carried(spec, base)
    if known is None and stated.mean is None:
        raise UsageError(
            f"how brought weights want their images must be stated whole; the preprocess of {spec.model} has no mean and std, and nor have its "
            "weights. Add both; by flags --teacher-mean and --teacher-std."
        )
    return stated.over(msgspec.structs.replace(known or Preprocess(), size=None, resize=None, crop=None))


def _carried(spec: Teacher | Student, base: Path) -> Preprocess | None:
    """What the weights themselves, or who publishes them, say."""
    if spec.model.endswith(".onnx"):
        return carried_preprocess(graph.summary(base / spec.model).metadata, base / spec.model)
    if spec.model.endswith(".safetensors") or (spec.weights or "").endswith(".safetensors"):
        file = base / (spec.model if spec.model.endswith(".safetensors") else spec.weights or "")
        return carried_preprocess(read_metadata(file), file)
    return published_preprocess(spec.model, spec.weights)


def load_images(recipe: Recipe, base: Path, emit: Emit, *, cut: Preprocess | None, like: Old | None = None) -> source.Source:
    """The recipe's images. Pictures are held at the size that the recipe states or their `cut` (`cut_of`), and cut so; arrays as they are. Where
    students go on, all are held `like` that run's.

    Raises:
        UsageError: the recipe states another size or colour than that run had. Else as `source.load`.
    """
    height, width, channels = like.data.shape if like is not None else (0, 0, 0)
    size = recipe.size or (cut.size if cut is not None and source.of_pictures(recipe.data) else None)
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
        known=like.classes if like is not None and recipe.previous is not None else (),
        validation=_share("train.validation", recipe.train.validation),
        test=recipe.test,
        imbalance=recipe.imbalance,
        crop_fraction=1.0 if cut is None else cut.crop_fraction,
        download=recipe.download,
        several=recipe.task == "multilabel",
        base=base,
        emit=emit,
    )
    return flipped(found, _share("label_noise", recipe.label_noise))


def _share(key: str, value: str | float) -> float:
    """A share that the recipe has under `key`, which an error names."""
    try:
        return units.parse_fraction(value)
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from None


def cut_of(recipe: Recipe, base: Path, before: Old | None) -> Preprocess | None:
    """How pictures are cut: as the teacher wants them, or else as they were in the run before; None where nothing says how, and they are not cut."""
    if recipe.teacher is not None:
        return teachers_preprocess(recipe.teacher, base)
    return None if before is None else cut_before(before)


def cut_before(run: Old) -> Preprocess | None:
    """How the pictures of a run that stands were cut; where its teacher's file is gone, its students say it."""
    try:
        return cut_of(run.recipe, run.base, run.before)
    except EdgekdError:
        return next((student.preprocess for student in run.students.values()), None)


def target_images(recipe: Recipe, base: Path, images: source.Source, emit: Emit, *, cut: Preprocess | None) -> Target | None:
    """The images of the recipe's domain, as the run's own are held (`load_images`): of their size and channels, pictures cut alike.

    Raises:
        UsageError, MissingError: as `target.load`.
    """
    if recipe.domain is None:
        return None
    return load_target(
        recipe.domain.target,
        test=recipe.domain.test,
        classes=images.classes,
        shape=images.train.shape,
        crop_fraction=1.0 if cut is None else cut.crop_fraction,
        download=recipe.download,
        base=base,
        emit=emit,
    )
