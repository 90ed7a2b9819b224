"""What must hold of verdicts whatever the report and the limit: looser is never worse, the inputs decide alone, and damage never passes."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgekd.budget import exit_code, judge
from edgekd.budget.rules import RULES
from edgekd.errors import UsageError
from edgekd.limit import Limit
from edgekd.record import SCHEMA, Report, Verdict
from edgekd.reportfile import decode_report, encode_report
from tests.needs import ROOT
from tests.report.sample import CLASSES, SHIPPED, TEACHER, sample_report

REPORT = sample_report()
GOLDEN = sorted((ROOT / "tests" / "golden").glob("report-v*.json"))
replace = msgspec.structs.replace

SCALES = {
    **dict.fromkeys(("size", "params", "macs", "memory"), 1e9),
    **dict.fromkeys(("latency_p50", "latency_p95", "speedup"), 20.0),
    "opset": 40.0,
    "energy": 1.0,
}
"""How far a bound of each quantity is drawn; shares up to 1."""
ARTIFACTS = ["shipped", "int8", "fp32", TEACHER, SHIPPED, "none"]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Limit, Limit]:
    """A limit and a tighter one of the same quantity."""
    quantity = draw(st.sampled_from([*RULES, "recall", "growth", "relative"]))
    rule = RULES.get(quantity)
    bounds = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))), reverse=rule is None or rule.side == "≤")
    loose, tight = (bound * SCALES.get(quantity, 1.0) for bound in (bounds if quantity != "recall" else bounds[::-1]))
    if quantity in ("recall", "growth", "relative"):
        key = draw(st.sampled_from([*CLASSES, "wolf"] if quantity == "recall" else ["size", "macs", "latency", "latency_p95", "memory"]))
        tables: list[dict[str, Any]] = [{quantity: {key: bound}} for bound in (loose, tight)]
    else:
        tables = [{quantity: bound} for bound in (loose, tight)]
    whose = {"artifact": draw(st.sampled_from(ARTIFACTS)), "target": draw(st.sampled_from([None, "cpu", "tpu"]))}
    first, second = (msgspec.convert({**whose, **table}, Limit) for table in tables)
    return first, second


def grown(by: float) -> Report:
    """A baseline whose files were smaller by a share."""
    return replace(REPORT, artifacts=[replace(each, size=round(each.size / (1 + by))) for each in REPORT.artifacts])


@given(pairs(), st.floats(0, 1))
def test_loosening_never_turns_pass_into_over(limits: tuple[Limit, Limit], by: float) -> None:
    """Nor anything else into something worse: what is missing or on another machine stays so whatever the bound."""
    loose, tight = judge(REPORT, [limits[0]], grown(by)), judge(REPORT, [limits[1]], grown(by))
    rank = {"pass": 0, "undecided": 1, "over": 2}
    assert len(loose) == len(tight)
    for first, second in zip(loose, tight, strict=True):
        assert (first.state == "missing") == (second.state == "missing")
        assert first.state == "missing" or rank[first.state] <= rank[second.state]
    assert exit_code(loose, strict=True) == 0 or exit_code(tight, strict=True) != 0


@given(pairs(), st.randoms(use_true_random=False))
def test_a_verdict_depends_on_nothing_but_its_inputs(limits: tuple[Limit, Limit], draw: random.Random) -> None:
    """Not on the order of what else the report holds, nor on what was judged before."""
    shuffled = replace(
        REPORT, **{name: draw.sample(getattr(REPORT, name), len(getattr(REPORT, name))) for name in ("measurements", "scores", "ratios", "networks")}
    )
    alone = [judge(REPORT, [limit], REPORT) for limit in limits]
    assert [*alone[0], *alone[1]] == judge(shuffled, limits, shuffled)
    assert [*alone[1], *alone[0]] == judge(REPORT, limits[::-1], REPORT)


def test_nor_on_the_process(tmp_path: Path) -> None:
    """Two processes with other hashes and another clock say the same bytes."""
    (tmp_path / "report.json").write_bytes(encode_report(REPORT))
    asked = ["check", "report.json", "--limit", "latency_p50=1.06ms", "--limit", "growth.latency_p95=1%", "--baseline", "report.json", "--json"]
    said = [
        subprocess.run(
            [sys.executable, "-m", "edgekd", *asked],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=False,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    assert said[0] == said[1] != b""


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
verdicts = st.builds(
    Verdict,
    limit=st.text(),
    artifact=st.text(),
    target=st.none() | st.text(),
    state=st.sampled_from(["pass", "over", "undecided", "missing"]),
    quantity=st.text(),
    measured=numbers,
    bound=numbers,
    text=st.text(),
    warn=st.booleans(),
    before=numbers,
    why=st.lists(st.text(), max_size=2),
)


@given(verdicts)
def test_verdicts_round_trip(verdict: Verdict) -> None:
    """As JSON, alone and in a report."""
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    assert decode_report(encode_report(replace(REPORT, verdicts=[verdict]))).verdicts == [verdict]


def test_there_is_a_report_of_every_schema() -> None:
    """Whoever raises the version adds one."""
    assert [json.loads(file.read_bytes())["schema"] for file in GOLDEN] == list(range(1, SCHEMA + 1))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_reports_of_every_schema_are_judged(file: Path) -> None:
    """What an old edgekd wrote is held to limits by this one."""
    assert [verdict.state for verdict in judge(decode_report(file.read_bytes()), [Limit(size="400 kB", params="1M")])] == ["pass", "pass"]


# Damage ---------------------------------------------------------------------------------------------------------------

EVERYTHING = [
    msgspec.convert({"artifact": artifact, "target": "cpu", **{name: 0.5 for name in RULES}, "recall": {"cat": 0.5}, "layers": {"fp32": 1}}, Limit)
    for artifact in ("shipped", TEACHER)
]
EVERYTHING.append(Limit(artifact="int8", target="cpu", against="fp32", accuracy_drop=0.1, growth={"size": 0.1, "latency": 0.1, "latency_p95": 0.1}))
_VALUES: list[Any] = [-1, 0, -0.5, 1e308, -1e308, 5e-324, 2**62, "", "x" * 50, None, [], {}, True, [[]], [-1.0], [0.0]]
HOSTILE = st.sampled_from(_VALUES)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document, as its holder and its key."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from leaves(item)


DOCUMENT = encode_report(REPORT)


@given(st.lists(st.tuples(st.integers(0, 10**6), HOSTILE), min_size=1, max_size=4))
@example([(0, -1)])
def test_a_damaged_report_is_refused_or_judged(damage: list[tuple[int, Any]]) -> None:
    """Whatever stands in it: a sentence, or verdicts of which none passes on a figure that cannot be; never a crash."""
    document = json.loads(DOCUMENT)
    for place, value in damage:
        spots = [spot for spot in leaves(document) if not (isinstance(spot[0], list) and isinstance(spot[0][spot[1]], float) and place % 7)]
        holder, key = spots[place % len(spots)]
        holder[key] = value
    with suppress(UsageError):
        found = judge(decode_report(json.dumps(document).encode()), EVERYTHING, REPORT)
        assert all(verdict.state != "pass" or (verdict.measured is not None and verdict.measured >= -1) for verdict in found)
