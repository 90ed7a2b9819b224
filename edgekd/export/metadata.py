"""What a file says of itself, as texts by key: what a device needs to use it, and what it came from."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edgekd import __version__
from edgekd.export.inside import INSIDE_KEY
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.network import Network
from edgekd.preprocess import PREPROCESS_KEY, Preprocess
from edgekd.record import THRESHOLDS_KEY

SOURCE_KEY = "edgekd.source"
"""The hash of what the file was made from: `models.load.fingerprint` of its network."""
FLOATS_KEY = "edgekd.float32"
"""The nodes of an fp16 file that stayed in float32, by name."""


def metadata(
    network: Network,
    *,
    name: str,
    source: str,
    classes: Sequence[str],
    preprocess: Preprocess,
    thresholds: Sequence[float] | None,
    temperature: float | None,
    calibration: Mapping[str, Any] | None,
    floats: Sequence[str],
) -> dict[str, str]:
    """Everything that is not text stands as JSON. The notes of a teacher that came as a file are kept beside edgekd's.

    Args:
        preprocess: what is left to do before the file; where that is less than the network's own, the rest is inside and said, too.
    """
    own = network.box.metadata if isinstance(network, OnnxTeacher) else {}
    told = {
        "edgekd.version": __version__,
        "edgekd.name": name,
        "edgekd.task": "classify" if thresholds is None else "multilabel",
        SOURCE_KEY: source,
        "edgekd.classes": _json(classes),
        PREPROCESS_KEY: _json(preprocess),
    }
    told |= {INSIDE_KEY: _json(network.preprocess)} if preprocess is not network.preprocess else {}
    told |= {THRESHOLDS_KEY: _json(thresholds)} if thresholds is not None else {}
    told |= {"edgekd.temperature": repr(temperature)} if temperature is not None else {}
    told |= {"edgekd.calibration": _json(calibration)} if calibration is not None else {}
    told |= {FLOATS_KEY: _json(floats)} if floats else {}
    return {key: value for key, value in own.items() if not key.startswith("edgekd.")} | told


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
