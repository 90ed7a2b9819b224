"""Toy runs in processes of their own, each of which sends itself a signal: `python -m tests.distill.killed FOLDER SIGNAL STEP CHECKPOINT_S ...`.

Prints their exit codes. They are forked from one process that has imported torch and run once, which takes longer than all of them.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.distill import nets


def main(runs: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        nets.run(Path(folder))
    for folder, number, step, checkpoint_s in runs:
        child = os.fork()
        if child == 0:
            nets.run(Path(folder), by=int(number), stops=[int(step)], train=nets.EMA, checkpoint_s=float(checkpoint_s))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main([sys.argv[i : i + 4] for i in range(1, len(sys.argv), 4)])
