"""device/process.py: agents that crash, fall silent or are someone else."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd.device.agent import protocol
from edgekd.device.process import Agent
from edgekd.errors import DeviceError, MissingExtra, install_line
from tests.device.processes import PATIENCE_S, UNRULY, gone, python38


@pytest.fixture
def agent() -> Iterator[Agent]:
    """An agent whose jobs misbehave."""
    with Agent([sys.executable, str(UNRULY), "n"], "n") as agent:
        yield agent


def speaking(*lines: str) -> Agent:
    """A program that says these lines and waits for its end."""
    code = f"import sys; print({chr(10).join(lines)!r}, flush=True); sys.stdin.read()"
    return Agent([sys.executable, "-c", code], "n")


def hello(**other: Any) -> str:
    """An agent's first line."""
    return json.dumps({"hello": "edgekd", "protocol": protocol.VERSION, "nonce": "n", **other})


def test_a_runtime_that_is_not_installed(pyz: Path) -> None:
    """The line that installs it is named."""
    with Agent([sys.executable, "-I", "-S", str(pyz), "n"], "n") as agent:
        with pytest.raises(MissingExtra, match=f"numpy .*{re.escape(install_line('measure'))}"):
            agent.ask("start")


def test_the_oldest_python_over_there(pyz: Path) -> None:
    """The agent tells its facts under another Python than edgekd's own."""
    with Agent([python38(), str(pyz), "n"], "n") as agent:
        assert agent.ask("facts")["python"].startswith("3.8.")


def test_jobs_are_answered_in_order(agent: Agent) -> None:
    """Several may be handed over before the first answer is read."""
    for number in range(3):
        agent.send("echo", number=number)
    assert [agent.receive()["number"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("refused", DeviceError, r"^not like this$"),
        ("missing", MissingExtra, f"onnxruntime is needed .*{re.escape(install_line('measure'))}"),
        ("memory", DeviceError, r"ran out of memory in `fail`: 512 GiB asked for\. Take a smaller batch or file"),
        ("runtime", DeviceError, r"`fail` failed in the runtime: a node was odd"),
    ],
)
def test_a_job_that_fails(agent: Agent, kind: str, error: type[Exception], message: str) -> None:
    """Its kind makes the message, and the agent goes on."""
    with pytest.raises(error, match=message):
        agent.ask("fail", kind=kind)
    assert agent.ask("echo", text="still here")["text"] == "still here"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, r"ended while at work on `crash`: SIGKILL \(out of memory is the usual cause"),
        (signal.SIGSEGV, r"SIGSEGV \(the runtime crashed; another version of it may not\)"),
        (signal.SIGILL, r"SIGILL \(this build of the runtime uses instructions that the processor lacks\)"),
        (signal.SIGTERM, r"`crash`: SIGTERM$"),
    ],
)
def test_an_agent_that_crashes(agent: Agent, number: int, message: str) -> None:
    """What it was doing and what ended it; answers given before are not lost."""
    agent.send("echo", text="done")
    agent.send("crash", number=int(number))
    assert agent.receive()["text"] == "done"
    with pytest.raises(DeviceError, match=message):
        agent.receive()


def test_an_agent_that_leaves(agent: Agent) -> None:
    """Its exit code and its last words."""
    with pytest.raises(DeviceError, match=r"`leave`: exit code 3\. Its last words: farewell"):
        agent.ask("leave", code=3)


def test_a_dead_agent_is_not_waited_for(agent: Agent) -> None:
    """Whoever asks again is told at once what ended it."""
    agent.send("leave", code=3)
    for _ in range(2):
        with pytest.raises(DeviceError, match="ended while at work on `leave`: exit code 3"):
            agent.receive(PATIENCE_S)
    with pytest.raises(DeviceError, match="exit code 3"):
        agent.ask("echo")


def test_an_agent_that_says_nothing(agent: Agent) -> None:
    """It is killed, and named with its job and the time it had."""
    agent.send("sleep", seconds=300)
    with pytest.raises(DeviceError, match=r"must answer within 1 s, it said nothing while at work on `sleep`; it was killed"):
        agent.receive(1)
    assert gone(agent.pid)


def test_closing_ends_what_it_started(agent: Agent) -> None:
    """In the middle of a job, with its children; closing again does nothing."""
    child = agent.ask("child")["child"]
    agent.send("sleep", seconds=300)
    agent.close()
    assert gone(agent.pid)
    assert gone(child)
    agent.close()


def test_closing_ends_the_children_of_one_that_crashed(agent: Agent) -> None:
    """They would go on without it."""
    child = agent.ask("child")["child"]
    with pytest.raises(DeviceError, match="exit code 3"):
        agent.ask("leave", code=3)
    agent.close()
    assert gone(child)


def test_a_closed_agent_takes_no_job(agent: Agent) -> None:
    """It is dead, and says so."""
    agent.close()
    with pytest.raises(DeviceError, match="the agent ended"):
        agent.send("echo")


@pytest.mark.parametrize("line", [hello(nonce="other"), hello(protocol=99), json.dumps({"id": 1})])
def test_someone_else_answers(line: str) -> None:
    """Another nonce, another protocol, or no hello at all."""
    with speaking(line) as agent, pytest.raises(DeviceError, match=r"must be its hello with protocol 1 and the nonce n, got .*run it again"):
        agent.ask("facts")


@pytest.mark.parametrize("line", ["Welcome to Ubuntu", "[1, 2]"])
def test_something_else_speaks(line: str) -> None:
    """A line that is no JSON object is quoted."""
    with speaking(line) as agent, pytest.raises(DeviceError, match=r"speaks JSON lines, got b'.*Something else writes to its output"):
        agent.ask("facts")


def test_answers_out_of_order() -> None:
    """An answer to another job is not taken for this one's."""
    with speaking(hello(), '{"id": 7}') as agent, pytest.raises(DeviceError, match="in order: expected answer 1, got 7"):
        agent.ask("facts")


def test_a_program_that_is_no_agent() -> None:
    """It ends before it said hello."""
    with Agent([sys.executable, "-c", "raise SystemExit('no such luck')"], "n") as agent:
        with pytest.raises(DeviceError, match=r"ended while idle: exit code 1\. Its last words: no such luck"):
            agent.receive()
