"""A network and the Preprocess that it carries: images in [0, 1] in, logits out.

In: float32 images `(n, c, h, w)` in [0, 1], c of 1 or 3, any height and width. Out: logits `(n, classes)`.
`prepare` is all that happens before the body; `body` is what is trained and exported. Nothing here reads or writes files.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd import units
from edgekd.errors import UsageError
from edgekd.models.heads import permute_head
from edgekd.preprocess import Preprocess

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601), as Pillow's mode L has them."""

_MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In eval mode; the mode that it had comes back."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


class Network(nn.Module):
    """A body with its Preprocess. A state_dict holds the body alone, under `body.`.

    Attributes:
        body: prepared images `(n, c, h, w)` → logits `(n, classes)`.
        preprocess: how images are prepared; its `size` is set where `build` made the network.
        name: short, fit for a file name; `spec` is what `build` was asked for, and reads again.
        classes: width of the logits.
        notes: what was decided on the way, in words, for the report.
        code: hash of the person's own file that the body is built by; None: it is built by none.

    Raises:
        UsageError: mean and std are of another number of channels than the images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, preprocess: Preprocess, *, name: str, classes: int, spec: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__()
        self.body = body
        self.preprocess = preprocess
        self.name = name
        self.classes = classes
        self.spec = spec
        self.notes = list(notes)
        self.code: str | None = None
        if len(preprocess.mean) not in (1, self.channels):
            raise UsageError(
                f"mean and std have one value, or one per channel; {name}'s preprocess has mean {list(preprocess.mean)} "
                f"and std {list(preprocess.std)} for {self.channels} channel(s). Correct them, or colour, in its preprocess."
            )
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocess.std).view(1, -1, 1, 1), persistent=False)

    @property
    def channels(self) -> int:
        """Channels that the body takes."""
        return 1 if self.preprocess.colour == "grey" else 3

    @property
    def trainable(self) -> bool:
        """Whether there is anything to train."""
        return any(True for _ in self.body.parameters())

    def prepare(self, images: Tensor) -> Tensor:
        """What the body is given: the images in its size, colours and scale."""
        return (fit(images, self.preprocess) - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(self.prepare(images))
        return logits

    def predict(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """A `Predict`: uint8 `images` (n, h, w, c) in, float32 `logits` (n, classes) out, in eval mode, in one batch."""
        images = torch.from_numpy(np.ascontiguousarray(arrays["images"])).to(self.mean.device)
        with evaluating(self), torch.inference_mode():
            logits = self(images.permute(0, 3, 1, 2).float() / 255)
        return {"logits": logits.float().cpu().numpy()}

    def noise(self, images: int) -> Tensor:
        """Images of noise (images, c, h, w) in [0, 1], the same every time, of the size that the body sees (32 × 32 where it sees any)."""
        height, width = input_size(self.preprocess) or (32, 32)
        return torch.rand(images, self.channels, height, width, generator=torch.Generator().manual_seed(0)).to(self.mean.device)

    def with_preprocess(self, preprocess: Preprocess) -> "Network":
        """The same body (shared, not copied) behind another Preprocess."""
        other = Network(self.body, preprocess, name=self.name, classes=self.classes, spec=self.spec, notes=self.notes)
        other.code = self.code
        return other.to(self.mean.device).train(self.training)

    def with_body(self, body: nn.Module) -> "Network":
        """Another body behind the same Preprocess."""
        other = self.with_preprocess(self.preprocess)
        other.body = body
        return other

    def permute(self, order: Sequence[int]) -> None:
        """Reorder the outputs in place: output i becomes what output `order[i]` was.

        Raises:
            UsageError: its last layer alone does not give its answers, so that nothing in it can be reordered.
        """
        before = self._probed()[:, list(order)]
        permute_head(self.body, order)
        if not torch.allclose(self._probed(), before, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
            raise UsageError(
                f"the outputs of {self.name} cannot be put into the data's order of classes, as its last layer alone does not give them. Build it "
                "in a file of your own, as FILE.py:function, whose forward answers logits[:, order], and leave `classes` out."
            )

    def _probed(self) -> Tensor:
        """Answers to three images of noise, in eval mode."""
        with evaluating(self), torch.no_grad():
            answers: Tensor = self(self.noise(3))
        return answers.float()


def fit(images: Float[Tensor, "n c h w"], preprocess: Preprocess) -> Float[Tensor, "n d i j"]:
    """Images in a Preprocess's size and colours, still in [0, 1].

    Resizing is antialiased (as Pillow and torchvision do it) and keeps the whole picture: which part of a larger image is seen is the
    data's business. Mean and std, applied after this, stand in the order of `colour`.
    """
    if preprocess.colour == "grey" and images.shape[1] == 3:
        images = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    size = input_size(preprocess)
    if size is not None and tuple(images.shape[-2:]) != size:
        images = _resize(images, size, _MODES[preprocess.interpolation])
    if preprocess.colour != "grey" and images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    return images.flip(1) if preprocess.colour == "bgr" else images


def _resize(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    if mode == "nearest-exact":
        return F.interpolate(images, size, mode=mode)
    resized = F.interpolate(images, size, mode=mode, align_corners=False, antialias=True)
    return resized.clamp(0, 1) if mode == "bicubic" else resized


def input_size(preprocess: Preprocess) -> tuple[int, int] | None:
    """Height and width in pixels of what the body sees; None: whatever comes."""
    if preprocess.size is not None:
        return preprocess.size
    return None if preprocess.crop is None else (preprocess.crop, preprocess.crop)


def reorder(network: Network, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Bring a network's outputs, which stand for the classes `theirs`, into the data's order `ours`, in place.

    Raises:
        UsageError: the two do not name the same classes, once each.
    """
    missing = [name for name in ours if name not in theirs]
    extra = [name for name in theirs if name not in ours]
    if missing or extra or len(theirs) != len(ours):
        doubled = sorted({name for name in theirs if list(theirs).count(name) > 1})
        raise UsageError(
            f"{network.name}'s classes must be the data's, in its own order; missing: {units.some(map(repr, missing))}; "
            f"not in the data: {units.some(map(repr, extra))}; twice: {units.some(map(repr, doubled))}. Correct `classes` beside its model."
        )
    order = [list(theirs).index(name) for name in ours]
    if order != list(range(len(order))):
        network.permute(order)
