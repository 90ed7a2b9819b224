"""The scripts that published figures come from: their recipes read, their results render, and what stands in the README is what they wrote."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from benchmarks import (
    asking,
    catalogue,
    cifar10,
    domain,
    engines,
    forgetting,
    gate_noise,
    gpu,
    inherit,
    kills,
    lessons,
    longtail,
    methods,
    overhead,
    phase2_search,
    qat,
    quantisers,
    render,
    result,
    rivals,
    runtimes,
    speed,
    trust,
)
from benchmarks import export as exporting
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.distill import alone
from edgekd.distill.domain import SelfTeaching
from edgekd.export.engine import Engine, EngineLayer
from edgekd.models.attention import attends
from edgekd.models.load import build
from edgekd.phases import Augment, termed
from edgekd.recipe import Recipe
from edgekd.recipefile import read_recipe
from edgekd.terms import Label

RECIPES = sorted((result.ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_of_record_read(file: Path) -> None:
    """Every key is known, and their paths start at their own folder."""
    recipe = read_recipe(file)
    assert recipe.data.startswith("npz:../data/")


def test_the_measured_two_phases_are_the_default_ones() -> None:
    """The same temperatures, subset, terms and shares of the epochs."""
    measured, default = read_recipe(result.ROOT / "recipes" / "two-phase.toml").phase, termed(Recipe().phase, many=False)
    for ours, theirs in zip(cifar10.scaled(measured, 8), cifar10.scaled(default, 8), strict=True):
        assert ours == theirs


def test_every_way_takes_the_same_steps() -> None:
    """Alone, plain KD and two phases differ in what is asked of a step, and in nothing else."""
    ways = cifar10.ways(read_recipe(result.ROOT / "recipes" / "two-phase.toml"), 8.0)
    assert set(ways) == set(cifar10.WAYS)
    assert {sum(phase.epochs for phase in phases) for phases in ways.values()} == {8.0}
    assert not any(phase.soft for phase in ways["alone"])


def test_gains_are_paired_by_seed() -> None:
    """A mean of differences over the seeds that all ways have, with an interval."""
    rows = [
        {"student": "resnet8", "way": way, "seed": seed, "test_accuracy": accuracy}
        for way, found in {"two_phase": [82.0, 84.0, 99.0], "kd": [81.5, 84.5], "alone": [80.0, 80.0]}.items()
        for seed, accuracy in enumerate(found)
    ]
    figures = cifar10.figures(rows)
    assert figures["two_phase_minus_alone"] == pytest.approx(3.0)
    assert figures["two_phase"] == pytest.approx(83.0)
    assert figures["two_phase_minus_kd"] == pytest.approx(0.0)
    assert figures["two_phase_minus_kd_low"] < 0 < figures["two_phase_minus_kd_high"]


def test_candidates_share_the_first_phase() -> None:
    """All last one epoch of eight, so that each goes on from the same checkpoint."""
    assert {second.epochs for second in phase2_search.seconds(1.0, cifar10.TERMS).values()} == {1.0}


def test_every_way_on_a_long_tail_takes_the_same_steps() -> None:
    """Two phases' own schedule with labels alone, and plain KD in one phase; the labels are adjusted where that is the name, and nowhere else."""
    for two in longtail.candidates(10.0).values():
        ways = longtail.ways(two, 10.0)
        assert tuple(ways) == longtail.WAYS
        assert {way: round(sum(phase.epochs for phase in phases), 6) for way, phases in ways.items()} == dict.fromkeys(ways, 10.0)
        assert [way for way, phases in ways.items() if any(phase.soft for phase in phases)] == ["two_phase", "kd"]
        assert [ways[way][-1].subset == two[-1].subset for way in ("alone_balanced", "alone", "alone_adjusted")] == [True, False, True]
        assert [term.logit_adjustment for term in ways["alone_balanced"][0].terms if isinstance(term, Label)] == [0.0]


def _row(way: str, seed: int, accuracy: float, **others: object) -> dict[str, object]:
    return {"data": "cifar10", "imbalance": 100, "way": way, "seed": seed, "test_balanced_accuracy": accuracy, **others}


def test_gains_on_a_long_tail_are_paired_by_seed() -> None:
    """Over the seeds that the four ways of the issue have; a teacher is one, and what is not measured has no figure."""
    found = {
        "two_phase": [70.0, 72.0, 99.0],
        "kd": [60.0, 60.0],
        "alone_balanced": [65.0, 66.0],
        "alone": [55.0, 55.0, 55.0],
        "alone_adjusted": [68.0],
    }
    rows = [_row(way, seed, accuracy) for way, seeds in found.items() for seed, accuracy in enumerate(seeds)]
    rows += [_row("teacher", 0, 62.0), _row("teacher_corrected", 0, 73.0), _row("alone", 0, 50.0, imbalance=10)]
    figures = longtail.figures(rows)
    assert (figures["two_phase"], figures["two_phase_minus_kd"], figures["two_phase_minus_alone_balanced"]) == (71.0, 11.0, 5.5)
    assert (figures["teacher"], figures["two_phase_minus_teacher"], figures["two_phase_minus_teacher_corrected"]) == (62.0, 9.0, -2.0)
    assert figures["two_phase_minus_kd_low"] < 11 < figures["two_phase_minus_kd_high"]
    assert not {"alone_adjusted", "two_phase_minus_alone_adjusted", "cifar10_10_alone"} & set(figures)


def test_the_candidate_is_chosen_on_validation_images() -> None:
    """By balanced accuracy on one seed's; test images have no say, nor have other settings."""
    rows = [
        _row("a", longtail.CHOSEN_ON, 99.0, valid_balanced_accuracy=50.0),
        _row("b", longtail.CHOSEN_ON, 10.0, valid_balanced_accuracy=60.0),
        _row("c", 0, 10.0, valid_balanced_accuracy=90.0),
        _row("d", longtail.CHOSEN_ON, 10.0, valid_balanced_accuracy=90.0, imbalance=10),
    ]
    assert longtail.chosen(rows, "cifar10") == "b"


def test_many_classes_get_their_line_once_seeds_are_enough() -> None:
    """For an interval it takes two; what is gained over each of both."""
    one = {"cifar100, teacher": 66.4, "cifar100, two phases, dist": 55.17}
    one |= {"cifar100, two phases, dist minus alone": 10.24, "cifar100, two phases, dist minus kd": 8.55}
    assert "CIFAR-100" not in render.headline({"methods": {"figures": one}})
    (line,) = [
        line
        for line in render.headline({"methods": {"figures": {**one, "cifar100, two phases, dist minus kd, low": 7.5}}}).splitlines()
        if "CIFAR-100" in line
    ]
    assert "two phases: +10.24 points over alone, +8.55 over plain KD | 55.17 % (the teacher 66.40 %) |" in line


def test_the_long_tail_gets_its_line_once_it_is_measured() -> None:
    """With what two phases gain over each of the three; a teacher alone says nothing yet."""
    figures = {"two_phase": 71.0, "two_phase_minus_kd": 11.0, "two_phase_minus_alone_balanced": 5.5, "two_phase_minus_teacher": 9.0}
    (line,) = [line for line in render.headline({"longtail": {"figures": figures}}).splitlines() if "long tail" in line]
    assert "+11.00 points over plain KD, +5.50 over labels on the same images, +9.00 over the teacher | 71.00 %" in line
    assert "long tail" not in render.headline({"longtail": {"figures": {"teacher": 62.0}}})


def test_a_broken_file_is_seen(tmp_path: Path) -> None:
    """Half a JSON under a final name is named; an unfinished one is passed over."""
    (tmp_path / "stage.json").write_text('{"a"')
    (tmp_path / ".part-1-report.json").write_text('{"a"')
    assert [text.split(":")[0] for text in kills.broken(tmp_path)] == ["stage.json"]


def test_results_are_saved_in_the_agreed_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are numbers, and script, host, date and commit stand beside them."""
    monkeypatch.setattr(result, "RESULTS", tmp_path)
    document = json.loads(result.save("some", figures={"a": 1.23456}, rows=[{"b": 2}], seconds=1.0).read_text())
    assert (document["schema"], document["figures"], document["rows"]) == (1, {"a": 1.2346}, [{"b": 2}])
    assert set(document) == {"schema", "script", "command", "commit", "date", "seconds", "host", "figures", "rows"}


def test_what_is_published_is_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """benchmarks/README.md and the table in README.md are as render.py writes them."""
    monkeypatch.setattr(sys, "argv", ["render", "--check"])
    assert render.main() == 0, capsys.readouterr().out


def test_a_methods_gain_is_paired_and_the_best_is_the_figure() -> None:
    """Rows of choices count for nothing, nor do two seeds for the best; the share of the gap is of what lies between alone and the teacher."""
    rows = [
        {"set": "cifar100", "method": method, "setting": 0, "seed": seed, "test_accuracy": accuracy}
        for method, found in {"alone": [60.0, 62.0, 61.0], "kd": [62.0, 63.0, 62.5], "dkd": [64.0, 66.0, 65.0], "dist": [99.0, 99.0]}.items()
        for seed, accuracy in enumerate(found)
    ]
    rows.append({"set": "cifar100", "method": "dkd", "setting": 1, "seed": methods.CHOICE_SEED, "valid_accuracy": 99.0})
    found = methods.figures(rows, {"cifar100, teacher": 71.0})
    assert found["cifar100, dkd minus alone"] == found["best_gain_points"] == pytest.approx(4.0)
    assert found["cifar100, dkd minus kd"] == pytest.approx(2.5)
    assert found["cifar100, dkd minus kd, low"] < 2.5 < found["cifar100, dkd minus kd, high"]
    assert found["cifar100, dkd, gap recovered"] == pytest.approx(0.4)
    assert "best_gain_points" not in methods.figures([row for row in rows if row["seed"] != 2], {})


def test_rows_of_another_teacher_do_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do those of a method or setting that is no more; other sets' rows are not looked at."""
    monkeypatch.setattr(lessons.Lesson, "key", property(lambda lesson: f"{lesson.method}-{lesson.at}"))
    setting = lessons.SETTINGS["cifar10"]
    row = {"set": "cifar10", "method": "dkd", "setting": 1, "seed": 0, "epochs": 10.0, "key": "dkd-1"}
    changes: list[dict[str, Any]] = [{}, {"key": "dkd-0"}, {"setting": 7}, {"method": "gone"}, {"set": "cifar100", "key": "old"}]
    assert [methods.stands({**row, **change}, "cifar10", setting, quick=False) for change in changes] == [True, False, False, False, True]


def test_a_setting_is_chosen_once_all_are_tried() -> None:
    """By validation images; a method without a choice needs none."""
    tried = [{"set": "cifar10", "method": "dkd", "setting": at, "seed": methods.CHOICE_SEED, "valid_accuracy": 50.0 + at} for at in range(2)]
    assert methods.chosen(tried, "cifar10", "dkd") == 1
    assert methods.chosen(tried[:1], "cifar10", "dkd") is None
    assert methods.chosen([], "cifar10", "kd") == 0


def test_every_method_is_measured_somewhere() -> None:
    """A transformer has the terms of attention layers and tokens, and a teacher that attends where those need one; convolutions have all others."""
    measured = [set(setting.methods) for setting in lessons.SETTINGS.values()]
    assert set().union(*measured) == set(catalogue.METHODS)
    transformer = lessons.SETTINGS["cifar10-transformer"]
    assert [set(catalogue.ATTENDING) <= found for found in measured] == [False, False, True]
    networks = [build(name, classes=10, shape=(32, 32, 3)) for name in (transformer.student, transformer.assistant, transformer.teacher)]
    assert list(map(attends, networks)) == [True, True, False]
    assert {catalogue.WHO[method] for method in ("heads", "values")} == {"assistant"}


def test_every_method_takes_the_same_steps() -> None:
    """Whatever its phases, and choices come before what is chosen."""
    for settings in catalogue.METHODS.values():
        for phases in settings:
            assert sum(phase.epochs for phase in catalogue.scaled(phases, 10.0)) == pytest.approx(10.0)
    order = methods.wanted(["dkd", "kd"], [0, 1])
    assert order == [("dkd", 0, 10), ("dkd", 1, 10), ("dkd", None, 0), ("kd", None, 0), ("dkd", None, 1), ("kd", None, 1)]


def test_overhead_is_a_mean_over_launches() -> None:
    """Of each launch its middle pair; one launch has no interval."""
    rows = [{"ratios": [1.0, 1.01, 9.0], "loop_ms": [0.9]}, {"ratios": [1.03, 1.03, 0.1], "loop_ms": [1.1]}]
    found = overhead.figures(rows)
    assert found["overhead_percent"] == pytest.approx(100 * ((1.01 * 1.03) ** 0.5 - 1))
    assert found["loop_ms"] == 1.0
    assert found["overhead_percent_low"] < found["overhead_percent"] < found["overhead_percent_high"]
    assert set(overhead.figures(rows[:1])) == {"overhead_percent", "loop_ms"}


def test_trust_holds_a_session_against_the_others() -> None:
    """A session's own launches are no part of the long-run value; the two loads have one each."""
    rows = [
        {"loaded": loaded, "launches": [ratio, ratio], "seconds": 5.0, "loop_100": ratio}
        for loaded, ratios in {False: [4.0, 4.0, 8.0], True: [2.0, 2.0, 2.0]}.items()
        for ratio in ratios
    ]
    found = trust.figures(rows)
    assert found["coverage"] == 0.5
    assert found["ratio_spread_loaded"] == pytest.approx(0.0)
    assert found["ratio_spread_quiet"] > 0.3
    assert found["shift_under_load"] == pytest.approx(2.0 / 128 ** (1 / 3) - 1)


@pytest.mark.parametrize(("loaded", "state", "expected"), [(False, "over", 1.0), (True, "undecided", 0.0)])
def test_a_gates_figure_is_the_worse_halfs(loaded: bool, state: str, expected: float) -> None:
    """False alarms of the half with more of them, findings of the half with fewer."""
    others = dict.fromkeys(gate_noise.RIVALS, False)
    rows = [
        {"percent": percent, "loaded": half, "state": state if half == loaded else "pass", "seconds": 5.0, **others}
        for percent in (0, 10)
        for half in (False, True)
    ]
    found = gate_noise.figures(rows)
    assert (found["false_alarm_rate"], found["found_10"]) == (expected, 0.0)


def test_a_poor_camera_keeps_what_an_image_shows() -> None:
    """Grey, of less contrast, noisy, the same each time, and brighter where the image is."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    seen = domain.poor(pixels, 1)
    assert (seen.dtype, seen.shape) == (pixels.dtype, pixels.shape)
    assert np.array_equal(seen, domain.poor(pixels, 1))
    assert not np.array_equal(seen, domain.poor(pixels, 2))
    assert np.array_equal(seen[..., 0], seen[..., 2])
    assert np.corrcoef(pixels.mean(axis=3).ravel(), seen[..., 0].ravel())[0, 1] > 0.7


def test_what_a_domain_gains_is_paired_with_the_source_alone() -> None:
    """On source and target, over the seeds that both have; the gradient is the largest that was seen."""
    found = {"source_only": [(80.0, 40.0), (82.0, 44.0)], "own_logits": [(80.5, 40.0), (81.5, 44.0)], "ours": [(79.0, 60.0), (81.0, 65.0)]}
    rows = [
        {
            "way": way,
            "seed": seed,
            "source_accuracy": here,
            "target_accuracy": there,
            "source_auc": 97.0,
            "target_auc": 90.0,
            "largest_gradient": 0.1 + seed,
        }
        for way, seeds in found.items()
        for seed, (here, there) in enumerate(seeds)
    ]
    figures = domain.figures(rows)
    assert (figures["ours_minus_source_only_target"], figures["ours_minus_source_only_source"]) == (20.5, -1.0)
    assert figures["ours_minus_source_only_target_low"] < 20.5 < figures["ours_minus_source_only_target_high"]
    assert (figures["own_logits_minus_source_only_target"], figures["ours_largest_gradient"]) == (0.0, 1.1)
    assert not {"ours_unaligned_target_accuracy", "teacher_target_accuracy", "source_only_largest_gradient"} & set(figures)


def test_own_logits_have_no_gradient_and_an_averaged_teacher_has() -> None:
    """On the target's images, at a student's weights as they begin: but for rounding."""
    torch.manual_seed(0)
    student = build("resnet8", classes=10, shape=(32, 32, 3), preprocess=domain.IMAGENET).train()
    pixels = domain.poor(np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8), 1)
    images = Images(np.full(64, -1), np.arange(64), (32, 32, 3), pixels)
    options = msgspec.structs.replace(domain.OPTIONS, confidence=0.0)
    shared: dict[str, Any] = {"content": "x", "wanted": [1] * 10, "augment": Augment(), "view_seed": 0, "batch": 64, "seed": 0, "steps": 1}
    lesson = SelfTeaching(student, Batches(images), options, **shared)
    own = [domain.OwnLogits(lesson, together=together) for together in (False, True)]
    for one, least, most in ((own[0], 0.0, 1e-5), (own[1], 0.0, 1e-5), (lesson, 1e-2, 1e9)):
        looked = domain.Looked(one)
        guests = looked.guests(domain.EVERY - 1, plain=False)
        answers = torch.zeros(4, 10) if guests is None else torch.cat([torch.zeros(4, 10), student(guests)])
        looked.parts(student, torch.zeros(0), answers, step=domain.EVERY - 1)
        assert (guests is None) == (one is own[0])
        assert least <= looked.largest <= most


def test_forgetting_is_paired_with_the_old_student() -> None:
    """Over the seeds that every way has; what was not run has no figure."""
    found = {"before": [(70.0, 0.0), (72.0, 0.0), (99.0, 0.0)], "fine_tuning": [(10.0, 45.0), (12.0, 47.0)], "lwf": [(30.0, 50.0), (34.0, 54.0)]}
    rows = [
        {"way": way, "seed": seed, "old": old, "new": 80.0, "all": whole, "aligned_all": whole}
        for way, seeds in found.items()
        for seed, (old, whole) in enumerate(seeds)
    ]
    figures = forgetting.figures(rows)
    assert (figures["before_old"], figures["lwf_old"], figures["lwf_all"]) == (71.0, 32.0, 52.0)
    assert (figures["fine_tuning_forgotten"], figures["lwf_forgotten"], figures["lwf_minus_fine_tuning"]) == (60.0, 39.0, 6.0)
    assert figures["lwf_minus_fine_tuning_low"] < 6.0 < figures["lwf_minus_fine_tuning_high"]
    assert not {"joint_all", "lwf_replay_minus_lwf"} & set(figures)
    assert forgetting.figures(rows[3:]) == {}


def test_aligned_outputs_are_as_long_as_the_old_ones() -> None:
    """On average, and only those of new classes; the network itself stays."""
    network = build("resnet8", classes=10, shape=(32, 32, 3))
    head = network.body.get_submodule("linear")
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight[forgetting.KNOWN :] *= 3
    before = head.weight.detach().clone()
    other = forgetting.aligned(network).body.get_submodule("linear")
    assert isinstance(other, torch.nn.Linear)
    lengths = other.weight.detach().norm(dim=1)
    assert lengths[forgetting.KNOWN :].mean() == pytest.approx(lengths[: forgetting.KNOWN].mean().item(), rel=1e-5)
    assert torch.equal(other.weight[: forgetting.KNOWN], before[: forgetting.KNOWN])
    assert torch.equal(head.weight, before)


def test_what_a_student_inherits_is_paired_with_itself_alone() -> None:
    """By seed and setting; under a teacher that was taught on flipped labels too, alone is that of the flipped labels."""
    plain = dict.fromkeys(inherit.PAIRED, 50.0)
    rows = [
        {"setting": setting, "way": way, "seed": seed, **plain, "agreement": 80.0, "corrupted": corrupted}
        for (setting, way), found in {
            ("clean", "student"): [60.0, 64.0],
            ("clean", "alone"): [58.0, 58.0, 1.0],
            ("taught", "student"): [55.0],
        }.items()
        for seed, corrupted in enumerate(found)
    ]
    rows += [
        {"setting": "noisy", "way": "alone", "seed": 0, **plain, "corrupted": 54.0},
        {"setting": "clean", "way": "teacher", "seed": 0, "accuracy": 93.0},
    ]
    figures = inherit.figures(rows)
    assert (figures["clean_student_corrupted"], figures["clean_student_minus_alone_corrupted"]) == (62.0, 4.0)
    assert figures["clean_student_minus_alone_corrupted_low"] < 4.0 < figures["clean_student_minus_alone_corrupted_high"]
    assert (figures["taught_student_minus_alone_corrupted"], figures["clean_teacher_accuracy"]) == (1.0, 93.0)
    assert not {"clean_teacher_transferred_4", "noisy_student_corrupted", "taught_alone_corrupted"} & set(figures)


def test_every_way_to_inherit_takes_the_same_steps() -> None:
    """Student and alone; there is an alone for every student to be compared with."""
    for name in inherit.NOISE:
        assert [way for way, _ in inherit.wanted(name, [0, 1])] == ["teacher", *inherit.WAYS[name] * 2]
    two = cifar10.scaled(Recipe().phase, 3.0)
    assert {sum(phase.epochs for phase in phases) for phases in (two, alone(two))} == {3.0}


def test_a_gpu_teaches_each_teacher_before_its_first_student() -> None:
    """A seed of each pair before the next one, and each teacher once."""
    found = list(gpu.items(gpu.PAIRS, [0, 1]))
    assert [item.network for item in found[:4]] == ["resnet56b", "resnet20b", "resnet32x4", "resnet8x4"]
    assert [item for item in found if item.teacher is None] == [gpu.Item(pair.teacher, None, 0) for pair in gpu.PAIRS[:4]]
    for place, item in enumerate(found):
        if item.teacher is not None:
            assert gpu.Item(item.teacher, None, 0) in found[:place]
    assert [item.seed for item in found if item.teacher is not None] == [0] * len(gpu.PAIRS) + [1] * len(gpu.PAIRS)


def test_a_gpus_figures_are_means_by_network() -> None:
    """Teachers apart, under the names that the students have in the literature."""
    rows = [{"network": n, "teacher": t, "test_accuracy": a} for n, t, a in (("a", "", 70.0), ("b", "a", 71.0), ("b", "a", 72.0))]
    assert gpu.figures([*rows, {"network": "b", "teacher": "a", "test_accuracy": gpu.NOT_RUN}]) == {"a, teacher": 70.0, "b": 71.5}


def test_a_gpus_teachers_outlive_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights beside the results and their row are put back; what has no result says that it was not run."""
    teacher, student = gpu.Item("a", None, 0), gpu.Item("b", "a", 1)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "saved_rows", lambda name: [{"network": "a", "teacher": "", "seed": 0, "test_accuracy": 70.0}])
    gpu.restore([teacher, student], tmp_path / "work")
    assert not (tmp_path / "work").exists()
    gpu.kept(teacher).write_bytes(b"weights")
    gpu.restore([teacher, student], tmp_path / "work")
    assert (tmp_path / "work" / teacher.folder / gpu.WEIGHTS).read_bytes() == b"weights"
    assert gpu.row_of(teacher, tmp_path / "work")["test_accuracy"] == 70.0
    assert gpu.row_of(student, tmp_path / "work")["test_accuracy"] == gpu.NOT_RUN


def _bout(times: dict[runtimes.Way, float]) -> runtimes.Bout:
    """Everybody takes just so many ms, in two launches of three rounds; all answer alike."""
    logits = np.arange(8, dtype=np.float32).reshape(4, 2)
    return runtimes.Bout({way: [[[ms, ms]] * 3] * 2 for way, ms in times.items()}, dict.fromkeys(times, logits))


def test_an_int8_that_gains_nothing_is_said_and_not_picked() -> None:
    """The target's file is held against the best of all others, and so is the faster of both runtimes' files."""
    times = {(runtimes.ORT, "fp32"): 10.0, (runtimes.ORT, "int8-cpu"): 11.0, (runtimes.OPENVINO, "fp32"): 8.0, (runtimes.EAGER, "fp32"): 20.0}
    bout = _bout(times)
    bout.failures[runtimes.COMPILED, "fp32"] = "RuntimeError: no"
    rows = {(row["runtime"], row["precision"]): row for row in exporting.compared(bout, {(runtimes.ORT, "int8-cpu"): 100})}
    int8, fp32, vino = rows[runtimes.ORT, "int8-cpu"], rows[runtimes.ORT, "fp32"], rows[runtimes.OPENVINO, "fp32"]
    assert (int8["speedup"], int8["gains"], int8["picked"], int8["size"]) == (0.909, False, False, 100)
    assert (fp32["picked"], fp32["over_best"], fp32["best_other"]) == (True, 1.25, "openvino fp32")
    assert (vino["picked_with_openvino"], vino["over_best"], vino["output_error"]) == (True, 0.8, 0.0)
    assert rows[runtimes.COMPILED, "fp32"]["failed"] == "RuntimeError: no"


def test_what_was_refused_is_no_ones_to_pick_and_a_tie_is_the_targets() -> None:
    """A refused int8 neither ships nor is the best of the others; one as fast as fp32 to a twentieth ships, as the target has it first."""
    times = {(runtimes.ORT, "fp32"): 10.0, (runtimes.ORT, "int8-cpu"): 10.4, (runtimes.OPENVINO, "fp32"): 12.0, (runtimes.OPENVINO, "int8-cpu"): 5.0}
    assert exporting.picked(_bout(times)) == ((runtimes.ORT, "int8-cpu"), (runtimes.OPENVINO, "int8-cpu"))
    refused = exporting.compared(_bout(times), {}, {"int8-cpu"})
    (one,) = [row for row in refused if row["picked"]]
    assert (one["runtime"], one["precision"], one["picked_with_openvino"], one["best_other"]) == (runtimes.ORT, "fp32", True, "openvino fp32")


@pytest.mark.parametrize(("vnni", "suffix"), [(True, ""), (False, "_without_vnni")])
def test_a_cpu_without_vnni_has_figures_of_its_own_name(vnni: bool, suffix: str) -> None:
    """The median is of the five convolutional networks, and of nothing less; what is lost and what is picked are the worst of all rows."""
    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "runtime": runtimes.ORT,
            "precision": "int8-cpu",
            "vnni": vnni,
            "speedup": gain,
            "picked_with_openvino": True,
            "over_best": 1 / gain,
        }
        for name, gain in zip(exporting.CONVOLUTIONAL, [1.9, 0.8, 1.0, 4.0, 2.0], strict=True)
    ]
    rows.append({**rows[0], "network": "resnet20", "speedup": 9.0, "drop_points": 0.3, "picked_with_openvino": False, "picked": True})
    found = exporting.figures(rows)
    assert found[f"int8_speedup_median{suffix}"] == 1.9
    assert found["int8_drop_points_max"] == 0.3
    assert found["slower_than_best_max"] == pytest.approx(0.25)
    assert found["slower_than_best_max_by_onnxruntime"] == pytest.approx(1 / 1.9 - 1)
    assert [name for name in found if name.endswith("_without_vnni")] == [name for name in found if suffix and name.startswith("int8_speedup")]
    assert found[f"int8_speedup_median_by_either{suffix}"] == 1.9
    assert f"int8_speedup_median{suffix}" not in exporting.figures(rows[1:])
    by_openvino = {**rows[1], "runtime": runtimes.OPENVINO, "speedup": 3.0, "picked_with_openvino": False}
    assert exporting.figures([*rows, by_openvino])[f"int8_speedup_median_by_either{suffix}"] == 2.0


def test_random_networks_are_settled_on_real_images() -> None:
    """BatchNorm's statistics are those of the images, so that the network tells them apart."""
    torch.manual_seed(0)
    network = build("resnet8", classes=10, shape=(32, 32, 3))
    images = np.random.default_rng(0).normal(1, 2, (64, 3, 32, 32)).astype(np.float32)
    exporting.settle(network, images)
    with torch.no_grad():
        inside = network.body.get_submodule("conv1")(torch.from_numpy(images))
    norm = network.body.get_submodule("bn1")
    assert isinstance(norm.running_mean, torch.Tensor)
    assert torch.allclose(norm.running_mean, inside.mean((0, 2, 3)), atol=1e-4)
    assert not any(module.training for module in network.modules())


def test_how_far_answers_lie_is_told_in_their_own_spread() -> None:
    """As much as their mean for every image would: 1; and nothing where they are the same."""
    before = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32) + 100
    assert exporting.error(before, before) == 0
    assert exporting.error(np.repeat(before.mean(axis=0)[None], 16, axis=0), before) == pytest.approx(1)


class _Lesson:
    def learn(self, steps: int) -> None: ...


def test_speed_is_told_in_ratios_of_one_slice() -> None:
    """Over the floor, over floor and teacher, and how much longer the others take; resnet20's figures have its name."""
    times = {"floor": [1.0, 2.0], "teacher": [0.5, 1.0], "remembered": [1.1, 2.2], "live": [1.8, 3.6], "tutorial": [5.5, 11.0]}
    rows = speed.rows("resnet8", dict.fromkeys(times, _Lesson()), times, fill=2.0, steps=10)
    found = speed.figures(rows)
    ratios = {"remembered_over_floor": 1.1, "live_over_floor": 1.2, "tutorial_ratio": 5.0, "tutorial_ratio_live": 5.5 / 1.8, "fill_seconds": 16.0}
    assert {name: found[name] for name in ratios} == {name: pytest.approx(value, abs=1e-3) for name, value in ratios.items()}
    assert not any(name.startswith("torchdistill") for name in found)
    assert set(speed.figures([{**row, "student": "resnet20"} for row in rows])) == {f"resnet20_{name}" for name in found}


def test_everybody_takes_as_many_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that is dropped, each as long."""
    monkeypatch.setattr(speed, "REST_S", 0.0)
    asked: dict[str, list[int]] = {"a": [], "b": []}
    lessons: dict[str, speed.Lesson] = {name: SimpleNamespace(learn=steps.append) for name, steps in asked.items()}
    times = speed.sliced(lessons, slices=3, steps=8)
    assert asked == {"a": [2, 8, 8, 8], "b": [2, 8, 8, 8]}
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_the_tutorials_loop_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The student moves, its teacher does not."""
    monkeypatch.setattr(rivals, "WORKERS", 0)
    torch.manual_seed(0)
    heads = [torch.nn.Linear(3 * 8 * 8, 3) for _ in range(2)]
    before = [head.weight.detach().clone() for head in heads]
    student, teacher = (torch.nn.Sequential(torch.nn.Flatten(), head) for head in heads)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    loop = rivals.Tutorial(student, teacher, rivals.Photos(pixels, np.arange(12) % 3, cifar10.IMAGENET), 4)
    loop.learn(5)
    assert np.isfinite(loop.loss)
    assert not torch.equal(heads[0].weight, before[0])
    assert torch.equal(heads[1].weight, before[1])


def test_every_way_to_int8_begins_alike() -> None:
    """The same two phases; the two ways with a third take as many steps in it, and differ in whether it rounds."""
    found = qat.ways(4.0, 0.5)
    assert tuple(found) == qat.WAYS
    assert {phases[:2] for phases in found.values()} == {found["post_training"]}
    longer, rounded = found["longer"][2], found["quantised"][2]
    assert (longer.is_quantised, rounded.is_quantised) == (False, True)
    assert msgspec.structs.replace(rounded, quantised=msgspec.UNSET) == longer
    assert sum(phase.epochs for phase in found["quantised"]) == pytest.approx(4.5)


def test_what_a_quantised_phase_wins_back_is_paired() -> None:
    """By seed, over the seeds that have all ways; each student by itself."""
    accuracies = {
        "post_training": [(80.0, 78.0), (82.0, 79.0), (99.0, 1.0)],
        "longer": [(81.0, 79.0), (83.0, 80.0)],
        "quantised": [(80.5, 80.0), (83.0, 83.0)],
    }
    rows = [
        {"student": "resnet8", "way": way, "seed": seed, "fp32_accuracy": fp32, "int8_accuracy": int8, "drop": fp32 - int8}
        for way, seeds in accuracies.items()
        for seed, (fp32, int8) in enumerate(seeds)
    ]
    figures = qat.figures([*rows, {**rows[0], "student": "cifar-mobilenet-v2"}])
    assert (figures["resnet8_post_training_int8"], figures["resnet8_longer_drop_points"]) == (78.5, 2.5)
    assert (figures["resnet8_quantised_minus_longer"], figures["resnet8_quantised_minus_post_training"]) == (2.0, 3.0)
    assert figures["resnet8_won_back_points"] == 2.25
    assert figures["resnet8_won_back_points_low"] < 2.25 < figures["resnet8_won_back_points_high"]
    assert all(name.startswith("resnet8_") for name in figures)


def test_the_quantised_phase_gets_its_line_once_it_is_measured() -> None:
    """What it gains over the same steps without it, and what int8 still loses."""
    figures = {"quantised_int8": 80.1, "quantised_fp32": 80.3, "quantised_minus_longer": 0.4, "quantised_minus_post_training": 1.5}
    figures |= {"quantised_minus_longer_low": -0.1, "quantised_minus_longer_high": 0.9}
    (line,) = [line for line in render.headline({"qat": {"figures": figures}}).splitlines() if "int8" in line]
    assert "+0.40 points over the same steps without it (−0.10 to +0.90), +1.50 over two phases | 80.10 % (80.30 % in fp32)" in line
    assert "quantised" not in render.headline({"qat": {"figures": {}}})


def test_engines_are_counted_by_precision() -> None:
    """Sizes over the ONNX files', the builder's seconds, and what was refused; a precision without an engine has counts alone."""
    rows: list[dict[str, Any]] = [
        {"precision": "fp16", "batch": "1", "engine_bytes": 11, "size_ratio": 1.1, "build_s": 0.5},
        {"precision": "fp16", "batch": "1", "engine_bytes": 12, "size_ratio": 1.2, "build_s": 0.7},
        {"precision": "fp16", "batch": "1 to 8", "engine_bytes": 12, "size_ratio": 1.0, "build_s": 0.9},
        {"precision": "fp16", "batch": "1", "refused": "TensorRT does not take this file"},
        {"precision": "int8-trt", "batch": "1", "refused": "TensorRT does not take this file"},
    ]
    assert engines.figures(rows) == {
        **{"fp16_engines": 2, "fp16_refused": 1, "fp16_size_ratio_max": 1.2},
        **{"fp16_size_ratio_median": pytest.approx(1.15), "fp16_build_s_median": pytest.approx(0.6)},
        **{"fp16_ranged_engines": 1, "fp16_ranged_refused": 0, "fp16_ranged_size_ratio_max": 1.0},
        **{"fp16_ranged_size_ratio_median": 1.0, "fp16_ranged_build_s_median": 0.9},
        **{"int8_trt_engines": 0, "int8_trt_refused": 1},
    }


def test_what_an_engine_holds_is_counted() -> None:
    """Stretches of text and of zeros, beside its size."""
    layers = [EngineLayer("a", "convolution", "fp16"), EngineLayer("b", "cast", "fp32")]
    names = {"file": "f", "onnx": "", "sha256": "", "target": "sm89", "library": "tensorrt_rtx", "version": "1"}
    found = msgspec.convert({**names, "size": 9400, "seconds": 0.5, "layers": layers}, Engine)
    row = engines.told(found, b"\x01" + b"#include <climits>\n" * 20 + bytes(5000) + b"short text\xff" + bytes(100), 1000)
    assert (row["size_ratio"], row["source_bytes"], row["zero_bytes"]) == (9.4, 380, 5000)
    assert row["layers"] == "1 fp16"


def test_a_card_for_each_chip() -> None:
    """Targets that differ in their chip, Turing's among them."""
    assert [(engines.card(chip).name, engines.card(chip).compute_capability) for chip in engines.CHIPS[:2]] == [("sm75", "7.5"), ("sm86", "8.6")]


def test_what_asking_by_pieces_gains() -> None:
    """The figure is the chosen way's, whichever is the best; what choosing cost is the most of all networks."""
    rows: list[dict[str, Any]] = [
        {"network": "a", "speedup": 1.0, "chosen": False, "choice_s": 2.0},
        {"network": "a", "speedup": 1.5, "chosen": True, "choice_s": 2.0},
        {"network": "a", "speedup": 1.6, "chosen": False, "choice_s": 2.0},
        {"network": "b", "speedup": 1.0, "chosen": True, "choice_s": 5.0},
    ]
    assert asking.figures(rows) == {"a_speedup": 1.5, "b_speedup": 1.0, "choice_s_max": 5.0}


def test_quantisers_side_by_side() -> None:
    """Means and the most over networks, by who and for what; what failed counts for nothing, and what was not timed has no speed-up."""
    rows: list[dict[str, Any]] = [
        {"network": "a", "who": "edgekd", "what": "cpu", "drop_points": 0.2, "speedup": 2.0, "speedup_openvino": 3.0},
        {"network": "b", "who": "edgekd", "what": "cpu", "drop_points": -0.1, "speedup": 1.0, "speedup_openvino": 1.0},
        {"network": "a", "who": "nncf", "what": "cpu", "failed": "no"},
        {"network": "a", "who": "modelopt", "what": "trt", "drop_points": 0.3},
    ]
    assert quantisers.figures(rows) == {
        "edgekd_cpu_drop_points_mean": pytest.approx(0.05),
        "edgekd_cpu_drop_points_max": 0.2,
        "edgekd_cpu_speedup_mean": 1.5,
        "edgekd_cpu_speedup_openvino_mean": 2.0,
        "modelopt_trt_drop_points_mean": 0.3,
        "modelopt_trt_drop_points_max": 0.3,
    }
