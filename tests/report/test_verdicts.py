"""Verdicts by trouble, with the baseline and the change since."""

import random

import msgspec
import pytest

from edgekd.budget import judge
from edgekd.limit import Limit
from edgekd.record import Report, Verdict
from edgekd.report.github import annotations, log
from edgekd.report.markdown import comment
from edgekd.report.text import verdict_lines
from edgekd.report.verdicts import before, by_trouble, change, counts
from tests.report.golden import check_golden
from tests.report.sample import SHIPPED, judged_report, sample_report

replace = msgspec.structs.replace
VERDICTS = judged_report().verdicts


def grown() -> Report:
    """What the sample grew from: files a tenth smaller, answers a little better."""
    report = sample_report()
    scores = [
        replace(score, metrics={name: replace(metric, value=min(1.0, metric.value + 0.01)) for name, metric in score.metrics.items()})
        for score in report.scores
    ]
    return replace(report, artifacts=[replace(each, size=round(each.size / 1.1)) for each in report.artifacts], scores=scores)


def compared() -> list[Verdict]:
    """Verdicts beside a baseline, of every kind of change."""
    limits = [Limit(size="300 kB", params="1M", accuracy="80 %", accuracy_drop="3 points", reason="app <b>"), Limit(growth={"size": "1 %"})]
    return judge(sample_report(), [*limits, Limit(artifact="int8", latency_p50="2 ms")], grown())


def test_the_worst_come_first() -> None:
    """Over by the larger share, then missing, then undecided, then what only warns, then what holds; whatever order they came in."""
    verdict = VERDICTS[0]
    ordered = [
        replace(verdict, state="over", measured=3.0, bound=1.0),
        replace(verdict, state="over", measured=110.0, bound=100.0),
        replace(verdict, state="missing", measured=None),
        replace(verdict, state="undecided"),
        replace(verdict, state="over", warn=True),
        replace(verdict, state="missing", warn=True, measured=None),
        replace(verdict, state="pass"),
    ]
    assert by_trouble(random.Random(0).sample(ordered, len(ordered))) == ordered


def test_the_counts_of_all() -> None:
    """Warnings apart."""
    assert counts(VERDICTS) == "1 over, 1 missing, 1 undecided, 3 within limits, 1 missing (warning)"
    assert counts([]) == "nothing was checked"


@pytest.mark.parametrize(
    ("quantity", "measured", "then", "said"),
    [
        ("size", 1100.0, 1000.0, ("1.00 kB", "+10.0 %")),
        ("size", 1000.0, 1000.0, ("1.00 kB", "0.0 %")),
        ("size", 10_000_001.0, 10_000_000.0, ("10.0 MB", "+0.00001 %")),
        ("latency_p50", 0.9, 1.0, ("1 ms", "−10.0 %")),
        ("accuracy", 0.91, 0.92, ("92.0 %", "−1.0 point")),
        ("growth.latency", 0.031, 2.0, ("2 ms", "+3.1 %")),
        ("recall.cat", 0.5, 0.25, ("25.0 %", "+25.0 points")),
        ("params", 5.0, 0.0, ("0", "–")),
        ("size", None, 1000.0, ("1.00 kB", "–")),
        ("size", 1.0, None, ("–", "–")),
        ("", None, None, ("–", "–")),
    ],
)
def test_the_baseline_and_the_change(quantity: str, measured: float | None, then: float | None, said: tuple[str, str]) -> None:
    """Shares in points, all else in percent; no change reads as none, and no small one either."""
    verdict = replace(VERDICTS[0], quantity=quantity, measured=measured, before=then)
    assert (before(verdict), change(verdict)) == said


def test_a_comment_reads_as_it_should() -> None:
    """A headline, and a table with the baseline, the worst first."""
    check_golden("comment.md", comment(compared()))


def test_as_text_the_baseline_stands_behind() -> None:
    """In the same paragraph."""
    check_golden("verdicts.txt", verdict_lines(by_trouble(compared())) + "\n")


def test_the_layers_behind_stand_below() -> None:
    """Escaped in a comment, indented in a terminal."""
    verdict = replace(VERDICTS[0], state="over", why=["a<b> (Conv): 3 kB"])
    assert "\n\nBehind size of student/resnet20/int8-cpu:\n\n- a&lt;b&gt; (Conv): 3 kB\n" in comment([verdict])
    assert "\n  · a<b> (Conv): 3 kB" in verdict_lines([verdict])


@pytest.mark.parametrize(("number", "length"), [(3000, 10), (200, 5000), (1, 200_000), (0, 0)])
def test_a_comment_stays_below_its_size(number: int, length: int) -> None:
    """Long tables lose their tail, which holds; long cells their end."""
    over = replace(VERDICTS[0], state="over", text="the worst")
    many = [replace(VERDICTS[0], artifact="é" * length) for _ in range(number)]
    body = comment([*many, over])
    assert len(body.encode()) <= 64_000
    assert "the worst" in body.splitlines()[4]
    assert body.startswith(f"### edgekd: 1 over{f', {number} within limits' if number else ''}\n")
    assert ("more are left out here" in body) == (number * min(length, 1000) * 2 + number * 150 > 64_000)


def test_annotations_are_one_line_each() -> None:
    """The worst first, nothing for what holds; line ends and commas cannot break a command."""
    lines = annotations([*VERDICTS, replace(VERDICTS[0], state="over", artifact="a,b:\nc", text="x\n::error::y 5 %", measured=9e9)])
    assert lines[0] == "::error title=a%2Cb%3A%0Ac%3A size ≤ 332 kB::over: x%0A::error::y 5 %25"
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::error", "::warning", "::warning"]
    assert not any("\n" in line for line in lines)
    assert log(VERDICTS).splitlines()[-1].startswith(f"pass: {SHIPPED}: ")
