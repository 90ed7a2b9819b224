"""What trtexec tells: its log, and the times that it exports. Formats as its public sources print them and people's logs show them.

In: text. Out: the figures that stand in it; what does not stand there is left out, and a torn line is no error.
"""

import json
import math
import re
from contextlib import suppress
from typing import Any, Dict, List, Optional

from .protocol import RefusedError

PARTS = {"to_gpu": "h2dMs", "compute": "computeMs", "from_gpu": "d2hMs"}
"""What an inference is made of, by trtexec's names."""

_VERSION = re.compile(r"\[TensorRT v(\d+)\]")
_SINGLE = {
    "throughput": re.compile(r"\bThroughput: ([\d.eE+-]+) qps"),
    "build_s": re.compile(r"\bEngine built in ([\d.eE+-]+) sec"),
    "load_s": re.compile(r"\bEngine deserialized in ([\d.eE+-]+) sec"),
}


def version_of(log: str) -> Optional[str]:
    """The version that stands in the first line: v100300 is 10.3.0, v8601 is 8.6.1."""
    match = _VERSION.search(log)
    if match is None:
        return None
    return version_text(int(match.group(1)))


def version_text(number: int) -> str:
    """As in 10.3.0, of 100300; up to version 9 it was one digit shorter: 8.6.1 of 8601."""
    unit = 1000 if number < 10000 else 10000
    return "{}.{}.{}".format(number // unit, number % unit // 100, number % 100)


def parse_log(log: str) -> Dict[str, Any]:
    """Whether a log `passed` (None: it does not say), its `warnings` and `errors`, and as far as they stand there `throughput` in queries/s, and
    `build_s` and `load_s`."""
    lines = [line.strip() for line in log.splitlines()]
    said: Dict[str, Any] = {
        "passed": None,
        "warnings": [line.partition("[W]")[2].strip() for line in lines if "[W]" in line],
        "errors": [line.partition("[E]")[2].strip() for line in lines if "[E]" in line],
    }
    for line in lines:
        if line.startswith(("&&&& PASSED", "&&&& FAILED")):
            said["passed"] = line.startswith("&&&& PASSED")
        for name, pattern in _SINGLE.items():
            match = pattern.search(line)
            if match:
                with suppress(ValueError):  # a line that was torn in its middle
                    said[name] = float(match.group(1))
    return said


def parse_times(text: str) -> Dict[str, List[float]]:
    """What `--exportTimes` wrote: ms of each inference as `samples`, and of what it is made of by the names in `PARTS`.

    Raises:
        RefusedError: it is no such file, or holds no inference.
    """
    try:
        rows = json.loads(text)
        found = {"samples": [float(row["latencyMs"]) for row in rows]}
        found.update({part: [float(row[name]) for row in rows] for part, name in PARTS.items()})
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError("the times that trtexec exported do not read: {!r}".format(error)) from None
    if not found["samples"] or not all(math.isfinite(value) for series in found.values() for value in series):
        raise RefusedError("the times that trtexec exported hold no inference, or one without a time")
    return found
