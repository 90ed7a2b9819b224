"""edgekd.compress.suggest: the recipe that fits what is there, with reasons that are true."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from edgekd import stats, units
from edgekd.compress import bounds, plan, suggest
from edgekd.compress.commented import commented
from edgekd.compress.draft import Draft
from edgekd.compress.sight import Data, Pictures, pictures_of
from edgekd.compress.suggest import Suggestion
from edgekd.errors import EdgekdError, UsageError
from edgekd.events import Event, Note
from edgekd.limit import Limit
from edgekd.phases import TWO_PHASES, Augment, Train
from edgekd.preprocess import Stated
from edgekd.recipe import Export, Recipe, Student, Teacher
from edgekd.recipefile import decode_recipe
from tests.compress.jobs import PHASES, workplace
from tests.toys import brightness


def suggested(base: Path, **asked: Any) -> Suggestion:
    """A suggestion for the images in `base`, by default with the toy networks."""
    stated = {"data": "npz:images.npz", "teacher": Teacher(model="nets.py:wide"), "student": (Student(model="nets.py:thin"),), **asked}
    return suggest.suggest(Recipe(**stated), base=base)


def said(made: Suggestion, key: str) -> str:
    """What the recipe says of a key."""
    return " ".join(made.remarks.get(key, []))


def pictures(folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> None:
    """A picture of noise for each (height, width)."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(len(sizes))
    for number, size in enumerate(sizes):
        Image.fromarray(draw.integers(0, 256, (*size, 3), np.uint8)).convert(mode).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 images of three classes as many of each, 90 for testing, and networks for them."""
    return workplace(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def plain(toys: Path) -> Suggestion:
    """What is suggested for them as they are."""
    return suggested(toys)


def test_the_file_reads_back_and_its_dry_run_works(toys: Path, plain: Suggestion) -> None:
    """It is what was asked for, completed."""
    recipe = decode_recipe(commented(plain.recipe, plain.remarks))
    assert (recipe.data, recipe.teacher, recipe.student) == ("npz:images.npz", Teacher(model="nets.py:wide"), (Student(model="nets.py:thin"),))
    lines = plan(msgspec.structs.replace(recipe, phase=PHASES), base=toys)
    assert any(line.startswith("student   thin: 315 parameters") for line in lines)


def test_what_is_seen(plain: Suggestion) -> None:
    """Images by split, classes with their counts, the teacher with its parameters, MACs and bytes, the students, the targets."""
    data, teacher = plain.sight.data, plain.sight.teacher
    assert (data.train, data.valid, data.test, data.test_from, data.shape) == (216, 24, 90, "the data's own", (8, 8, 3))
    assert (data.classes, data.counts, data.imbalance) == (["above", "below", "left"], [72, 72, 72], 1)
    params = 3 * 16 * 9 + 16 + 32 + 256 * 3 + 3
    assert (teacher.model, teacher.params, teacher.size, teacher.taught, teacher.own_file) == ("wide", params, 4 * params, True, False)
    assert teacher.macs == 64 * 3 * 9 * 16 + 256 * 3
    (thin,) = plain.sight.students
    assert (thin.model, thin.params, thin.chosen) == ("thin", 3 * 4 * 9 + 4 + 8 + 64 * 3 + 3, True)
    assert thin.sizes == {"fp32": 4 * thin.params, "fp16": 2 * thin.params, "int8": thin.params}
    assert thin.fewer_macs == pytest.approx(4)
    assert [(aim.target, aim.host) for aim in plain.sight.targets] == [("cpu", "local")]


# The networks ---------------------------------------------------------------------------------------------------------


def test_a_student_is_picked_and_the_others_stand_beside(toys: Path) -> None:
    """As `compress` picks it, with the reason; none of the others does as much as the teacher."""
    made = suggested(toys, teacher=Teacher(model="resnet20"), student=None)
    assert made.recipe.student == (Student(model="resnet8"),)
    assert "resnet8 is the smallest of" in said(made, "student.0")
    assert [(offer.model, offer.chosen) for offer in made.sight.students] == [("resnet8", True), ("resnet14", False)]
    assert 'model = "resnet14": 172k parameters, files of about 688 kB (fp32)' in said(made, "student.0")


def test_without_a_teacher_it_says_how_to_bring_one(toys: Path) -> None:
    """And which one edgekd teaches instead; the recipe leaves that open."""
    made = suggested(toys, teacher=None)
    assert made.recipe.teacher is None
    assert made.sight.teacher.model == "resnet8x4"
    assert said(made, "teacher").startswith("resnet8x4: 1.21M parameters")
    assert "One of your own is written as: teacher = {" in said(made, "teacher")


def test_an_onnx_teacher_is_counted_in_its_file(tmp_path: Path) -> None:
    """It comes with its weights; its size is its file's."""
    pictures(tmp_path / "photos" / "dark", [(4, 4)] * 12, "L")
    pictures(tmp_path / "photos" / "bright", [(4, 4)] * 13, "L")
    file = brightness(tmp_path / "t.onnx")
    teacher = Teacher(model="t.onnx", classes=["dark", "bright"])
    (tmp_path / "own.py").write_text("from torch import nn\n\ndef net(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(48, classes))\n")
    made = suggested(tmp_path, data="folder:photos", teacher=teacher, student=(Student(model="own.py:net"),))
    seen = made.sight.teacher
    assert (seen.params, seen.macs, seen.size, seen.own_file, seen.taught) == (34, 32, file.stat().st_size, True, False)
    assert "comes with its weights" in said(made, "teacher")
    assert not any(getattr(term, "standardise", False) for phase in made.recipe.phase for term in phase.terms), "two classes take plain logits"
    assert any("its own file of" in line for line in plan(made.recipe, base=tmp_path))


def test_what_cannot_be_built_is_refused(toys: Path) -> None:
    """Weights of another network, two students of one name, a target that nobody knows: before a recipe is written."""
    torch.save({"other.weight": torch.zeros(3)}, toys / "other.pth")
    known = Stated(mean=(0.5,), std=(0.5,))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"teacher": Teacher(model="nets.py:wide", weights="other.pth")}, "must be stated"),
        ({"teacher": Teacher(model="nets.py:wide", weights="other.pth", preprocess=known)}, "must be this network's, and are not"),
        ({"student": (Student(model="nets.py:thin"),) * 2}, "two are called thin"),
        ({"on": {"cpuu": "local"}}, "no target is called 'cpuu'"),
    ]
    for asked, words in refused:
        with pytest.raises(EdgekdError, match=words):
            suggested(toys, **asked)


# Images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "held"),
    [
        ([(32, 32)] * 3, None),
        ([(256, 192)], None),
        ([(600, 800)] * 2, (224, 224)),
        ([(30, 40), (33, 60), (29, 29)], (32, 32)),
        ([(90, 110), (120, 100), (100, 80)], (96, 96)),
        ([(3, 4), (4, 3)], (32, 32)),
    ],
)
def test_pictures_are_held_at_the_size_that_suits_them(tmp_path: Path, sizes: list[tuple[int, int]], held: tuple[int, int] | None) -> None:
    """Those of one moderate size stay as they are; else the nearest usual square to the middle one of their shorter sides."""
    pictures(tmp_path / "photos" / "a", sizes)
    draft = Draft(Recipe(data="folder:photos"))
    suggest._hold(draft, pictures_of("folder:photos", tmp_path), tmp_path)
    assert draft.recipe.size == held
    assert ("size" in draft.remarks) == (held is not None)
    stated = Draft(Recipe(data="folder:photos", size=(7, 9)))
    suggest._hold(stated, pictures_of("folder:photos", tmp_path), tmp_path)
    assert (stated.recipe.size, stated.remarks) == ((7, 9), {})


def test_the_teachers_own_size_goes_before(tmp_path: Path) -> None:
    """What its published weights want is said, not written."""
    pictures(tmp_path / "photos" / "a", [(30, 40), (50, 20)])
    draft = Draft(Recipe(data="folder:photos", teacher=Teacher(model="resnet18", weights="pretrained")))
    suggest._hold(draft, pictures_of("folder:photos", tmp_path), tmp_path)
    assert draft.recipe.size is None
    assert draft.remarks["size"] == [
        "The images are held at 224x224, as the teacher wants them; the 2 picture files that were looked at have 2 sizes, "
        "30 to 50 pixels high and 20 to 40 wide."
    ]


def test_picture_files_are_looked_at_wherever_they_are_listed(tmp_path: Path) -> None:
    """A folder's and a csv's; broken ones are passed over; arrays have none."""
    pictures(tmp_path / "photos" / "a", [(5, 6), (7, 4)])
    (tmp_path / "photos" / "a" / "broken.png").write_text("no picture")
    (tmp_path / "list.csv").write_text("path,label\nphotos/a/0.png,x\nphotos/a/1.png,y\nphotos/a/broken.png,y\n")
    seen = Pictures(looked_at=2, sizes=2, least=(5, 4), most=(7, 6), shorter_side=4)
    assert pictures_of("folder:photos", tmp_path) == pictures_of("csv:list.csv", tmp_path) == seen
    assert [pictures_of(spec, tmp_path) for spec in ("digits", "npz:a.npz", "folder:nowhere", "csv:nowhere")] == [None] * 4


def test_where_the_test_images_come_from(tmp_path: Path) -> None:
    """The data's own, its validation images, a share that was cut off, or another set; unreadable files are counted and said."""
    for name in ("photos/train", "whole", "more"):
        for kind, side in (("a", 8), ("b", 9)):
            pictures(tmp_path / name / kind, [(8, side)] * 10)
    for kind in ("a", "b"):
        pictures(tmp_path / "photos/val" / kind, [(8, 8)] * 3)
    (tmp_path / "whole" / "a" / "bad.png").write_text("no picture")
    asked: dict[str, Any] = {"size": (8, 8)}
    assert suggested(workplace(tmp_path), data="folder:photos", **asked).sight.data.test_from.startswith("the data's validation images;")
    made = suggested(tmp_path, data="folder:whole", **asked)
    assert made.sight.data.test_from == "10 % of all, cut off as there is no test split"
    assert [Path(name).name for name in made.sight.data.unreadable] == ["bad.png"]
    assert "Left out, as they cannot be read: 1." in said(made, "data")
    assert suggested(tmp_path, data="folder:whole", test="folder:more", **asked).sight.data.test_from == "from folder:more"


# Training -------------------------------------------------------------------------------------------------------------


def test_few_images_get_more_epochs(plain: Suggestion) -> None:
    """216 images, 16 at a time, are 13 steps a pass and 312 in 24 epochs: twice as many are more than 500."""
    assert [phase.epochs for phase in plain.recipe.phase] == [2 * phase.epochs for phase in TWO_PHASES]
    assert "216 training images in batches of 16 are few: the usual 24 epochs would be 312 steps. 2 times the epochs are 624." in said(
        plain, "phase.0"
    )


def test_what_was_stated_stays(toys: Path) -> None:
    """Phases, views, augmentation and limits of a person's own."""
    train = Train(augment=Augment(crop=2), views=3)
    made = suggested(toys, phase=PHASES, train=train, limit=(Limit(size="1 MB"),), size=(8, 8))
    assert (made.recipe.phase, made.recipe.train, made.recipe.limit) == (PHASES, train, (Limit(size="1 MB"),))
    assert not {"train.augment", "train.views", "limit.0", "size"} & set(made.remarks)


def test_unbalanced_classes_get_a_word_on_the_prior(tmp_path: Path) -> None:
    """From 3:1 on. The recipe expects what the data has, and says what else there is; balanced ones are not spoken of."""
    made = suggested(workplace(tmp_path, train=300, counts=(8, 1, 1)))
    assert made.recipe.train.prior == "data"
    assert "Of above there are 216 training images, of below 27 (8:1)." in said(made, "train.prior")
    assert 'prior = "data"' in commented(made.recipe, made.remarks)


def test_under_another_prior_accuracy_has_no_limit(tmp_path: Path) -> None:
    """The last phase is the balanced one that will be in force."""
    made = suggested(workplace(tmp_path, train=300, counts=(8, 1, 1)), train=Train(prior="uniform"))
    assert made.recipe.phase[-1].subset is not None
    assert made.recipe.phase[-1].subset.by == "balanced"
    assert made.recipe.limit[0].accuracy_drop is None
    assert "balanced_accuracy" in said(made, "limit.0.accuracy_drop")


@pytest.mark.parametrize(("images", "views"), [(100_000, 8), (1_200_000, 0), (500_000, 3)])
def test_remembered_answers_must_fit(images: int, views: int) -> None:
    """Of a thousand classes: 4 GB hold so many views and the plain images, or the teacher is asked live."""
    draft = Draft(Recipe())
    classes = [str(number) for number in range(1000)]
    data = Data(
        spec="", train=images, valid=0, test=0, test_from="", shape=(64, 64, 3), pictures=None, flip=True, classes=classes,
        counts=[images // 1000] * 1000, unreadable=[], notes=[],
    )  # fmt: skip
    suggest._views(draft, data)
    assert draft.recipe.train.views == views
    assert 2 * images * 1000 * (views + 1) <= suggest.ANSWERS or views == 0
    assert ("train.views" in draft.remarks) == (views != 8)


# Limits ---------------------------------------------------------------------------------------------------------------


def test_limits_say_where_their_numbers_come_from(plain: Suggestion) -> None:
    """Size from parameters, speed from MACs, accuracy from what so many test images can show."""
    (limit,) = plain.recipe.limit
    (thin,) = plain.sight.students
    assert (limit.artifact, limit.target) == ("shipped", "cpu")
    assert limit.size == units.bytes_text(4 * thin.params * 1.1 + 20_000)
    assert limit.speedup == 2.0
    known = stats.paired_difference(2, 2, 90)[2]
    assert limit.accuracy_drop == units.points_text(math.ceil(200 * known) / 200, None)
    assert f"each of the two right on 2 that the other gets wrong, it could only be said to lose less than {units.points_text(known)}" in said(
        plain, "limit.0.accuracy_drop"
    )
    assert "Computed: 315 parameters of thin in fp32 are 1.26 kB" in said(plain, "limit.0.size")


@pytest.mark.parametrize(("test", "drop"), [(1, None), (4, None), (40, "9.5 points"), (300, "3 points"), (1000, "1.5 points"), (100_000, "1 point")])
def test_a_drop_is_bounded_as_far_as_the_images_tell(plain: Suggestion, test: int, drop: str | None) -> None:
    """An equal student would pass, whose interval lies within; too few images tell nothing, many are asked for a point."""
    draft = Draft(Recipe())
    sight = msgspec.structs.replace(plain.sight, data=msgspec.structs.replace(plain.sight.data, test=test))
    assert bounds._drop(draft, sight, "here") == drop
    if drop is not None:
        each = max(1, round(test * bounds.DISAGREEING / 2))
        assert stats.paired_difference(each, each, test)[2] <= units.parse_fraction(drop)
    assert draft.remarks["here"][0].startswith("An aim." if drop else "No limit on accuracy_drop")


def test_a_target_without_a_host_is_bounded_by_its_own_precision(toys: Path) -> None:
    """What its limit names is made here; floors are computed from its data sheet, and said so."""
    made = suggested(toys, on={"rtx-4090": ""})
    (limit,) = made.recipe.limit
    assert (limit.artifact, limit.target, limit.speedup) == ("fp16", None, None)
    (thin,) = made.sight.students
    assert thin.floors_ms["rtx-4090"] == pytest.approx(1e3 * max(2 * thin.params / 1008e9, 2 * (thin.macs or 0) / 330.3e12))
    assert "on rtx-4090 (fp16; computed from its data sheet)." in said(made, "student.0")
    assert "rtx-4090: NVIDIA GeForce RTX 4090, TensorRT for RTX; not measured, as it has no host." in said(made, "on")


def test_each_measured_target_has_its_limit(toys: Path) -> None:
    """One that is not measured has none of its own: a limit on it would be missing for ever."""
    made = suggested(toys, on={"cpu": "local", "rtx-4090": ""}, export=Export(precisions=("int8",)))
    assert [(limit.artifact, limit.target) for limit in made.recipe.limit] == [("shipped", "cpu")]
    assert "parameters of thin in int8" in said(made, "limit.0.size")


def test_a_teacher_alone_is_bounded_in_size_only(toys: Path) -> None:
    """Against itself it loses nothing and gains nothing; where nothing is taught, nothing is said of training."""
    made = suggested(toys, student=())
    (limit,) = made.recipe.limit
    assert (limit.accuracy_drop, limit.speedup) == (None, None)
    assert "the teacher's" in said(made, "limit.0.size")
    assert made.sight.students == []


def test_it_tells_what_happens_while_it_reads(toys: Path) -> None:
    """Notes reach whoever listens."""
    told: list[Event] = []
    suggest.suggest(Recipe(data="npz:images.npz", student=()), base=toys, emit=told.append)
    assert any(isinstance(event, Note) and "no teacher is named" in event.text for event in told)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    """As reading it refuses it."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(EdgekdError, match="no images under"):
        suggested(tmp_path, data="folder:empty")
    pictures(tmp_path / "one" / "only", [(8, 8)] * 3)
    with pytest.raises(UsageError, match="two classes or more"):
        suggested(tmp_path, data="folder:one")
