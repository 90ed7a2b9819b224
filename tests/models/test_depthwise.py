"""edgekd.models.depthwise: what its networks do with channels; names, counts and sizes are test_small's."""

import torch

from edgekd.models import depthwise


def test_shuffling_interleaves_the_halves() -> None:
    """Channels 0 1 2 | 3 4 5 become 0 3 1 4 2 5."""
    assert depthwise._shuffle(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist() == [0, 3, 1, 4, 2, 5]
