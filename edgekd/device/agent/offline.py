"""A device without a network: a folder that was brought by hand, with files and a plan of jobs → the answers to them.

In: a folder that `edgekd bench --offline` wrote: `plan.json`, and `files/` named by their sha256. Out: `answers.jsonl`, a line for each part of the
plan that is done, for `edgekd bench --collect`. Every agent of the plan is a child process of this one, so that a runtime that crashes or falls
silent is an answer like any other. Which jobs there are, in which order and how long, is the plan's: here no more is decided than what a failure
makes pointless.
"""

import hashlib
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

from . import machine
from .child import Child
from .folder import ANSWERS, EVERY_CORE, check_files, failed, read_answers, read_plan, seal
from .protocol import Answer, RefusedError
from .store import sha256_of

DECISIVE = ("start", "open", "state", "time", "rest")
"""Jobs without which a file has no measurement; what fails in another one costs no more than that."""

Step = Dict[str, Any]
"""`agent` (its number), `of` (whose it is, "" nobody's), `job`, `wishes`, `timeout_s`; the job `close` ends the agent."""


def main(folder: str, program: str) -> int:
    """Do a folder's plan; what goes wrong is said. The exit code: 0 done, 2 it cannot be used, 3 another failure, 130 stopped."""
    again = "What was finished is kept. To go on, run the same line again."
    try:
        Errand(Path(folder), os.path.abspath(program), _say).run()
    except RefusedError as error:
        _say("edgekd: {}".format(error))
        return 2
    except OSError as error:
        _say("edgekd: {}. {}".format(error, again))
        return 3
    except KeyboardInterrupt:
        _say("Stopped. {}".format(again))
        return 130
    return 0


class Errand:
    """One folder's plan while it is done."""

    def __init__(self, folder: Path, program: str, say: Callable[..., None]) -> None:
        self._folder, self._program, self._say = folder.resolve(), program, say
        self._plan = read_plan(folder)
        check_files(folder, self._plan)
        self._parts: List[List[Step]] = self._plan["parts"]
        self._answers = read_answers(folder, self._plan)
        self._paths = {step["of"]: step["wishes"]["path"] for part in self._parts for step in part if step["job"] == "open"}
        self._failed: Set[str] = set()
        self._broken: Set[str] = set()
        """Paths of files whose last user failed."""
        self._unmetered: Dict[str, Optional[str]] = {}
        """Why nothing is metered, by whose agent was asked."""

    def run(self) -> None:
        """Do what is not done yet, part by part; each is kept as soon as it is done."""
        for number, steps in enumerate(self._parts):
            if number in self._answers:
                for step, answer in zip(steps, self._answers[number]):
                    self._heed(step, answer)
            else:
                self._answers[number] = self._part(number, steps)
                self._keep()
        self._say("All {} parts are done, and their answers are in {}.".format(len(self._parts), self._folder / ANSWERS))
        self._say("Bring the folder back. There, edgekd bench WHAT --collect {} reads it.".format(shlex.quote(self._folder.name)))

    def _part(self, number: int, steps: List[Step]) -> List[Optional[Answer]]:
        children: Dict[int, Child] = {}
        answers: List[Optional[Answer]] = []
        begin = time.monotonic()
        try:
            for step in steps:
                answers.append(self._step(step, children))
                spent = time.monotonic() - begin
                told = "part {} of {}: {}/{} jobs, {:.0f} s".format(number + 1, len(self._parts), len(answers), len(steps), spent)
                self._say(told, moving=len(answers) < len(steps))
        finally:
            for child in children.values():
                child.close()
        return answers

    def _step(self, step: Step, children: "Dict[int, Child]") -> Optional[Answer]:
        agent = step["agent"]
        if step["job"] == "close":
            if agent in children:
                children.pop(agent).close()
            return None
        wishes = self._wanted(step)
        if wishes is None:
            return None
        if "folder" in wishes:
            os.makedirs(str(self._folder / wishes["folder"]), exist_ok=True)
        if agent not in children:
            children[agent] = Child(self._program, self._folder)
        answer = dict(children[agent].ask(step["job"], wishes, step["timeout_s"]), at=time.monotonic())
        if "paths" in wishes:
            answer["paths"] = wishes["paths"]
        if step["job"] == "predict" and not failed(answer):
            answer["sha256"] = {path: sha256_of(self._folder / path) for path in answer["outputs"].values()}
        if step["job"] == "start" and not step["of"] and failed(answer):
            _refuse_start(answer)
        self._heed(step, answer)
        return answer

    def _wanted(self, step: Step) -> Optional[Dict[str, Any]]:
        """What is wished for in a step, less the files that failed; None where it has become pointless."""
        wishes: Dict[str, Any] = step["wishes"]
        if step["of"] in self._failed:
            return None
        if (wishes.get("metered") or wishes.get("seconds")) and self._unmetered.get(step["of"]) is not None:
            return None
        wishes = {name: machine.cores() if value == EVERY_CORE else value for name, value in wishes.items()}
        if "paths" not in wishes:
            return wishes
        paths = [path for path in wishes["paths"] if path not in self._broken]
        return dict(wishes, paths=paths) if len(paths) > 1 else None

    def _heed(self, step: Step, answer: Optional[Answer]) -> None:
        """What an answer changes for later steps."""
        if answer is None:
            return
        of, bad = step["of"], failed(answer)
        if "energy_reason" in answer:
            self._unmetered[of] = answer["energy_reason"]
        if step["job"] == "open" and not bad:
            self._broken.discard(self._paths[of])
        if bad and step["job"] in DECISIVE:
            self._failed.add(of)
            self._broken.add(self._paths.get(of, ""))

    def _keep(self) -> None:
        """Write all answers so far; the name never stands for half of them."""
        head = {"plan": seal(self._plan), "python": sys.version.split()[0]}
        parts = [{"part": number, "answers": self._answers[number]} for number in sorted(self._answers)]
        body = "\n".join(json.dumps(line, allow_nan=False) for line in [head, *parts]).encode("utf-8")
        part = self._folder / (ANSWERS + ".part")
        with open(str(part), "wb") as file:
            file.write(body + b'\n{"seal": "' + hashlib.sha256(body).hexdigest().encode("ascii") + b'"}\n')
            file.flush()
            os.fsync(file.fileno())
        os.replace(str(part), str(self._folder / ANSWERS))


def _refuse_start(answer: Answer) -> None:
    """Say at once what nothing could be measured without."""
    python = "{} (Python {})".format(sys.executable, sys.version.split()[0])
    if answer.get("kind") == "missing":
        raise RefusedError("{} has no {}. Install it there, or run the plan by a Python that has it.".format(python, answer["error"]))
    why = answer.get("error") or "it ended with code {}, {}".format(answer.get("ended"), answer.get("words") or "without a word")
    raise RefusedError("the runtime does not start in {}: {}".format(python, why))


def _say(text: str, moving: bool = False) -> None:
    """A line on stderr; a moving one gives way to the next, and is said on a terminal only."""
    terminal = sys.stderr.isatty()
    if terminal or not moving:
        sys.stderr.write(("\r\033[K" if terminal else "") + text + ("" if moving else "\n"))
        sys.stderr.flush()
