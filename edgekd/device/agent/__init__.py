"""What runs on the device: opens an artifact, answers images, times itself, tells about its machine.

In: jobs as JSON lines on stdin. Out: one JSON line each on what was stdout, after a hello. Packed into one file by zipapp and started as
`python agent.pyz NONCE`. Python 3.8 and newer, the standard library alone until a job needs numpy and a runtime. It knows nothing of edgekd's
other rooms, writes no file but what it is brought and the answers it was asked for, and dies with its children when its stdin ends. What it was
asked to change on the machine is put back then (`settings`).
"""

import os
import sys

from . import offline
from .bandwidth import bandwidth
from .jobs import Desk
from .protocol import serve
from .settings import Settings
from .store import Store


def main() -> None:
    """Serve jobs until stdin ends. Arguments: the nonce that the hello repeats, and after how many seconds of silence to end (0: never).

    A folder in their place, or a person who types, is one of `offline`'s.
    """
    # ONNX Runtime's wheels report usage over the network unless told not to, before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    given = sys.argv[1:]
    if len(given) < 2 and (sys.stdin.isatty() or (given and os.path.isdir(given[0]))):
        sys.exit(offline.main(given[0] if given else ".", sys.argv[0]))
    nonce = given[0] if given else ""
    silence_s = float(given[1]) if len(given) > 1 else 0.0
    serve({**Desk().jobs(), **Store().jobs(), **Settings().jobs(), "bandwidth": bandwidth}, nonce, silence_s)
