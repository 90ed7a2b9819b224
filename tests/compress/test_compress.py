"""The whole way on a small job: what a run folder and its report hold, and what is done again and what is not."""

import json
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest

from edgekd.compress.files import DISAGREEMENTS
from edgekd.events import Event, Note, StageFinished, StageStarted
from edgekd.limit import Limit
from edgekd.phases import Phase, features_first
from edgekd.recipe import Export, Student, Teacher
from edgekd.recipefile import read_recipe
from edgekd.record import Report
from edgekd.reportfile import read_report
from edgekd.terms import Label
from tests.compress.jobs import PHASES, recipe, run, workplace
from tests.device.nets import aim


def stages(told: list[Event], *, reused: bool) -> list[str]:
    """Which stages stood already, or were done."""
    return [event.stage for event in told if isinstance(event, StageFinished) and event.reused is reused]


def notes(told: list[Event]) -> str:
    """All that was decided."""
    return "\n".join(event.text for event in told if isinstance(event, Note))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace that the tests of this module share."""
    return workplace(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def whole(base: Path) -> Report:
    """One run with everything: three precisions, times, limits, the student alone."""
    limits = (Limit(artifact="fp32", target="cpu", size="1 MB"), Limit(artifact="fp32", target="cpu", size="1 kB"))
    job = recipe(export=Export(), on={"cpu": "local", "jetson-orin-nano": ""}, alone=True, limit=limits)
    return run(base, job, out="whole")[0]


def test_the_report_holds_every_file_with_its_scores_and_times(whole: Report) -> None:
    """Teacher and student, in three precisions, int8 in both flavours that the targets want, on both splits; each that the CPU takes is timed against
    the teacher's own."""
    names = [f"{role}/{precision}" for role in ("teacher/wide", "student/thin") for precision in ("fp32", "fp16", "int8-cpu", "int8-trt")]
    timed = [name for name in names if not name.endswith("int8-trt")]
    assert [artifact.name for artifact in whole.artifacts] == names
    assert [(score.artifact, score.split) for score in whole.scores] == [(name, split) for name in names for split in ("valid", "test")]
    assert {measurement.artifact for measurement in whole.measurements} == set(timed)
    assert [(ratio.artifact, ratio.against) for ratio in whole.ratios] == [(name, names[0]) for name in timed[1:]]
    assert whole.artifacts[4].params < whole.artifacts[0].params
    for artifact in whole.artifacts[1:]:
        score = whole.score(artifact.name)
        assert score is not None
        assert {"agreement", "flips", "accuracy_drop"} <= set(score.against)


def test_the_report_holds_what_a_page_draws_of_the_answers(whole: Report) -> None:
    """Bins and mix-ups of every file, and the test images on which a student differs from its teacher, as the data has them."""
    for score in whole.scores:
        wrong = sum(count for row in score.confusion.values() for count in row.values())
        assert sum(each.images for each in score.reliability) == score.n
        assert score.n - wrong == round(score.metrics["accuracy"].value * score.n)
        differing = round((1 - score.against["agreement"].value) * score.n) if score.against else 0
        drawn = score.split == "test" and score.artifact.startswith("student/")
        assert len(score.disagreements) == (min(differing, DISAGREEMENTS) if drawn else 0)


def test_the_networks_learnt(whole: Report) -> None:
    """Far above the third that guessing gives; the two ways alone stand beside the student."""
    assert [(network.role, network.name) for network in whole.networks] == [
        ("teacher", "wide"), ("student", "thin"), ("alone", "thin"), ("alone-on-subset", "thin"),
    ]  # fmt: skip
    for network in whole.networks:
        assert network.valid_accuracy is not None
        assert network.valid_accuracy > 0.6
    distilled, lonely = whole.networks[1], whole.networks[2]
    assert distilled.training.steps == lonely.training.steps
    assert {point.phase for point in distilled.training.curve} == {"transfer", "refine"}
    assert lonely.test_accuracy is not None


def test_what_ships_is_a_students_file_that_was_timed(whole: Report) -> None:
    """One for the target and the student."""
    assert list(whole.shipped) == ["cpu/thin"]
    assert whole.artifact(whole.shipped["cpu/thin"]).role == "student"


def test_the_limits_were_judged(whole: Report) -> None:
    """One holds and one cannot."""
    assert [verdict.state for verdict in whole.verdicts] == ["pass", "over"]


def test_the_folder_holds_what_the_report_says(base: Path, whole: Report) -> None:
    """report.json reads back equal, each file is the size and has the weights it says, the recipe reads, the manifest hashes all."""
    folder = base / "whole"
    assert read_report(folder) == whole
    assert (folder / "report.md").read_text().startswith("# ")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    read_recipe(folder / "recipe.toml")
    manifest = json.loads((folder / "manifest.json").read_text())
    for artifact in whole.artifacts:
        assert (folder / artifact.path).stat().st_size == artifact.size
        assert manifest["files"][artifact.path] == artifact.sha256
    assert not [file for file in folder.rglob("*") if file.name.startswith((".part-", ".checkpoint"))]


def test_a_file_answers_by_itself(base: Path, whole: Report) -> None:
    """Outside edgekd, in plain ONNX Runtime, at a batch of its own."""
    session = onnxruntime.InferenceSession(str(base / "whole" / whole.artifacts[3].path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": np.zeros((5, 3, 8, 8), np.float32)})
    assert np.asarray(logits).shape == (5, 3)


def test_a_second_time_nothing_is_done_again(tmp_path: Path) -> None:
    """Every stage stands, and the report says the same."""
    workplace(tmp_path)
    first, _ = run(tmp_path, recipe())
    second, told = run(tmp_path, recipe())
    assert stages(told, reused=False) == []
    assert not [event for event in told if isinstance(event, StageStarted)]
    assert msgspec.structs.replace(second, created=first.created) == first


def test_only_what_a_change_touches_is_done_again(tmp_path: Path) -> None:
    """Another precision exports and scores anew; another seed teaches anew."""
    workplace(tmp_path)
    run(tmp_path, recipe())
    _, told = run(tmp_path, recipe(export=Export(precisions=("fp32", "fp16"))))
    assert stages(told, reused=True) == ["teach", "distill/thin", "evaluate/teacher-wide-fp32", "evaluate/student-thin-fp32"]
    assert set(stages(told, reused=False)) >= {"export/teacher-wide", "export/student-thin", "evaluate/student-thin-fp16"}
    _, told = run(tmp_path, recipe(seed=1))
    assert "teach" in stages(told, reused=False)


def test_each_step_stops_where_it_says_and_takes_up_what_stands(tmp_path: Path) -> None:
    """teach, then distill, then export, then evaluate; afterwards teach alone still tells of everything."""
    workplace(tmp_path)
    report, _ = run(tmp_path, recipe(), verb="teach")
    assert ([network.role for network in report.networks], report.artifacts) == (["teacher"], [])
    report, told = run(tmp_path, recipe(), verb="distill")
    assert ([network.role for network in report.networks], report.artifacts) == (["teacher", "student"], [])
    assert stages(told, reused=True) == ["teach"]
    report, _ = run(tmp_path, recipe(), verb="export_files")
    assert (len(report.artifacts), report.scores) == (2, [])
    report, _ = run(tmp_path, recipe(), verb="evaluate_files")
    assert len(report.scores) == 4
    again, told = run(tmp_path, recipe(), verb="teach")
    assert (again.scores, stages(told, reused=False)) == (report.scores, [])


def test_bench_times_anew_and_keeps_the_scores(tmp_path: Path) -> None:
    """Asked for by name, it is not taken from the shelf."""
    workplace(tmp_path)
    first, _ = run(tmp_path, recipe(on={"cpu": "local"}))
    second, told = run(tmp_path, recipe(on={"cpu": "local"}), verb="bench_files")
    assert "bench" in stages(told, reused=False)
    assert second.measurements[0].timing != first.measurements[0].timing
    assert second.scores == first.scores


def test_the_teacher_alone(tmp_path: Path) -> None:
    """student = [] exports and ships the teacher's own files."""
    workplace(tmp_path)
    report, _ = run(tmp_path, recipe(student=(), on={"cpu": "local"}, export=Export(precisions=("fp32", "int8"))))
    assert [artifact.name for artifact in report.artifacts] == ["teacher/wide/fp32", "teacher/wide/int8-cpu"]
    assert report.shipped["cpu/wide"].startswith("teacher/wide/")


def test_a_teacher_that_edgekd_taught_is_brought_to_another_run(tmp_path: Path) -> None:
    """By its safetensors, and by its ONNX file as a black box: checked, not taught."""
    workplace(tmp_path)
    first, _ = run(tmp_path, recipe(), out="first")
    (weights,) = (tmp_path / "first").glob("teach-*/weights.safetensors")
    for number, spec in enumerate(
        [Teacher(model="nets.py:wide", weights=str(weights)), Teacher(model=str(tmp_path / "first" / first.artifacts[0].path))]
    ):
        job = recipe(teacher=spec, train=msgspec.structs.replace(recipe().train, teacher_epochs=None))
        report, _ = run(tmp_path, job, out=f"other-{number}")
        assert report.networks[0].training.how == "brought"
        score, before = report.score(report.artifacts[0].name), first.score(first.artifacts[0].name)
        assert score is not None
        assert before is not None
        assert score.metrics["accuracy"] == before.metrics["accuracy"]


def test_a_student_is_picked_with_its_reason(tmp_path: Path) -> None:
    """Where none is named; a dry run says it too, with steps, sizes and time, and writes nothing."""
    from edgekd.compress import plan

    workplace(tmp_path)
    lines = "\n".join(plan(recipe(student=None, teacher=Teacher(model="resnet14")), base=tmp_path))
    assert "no student is named: resnet8 is the smallest of" in lines
    assert "student   resnet8: 74.8k parameters" in lines
    assert "about" in lines
    assert "its answers, remembered on 2 views and the plain images: " in lines
    assert not list(tmp_path.glob("run*"))


def test_a_decision_that_two_steps_come_to_is_said_once(tmp_path: Path) -> None:
    """Terms that look inside are held against edgekd's own teacher before it is taught, which is then named again."""
    from edgekd.compress import plan

    workplace(tmp_path)
    said = [line for line in plan(recipe(teacher=None, phase=features_first(PHASES)), base=tmp_path) if "no teacher is named" in line]
    assert len(said) == 1


@pytest.mark.parametrize(("views", "how", "passes"), [(2, "remembered on 2 views and the plain images", 3), (0, "asked in every step", 4)])
def test_the_teachers_answers_are_part_of_the_time(tmp_path: Path, views: int, how: str, passes: int) -> None:
    """Once for each view and the plain images, or in each epoch where it answers live; labels alone ask nothing of it."""
    from edgekd.compress import plan

    # of a layer: a teacher is asked as a graph, which calls no hook of the whole
    slow = "import time, nets\n\ndef net(classes):\n    made = nets.wide(classes)\n    *_, last = made.modules()\n"
    slow += "    last.register_forward_hook(lambda module, *_: None if module.training else time.sleep(0.2))\n    return made\n"
    (workplace(tmp_path) / "slow.py").write_text(slow)
    job = recipe(teacher=Teacher(model="slow.py:net"), train=msgspec.structs.replace(recipe().train, views=views))
    lines = plan(job, base=tmp_path)
    (said,) = (line for line in lines if "its answers" in line)
    assert how in said
    assert 0.19 * passes < float(said.split(": ")[1].removesuffix(" s")) < 0.4 * passes
    (total,) = (line for line in lines if line.startswith("time"))
    assert float(total.split("about ")[1].split(" s ")[0]) > 0.19 * passes
    labels = msgspec.structs.replace(job, phase=(Phase(name="plain", epochs=1, terms=(Label(),)),))
    assert not any("its answers" in line for line in plan(labels, base=tmp_path))


def test_targets_of_ones_own_are_files_beside_the_recipe(tmp_path: Path) -> None:
    """[on] and [[limit]] name the file, a limit also the target; what is measured bears the target's name, and `check` holds the run to it."""
    from edgekd.compress import plan
    from edgekd.gate import check

    with Path(aim(workplace(tmp_path))).open("a", encoding="utf-8") as file:
        file.write('\n[chip]\nbandwidth = 1e6\nsource = "made up"\n')
    limits = tuple(Limit(artifact="fp32", target=name, latency_p50="1 s") for name in ("quiet.toml", "quiet"))
    job = recipe(student=(), on={"quiet.toml": "local"}, limit=limits)
    assert any(line.endswith("on quiet.toml (fp16; computed from its data sheet)") for line in plan(job, base=tmp_path))
    report, _ = run(tmp_path, job)
    assert {measurement.target for measurement in report.measurements} == {"quiet"}
    for verdicts in (report.verdicts, check([tmp_path / "run"])):
        assert {(verdict.target, verdict.state) for verdict in verdicts} == {("quiet", "pass")}
    assert read_recipe(tmp_path / "run" / "recipe.toml") == job


def test_an_open_batch_shrinks_for_few_images_and_says_so(tmp_path: Path) -> None:
    """216 of 240 images, ten of them validation: 16 at a time."""
    workplace(tmp_path)
    _, told = run(tmp_path, recipe(train=msgspec.structs.replace(recipe().train, batch=None)), verb="teach")
    assert "training images are few: the batch shrinks from 128 to 16" in notes(told)


def test_unbalanced_classes_are_said_and_the_prior_evens_them(tmp_path: Path) -> None:
    """8:1:1; under `uniform` the last phase is balanced, so that the rare classes are seen as often."""
    workplace(tmp_path, train=300, counts=(8, 1, 1))
    report, told = run(tmp_path, recipe(), verb="teach")
    assert "If the device meets all classes alike, --set train.prior=uniform" in notes(told)
    assert any("train.prior=uniform" in note for note in report.notes)
    even = recipe(train=msgspec.structs.replace(recipe().train, prior="uniform"))
    _, told = run(tmp_path, even, verb="distill")
    assert "train.prior" not in notes(told)
    assert "distill/thin" in stages(told, reused=False)
    for job, anew in ((recipe(student=()), True), (msgspec.structs.replace(even, student=()), True), (recipe(student=()), False)):
        _, told = run(tmp_path, job, verb="export_files", out="teacher")
        assert ("export/teacher-wide" in stages(told, reused=False)) is anew, "int8 is held to another accuracy under another prior"


def test_two_students_in_one_run(tmp_path: Path) -> None:
    """Each with its files; both read one remembered teacher."""
    workplace(tmp_path)
    report, _ = run(tmp_path, recipe(student=(Student(model="nets.py:thin"), Student(model="nets.py:wide"))))
    assert [artifact.name for artifact in report.artifacts] == ["teacher/wide/fp32", "student/thin/fp32", "student/wide/fp32"]
    (memory,) = (tmp_path / "run" / "remembered").iterdir()
    assert sorted(file.name for file in memory.iterdir()) == ["view-0.npy", "view-1.npy"]
