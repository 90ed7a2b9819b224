"""Learning as int8 will round: while it is on, a network computes with the inputs, weights and outputs of layers that its int8-cpu file has.

In: a network and a few images. Out: a `FakeInt8`. In each convolution and linear layer it rounds the input (uint8, asymmetric, one range a tensor,
which follows what is seen), the weight (int8, symmetric, a scale per output channel), and the output of a convolution that no activation takes:
where `export/int8.py` has QuantizeLinear/DequantizeLinear pairs; a stem that the file leaves in float is left, too. Gradients pass as if nothing
were rounded, and are 0 outside of a range (Jacob et al. 2018, arXiv:1712.05877, section 3). The network stays a plain one: hooks do this and are
taken off again, the weights are float32 under their own names. So checkpoints, averages and bridges need not know, and the usual calibration makes
the file.

The file has BatchNorm folded into its weights; here nothing is folded. A scale per output channel turns with whatever its channel is multiplied by,
so that both are rounded to the same steps, as long as the statistics stand still: `train` sees to that.

In the file, and not here: a shortcut is rounded with the input of the layer beside it; gates, pooled maps and products of two activations are
rounded; biases have 32 bits, and weights 7 where a CPU's 8-bit products overflow (`int8.saturates`): what is learnt must not depend on the machine.

torchao's PT2E does this on a graph that torch.export has captured: a module of other names and without hooks, to be exported in a form of its own.
Two of torch's own functions do for a network that stays what it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgekd.data.batches import Batches
from edgekd.distill.batchnorm import batchnorms
from edgekd.errors import UsageError
from edgekd.events import Emit, Note
from edgekd.models.network import evaluating
from edgekd.phases import Phase

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVOLUTIONS, nn.Linear)
"""What is rounded, where the weight is a parameter of its own."""
MERGED = frozenset({"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "clamp", "clamp_", "clip", "clip_"})
"""Functions that become a Relu or Clip, and with it the end of the range of the layer before."""
FOLLOWS = 0.01
"""Share by which a batch's least and greatest value move a range; it begins as the first batch's."""
_COLOURS = 4
"""At most so many channels has an image."""
_LEAST = 1e-12
"""The finest step: what is 0 throughout stays so."""

Modules = dict[str, nn.Module]
Ranges = dict[str, Tensor]
"""The least and greatest value (2,) of each tensor that is rounded, by the layer's name and "in" or "out", as far as any was seen."""


def rounded_weight(weight: Tensor) -> Tensor:
    """A weight (outputs, ...) in int8's steps: 127 to either side of 0, as far apart as each output channel's largest value asks."""
    scale = (weight.detach().float().flatten(1).abs().amax(1) / 127).clamp(min=_LEAST)
    zero = torch.zeros_like(scale)  # floats: whole numbers would be looked at first, and a GPU waited for
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


def rounded(values: Tensor, range_: Tensor) -> Tensor:
    """Values in uint8's 256 steps from `range_[0]` to `range_[1]`, one of which is 0; what lies outside becomes the nearest end."""
    low, high = range_[:1].clamp(max=0), range_[1:].clamp(min=0)
    scale = ((high - low) / 255).clamp(min=_LEAST)
    zero = (-low / scale).round().clamp(0, 255).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, 255)


class FakeInt8:
    """The rounding of one network.

    Args:
        network: asked for the images once, in eval mode, to see which layers compute and what takes their outputs.
        images: (n, channels, height, width) in [0, 1], where the network is.
        name: what messages call it.

    Raises:
        UsageError: there is nothing to round.
    """

    def __init__(self, network: nn.Module, images: Tensor, name: str) -> None:
        self._layers, self._ends = _looked(network, images)
        if not self._layers:
            raise UsageError(
                f"a quantised phase rounds convolutions and linear layers, and {name} computes with none whose weight is its own parameter. "
                "Leave quantised out of its phases."
            )
        self._device = images.device
        self._ranges: Ranges = {}
        self._weights: dict[str, nn.Parameter] = {}

    @contextmanager
    def on(self, ranges: Ranges) -> Iterator[None]:
        """Round until the block ends, within `ranges`, which follow what layers in training mode see: whoever keeps them can go on from there."""
        self._ranges = ranges
        for name, range_ in ranges.items():
            ranges[name] = range_.to(self._device)
        with ExitStack() as hooks:
            for name, layer in self._layers.items():
                hooks.callback(layer.register_forward_pre_hook(partial(self._enter, name)).remove)
                hooks.callback(layer.register_forward_hook(partial(self._leave, name), always_call=True).remove)
            for name, end in self._ends.items():
                hooks.callback(end.register_forward_hook(partial(self._end, name)).remove)
            yield

    def told(self, phase: str) -> str:
        """What a phase does with it, in a sentence."""
        outputs = f" and the outputs of {len(self._ends)}" if self._ends else ""
        return f"phase {phase!r} rounds inputs and weights of {len(self._layers)} layers{outputs} as int8 does; BatchNorm statistics stand still"

    def _enter(self, name: str, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        given = (self._rounded(f"{name} in", args[0], follow=layer.training), *args[1:])
        own = layer._parameters["weight"]
        assert own is not None, name
        self._weights[name] = own
        # Past nn.Module, which takes nothing but a parameter here: whatever the layer's forward does with its weight, it finds this one.
        layer._parameters["weight"] = cast(nn.Parameter, rounded_weight(own))
        return given

    def _leave(self, name: str, layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        own = self._weights.pop(name, None)
        if own is not None:
            layer._parameters["weight"] = own

    def _end(self, name: str, end: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return self._rounded(f"{name} out", output, follow=self._layers[name].training)

    def _rounded(self, name: str, values: Tensor, *, follow: bool) -> Tensor:
        known = self._ranges.get(name)
        if follow:
            now = torch.cat([each.reshape(1) for each in values.detach().float().aminmax()])
            self._ranges[name] = known = now if known is None else known.lerp(now, FOLLOWS)
        return values if known is None else rounded(values, known)


@contextmanager
def rounding(network: nn.Module, name: str, phase: Phase, data: Batches, ranges: Ranges, emit: Emit) -> Iterator[None]:
    """What a phase does to the student that is called `name`: rounds it until the block ends and says so, or nothing."""
    if not phase.is_quantised:
        yield
        return
    images, _, _ = data.plain(torch.arange(min(2, len(data))))
    fake = FakeInt8(network, images, name)
    emit(Note(text=fake.told(phase.name)))
    with fake.on(ranges):
        yield


def check(network: nn.Module, name: str, phases: Sequence[Phase], shape: tuple[int, int, int]) -> None:
    """Refuse a student of which a quantised phase would round nothing; `shape` is (height, width, channels) of its images.

    Raises:
        UsageError: as `FakeInt8`.
    """
    if any(phase.is_quantised for phase in phases):
        height, width, channels = shape
        device = next((parameter.device for parameter in network.parameters()), None)
        FakeInt8(network, torch.zeros(2, channels, height, width, device=device), name)


def unrounded(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The same phases for a network that gets no int8 file."""
    return tuple(msgspec.structs.replace(phase, quantised=msgspec.UNSET) if phase.is_quantised else phase for phase in phases)


def told(name: str, phases: Sequence[Phase]) -> list[str]:
    """What the report is to say of a network that learnt in these phases."""
    names = [repr(phase.name) for phase in phases if phase.is_quantised]
    if not names:
        return []
    where, there = (f"phases {' and '.join(names)}", "those phases") if len(names) > 1 else (f"phase {names[0]}", "that phase")
    return [f"{name} learnt with int8's rounding in {where}: in the training curve, validation accuracies of {there} are the rounded network's"]


# What follows what ----------------------------------------------------------------------------------------------------


def _looked(network: nn.Module, images: Tensor) -> tuple[Modules, Modules]:
    """The layers that compute, by name; and of each convolution whose output no activation takes, by its name, what gives that output: itself, or the
    BatchNorm behind it."""
    names = {module: name for name, module in network.named_modules()}
    layers: Modules = {}
    ends: Modules = {}
    passed: dict[str, tuple[Tensor, Tensor]] = {}
    outputs = _Outputs()

    def look(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not args:
            return  # called with its input by name: no hook could exchange that
        name = outputs.whose(args[0])
        if isinstance(module, LAYERS):
            if module._parameters.get("weight") is None:
                return
            name = names[module]
            layers[name] = module
            passed[name] = args[0], output
        if name is not None and not isinstance(module, nn.Linear):  # logits and the like stay floats in the file, too
            ends[name] = module
            outputs.note(output, name)

    with ExitStack() as hooks:
        for module in (*(module for module in names if isinstance(module, LAYERS)), *batchnorms(network)):
            hooks.callback(module.register_forward_hook(look).remove)
        with evaluating(network), torch.no_grad(), outputs:
            network(images)
    floats = _stem(layers, passed)
    rounds = {name: layer for name, layer in layers.items() if name not in floats}
    return rounds, {name: end for name, end in ends.items() if name in rounds and name not in outputs.merged}


def _stem(layers: Modules, passed: Mapping[str, tuple[Tensor, Tensor]]) -> list[str]:
    """What the int8-cpu file leaves in float (export/stem.py): the convolution of the images and a depthwise one that reads it, or none."""
    names = list(layers)[:2]
    if len(names) < 2 or passed[names[0]][1].shape != passed[names[1]][0].shape:
        return []
    if sum(read is passed[names[1]][0] for read, _ in passed.values()) > 1:
        return []  # another branch reads it, too
    first, second = (layers[name] for name in names)
    if not isinstance(first, nn.Conv2d) or not isinstance(second, nn.Conv2d) or first.groups > 1 or first.in_channels > _COLOURS:
        return []
    return names if second.groups == second.out_channels > 1 else []


class _Outputs(TorchFunctionMode):
    """Whose output a tensor is, and which outputs an activation takes, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.merged: set[str] = set()
        self._names: dict[int, tuple[str, Tensor]] = {}  # with the tensors themselves: a number would be given again

    def note(self, output: Tensor, name: str) -> None:
        self._names[id(output)] = name, output

    def whose(self, tensor: Any) -> str | None:
        found = self._names.get(id(tensor))
        return None if found is None else found[0]

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = self.whose(args[0]) if args and getattr(func, "__name__", "") in MERGED else None
        if name is not None:
            self.merged.add(name)
        return func(*args, **(kwargs or {}))
