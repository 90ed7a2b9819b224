"""Tests of benchmarks/engines.py."""

from typing import Any

import msgspec
import pytest

from benchmarks import engines
from edgekd.export.engine import Engine, EngineLayer


def test_engines_are_counted_by_precision() -> None:
    """Sizes over the ONNX files', the builder's seconds, and what was refused; a precision without an engine has counts alone."""
    rows: list[dict[str, Any]] = [
        {"precision": "fp16", "batch": "1", "engine_bytes": 11, "size_ratio": 1.1, "build_s": 0.5},
        {"precision": "fp16", "batch": "1", "engine_bytes": 12, "size_ratio": 1.2, "build_s": 0.7},
        {"precision": "fp16", "batch": "1 to 8", "engine_bytes": 12, "size_ratio": 1.0, "build_s": 0.9},
        {"precision": "fp16", "batch": "1", "refused": "TensorRT does not take this file"},
        {"precision": "int8-trt", "batch": "1", "refused": "TensorRT does not take this file"},
    ]
    assert engines.figures(rows) == {
        **{"fp16_engines": 2, "fp16_refused": 1, "fp16_size_ratio_max": 1.2},
        **{"fp16_size_ratio_median": pytest.approx(1.15), "fp16_build_s_median": pytest.approx(0.6)},
        **{"fp16_ranged_engines": 1, "fp16_ranged_refused": 0, "fp16_ranged_size_ratio_max": 1.0},
        **{"fp16_ranged_size_ratio_median": 1.0, "fp16_ranged_build_s_median": 0.9},
        **{"int8_trt_engines": 0, "int8_trt_refused": 1},
    }


def test_what_an_engine_holds_is_counted() -> None:
    """Stretches of text and of zeros, beside its size."""
    layers = [EngineLayer("a", "convolution", "fp16"), EngineLayer("b", "cast", "fp32")]
    names = {"file": "f", "onnx": "", "sha256": "", "target": "sm89", "library": "tensorrt_rtx", "version": "1"}
    found = msgspec.convert({**names, "size": 9400, "seconds": 0.5, "layers": layers}, Engine)
    row = engines.told(found, b"\x01" + b"#include <climits>\n" * 20 + bytes(5000) + b"short text\xff" + bytes(100), 1000)
    assert (row["size_ratio"], row["source_bytes"], row["zero_bytes"]) == (9.4, 380, 5000)
    assert row["layers"] == "1 fp16"


def test_a_card_for_each_chip() -> None:
    """Targets that differ in their chip, Turing's among them."""
    assert [(engines.card(chip).name, engines.card(chip).compute_capability) for chip in engines.CHIPS[:2]] == [("sm75", "7.5"), ("sm86", "8.6")]
