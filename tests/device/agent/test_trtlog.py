"""device/agent/trtlog.py: logs that people published (public/), made-up ones (synthetic/), and exported times."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.device.agent import trtlog
from edgekd.device.agent.protocol import RefusedError

LOGS = Path(__file__).parent / "synthetic"
PUBLIC = Path(__file__).parent / "public"
ROW = {"h2dMs": 0.1, "computeMs": 1.0, "d2hMs": 0.05, "latencyMs": 1.15}


def test_a_log_of_10() -> None:
    """Every figure of its summary, the warnings apart; a series whose name ends another's is not taken for it."""
    said = trtlog.parse_log((LOGS / "trtexec-10.3.txt").read_text())
    assert (said["version"], said["passed"], said["throughput"], said["load_s"], said["walltime_s"]) == ("10.3.0", True, 812.25, 0.0213, 3.0028)
    assert said["latency_ms"] == {"min": 1.2002, "max": 1.98315, "mean": 1.23456, "median": 1.22888, "p90": 1.25, "p95": 1.27, "p99": 1.5}
    assert (said["to_gpu_ms"]["median"], said["compute_ms"]["median"], said["from_gpu_ms"]["median"]) == (0.0410156, 1.18, 0.00500488)
    assert (said["enqueue_ms"]["p99"], said["compute_s"]) == (0.012, 2.89)
    assert said["warnings"] == ["The timings below are of a made-up board.", "* GPU compute time is unstable, with coefficient of variance = 3.1%."]
    assert said["errors"] == []


def test_a_published_summary() -> None:
    """From a public thread: every series by its own name, and the totals."""
    said = trtlog.parse_log((PUBLIC / "summary.txt").read_text())
    assert (said["throughput"], said["walltime_s"], said["compute_s"]) == (130.298, 3.00082, 2.96536)
    assert said["latency_ms"] == {"min": 5.38672, "max": 13.3664, "mean": 7.60628, "median": 7.16092, "p90": 10.2996, "p95": 10.8698, "p99": 12.9675}
    assert (said["enqueue_ms"]["mean"], said["to_gpu_ms"]["min"]) == (7.63062, 0.0065918)
    assert (said["compute_ms"]["p99"], said["from_gpu_ms"]["max"]) == (12.9485, 0.110596)
    assert (said["version"], said["passed"], said["warnings"], said["errors"]) == (None, None, [], [])


def test_a_published_summary_that_is_cut_off() -> None:
    """Of an AGX Orin: averages on the way are no summary, and of a torn line what stands in full is taken."""
    said = trtlog.parse_log((PUBLIC / "summary-orin.txt").read_text())
    assert (said["throughput"], said["latency_ms"]["median"], said["enqueue_ms"]["p99"]) == (208.729, 4.83752, 0.384033)
    assert said["to_gpu_ms"] == {"min": 0.0480957, "max": 0.0679321, "mean": 0.0507424, "median": 0.050293, "p90": 0.052002, "p95": 0.0533447}
    assert not {"compute_ms", "from_gpu_ms", "walltime_s"} & set(said)


@pytest.mark.parametrize(
    ("file", "version"),
    [("options-orin", "10.3.0"), ("options-windows", "10.8.0"), ("run-windows", "10.2.0"), ("device-orin", None)],
)
def test_published_beginnings(file: str, version: str | None) -> None:
    """A build number, a Windows path, a board that thinks it is 1970: the version is read where it stands, and nothing is made up."""
    said = trtlog.parse_log((PUBLIC / f"{file}.txt").read_text())
    assert said == {"version": version, "passed": None, "warnings": [], "errors": []}


def test_a_log_of_11() -> None:
    """Of a build alone; what it does not say is not there."""
    said = trtlog.parse_log((LOGS / "trtexec-11.1.txt").read_text())
    assert (said["version"], said["passed"], said["build_s"]) == ("11.1.0", True, 41.75)
    assert "latency_ms" not in said


@pytest.mark.parametrize(("word", "version"), [("v8601", "8.6.1"), ("v100300", "10.3.0"), ("v101602", "10.16.2"), ("v110100", "11.1.0")])
def test_versions(word: str, version: str) -> None:
    """Four digits before 10, six since."""
    assert trtlog.version_of(f"&&&& RUNNING TensorRT.trtexec [TensorRT {word}] [b10] # trtexec") == version
    assert trtlog.version_of("nothing of the sort") is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """A torn or foreign log is no exception."""
    said = trtlog.parse_log((LOGS / "trtexec-10.3.txt").read_text()[: len(text) * 7] + text)
    assert isinstance(said["warnings"], list)


def test_windows_line_ends() -> None:
    """Read alike."""
    text = (LOGS / "trtexec-10.3.txt").read_text()
    assert trtlog.parse_log(text.replace("\n", "\r\n")) == trtlog.parse_log(text)


def test_exported_times() -> None:
    """Raw samples, and what each is made of."""
    assert trtlog.parse_times(json.dumps([ROW, {**ROW, "latencyMs": 2}])) == {
        **{"samples": [1.15, 2.0], "to_gpu": [0.1, 0.1], "compute": [1.0, 1.0], "from_gpu": [0.05, 0.05]},
    }


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[]", "[1]", '[{"latencyMs": 1}]', *(json.dumps([{**ROW, "latencyMs": value}]) for value in (None, "x", float("nan")))]
)
def test_times_that_do_not_read(text: str) -> None:
    """Refused, never a number out of nothing."""
    with pytest.raises(RefusedError, match="the times that trtexec exported"):
        trtlog.parse_times(text)
