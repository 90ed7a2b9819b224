"""device/agent/kernels.py: the inspector's JSON of an opened engine, as public threads show it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.device.agent import kernels
from edgekd.device.agent.protocol import RefusedError


def layer(kind: str, reads: list[str], answers: list[str], key: str = "Format/Datatype") -> dict[str, Any]:
    """A layer with tensors of these types."""
    puts = [[{"Name": "t", "Location": "Device", "Dimensions": [1, 25, 160, 160], key: said} for said in side] for side in (reads, answers)]
    return {"Name": "conv + relu", "LayerType": kind, "Inputs": puts[0], "Outputs": puts[1], "ParameterType": "Convolution"}


@pytest.mark.parametrize(
    ("row", "precision"),
    [
        (layer("CaskConvolution", ["Channel major FP16 format where channel % 8 == 0"], ["Row major linear FP16 format"]), "fp16"),
        (layer("CaskConvolution", ["Int8"], ["Half"]), "int8"),
        (layer("CaskConvolution", ["Thirty-two wide channel vectorized row major Int8 format"], ["Row major linear FP32"]), "int8"),
        (layer("Reformat", ["Int8"], ["Half"]), "fp16"),
        (layer("gemm", ["BFloat16"], ["BFloat16"]), "bf16"),
        (layer("kgen", ["Float"], ["FP8"], "Datatype"), "fp8"),
        (layer("Constant", [], ["Int64"]), "int64"),
        (layer("Shuffle", ["Half"], []), ""),
        (layer("Shuffle", ["Half"], ["something new"]), ""),
    ],
)
def test_what_a_layer_computes_in(row: dict[str, Any], precision: str) -> None:
    """Of the long names that stand there with a context and the short ones without; 8-bit numbers that are only converted are no 8-bit layer."""
    assert kernels.read(json.dumps({"Layers": [row], "Bindings": ["x"]})) == [
        {"name": "conv + relu", "kind": row["LayerType"].lower(), "precision": precision}
    ]


def test_an_engine_that_kept_names_alone() -> None:
    """Has names, and nothing is made up beside them."""
    assert kernels.read('{"Layers": ["a + b", "c"], "Bindings": ["x", "y"]}') == [
        {"name": name, "kind": "", "precision": ""} for name in ("a + b", "c")
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"Layers": 3}', '{"Layers": [3]}', '{"Layers": [{}]}', '{"Layers": [{"Name": "a", "Inputs": [3]}]}']
)
def test_what_does_not_read(text: str) -> None:
    """Is refused in words."""
    with pytest.raises(RefusedError, match="what TensorRT's inspector says of the engine does not read"):
        kernels.read(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json(value: Any) -> None:
    """Is read or refused."""
    try:
        assert kernels.read(json.dumps({"Layers": value})) is not None
    except RefusedError:
        pass
