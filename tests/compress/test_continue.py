"""A student of a run goes on from it: on new images or classes, held to what it knew, measured on both; and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekd import compress as verbs
from edgekd.compress.continued import phases_of
from edgekd.compress.kept import little_learnt
from edgekd.compress.story import Story
from edgekd.data.source import load
from edgekd.errors import EdgekdError, MissingError, RecipeError, RunError, UsageError
from edgekd.events import Event, StageFinished, Trained, silent
from edgekd.files import sha256_file
from edgekd.models.load import build
from edgekd.models.weightfile import read_metadata
from edgekd.phases import DEFAULT, Optimizer
from edgekd.recipe import Previous, Recipe, Student, Teacher
from edgekd.recipefile import decode_recipe
from edgekd.record import Report
from edgekd.report.columns import tables
from edgekd.scores import Held, Kept, Metric
from edgekd.terms import Label, Relation
from tests.compress.jobs import PHASES, images, recipe, run, workplace
from tests.toys import brightness

NAMES = np.array(["above", "below", "left"])
SHARE = Previous(run="old", replay="20 %")


def archive(folder: Path, name: str, only: tuple[int, ...], *, order: tuple[int, ...] = (), train: int = 240, seed: int = 1) -> str:
    """Some classes' images as an npz file that knows no others, its classes in this order."""
    order = order or only
    arrays: dict[str, Any] = {"classes": NAMES[list(order)]}
    for split, count, drawn in (("train", train, seed), ("test", 90, seed + 1)):
        pixels, labels = images(count, drawn)
        kept = np.isin(labels, only)
        arrays[f"x_{split}"] = pixels[kept]
        arrays[f"y_{split}"] = np.array([order.index(label) for label in labels[kept]], np.int64)
    np.savez(folder / name, **arrays)
    return f"npz:{name}"


def on(**changes: Any) -> Recipe:
    """A student of base/old learns on, by labels."""
    train = msgspec.structs.replace(recipe().train, optimizer=Optimizer(lr=0.02))  # sixteen steps are too few for the rate of a body that was brought
    return recipe(**{"data": "npz:new.npz", "teacher": None, "student": None, "previous": SHARE, "train": train, **changes})


def done(told: list[Event]) -> list[str]:
    """The stages that were not taken from the shelf."""
    return [event.stage for event in told if isinstance(event, StageFinished) and not event.reused]


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its hash."""
    return {str(file.relative_to(folder)): sha256_file(file) for file in sorted(folder.rglob("*")) if file.is_file()}


def held(report: Report) -> dict[str, Any]:
    """What the only student kept, by whose test images."""
    (kept,) = report.kept
    return {each.images: each for each in kept.tests}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a run that taught two classes, and a third to come."""
    folder = workplace(tmp_path_factory.mktemp("work"))
    archive(folder, "old.npz", (0, 1))
    archive(folder, "new.npz", (2,), seed=5)
    archive(folder, "mixed.npz", (0, 2), order=(2, 0), seed=7)
    run(folder, recipe(data="npz:old.npz"), verb="distill", out="old")
    return folder


@pytest.fixture(scope="module")
def whole(base: Path) -> tuple[Report, list[Event]]:
    """The student learns the third class, with a fifth of the old images shown again."""
    return run(base, on(), verb="distill", out="whole")


def test_a_new_class_is_learnt_and_the_old_ones_are_kept(base: Path, whole: tuple[Report, list[Event]]) -> None:
    """One student, no teacher; old classes first; both runs' test images are told, before and after."""
    report, told = whole
    assert [(network.role, network.name, network.training.how) for network in report.networks] == [("student", "thin", "distilled")]
    assert done(told) == ["distill/thin", "keep/thin"]
    assert report.data is not None
    assert (report.data.classes, report.data.class_counts[:2]) == (["above", "below", "left"], [0, 0])
    (kept,) = report.kept
    assert (kept.student, kept.run, kept.classes, kept.untold) == ("thin", "old", ["above", "below"], [])
    assert kept.replayed == 29  # a fifth of 144 training images
    old, new = held(report)["old"], held(report)["new"]
    assert (old.after.n, new.after.n) == (60, 30)
    assert old.before.value > 0.8
    assert old.after.value > 0.6
    assert new.after.value > 0.6
    assert old.lost.value == pytest.approx(old.before.value - old.after.value)
    assert (set(old.recall_before), set(old.recall)) == ({"above", "below"}, {"above", "below"})
    assert (new.before, new.lost, set(new.recall)) == (None, None, {"left"})
    assert set(report.networks[0].training.curve[-1].shares) == {"label", "keep", "replay"}


def test_what_it_goes_on_from_stays_as_it_is(base: Path, tmp_path: Path) -> None:
    """Not a file of the old run is written, added or taken away."""
    before = files(base / "old")
    run(base, on(previous=Previous(run="old"), phase=PHASES[:1]), verb="distill", out="reading")
    assert files(base / "old") == before


def test_the_head_keeps_its_rows(base: Path) -> None:
    """With no step to speak of, the first rows are the old student's, and the rest of it too; the new one is the seed's."""
    still = msgspec.structs.replace(PHASES[0], epochs=0.01)
    train = msgspec.structs.replace(recipe().train, optimizer=Optimizer(lr=1e-12, weight_decay=0.0))
    run(base, on(phase=(still,), train=train, previous=Previous(run="old")), verb="distill", out="still")
    (before,), (after,) = ((base / name).glob("distill/thin-*/weights.safetensors") for name in ("old", "still"))
    old, new = (build(str(file), classes=n, shape=(8, 8, 3), base=base).state_dict() for file, n in ((before, 2), (after, 3)))
    for key, tensor in old.items():
        if "running" not in key and "num_batches" not in key:
            np.testing.assert_allclose(new[key][: len(tensor)], tensor, atol=1e-6)
    assert new["body.5.weight"].shape == (3, 64)


def test_labels_ask_among_what_is_shown_where_no_old_image_is(base: Path) -> None:
    """The output of a class that no image shows stays as it was, bit for bit; with old images, and of one class alone, all are asked."""
    train = msgspec.structs.replace(on().train, optimizer=Optimizer(lr=0.02, weight_decay=0.0))
    (before,) = (base / "old").glob("distill/thin-*/weights.safetensors")
    below = build(str(before), classes=2, shape=(8, 8, 3), base=base).state_dict()["body.5.bias"][1]
    cases: list[tuple[str, float | str, bool]] = [("npz:mixed.npz", 0.0, True), ("npz:mixed.npz", "20 %", False), ("npz:new.npz", 0.0, False)]
    for number, (data, replay, still) in enumerate(cases):
        job = on(data=data, train=train, phase=PHASES[:1], previous=Previous(run="old", weight=0.0, replay=replay))
        run(base, job, verb="distill", out=f"among-{number}")
        (weights,) = (base / f"among-{number}").glob("distill/thin-*/weights.safetensors")
        after = build(str(weights), classes=3, shape=(8, 8, 3), base=base).state_dict()["body.5.bias"]
        assert bool(after[1] == below) is still


def test_a_recipes_own_word_for_its_labels_stays(base: Path) -> None:
    """Among all, where it says so."""
    phase = msgspec.structs.replace(PHASES[0], terms=(Label(among="all"),))
    report, _ = run(base, on(data="npz:mixed.npz", phase=(phase,), previous=Previous(run="old")), verb="distill", out="own-word")
    (told,) = [record for record in (base / "own-word").glob("distill/*/stage.json")]
    assert '"shown"' not in told.read_text()
    assert report.kept


def test_classes_with_numbers_for_names_are_doubted(base: Path, tmp_path: Path) -> None:
    """They may be others: 0 here is taken for 0 there."""
    for name in ("first", "second"):
        archive(tmp_path, f"{name}.npz", (0, 1), seed=len(name))
        with np.load(tmp_path / f"{name}.npz") as found:
            np.savez(tmp_path / f"{name}.npz", **{key: found[key] for key in found.files if key != "classes"})
    shutil.copy(base / "nets.py", tmp_path / "nets.py")
    run(tmp_path, recipe(data="npz:first.npz", phase=PHASES[:1]), verb="distill", out="old")
    report, _ = run(tmp_path, on(data="npz:second.npz", previous=Previous(run="old"), phase=PHASES[:1]), verb="distill", out="next")
    assert any(note.startswith("classes go by their names, and these are numbers: 0, 1 of npz:second.npz") for note in report.notes)


def test_there_is_no_teacher_to_teach(base: Path) -> None:
    """`teach` is for one."""
    with pytest.raises(UsageError, match=r"there is none to teach\. Run `edgekd distill`"):
        run(base, on(), verb="teach", out="nobody")


def test_labelled_images_are_no_run(base: Path, tmp_path: Path) -> None:
    """They are said to be what they are."""
    (tmp_path / "labels").mkdir()
    manifest = json.loads((base / "old" / "manifest.json").read_text()) | {"origin": "labels for folder:x by resnet20"}
    (tmp_path / "labels" / "manifest.json").write_text(json.dumps(manifest))
    refused(
        base,
        UsageError,
        r"holds labelled images and no run\. Learn from them with --data npz:.*labelled\.npz",
        on(previous=Previous(run=str(tmp_path / "labels"))),
    )


def test_labels_go_by_the_classes_names(base: Path) -> None:
    """New images of an old class and of a new one, in another order: the old ones stay first, and are told on both sides."""
    report, _ = run(base, on(data="npz:mixed.npz"), verb="distill", out="mixed")
    assert report.data is not None
    assert report.data.classes == ["above", "below", "left"]
    assert [bool(count) for count in report.data.class_counts] == [True, False, True]
    new = held(report)["new"]
    assert new.after.value > 0.7
    assert set(new.recall_before) == {"above"}
    assert new.before.value <= 0.5  # half of them are of a class that it could not name
    assert new.lost.value < 0


def test_a_second_time_nothing_is_done_again(base: Path, whole: tuple[Report, list[Event]]) -> None:
    """And the report says the same; another weight, share or old run is another student."""
    again, told = run(base, on(), verb="distill", out="whole")
    assert (done(told), again.kept) == ([], whole[0].kept)
    _, told = run(base, on(previous=msgspec.structs.replace(SHARE, weight=0.5)), verb="distill", out="whole")
    assert done(told) == ["distill/thin", "keep/thin"]


def test_where_the_old_run_lies_does_not_matter(base: Path, whole: tuple[Report, list[Event]]) -> None:
    """A copy of it elsewhere is the same run."""
    shutil.copytree(base / "old", base / "moved")
    _, told = run(base, on(previous=msgspec.structs.replace(SHARE, run="moved")), verb="distill", out="whole")
    assert done(told) == []


def test_a_recipe_elsewhere_finds_what_the_old_run_was_made_of(base: Path) -> None:
    """Below runs/, a run by flags tells where it was started: its network's code and its images are looked for there."""
    shutil.copytree(base / "old", base / "runs" / "old")
    (base / "elsewhere").mkdir()
    job = on(data="npz:../new.npz", previous=Previous(run="../runs/old"), phase=PHASES[:1])
    report, _ = run(base / "elsewhere", job, verb="distill", out="new")
    assert [each.images for each in report.kept[0].tests] == ["old", "new"]
    (weights,) = (base / "elsewhere" / "new").glob("distill/thin-*/weights.safetensors")
    assert read_metadata(weights)["edgekd.model"] == "../nets.py:thin"


def test_old_answers_and_old_images_each_hold(base: Path) -> None:
    """On the toy: by labels of the new class alone the old ones are lost; with old images, most is kept."""

    def after(previous: Previous) -> float:
        report, _ = run(base, on(previous=previous), verb="distill", out="compared")
        value: float = held(report)["old"].after.value
        return value

    alone = after(Previous(run="old", weight=0.0))
    assert after(SHARE) > alone + 0.2


def test_with_a_teacher_it_is_distilled_as_usual(base: Path) -> None:
    """One that answers all classes, in their order: the terms are the phases' own, and the files stand beside the teacher's."""
    run(base, recipe(data="npz:images.npz"), verb="teach", out="all")
    (weights,) = (base / "all").glob("teach-*/weights.safetensors")
    teacher = Teacher(model="nets.py:wide", weights=str(weights))
    train = msgspec.structs.replace(on().train, teacher_epochs=None)
    phases = (msgspec.structs.replace(PHASES[0], terms=(*PHASES[0].terms, Relation())), PHASES[1])  # old images are no part of what is looked inside
    report, _ = run(base, on(data="npz:mixed.npz", teacher=teacher, train=train, phase=phases), verb="distill", out="taught")
    assert [network.role for network in report.networks] == ["teacher", "student"]
    assert set(report.networks[1].training.curve[0].shares) == {"kd", "label", "relation", "keep", "replay"}
    assert set(report.networks[1].training.curve[-1].shares) == {"kd", "label", "keep", "replay"}
    assert held(report)["old"].after.value > 0.6


def test_the_whole_way_without_a_teacher(base: Path) -> None:
    """Files of the student alone, scored and not compared with a teacher; every form of the report says what was kept."""
    report, _ = run(base, on(), out="whole")
    assert [artifact.name for artifact in report.artifacts] == ["student/thin/fp32"]
    assert all(not score.against for score in report.scores)
    (table,) = (table for table in tables(report) if table.title == "What it kept")
    assert table.columns[0].cells == ["old test images", "old: above", "old: below", "new test images", "new: left"]
    assert "What it kept" in (base / "whole" / "report.html").read_text()
    assert "thin has " in (base / "whole" / "report.md").read_text()


def test_a_run_that_went_on_goes_on(base: Path, whole: tuple[Report, list[Event]]) -> None:
    """Its old test images are those of both runs before it."""
    archive(base, "more.npz", (0, 1, 2), seed=11)
    report, _ = run(base, on(data="npz:more.npz", previous=Previous(run="whole", replay=0.5)), verb="distill", out="third")
    (kept,) = report.kept
    assert (kept.classes, kept.untold) == (["above", "below", "left"], [])
    assert set(held(report)["old"].recall) == {"above", "below", "left"}
    assert held(report)["old"].after.n == 90
    assert kept.replayed > 90


class Killed(BaseException):
    """As SIGKILL would leave a run: with its last checkpoint, and nothing done at the end."""


def test_a_run_killed_at_every_step_ends_with_the_same_bits(base: Path, whole: tuple[Report, list[Event]]) -> None:
    """Old images and old answers go on where they were."""

    def emit(event: Event) -> None:
        if isinstance(event, Trained) and event.step >= 7:
            raise Killed

    with pytest.raises(Killed):
        verbs.distill(on(checkpoint_s=0.0), folder=base / "killed", origin="test", base=base, emit=emit)
    assert list((base / "killed").rglob(".checkpoint.pt"))
    run(base, on(), verb="distill", out="killed")
    found = {sha256_file(file) for file in (base / "whole").glob("distill/thin-*/weights.safetensors")}
    assert {sha256_file(file) for file in (base / "killed").glob("distill/thin-*/weights.safetensors")} <= found


def test_a_uniform_prior_adjusts_no_labels_of_one_that_goes_on(base: Path) -> None:
    """It counts new images alone, beside which old classes would look as if there were hardly an image of them."""
    uniform = msgspec.structs.replace(on(), phase=DEFAULT, train=msgspec.structs.replace(on().train, prior="uniform"))
    with Story.opened(uniform, base / "even", "test", base, silent) as story:
        for taught in (True, False):
            terms = [term for phase in phases_of(story, taught=taught) for term in phase.terms if isinstance(term, Label)]
            assert [term.logit_adjustment for term in terms] == [0.0, 0.0]


# What is not there, and what is doubtful ------------------------------------------------------------------------------


def copied(base: Path, folder: Path) -> Path:
    """A workplace of one's own with the old run in it."""
    shutil.copytree(base / "old", folder / "old")
    for name in ("old.npz", "new.npz", "mixed.npz", "nets.py", "images.npz"):
        shutil.copy(base / name, folder / name)
    return folder


def test_old_images_that_are_gone_are_told(base: Path, tmp_path: Path) -> None:
    """The student goes on without; what it kept is not measured, and the report says why."""
    copied(base, tmp_path)
    (tmp_path / "old.npz").unlink()
    report, _ = run(tmp_path, on(previous=Previous(run="old")), verb="distill", out="new")
    (kept,) = report.kept
    assert [each.images for each in kept.tests] == ["new"]
    assert kept.untold[0].startswith("the images of ")
    assert "no npz file at" in kept.untold[0]
    assert "What thin kept of old was not measured" in (tmp_path / "new" / "report.md").read_text()
    with pytest.raises(UsageError, match=r"old images were to be shown again, and .* Name others with --replay SPEC, or leave it out"):
        run(tmp_path, on(), verb="distill", out="again")


def test_old_images_that_changed_are_doubted(base: Path, tmp_path: Path) -> None:
    """And classes that were added to them since are left out."""
    copied(base, tmp_path)
    archive(tmp_path, "old.npz", (0, 1, 2), seed=21)
    report, _ = run(tmp_path, on(), verb="distill", out="new")
    assert set(held(report)["old"].recall) == {"above", "below"}
    assert any("are not those of that run any more" in doubt for doubt in report.doubts)


def test_old_test_images_among_those_to_learn_from_are_doubted(base: Path, tmp_path: Path) -> None:
    """Pixel by pixel, however they are called."""
    copied(base, tmp_path)
    with np.load(tmp_path / "old.npz") as found:
        arrays = dict(found)
    np.savez(tmp_path / "leak.npz", **{**arrays, "x_train": arrays["x_test"], "y_train": arrays["y_test"]})
    report, _ = run(tmp_path, on(data="npz:leak.npz", previous=Previous(run="old")), verb="distill", out="new")
    assert any("old test images are also among those that the students learnt from now" in doubt for doubt in report.doubts)


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(base: Path, kind: type[EdgekdError], words: str, job: Recipe, out: str = "refused") -> None:
    """With these words, and nothing left behind but what is nobody's."""
    with pytest.raises(kind, match=words):
        run(base, job, verb="distill", out=out)
    assert not list((base / out).glob("distill*")) or out == "old"


def test_what_is_no_run(base: Path, tmp_path: Path) -> None:
    """Nothing there, a folder of something else, a file, an ONNX file."""
    (base / "photos").mkdir(exist_ok=True)
    refused(base, MissingError, "no run at .*nowhere", on(previous=Previous(run="nowhere")))
    refused(base, UsageError, "goes on from the folder of a run, .*photos is none: it has no manifest.json", on(previous=Previous(run="photos")))
    refused(base, UsageError, "nets.py is none", on(previous=Previous(run="nets.py")))
    brightness(base / "small.onnx")
    refused(base, UsageError, r"small\.onnx is an ONNX file, which cannot learn", on(previous=Previous(run="small.onnx")))


def test_a_run_that_was_not_finished_or_has_no_student(base: Path, tmp_path: Path) -> None:
    """What to do is the command that finishes it."""
    copied(base, tmp_path)
    run(tmp_path, recipe(data="npz:old.npz"), verb="teach", out="teacher")
    refused(tmp_path, UsageError, "teacher has none. Teach it first: edgekd distill .*teacher", on(previous=Previous(run="teacher")))
    (tmp_path / "old" / "report.json").unlink()
    refused(tmp_path, UsageError, "old was not finished: it has no report.json yet. Take it up first: edgekd distill .*old", on())


def test_weights_that_are_gone_or_others(base: Path, tmp_path: Path) -> None:
    """Nothing is built on them; an exported file is no way out."""
    copied(base, tmp_path)
    (weights,) = (tmp_path / "old").glob("distill/thin-*/weights.safetensors")
    weights.write_bytes(weights.read_bytes() + b" ")
    refused(tmp_path, RunError, "weights.safetensors is not as that run wrote it", on())
    weights.unlink()
    refused(tmp_path, UsageError, "no longer has the weights of its student thin: .* an ONNX file cannot learn", on())
    shutil.rmtree(weights.parent)
    refused(tmp_path, UsageError, "has a report of its student thin and no longer its weights", on())


def test_a_run_stays_as_it_is(base: Path) -> None:
    """The new one is not written into it, nor below it."""
    for out in ("old", "old/more"):
        with pytest.raises(UsageError, match=r"is the run that students go on from, and stays as it is.*Choose another folder with --out"):
            run(base, on(), verb="distill", out=out)


def test_which_of_several_students(base: Path) -> None:
    """They are listed; one is named by its name or its model, and brings its own weights."""
    two = (Student(model="nets.py:thin"), Student(model="nets.py:wide"))
    quick = (msgspec.structs.replace(PHASES[0], epochs=1),)
    run(base, recipe(data="npz:old.npz", student=two, phase=quick), verb="distill", out="two")
    asked = Previous(run="two")
    refused(base, UsageError, "two has 2 students: thin, wide. Say which goes on, as in --student thin", on(previous=asked))
    refused(base, UsageError, "two has no student 'thn'; it has thin, wide", on(previous=asked, student=(Student(model="thn"),)))
    brought = (Student(model="thin", weights="thin.pt"),)
    refused(base, UsageError, "has its weights and preprocess from .*two; take weights away from thin", on(previous=asked, student=brought))
    refused(base, UsageError, "each student goes on once", on(previous=asked, student=(Student(model="thin"), Student(model="nets.py:thin"))))
    report, _ = run(base, on(previous=asked, student=two, phase=quick), verb="distill", out="both")
    assert [(network.role, network.name) for network in report.networks] == [("student", "thin"), ("student", "wide")]
    assert [kept.student for kept in report.kept] == ["thin", "wide"]
    assert [table.title for table in tables(report)] == ["What thin kept", "What wide kept"]


def test_a_network_that_is_built_otherwise_now(base: Path, tmp_path: Path) -> None:
    """Its own code changed since: what differs is named."""
    copied(base, tmp_path)
    code = (tmp_path / "nets.py").read_text()
    (tmp_path / "nets.py").write_text(code.replace("return net(4, classes)", "return net(4 if classes < 3 else 5, classes)"))
    refused(tmp_path, UsageError, "but for more outputs of its head 5; these differ: 0.bias, 0.weight", on())


def test_a_teacher_that_would_not_know_all_classes(base: Path) -> None:
    """One without weights is taught on the new images alone, as is one that is to be taught further, or a co-teacher."""
    text = "a teacher knows all classes, old and new; nets.py:wide would be taught on npz:new.npz, which has none of above, below"
    further = msgspec.structs.replace(on().train, teacher_epochs=1.0)
    shutil.copy(next((base / "old").glob("teach-*/weights.safetensors")), base / "old.safetensors")
    wide, known = Teacher(model="nets.py:wide"), Teacher(model="nets.py:wide", weights="old.safetensors")
    for changed in ({"teacher": wide}, {"teacher": known, "train": further}, {"teacher": known, "co_teacher": (wide,)}):
        refused(base, UsageError, text, on(**changed))


def test_old_images_of_other_classes(base: Path) -> None:
    """Shown again, they would be of a class that nobody is to learn."""
    archive(base, "other.npz", (0, 1))
    with np.load(base / "other.npz") as found:
        np.savez(base / "other.npz", **{**found, "classes": np.array(["above", "right"])})
    refused(base, UsageError, "npz:other.npz also has right", on(previous=Previous(run="old", replay="npz:other.npz")))
    report, _ = run(base, on(previous=Previous(run="old", replay="npz:old.npz"), phase=PHASES[:1]), verb="distill", out="spec")
    assert report.kept[0].replayed == 160


def test_another_size_or_colour(base: Path) -> None:
    """Images are brought to what the student knows; another wish is refused."""
    refused(base, UsageError, "as they know them, 8x8 and in colour as in .*old; .*Leave size and channels out", on(size=(16, 16)))
    refused(base, UsageError, "Leave size and channels out", on(channels=1))
    with np.load(base / "new.npz") as found:
        larger = {key: value.repeat(2, 1).repeat(2, 2) if key.startswith("x_") else value for key, value in found.items()}
    np.savez(base / "larger.npz", **larger)
    report, _ = run(base, on(data="npz:larger.npz", phase=PHASES[:1]), verb="distill", out="larger")
    assert report.data is not None
    assert report.data.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('previous = { run = "" }', "previous.run names a run's folder"),
        ('previous = { run = "a", weight = -1 }', "previous.weight must be 0 or more and finite"),
        ('previous = { run = "a", temperature = 0 }', "previous.temperature must be above 0 and finite"),
        ('previous = { run = "a", replay = 1.5 }', "previous.replay is a share from 0 to 1, or a spec"),
        ('previous = { run = "a" }\nstudent = []', "previous (--from) is for students, so it does not go with --no-student (student = []), got 'a'"),
        ('previous = { run = "a" }\nalone = true', "alone (--alone) and previous (--from) do not go together: leave one of the two out, got 'a'"),
        ('previous = { run = "a" }\nassistants = ["resnet20"]', "assistants and previous (--from) do not go together"),
        ('previous = { run = "a" }\nco_teacher = [{ model = "resnet20" }]', "with previous a co_teacher needs a teacher beside it"),
    ],
)
def test_what_cannot_be_asked(text: str, words: str) -> None:
    """The rule and the value received."""
    with pytest.raises(RecipeError) as caught:
        decode_recipe(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("replay", "words"),
    [
        ("120 %", "by a share from 0 to 100 %, as 10 %, or by a spec, as folder:old; got '120 %'"),
        ("-10 %", "by a share from 0 to 100 %"),
        ("many", "got 'many'"),
    ],
)
def test_a_share_that_is_none(base: Path, replay: str, words: str) -> None:
    """With what would do."""
    refused(base, UsageError, words, on(previous=Previous(run="old", replay=replay)))


def test_all_classes_may_be_tested(base: Path) -> None:
    """Images that --test names show old classes, too: files are scored on all, and what was learnt of the new ones on theirs alone."""
    report, _ = run(base, on(test="npz:images.npz", phase=PHASES[:1]), verb="evaluate_files", out="whole")
    assert report.data is not None
    assert (report.data.classes, report.data.test) == (["above", "below", "left"], 90)
    assert {score.n for score in report.scores if score.split == "test"} == {90}
    assert [(each.images, sorted(each.recall)) for each in held(report).values()] == [("old", ["above", "below"]), ("new", ["left"])]
    with pytest.raises(UsageError, match=r"every class of --test npz:images\.npz must be one of the data's \(left\)"):
        load("npz:new.npz", test="npz:images.npz", fewest=1, base=base)


def test_robustness_without_a_teacher_is_refused_at_once(base: Path) -> None:
    """It is told beside the teacher's."""
    with pytest.raises(UsageError, match=r"this run has none: its students go on from another's\. Ask its files instead"):
        verbs.robustness(on(), folder=base / "never", base=base)
    assert not (base / "never").exists()


def test_a_dry_run_says_what_it_goes_on_from(base: Path) -> None:
    """How many classes and old images, and what they cost beside the others; no teacher is spoken of."""
    lines = verbs.plan(on(), base=base)
    assert "from      old, which knew 2 classes; 29 old images are shown again" in lines
    assert any("old images, and its old self's answers, beside them: about " in line for line in lines)
    assert not any(line.startswith("teacher") for line in lines)
    weighed = [verbs.plan(on(previous=Previous(run="old", weight=weight)), base=base) for weight in (None, 0.0)]
    assert [any("its old self's answers beside them: about " in line for line in each) for each in weighed] == [True, False]
    with pytest.raises(UsageError, match=r"old is the run that students go on from, and stays as it is"):
        verbs.plan(on(), base=base, folder=base / "old")
    assert any(
        line.startswith("note      students go on from old, which knew 2 classes. Of these npz:new.npz shows none; new: left") for line in lines
    )


def test_old_classes_that_are_never_shown_are_warned_of(base: Path) -> None:
    """Their old answers alone do not save their accuracy; with old images, or new ones of these classes, nothing is said."""
    report, _ = run(base, on(previous=Previous(run="old", weight=0.0), phase=PHASES[:1]), verb="distill", out="nothing")
    assert set(report.networks[0].training.curve[-1].shares) == {"label"}
    assert any(note.startswith("no image of above, below is shown") and note.endswith("with --replay.") for note in report.notes)
    for number, job in enumerate((on(phase=PHASES[:1]), on(data="npz:images.npz", previous=Previous(run="old"), phase=PHASES[:1]))):
        report, _ = run(base, job, verb="distill", out=f"shown-{number}")
        assert not any(note.startswith("no image of") for note in report.notes)


@pytest.mark.parametrize(("learnt", "said"), [(0.1, True), (0.44, True), (0.46, False), (0.9, False)])
def test_little_learnt_of_what_is_new_is_said(learnt: float, said: bool) -> None:
    """Below half of what it knew of the old classes; nothing is said of old classes that are shown again, nor where nothing tells."""

    def metric(value: float) -> Metric:
        return Metric(value=value, low=value, high=value, n=100)

    old = Held(images="old", before=metric(0.9), after=metric(0.8))
    new = Held(images="new", after=metric(0.5), recall={"above": metric(0.0), "left": metric(learnt)})
    kept = Kept(student="thin", run="old", classes=["above", "below"], tests=[old, new])
    told = little_learnt(kept)
    assert (told is not None) == said
    assert told is None or told.startswith(f"thin tells {100 * learnt:.1f} % of the images of a new class, and told 90.0 %")
    assert little_learnt(msgspec.structs.replace(kept, tests=[new])) is None
    assert little_learnt(msgspec.structs.replace(kept, classes=["above", "below", "left"])) is None


def test_an_older_report_has_kept_nothing() -> None:
    """What a report has gained since may be absent."""
    assert Report(edgekd="0.1.0", name="", created="").kept == []
    assert Kept(student="thin", run="old", classes=[]).tests == []
