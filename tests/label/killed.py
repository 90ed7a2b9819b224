"""Labelling in processes of their own, each of which sends itself a signal: `python -m tests.label.killed (OUT SIGNAL BATCH SECONDS)...`.

The signal comes when the teacher is asked about batch number BATCH (from 1), with SECONDS between parts. Prints their exit codes. They are forked
from one process that has imported torch, which takes longer than all of them. The working folder is `place`'s.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from edgekd.cli.app import app
from edgekd.label import answers
from tests.label.conftest import NETWORK


def signalling(ask: Callable[..., Any], batch: int, number: int) -> Callable[..., Any]:
    """`ask`, but for the signal."""
    asked = 0

    def wrapped(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == batch:
            os.kill(os.getpid(), number)
        return ask(*arguments)

    return wrapped


def main(runs: list[list[str]]) -> None:
    for out, number, batch, seconds in runs:
        child = os.fork()
        if child == 0:
            answers.PART_S = float(seconds)
            answers._answered = signalling(answers._answered, int(batch), int(number))
            sys.argv = ["edgekd", "label", "npz:x.npz", *NETWORK, "--out", out]
            app(sys.argv[1:])
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main([sys.argv[place : place + 4] for place in range(1, len(sys.argv), 4)])
