"""Teacher → assistant → student: each step a stage that stands, goes on where it was stopped, and is told with its gap."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from edgekd import compress as verbs
from edgekd.compress.teacher import doubt_chance
from edgekd.data.images import Images
from edgekd.errors import RecipeError, UsageError
from edgekd.events import Event, StageFinished, Trained
from edgekd.files import sha256_file
from edgekd.recipe import Recipe
from edgekd.recipefile import decode_recipe
from edgekd.record import Report
from edgekd.report.columns import tables
from tests.compress.jobs import NETS, PHASES, recipe, run, workplace

CHAIN = ("nets.py:middle", "nets.py:small")
BETWEEN = "\ndef middle(classes):\n    return net(10, classes)\n\ndef small(classes):\n    return net(6, classes)\n"


def done(told: list[Event]) -> list[str]:
    """The stages that were not taken from the shelf."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


def place(folder: Path) -> Path:
    """A workplace with two more networks, between wide and thin."""
    workplace(folder)
    (folder / "nets.py").write_text(NETS + BETWEEN)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace that the tests of this module share."""
    return place(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def whole(base: Path) -> tuple[Report, list[Event]]:
    """Two assistants between teacher and student."""
    return run(base, recipe(assistants=CHAIN), verb="distill")


def weights(folder: Path, stage: str) -> str:
    """The hash of what a network of a run learnt."""
    (file,) = folder.glob(f"{stage}-*/weights.safetensors")
    return sha256_file(file)


def test_each_assistant_is_a_stage_and_stands_in_the_report(whole: tuple[Report, list[Event]]) -> None:
    """In the order in which they teach, tested once each."""
    report, told = whole
    assert [(network.role, network.name) for network in report.networks] == [
        ("teacher", "wide"), ("assistant", "middle"), ("assistant", "small"), ("student", "thin"),
    ]  # fmt: skip
    assert done(told) == ["teach", "assist/middle", "assist/small", "distill/thin"]
    for network in report.networks[1:3]:
        assert network.training.how == "distilled"
        assert network.training.curve
        assert network.test_accuracy is not None
        assert network.test_accuracy.value > 0.6


def test_the_report_shows_the_gap_of_each_step(whole: tuple[Report, list[Event]], base: Path) -> None:
    """As points behind the one before and behind the teacher; the page has the table and the curves, too."""
    report, _ = whole
    (table,) = tables(report)
    assert table.title == "From teacher to student"
    found = {column.head: column.cells for column in table.columns}
    assert found["network"] == ["teacher/wide", "assistant/middle", "assistant/small", "student/thin"]
    right = [network.valid_accuracy or 0.0 for network in report.networks]
    gaps = [100 * (before - own) for before, own in itertools.pairwise(right)]
    assert [float(cell.replace("−", "-")) for cell in found["behind, points"][1:]] == pytest.approx(gaps, abs=0.06)
    assert float(found["in all, points"][-1].replace("−", "-")) == pytest.approx(100 * (right[0] - right[-1]), abs=0.06)
    page = (base / "run" / "report.html").read_text()
    assert "From teacher to student" in page
    assert "middle, an assistant" in page


def test_a_second_time_nothing_is_done_again(whole: tuple[Report, list[Event]], base: Path) -> None:
    """And `teach` alone tells of every step, though it does none."""
    report, _ = whole
    again, told = run(base, recipe(assistants=CHAIN), verb="teach")
    assert (done(told), again.networks) == ([], report.networks)


def test_only_what_comes_after_a_change_is_done_again(whole: tuple[Report, list[Event]], base: Path) -> None:
    """Without the last assistant the first teaches the student; with them in another order all is learnt anew but the teacher."""
    _, told = run(base, recipe(assistants=CHAIN[:1]), verb="distill")
    assert done(told) == ["distill/thin"]
    _, told = run(base, recipe(assistants=CHAIN[::-1]), verb="distill")
    assert done(told) == ["assist/small", "assist/middle", "distill/thin"]
    _, told = run(base, recipe(), verb="distill")
    assert done(told) == ["distill/thin"]


def test_a_student_learns_from_the_last_assistant(whole: tuple[Report, list[Event]], base: Path) -> None:
    """Not from the teacher: with an assistant between, it ends with other weights, and its stage knows who taught it."""
    run(base, recipe(), verb="distill")
    stages = [msgspec.json.decode(file.read_bytes())["inputs"]["lesson"]["teacher"] for file in (base / "run").glob("distill/thin-*/stage.json")]
    assert len(stages) == len(set(stages)) >= 2
    assert len({sha256_file(file) for file in (base / "run").glob("distill/thin-*/weights.safetensors")}) == len(stages)


class Killed(BaseException):
    """As SIGKILL would leave a run: with its last checkpoint, and nothing done at the end."""


def killed(base: Path, job: Recipe, network: str, step: int) -> None:
    """A run that ends as soon as it told of that step of a network."""

    def emit(event: Event) -> None:
        if isinstance(event, Trained) and event.network == network and event.step >= step:
            raise Killed

    with pytest.raises(Killed):
        verbs.distill(job, folder=base / "run", origin="test", base=base, emit=emit)


def test_a_run_killed_at_every_step_ends_with_the_same_bits(whole: tuple[Report, list[Event]], base: Path, tmp_path: Path) -> None:
    """In the first assistant, in the second phase of the second, in the student: each time it goes on from the checkpoint of that very network."""
    place(tmp_path)
    for network, stage, step in (("middle", "assist", 20), ("small", "assist", 45), ("thin", "distill", 20)):
        killed(tmp_path, recipe(assistants=CHAIN, checkpoint_s=0.0), network, step)
        (checkpoint,) = (tmp_path / "run").rglob(".checkpoint.pt")
        assert checkpoint.parent.relative_to(tmp_path / "run").as_posix().startswith(f"{stage}/{network}-")
    _, told = run(tmp_path, recipe(assistants=CHAIN), verb="distill")
    assert done(told) == ["distill/thin"]
    undisturbed = {sha256_file(file) for file in (base / "run").rglob("weights.safetensors")}
    assert {weights(tmp_path / "run", stage) for stage in ("assist/middle", "assist/small", "distill/thin")} <= undisturbed
    assert not list((tmp_path / "run").rglob(".checkpoint.pt"))


def test_a_corrected_prior_is_taken_off_once(base: Path) -> None:
    """Off the teacher's answers; what the assistant learnt of them is for the device already."""
    train = msgspec.structs.replace(recipe().train, prior="uniform")
    run(base, recipe(assistants=CHAIN[:1], train=train), verb="distill", out="uniform")
    inputs: dict[str, Any] = {
        kind: msgspec.json.decode(next((base / "uniform").glob(f"{kind}-*/stage.json")).read_bytes())["inputs"]["lesson"]
        for kind in ("assist/middle", "distill/thin")
    }
    assert inputs["assist/middle"]["frequencies"] is not None
    assert inputs["distill/thin"]["frequencies"] is None


def test_an_assistant_that_learnt_nothing_is_doubted(base: Path) -> None:
    """What it teaches the student is nothing; said with how it would learn longer."""
    job = recipe(assistants=CHAIN[1:], phase=(msgspec.structs.replace(PHASES[0], epochs=0.1),))
    report, _ = run(base, job, verb="distill", out="doubted")
    assert any(doubt.startswith("the assistant small has") and doubt.endswith("teach it longer with --epochs N") for doubt in report.doubts)


@pytest.mark.parametrize(("prior", "doubted"), [("data", True), ("uniform", False)])
def test_an_assistant_for_even_classes_is_held_to_even_chance(prior: Literal["data", "uniform"], doubted: bool) -> None:
    """It has fewer images right than the commonest class alone would give, and may know every class."""
    doubts: list[str] = []
    job = recipe(train=msgspec.structs.replace(recipe().train, prior=prior))
    labels = np.repeat(np.arange(3), (90, 5, 5))
    told = SimpleNamespace(doubts=[])
    story: Any = SimpleNamespace(
        recipe=job,
        classes=["a", "b", "c"],
        images=SimpleNamespace(valid=Images(labels, np.arange(100), (8, 8, 3), pixels=np.zeros((100, 8, 8, 3), np.uint8))),
        run=SimpleNamespace(emit=lambda event: None),
        report=told,
        add=lambda doubts: told.doubts.extend(doubts),
    )
    doubt_chance(story, "the assistant x", 0.75, longer="--epochs N", by_prior=True)
    doubts += told.doubts
    assert bool(doubts) == doubted


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "words"), [("resnet9", "no network is called 'resnet9'"), ("file.onnx", "an assistant learns, and file.onnx has no")]
)
def test_an_assistant_that_cannot_learn_before_the_teacher_is_taught(tmp_path: Path, model: str, words: str) -> None:
    """With the same words as a student's."""
    with pytest.raises(UsageError, match=words):
        run(place(tmp_path), recipe(assistants=(model,)))
    assert not list((tmp_path / "run").glob("teach*"))


def test_assistants_without_students() -> None:
    """They would teach nobody."""
    with pytest.raises(RecipeError, match="assistants teach students, so they need one"):
        decode_recipe('student = []\nassistants = ["resnet20"]')


def test_a_dry_run_tells_of_every_step(base: Path) -> None:
    """What each costs; an assistant becomes no file."""
    lines = verbs.plan(recipe(assistants=CHAIN), base=base)
    (line,) = (number for number, text in enumerate(lines) if text.startswith("assistant middle: "))
    assert "steps (transfer 3 → refine 1 epochs)" in lines[line + 1]
    assert "its answers" in lines[line + 2]
    assert lines[line + 3].startswith("assistant small: ")
