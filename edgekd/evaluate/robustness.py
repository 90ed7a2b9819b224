"""How steady a network's answers are: on corrupted images, and on images that one step along a gradient has moved.

In: an `Exam` (the images that everyone is asked about) and any Predict: a network, a file, a file on a device. Out: an `Inheritance`, agreement with
the teacher and calibration among it. Corruptions are `corruptions`' own; small adversarial steps are FGSM (Goodfellow et al. 2015, arXiv:1412.6572)
by 1, 2, 4 and 8 of the 255 steps of a pixel, so that a moved image is again uint8 and can be shown to any file. A gradient takes a torch network.

One gradient step is a weak attack: who stands it is not thereby safe. It tells students of one teacher apart, which is what it is for here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import Images, Labels, Logits, Predict, evaluate
from edgekd.evaluate.calibration import calibration
from edgekd.evaluate.corruptions import SEVERITIES, Corruption, corrupt, fitting
from edgekd.evaluate.metrics import share
from edgekd.events import Emit, Progress, silent
from edgekd.scores import Inheritance, Metric, NetworkRole, Robustness
from edgekd.tasks import classify

if TYPE_CHECKING:
    from edgekd.models.network import Network

Pixels: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]
Signs: TypeAlias = NDArray[np.int8]
"""−1, 0 or 1 for each value of each image, (n, h, w, c)."""

IMAGES = 1000
"""Test images that are changed, unless one asks for more or fewer."""
STEPS = (1, 2, 4, 8)
"""How far FGSM moves a pixel, in 255ths."""
_BATCH, _VALUES = 256, 1 << 22
"""Images that are asked about at once at the most, and values that they have together."""


# What everyone is asked -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Exam:
    """The same questions for every network: all validation and test images as they are, and some test images changed.

    Attributes:
        valid: what temperatures are fitted on; there may be none.
        images: how many test images are changed, of each class as many; where there are fewer, all.
        seed: which, and what is drawn for them.
    """

    valid: Images
    test: Images
    classes: Sequence[str]
    images: int = IMAGES
    seed: int = 0

    @cached_property
    def chosen(self) -> Integers:
        """Which test images are changed."""
        return balanced(self.test.labels, self.images, self.seed)

    @cached_property
    def families(self) -> dict[str, list[Corruption]]:
        """The corruptions that these images can have."""
        channels = self.test.read(self.chosen[:1]).shape[3]
        return {family: list(names) for family, names in fitting(channels).items()}

    @property
    def labels(self) -> Labels:
        """Of the images that are changed."""
        return self.test.labels[self.chosen]

    def batches(self) -> Iterator[tuple[slice, Pixels]]:
        """The images that are changed, as they are, and where among them a batch stands."""
        size = self.test.read(self.chosen[:1]).size
        batch = max(1, min(_BATCH, _VALUES // size))
        for start in range(0, len(self.chosen), batch):
            place = slice(start, min(start + batch, len(self.chosen)))
            yield place, self.test.read(self.chosen[place])


def balanced(labels: Labels, most: int, seed: int) -> Integers:
    """Positions of at most so many images, drawn by the seed, of each class as many as there are; in order.

    Raises:
        UsageError: fewer than 2.
    """
    if most < 2 or len(labels) < 2:
        raise UsageError(f"2 images or more are needed, got {min(most, len(labels))}. Ask for more, as in --images 1000.")
    drawn = np.random.RandomState(seed % 2**32).permutation(len(labels))
    by_class = drawn[np.argsort(labels[drawn], kind="stable")]
    begins = np.flatnonzero(np.diff(labels[by_class], prepend=-1))
    turn = np.arange(len(labels)) - np.repeat(begins, np.diff(begins, append=len(labels)))
    return np.sort(by_class[np.argsort(turn, kind="stable")[:most]]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Answers:
    """What the teacher says to the test images, and where its gradient leads from those that are changed; None: it has none."""

    logits: Logits
    signs: Signs | None


def answers(exam: Exam, predict: Predict, *, name: str, network: "Network | None" = None, emit: Emit = silent) -> Answers:
    """The teacher's, which its students are compared with; `network` as in `examined`."""
    _, logits = evaluate(predict, exam.test, artifact=name, split="test", classes=exam.classes, emit=emit)
    return Answers(logits, gradient_signs(exam, network, name=name, emit=emit) if network is not None else None)


def examined(
    exam: Exam,
    predict: Predict,
    *,
    name: str,
    role: NetworkRole | Literal["file"],
    network: "Network | None" = None,
    teacher: Answers | None = None,
    emit: Emit = silent,
) -> Inheritance:
    """Ask one network, or a file, everything.

    Args:
        network: where the gradient is taken; None: nowhere.
        teacher: its answers; None of the teacher itself.

    Raises:
        UsageError: as `evaluate`, or answers that are not one row of logits an image.
        EdgekdError: logits or gradients that are not finite.
    """
    against = None if teacher is None else teacher.logits
    scored, logits = evaluate(predict, exam.test, artifact=name, split="test", classes=exam.classes, teacher_logits=against, emit=emit)
    fitted = None
    if len(exam.valid) >= 2:
        _, held = evaluate(predict, exam.valid, artifact=name, split="valid", classes=exam.classes, emit=emit)
        fitted = calibration(held, exam.valid.labels, logits, exam.test.labels, exam.classes)
    clean, corrupted = on_corruptions(exam, predict, name=name, emit=emit)
    signs = None if network is None else gradient_signs(exam, network, name=name, emit=emit)
    theirs = None if teacher is None else teacher.signs
    return Inheritance(
        name=name,
        role=role,
        clean=clean,
        agreement=scored.against.get("agreement"),
        calibration=fitted,
        corrupted=corrupted,
        fgsm=[] if signs is None else on_moved(exam, predict, signs, name=name, emit=emit),
        transferred=[] if theirs is None else on_moved(exam, predict, theirs, name=name, emit=emit),
    )


def together(exam: Exam, networks: Sequence[Inheritance], notes: Sequence[str] = ()) -> Robustness:
    """All that were asked, the teacher first."""
    return Robustness(
        images=len(exam.chosen),
        seed=exam.seed,
        families={family: [str(name) for name in names] for family, names in exam.families.items()},
        steps=list(STEPS),
        networks=list(networks),
        notes=list(notes),
    )


# Corruptions ----------------------------------------------------------------------------------------------------------


def on_corruptions(exam: Exam, predict: Predict, *, name: str, emit: Emit = silent) -> tuple[Metric, dict[str, list[float]]]:
    """Accuracy on the images as they are, and by corruption and severity."""
    kinds = [kind for names in exam.families.values() for kind in names]
    right = {kind: np.zeros((len(SEVERITIES), len(exam.chosen)), np.bool_) for kind in kinds}
    clean = np.zeros(len(exam.chosen), np.bool_)
    total, done = len(exam.chosen) * len(kinds) * len(SEVERITIES), 0
    emit(Progress(what=f"corrupt {name}", done=0, total=total))
    for place, pixels in exam.batches():
        labels, index = exam.labels[place], exam.chosen[place]
        clean[place] = _right(predict, pixels, labels, name, exam)
        for kind in kinds:
            for row, severity in enumerate(SEVERITIES):
                right[kind][row, place] = _right(predict, corrupt(pixels, kind, severity, index, exam.seed), labels, name, exam)
            done += len(SEVERITIES) * len(pixels)
            emit(Progress(what=f"corrupt {name}", done=done, total=total))
    return share(clean), {kind: hits.mean(axis=1).tolist() for kind, hits in right.items()}


def _right(predict: Predict, pixels: Pixels, labels: Labels, name: str, exam: Exam) -> NDArray[np.bool_]:
    """Which images are answered with their label."""
    outputs = predict({classify.INPUT: pixels})
    logits: NDArray[Any] | None = outputs.get(classify.OUTPUT)
    if logits is None or logits.shape != (len(pixels), len(exam.classes)):
        told = sorted(outputs) if logits is None else f"an array of shape {logits.shape}"
        raise UsageError(f"{name} must answer {len(pixels)} images with {len(exam.classes)} logits each as {classify.OUTPUT!r}, got {told}.")
    if not np.isfinite(logits).all():
        raise EdgekdError(f"logits must be finite numbers, and {name} answers changed images with NaN or infinity. Teach or export it again.")
    return np.asarray(logits.argmax(axis=1) == labels)


# One step along a gradient --------------------------------------------------------------------------------------------


def gradient_signs(exam: Exam, network: "Network", *, name: str, emit: Emit = silent) -> Signs:
    """Where each value of the chosen images must go for the label to become less likely: the signs of the loss's gradient, (n, h, w, c).

    Raises:
        UsageError: a network without weights of its own, as an ONNX file.
        EdgekdError: a gradient that is not finite.
    """
    if not network.trainable:
        raise UsageError(f"a gradient is taken in a network of torch, and {name} is an ONNX file. Give the run that made it.")
    found, done = [], 0
    for place, pixels in exam.batches():
        found.append(_signs(network, pixels, exam.labels[place], name))
        done += len(pixels)
        emit(Progress(what=f"gradient of {name}", done=done, total=len(exam.chosen)))
    return np.concatenate(found)


def _signs(network: "Network", pixels: Pixels, labels: Labels, name: str) -> Signs:
    """The gradient of log(1/p − 1) of the label, whose sign is that of the cross entropy's, and which does not vanish in float32 where p is 1."""
    import torch

    from edgekd.models.network import evaluating

    device = network.mean.device
    images = (torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2).float() / 255).requires_grad_()
    own = torch.from_numpy(labels).to(device)[:, None]
    with evaluating(network), torch.enable_grad():
        logits = network(images).float()
        others = logits.scatter(1, own, -torch.inf).logsumexp(1)
        (gradient,) = torch.autograd.grad((others - logits.gather(1, own)[:, 0]).sum(), images)
    if not bool(torch.isfinite(gradient).all()):
        raise EdgekdError(f"gradients must be finite numbers, and {name} has one that is not. Teach it again with a lower learning rate.")
    return np.asarray(gradient.sign().permute(0, 2, 3, 1).to(torch.int8).cpu().numpy())


def moved(pixels: Pixels, signs: Signs, step: int) -> Pixels:
    """The images with each value `step` further along its sign, as far as there is room."""
    return np.asarray(np.clip(pixels.astype(np.int16) + step * signs.astype(np.int16), 0, 255), np.uint8)


def on_moved(exam: Exam, predict: Predict, signs: Signs, *, name: str, emit: Emit = silent) -> list[float]:
    """Accuracy on the chosen images, moved along these signs by each of `STEPS`."""
    right = np.zeros((len(STEPS), len(exam.chosen)), np.bool_)
    done = 0
    for place, pixels in exam.batches():
        for row, step in enumerate(STEPS):
            right[row, place] = _right(predict, moved(pixels, signs[place], step), exam.labels[place], name, exam)
        done += len(STEPS) * len(pixels)
        emit(Progress(what=f"move for {name}", done=done, total=len(STEPS) * len(exam.chosen)))
    accuracies: list[float] = right.mean(axis=1).tolist()
    return accuracies
