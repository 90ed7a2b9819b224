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
    """The figures of its summary, the warnings apart."""
    said = trtlog.parse_log((LOGS / "trtexec-10.3.txt").read_text())
    assert {name: said[name] for name in ("passed", "throughput", "load_s", "errors")} == {
        **{"passed": True, "throughput": 812.25, "load_s": 0.0213, "errors": []},
    }
    assert said["warnings"] == ["The timings below are of a made-up board.", "* GPU compute time is unstable, with coefficient of variance = 3.1%."]


@pytest.mark.parametrize(("file", "throughput"), [("summary", 130.298), ("summary-orin", 208.729)])
def test_published_summaries(file: str, throughput: float) -> None:
    """From public threads, the second one cut off: nothing else is made up."""
    said = trtlog.parse_log((PUBLIC / f"{file}.txt").read_text())
    assert said == {"passed": None, "warnings": [], "errors": [], "throughput": throughput}


@pytest.mark.parametrize(
    ("file", "version"),
    [("options-orin", "10.3.0"), ("options-windows", "10.8.0"), ("run-windows", "10.2.0"), ("device-orin", None)],
)
def test_published_beginnings(file: str, version: str | None) -> None:
    """A build number, a Windows path, a board that thinks it is 1970: the version is read where it stands, and nothing is made up."""
    log = (PUBLIC / f"{file}.txt").read_text()
    assert (trtlog.version_of(log), trtlog.parse_log(log)) == (version, {"passed": None, "warnings": [], "errors": []})


def test_a_log_of_11() -> None:
    """Of a build alone; what it does not say is not there."""
    log = (LOGS / "trtexec-11.1.txt").read_text()
    said = trtlog.parse_log(log)
    assert (trtlog.version_of(log), said["passed"], said["build_s"]) == ("11.1.0", True, 41.75)
    assert "throughput" not in said


@pytest.mark.parametrize(
    ("word", "version"),
    [("v8601", "8.6.1"), ("v8502", "8.5.2"), ("v100000", "10.0.0"), ("v100300", "10.3.0"), ("v101602", "10.16.2"), ("v110100", "11.1.0")],
)
def test_versions(word: str, version: str) -> None:
    """Four digits before 10, six since; a library tells the same number."""
    assert trtlog.version_of(f"&&&& RUNNING TensorRT.trtexec [TensorRT {word}] [b10] # trtexec") == version
    assert trtlog.version_text(int(word[1:])) == version
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
