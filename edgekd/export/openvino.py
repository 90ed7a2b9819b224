"""The same file by another CPU runtime, asked as a session of ONNX Runtime is, so that `parity` can hold it to the step before, too.

OpenVINO reads ONNX files for itself: an operator that it takes otherwise (it does not smooth where the file resizes) would go unseen, as it says
nothing.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.device.agent import machine, openvinort


def openvino_is_here() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


class OpenVino:
    """An ONNX file, compiled by OpenVINO for one batch size on this CPU."""

    def __init__(self, file: Path, batch: int) -> None:
        self._model = openvinort.Model(str(file), "CPU", machine.cores(), batch=batch)
        self._outputs = [put["name"] for put in self._model.outputs]

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs of these names; `feeds` hold the batch that it was compiled for."""
        answers = dict(zip(self._outputs, self._model.run(dict(feeds)), strict=True))
        return [np.array(answers[name]) for name in outputs]
