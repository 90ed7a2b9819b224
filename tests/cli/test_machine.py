"""edgekd.cli.machine: what a machine can do, and the lines that mend it."""

import pytest

from edgekd.cli.machine import swap_lines


@pytest.mark.parametrize(
    ("installed", "lines"),
    [
        ([], []),
        (["onnxruntime-gpu"], []),
        (["onnxruntime"], ["pip uninstall -y onnxruntime", "pip install onnxruntime-gpu"]),
        (["onnxruntime", "onnxruntime-openvino"], ["pip uninstall -y onnxruntime onnxruntime-openvino", "pip install onnxruntime-gpu"]),
    ],
)
def test_the_two_lines_that_swap_the_runtime(installed: list[str], lines: list[str]) -> None:
    """Builds of ONNX Runtime share one folder, so the old one goes first."""
    assert swap_lines(installed) == lines
