"""Files of weights: what trainers write is read, what could run code is refused.

In: a path. Out: the weights in it by name, as a `Checkpoint`. Only `torch.load(weights_only=True)` and safetensors are used.
"""

import argparse
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from edgekd import units
from edgekd.errors import MissingError, UsageError

State: TypeAlias = dict[str, Tensor]

SUFFIXES = (".safetensors", ".pt", ".pth", ".tar", ".ckpt", ".th")

KEYS = ("state_dict", "model", "model_ema", "state_dict_ema")
"""Where trainers put the weights in a checkpoint, in the order that they are looked for."""

_SAVE = 'import torch\nnetwork = {load}  # runs what the file holds: only where you trust it\ntorch.save(network.state_dict{call}, "weights.pt")'


_SCALAR = np.float64().__reduce__()[0]
_PLAIN: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "float16", "int64", "int32", "bool")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""Plain values that trainers keep beside weights, as a best accuracy: to build them runs no code of the file's. The two names: NumPy 1's and 2's."""


@dataclass(frozen=True)
class Checkpoint:
    """A file's weights, with the metadata that safetensors carries and notes on what was chosen."""

    state: State
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(file: Path, key: str | None = None) -> Checkpoint:
    """The weights in a file, by name.

    Args:
        key: where in a checkpoint they stand, or what their names begin with; parts joined by dots for a table in a table.

    Raises:
        MissingError: no such file.
        UsageError: not a checkpoint, a pickled module, a TorchScript or torch.export file, no weights in it, or one that is not finite.
    """
    refuse_missing(file)
    if file.suffix not in SUFFIXES:
        raise UsageError(f"weights are a file that ends in {', '.join(SUFFIXES)}, or `pretrained`; got {file}")
    checkpoint = _read_safetensors(file) if file.suffix == ".safetensors" else _pick(_unpickle(file), key, file)
    if key is not None and file.suffix == ".safetensors":
        checkpoint = replace(checkpoint, state=_keyed(checkpoint.state, key, file))
    for name, tensor in checkpoint.state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UsageError(f"weights must be finite numbers; {name} in {file} is not. Take an earlier checkpoint of that training.")
    return checkpoint


def refuse_missing(file: Path) -> None:
    """Raise MissingError where there is no such file."""
    if not file.is_file():
        raise MissingError(f"no weights at {file}. A relative path starts at the recipe's folder, or where you are.")


def read_metadata(file: Path) -> dict[str, str]:
    """A safetensors file's metadata; raises as `read`."""
    refuse_missing(file)
    return _read_safetensors(file, tensors=False).metadata


def _read_safetensors(file: Path, tensors: bool = True) -> Checkpoint:
    try:
        with safe_open(file, framework="pt") as opened:
            state = {name: opened.get_tensor(name) for name in opened.keys()} if tensors else {}
            return Checkpoint(state, dict(opened.metadata() or {}))
    except SafetensorError as error:
        raise UsageError(
            f"{file} is not a safetensors file: {error}. It may be cut short or of another kind: copy it again, or give it its own ending."
        ) from None


def _unpickle(file: Path) -> Any:
    """What a torch file holds, without running any of it."""
    _refuse_program(file)
    try:
        with torch.serialization.safe_globals(_PLAIN), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # what cannot be read is refused below
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError, IndexError, AttributeError, TypeError, OSError) as error:
        unknown = _unsafe_globals(file, str(error))
        if not unknown:
            raise UsageError(
                f"{file} is not a checkpoint that torch wrote: {_reason(error)}. It may be cut short or of another kind: copy it again."
            ) from None
        line = _SAVE.format(load=f'torch.load("{file.name}", weights_only=False)', call="()")
        raise UsageError(
            f"a checkpoint holds weights and plain values; {file} holds a pickled {', '.join(unknown[:3])}, and reading that runs code. "
            f"Save its state_dict (of the module itself, or of the one it stands in) and give that file:\n{line}"
        ) from None


def _refuse_program(file: Path) -> None:
    """Refuse archives that hold a program beside its weights."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if any(name.startswith("code/") for name in names) and "constants.pkl" in names:
        kind, line = "TorchScript", _SAVE.format(load=f'torch.jit.load("{file.name}")', call="()")
    elif "archive_format" in names or "serialized_exported_program.json" in names:
        kind, line = "torch.export", _SAVE.format(load=f'torch.export.load("{file.name}")', call="")
    else:
        return
    raise UsageError(f"weights are a state_dict; {file} is a {kind} file, a whole program. Save its state_dict and give that file:\n{line}")


def _unsafe_globals(file: Path, refusal: str) -> list[str]:
    """Names of what a file wants to build beyond tensors and plain values, torch's own last; none where it cannot be told.

    Files from before torch 1.6 are no archives to list: there it is the first name, which torch's refusal tells.
    """
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError, IndexError, AttributeError, TypeError, OSError):
        found = re.findall(r"GLOBAL (\S+) was not an allowed global", refusal)
    plain = ("argparse.Namespace", "numpy.dtype", "numpy.dtypes.", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return sorted((name for name in found if not name.startswith(plain)), key=lambda name: (name.startswith("torch."), name))


def _reason(error: Exception) -> str:
    """Why torch could not read a file, in a line, without its advice to run what the file holds."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is a pickle of a kind that is not read without running it"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def _pick(content: Any, key: str | None, file: Path) -> Checkpoint:
    """The table of tensors in what a file holds."""
    if key is not None:
        return Checkpoint(_keyed(content, key, file))
    if not isinstance(content, Mapping):
        raise UsageError(f"a checkpoint is a table of weights by name; {file} holds a {type(content).__name__}. Save a state_dict with torch.save.")
    here = [name for name in KEYS if _tensors(content.get(name))]
    if here:
        others = ", ".join(here[1:])
        note = (f"{file.name} has weights under {here[0]!r}, which were taken, and under {others} (--weights-key)",) if others else ()
        return Checkpoint(_tensors(content[here[0]]), notes=note)
    if state := _tensors(content):
        return Checkpoint(state)
    raise UsageError(
        f"weights are looked for under {', '.join(KEYS)}, or as the file itself; {file} has {units.some(content) if content else 'nothing'}. "
        "--weights-key names another place."
    )


def _keyed(content: Any, key: str, file: Path) -> State:
    place = content
    for part in [key] if isinstance(content, Mapping) and key in content else key.split("."):
        found = inner(place, part)
        if found is None:
            raise UsageError(f"--weights-key must name a place in the checkpoint; {file} has no {key!r}, it has {units.some(content)}.")
        place = found
    if not (state := _tensors(place)):
        raise UsageError(f"--weights-key must name a table of weights; {key!r} in {file} is a {type(place).__name__}.")
    return state


def inner(place: Any, part: str) -> Any:
    """What stands under a name in a table, or all whose names begin with it; None where there is nothing."""
    if not isinstance(place, Mapping):
        return None
    if part in place:
        return place[part]
    return {str(name)[len(part) + 1 :]: value for name, value in place.items() if str(name).startswith(f"{part}.")} or None


def _tensors(value: Any) -> State:
    """A table's tensors by name; empty where it is none or mostly something else."""
    if not isinstance(value, Mapping):
        return {}
    state = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    return state if 2 * len(state) > len(value) else {}
