"""What trtexec tells: its log, and the times that it exports. Formats as its public sources print them and people's logs show them.

In: text. Out: the figures that stand in it; what does not stand there is left out, and a torn line is no error.
"""

import json
import math
import re
from typing import Any, Dict, List, Optional

from .protocol import RefusedError

PARTS = {"to_gpu": "h2dMs", "compute": "computeMs", "from_gpu": "d2hMs"}
"""What an inference is made of, by trtexec's names."""

_VERSION = re.compile(r"\[TensorRT v(\d+)\]")
_SERIES = {
    **{"latency_ms": "Latency", "enqueue_ms": "Enqueue Time", "to_gpu_ms": "H2D Latency", "compute_ms": "GPU Compute Time"},
    **{"from_gpu_ms": "D2H Latency"},
}
_SINGLE = {
    "throughput": re.compile(r"\bThroughput: ([\d.eE+-]+) qps"),
    "build_s": re.compile(r"\bEngine built in ([\d.eE+-]+) sec"),
    "load_s": re.compile(r"\bEngine deserialized in ([\d.eE+-]+) sec"),
    "walltime_s": re.compile(r"\bTotal Host Walltime: ([\d.eE+-]+) s\b"),
    "compute_s": re.compile(r"\bTotal GPU Compute Time: ([\d.eE+-]+) s\b"),
}
_VALUE = re.compile(r"(min|max|mean|median|percentile\((\d+(?:\.\d+)?)%\)) = ([\d.eE+-]+) ms")


def version_of(log: str) -> Optional[str]:
    """The version that stands in the first line: v100300 is 10.3.0, v8601 is 8.6.1."""
    match = _VERSION.search(log)
    if match is None:
        return None
    number = int(match.group(1))
    return "{}.{}.{}".format(
        *((number // 10000, number // 100 % 100, number % 100) if number >= 10000 else (number // 1000, number // 100 % 10, number % 100))
    )


def parse_log(log: str) -> Dict[str, Any]:
    """A log's `version`, whether it `passed` (None: it does not say), its `warnings` and `errors`, and what else of it there is: single figures, and
    series of statistics in ms by `min`, `mean`, `median`, `max` and `p99`."""
    lines = [line.strip() for line in log.splitlines()]
    said: Dict[str, Any] = {
        "version": version_of(log),
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
                _keep(said, name, match.group(1))
        for name, words in _SERIES.items():
            head, colon, rest = line.partition(words + ": ")
            # "GPU Compute Time" stands in "Total GPU Compute Time" too, and "Latency" in "H2D Latency".
            if colon and (not head or head.rstrip().endswith("]")):
                series: Dict[str, float] = {}
                for what, percent, value in _VALUE.findall(rest):
                    _keep(series, "p" + percent if percent else what, value)
                said[name] = series
    return said


def _keep(found: Dict[str, Any], name: str, text: str) -> None:
    try:
        found[name] = float(text)
    except ValueError:
        pass  # a line that was torn in its middle


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
