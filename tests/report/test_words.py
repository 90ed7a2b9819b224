"""Tests of edgekd/report/words.py."""

import base64
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.record import Report
from edgekd.report import words
from edgekd.scores import Metric
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace
REPORT = sample_report()


def _alone(value: float) -> Report:
    metric = Metric(value=value, low=value - 0.01, high=value + 0.01, n=2000)
    return replace(REPORT, networks=[replace(n, test_accuracy=metric) if n.role == "alone" else n for n in REPORT.networks])


def _artifacts(role: str, **changes: Any) -> Report:
    return replace(REPORT, artifacts=[replace(each, **changes) if each.role == role else each for each in REPORT.artifacts])


def test_the_headline_says_what_distilling_bought() -> None:
    """Parameters saved, accuracy kept, and the gain over the student alone with its interval."""
    assert words.headlines(REPORT) == [
        "resnet20: −68 % parameters at 98.8 % of the teacher's accuracy; "
        "distilling bought 2.8 points over training the same student alone (95 % interval 1.0 to 4.5 points)."
    ]


def test_a_gain_over_the_student_alone_is_paired_by_image_where_both_told_which_were_right() -> None:
    """Twenty images that the file alone has right of 2,000: one point, sure; as independent samples it would be noise. Other marks do not pair."""
    score = next(each for each in REPORT.scores if (each.artifact, each.split) == ("student/resnet20/fp32", "test"))
    right = np.arange(score.n) < 1800
    before = right & (np.arange(score.n) >= 20)
    metrics = {**score.metrics, "accuracy": Metric(value=0.9, low=0.886, high=0.912, n=score.n)}
    scores = [replace(score, correct=_packed(right), metrics=metrics) if each is score else each for each in REPORT.scores]

    def said(correct: str) -> str:
        alone = Metric(value=0.89, low=0.875, high=0.903, n=score.n)
        changed = [replace(n, test_accuracy=alone, correct=correct) if n.role.startswith("alone") else n for n in REPORT.networks]
        return words.headlines(replace(REPORT, scores=scores, networks=changed))[0]

    assert "distilling bought 1.0 point over training the same student alone (95 % interval 0.5 to 1.5 points)" in said(_packed(before))
    for correct in ("", _packed(before[:1000]), "no base64"):
        assert "within the noise: 1.0 point (" in said(correct)


def _packed(right: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def test_where_all_classes_count_alike_the_gain_is_one_of_balanced_accuracy() -> None:
    """Of the student's file and the student alone; a report from before that was kept counts plain accuracy."""
    metric = Metric(value=0.5, low=0.49, high=0.51, n=2000)
    even = replace(REPORT, recipe={**REPORT.recipe, "train": {"prior": "uniform"}})
    balanced = replace(even, networks=[replace(n, test_balanced=metric) if n.role.startswith("alone") else n for n in even.networks])
    (said,) = words.headlines(balanced)
    assert "points over training the same student alone by balanced accuracy (95 % interval" in said
    value = next(score for score in REPORT.scores if score.artifact == "student/resnet20/fp32").metrics["balanced_accuracy"].value
    assert f"distilling bought {100 * (value - 0.5):.1f}" in said
    assert words.headlines(even) == words.headlines(REPORT)


def test_without_alone_nothing_is_claimed() -> None:
    """Where the student was not taught alone, the sentence ends before."""
    without = replace(REPORT, networks=[network for network in REPORT.networks if network.role != "alone"])
    assert words.headlines(without) == ["resnet20: −68 % parameters at 98.8 % of the teacher's accuracy."]


@pytest.mark.parametrize(
    ("alone", "words_used"),
    [
        (0.92, "whether distilling bought anything over training the same student alone is within the noise: 0.3 points"),
        (0.96, "distilling cost 3.7 points against training the same student alone"),
    ],
)
def test_noise_and_losses_are_said(alone: float, words_used: str) -> None:
    """A gain that may be chance is called so, a loss is a loss."""
    assert words_used in words.headlines(_alone(alone))[0]


@pytest.mark.parametrize(("params", "change"), [(1_000, "−99.9 %"), (853_018, "0.0 %"), (1_706_036, "+100.0 %"), (850_000, "−0.4 %")])
def test_no_change_rounds_to_all_or_nothing(params: int, change: str) -> None:
    """−99.9 % is not −100 %; a student may be larger than its teacher."""
    assert f"resnet20: {change} parameters" in words.headlines(_artifacts("student", params=params))[0]


def test_what_ships_and_why() -> None:
    """The sentence names target, file, rule and figures."""
    assert words.shipping(REPORT, "cpu", SHIPPED) == (
        f"On cpu, {SHIPPED} ships, the fastest file that lost at most 1 point to its own fp32 file on validation images: "
        "332 kB, 5.92× the speed of the teacher (95 % interval 5.90× to 5.94×), 92.0 % accuracy."
    )
    assert "at most 1.5 points to" in words.shipping(replace(REPORT, recipe={"max_drop": 0.015}), "cpu", SHIPPED)
    assert words.shipping(REPORT, "cpu", "student/gone/fp32") == ""


def test_an_int8_that_gains_little_is_said() -> None:
    """As speeds over the teacher's own file; a real gain needs no word, and nothing is said where one of the two was not compared."""
    assert words.gaining(REPORT, "cpu", SHIPPED) == ""
    ratios = [replace(each, value=0.3, low=0.29, high=0.31) if each.artifact == SHIPPED else each for each in REPORT.ratios]
    told = words.gaining(replace(REPORT, ratios=ratios), "cpu", SHIPPED)
    assert told == "In int8 resnet20 gains little there: 1.12× the speed of its fp32 file."
    assert told in words.sentences(replace(REPORT, ratios=ratios))
    assert words.gaining(replace(REPORT, ratios=[]), "cpu", SHIPPED) == ""


def _valid(drop: float) -> Report:
    """With scores on validation images, the int8 file's so much below fp32's."""
    own = REPORT.score("student/resnet20/fp32")
    assert own is not None
    shares = {"student/resnet20/fp32": 0.9, SHIPPED: 0.9 - drop}
    accuracies = {name: Metric(value=share, low=share, high=share, n=1000) for name, share in shares.items()}
    scores = [replace(own, artifact=name, split="valid", metrics={"accuracy": metric}) for name, metric in accuracies.items()]
    return replace(REPORT, scores=[*REPORT.scores, *scores])


def test_first_choice_of_a_tie() -> None:
    """Where another file took less time, what ships is no longer called the fastest."""
    other = words.shipping(_valid(0.0), "cpu", "student/resnet20/fp32")
    assert "ships, first choice among the fastest files that lost at most" in other
    assert "Left out" not in other


def test_a_faster_file_that_lost_too_much_is_named() -> None:
    """With what it lost on validation images; of those that keep within, what ships is the fastest."""
    told = words.shipping(_valid(0.021), "cpu", "student/resnet20/fp32")
    assert "ships, the fastest file that lost at most 1 point" in told
    assert told.endswith(f" Left out: {SHIPPED} is faster and lost 2.1 points.")


def test_why_not_just_quantise_the_teacher() -> None:
    """The teacher's own fastest reduced file stands beside the student's."""
    assert words.quantising(REPORT, "cpu", SHIPPED) == (
        "Why not just quantise the teacher? Its own int8-cpu file: 1.01 MB, 2.00× its fp32 speed, 92.8 % accuracy. "
        "The student's is 3.05× smaller and 2.96× faster, for 0.8 points less accuracy."
    )


def test_quantising_alone_may_do_as_well() -> None:
    """Where the student's file is neither smaller nor faster, the sentence says so."""
    slow = replace(_artifacts("student", size=9_000_000), ratios=[replace(each, value=0.9, low=0.9, high=0.9) for each in REPORT.ratios])
    assert "Quantising the teacher alone does as well" in words.quantising(slow, "cpu", SHIPPED)


def test_quantising_that_loses_far_more_does_not_do_as_well() -> None:
    """Where it is smaller and faster and has less than the student by more than the noise, what that costs is told."""
    slow = replace(_artifacts("student", size=9_000_000), ratios=[replace(each, value=0.9, low=0.9, high=0.9) for each in REPORT.ratios])
    bad = Metric(value=0.55, low=0.53, high=0.57, n=2000)
    scores = [replace(each, metrics=each.metrics | {"accuracy": bad}) if "teacher" in each.artifact else each for each in slow.scores]
    told = words.quantising(replace(slow, scores=scores), "cpu", SHIPPED)
    assert "does as well" not in told
    assert "more accuracy" in told


def test_without_reduced_files_there_is_no_comparison() -> None:
    """A teacher with its fp32 file only is not compared."""
    only = replace(REPORT, artifacts=[each for each in REPORT.artifacts if each.role == "student" or each.precision == "fp32"])
    assert words.quantising(only, "cpu", SHIPPED) == ""


def test_unmeasured_files_are_compared_by_size() -> None:
    """Without timings the teacher's smallest file stands in, and no speed is claimed."""
    sentence = words.quantising(replace(REPORT, ratios=[], scores=[]), "cpu", SHIPPED)
    assert sentence.endswith("Its own int8-cpu file: 1.01 MB. The student's is 3.05× smaller.")


def test_a_doubt_about_several_files_is_said_once() -> None:
    """With how many they are, and the range of what differs."""
    each_own = [replace(each, doubts=[f"samples scatter by {12 + at} % of the median"]) for at, each in enumerate(REPORT.measurements)]
    last = words.doubts(replace(REPORT, measurements=each_own))[-1]
    assert last == f"{len(each_own)} files on cpu: samples scatter by 12–{11 + len(each_own)} % of the median"
    each_own = [replace(each, doubts=[f"net{at}.onnx failed at batch {8 + at}: 2 of 3"]) for at, each in enumerate(REPORT.measurements)]
    assert len(words.doubts(replace(REPORT, measurements=each_own))) == len(each_own) + 2
    busy = [replace(each, doubts=["other programs kept 1.2 of 2 cores busy"]) for each in REPORT.measurements]
    assert words.doubts(replace(REPORT, measurements=busy))[-1] == f"{len(busy)} files on cpu: other programs kept 1.2 of 2 cores busy"


def test_products_that_may_overflow_elsewhere_are_doubted() -> None:
    """Of a file whose weights take 8 bits, on an x86 without VNNI."""

    def told(weights: str, instructions: list[str]) -> int:
        hosts = {key: replace(host, instructions=instructions) for key, host in REPORT.hosts.items()}
        report = replace(_artifacts("student", calibration={"weights": weights}), hosts=hosts)
        return sum("this CPU has no VNNI" in doubt for doubt in words.doubts(report))

    assert told("int8 per channel", ["avx2"]) == 1
    assert told("int8 per channel, 7 bits", ["avx2"]) == told("int8 per channel", ["avx2", "avx_vnni"]) == told("int8 per channel", []) == 0


def test_doubts_are_gathered_once() -> None:
    """Of the run, the data and each measurement, without repeats."""
    doubled = replace(REPORT, doubts=[*REPORT.doubts, *REPORT.doubts])
    assert words.doubts(doubled) == [
        "the machine was busy: load 3.1 on 4 cores",
        "a note about the data",
        "teacher/resnet56/int8-cpu on cpu: the clock fell by 12 % during round 5",
    ]


def test_bare_files_have_no_headline() -> None:
    """Without a teacher there is nothing to say of distilling."""
    assert words.sentences(Report(edgekd="0", name="files", created="")) == []
