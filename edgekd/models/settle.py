"""The Preprocess in force for a network that is being made, its size among it, and whether the network takes such images.

In: what was asked for and the body that was made. Out: a `Preprocess`: stated, carried by the weights, or plain scaling where there are
no weights; never guessed. `probe` asks the finished network for one image's logits.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models import zoo
from edgekd.models.network import Network, evaluating, input_size
from edgekd.models.small import factory
from edgekd.preprocess import Preprocess

Shape = tuple[int, int, int]
"""Height, width, channels of the data's images."""


@dataclass(frozen=True)
class Asked:
    """What `build` was asked for."""

    spec: str
    classes: int
    shape: Shape
    weights: str | None
    preprocess: Preprocess | None
    base: Path
    replace_head: bool

    @property
    def pretrained(self) -> bool:
        return self.weights == "pretrained"

    @property
    def file(self) -> Path | None:
        return None if self.weights is None or self.pretrained else self.base / self.weights


def settle(asked: Asked, made: zoo.Made) -> Preprocess:
    """The Preprocess in force, with its size: stated, carried by the weights, or for a network without weights plain scaling to [-1, 1]."""
    carried = made.preprocess if made.states else None
    if asked.preprocess is not None:
        chosen = asked.preprocess
    elif carried is not None:
        chosen = carried
    elif asked.weights is None:
        grey = asked.shape[2] == 1 and factory(asked.spec) is not None
        chosen = Preprocess(colour="grey" if grey else "rgb")
    else:
        raise UsageError(
            f"how a network with brought weights wants its images must be stated; {asked.weights} does not say it of {asked.spec}. "
            "Give preprocess = { mean = [...], std = [...] } beside its model; by flags --teacher-mean and --teacher-std, or for a student "
            "--set 'student.0.preprocess={ mean = [...], std = [...] }'. "
            "Networks from ImageNet mostly have mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225]."
        )
    return msgspec.structs.replace(chosen, size=_size(asked, made, chosen))


def _size(asked: Asked, made: zoo.Made, chosen: Preprocess) -> tuple[int, int]:
    """Stated; else that of the weights as they are; else the data's own, where the body takes it, or that which the library made it for."""
    data = asked.shape[:2]
    if asked.preprocess is not None and (stated := input_size(asked.preprocess)) is not None:
        return stated
    made_for = None if made.preprocess is None else input_size(made.preprocess)
    if made_for is None:
        return data
    as_is = made.states and asked.preprocess is None and not asked.replace_head and asked.weights is not None
    channels = 1 if chosen.colour == "grey" else 3
    return made_for if as_is or _refusal(made.body, channels, data) is not None else data


def _refusal(body: nn.Module, channels: int, size: tuple[int, int]) -> str | None:
    """Why a body cannot take one image of that size; None where it can. Computes shapes only."""
    meta = {name: tensor.to("meta") for name, tensor in [*body.named_parameters(), *body.named_buffers()]}
    try:
        with evaluating(body), torch.no_grad():
            torch.func.functional_call(body, meta, (torch.zeros(1, channels, *size, device="meta"),))
    except (RuntimeError, AssertionError, ValueError) as error:
        return str(error)
    return None


def _probabilities(answer: Tensor) -> bool:
    return bool((answer >= 0).all()) and abs(float(answer.double().sum()) - 1) < 1e-5


def probe(network: Network) -> None:
    """Ask for one image's logits, so that what does not fit is refused before anything runs for hours."""
    height, width = network.preprocess.size or (0, 0)
    where = f"{network.spec} with {network.channels} channel(s) of {height}x{width}"
    try:
        with evaluating(network), torch.no_grad():
            answer = network.body(torch.zeros(1, network.channels, height, width))
    except Exception as error:  # the body may be a person's own code, which raises what it likes
        raise UsageError(
            f"a network must take the images it is given; {where} fails: {error}. "
            'State size = [H, W], or colour = "grey" for one channel, in its preprocess.'
        ) from error
    if not isinstance(answer, Tensor):
        raise UsageError(f"a network must answer one tensor (batch, classes) in eval mode; {network.spec} answers a {type(answer).__name__}.")
    if tuple(answer.shape) == (1, network.classes) and network.classes > 1 and _probabilities(answer):
        raise UsageError(
            f"a network must answer logits, and {network.spec} answers probabilities: a softmax is its last step. Take it off: losses and "
            "temperatures do that themselves."
        )
    if tuple(answer.shape) != (1, network.classes):
        raise UsageError(
            f"a network must answer one number per class, and the data has {network.classes}; "
            f"{network.spec} answers {tuple(answer.shape)} for one image. Give it a head of {network.classes} outputs."
        )


def probe_learning(network: Network) -> None:
    """Ask a copy for two images' logits as it answers while it learns, which may be another way than it is shipped; it is left as it was.

    Raises:
        UsageError: it fails, or answers more than one tensor, as networks with auxiliary heads do.
    """
    height, width = network.preprocess.size or (0, 0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            answer = copy.deepcopy(network.body).cpu().train()(torch.rand(2, network.channels, height, width))
        except Exception as error:  # as in `probe`
            raise UsageError(f"a network must take images in train mode, too; {network.spec} fails: {error}.") from error
    if not isinstance(answer, Tensor) or tuple(answer.shape) != (2, network.classes):
        said = f"{tuple(answer.shape)} for two images" if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise UsageError(
            f"a network must answer one tensor (batch, classes) while it learns, too; in train mode {network.spec} answers {said}. "
            "Take auxiliary heads off, or answer the last one alone."
        )
