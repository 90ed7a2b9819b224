"""device/agent/offline.py: a folder's plan is carried out by agents as child processes, whatever they do, and is gone on with behind what is done."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgekd.device.agent import machine
from edgekd.device.agent.folder import ANSWERS, EVERY_CORE, PLAN, VERSION, read_answers, read_plan, seal
from edgekd.device.agent.offline import Errand, main
from edgekd.device.agent.protocol import RefusedError
from tests.device.processes import PATIENCE_S, UNRULY, gone, python38
from tests.device.sshd import descendants

Step = dict[str, Any]


def step(job: str, agent: int = 0, of: str = "", timeout_s: float = PATIENCE_S, **wishes: Any) -> Step:
    """One step of a plan."""
    return {"agent": agent, "of": of, "job": job, "wishes": wishes, "timeout_s": timeout_s}


def written(folder: Path, *parts: Sequence[Step], files: Sequence[str] = ()) -> Path:
    """A folder with a plan."""
    body = {"offline": VERSION, "edgekd": "1", "host": "orin", "asked": {}, "files": list(files), "parts": parts}
    (folder / PLAN).write_text(json.dumps({**body, "seal": seal(body)}))
    return folder


def told(folder: Path) -> list[list[Step | None]]:
    """The answers in a folder, part by part, without the moments that they were given at."""
    answers = read_answers(folder, read_plan(folder))
    return [[None if each is None else {key: value for key, value in each.items() if key != "at"} for each in part] for part in answers.values()]


def done(folder: Path, program: Path = UNRULY) -> list[str]:
    """Carry a plan out; what was said."""
    said: list[str] = []
    Errand(folder, str(program), lambda text, moving=False: said.append(text)).run()
    return said


def test_jobs_are_answered_in_order(tmp_path: Path) -> None:
    """By an agent a number, each a process of its own; one that is closed begins anew."""
    said = done(written(tmp_path, [step("echo", what="a"), step("echo", 1, what="b"), step("close"), step("echo", what="c")], [step("echo", 2)]))
    first, second = told(tmp_path)
    assert first == [{"id": 1, "what": "a"}, {"id": 1, "what": "b"}, None, {"id": 1, "what": "c"}]
    assert second == [{"id": 1}]
    assert "part 2 of 2: 1/1 jobs" in said[-3]
    assert said[-2] == f"All 2 parts are done, and their answers are in {tmp_path / ANSWERS}."


def test_failures_are_answers(tmp_path: Path) -> None:
    """An error, a crash with its last words, a silence; what is asked of a dead agent afterwards tells the same."""
    silent = step("sleep", 2, timeout_s=0.5, seconds=60)
    done(written(tmp_path, [step("fail", kind="memory"), step("leave", 1, code=7), step("echo", 1), silent, step("crash", 3, number=11)]))
    ((memory, left, after, asleep, crashed),) = told(tmp_path)
    assert memory == {"id": 1, "error": "512 GiB asked for", "kind": "memory"}
    assert left == after == {"ended": 7, "words": "farewell"}
    assert asleep == {"silent": 0.5}
    assert crashed is not None
    assert crashed["ended"] == -11


def test_a_silent_agent_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """As a tool of the runtime's, which would keep the device busy."""
    done(written(tmp_path, [step("child"), step("sleep", timeout_s=0.5, seconds=60)]))
    (started, asleep) = told(tmp_path)[0]
    assert started is not None
    assert asleep == {"silent": 0.5}
    assert gone(started["child"])


def test_what_a_failure_makes_pointless_is_left_out(tmp_path: Path) -> None:
    """The rest of what was planned for that file, its part in comparisons, and half a minute for a meter that is not there; other files go on."""
    plan = [
        *(step("open", agent, f"{name} on cpu", path=f"files/{name}") for agent, name in enumerate("abc")),
        step("time", 0, "a on cpu"),
        step("time", 1, "b on cpu", metered=True),
        step("rest", 1, "b on cpu", seconds=0),
        step("rest", 1, "b on cpu", seconds=5),
        step("time", 1, "b on cpu", metered=True),
        step("duel", 3, "duel on cpu", paths=["files/a", "files/b", "files/c"]),
        step("duel", 4, "duel on cpu", paths=["files/a", "files/b"]),
        step("flow", 5, "b on cpu", streams=EVERY_CORE, threads=2),
    ]
    (tmp_path / "agent.py").write_text(
        "import sys; sys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
        "from edgekd.device.agent.protocol import RefusedError, serve\n"
        "def opened(path):\n"
        "    if path.endswith('a'): raise RefusedError('no model')\n"
        "    return {}\n"
        "echo = lambda **wishes: wishes\n"
        "rest = lambda seconds: {'energy_reason': 'no counter'}\n"
        "serve({'open': opened, 'time': echo, 'rest': rest, 'duel': echo, 'flow': echo}, sys.argv[1])\n"
    )
    done(written(tmp_path, plan), tmp_path / "agent.py")
    (answers,) = told(tmp_path)
    refused, _, _, timed, before, _, rested, metered, duel, alone, flow = answers
    assert refused == {"id": 1, "error": "no model", "kind": "refused"}
    assert timed is rested is metered is alone is None
    assert before is not None
    assert duel is not None
    assert duel["paths"] == ["files/b", "files/c"]
    assert flow is not None
    assert (flow["streams"], flow["threads"]) == (machine.cores(), 2)


def test_it_goes_on_behind_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A part is kept as soon as it is done, and is not done again; answers to another plan are not taken for it."""
    written(tmp_path, [step("echo", what="a")], [step("echo", 1, what="b")])
    part = Errand._part

    def stopped(self: Errand, number: int, steps: list[Step]) -> list[Step | None]:
        if number == 1:
            raise KeyboardInterrupt
        return part(self, number, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Errand, "_part", stopped)
        assert main(str(tmp_path), str(UNRULY)) == 130
    assert "Stopped. What was finished is kept." in capsys.readouterr().err
    before = read_answers(tmp_path, read_plan(tmp_path))
    assert list(before) == [0]
    assert main(str(tmp_path), str(UNRULY)) == 0
    after = read_answers(tmp_path, read_plan(tmp_path))
    assert (list(after), after[0]) == ([0, 1], before[0])
    written(tmp_path, [step("echo", what="c")])
    with pytest.raises(RefusedError, match="answers another plan than the one beside it"):
        done(tmp_path)


def test_an_interrupt_leaves_no_agent(tmp_path: Path) -> None:
    """Nor what an agent started."""
    folder = written(tmp_path, [step("child")], [step("sleep", 1, seconds=300)])
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom edgekd.device.agent.offline import main; "
    command = [sys.executable, "-c", f"{code}sys.exit(main(*sys.argv[1:]))", str(folder), str(UNRULY)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / ANSWERS).is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        agents = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert "Stopped." in process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 130
    assert agents
    assert all(map(gone, agents))
    (child,) = told(folder)[0]
    assert child is not None
    assert gone(child["child"])


def test_files_are_held_to_their_names(tmp_path: Path) -> None:
    """A missing one and one that was edited are refused before anything runs."""
    (tmp_path / "files").mkdir()
    file = tmp_path / "files" / f"{'ab' * 32}.onnx"
    written(tmp_path, [], files=[f"files/{file.name}"])
    with pytest.raises(RefusedError, match=r"\.onnx is missing\. Bring the whole folder, or write it again\."):
        done(tmp_path)
    file.write_bytes(b"another")
    with pytest.raises(RefusedError, match="is not the file that was written: its hash is another"):
        done(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no folder that edgekd bench --offline wrote: there is no plan.json"),
        ("{", "its plan.json does not read"),
        ("[]", "has a plan of version None, and this edgekd reads version 1"),
        ('{"offline": 2}', "has a plan of version 2, and this edgekd reads version 1"),
        ('{"offline": 1, "parts": [], "seal": "x"}', "was changed after it was written"),
    ],
)
def test_what_is_no_plan(tmp_path: Path, text: str | None, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused in words, with the exit code of wrong usage."""
    if text is not None:
        (tmp_path / PLAN).write_text(text)
    assert main(str(tmp_path), str(UNRULY)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("spoil", [lambda data: data[:-30], lambda data: data.replace(b'"a"', b'"b"'), lambda data: b"", lambda data: b"\n\n{}"])
def test_answers_that_were_changed(tmp_path: Path, spoil: Any) -> None:
    """Cut off, edited or emptied: refused, and neither taken for answers nor overwritten."""
    done(written(tmp_path, [step("echo", what="a")]))
    data = spoil((tmp_path / ANSWERS).read_bytes())
    (tmp_path / ANSWERS).write_bytes(data)
    with pytest.raises(RefusedError, match="was changed after it was written, or is not whole"):
        done(tmp_path)
    assert (tmp_path / ANSWERS).read_bytes() == data


def test_a_python_without_a_runtime(tmp_path: Path, pyz: Path) -> None:
    """It is said there, at once, by the agent as it is packed and started by hand, under Python 3.8 where there is one; nothing is written."""
    written(tmp_path, [step("facts"), step("start")])
    done_ = subprocess.run(
        [python38(), "-I", "-S", str(pyz), str(tmp_path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done_.returncode == 2
    assert "has no numpy. Install it there, or run the plan by a Python that has it." in done_.stderr
    assert not (tmp_path / ANSWERS).exists()
    written(tmp_path, [step("facts"), step("state"), step("close")], [step("rest", 1, seconds=0)])
    subprocess.run([python38(), "-I", "-S", str(pyz), str(tmp_path)], stdin=subprocess.DEVNULL, check=True, timeout=PATIENCE_S)
    (facts, state, _), (rest,) = told(tmp_path)
    assert facts is not None
    assert facts["python"].startswith("3.8.")
    assert state is not None
    assert rest is not None


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a failure with its reason, and what was finished stands."""
    written(tmp_path, [step("echo")])

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert main(str(tmp_path), str(UNRULY)) == 3
    assert "No space left on device. What was finished is kept." in capsys.readouterr().err
    assert not (tmp_path / ANSWERS).exists()
