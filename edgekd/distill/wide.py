"""What losses compute in: float16 and bfloat16 are too narrow for logarithms and sums."""

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """float32 at least; float64 stays."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
