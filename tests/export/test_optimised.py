"""Tests of edgekd/export/optimised.py."""

from pathlib import Path

import numpy as np
import onnx

from edgekd.events import silent
from edgekd.export.feed import Feed
from edgekd.export.int8 import Quantiser
from edgekd.export.optimised import conversions, in_int8, optimised, told


def test_pairs_that_fuse_are_told_from_those_that_only_convert(toy: onnx.ModelProto, tmp_path: Path) -> None:
    """An int8 file's layers compute in 8 bits, with conversions where float begins; one put back to float is one less; a float file has none."""
    quantiser = Quantiser(toy, np.random.default_rng(0).normal(0, 1, (32, 3, 8, 8)).astype(np.float32), Feed(), "toy", silent)
    onnx.save(quantiser.made("int8-cpu"), tmp_path / "whole.onnx")
    onnx.save(quantiser.made("int8-cpu", floats=quantiser.layers("int8-cpu")[1:2]), tmp_path / "part.onnx")
    whole, part = optimised(tmp_path / "whole.onnx"), optimised(tmp_path / "part.onnx")
    assert in_int8(part)["Conv"] == in_int8(whole)["Conv"] - 1
    assert conversions(whole) == 1
    onnx.save(toy, tmp_path / "float.onnx")
    plain = optimised(tmp_path / "float.onnx")
    assert (in_int8(plain), conversions(plain)) == ({}, 0)


def test_runtime_names_become_the_operators_own() -> None:
    """Fused and integer forms count under the operator that they were; what is no 8-bit form does not count."""
    nodes = {"QLinearConv": 3, "ConvInteger": 1, "QGemm": 1, "QLinearAdd": 2, "QuantizeLinear": 1, "DequantizeLinear": 2, "Relu": 4}
    assert in_int8(nodes) == {"Add": 2, "Conv": 4, "Gemm": 1}
    assert told(nodes) == "2 Add, 4 Conv, 1 Gemm of 14 nodes in 8 bits; 3 only convert"
    assert told({"Relu": 1}) == "none of 1 nodes in 8 bits; 0 only convert"
