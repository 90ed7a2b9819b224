"""edgekd.models.weights: checkpoints as trainers write them, and what does not match."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.weightfile import KEYS, SUFFIXES, read, read_metadata
from edgekd.models.weights import apply
from tests.models.nets import Tiny

State = dict[str, Tensor]
OPTIMISER = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
ARGS = argparse.Namespace(model="tiny", lr=0.1, data="images")


def weights(seed: int = 1, classes: int = 4) -> State:
    """A trained Tiny's."""
    torch.manual_seed(seed)
    return {name: tensor + 1 for name, tensor in Tiny(classes).state_dict().items()}


def under(prefix: str, state: State) -> State:
    """The same with something before every name."""
    return {prefix + name: tensor for name, tensor in state.items()}


def saved(folder: Path, content: Any, name: str = "weights.pt") -> Path:
    """What torch.save makes of it."""
    torch.save(content, folder / name)
    return folder / name


def loaded(file: Path, key: str | None = None, *, classes: int = 4, replace_head: bool = False) -> tuple[State, list[str]]:
    """A Tiny's weights after reading the file, and the notes."""
    body = Tiny(classes)
    notes = apply(body, read(file, key), file.name, classes=classes, replace_head=replace_head)
    return body.state_dict(), notes


def same(first: State, second: State) -> bool:
    """Whether two tables are equal, bit for bit."""
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "a state_dict": lambda state: state,
    "timm": lambda state: {"epoch": 3, "arch": "tiny", "state_dict": state, "optimizer": OPTIMISER, "version": 2, "args": ARGS, "metric": 91.0},
    "timm, averaged": lambda state: {"epoch": 3, "state_dict_ema": state, "args": ARGS},
    "torchvision": lambda state: {"model": state, "optimizer": OPTIMISER, "lr_scheduler": {"last_epoch": 3}, "epoch": 3, "args": ARGS},
    "Lightning": lambda state: {
        "epoch": 3,
        "global_step": 30,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": under("model.", state),
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [OPTIMISER],
        "hyper_parameters": {"lr": 0.1},
    },
    "Lightning, as self.net": lambda state: {"state_dict": under("net.", state)},
    "data-parallel": lambda state: {"state_dict": under("module.", state), "best_prec1": 91.7},
    "NumPy's scalars": lambda state: {
        "model": state,
        "best": np.float64(91.7),
        "loss": np.float32(0.5),
        "epoch": np.int64(3),
        "ema": np.bool_(True),
    },
    "compiled": lambda state: under("_orig_mod.", state),
    "compiled, data-parallel": lambda state: {"model": under("module._orig_mod.", state)},
    "compiled in Lightning": lambda state: {"state_dict": under("model._orig_mod.", state)},
}

# What is read ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_trainers_write(tmp_path: Path, layout: str) -> None:
    """Every weight arrives, and nothing has to be said."""
    got, notes = loaded(saved(tmp_path, LAYOUTS[layout](weights())))
    assert same(got, weights())
    assert notes == []


@pytest.mark.parametrize("ending", [suffix for suffix in SUFFIXES if suffix != ".safetensors"])
@pytest.mark.parametrize("archive", [True, False])
def test_torch_files_of_any_ending_and_age(tmp_path: Path, ending: str, archive: bool) -> None:
    """Before torch 1.6 they were no archives."""
    torch.save({"state_dict": weights()}, tmp_path / f"net{ending}", _use_new_zipfile_serialization=archive)
    assert same(loaded(tmp_path / f"net{ending}")[0], weights())


def test_safetensors_with_their_metadata(tmp_path: Path) -> None:
    """Both are read, and the metadata alone as well."""
    safetensors.torch.save_file(weights(), tmp_path / "net.safetensors", {"made": "by hand"})
    assert same(loaded(tmp_path / "net.safetensors")[0], weights())
    assert read(tmp_path / "net.safetensors").metadata == read_metadata(tmp_path / "net.safetensors") == {"made": "by hand"}


@pytest.mark.parametrize("taken", KEYS)
def test_the_first_of_several_tables_is_taken(tmp_path: Path, taken: str) -> None:
    """In the order of KEYS, and the others are named."""
    rest = KEYS[KEYS.index(taken) :]
    got, notes = loaded(saved(tmp_path, {key: weights(seed) for seed, key in enumerate(rest)}))
    assert same(got, weights(0))
    others = [f"weights.pt has weights under {taken!r}, which were taken, and under {', '.join(rest[1:])} (--weights-key)"]
    assert notes == (others if len(rest) > 1 else [])


@pytest.mark.parametrize(
    ("key", "wrap"),
    [
        ("state_dict_ema", lambda state: {"state_dict": weights(9), "state_dict_ema": state}),
        ("ema.net", lambda state: {"state_dict": weights(9), "ema": {"net": state, "decay": 0.9}}),
        ("ema.net", lambda state: {"ema.net": state, "ema": {"net": weights(9)}}),
    ],
)
def test_a_key_names_the_table(tmp_path: Path, key: str, wrap: Callable[[State], Any]) -> None:
    """Parts joined by dots lead into tables in tables, where no key has the dot itself."""
    got, notes = loaded(saved(tmp_path, wrap(weights())), key)
    assert same(got, weights())
    assert notes == []


def test_what_stands_beside_the_network_is_left_out(tmp_path: Path) -> None:
    """torchvision's counter of averages, a loss with weights: named in a note."""
    averaged = {"model_ema": {"n_averaged": torch.tensor(5), **under("module.", weights())}}
    got, notes = loaded(saved(tmp_path, averaged))
    assert same(got, weights())
    assert notes == ["left out of weights.pt: n_averaged"]
    lightning = {"state_dict": {**under("model.", weights()), "loss.weight": torch.ones(4)}}
    assert loaded(saved(tmp_path, lightning))[1] == ["left out of weights.pt: loss.weight"]


def test_heads_for_training_only_are_left_out(tmp_path: Path) -> None:
    """Those of torchvision's Inception networks, which are built without them."""
    got, notes = loaded(saved(tmp_path, {**weights(), "AuxLogits.fc.weight": torch.ones(2), "aux1.fc.bias": torch.ones(2)}))
    assert same(got, weights())
    assert notes == ["left out of weights.pt: AuxLogits.fc.weight, aux1.fc.bias"]


def test_a_network_whose_names_begin_like_a_wrapper(tmp_path: Path) -> None:
    """A prefix is taken off only where the rest is then the network's."""
    body = nn.ModuleDict({"model": Tiny()})
    apply(body, read(saved(tmp_path, under("model.", weights()))), "", classes=4, replace_head=False)
    assert same(body["model"].state_dict(), weights())


def test_weights_that_stand_there_twice(tmp_path: Path) -> None:
    """A module that held teacher and student: which is meant must be said, and can be."""
    both = {"state_dict": {**under("old.", weights(1)), **under("new.", weights(2)), "steps": torch.ones(1)}}
    file = saved(tmp_path, both)
    with pytest.raises(UsageError, match=r"once; it has them under old, new\. Choose with --weights-key, as in --weights-key old or"):
        loaded(file)
    assert same(loaded(file, "state_dict.new")[0], weights(2))


def test_counters_of_batches_may_be_missing(tmp_path: Path) -> None:
    """Checkpoints from before torch 0.4.1 have none."""
    old = {name: tensor for name, tensor in weights().items() if not name.endswith("num_batches_tracked")}
    got, notes = loaded(saved(tmp_path, old))
    assert torch.equal(got["features.0.weight"], old["features.0.weight"])
    assert notes == []


def test_halves_become_whole_numbers_of_the_network(tmp_path: Path) -> None:
    """float16 in the file, float32 in the body."""
    got, _ = loaded(saved(tmp_path, {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights().items()}))
    assert got["head.weight"].dtype == torch.float32
    assert torch.equal(got["head.weight"], weights()["head.weight"].half().float())


# What does not match --------------------------------------------------------------------------------------------------


def test_a_head_of_another_size_is_replaced_when_asked(tmp_path: Path) -> None:
    """Everything else is loaded, the new head stays as it was, and a note says so."""
    file = saved(tmp_path, weights(classes=7))
    torch.manual_seed(5)
    fresh = Tiny().head.weight.detach().clone()
    torch.manual_seed(5)
    got, notes = loaded(file, replace_head=True)
    assert torch.equal(got["features.0.weight"], weights(classes=7)["features.0.weight"])
    assert torch.equal(got["head.weight"], fresh)
    assert notes == ["the head of weights.pt (7 outputs) was left out; a new one of 4 outputs is taught"]


def test_a_file_without_a_head_when_a_new_one_is_asked(tmp_path: Path) -> None:
    """Weights of features alone are a start."""
    features = {name: tensor for name, tensor in weights().items() if not name.startswith("head.")}
    got, notes = loaded(saved(tmp_path, features), replace_head=True)
    assert torch.equal(got["features.0.weight"], features["features.0.weight"])
    assert notes == ["the head of weights.pt (none in the file) was left out; a new one of 4 outputs is taught"]


def test_a_head_that_fits_is_kept_when_a_new_one_is_allowed(tmp_path: Path) -> None:
    """Replacing is for those of another size."""
    got, notes = loaded(saved(tmp_path, weights()), replace_head=True)
    assert same(got, weights())
    assert notes == []


def test_a_head_of_another_size_is_refused_otherwise(tmp_path: Path) -> None:
    """Both sizes, and where a head may be replaced."""
    message = r"weights\.pt answers 7 outputs, and 4 classes were asked for\. .*--set train\.teacher_epochs=N teaches it .* with a new head"
    with pytest.raises(UsageError, match=message):
        loaded(saved(tmp_path, weights(classes=7)))


def test_a_new_head_excuses_nothing_else(tmp_path: Path) -> None:
    """With a head of another size, what stands before it must still match."""
    state = weights(classes=7)
    del state["features.1.bias"]
    with pytest.raises(UsageError, match=r"missing in the file: features\.1\.bias; of another shape: head\.weight \(7, 6\) for \(4, 6\), head\.bias"):
        loaded(saved(tmp_path, state), replace_head=True)


@pytest.mark.parametrize("replace_head", [False, True])
def test_what_does_not_match_is_listed(tmp_path: Path, replace_head: bool) -> None:
    """Missing ones, those too many, and shapes, by name."""
    state = {"neck.weight": torch.ones(2), **weights()}
    del state["features.1.bias"]
    state["features.0.weight"] = torch.ones(6, 1, 3, 3)
    missing, extra = r"missing in the file: features\.1\.bias; ", r"not in the network: neck\.weight; "
    shaped = r"of another shape: features\.0\.weight \(6, 1, 3, 3\) for \(6, 3, 3, 3\)\. For a network of one channel set colour = \"grey\""
    with pytest.raises(UsageError, match=rf"the weights in weights\.pt must be this network's, and are not\. {missing}{extra}{shaped}"):
        loaded(saved(tmp_path, state), replace_head=replace_head)


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    """Eight names, and how many more."""
    with pytest.raises(UsageError, match=r"not in the network: x0, x1, x2, x3, x4, x5, x6, x7 and 12 more\."):
        loaded(saved(tmp_path, {**weights(), **{f"x{number}": torch.ones(1) for number in range(20)}}))
