"""edgekd.models.weightfile: files that are no checkpoint, or more than one, are refused with the remedy."""

import argparse
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from edgekd.errors import MissingError, UsageError
from edgekd.models.weightfile import read, read_metadata
from tests.models.nets import Tiny


class Trap:
    """Leaves a file behind where something unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def saved(folder: Path, content: Any, name: str = "net.pt") -> Path:
    """What torch.save makes of it."""
    torch.save(content, folder / name)
    return folder / name


def written(file: Path, content: bytes) -> Path:
    """These bytes."""
    file.write_bytes(content)
    return file


# Programs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [False, True])
def test_a_pickled_module_is_refused_with_the_remedy(tmp_path: Path, wrap: bool) -> None:
    """Alone or in a checkpoint: what it holds, why that is refused, and three lines that help."""
    file = saved(tmp_path, {"model": Tiny(), "epoch": 3} if wrap else Tiny())
    message = r"holds a pickled tests\.models\.nets\.Tiny, torch\..*, and reading that runs code\. Save its state_dict"
    with pytest.raises(UsageError, match=message) as caught:
        read(file)
    assert 'network = torch.load("net.pt", weights_only=False)' in str(caught.value)
    assert str(caught.value).endswith('torch.save(network.state_dict(), "weights.pt")')


def test_a_pickled_module_from_before_torch_1_6(tmp_path: Path) -> None:
    """No archive, whose names could be listed: the first is told."""
    torch.save(Tiny(), tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(UsageError, match=r"net\.pth holds a pickled tests\.models\.nets\.Tiny, and reading that runs code\. Save its state_dict"):
        read(tmp_path / "net.pth")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    """Weights with a trap beside them: torch would spring it where it is allowed to, and here it is not sprung."""
    mark = tmp_path / "sprung"
    file = saved(tmp_path, {"state_dict": Tiny().state_dict(), "trap": Trap(mark)})
    torch.load(file, weights_only=False)
    assert mark.exists()
    mark.unlink()
    with pytest.raises(UsageError, match="and reading that runs code"):
        read(file)
    assert not mark.exists()


def test_options_with_more_than_plain_values(tmp_path: Path) -> None:
    """A Namespace is read, and what is in it looked at."""
    file = saved(tmp_path, {"model": Tiny().state_dict(), "args": argparse.Namespace(folder=Path("x"))})
    with pytest.raises(UsageError, match=r"holds a pickled pathlib\.[\w.]*Path, and"):
        read(file)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """A program with its weights inside."""
    torch.jit.script(Tiny()).save(tmp_path / "net.pt")  # type: ignore[no-untyped-call]
    with pytest.raises(UsageError, match=r"weights are a state_dict; .*net\.pt is a TorchScript file, a whole program\.") as caught:
        read(tmp_path / "net.pt")
    assert 'network = torch.jit.load("net.pt")' in str(caught.value)
    assert str(caught.value).endswith('torch.save(network.state_dict(), "weights.pt")')


def test_a_torch_export_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """By the entry that each such archive has; its state_dict is no method."""
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/data/weights/weight_0", "")
    with pytest.raises(UsageError, match=r"net\.pt is a torch\.export file, a whole program\.") as caught:
        read(tmp_path / "net.pt")
    assert 'network = torch.export.load("net.pt")' in str(caught.value)
    assert str(caught.value).endswith('torch.save(network.state_dict, "weights.pt")')


# No checkpoints -------------------------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    """Its path, and where relative ones start; for the metadata too."""
    for reader in (read, read_metadata):
        with pytest.raises(MissingError, match=r"no weights at .*gone\.pt\. A relative path starts at the recipe's folder"):
            reader(tmp_path / "gone.pt")


def test_another_ending(tmp_path: Path) -> None:
    """What weights may be called."""
    with pytest.raises(UsageError, match=r"weights are a file that ends in \.safetensors, \.pt, .*\.th, or `pretrained`; got .*net\.h5"):
        read(written(tmp_path / "net.h5", b"x"))


@pytest.mark.parametrize("content", [b"", b"these are no weights", b"PK\x03\x04 cut short", b"\x80"])
def test_bytes_that_torch_did_not_write(tmp_path: Path, content: bytes) -> None:
    """One line without torch's own advice to run the file."""
    with pytest.raises(UsageError, match=r"net\.pt is not a checkpoint that torch wrote: \S.*\. It may be cut short or of another kind") as caught:
        read(written(tmp_path / "net.pt", content))
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("archive", [True, False])
def test_a_checkpoint_that_is_cut_short(tmp_path: Path, archive: bool) -> None:
    """As a full disk or a broken copy leaves it."""
    torch.save(Tiny().state_dict(), tmp_path / "whole.pt", _use_new_zipfile_serialization=archive)
    whole = (tmp_path / "whole.pt").read_bytes()
    with pytest.raises(UsageError, match=r"net\.pt is not a checkpoint that torch wrote: .*copy it again"):
        read(written(tmp_path / "net.pt", whole[:-40]))


def test_a_pickle_of_another_kind(tmp_path: Path) -> None:
    """Said as what it is, in one line and without a warning."""
    with pytest.raises(UsageError, match=r"torch wrote: it is a pickle of a kind that is not read without running it\. It may be [^\n]*$"):
        read(written(tmp_path / "net.pt", pickle.dumps({"weight": [1.0]}, protocol=4)))


def test_a_broken_safetensors_file(tmp_path: Path) -> None:
    """With the reader's own reason."""
    for reader in (read, read_metadata):
        with pytest.raises(UsageError, match=r"net\.safetensors is not a safetensors file: .*It may be cut short or of another kind"):
            reader(written(tmp_path / "net.safetensors", b"no such thing"))


# No weights in it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "kind"), [([torch.ones(2)], "list"), (torch.ones(2), "Tensor"), (3, "int")])
def test_what_is_no_table(tmp_path: Path, content: Any, kind: str) -> None:
    """Its kind, and how to save weights."""
    with pytest.raises(UsageError, match=rf"a checkpoint is a table of weights by name; .* holds a {kind}\. Save a state_dict"):
        read(saved(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "has"),
    [
        ({"net": Tiny().state_dict(), "epoch": 3}, "net, epoch"),
        ({"state_dict": {"epoch": 3}}, "state_dict"),
        ({"epoch": 3, "step": 7, "loss": torch.tensor(0.5)}, "epoch, step, loss"),
        ({}, "nothing"),
    ],
)
def test_weights_in_another_place(tmp_path: Path, content: Any, has: str) -> None:
    """Where they are looked for, and what there is instead."""
    places = "state_dict, model, model_ema, state_dict_ema, or as the file itself"
    with pytest.raises(UsageError, match=rf"weights are looked for under {places}; .* has {has}\. --weights-key names another place"):
        read(saved(tmp_path, content))


@pytest.mark.parametrize("key", ["emma", "ema.nett", "epoch.net"])
def test_a_key_that_is_not_there(tmp_path: Path, key: str) -> None:
    """What the checkpoint has at its top."""
    content = {"epoch": 3, "ema": {"net": Tiny().state_dict()}}
    with pytest.raises(UsageError, match=rf"--weights-key must name a place in the checkpoint; .* has no '{key}', it has epoch, ema\."):
        read(saved(tmp_path, content), key)


def test_a_key_of_something_else(tmp_path: Path) -> None:
    """A number is no table of weights."""
    with pytest.raises(UsageError, match=r"--weights-key must name a table of weights; 'epoch' in .* is a int"):
        read(saved(tmp_path, {"epoch": 3, "state_dict": Tiny().state_dict()}), "epoch")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    """A training that blew up: the first such tensor is named."""
    state: dict[str, Tensor] = Tiny().state_dict()
    state["head.bias"][2] = value
    with pytest.raises(UsageError, match=r"weights must be finite numbers; head\.bias in .*net\.pt is not\. Take an earlier checkpoint"):
        read(saved(tmp_path, state))


def test_a_key_into_a_safetensors_file(tmp_path: Path) -> None:
    """What names begin with, as in any other file; one that says nothing is not passed over."""
    state: dict[str, Tensor] = Tiny().state_dict()
    safetensors.torch.save_file(
        {f"{way}.{name}": tensor.clone() for way in ("ema", "net") for name, tensor in state.items()}, tmp_path / "a.safetensors"
    )
    torch.testing.assert_close(read(tmp_path / "a.safetensors", "ema").state, state)
    with pytest.raises(UsageError, match=r"--weights-key must name a place in the checkpoint; .*a\.safetensors has no 'best', it has ema\."):
        read(tmp_path / "a.safetensors", "best")


class ScalarOfObjects(Trap):
    """A NumPy scalar that carries something of its own."""

    def __reduce__(self) -> Any:
        return np.float64().__reduce__()[0], (np.dtype(object), Trap(self.mark))


def test_scalars_of_numpy_open_no_door(tmp_path: Path) -> None:
    """What such a scalar carries is refused as anywhere else, and nothing of it runs."""
    file = saved(tmp_path, {"model": Tiny().state_dict(), "best": ScalarOfObjects(tmp_path / "mark")})
    with pytest.raises(UsageError, match=r"holds a pickled .*Path"):
        read(file)
    assert not (tmp_path / "mark").exists()
