"""Phases that name no terms: which they are taught by, of few classes and of many."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekd import units
from edgekd.compress import plan
from edgekd.compress.commented import commented
from edgekd.compress.story import Story
from edgekd.compress.students import check, phases_of
from edgekd.compress.suggest import suggest
from edgekd.distill import leading
from edgekd.errors import UsageError
from edgekd.events import Event, Note
from edgekd.phases import DEFAULT, FEW_TERMS, LARGEST_TERMS, MANY_CLASSES, MANY_TERMS, TWO_PHASES, Phase, Subset, termed
from edgekd.recipe import Recipe, Student, Teacher
from edgekd.terms import Kd, Label
from tests.compress.jobs import recipe, workplace


def with_classes(folder: Path, classes: int) -> Recipe:
    """Noise of so many classes, and the recipe's phases left as they are."""
    labels = np.tile(np.arange(classes), 4)
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    np.savez(folder / "many.npz", x_train=pixels, y_train=labels, x_test=pixels[:classes] + 1, y_test=labels[:classes])
    return recipe(data="npz:many.npz", phase=DEFAULT, student=(Student(model="resnet8"),), imbalance=1.0)


def seen(folder: Path, job: Recipe) -> tuple[tuple[Phase, ...], list[str]]:
    """The phases that students learn by, and what was said of them."""
    told: list[Event] = []
    with Story.opened(job, folder / "run", "test", folder, told.append) as story:
        check(story)
        return phases_of(story), [event.text for event in told if isinstance(event, Note) and "names no terms" in event.text]


@pytest.mark.parametrize("classes", [MANY_CLASSES - 1, MANY_CLASSES])
def test_terms_by_the_number_of_classes(tmp_path: Path, classes: int) -> None:
    """Of few classes standardised kd, without a word; of many dist, and the run says so. The rest of the phases is the recipe's."""
    many = classes == MANY_CLASSES
    phases, said = seen(tmp_path, with_classes(workplace(tmp_path), classes))
    assert [phase.terms for phase in phases] == [MANY_TERMS if many else FEW_TERMS] * 2
    assert tuple(msgspec.structs.replace(phase, terms=()) for phase in phases) == DEFAULT
    note = f"of {classes} classes a phase that names no terms teaches by dist and labels: of many they teach better than kd"
    assert said == ([note] if many else [])


def test_named_terms_stay(tmp_path: Path) -> None:
    """Those of the phase that has them; where no student learns from a teacher, nothing is said."""
    job = with_classes(workplace(tmp_path), MANY_CLASSES)
    first = msgspec.structs.replace(DEFAULT[0], terms=(Kd(),))
    phases, said = seen(tmp_path, msgspec.structs.replace(job, phase=(first, DEFAULT[1])))
    assert [phase.terms for phase in phases] == [(Kd(),), MANY_TERMS]
    assert len(said) == 1
    assert seen(tmp_path, msgspec.structs.replace(job, student=()))[1] == []


@pytest.mark.parametrize("classes", [MANY_CLASSES - 1, MANY_CLASSES])
def test_a_long_tail(tmp_path: Path, classes: int) -> None:
    """Taught by what teaches so many classes, on a balanced half at the end, and with labels that are adjusted for how often classes occur, which is
    said; where terms are named, they stay."""
    told: list[Event] = []
    job = with_classes(workplace(tmp_path), classes)
    uniform = msgspec.structs.replace(job, train=msgspec.structs.replace(job.train, prior="uniform"))
    usual = MANY_TERMS if classes == MANY_CLASSES else FEW_TERMS
    for asked, adjustment in ((uniform, 1.0), (msgspec.structs.replace(uniform, phase=TWO_PHASES), 0.0)):
        with Story.opened(asked, tmp_path / f"{adjustment}", "test", tmp_path, told.append) as story:
            check(story)
            phases = phases_of(story)
        for phase in phases:
            assert [type(term) for term in phase.terms] == [type(term) for term in (usual if adjustment else FEW_TERMS)]
            assert [term.logit_adjustment for term in phase.terms if isinstance(term, Label)] == [adjustment]
        assert phases[-1].subset == Subset(by="balanced", fraction=0.5)
    assert sum(isinstance(event, Note) and "the label loss is adjusted" in event.text for event in told) == 1


def test_a_suggested_recipe_says_why(tmp_path: Path) -> None:
    """It names the terms, so that they can be changed, and says beside each phase where they come from."""
    for classes, said in ((MANY_CLASSES, 2), (MANY_CLASSES - 1, 0)):
        job = msgspec.structs.replace(with_classes(workplace(tmp_path), classes), teacher=Teacher(model="resnet20"))
        found = suggest(job, base=tmp_path)
        text = " ".join(commented(found.recipe, found.remarks).replace("#", "").split())
        assert text.count("`dist` taught better than `kd`") == said
        assert text.count('{ loss = "dist", weight = 2.0 }') == said
        assert text.count("`--features-first` taught better still") == said / 2


def test_thousands_of_classes(tmp_path: Path) -> None:
    """Where a teacher's largest logits alone are remembered, what asks for no others; terms that do are refused before it is taught."""
    job = with_classes(workplace(tmp_path), leading.MANY + 1)
    phases, _ = seen(tmp_path, job)
    assert [phase.terms for phase in phases] == [LARGEST_TERMS] * 2
    assert phases[-1].subset == Subset(by="random", fraction=0.8)
    with pytest.raises(UsageError, match=r"of 1001 classes .* dist in phase 'transfer' asks for all"):
        seen(tmp_path, msgspec.structs.replace(job, phase=termed(DEFAULT, MANY_TERMS)))
    several = msgspec.structs.replace(job, co_teacher=(Teacher(model="resnet8"),))
    assert [phase.terms for phase in seen(tmp_path, several)[0]] == [MANY_TERMS] * 2
    lines = plan(msgspec.structs.replace(job, teacher=Teacher(model="resnet14")), base=tmp_path)
    images = int(lines[0].split(": ")[1].split(" train")[0])
    (held,) = (line for line in lines if line.startswith("memory"))
    assert f"{units.bytes_text(leading.LAYOUT.itemsize * images * (job.train.views + 1))} of remembered answers" in held
    live = msgspec.structs.replace(job, train=msgspec.structs.replace(job.train, views=0))
    assert [phase.terms for phase in seen(tmp_path, live)[0]] == [MANY_TERMS] * 2
