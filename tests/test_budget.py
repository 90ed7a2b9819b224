"""Tests of edgekd/budget: every state of every quantity, the messages, and that tightening never helps."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.budget import exit_code, figures, judge
from edgekd.errors import UsageError
from edgekd.limit import Limit
from edgekd.measurements import Launch, Timing
from edgekd.record import OWN_SPLIT, Artifact, Report, Verdict
from edgekd.scores import Metric
from tests.report.sample import SHIPPED, TEACHER, sample_report

REPORT = sample_report()
BARE = msgspec.structs.replace(
    REPORT,
    artifacts=[msgspec.structs.replace(REPORT.artifacts[0], role="file", network="m", precision="as-is")],
    measurements=[],
    scores=[],
    shipped={},
    ratios=[],
)
replace = msgspec.structs.replace


def _one(limit: Limit, report: Report = REPORT, baseline: Report | None = None) -> Verdict:
    (verdict,) = judge(report, [limit], baseline)
    return verdict


def _with_score(**changes: Any) -> Report:
    return replace(REPORT, scores=[replace(score, **changes) if score.artifact == SHIPPED else score for score in REPORT.scores])


def _with_measurement(**changes: Any) -> Report:
    found = [replace(each, **changes) if each.artifact == SHIPPED else each for each in REPORT.measurements]
    return replace(REPORT, measurements=found)


# States ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "bound", "state"),
    [
        ("size", "331954 B", "pass"),
        ("size", "331953 B", "over"),
        ("params", "269722", "pass"),
        ("params", "269k", "over"),
        ("macs", "41M", "pass"),
        ("macs", "40M", "over"),
        ("latency_p50", "1.2 ms", "pass"),
        ("latency_p50", "1 ms", "over"),
        ("latency_p50", "1.07 ms", "undecided"),
        ("latency_p95", "1.2 ms", "pass"),
        ("latency_p95", "1 ms", "over"),
        ("memory", "12 MB", "pass"),
        ("memory", "11.2 MB", "undecided"),
        ("memory", "10 MB", "over"),
        ("energy", "1 mJ", "missing"),
        ("speedup", "5x", "pass"),
        ("speedup", "5.9x", "undecided"),
        ("speedup", "7x", "over"),
        ("accuracy", "90 %", "pass"),
        ("accuracy", "92 %", "undecided"),
        ("accuracy", "95 %", "over"),
        ("balanced_accuracy", "90 %", "pass"),
        ("macro_f1", "99 %", "over"),
        ("auc", "90 %", "missing"),
        ("ece", "5 %", "pass"),
        ("ece", "1 %", "over"),
        ("accuracy_drop", "3 points", "pass"),
        ("accuracy_drop", "1.2 points", "undecided"),
        ("accuracy_drop", "0.5 points", "over"),
        ("agreement", "95 %", "pass"),
        ("agreement", "99 %", "over"),
        ("flips", "5 %", "pass"),
        ("flips", "1 %", "over"),
        ("recall", {"cat": "90 %"}, "pass"),
        ("recall", {"cat": "99 %"}, "over"),
        ("recall", {"cat": "92 %"}, "undecided"),
        ("recall", {"dgo": "90 %"}, "missing"),
    ],
)
def test_each_quantity_is_judged_on_its_side(quantity: str, bound: object, state: str) -> None:
    """Upper bounds hold from above, lower ones from below; noise around a bound leaves it open; what is not there is missing."""
    verdict = _one(msgspec.convert({quantity: bound}, Limit))
    assert (verdict.state, verdict.artifact, verdict.target) == (state, SHIPPED, "cpu")
    assert verdict.quantity.partition(".")[0] == quantity


def test_one_verdict_for_each_quantity_and_artifact() -> None:
    """A limit with two quantities on one student, and one that names the teacher, come in order."""
    verdicts = judge(REPORT, [Limit(artifact="fp32", size="2 MB", params="1M"), Limit(artifact=TEACHER, macs="1G")])
    expected = [("student/resnet20/fp32", "size"), ("student/resnet20/fp32", "params"), (TEACHER, "macs")]
    assert expected == [(verdict.artifact, verdict.quantity) for verdict in verdicts]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(size="331954 B"), "331.954 kB; 0 B (0.0 %) to spare."),
        (
            Limit(size="331953 B"),
            "332 kB; 1 B (0.0003 %) over. Take a smaller student or a lower precision, or change the limit on size.",
        ),
        (
            Limit(agreement="99 %"),
            "97.2 % (96.4 to 97.8 %); 1.8 points short. "
            "Train for longer, or take a larger student or a higher precision, or change the limit on agreement.",
        ),
        (
            Limit(accuracy_drop="1.2 points", reason="agreed with Kim"),
            "1.4 points (0.7 to 2.1 points); the interval straddles 1.2 points. "
            "More test images would tell, or change the limit on accuracy_drop. Asked because: agreed with Kim.",
        ),
        (
            Limit(latency_p50=1.07),
            "1.06 ms (1.05 to 1.08 ms); the interval straddles 1.07 ms. "
            "Measuring longer on a quieter machine would tell, or change the limit on latency_p50.",
        ),
        (Limit(energy="1 mJ"), "energy was not measured: this CPU's RAPL counters may not be read."),
        (Limit(recall={"dgo": 0.9}), "no class 'dgo' was scored. Did you mean 'dog'?"),
        (Limit(recall={"zebra": 0.9}), "no class 'zebra' was scored. The classes are: cat, dog, deer."),
        (Limit(auc=0.9), "auc is none of the scores of these images, which are accuracy, top5, balanced_accuracy, macro_f1, ece, nll."),
        (Limit(growth={"size": "1 %"}), "there is no baseline to grow from. Give one with --baseline."),
        (Limit(), 'this limit bounds nothing. Add a quantity to it, as in size = "4 MB", or take it out.'),
    ],
)
def test_the_text_says_by_how_much_and_what_to_do(limit: Limit, text: str) -> None:
    """Rounding never hides a byte, and every verdict that is no pass names a remedy."""
    assert text == _one(limit).text


def test_a_split_that_edgekd_made_itself_is_doubted_where_the_teacher_is_compared_with() -> None:
    """A teacher that has seen the test images makes its student look worse; its size is what it is."""
    assert REPORT.data is not None
    own = replace(REPORT, data=replace(REPORT.data, notes=[OWN_SPLIT]))
    assert _one(Limit(accuracy_drop="5 points"), own).text.endswith(f"Doubt: {OWN_SPLIT}.")
    assert "Doubt" not in _one(Limit(accuracy_drop="5 points")).text
    assert "Doubt" not in _one(Limit(size="1 MB"), own).text


def test_the_limit_reads_as_it_was_written() -> None:
    """A bound stands in the user's own words, a plain number in full."""
    assert _one(Limit(size=" 400 kB ")).limit == "size ≤ 400 kB"
    assert _one(Limit(accuracy=0.9125)).limit == "accuracy ≥ 91.25 %"


# Missing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit(artifact="fp64", size=1), "no artifact matches 'fp64'; the report has: teacher/resnet56/fp32"),
        (Limit(artifact="student/other/fp32", size=1), "no artifact matches 'student/other/fp32'"),
        (Limit(target="tpu", size=1), "nothing was shipped on tpu; the report has the targets: cpu."),
        (Limit(artifact="int8", target="tpu", latency_p50=1), f"{SHIPPED} was not measured on tpu. Measure it with `edgekd bench`."),
        (Limit(artifact="int8", against="fp32", speedup=1), "was not timed in turn with student/resnet20/fp32 on cpu"),
        (Limit(against="teacher/none/fp32", speedup=1), "there is no teacher/none/fp32 to compare with"),
        (Limit(against="fp64", accuracy_drop=0.1), "there is no fp64 to compare with"),
    ],
)
def test_what_matches_nothing_is_missing(limit: Limit, words: str) -> None:
    """A limit on what is not there does not pass, and says what is."""
    verdict = _one(limit)
    assert verdict.state == "missing"
    assert words in verdict.text


@pytest.mark.parametrize(
    ("report", "limit", "words"),
    [
        (replace(REPORT, scores=[]), Limit(accuracy=0.1), f"{SHIPPED} was not scored on test images. Score it with `edgekd evaluate`."),
        (replace(REPORT, scores=REPORT.scores[-1:]), Limit(accuracy_drop=0.1, against="fp32"), "student/resnet20/fp32 was not scored on test images"),
        (_with_score(images="other"), Limit(accuracy_drop=0.1, against="fp32"), "were not scored on the same images"),
        (_with_score(correct="no base64!"), Limit(accuracy_drop=0.1, against="fp32"), "do not tell which images were right"),
        (_with_measurement(memory=None), Limit(memory=1), "peak memory was not measured."),
        (_with_measurement(timing=msgspec.convert({"launches": []}, type(REPORT.measurements[0].timing))), Limit(latency_p50=1), "no samples"),
        (replace(REPORT, artifacts=[replace(a, macs=None) for a in REPORT.artifacts]), Limit(macs=1), "an operator whose MACs are not known"),
        (replace(REPORT, measurements=[], shipped={}), Limit(size=1), "nothing was shipped. Name an artifact"),
        (replace(REPORT, measurements=[], shipped={}), Limit(artifact="int8", latency_p50=1), "nothing was measured on any target"),
        (BARE, Limit(latency_p50=1), "nothing was measured on any target. Add --measure to time the files here."),
        (BARE, Limit(accuracy=0.1), "file/m/as-is was not scored on test images. A bare file has no scores here: check the run that it is of."),
        (replace(REPORT, measurements=[], shipped={}), Limit(artifact="int8", speedup=1), "nothing was measured on any target"),
        (replace(REPORT, shipped={"cpu/resnet20": SHIPPED, "orin/resnet20": SHIPPED}), Limit(size=1), "several targets (cpu, orin). Name one"),
        (replace(REPORT, artifacts=[]), Limit(artifact="fp32", size=1), "the report has: none."),
    ],
)
def test_what_was_not_measured_is_missing(report: Report, limit: Limit, words: str) -> None:
    """Each figure that a report may lack is missing in its own words."""
    verdict = _one(limit, report)
    assert verdict.state == "missing"
    assert words in verdict.text


def test_too_few_samples_have_no_percentile() -> None:
    """A p95 that cannot be stated is missing, with the count that it takes."""
    timing = REPORT.measurements[-1].timing
    short = replace(timing, launches=[replace(timing.launches[0], rounds=timing.launches[0].rounds[:2])])
    verdict = _one(Limit(latency_p95="9 s"), _with_measurement(timing=short))
    assert (verdict.state, verdict.text) == ("missing", "a 95th percentile takes 130 samples, there are 40. Measure longer.")


@pytest.mark.parametrize("metric", [Metric(value=math.nan, low=0.9, high=0.9, n=1), Metric(value=0.95, low=math.nan, high=0.99, n=1)])
def test_what_is_not_a_number_never_passes(metric: Metric) -> None:
    """NaN is missing, on either side of any bound."""
    report = _with_score(metrics={"accuracy": metric, "ece": metric})
    assert [v.state for v in judge(report, [Limit(accuracy=0.0, ece=1.0)])] == ["missing", "missing"]
    timing = REPORT.measurements[-1].timing
    broken = replace(timing, launches=[replace(timing.launches[0], rounds=[[1.0, math.nan]])])
    assert _one(Limit(latency_p50="9 s"), _with_measurement(timing=broken)).state == "missing"


def test_an_interval_beyond_what_there_can_be_is_damaged() -> None:
    """An accuracy that may be below 0 was not measured."""
    report = _with_score(metrics={"accuracy": Metric(value=0.5, low=-0.5, high=0.9, n=9)})
    assert _one(Limit(accuracy=0.4), report).state == "missing"


def test_a_time_of_nothing_is_no_time() -> None:
    """A sample of 0 ms is missing, not an error."""
    timing = Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[1.0, 0.0]])] * 2)
    assert _one(Limit(latency_p50="9 s"), _with_measurement(timing=timing)).state == "missing"


# Choosing -------------------------------------------------------------------------------------------------------------


def _both_flavours() -> Report:
    twin = replace(REPORT.artifacts[-1], precision="int8-trt")
    return replace(REPORT, artifacts=[*REPORT.artifacts, twin])


@pytest.mark.parametrize("spec", ["int8", "student/resnet20/int8"])
def test_int8_is_the_flavour_that_the_target_ran(spec: str) -> None:
    """Of two flavours the measured one counts; on a target that ran neither, both do."""
    assert [v.artifact for v in judge(_both_flavours(), [Limit(artifact=spec, size=1)])] == [SHIPPED]
    assert len(judge(_both_flavours(), [Limit(artifact=spec, size=1, target="orin")])) == 2


def test_a_bare_precision_means_every_student() -> None:
    """Students only; where there are none, every file."""
    other = replace(REPORT.artifacts[3], network="tiny")
    report = replace(REPORT, artifacts=[*REPORT.artifacts, other])
    names = [v.artifact for v in judge(report, [Limit(artifact="fp32", size=1)])]
    assert names == ["student/resnet20/fp32", "student/tiny/fp32"]
    assert _one(Limit(artifact="fp32", size=1), replace(REPORT, artifacts=REPORT.artifacts[:3])).artifact == TEACHER


def test_bare_files_all_ship() -> None:
    """A report of files without roles needs no names: the default artifact means each."""
    files: list[Artifact] = [replace(REPORT.artifacts[0], role="file", network=name) for name in ("old", "new")]
    report = Report(edgekd="0", name="files", created="", artifacts=files)
    assert [v.artifact for v in judge(report, [Limit(size="4 MB")])] == ["file/old/fp32", "file/new/fp32"]


def test_speedup_reads_a_pair_either_way_round() -> None:
    """A ratio that was stored the other way round is the same fact."""
    ratio = next(each for each in REPORT.ratios if each.artifact == SHIPPED)
    turned = replace(ratio, artifact=TEACHER, against=SHIPPED, value=1 / ratio.value, low=1 / ratio.high, high=1 / ratio.low)
    found = _one(Limit(speedup=4.0), replace(REPORT, ratios=[turned]))
    assert found.measured == pytest.approx(_one(Limit(speedup=4.0)).measured)
    assert _one(Limit(artifact=TEACHER, speedup=1.0)).state == "pass"


def test_accuracy_drop_pairs_two_files_by_image() -> None:
    """Against the teacher's own file the stored bits give what `evaluate` wrote."""
    written, computed = _one(Limit(accuracy_drop=0.1)), _one(Limit(accuracy_drop=0.1, against=TEACHER))
    assert (written.measured, written.text) == (computed.measured, computed.text)
    own = _one(Limit(accuracy_drop=0.02, against="fp32"))
    assert own.state == "pass"
    assert own.measured == pytest.approx(0.003, abs=0.002)


# Parts of the teacher's -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "bound", "state"),
    [
        ("size", "10 %", "pass"),
        ("size", "9.6 %", "over"),
        ("params", "32 %", "pass"),
        ("macs", 0.3, "over"),
        ("memory", "100 %", "pass"),
        ("energy", "50 %", "missing"),
        ("latency", "20 %", "pass"),
        ("latency_p50", "16.9 %", "undecided"),
        ("latency", "14 %", "over"),
        ("latency_p95", "25 %", "pass"),
    ],
)
def test_a_part_of_the_teachers(quantity: str, bound: str | float, state: str) -> None:
    """Whatever a baseline may be grown from may be bounded as a part of the teacher's fp32 file, too."""
    verdict = _one(Limit(relative={quantity: bound}))
    assert (verdict.state, verdict.quantity) == (state, f"relative.{quantity}")


def test_a_part_says_of_what_and_by_how_much_it_is_over() -> None:
    """In percent, the difference in points; against another file where the limit says so; the baseline's own part beside it."""
    verdict = _one(Limit(relative={"size": "5 %"}), baseline=REPORT)
    assert verdict.limit == "relative.size ≤ 5 %"
    assert verdict.text == (
        "9.6 %; 4.6 points over. Take a smaller student or a lower precision, or change the limit on relative.size. 100 % is teacher/resnet56/fp32."
    )
    assert verdict.measured == verdict.before == pytest.approx(331_954 / REPORT.artifacts[0].size)
    own = _one(Limit(against="fp32", relative={"size": "50 %"}))
    assert (own.state, own.text) == ("pass", "30.1 %; 19.9 points to spare. 100 % is student/resnet20/fp32.")


def test_what_is_compared_with_is_the_teachers_own_file() -> None:
    """Whichever of its files stands first."""
    turned = replace(REPORT, artifacts=REPORT.artifacts[::-1])
    assert _one(Limit(relative={"size": "25 %"}), turned).measured == pytest.approx(331_954 / 3_441_210)


def test_parts_of_times_are_those_taken_in_turn() -> None:
    """The inverse of the speedup; without a ratio, or with a damaged one, there is none, and a p95 needs one machine for both."""
    whole, part = _one(Limit(speedup=1)).measured, _one(Limit(relative={"latency": 1})).measured
    assert whole is not None
    assert part == pytest.approx(1 / whole)
    assert "was not timed in turn with" in _one(Limit(relative={"latency": 1}), replace(REPORT, ratios=[])).text
    broken = replace(REPORT, ratios=[replace(each, value=0.0, low=0.0, high=0.0) for each in REPORT.ratios])
    assert _one(Limit(relative={"latency": 1}), broken).state == "missing"
    hosts = {**REPORT.hosts, "there": replace(REPORT.hosts["here"], cores=8)}
    apart = [replace(each, host="there") if each.artifact == TEACHER else each for each in REPORT.measurements]
    verdict = _one(Limit(relative={"latency_p95": 1}), replace(REPORT, hosts=hosts, measurements=apart))
    assert verdict.state == "undecided"
    assert verdict.text.startswith(f"another host measured {TEACHER}: cores was 8 and is 4.")


def test_what_has_no_part_is_refused() -> None:
    """Accuracy has its drop; the message lists what has."""
    with pytest.raises(UsageError, match=r"relative bounds size, params, .*, got 'accuracy' in \[\[limit\]\]"):
        judge(REPORT, [Limit(relative={"accuracy": 1})])
    with pytest.raises(UsageError, match=r"limit relative\.size: a share is written as"):
        judge(REPORT, [Limit(relative={"size": "1 MB"})])


def test_several_looks_widen_what_is_timed_and_nothing_else() -> None:
    """Each interval must then do for all looks together."""
    limits = [Limit(latency_p95="1.1 ms", size="1 MB", accuracy="91 %")]
    once, often = judge(REPORT, limits), judge(REPORT, limits, looks=8)
    assert [(a.quantity, a.text == b.text) for a, b in zip(once, often, strict=True)] == [
        ("size", True), ("latency_p95", False), ("accuracy", True),
    ]  # fmt: skip


def test_more_looks_need_wider_intervals() -> None:
    """Of eight looks each is at 99.4 %."""
    assert figures.confidence(8) == pytest.approx(0.99375)
    once, often = (figures.latency(50, figures.Ask(REPORT, REPORT.artifact(SHIPPED), "cpu", looks=looks)) for looks in (1, 8))
    assert isinstance(once, tuple)
    assert isinstance(often, tuple)
    assert often[1] < once[1] < once[2] < often[2]


# Growth ---------------------------------------------------------------------------------------------------------------


def test_growth_of_nothing_holds() -> None:
    """A report has not grown over itself."""
    verdicts = judge(REPORT, [Limit(growth={"size": "0 %", "params": 0, "latency": "5 %", "latency_p95": "9 %", "memory": "5 %"})], REPORT)
    assert [v.state for v in verdicts] == ["pass"] * 5


@pytest.mark.parametrize(("now", "then", "grown", "part"), [(1100, 1000, "10 %", "110 %"), (1001, 1000, "0.1 %", "100.1 %"), (3, 2, "50 %", "150 %")])
def test_what_is_exact_is_held_to_the_last_byte(now: int, then: int, grown: str, part: str) -> None:
    """A file that lies on its limit keeps to it, and no rounding of a quotient says otherwise; one byte more is over."""
    for size, state in ((now, "pass"), (now + 1, "over")):
        files = [replace(REPORT.artifacts[-1], size=size), replace(REPORT.artifacts[0], size=then)]
        report = replace(REPORT, artifacts=files)
        baseline = replace(REPORT, artifacts=[replace(files[0], size=then)])
        (part_of, growth) = judge(report, [Limit(artifact="int8", relative={"size": part}, growth={"size": grown})], baseline)
        assert (part_of.state, growth.state) == (state, state)


def test_growth_is_over_and_says_by_how_much() -> None:
    """A file that grew by 10 % where 1 % is allowed is 9 points over."""
    then = replace(REPORT, artifacts=[replace(a, size=round(a.size / 1.1)) for a in REPORT.artifacts])
    verdict = _one(Limit(growth={"size": "1 %"}), baseline=then)
    assert (verdict.state, verdict.limit) == ("over", "growth.size ≤ 1 %")
    assert verdict.text == "10.0 %; 9.0 points over. Find what grew, or change the limit on growth.size."


def test_growth_of_what_ships_is_over_what_shipped() -> None:
    """Where another precision shipped before, that one is the baseline."""
    then = replace(REPORT, shipped={"cpu/resnet20": "student/resnet20/fp16"})
    assert _one(Limit(growth={"size": "0 %"}), baseline=then).measured == pytest.approx(331_954 / 561_208 - 1)
    assert _one(Limit(artifact="int8", growth={"size": "0 %"}), baseline=then).measured == 0.0


def test_times_of_another_host_are_not_compared() -> None:
    """The size still is; the latency is undecided, and the text says what differs."""
    then = replace(REPORT, hosts={"here": replace(REPORT.hosts["here"], cores=8)})
    size, latency = judge(REPORT, [Limit(growth={"size": "1 %", "latency": "1 %"})], then)
    assert (size.state, latency.state) == ("pass", "undecided")
    assert latency.text == "another host measured the baseline: cores was 8 and is 4. Measure both on one."


@pytest.mark.parametrize(
    ("then", "state", "words"),
    [
        (replace(REPORT, hosts={}), "undecided", "it is not known which machine measured"),
        (replace(REPORT, measurements=[]), "missing", f"in the baseline, {SHIPPED} was not measured on cpu"),
        (replace(REPORT, artifacts=REPORT.artifacts[:1]), "missing", f"the baseline has no {SHIPPED}; it has: {TEACHER}."),
        (_with_measurement(memory=0), "missing", "the memory of the baseline is 0, and nothing can be compared with that"),
    ],
)
def test_a_baseline_without_the_figure_does_not_pass(then: Report, state: str, words: str) -> None:
    """What the baseline lacks is named."""
    verdict = _one(Limit(growth={"memory": "1 %"}), baseline=then)
    assert verdict.state == state
    assert words in verdict.text


def test_growth_of_what_does_not_grow_is_refused() -> None:
    """An unknown key names the known ones."""
    with pytest.raises(UsageError, match=r"growth bounds size, params, macs, .*, got 'sizes' in \[\[limit\]\]"):
        judge(REPORT, [Limit(growth={"sizes": "1 %"})])


def test_a_bound_that_does_not_read_is_refused() -> None:
    """The message names the quantity."""
    with pytest.raises(UsageError, match="limit size: a size is written as"):
        judge(REPORT, [Limit(size="4 Mb")])


# Exit codes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "strict", "code"),
    [
        ([], False, 2),
        (["pass"], False, 0),
        (["pass", "undecided"], False, 0),
        (["pass", "undecided"], True, 2),
        (["pass", "missing"], False, 2),
        (["over", "missing", "undecided"], True, 1),
    ],
)
def test_exit_code_is_the_worst(states: list[str], strict: bool, code: int) -> None:
    """Over beats missing beats undecided, and a gate that checks nothing does not pass."""
    assert code == exit_code([replace(_one(Limit(size=1)), state=state) for state in states], strict=strict)


def test_a_warning_fails_nothing() -> None:
    """A limit with `warn` is judged, and left out of the exit code."""
    verdict = _one(Limit(size=1, warn=True))
    assert (verdict.state, verdict.warn, exit_code([verdict])) == ("over", True, 0)


# Properties -----------------------------------------------------------------------------------------------------------


_RANK = {"pass": 0, "undecided": 1, "over": 2}


@pytest.mark.parametrize(
    ("quantity", "upper", "most"),
    [("size", True, 1e6), ("latency_p50", True, 2), ("accuracy_drop", True, 0.05), ("speedup", False, 10), ("accuracy", False, 1)],
)
@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_tightening_never_helps(quantity: str, upper: bool, most: float, first: float, second: float) -> None:
    """The tighter of two bounds never has the better verdict."""
    loose, tight = sorted((first * most, second * most), reverse=upper)
    states = [_one(msgspec.convert({quantity: bound}, Limit)).state for bound in (loose, tight)]
    assert _RANK[states[0]] <= _RANK[states[1]]


@given(st.floats(0, 1), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_only_a_whole_interval_passes(value: float, below: float, above: float, bound: float) -> None:
    """Pass and over need the whole interval on one side, whatever the text rounds to."""
    low, high = max(0.0, value - below), min(1.0, value + above)
    verdict = _one(Limit(accuracy=bound), _with_score(metrics={"accuracy": Metric(value=value, low=low, high=high, n=100)}))
    assert (verdict.state == "pass") == (low >= bound)
    assert (verdict.state == "over") == (high < bound)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 8}, "batch was 8 and is 1"),
        ({"threads": 1}, "threads was 1 and is 4"),
        ({"fps": 30.0}, "fps was 30.0 and is None"),
        ({"runtime": "openvino", "provider": "CPU"}, "runtime was 'openvino' and is 'onnxruntime', provider was 'CPU'"),
    ],
)
def test_a_baseline_that_ran_in_another_way_is_not_compared(changes: dict[str, Any], said: str) -> None:
    """A batch of eight takes longer than one image, and says nothing of growth."""
    then = replace(REPORT, measurements=[replace(each, **changes) for each in REPORT.measurements])
    verdict = _one(Limit(growth={"latency": "5 %"}), baseline=then)
    assert (verdict.state, said in verdict.text, verdict.before) == ("undecided", True, None)


def test_energies_of_two_rails_are_not_compared() -> None:
    """A whole board takes more than its processor."""
    now, then = (
        replace(REPORT, measurements=[replace(each, energy=0.1, energy_rail=rail) for each in REPORT.measurements])
        for rail in ("package-0", "VDD_IN")
    )
    assert _one(Limit(growth={"energy": "5 %"}), now, now).state == "pass"
    assert "energy_rail was 'VDD_IN' and is 'package-0'" in _one(Limit(growth={"energy": "5 %"}), now, then).text


def test_a_kernel_that_keeps_other_pages_is_the_same_machine() -> None:
    """As is one whose runtimes that ran nothing differ; twice the memory is another."""
    host = REPORT.hosts["here"]
    limit = Limit(growth={"latency": "50 %"})
    for memory, runtimes, state in ((host.memory - 4096, {"python": "3.11.9"}, "pass"), (2 * host.memory, {}, "undecided")):
        then = replace(REPORT, hosts={"here": replace(host, memory=memory, runtimes={**host.runtimes, **runtimes})})
        assert _one(limit, baseline=then).state == state


def test_one_launch_decides_nothing() -> None:
    """However many rounds it had: what differs from launch to launch is not known."""
    once = [replace(each, timing=replace(each.timing, launches=each.timing.launches[:1])) for each in REPORT.measurements]
    verdict = _one(Limit(latency_p50="2 ms"), replace(REPORT, measurements=once))
    assert verdict.state == "undecided"
    assert "ms (of one launch, which does not tell how launches differ); the interval straddles" in verdict.text


def test_a_student_that_was_not_measured_does_not_pass_with_what_shipped() -> None:
    """What ships is a file of every student."""
    (other,) = (replace(each, network="second", size=50 * each.size) for each in REPORT.artifacts if each.name == SHIPPED)
    verdict = _one(Limit(size="400 kB"), replace(REPORT, artifacts=[*REPORT.artifacts, other]))
    assert (verdict.state, "nothing of second was shipped on cpu: it was not measured there. Measure it" in verdict.text) == ("missing", True)


@pytest.mark.parametrize(
    ("host", "gpu", "meant"),
    [
        ("Example Four 4000", None, True),
        ("Four", None, True),
        ("our", None, False),
        ("RTX 4060", "NVIDIA GeForce RTX 4060 Ti", False),
        ("NVIDIA GeForce RTX 4060", "NVIDIA GeForce RTX 4060 Ti", False),
        ("NVIDIA GeForce RTX 4060", "NVIDIA GeForce RTX 4060", True),
    ],
)
def test_a_host_is_named_by_whole_words(host: str, gpu: str | None, meant: bool) -> None:
    """A 4060 Ti is no 4060."""
    report = replace(REPORT, hosts={"here": replace(REPORT.hosts["here"], gpu=gpu)})
    assert _one(Limit(latency_p50="2 ms", host=host), report).state == ("pass" if meant else "undecided")
