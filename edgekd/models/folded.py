"""A network for answers alone: each BatchNorm that stands behind a convolution or a linear layer is folded into it.

In eval mode a BatchNorm multiplies each channel and adds to it, which the weights before it can do as well (Jacob et al., "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2): a layer less, and a pass through its maps. Answers are
the same but for rounding, and come sooner (benchmarks/results/asking.json). What is folded is a copy; the network itself stays as it was.

A trace leaves out what a forward does beside its tensors (hooks of the whole, `torch.autocast(enabled=False)` around a part), so that a copy is taken
only where it answers noise as the network does, in float32 and in bf16.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from edgekd.errors import first_line
from edgekd.events import Emit, Note
from edgekd.models.network import Network

TOLERANCE = 1e-3
"""Of the largest value, in float32: more than folding moves an answer by (1e-6 to 1e-4)."""
TOLERANCE_BF16, WORSE = 2**-7, 4.0
"""In bf16: two steps of its largest value, and so many times what rounding moves the network's own answers by."""


def folded(network: Network, emit: Emit) -> Network:
    """A network that answers as this one does in eval mode, sooner; the network itself where nothing can be folded, which is said."""
    body = fold(network.body, network, emit)
    return network if body is network.body else network.with_body(body).eval()


def fold(module: nn.Module, network: Network, emit: Emit) -> nn.Module:
    """A copy of a network's body, or of what reads its taps, with fewer layers; the module itself where there is nothing to fold.

    It answers one tensor, or tensors by name. A module with BatchNorms that cannot be folded is said, with the reason.
    """
    from torch.fx import symbolic_trace
    from torch.fx.experimental.optimization import fuse

    norms = _norms(module)
    if not norms:
        return module
    try:
        own = copy.deepcopy(module).cpu().eval()  # there float32 is computed as such; and a copy of what torchvision extracted is in train mode
        found = fuse(symbolic_trace(own).eval(), inplace=True, no_trace=True)
        if _norms(found) == norms:
            return module
        reason = None if _alike(found, own, network.prepare(network.noise(3)).cpu()) else "its trace answers otherwise"
    except Exception as error:  # a body may be a person's own code, which raises what it likes when traced
        reason = first_line(error)
    if reason is None:
        return found.to(network.mean.device)
    emit(Note(text=f"{network.name} answers with its BatchNorms, which cannot be folded into other layers ({reason})"))
    return module


def _norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def _alike(ours: nn.Module, theirs: nn.Module, prepared: Tensor) -> bool:
    """Whether a copy answers as a module does, both on the CPU in eval mode: exactly, and in bf16 about as well as the module itself."""
    exact, copied = _answers(theirs, prepared, bf16=False), _answers(ours, prepared, bf16=False)
    rounded, both = _answers(theirs, prepared, bf16=True), _answers(ours, prepared, bf16=True)
    for right, near, its, mine in zip(exact, copied, rounded, both, strict=True):
        largest = float(right.abs().max())
        if not _apart(near, right) <= TOLERANCE * largest:  # not a number is alike to nothing
            return False
        if not _apart(mine, right) <= WORSE * _apart(its, right) + TOLERANCE_BF16 * largest:
            return False
    return True


def _answers(module: nn.Module, prepared: Tensor, *, bf16: bool) -> Sequence[Tensor]:
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        answer: Tensor | Mapping[str, Tensor] = module(prepared)
    return [answer.float()] if isinstance(answer, Tensor) else [answer[name].float() for name in sorted(answer)]


def _apart(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max())
