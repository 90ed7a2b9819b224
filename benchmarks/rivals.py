"""What else distils: a loop as tutorials write it, and torchdistill. Each teaches for as many steps as it is asked for, and goes on from there.

In: student and teacher, images as PIL has them, a batch. Both shift and mirror each image by itself, in worker processes of torch's DataLoader, ask
the teacher live in float32 and learn by plain KD (T = 4, 0.9 soft, 0.1 hard) and SGD; neither knows of edgekd's ways with data. How fast they are is
`speed`'s to measure.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from edgekd.preprocess import Preprocess

TEMPERATURE, SOFT = 4.0, 0.9
SGD: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
WORKERS = 2


def plain(body: nn.Module) -> nn.Module:
    """A copy of a network in torch's own memory format, as a person has it; edgekd may have turned the teacher that it asked."""
    return copy.deepcopy(body).to(memory_format=torch.contiguous_format)


class Photos(Dataset[tuple[Tensor, int]]):
    """Images uint8 (n, h, w, c) with their labels (n,), each shifted, mirrored and normalised when it is asked for."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], preprocess: Preprocess) -> None:
        self.pixels, self.labels = pixels, labels
        side = pixels.shape[1]
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(side, padding=side // 8),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(preprocess.mean, preprocess.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


class Tutorial:
    """The loop that a first page on distillation shows."""

    def __init__(self, student: nn.Module, teacher: nn.Module, photos: Photos, batch: int) -> None:
        self.student, self.teacher = student.train(), teacher.eval()
        self.optimizer = torch.optim.SGD(student.parameters(), **SGD)
        self.batches = _endless(DataLoader(photos, batch, shuffle=True, num_workers=WORKERS, drop_last=True))
        self.loss = 0.0

    def learn(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            images, labels = next(self.batches)
            with torch.no_grad():
                answers = self.teacher(images)
            logits = self.student(images)
            shares = functional.log_softmax(logits / TEMPERATURE, dim=1)
            soft = functional.kl_div(shares, functional.softmax(answers / TEMPERATURE, dim=1), reduction="batchmean")
            loss = SOFT * TEMPERATURE**2 * soft + (1 - SOFT) * functional.cross_entropy(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.loss = loss.item()


class TorchDistill:
    """torchdistill's own box with its own loss, in the loop of its example for image classifiers.

    Raises:
        ImportError: the package is not installed.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, photos: Photos, batch: int) -> None:
        from torchdistill.core.distillation import get_distillation_box

        device = torch.device("cpu")
        self.box: Any = get_distillation_box(teacher.eval(), student, {"photos": photos}, _config(batch), device, None, False, 1)
        self.box.pre_epoch_process(epoch=0)
        self.batches = _endless(self.box.train_data_loader)
        self.loss = 0.0

    def learn(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            images, labels, more = next(self.batches)
            loss = self.box.forward_process(images, labels, more)
            self.box.post_forward_process(loss=loss)
            self.loss = loss.item()


def _config(batch: int) -> dict[str, Any]:
    """As its YAML files state such a lesson; its `alpha` is the weight of the labels."""
    ends = {"module_path": ".", "module_io": "output"}
    where = {f"{who}_{name}": value for who in ("student", "teacher") for name, value in ends.items()}
    kd = {"key": "KDLoss", "kwargs": {**where, "temperature": TEMPERATURE, "alpha": 1 - SOFT, "reduction": "batchmean"}}
    return {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "photos",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": batch, "num_workers": WORKERS, "drop_last": True},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": dict(SGD)},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": kd, "weight": 1.0}}}},
    }


def _endless(loader: "DataLoader[Any]") -> Iterator[Any]:
    while True:
        yield from loader
