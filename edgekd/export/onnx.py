"""A module as ONNX: exported by torch, slimmed, checked, with its metadata; one model, no external data.

In: a trained module and the shape of one image as it takes it. Out: a `ModelProto` with input "images", output "logits".
The module itself is left as it was: a copy in eval mode is exported, on the CPU and in float32, so that dropout is gone and BatchNorm folded.
Nothing is written here, and whether the file computes the same is `parity`'s question.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.nodes import STANDARD, inner_nodes

INPUT = "images"
OUTPUT = "logits"

_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "onnxslim")

LARGEST = 2**31 - 2**20
"""Bytes that one protobuf file can hold, less some room for what is added: 2 GiB."""


def to_onnx(module: nn.Module, shape: tuple[int, int, int], *, opset: int, batch: int | None) -> onnx.ModelProto:
    """A classifier's body as a checked ONNX model.

    Args:
        module: takes float32 (n, channels, height, width), answers (n, classes).
        shape: (channels, height, width) of its input.
        opset: version of ONNX's operators, read back from the result.
        batch: images per call; None leaves it open.

    Raises:
        EdgekdError: the weights are not finite, torch cannot export the module, or what it wrote is no valid ONNX.
    """
    _finite(module)
    # As it lay in training, channels last, it would become a longer graph (torch 2.13).
    frozen = copy.deepcopy(module).to(device="cpu", dtype=torch.float32).to(memory_format=torch.contiguous_format).eval()
    # An example batch of 1 could be taken for a constant (pytorch#157621).
    example = torch.zeros(batch or 2, *shape)
    open_batch = None if batch else ({0: torch.export.Dim("batch")},)
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                frozen,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=opset,
                dynamo=True,
                external_data=False,
                dynamic_shapes=open_batch,
                optimize=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise EdgekdError(f"torch cannot export {type(module).__name__} to ONNX: {_cause(error)}. {_REWRITE}") from error
    assert program is not None, "torch.onnx.export(dynamo=True) returns a program"
    model = checked(slim(program.model_proto), type(module).__name__)
    found = next(entry.version for entry in model.opset_import if entry.domain == "")
    if found != opset:
        raise EdgekdError(f"opset {opset} was asked for and torch wrote {found}. Ask for that one with --set export.opset={found}.")
    if batch is None and model.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        raise EdgekdError(f"the batch must stay open, and the forward of {type(module).__name__} works for a batch of 2 only. {_REWRITE}")
    return model


_REWRITE = "Rewrite what its forward does there in plain tensor operations that hold for any batch."


def slim(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without nodes that change nothing and without what the exporter noted about its source."""
    import onnxslim

    if model.ByteSize() > LARGEST:
        raise EdgekdError(f"the network's weights take {model.ByteSize()} bytes, one ONNX file holds 2 GiB at the most. Choose a smaller network.")
    with _quiet():
        slimmed = onnxslim.slim(model)
    assert isinstance(slimmed, onnx.ModelProto)
    return slimmed


def checked(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The same model, once it is known to be valid ONNX, whole in itself.

    Raises:
        EdgekdError: it is not.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise EdgekdError(f"{name} is not valid ONNX: {cause}. Export it with another opset (--set export.opset=18).") from error
    return model


def describe(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Put metadata into a model in place of what it had, and drop what only its making needed."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    del model.graph.value_info[:]  # any reader infers these shapes again
    used = {node.domain for node in inner_nodes(model.graph)} | {function.domain for function in model.functions}
    kept = [entry for entry in model.opset_import if entry.domain in used.union(STANDARD)]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.producer_name = "edgekd"
    model.doc_string = model.graph.doc_string = ""


def _finite(module: nn.Module) -> None:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise EdgekdError(
                f"weights must be finite, and {bad} of {tensor.numel()} values of {name} are not. "
                "Train again with a lower learning rate, or give the last good checkpoint."
            )


def _cause(error: BaseException) -> str:
    """The first line of what went wrong at the bottom: the exporter wraps it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice to its own developers from the user: its deprecations, and its loggers below error."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
