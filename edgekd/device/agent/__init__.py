"""What runs on the device: opens an artifact, answers images, times itself, tells about its machine.

In: jobs as JSON lines on stdin. Out: one JSON line each on what was stdout, after a hello. Packed into one file by zipapp and started as
`python agent.pyz NONCE`. Python 3.8 and newer, the standard library alone until a job needs numpy and a runtime. It knows nothing of edgekd's
other rooms, writes no file but the answers it was asked for, and dies with its children when its stdin ends.
"""

import os
import sys

from .jobs import Desk
from .protocol import serve


def main() -> None:
    """Serve jobs until stdin ends. The one argument is the nonce that the hello repeats."""
    # ONNX Runtime's wheels report usage over the network unless told not to, before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    serve(Desk().jobs(), sys.argv[1] if len(sys.argv) > 1 else "")
