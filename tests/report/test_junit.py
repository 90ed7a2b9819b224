"""Tests of edgekd/report/junit.py."""

from xml.etree import ElementTree

import msgspec

from edgekd.report.github import annotations
from edgekd.report.junit import junit
from tests.report.golden import check_golden
from tests.report.sample import judged_report


def test_the_file_reads_as_it_should() -> None:
    """One case a verdict: over fails, missing is an error, undecided is skipped."""
    check_golden("verdicts.xml", junit(judged_report().verdicts))


def test_the_counts_are_those_of_the_cases() -> None:
    """A warning counts as skipped, whatever it came to."""
    verdicts = judged_report().verdicts
    suite = ElementTree.fromstring(junit(verdicts)).find("testsuite")
    assert suite is not None
    for count, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(count) == str(len(suite.findall(f"testcase/{element}")))
    assert suite.get("tests") == str(len(verdicts))


def test_where_what_is_undecided_fails_the_build_it_is_a_failure() -> None:
    """And GitHub's annotation an error; a limit that only warns stays one that warns."""
    undecided = msgspec.structs.replace(judged_report().verdicts[0], state="undecided", warn=False)
    for verdict, strict, outcome, level in (
        (undecided, False, "skipped", "warning"),
        (undecided, True, "failure", "error"),
        (msgspec.structs.replace(undecided, warn=True), True, "skipped", "warning"),
    ):
        assert ElementTree.fromstring(junit([verdict], strict=strict)).find(f"testsuite/testcase/{outcome}") is not None
        assert annotations([verdict], strict=strict)[0].startswith(f"::{level} ")


def test_what_xml_cannot_say_is_replaced() -> None:
    """Control characters and lone surrogates in a name leave a file that parses."""
    verdict = msgspec.structs.replace(judged_report().verdicts[0], artifact="a\x00b\ud800<&>")
    case = ElementTree.fromstring(junit([verdict])).find("testsuite/testcase")
    assert case is not None
    assert case.get("classname") == "a?b?<&> on cpu"


def test_the_layers_behind_stand_in_the_failure() -> None:
    """A line each."""
    verdict = msgspec.structs.replace(judged_report().verdicts[0], state="over", why=["conv1: 3 kB", "conv2: 2 kB"])
    assert ElementTree.fromstring(junit([verdict])).findtext("testsuite/testcase/failure") == "conv1: 3 kB\nconv2: 2 kB"
