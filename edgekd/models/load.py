"""A spec becomes a network with its weights and its Preprocess, and goes back into a file.

In: a spec (`resnet20`, a torchvision name, `timm:NAME`, `hf:NAME`, `FILE.py:function`, `FILE.onnx`, or a `FILE.safetensors` that edgekd
wrote), the classes and the data's image shape. Out: a `Network`. Preprocess is stated, carried by the weights, or refused: never guessed.
Random weights come from torch's global generator, which the caller seeds. Nothing here trains or measures.
"""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd import __version__
from edgekd.errors import UsageError
from edgekd.externaldata import model_sha256
from edgekd.files import sha256_json, write_atomic
from edgekd.models import weightfile, zoo
from edgekd.models.blackbox import OnnxTeacher, onnx_teacher
from edgekd.models.count import macs
from edgekd.models.heads import head_parameters
from edgekd.models.network import Network, reorder
from edgekd.models.pick import pick_student
from edgekd.models.settle import Asked, Shape, probe, settle
from edgekd.models.small import factory
from edgekd.models.weights import apply
from edgekd.preprocess import PREPROCESS_KEY, Preprocess, carried_preprocess
from edgekd.userfile import anchored, call, code_hash, is_userfile

__all__ = [
    "Network",
    "OnnxTeacher",
    "build",
    "fingerprint",
    "head_parameters",
    "load_weights",
    "macs",
    "parameters",
    "pick_student",
    "reorder",
    "save_weights",
]


def build(
    spec: str,
    *,
    classes: int,
    shape: Shape,
    weights: str | None = None,
    weights_key: str | None = None,
    preprocess: Preprocess | None = None,
    base: Path = Path(),
    replace_head: bool = False,
) -> Network:
    """The network that a spec names, in train mode, on the CPU.

    Without weights it starts at random; then, with no `preprocess`, images are scaled to [-1, 1] (the data's own mean and std are better, and
    the caller's to give: with colour = "grey" for one channel).

    Args:
        shape: height, width, channels of the data's images.
        weights: "pretrained", or a file relative to `base`; None: at random.
        weights_key: where in a checkpoint the weights stand.
        preprocess: as the person stated it, which goes before what the weights carry.
        replace_head: the network will be taught on this data: a head of another size is replaced, and published weights take images of
            the data's size where they can.

    Raises:
        UsageError: an unknown name; weights that do not fit; a brought network whose Preprocess is nowhere stated; images that it cannot take.
        MissingError: a file is not there, or could not be fetched; MissingExtra where a package is missing.
    """
    asked = Asked(spec, classes, shape, weights, preprocess, base, replace_head)
    if spec.endswith(".onnx"):
        return _onnx(asked)
    if spec.endswith(".safetensors"):
        return _rebuild(asked)
    if asked.file is not None:
        weightfile.refuse_missing(asked.file)
        asked = _as_saved(asked, asked.file) if asked.file.suffix == ".safetensors" else asked
    made = _make(asked)
    network = Network(made.body, settle(asked, made), name=_name(spec), classes=classes, spec=spec, notes=made.notes)
    network.code = code_hash(spec, base) if is_userfile(spec) else None
    if asked.file is not None:
        network.notes += load_weights(network, asked.file, weights_key, replace_head=replace_head)
    probe(network)
    return network


def load_weights(network: Network, file: Path, key: str | None = None, *, replace_head: bool = False) -> list[str]:
    """Read a file's weights into a network, in place; returns notes. Raises as `weightfile.read` and `weights.apply`."""
    return apply(_trained(network.body), weightfile.read(file, key), str(file), classes=network.classes, replace_head=replace_head)


def save_weights(network: Network, path: Path, *, half: bool = False) -> None:
    """Write a network as safetensors: its body's weights, and in the metadata what `build(path)` needs to make it anew.

    Args:
        half: floating-point weights as float16, half the size; they are float32 again when read.
    """
    state = {name: _stored(tensor, half) for name, tensor in _trained(network.body).state_dict().items()}
    metadata = {
        "edgekd.version": __version__,
        "edgekd.model": network.spec,
        "edgekd.name": network.name,
        "edgekd.outputs": str(network.classes),
        PREPROCESS_KEY: msgspec.json.encode(network.preprocess).decode(),
    }
    write_atomic(path, _ordered(safetensors.torch.save(state, metadata)))


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library writes them as its hash table has them, which differs from process to process.

    Eight bytes of length, a JSON header padded with spaces to a multiple of eight, then the tensors (github.com/huggingface/safetensors, "Format").
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def parameters(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def fingerprint(network: Network) -> str:
    """A hash of what a network computes with: its weights and buffers, or the bytes of its ONNX file and the order of its answers."""
    if isinstance(network, OnnxTeacher):
        content = model_sha256(network.path)
        return content if network.box.order is None else sha256_json([content, network.box.order])
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).clone(memory_format=torch.contiguous_format)


def _trained(body: nn.Module) -> nn.Module:
    """The module that bears the weights' own names."""
    return body.model if isinstance(body, zoo.Logits) else body


def _name(spec: str) -> str:
    """A short name fit for a file: the function of FILE.py:function, the NAME of timm:NAME."""
    last = spec.rpartition(":")[2].rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last) or "network"


# From a spec to a body ------------------------------------------------------------------------------------------------


def _make(asked: Asked) -> zoo.Made:
    library, colon, name = asked.spec.partition(":")
    if is_userfile(asked.spec):
        return zoo.Made(_user_body(asked))
    if colon:
        return _of_library(library, name, asked)
    make = factory(asked.spec)
    if make is None:
        return zoo.torchvision_body(asked.spec, asked.classes, pretrained=asked.pretrained, replace_head=asked.replace_head)
    _refuse_pretrained(asked)
    grey = asked.shape[2] == 1 if asked.preprocess is None else asked.preprocess.colour == "grey"
    return zoo.Made(make(asked.classes, 1 if grey else 3))


def _of_library(library: str, name: str, asked: Asked) -> zoo.Made:
    libraries = {"timm": zoo.timm_body, "hf": zoo.hf_body}
    if library not in libraries or not name:
        raise UsageError(f"a model's spec may start with timm: or hf:, or is FILE.py:function; got {asked.spec!r}.")
    return libraries[library](name, asked.classes, pretrained=asked.pretrained, replace_head=asked.replace_head)


def _user_body(asked: Asked) -> nn.Module:
    _refuse_pretrained(asked)
    body = call(anchored(asked.spec, asked.base), asked.classes)
    if not isinstance(body, nn.Module):
        raise UsageError(f"{asked.spec} must return a torch.nn.Module for its one argument, the number of classes; got {type(body).__name__}.")
    return body


def _refuse_pretrained(asked: Asked) -> None:
    if asked.pretrained:
        raise UsageError(f"pretrained weights are torchvision's, timm's and hf's; {asked.spec} has none. Give a file of weights, or none.")


def _onnx(asked: Asked) -> OnnxTeacher:
    if asked.weights is not None:
        raise UsageError(f"an ONNX file holds its weights; {asked.spec} takes none beside it, got {asked.weights!r}.")
    return onnx_teacher(asked.base / asked.spec, classes=asked.classes, shape=asked.shape, preprocess=asked.preprocess, spec=asked.spec)


def _rebuild(asked: Asked) -> Network:
    """The network that edgekd wrote into a safetensors file."""
    file = asked.base / asked.spec
    metadata = weightfile.read_metadata(file)
    inner = metadata.get("edgekd.model", "")
    if not inner or asked.weights is not None:
        raise UsageError(
            f"a safetensors file stands for a whole network where edgekd wrote it, and takes no weights beside it; "
            f"{file} names {inner or 'no network'}. Give model = NAME and weights = {asked.spec!r}."
        )
    network = build(
        inner,
        classes=asked.classes,
        shape=asked.shape,
        weights=asked.spec,
        preprocess=asked.preprocess,
        base=asked.base,
        replace_head=asked.replace_head,
    )
    network.name = metadata.get("edgekd.name", network.name)
    return network


def _as_saved(asked: Asked, file: Path) -> Asked:
    """With the Preprocess that edgekd wrote beside the weights, where nothing else was stated."""
    return asked if asked.preprocess is not None else replace(asked, preprocess=carried_preprocess(weightfile.read_metadata(file), file))
