"""How many multiply-accumulates an ONNX operator takes, from the shapes of what it reads and gives (ONNX operators, opset 13 to 24)."""

import math
from collections.abc import Callable, Sequence

Shape = Sequence[int]

UNCOUNTED = {"Attention", "DFT", "Einsum", "GRU", "GridSample", "If", "LSTM", "Loop", "RNN", "RoiAlign", "Scan"}
"""Operators that multiply in ways not counted here: a file with one has no MAC count, rather than one that is too small."""


def _conv(weight: int) -> Callable[[Sequence[Shape], Shape], int]:
    """Every output element takes one multiply-accumulate per element of its filter; input `weight` is (out, in / groups, …)."""
    return lambda inputs, output: math.prod(output) * math.prod(inputs[weight][1:])


def _matmul(inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(output) * inputs[0][-1]


def _conv_transpose(inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _gemm(inputs: Sequence[Shape], output: Shape) -> int:
    """A·B with either side transposed: every row of the output takes all of B once."""
    return math.prod(inputs[0]) * output[0]


MACS: dict[str, tuple[tuple[int, ...], Callable[[Sequence[Shape], Shape], int]]] = {
    "Conv": ((0, 1), _conv(1)),
    "ConvInteger": ((0, 1), _conv(1)),
    "ConvTranspose": ((0, 1), _conv_transpose),
    "Gemm": ((1,), _gemm),
    "MatMul": ((0, 1), _matmul),
    "MatMulInteger": ((0, 1), _matmul),
    "QLinearConv": ((0, 3), _conv(1)),
    "QLinearMatMul": ((0, 3), _matmul),
}
"""By operator: which inputs hold the two factors, and the count from their shapes and the output's."""
