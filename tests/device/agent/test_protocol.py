"""device/agent/protocol.py: hello, jobs in order, errors that are answers, an end with stdin."""

import json
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgekd.device.agent import protocol
from edgekd.device.agent.protocol import RefusedError
from tests.device.processes import PATIENCE_S, UNRULY, gone, python38, started


def asked(ident: int, job: str, **wishes: Any) -> bytes:
    """A job as one line."""
    return json.dumps({"id": ident, "job": job, **wishes}).encode()


def test_the_agent_is_one_file_of_sources(pyz: Path) -> None:
    """The package and an entry point, no bytecode of this Python and none of edgekd's other modules."""
    names = zipfile.ZipFile(pyz).namelist()
    modules = {f"agent/{file.name}" for file in Path(protocol.__file__).parent.glob("*.py")}
    assert len(modules) > 10
    assert {name for name in names if not name.endswith("/")} == {"__main__.py", *modules}


def test_hello_comes_first(pyz: Path) -> None:
    """Unasked, with the protocol's version, the nonce it was started with and its process."""
    with started(pyz, "abc123") as line:
        hello = line.read()
        assert (hello["hello"], hello["protocol"], hello["nonce"]) == ("edgekd", protocol.VERSION, "abc123")
        assert (hello["pid"], hello["python"]) == (line.process.pid, sys.version.split()[0])


def test_it_runs_without_any_package(pyz: Path) -> None:
    """Isolated and without site-packages it tells facts, and names the package that a runtime would need."""
    with started(pyz, "n", sys.executable, "-I", "-S") as line:
        line.write(asked(1, "facts"), asked(2, "start"))
        assert line.read()["hello"] == "edgekd"
        assert line.read()["cores"] >= 1
        assert line.read() == {"id": 2, "error": "numpy", "kind": "missing"}


def test_it_runs_under_the_oldest_python(pyz: Path) -> None:
    """Python 3.8 says hello and tells what machine it is on."""
    with started(pyz, "old", python38()) as line:
        line.write(asked(1, "facts"), asked(2, "state"))
        hello, facts, state = line.read(), line.read(), line.read()
    assert (hello["nonce"], hello["python"][:4]) == ("old", "3.8.")
    assert facts["python"] == hello["python"]
    assert facts["cores"] >= 1
    assert state["cpu_s"] > 0


def test_answers_come_in_the_order_of_the_jobs() -> None:
    """Jobs that arrive together are answered one by one; blank lines are passed over."""
    with started(UNRULY) as line:
        line.write(asked(1, "sleep", seconds=0.05), b"", asked(2, "echo", text="ä"), b"  ", asked(3, "echo", values=[1, 2.5]))
        line.read()
        assert [line.read() for _ in range(3)] == [{"id": 1}, {"id": 2, "text": "ä"}, {"id": 3, "values": [1, 2.5]}]


def test_what_is_printed_lands_on_stderr() -> None:
    """By Python, by C and by a child: no line of theirs comes between the answers."""
    with started(UNRULY) as line:
        line.write(asked(1, "say", text="noise"), asked(2, "echo"))
        assert [line.read().get("id") for _ in range(3)] == [None, 1, 2]
        out, err = line.end()
    assert out == b""
    assert set(err.splitlines()) >= {b"noise by Python", b"noise by C", b"noise by a child"}


def test_a_job_finds_nothing_on_stdin() -> None:
    """A library that reads there gets the end of the file, not the next job."""
    with started(UNRULY) as line:
        line.write(asked(1, "listen"), asked(2, "echo"))
        line.read()
        assert line.read() == {"id": 1, "heard": ""}
        assert line.read() == {"id": 2}


def test_it_ends_with_its_stdin() -> None:
    """In the middle of a job, with the children that it started."""
    with started(UNRULY) as line:
        line.write(asked(1, "child"), asked(2, "sleep", seconds=300))
        line.read()
        child = line.read()["child"]
        assert line.process.stdin is not None
        line.process.stdin.close()
        line.process.wait(PATIENCE_S)
        assert gone(child)


def test_a_failed_job_is_not_the_agents_end() -> None:
    """Failures, lines that are no job and answers that are no JSON are told, and the next job is done."""
    with started(UNRULY) as line:
        line.write(asked(1, "fail", kind="runtime"), b"\xff{", b"[1]", asked(4, "spoil"), asked(5, "echo"))
        line.read()
        answers = [line.read() for _ in range(5)]
    assert answers[0] == {"id": 1, "error": "a node was odd", "kind": "runtime"}
    assert [("error" in answer, answer["id"]) for answer in answers[1:3]] == [(True, None), (True, None)]
    assert answers[3]["error"].startswith("the answer is no JSON")
    assert answers[4] == {"id": 5}


@pytest.mark.parametrize("line", [b"nonsense", b"\xff", b"[]", b"3", b'{"job": "double"}', b'{"id": 7}', b'{"id": 7, "job": ["double"]}'])
def test_lines_that_are_no_job(line: bytes) -> None:
    """Each is answered by an error of the runtime kind that does not pretend to be refused."""
    answer = protocol.answer({"double": lambda: {}}, line)
    assert answer["error"]
    assert answer["kind"] == "runtime"


def test_a_job_gets_its_wishes() -> None:
    """By name, without number and job; one too many is an error that names it."""
    jobs = {"double": lambda value: {"twice": 2 * value}}
    assert protocol.answer(jobs, asked(7, "double", value=4)) == {"id": 7, "twice": 8}
    assert "unexpected keyword argument 'more'" in protocol.answer(jobs, asked(7, "double", value=4, more=1))["error"]


def test_an_unknown_job_is_refused() -> None:
    """With the jobs that are known, in alphabetical order."""
    answer = protocol.answer({"b": dict, "a": dict}, asked(1, "c"))
    assert answer == {"id": 1, "error": "this agent knows no job 'c'; it knows a, b", "kind": "refused"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedError("no"), "refused"),
        (ModuleNotFoundError("x"), "missing"),
        (ImportError("libcudart.so"), "missing"),
        (MemoryError(), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (RuntimeError("CUDA failure 2: out of memory"), "memory"),
        (ValueError("odd"), "runtime"),
    ],
)
def test_kinds_of_failure(error: Exception, kind: str) -> None:
    """What a host can say about it depends on these four."""
    assert protocol.kind(error) == kind


def test_an_error_is_one_short_line() -> None:
    """Without line breaks, cut at 500 characters; a failure without words is named by its type."""

    def long() -> dict[str, Any]:
        raise ValueError("a\n  b " + 600 * "c")

    def mute() -> dict[str, Any]:
        raise KeyboardError

    jobs = {"long": long, "mute": mute}
    assert protocol.answer(jobs, asked(1, "long"))["error"] == ("a b " + 600 * "c")[:500]
    assert protocol.answer(jobs, asked(2, "mute"))["error"] == "KeyboardError"


class KeyboardError(Exception):
    """A failure without words."""


def test_a_gone_host_ends_the_agent() -> None:
    """Where nobody reads its answers any more it ends, though its stdin is still open."""
    with started(UNRULY) as line:
        line.read()
        assert line.process.stdout is not None
        line.process.stdout.close()
        line.write(asked(1, "echo"))
        assert line.process.wait(PATIENCE_S) == -signal.SIGKILL
