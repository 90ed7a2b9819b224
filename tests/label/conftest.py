"""What tests of labelling share: a teacher that tells dark from bright, as a network and as a file, and images for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgekd.data.images import Pixels
from tests.toys import brightness

NETS = """
from torch import nn

def bright(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))
"""
NETWORK = [
    "--teacher", "nets.py:bright", "--teacher-weights", "bright.safetensors", "--teacher-mean", "0", "--teacher-std", "1",
    "--teacher-classes", "dark,bright",
]  # fmt: skip


def teachers(folder: Path) -> Path:
    """A folder with nets.py, its weights bright.safetensors, and bright.onnx; both are sure of what is far from grey."""
    (folder / "nets.py").write_text(NETS)
    weights = torch.tensor([[-10 / 3] * 3, [10 / 3] * 3])
    save_file({"2.weight": weights, "2.bias": torch.tensor([5.0, -5.0])}, str(folder / "bright.safetensors"))
    brightness(folder / "bright.onnx")
    return folder


def noise(count: int, seed: int = 0, size: int = 16) -> Pixels:
    """Colour images (count, size, size, 3) of noise around a grey of their own, from black to white; no two look alike."""
    draw = np.random.default_rng(seed)
    greys = np.linspace(20, 235, count)[draw.permutation(count), None, None, None]
    return (greys + draw.integers(-20, 21, (count, size, size, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teachers, and x.npz with 200 images."""
    folder = teachers(tmp_path_factory.mktemp("labelling"))
    np.savez(folder / "x.npz", x=noise(200))
    return folder
