"""What a run refuses, and with which words; nothing is lost by any of it."""

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekd import files as whole_files
from edgekd.compress import plan
from edgekd.errors import DeviceError, EdgekdError, MissingError, RunError, TrainingError, UsageError
from edgekd.events import Note, silent
from edgekd.limit import Limit
from edgekd.phases import Optimizer, Phase, Subset, Temperature
from edgekd.preprocess import Stated
from edgekd.recipe import Export, Recipe, Student, Teacher
from edgekd.recipefile import encode_recipe
from edgekd.run import Run
from edgekd.terms import Heads, Kd, Label, Levels, Relation
from tests.compress.jobs import PHASES, recipe, run, workplace
from tests.toys import brightness


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A workplace of its own for each test."""
    return workplace(tmp_path)


def refused(base: Path, kind: type[EdgekdError], words: str, **changes: Any) -> None:
    """The job is refused with these words."""
    with pytest.raises(kind, match=words):
        run(base, recipe(**changes))


def test_two_students_of_one_name(base: Path) -> None:
    """Their files could not be told apart."""
    refused(base, UsageError, "students need names of their own, and two are called thin", student=(Student(model="nets.py:thin"),) * 2)


def test_a_student_that_does_not_exist_before_the_teacher_is_taught(base: Path) -> None:
    """With near names."""
    refused(base, UsageError, "no network is called 'resnet9'", student=(Student(model="resnet9"),))
    assert not list((base / "run").glob("teach*"))


def test_a_student_that_cannot_learn(base: Path) -> None:
    """A file that only answers is refused before the teacher is taught."""
    file = brightness(base / "student.onnx")
    refused(base, UsageError, r"a student learns, and student\.onnx has no weights to train", student=(Student(model=file.name),))
    assert not list((base / "run").glob("teach*"))


def test_a_teacher_that_learnt_nothing_is_doubted(base: Path) -> None:
    """As after two steps that lead nowhere: said at once and in the report."""
    train = msgspec.structs.replace(recipe().train, teacher_epochs=0.01, teacher_optimizer=Optimizer(lr=1e-9))
    report, told = run(base, recipe(train=train), verb="teach")
    assert "hardly more than the commonest class alone gives" in report.doubts[0]
    assert any(isinstance(event, Note) and event.level == "warning" for event in told)


def test_a_device_that_is_not_there(base: Path) -> None:
    """With the word that names those that are."""
    refused(base, UsageError, "device must be one that torch sees here, got 'warp'.*`edgekd doctor` lists them", device="warp")


def test_an_unknown_target_before_anything_is_trained(base: Path) -> None:
    """In [on] or in a limit."""
    refused(base, MissingError, "no target is called 'cpuu'. Did you mean 'cpu'", on={"cpuu": "local"})
    refused(base, MissingError, "no target is called 'cpuu'", limit=(Limit(target="cpuu", size="1 MB"),))
    refused(base, MissingError, "there is none at .*lost.toml", on={"lost.toml": ""})
    refused(base, MissingError, "there is none at .*lost.toml", limit=(Limit(target="lost.toml", size="1 MB"),))
    assert not list((base / "run").glob("teach*"))


def test_a_host_that_is_none(base: Path) -> None:
    """Nothing is handed to ssh that it would take for an option."""
    refused(base, UsageError, "a host is 'local' or what `ssh` takes, as user@orin", on={"cpu": "-oProxyCommand=reboot"})


def test_a_host_that_is_not_reached(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found before the teacher is taught, and not after."""
    monkeypatch.setenv("EDGEKD_SSH", "false")
    refused(base, DeviceError, r"user@orin cannot be reached: ssh said nothing\. Try it by hand: ssh user@orin", on={"cpu": "user@orin"})


def test_an_onnx_teacher_of_other_classes_or_size(base: Path) -> None:
    """Two outputs for three classes; 4×4 pixels for 8×8 is resized, as its file states its size."""
    file = brightness(base / "teacher.onnx")
    refused(base, UsageError, "answers 2", teacher=Teacher(model=file.name))


def test_an_onnx_teacher_told_a_size_it_does_not_take(base: Path) -> None:
    """The file's own size is named."""
    file = brightness(base / "teacher.onnx")
    stated = Stated(size=(8, 8), mean=(0.0,), std=(1.0,), colour="grey")
    refused(base, UsageError, "takes images of 4x4 and nothing else, and preprocess says 8x8", teacher=Teacher(model=file.name, preprocess=stated))


def test_classes_of_a_teacher_that_are_not_the_datas(base: Path) -> None:
    """The missing one is named."""
    run(base, recipe(), verb="teach")
    (weights,) = (base / "run").glob("teach-*/weights.safetensors")
    spec = Teacher(model="nets.py:wide", weights=str(weights), classes=["above", "below", "right"])
    job = recipe(teacher=spec, train=msgspec.structs.replace(recipe().train, teacher_epochs=None))
    with pytest.raises(UsageError, match="missing: 'left'; not in the data: 'right'"):
        run(base, job, out="other")


def test_a_file_of_classes_that_is_not_there(base: Path) -> None:
    """Named by its path."""
    run(base, recipe(), verb="teach")
    (weights,) = (base / "run").glob("teach-*/weights.safetensors")
    spec = Teacher(model="nets.py:wide", weights=str(weights), classes="names.txt")
    with pytest.raises(UsageError, match=r"the teacher's classes stand in a text file, one a line; .*names\.txt does not read"):
        run(base, recipe(teacher=spec, train=msgspec.structs.replace(recipe().train, teacher_epochs=None)), out="other")


def two_classes(base: Path) -> str:
    """The workplace's images without those of the third class."""
    with np.load(base / "images.npz") as archive:
        arrays = dict(archive)
    for split in ("train", "test"):
        keep = arrays[f"y_{split}"] < 2
        arrays[f"x_{split}"], arrays[f"y_{split}"] = arrays[f"x_{split}"][keep], arrays[f"y_{split}"][keep]
    np.savez(base / "two.npz", **{**arrays, "classes": arrays["classes"][:2]})
    return "npz:two.npz"


def test_two_classes_are_distilled_on_plain_logits(base: Path) -> None:
    """Standardised, they are -1 and 1 for every image; it is said, and the student learns."""
    terms = (Kd(weight=9.0, standardise=True), Levels(weight=0.9, standardise=True), Label(weight=0.1))
    phases = tuple(msgspec.structs.replace(phase, terms=terms) for phase in PHASES)
    report, events = run(base, recipe(data=two_classes(base), phase=phases), verb="distill")
    (said,) = [event.text for event in events if isinstance(event, Note) and "standardised" in event.text]
    assert said.endswith("soft losses take them as they are, with 0.1 of the weight")
    (student,) = [network for network in report.networks if network.role == "student"]
    assert student.valid_accuracy is not None
    assert student.valid_accuracy > 0.8


def test_a_loss_that_needs_three_classes(base: Path) -> None:
    """dkd on two."""
    data = two_classes(base)
    phases = msgspec.convert([{"name": "a", "epochs": 1, "terms": [{"loss": "dkd"}]}], type=tuple[Phase, ...])
    refused(base, UsageError, "with 2 classes the losses that fit are label, kd, dist, levels, got 'dkd'", data=data, phase=phases)


def test_terms_that_look_inside_fit_any_number_of_classes(base: Path) -> None:
    """On two, beside a temperature that learns: both find their way from the recipe to the student."""
    learned = Temperature(start=1, end=6, shape="learned")
    phases = (Phase(name="inside", epochs=1, terms=(Relation(), Levels(), Label()), temperature=learned),)
    report, _ = run(base, recipe(data=two_classes(base), phase=phases), verb="distill")
    (student,) = [network for network in report.networks if network.role == "student"]
    assert set(student.training.curve[-1].shares) == {"relation", "levels", "label"}
    assert student.training.curve[-1].first_temperature == pytest.approx(1.5)


def test_one_class_only(base: Path) -> None:
    """There is nothing to tell apart."""
    with np.load(base / "images.npz") as archive:
        np.savez(base / "one.npz", **{**archive, "y_train": np.zeros_like(archive["y_train"]), "y_test": np.zeros_like(archive["y_test"])})
    refused(base, UsageError, "a classifier needs two classes or more", data="npz:one.npz")


def test_too_few_images_to_check_a_file_on(base: Path) -> None:
    """Before anything is taught, in a dry run, too."""
    with np.load(base / "images.npz") as archive:
        few = {name: archive[name][:6] if name in ("x_train", "y_train") else archive[name] for name in archive.files}
    np.savez(base / "few.npz", **{**few, "y_train": np.arange(6) % 2, "y_test": few["y_test"] % 2})
    refused(base, UsageError, r"a file is checked on 7 training images or more, and npz:few\.npz has \d\. Give more images", data="npz:few.npz")
    assert not list((base / "run").glob("teach*"))


def test_one_test_image_scores_nothing(base: Path) -> None:
    """Which is said at the beginning."""
    with np.load(base / "images.npz") as archive:
        np.savez(base / "one.npz", **{name: archive[name][:1] if name.endswith("_test") else archive[name] for name in archive.files})
    lines = plan(recipe(data="npz:one.npz"), base=base)
    assert "note      there is one test image, so that no file will be scored: name more with --test" in lines


def test_an_empty_folder_of_images(base: Path) -> None:
    """Where it was looked for, how images must lie there, and which files count as images."""
    (base / "photos").mkdir()
    rule = r"no images under .*photos: folder: takes DIR/train/CLASS/\* \(and val, test\), or DIR/CLASS/\*"
    refused(base, MissingError, rf"{rule}, with files ending in .*\.jpg", data="folder:photos")


def test_nan_stops_and_names_term_and_phase(base: Path) -> None:
    """The teacher stands; the student's stage may be taken up with another setting."""
    refused(base, TrainingError, "in phase 'transfer' the term kd and label is not", student=(Student(model="nets.py:nan"),))
    report, _ = run(base, recipe())
    assert len(report.artifacts) == 2


def test_another_origins_folder(base: Path) -> None:
    """Whose it is, and what to do."""
    with Run.open(base / "run", origin="another.toml", recipe_toml=encode_recipe(Recipe()), emit=silent) as it:
        assert not it.stage("teach", {"lr": 0.1}).done
    refused(base, RunError, "holds the run of another.toml, not of test. Choose another folder with --out")


def test_a_folder_in_use(base: Path) -> None:
    """By which process."""
    with Run.open(base / "run", origin="test", recipe_toml=encode_recipe(Recipe()), emit=silent):
        refused(base, RunError, f"is in use by process {os.getpid()}")


def test_a_checkpoint_that_is_not_one(base: Path) -> None:
    """Named, with what to do; nothing of it is run."""
    with pytest.raises(KeyboardInterrupt):
        interrupted(base)
    (checkpoint,) = (base / "run").glob("distill/thin-*/.checkpoint.pt")
    checkpoint.write_bytes(b"not a checkpoint")
    refused(base, RunError, r"\.checkpoint\.pt does not read as a checkpoint.*Remove it")


def interrupted(base: Path) -> None:
    """A run that stops as the student's second phase begins, with its checkpoint."""
    from edgekd import compress as verbs
    from edgekd.events import Event, PhaseStarted

    def emit(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "refine":
            raise KeyboardInterrupt

    verbs.compress(recipe(), folder=base / "run", origin="test", base=base, emit=emit)


def test_an_interrupted_run_goes_on_to_the_same_bits(base: Path) -> None:
    """The student's file equals that of an undisturbed run."""
    with pytest.raises(KeyboardInterrupt):
        interrupted(base)
    report, _ = run(base, recipe())
    other, _ = run(base, recipe(), out="undisturbed")
    assert report.artifacts[1].sha256 == other.artifacts[1].sha256


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up when an ONNX file is finished."""
    before = whole_files._sync

    def sync(path: Path) -> None:
        if path.suffix == ".onnx":
            raise OSError(28, "No space left on device", str(path))
        before(path)

    monkeypatch.setattr(whole_files, "_sync", sync)


def test_a_full_disk_while_exporting(base: Path, full_disk: None) -> None:
    """No half file stays, and what was learnt stands."""
    refused(base, RunError, "no room to write .*wide-fp32.onnx: the disk at .* Free some and run the same command again")
    assert not list((base / "run").rglob("*.onnx"))
    assert list((base / "run").glob("distill/thin-*/stage.json"))


@pytest.mark.parametrize(("assistants", "who"), [((), "thin"), (("resnet8",), "resnet8")])
def test_features_that_are_not_there_are_refused_first(base: Path, assistants: tuple[str, ...], who: str) -> None:
    """Before the teacher is taught."""
    phase = (Phase(name="inside", epochs=1, terms=(Heads(), Label())),)
    refused(base, UsageError, f"the term heads compares layers of attention; {who} has none", phase=phase, assistants=assistants)
    assert not list((base / "run").glob("teach-*"))


def test_no_images_to_choose_by_ships_fp32(base: Path) -> None:
    """With validation = 0 % nothing may be chosen, so the plain file ships."""
    job = recipe(
        train=msgspec.structs.replace(recipe().train, validation="0 %"), on={"cpu": "local"}, export=Export(precisions=("fp32", "int8")),
    )  # fmt: skip
    report, _ = run(base, job)
    assert report.shipped == {"cpu/thin": "student/thin/fp32"}
    assert report.networks[1].valid_accuracy is None


def test_a_subset_that_only_a_teacher_can_choose_is_not_asked_of_the_student_alone(base: Path) -> None:
    """`hard` in the last phase: alone is taught on all images, and no second time on the subset."""
    hard = (PHASES[0], msgspec.structs.replace(PHASES[1], subset=Subset(by="hard", fraction=0.5)))
    report, _ = run(base, recipe(phase=hard, alone=True), verb="distill")
    assert [network.role for network in report.networks] == ["teacher", "student", "alone"]
