"""A quantised phase through the whole way: who learns in it, what is told of it, and what is refused before anybody is taught."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekd.compress import plan
from edgekd.compress.story import Story
from edgekd.compress.students import phases_of
from edgekd.errors import UsageError
from edgekd.events import Event, Note, PhaseStarted
from edgekd.phases import TWO_PHASES, Phase, Subset
from edgekd.recipe import Export, Recipe, Student
from edgekd.record import Report
from tests.compress.jobs import NETS, PHASES, recipe, run, workplace

MORE = """
import torch

def middle(classes):
    return net(8, classes)

class Means(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.gains = nn.Parameter(torch.ones(3, classes))

    def forward(self, images):
        return images.mean((2, 3)) @ self.gains

def means(classes):
    return Means(classes)
"""
LAST = Phase(name="int8", epochs=1, terms=PHASES[-1].terms, plain=True, quantised=True)


def job(**changes: Any) -> Recipe:
    """A third phase that rounds, and int8 files."""
    return recipe(**{"phase": (*PHASES, LAST), "export": Export(precisions=("fp32", "int8"), calibration_images=64), **changes})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a network between wide and thin, and one without layers."""
    folder = workplace(tmp_path_factory.mktemp("work"))
    (folder / "nets.py").write_text(NETS + MORE)
    return folder


def rounded(told: list[Event]) -> list[str]:
    """Whose phases were said to be rounded, in order."""
    started, found = "", []
    for event in told:
        if isinstance(event, PhaseStarted):
            started = event.network
        elif isinstance(event, Note) and "as int8 does" in event.text:
            found.append(started)
    return found


@pytest.fixture(scope="module")
def learnt(base: Path) -> tuple[Report, list[Event]]:
    """Teacher, assistant, student and the student alone."""
    return run(base, job(assistants=("nets.py:middle",), alone=True), verb="distill")


def test_student_and_alone_are_rounded_and_nobody_else(learnt: tuple[Report, list[Event]]) -> None:
    """Teacher and assistant get no file that would need it; all learn the phase."""
    report, told = learnt
    assert rounded(told) == ["thin", "thin", "thin"]
    assert [network.role for network in report.networks] == ["teacher", "assistant", "student", "alone", "alone-on-subset"]
    assert [event.network for event in told if isinstance(event, PhaseStarted) and event.phase == "int8"] == ["middle", *["thin"] * 3]


def test_the_report_says_it_once(learnt: tuple[Report, list[Event]]) -> None:
    """Among what there is to know of the student."""
    report, _ = learnt
    assert [note for note in report.notes if "rounding" in note] == [
        "thin learnt with int8's rounding in phase 'int8': in the training curve, validation accuracies of that phase are the rounded network's"
    ]


def test_a_dry_run_names_it(base: Path) -> None:
    """Behind its epochs."""
    assert any("(transfer 3 → refine 1 → int8 1 quantised epochs)" in line for line in plan(job(), base=base))


def test_a_student_without_layers_before_the_teacher_is_taught(base: Path) -> None:
    """With the way out."""
    with pytest.raises(UsageError, match="rounds convolutions and linear layers, and means computes with none"):
        run(base, job(student=(Student(model="nets.py:means"),)), out="means")
    assert not list((base / "means").glob("teach*"))


def test_for_another_prior_it_goes_on_as_the_phase_before_it_ends(base: Path) -> None:
    """On a balanced half, both of them."""
    train = msgspec.structs.replace(recipe().train, prior="uniform")
    with Story.opened(job(train=train, phase=(*TWO_PHASES, LAST)), base / "prior", "test", base, lambda event: None) as story:
        subsets = [phase.subset for phase in phases_of(story)]
    assert subsets == [None, Subset(by="balanced", fraction=0.5), Subset(by="balanced", fraction=0.5)]


@pytest.mark.slow
def test_its_files_are_made_as_any_others(base: Path) -> None:
    """fp32 and int8, checked and scored; the same layers are quantised as in the file of a student that was not rounded."""
    found = [run(base, job(phase=phases), out=out, verb="evaluate_files")[0] for out, phases in (("with", job().phase), ("without", PHASES))]
    files = [[artifact for artifact in report.artifacts if artifact.role == "student"] for report in found]
    assert [[artifact.precision for artifact in student] for student in files] == [["fp32", "int8-cpu"]] * 2
    assert files[0][1].quantised == files[1][1].quantised
    assert files[0][1].operators == files[1][1].operators
    assert files[0][1].sha256 != files[1][1].sha256
    assert all(report.score("student/thin/int8-cpu", "test") is not None for report in found)
