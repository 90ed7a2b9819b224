"""edgekd.distill.meter: the look at validation images."""

from collections.abc import Iterator
from typing import cast

import pytest
import torch

from edgekd.data.batches import Batch, Batches
from edgekd.distill.meter import accuracy
from edgekd.distill.teacher import BATCH
from tests.distill import nets


def test_validation_takes_images_as_they_are_read() -> None:
    """Each batch is asked about before the next is read: a split need not fit in memory as floats."""
    happened: list[str] = []
    data = nets.data(3 * BATCH, seed=1)

    class Read:
        labels = data.labels

        def __len__(self) -> int:
            return len(data)

        def plain_batches(self, batch: int) -> Iterator[Batch]:
            for found in data.plain_batches(batch):
                happened.append("read")
                yield found

    network = nets.network()
    network.register_forward_hook(lambda *_: happened.append("asked"))
    right = accuracy(network, cast(Batches, Read()), bf16=False)
    assert happened == ["read", "asked"] * 2
    with torch.no_grad():
        logits = network.eval()(data.plain(torch.arange(len(data)))[0])
    assert right == pytest.approx((logits.argmax(1) == data.labels).float().mean().item())
