"""A network for answers alone: each BatchNorm folded into the convolution or linear layer that it stands behind.

In eval mode a BatchNorm multiplies each channel and adds to it, which the weights before it can do as well (Jacob et al., "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2): a layer less, and a pass through its maps. Answers are
the same but for rounding, and come sooner (benchmarks/results/asking.json). What is folded is a copy; the network itself stays as it was.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgekd.models.network import Network, evaluating

TOLERANCE = 1e-3
"""Of the largest value: more than folding moves an answer by (about 1e-6). A graph that answers something else is not taken."""


def folded(network: Network) -> Network:
    """A network that answers as this one does in eval mode, sooner; the network itself where there is nothing to fold."""
    body = fold(network.body, network.prepare(network.noise(3)))
    if body is network.body:
        return network
    other = network.with_preprocess(network.preprocess)
    other.body = body
    return other.eval()


def fold(module: nn.Module, prepared: Tensor) -> nn.Module:
    """A module with fewer layers that answers as this one does to `prepared` in eval mode; itself where it has no BatchNorm or cannot be traced.

    It answers one tensor, or tensors by name.
    """
    from torch.fx import symbolic_trace
    from torch.fx.experimental.optimization import fuse

    if not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules()):
        return module
    with evaluating(module), torch.no_grad():
        try:
            own = copy.deepcopy(module).eval()  # a copy of what torchvision extracted is in train mode
            found = fuse(symbolic_trace(own).eval(), inplace=True, no_trace=True)
            alike = _alike(found(prepared), module(prepared))
        except Exception:  # a body may be a person's own code, which raises what it likes when traced
            return module
    return found if alike else module


def _alike(ours: Tensor | Mapping[str, Tensor], theirs: Tensor | Mapping[str, Tensor]) -> bool:
    if isinstance(ours, Tensor) and isinstance(theirs, Tensor):
        return torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * float(theirs.abs().max()))
    return isinstance(ours, Mapping) and isinstance(theirs, Mapping) and all(_alike(ours[name], theirs[name]) for name in theirs)
