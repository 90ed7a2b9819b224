"""Stored answers instead of a teacher: the students learn from what stands beside the images, and no teacher is built, shipped or compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.compress import plan
from edgekd.errors import RecipeError, UsageError
from edgekd.limit import Limit
from edgekd.phases import Phase
from edgekd.recipe import Recipe, Teacher
from edgekd.recipefile import decode_recipe
from edgekd.terms import Feature
from tests.compress.jobs import images, recipe, run, workplace


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace whose answered.npz has labels at random, answers that are right, and test images that people labelled."""
    folder = workplace(tmp_path_factory.mktemp("work"))
    x_train, right = images(240, 1)
    x_test, y_test = images(90, 2)
    logits = 4.0 * np.eye(3)[right] + np.random.default_rng(0).normal(size=(240, 3))
    guessed = np.random.default_rng(1).permutation(right)
    classes = np.array(["above", "below", "left"])
    arrays: dict[str, Any] = {"x_train": x_train, "y_train": guessed, "x_test": x_test, "y_test": y_test, "classes": classes}
    np.savez(folder / "answered.npz", **arrays, logits_train=logits)
    return folder


def stored(**changes: Any) -> Recipe:
    """The quick job with answers in the teacher's place."""
    return recipe(**{"data": "npz:answered.npz", "teacher": Teacher(model="answers"), **changes})


def test_the_students_learn_what_was_answered(base: Path) -> None:
    """Against labels at random; alone they learn nothing. The report has no teacher, and says what taught and how often the labels agree with it."""
    report, _ = run(base, stored(alone=True))
    by = {network.role: network for network in report.networks}
    assert "teacher" not in by
    assert [artifact.network for artifact in report.artifacts] == ["thin"]
    scored = {score.artifact: score.metrics["accuracy"].value for score in report.scores if score.split == "test"}
    assert min(scored.values()) > 0.8
    alone = by["alone"].test_accuracy
    assert alone is not None
    assert alone.value < 0.6
    assert any("learn from the answers that stand beside" in note and "first choice is the label of" in note for note in report.notes)


def test_a_dry_run_of_teaching_has_nobody_to_teach(base: Path) -> None:
    """Nor memory to need for it."""
    assert [line.split()[0] for line in plan(stored(), base=base, work="teach") if line[0] != " "] == ["data", "time"]


def test_it_goes_on_and_other_answers_teach_anew(base: Path) -> None:
    """A second run takes the student from the shelf; where one answer differs, it does not."""

    def reused(told: list[Any]) -> list[bool]:
        return [event.reused for event in told if getattr(event, "stage", "").startswith("distill/") and hasattr(event, "reused")]

    assert reused(run(base, stored(), out="again")[1]) == [False]
    assert reused(run(base, stored(), out="again")[1]) == [True]
    with np.load(base / "answered.npz") as found:
        arrays = dict(found)
    arrays["logits_train"][0] *= 2
    np.savez(base / "other.npz", **arrays)
    (base / "answered.npz").replace(base / "kept.npz")
    (base / "other.npz").replace(base / "answered.npz")
    assert reused(run(base, stored(), out="again")[1]) == [False]
    (base / "kept.npz").replace(base / "answered.npz")


def test_a_dry_run_names_no_teacher(base: Path) -> None:
    """The student stands there with its time."""
    lines = plan(stored(), base=base)
    assert not any(line.startswith("teacher") for line in lines)
    assert any(line.startswith("student   thin") for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "npz:images.npz"}, r"takes the answers from beside the training images, and npz:images\.npz has none.*edgekd label.*logits_train"),
        ({"student": None}, r"stored answers have none\. Name one with --student"),
        ({"student": ()}, r"stored answers become no files, .* Take --no-student away, and name one"),
        (
            {"limit": (Limit(artifact="shipped", accuracy_drop="1 point"),)},
            r"a limit on accuracy_drop compares with the teacher, and no network teaches",
        ),
        ({"limit": (Limit(artifact="shipped", relative={"size": 0.5}),)}, r"a limit on relative compares"),
        ({"phase": (Phase(name="deep", epochs=1, terms=(Feature(),)),)}, r"look inside a teacher need one network.*'deep' has feature"),
    ],
)
def test_what_answers_cannot_do(base: Path, changes: dict[str, Any], message: str) -> None:
    """Data that has none, and features that they have none of, are refused before anything is taught."""
    with pytest.raises(UsageError, match=message):
        run(base, stored(**changes), out="refused")


def test_there_is_nothing_to_teach(base: Path) -> None:
    """`teach` is for networks."""
    with pytest.raises(UsageError, match=r"stored answers are no network that could be taught"):
        run(base, stored(), verb="teach", out="taught")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('teacher = { model = "answers", weights = "w.pth" }', "answers are no network"),
        ('student = [{ model = "resnet8" }]\nteacher = { model = "answers" }\nco_teacher = [{ model = "resnet20" }]', "leave co_teacher out"),
        ('student = [{ model = "resnet8" }]\nco_teacher = [{ model = "answers" }]', "a co-teacher is a network that answers"),
        ('student = [{ model = "resnet8" }]\nteacher = { model = "answers" }\nprevious = { run = "x" }', r"leave previous \(--from\) out, got 'x'"),
    ],
)
def test_recipes_that_cannot_be(text: str, message: str) -> None:
    """Weights of answers, students that nobody named, answers beside other teachers."""
    with pytest.raises(RecipeError, match=message):
        decode_recipe(f'data = "npz:x.npz"\n{text}\n', "recipe.toml")
