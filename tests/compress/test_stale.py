"""What makes a finished stage stale: everything that decides its result, and nothing else."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekd.compress import files
from edgekd.compress.images import cut_of, load_images, teachers_preprocess, weights_preprocess
from edgekd.errors import UsageError
from edgekd.events import Event, StageFinished, silent
from edgekd.limit import Limit
from edgekd.models.weightfile import read_metadata
from edgekd.models.zoo import published_classes
from edgekd.preprocess import Preprocess, Stated, carried_preprocess
from edgekd.recipe import Recipe, Teacher
from tests.compress.jobs import recipe, run, workplace
from tests.compress.test_ensemble import halves
from tests.toys import brightness


def done(told: list[Event]) -> list[str]:
    """The stages that were not taken from the shelf."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A workplace of its own for each test."""
    return workplace(tmp_path)


def test_a_teacher_that_sees_its_images_otherwise_teaches_anew(base: Path) -> None:
    """Its weights are the same, its answers are not: the student learns again."""
    run(base, recipe(), verb="teach", out="first")
    (weights,) = (base / "first").glob("teach-*/weights.safetensors")
    train = msgspec.structs.replace(recipe().train, teacher_epochs=None)
    for mean, stages in ((0.50, ["teach", "distill/thin"]), (0.50, []), (0.52, ["teach", "distill/thin"])):
        seen = Stated(size=(8, 8), mean=(mean,), std=(0.25,))
        spec = Teacher(model="nets.py:wide", weights=str(weights), preprocess=seen)
        _, told = run(base, recipe(teacher=spec, train=train), verb="distill")
        assert done(told) == stages


def test_code_that_changed_under_its_name_is_another_network(base: Path) -> None:
    """Another activation has the same weights and computes something else."""
    run(base, recipe(), verb="export_files")
    text = (base / "nets.py").read_text()
    (base / "nets.py").write_text(text.replace("nn.ReLU()", "nn.LeakyReLU(0.3)"))
    _, told = run(base, recipe(), verb="export_files")
    assert done(told) == ["teach", "distill/thin", "export/teacher-wide", "export/student-thin"]


def test_answers_of_a_teacher_whose_code_changed_are_not_remembered(base: Path) -> None:
    """The weights that it came with are the same, and what it makes of them is not."""
    run(base, recipe(), verb="teach", out="first")
    (weights,) = (base / "first").glob("teach-*/weights.safetensors")
    job = recipe(teacher=Teacher(model="nets.py:wide", weights=str(weights)), train=msgspec.structs.replace(recipe().train, teacher_epochs=None))
    for more in ("", "\n# the same, and who knows"):
        (base / "nets.py").write_text((base / "nets.py").read_text() + more)
        run(base, job, verb="distill")
    assert len(list((base / "run" / "remembered").iterdir())) == 2


def test_scores_from_before_they_held_more_are_made_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is."""
    run(base, recipe(), verb="evaluate_files")
    monkeypatch.setattr(files, "_SCORED", files._SCORED + 1)
    _, told = run(base, recipe(), verb="evaluate_files")
    assert done(told) == ["evaluate/teacher-wide-fp32", "evaluate/student-thin-fp32"]


def test_the_student_alone_stays_in_the_report(base: Path) -> None:
    """Whatever step is asked for next."""
    first, _ = run(base, recipe(alone=True), verb="distill")
    again, told = run(base, recipe(alone=True), verb="teach")
    assert ([network.role for network in again.networks], done(told)) == ([network.role for network in first.networks], [])


def test_nothing_ships_that_was_not_scored(base: Path) -> None:
    """bench alone times the files and chooses none."""
    report, _ = run(base, recipe(on={"cpu": "local"}), verb="bench_files")
    assert len(report.measurements) == 2
    assert report.shipped == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limit": (Limit(size="4 flurbs"),)}, "limit size: a size is written as"),
        ({"max_drop": "much"}, "a share is written as"),
        ({"train": msgspec.structs.replace(recipe().train, prior={"above": 1.0})}, "train.prior names each class of the data once"),
    ],
)
def test_what_does_not_read_is_refused_before_anything_is_taught(changes: dict[str, object], words: str, base: Path) -> None:
    """Hours of training are not lost to a misspelt limit."""
    with pytest.raises(UsageError, match=words):
        run(base, recipe(**changes))
    assert not list((base / "run").glob("teach*"))


def test_arrays_are_held_as_they_are(base: Path) -> None:
    """Whatever a published teacher's own pictures were cut to."""
    teacher = Teacher(model="resnet18", weights="pretrained")
    recipe = Recipe(data="npz:images.npz", teacher=teacher)
    images = load_images(recipe, base, silent, cut=cut_of(recipe, base, None))
    with np.load(base / "images.npz") as archive:
        assert np.array_equal(images.test.read(np.arange(len(images.test))), archive["x_test"])


def test_a_teachers_size_is_known_before_it_is_built(base: Path) -> None:
    """Published, carried by its file, or stated; what was stated without a size takes the size from there."""
    published = teachers_preprocess(Teacher(model="resnet18", weights="pretrained"), base)
    assert published is not None
    assert (published.size, published.crop, published.resize) == ((224, 224), 224, 256)
    stated = teachers_preprocess(Teacher(model="resnet18", weights="pretrained", preprocess=Stated(mean=(0.1,), std=(0.2,))), base)
    assert stated == msgspec.structs.replace(published, mean=(0.1,), std=(0.2,))
    sized = teachers_preprocess(Teacher(model="resnet18", weights="pretrained", preprocess=Stated(size=(64, 64))), base)
    assert sized == msgspec.structs.replace(published, size=(64, 64), crop=None, resize=None)
    file = halves(base / "halves.onnx").name
    taken = teachers_preprocess(Teacher(model=file, preprocess=Stated(mean=(0.1,), std=(0.2,))), base)
    assert taken == Preprocess(size=(12, 10), mean=(0.1,), std=(0.2,), colour="grey")
    carried = teachers_preprocess(Teacher(model=brightness(base / "teacher.onnx").name), base)
    assert carried is not None
    assert carried.size == (4, 4)
    assert teachers_preprocess(Teacher(model="resnet20"), base) is None


def test_published_weights_for_other_classes_get_a_new_head() -> None:
    """A thousand classes are ImageNet's; a small network has no published weights."""
    assert published_classes("resnet18") == 1000
    assert published_classes("resnet20") is None


def test_what_a_recipe_leaves_out_is_as_the_weights_say(base: Path) -> None:
    """A size or a colour alone leaves mean and std as they were; the size that weights were taught at does not bind."""
    pretrained = Teacher(model="resnet18", weights="pretrained", preprocess=Stated(size=(64, 64), colour="bgr"))
    known = weights_preprocess(pretrained, base)
    assert known is not None
    assert (known.size, known.crop, known.colour, known.mean, known.std) == ((64, 64), None, "bgr", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert weights_preprocess(Teacher(model="resnet18", weights="pretrained"), base) is None
    shifted = weights_preprocess(Teacher(model="resnet18", weights="pretrained", preprocess=Stated(mean=(0.1,), std=(0.2,))), base)
    assert shifted == Preprocess(mean=(0.1,), std=(0.2,))


def test_a_size_alone_of_weights_that_say_nothing_is_refused(base: Path) -> None:
    """Nothing is guessed for mean and std."""
    spec = Teacher(model="nets.py:wide", weights="wide.pth", preprocess=Stated(size=(8, 8)))
    with pytest.raises(UsageError, match=r"the preprocess of nets.py:wide has no mean and std, and nor have its weights"):
        weights_preprocess(spec, base)


def test_a_network_that_is_taught_here_takes_mean_and_std_from_the_images(base: Path) -> None:
    """A stated size changes nothing of them."""
    job = recipe(teacher=Teacher(model="nets.py:wide", preprocess=Stated(size=(10, 10))))
    run(base, job, verb="teach", out="sized")
    run(base, recipe(), verb="teach", out="plain")
    large, own = (
        carried_preprocess(read_metadata(file), file) for name in ("sized", "plain") for file in (base / name).glob("teach-*/weights.safetensors")
    )
    assert own is not None
    assert large == msgspec.structs.replace(own, size=(10, 10))
    assert own.mean != (0.5,)
