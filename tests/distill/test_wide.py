"""Tests of edgekd/distill/wide.py."""

import pytest
import torch

from edgekd.distill.wide import wide


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_narrow_numbers_are_widened_and_no_others(given: torch.dtype, expected: torch.dtype) -> None:
    """To float32; the values stay."""
    values = torch.tensor([1.5, -2.0], dtype=given)
    assert wide(values).dtype == expected
    assert wide(values).tolist() == [1.5, -2.0]
