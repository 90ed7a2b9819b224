"""Layers of an opened engine, as TensorRT's inspector tells of them: the builder fuses several of a network's into one, and converts between others.

In: the inspector's JSON, from Python or from trtexec. Out: name, kind and precision of each layer. How much it tells depends on how the engine was
built (docs.nvidia.com, "Engine Inspector"): of one that kept names alone there are names.
"""

import json
from typing import Any, Dict, List

from .protocol import RefusedError

TYPES = (
    *(("bf16", "bf16"), ("bfloat16", "bf16"), ("fp16", "fp16"), ("half", "fp16"), ("fp8", "fp8"), ("fp4", "fp4")),
    *(("fp32", "fp32"), ("float", "fp32"), ("uint8", "uint8"), ("int8", "int8"), ("int4", "int4")),
    *(("int32", "int32"), ("int64", "int64"), ("bool", "bool")),
)
"""Words in which a tensor's type stands, in this order: "Half" or "Channel major FP16 format where channel % 8 == 0"."""


def read(text: str) -> List[Dict[str, str]]:
    """Each layer's `name`, `kind` and `precision`: int8 where it reads such numbers and does more than convert them, else the type of its answer.

    Raises:
        RefusedError: it is not the inspector's JSON.
    """
    try:
        return [_layer(row) for row in json.loads(text)["Layers"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError("what TensorRT's inspector says of the engine does not read: {!r}".format(error)) from None


def _layer(row: Any) -> Dict[str, str]:
    if isinstance(row, str):
        return {"name": row, "kind": "", "precision": ""}
    kind = row.get("LayerType", "").lower()
    reads, answers = ([_type(put) for put in row.get(side, [])] for side in ("Inputs", "Outputs"))
    whole = "int8" in reads and kind not in ("reformat", "constant")
    return {"name": row["Name"], "kind": kind, "precision": "int8" if whole else next(iter(answers), "")}


def _type(put: Dict[str, Any]) -> str:
    said = str(put.get("Format/Datatype") or put.get("Datatype") or "").lower()
    return next((name for word, name in TYPES if word in said), "")
