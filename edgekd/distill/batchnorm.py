"""BatchNorm statistics: where they are kept, how they are left as they are, and how they are computed anew over all training images."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill.teacher import BATCH
from edgekd.phases import Augment


def batchnorms(network: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """All BatchNorm layers of a network."""
    return (module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))


@contextlib.contextmanager
def by_batch(network: nn.Module) -> Iterator[None]:
    """BatchNorm layers answer with the statistics of what they are shown, and leave the running ones as they are; all else stays in its mode."""
    layers = [(layer, layer.training, layer.track_running_stats) for layer in batchnorms(network)]
    for layer, _, _ in layers:
        layer.train()
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer, training, tracked in layers:
            layer.train(training)
            layer.track_running_stats = tracked


def shown(data: Batches, positions: Tensor, view: int | None, augment: Augment, view_seed: int) -> tuple[Tensor, Tensor]:
    """Images and labels at these positions, in this view; None: plain."""
    images, labels, _ = data.plain(positions) if view is None else data.view(positions, view, augment, view_seed)
    return images, labels


def reestimate(network: nn.Module, data: Batches, view: int | None, augment: Augment, view_seed: int) -> None:
    """Compute BatchNorm statistics anew as the mean over one view of all training images (None: plain), each as much as any other.

    It must be the kind of view that the network learnt on last: statistics of plain images cost a resnet8 that had learnt on padded crops 4 points
    on CIFAR-10.
    """
    layers = list(batchnorms(network))
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    seen = 0
    with torch.no_grad():
        for positions in torch.split(torch.arange(len(data)), BATCH):
            if seen and len(positions) == 1:
                break  # one image has no variance where a feature map is 1×1
            images, _ = shown(data, positions, view, augment, view_seed)
            seen += len(images)
            for layer in layers:
                layer.momentum = len(images) / seen
            network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()
