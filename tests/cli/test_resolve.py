"""What was typed → the recipe in force."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.cli.options import Flags
from edgekd.cli.resolve import origin, parse_size, recipe_from, run_name
from edgekd.errors import RecipeError, UsageError
from edgekd.phases import Temperature
from edgekd.preprocess import Stated
from edgekd.recipe import Previous, Recipe, Student, Teacher
from edgekd.recipefile import decode_recipe

HERE = Path("/desk")


def asked(start: Recipe | None = None, base: Path = HERE, **flags: Any) -> Recipe:
    """The recipe for flags typed in /desk."""
    return recipe_from(start or Recipe(), Flags(**flags), base=base, cwd=HERE)


def test_nothing_typed_is_the_default_recipe() -> None:
    """No flags change nothing."""
    assert asked() == Recipe()


def test_flags_override_the_file_and_set_overrides_the_flags() -> None:
    """The order is recipe, flags, --set."""
    start = decode_recipe('data = "npz:a.npz"\nseed = 1')
    assert asked(start).seed == 1
    assert asked(start, seed=2).seed == 2
    assert asked(start, seed=2, set=["seed=3"]).seed == 3
    assert asked(start, seed=2).data == "npz:a.npz"


def test_a_teacher_by_flags() -> None:
    """Model, weights, preprocess and classes of a brought teacher."""
    recipe = asked(
        teacher="resnet56",
        teacher_weights="r.th",
        weights_key="ema",
        teacher_mean="0.485,0.456,0.406",
        teacher_std="0.229,0.224,0.225",
        teacher_size="32",
        teacher_classes="cat,dog",
    )
    preprocess = Stated(size=(32, 32), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert recipe.teacher == Teacher(model="resnet56", weights="r.th", weights_key="ema", preprocess=preprocess, classes=["cat", "dog"])


def test_flags_change_a_recipes_teacher_and_keep_the_rest() -> None:
    """--teacher-weights without --teacher completes the recipe's own teacher."""
    start = decode_recipe('teacher = { model = "resnet56", preprocess = { mean = [0.4], std = [0.2] } }')
    teacher = asked(start, teacher_weights="r.th", teacher_size="16x24").teacher
    assert teacher == Teacher(model="resnet56", weights="r.th", preprocess=Stated(size=(16, 24), mean=(0.4,), std=(0.2,)))


def test_another_teacher_replaces_the_recipes_whole() -> None:
    """The weights of the recipe's teacher do not fit the one that was typed."""
    start = decode_recipe('teacher = { model = "resnet56", weights = "r.th" }')
    assert asked(start, teacher="resnet110").teacher == Teacher(model="resnet110")


def test_students_by_flags() -> None:
    """Several students share the weights that were typed; --no-student asks for none."""
    assert asked(student=["resnet20", "resnet8"]).student == (Student(model="resnet20"), Student(model="resnet8"))
    assert asked(student=["a"], student_weights="pretrained").student == (Student(model="a", weights="pretrained"),)
    start = decode_recipe('student = [{ model = "resnet20" }]')
    assert asked(start, student_weights="pretrained").student == (Student(model="resnet20", weights="pretrained"),)
    assert asked(start, no_student=True).student == ()


def test_a_run_to_go_on_from_by_flags() -> None:
    """Its folder and its old images are found from where edgekd was started; the recipe's other options stay."""
    assert asked(previous="runs/old", data="folder:new").previous == Previous(run="runs/old")
    assert asked(previous="runs/old", data="folder:new", replay="10 %").previous == Previous(run="runs/old", replay="10 %")
    start = decode_recipe('previous = { run = "elsewhere", weight = 0.5 }')
    assert asked(start).previous == Previous(run="elsewhere", weight=0.5)
    moved = asked(start, base=HERE / "recipes", previous="runs/old", data="folder:new", replay="folder:old").previous
    assert moved == Previous(run="../runs/old", weight=0.5, replay="folder:../old")
    assert asked(start, replay="0.2").previous == Previous(run="elsewhere", weight=0.5, replay="0.2")


def test_images_to_learn_on_from_are_named() -> None:
    """A flag, a recipe or --set names them; without any it would be the digits that edgekd has for those who name nothing."""
    with pytest.raises(UsageError, match=r"--from needs images to learn on from.*--data SPEC"):
        asked(previous="runs/old")
    assert asked(decode_recipe('data = "npz:new.npz"'), previous="runs/old").data == "npz:new.npz"
    assert asked(previous="runs/old", set=["data=npz:new.npz"]).data == "npz:new.npz"


def test_old_images_of_no_run() -> None:
    """--replay alone names nothing to go on from."""
    with pytest.raises(UsageError, match=r"and none is named\. Add --from RUN"):
        asked(replay="10 %")


def test_assistants_by_flags() -> None:
    """In the order in which they were typed, in place of the recipe's; a file is found from where edgekd was started."""
    start = decode_recipe('assistants = ["resnet32"]')
    assert asked(start).assistants == ("resnet32",)
    assert asked(start, assistant=["resnet32", "nets.py:middle"]).assistants == ("resnet32", "nets.py:middle")
    moved = recipe_from(Recipe(), Flags(assistant=["nets.py:middle", "resnet20"]), base=Path("/desk/recipes"), cwd=Path("/desk"))
    assert moved.assistants == ("../nets.py:middle", "resnet20")


def test_epochs_are_shared_out_as_before() -> None:
    """--epochs is the total, split by the recipe's ratio of 21 to 3."""
    assert [phase.epochs for phase in asked(epochs=20).phase] == [17.5, 2.5]


def test_temperature_goes_where_a_phase_holds_or_starts_it() -> None:
    """A held temperature is replaced, a falling one starts from what was typed."""
    first, second = asked(temperature=4).phase
    assert first.temperature == 4
    assert second.temperature == Temperature(start=4, end=0.5, shape="cosine")


def test_features_first() -> None:
    """A third of all epochs, before the phases as flags have changed them; not before a phase that is on features itself, nor where no teacher is."""
    first, *others = asked(features_first=True, epochs=30, temperature=4).phase
    assert (first.name, first.compares_insides, first.epochs, first.temperature) == ("inside", True, 10.0, 4.0)
    assert [(phase.name, phase.epochs) for phase in others] == [("transfer", 17.5), ("refine", 2.5)]
    assert others[0].temperature == 4
    with pytest.raises(UsageError, match="the phase 'inside' is one already"):
        asked(asked(features_first=True), features_first=True)
    with pytest.raises(UsageError, match=r"unless it is named\. Add --teacher MODEL"):
        asked(features_first=True, previous="runs/old", data="npz:new.npz")
    assert asked(features_first=True, previous="runs/old", data="npz:new.npz", teacher="resnet56").phase[0].name == "inside"


def test_targets() -> None:
    """TARGET=HOST; a bare cpu is this machine, any other bare target is not at hand."""
    assert asked(on=["cpu", "rtx-4090", "jetson=user@orin"]).on == {"cpu": "local", "rtx-4090": "", "jetson": "user@orin"}


def test_plain_settings() -> None:
    """Data, test images, size, channels, download, device and alone go in as they are."""
    recipe = asked(data="npz:a.npz", test="npz:b.npz", size="96x512", channels=1, download=True, device="cuda", alone=True)
    assert (recipe.data, recipe.test, recipe.size, recipe.channels) == ("npz:a.npz", "npz:b.npz", (96, 512), 1)
    assert (recipe.download, recipe.device, recipe.alone) == (True, "cuda", True)


@pytest.mark.parametrize(
    ("field", "typed", "moved"),
    [
        ("data", "npz:a.npz", "npz:../a.npz"),
        ("data", "npz:/d/a.npz", "npz:/d/a.npz"),
        ("data", "cifar10:d", "cifar10:../d"),
        ("data", "mine.py:data", "../mine.py:data"),
        ("data", "digits", "digits"),
        ("data", "hf:org/set", "hf:org/set"),
        ("teacher", "t.onnx", "../t.onnx"),
        ("teacher", "timm:resnet50", "timm:resnet50"),
        ("teacher", "resnet56", "resnet56"),
    ],
)
def test_typed_paths_are_seen_from_the_recipes_folder(field: str, typed: str, moved: str) -> None:
    """A flag's path is relative to where edgekd was started, a recipe's to its own folder."""
    recipe = recipe_from(Recipe(), Flags(**{field: typed}), base=HERE / "recipes", cwd=HERE)  # type: ignore[arg-type]
    assert (recipe.data if field == "data" else recipe.teacher.model if recipe.teacher else "") == moved


def test_a_targets_file_is_moved_too() -> None:
    """FILE.toml typed is seen from the recipe's folder, as a recipe's own is; a target that ships keeps its name."""
    assert asked(base=HERE / "recipes", on=["mine.toml=local", "cpu"]).on == {"../mine.toml": "local", "cpu": "local"}


def test_weights_and_classes_are_moved_too() -> None:
    """Files that describe a teacher or a student move with the rest, words do not."""
    recipe = asked(
        base=HERE / "recipes", teacher="a", teacher_weights="w/a.pth", teacher_classes="names.txt", student=["b"], student_weights="pretrained"
    )
    assert recipe.teacher == Teacher(model="a", weights="../w/a.pth", classes="../names.txt")
    assert recipe.student == (Student(model="b", weights="pretrained"),)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"size": "96*512"}, "--size takes height x width in pixels, as in 96x512 or 224, got '96*512'"),
        ({"channels": 2}, "--channels takes 1 (grey) or 3 (colour), got 2"),
        ({"teacher_weights": "a.pth"}, "--teacher-weights describes a teacher, and none is named. Add --teacher MODEL."),
        ({"teacher": "a", "teacher_mean": "0.5"}, "--teacher-mean and --teacher-std stand together"),
        ({"teacher": "a", "teacher_colour": "gray"}, "--teacher-colour takes rgb, bgr, grey, got 'gray'"),
        ({"teacher": "a", "teacher_mean": "x", "teacher_std": "1"}, "--teacher-mean takes a number per channel"),
        ({"no_student": True, "student": ["a"]}, "--no-student leaves the teacher alone"),
        ({"student_weights": "pretrained"}, "--student-weights starts a student from weights, and none is named. Add --student MODEL."),
        ({"on": ["=host"]}, "--on takes TARGET or TARGET=HOST"),
        ({"on": ["cpu", "cpu=local"]}, "each target once"),
        ({"teacher": "answers", "teacher_weights": "w.pth"}, "answers are no network, and of them nothing can be said but a prior"),
        ({"no_student": True, "assistant": ["a"]}, "assistants teach students, so they need one"),
        ({"epochs": 0.0}, "--epochs takes a number above 0, got 0"),
        ({"temperature": -1.0}, "--temperature takes a number above 0, got -1"),
    ],
)
def test_flags_that_do_not_read(flags: dict[str, Any], message: str) -> None:
    """Each says the rule, the value and the remedy."""
    with pytest.raises(UsageError) as caught:
        asked(**flags)
    assert message in str(caught.value)


def test_a_preprocess_that_cannot_be() -> None:
    """A deviation of 0 is refused in the recipe's words."""
    with pytest.raises(RecipeError, match="std must be above 0 in every channel"):
        asked(teacher="a", teacher_mean="0.5", teacher_std="0")


def test_a_setting_with_a_misspelt_key() -> None:
    """--set names the nearest known key."""
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        asked(set=["phase.0.epoch=3"])


@pytest.mark.parametrize(
    ("recipe", "data", "name"),
    [
        (Path("recipes/cameras.toml"), "digits", "cameras"),
        (None, "digits", "digits"),
        (None, "npz:../images/cifar10.npz", "cifar10"),
        (None, "folder:photos/pets/", "pets"),
        (None, "csv:a/labels.csv", "labels"),
        (None, "npz:runs/label-street/labelled.npz", "label-street-labelled"),
        (None, "npz:labelled.npz", "run-labelled"),
        (None, "cifar10:somewhere", "cifar10"),
        (None, "hf:org/beans", "beans"),
        (None, "code/mine.py:images", "mine"),
        (None, "folder:.", "run"),
        (None, "folder:meine Bilder", "meine-Bilder"),
    ],
)
def test_a_run_is_called_after_its_recipe_or_data(recipe: Path | None, data: str, name: str) -> None:
    """NAME in runs/NAME."""
    assert run_name(recipe, data) == name


def test_the_origin_moves_with_recipe_and_run(tmp_path: Path) -> None:
    """A checkout that lies elsewhere tomorrow is still the same run; another recipe of the same name is not."""
    first = origin(tmp_path / "a/r.toml", Recipe(), tmp_path / "a/runs/r")
    assert first == origin(tmp_path / "b/r.toml", Recipe(), tmp_path / "b/runs/r") == "recipe ../../r.toml"
    assert origin(tmp_path / "a/other/r.toml", Recipe(), tmp_path / "a/runs/r") != first


def test_the_origin_of_flags() -> None:
    """Without a recipe, data and teacher tell runs apart."""
    assert origin(None, Recipe(), Path("runs/digits")) == "data digits, teacher of edgekd"
    assert origin(None, Recipe(teacher=Teacher(model="resnet56")), Path("runs/digits")) == "data digits, teacher resnet56"


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_sizes_read_back(height: int, width: int) -> None:
    """Any size that is written as HxW reads as (H, W), and one number as a square."""
    assert parse_size(f"{height}x{width}", "--size") == (height, width)
    assert parse_size(f"{height}", "--size") == (height, height)


def test_an_imbalance_is_a_number_from_1_on() -> None:
    """It reaches the recipe; what is none is refused in the flag's own name."""
    assert asked(imbalance=100.0).imbalance == 100
    for typed in (0.5, 0.0, -10.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"--imbalance takes a number of 1 or more, as in 100 for 100:1, got"):
            asked(imbalance=typed)
