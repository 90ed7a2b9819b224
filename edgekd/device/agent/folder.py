"""A folder that is carried to a device without a network, and back: its plan, its files, the answers.

In: the folder as it stands. Out: what is in it, held to its seals. `offline` carries the plan out.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from .protocol import Answer, RefusedError
from .store import sha256_of

VERSION = 1
"""Of plan and answers: who writes and who reads must agree. 1: the first (2026-11)."""
PLAN, ANSWERS, FILES = "plan.json", "answers.jsonl", "files"
EVERY_CORE = 1 << 16
"""What a plan says for as many as the device turns out to have cores."""


def seal(body: Any) -> str:
    """The sha256 of a value's JSON with sorted keys."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode("utf-8")).hexdigest()


def read_plan(folder: Path) -> Dict[str, Any]:
    """The plan in a folder.

    Raises:
        RefusedError: there is none, it is of another version, or it was changed after it was written.
    """
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = "there is no {}".format(PLAN) if isinstance(error, FileNotFoundError) else "its {} does not read".format(PLAN)
        raise RefusedError(
            "{} is no folder that edgekd bench --offline wrote: {}. Name one that is, or write it again.".format(folder, why)
        ) from None
    if not isinstance(plan, dict) or plan.get("offline") != VERSION:
        told = plan.get("offline") if isinstance(plan, dict) else None
        raise RefusedError("{} has a plan of version {}, and this edgekd reads version {}. Write it again.".format(folder, told, VERSION))
    if plan.pop("seal", None) != seal(plan):
        raise RefusedError("{} was changed after it was written. Write the folder again.".format(folder / PLAN))
    return plan


def check_files(folder: Path, plan: Dict[str, Any]) -> None:
    """Hold the files to the hashes that they are named by.

    Raises:
        RefusedError: one is missing or is not what it was.
    """
    for name in plan["files"]:
        file = folder / name
        if not file.is_file():
            raise RefusedError("{} is missing. Bring the whole folder, or write it again.".format(file))
        if sha256_of(file) != file.stem:
            raise RefusedError("{} is not the file that was written: its hash is another. Write the folder again.".format(file))


def read_answers(folder: Path, plan: Dict[str, Any]) -> Dict[int, List[Optional[Answer]]]:
    """The answers of each part that is done, by its number; {} where none is.

    Raises:
        RefusedError: they were changed, or answer another plan.
    """
    file = folder / ANSWERS
    if not file.is_file():
        return {}
    body, _, last = file.read_bytes().rstrip(b"\n").rpartition(b"\n")
    try:
        lines = [json.loads(line.decode("utf-8")) for line in body.split(b"\n")]
        whole = json.loads(last.decode("utf-8"))["seal"] == hashlib.sha256(body).hexdigest()
        theirs = lines[0]["plan"] == seal(plan)
    except (ValueError, KeyError, TypeError):
        whole = False
    remedy = "Take it away, and run the plan again on the device."
    if not whole:
        raise RefusedError("{} was changed after it was written, or is not whole. {}".format(file, remedy))
    if not theirs:
        raise RefusedError("{} answers another plan than the one beside it. {}".format(file, remedy))
    return {line["part"]: line["answers"] for line in lines[1:]}


def failed(answer: Answer) -> bool:
    """Whether it tells of a failure, of the job or of the whole agent."""
    return any(sign in answer for sign in ("error", "ended", "silent"))
