"""Networks of other libraries: torchvision by name, `timm:NAME`, `hf:NAME`.

In: a name, the number of classes, whether its published weights are wanted. Out: a body that answers logits, the Preprocess that the
library states for it, and notes. Libraries are imported when they are asked for; a missing one names its extra. Downloads go through the
libraries' own ways, which check their hashes.
"""

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.models.heads import replace_head as put_head
from edgekd.models.small import NAMES
from edgekd.preprocess import Preprocess

_AUXILIARY = ("googlenet", "inception_v3")
"""Networks with heads for training only, which are left out."""


@dataclass(frozen=True)
class Made:
    """A body, and what its library says of it. `preprocess` holds for the weights in it where `states`; else only its size is of use."""

    body: nn.Module
    preprocess: Preprocess | None = None
    states: bool = False
    notes: tuple[str, ...] = ()


class Logits(nn.Module):
    """Transformers' image classifiers, which answer a record, as modules that answer its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images).logits
        return logits


@cache
def torchvision_names() -> tuple[str, ...]:
    """All of torchvision's image classifiers."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def torchvision_body(name: str, classes: int, *, pretrained: bool, replace_head: bool) -> Made:
    """A torchvision classifier with a head for the classes.

    Raises:
        UsageError: no such name (near ones are given), or published weights for other classes that are not to be replaced.
        MissingError: the weights could not be fetched.
    """
    from torchvision import models

    if name not in torchvision_names():
        near = difflib.get_close_matches(name, [*NAMES, "wrn-16-2", "wrn-40-2", *torchvision_names()], n=3, cutoff=0.5)
        hint = f" Near: {', '.join(near)}." if near else ""
        raise UsageError(
            f"no network is called {name!r}.{hint} A model is one of edgekd's small networks (resnet20, wrn-16-2, …), a torchvision name, "
            "timm:NAME, hf:NAME, FILE.py:function, or FILE.onnx."
        )
    published = models.get_model_weights(name).DEFAULT
    preprocess = _published(name)
    if not pretrained:
        options = {"aux_logits": False, "init_weights": True} if name in _AUXILIARY else {}
        return Made(models.get_model(name, weights=None, num_classes=classes, **options), preprocess)
    try:
        body: nn.Module = models.get_model(name, weights=published, progress=False, **({"transform_input": False} if name in _AUXILIARY else {}))
    except (OSError, RuntimeError) as error:
        raise MissingError(
            f"the published weights of {name} could not be fetched from {published.url}: {error}. "
            f"Put that file into {torch.hub.get_dir()}/checkpoints, or give a file of weights."
        ) from None
    if name == "inception_v3":  # with published weights torchvision builds it with its auxiliary head, whatever is asked
        body.aux_logits, body.AuxLogits = False, None  # type: ignore[assignment]
    notes = _fit_head(body, name, len(published.meta["categories"]), classes, replace_head)
    return Made(body, preprocess, True, notes)


def published_classes(spec: str) -> int | None:
    """How many classes the published weights of that spec answer; None where that cannot be told without fetching them."""
    library, colon, name = spec.partition(":")
    if library == "timm" and colon:
        known = _timm_config(name)
        return None if known is None else int(known.num_classes)
    if colon or spec in NAMES or spec not in torchvision_names():
        return None
    from torchvision import models

    return len(models.get_model_weights(spec).DEFAULT.meta["categories"])


def published_preprocess(name: str, weights: str | None) -> Preprocess | None:
    """How a network with brought weights wants its images, as far as its library says so without fetching them; else None.

    torchvision says it of its published weights, timm of whatever it trains.
    """
    library, _, own = name.partition(":")
    if library == "timm" and weights is not None:
        known = _timm_config(own)
        return None if known is None else _from_timm(vars(known))
    if weights != "pretrained" or name in NAMES or not name.isidentifier():
        return None
    return _published(name) if name in torchvision_names() else None


def _timm_config(name: str) -> Any:
    """What timm's registry says of a network's weights; None where it knows no such network, which `timm_body` then says with near names."""
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "timm") from None
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        return None


def _published(name: str) -> Preprocess:
    """As the library states it; but Inception networks, which lead ImageNet's mean and std back to [-1, 1] inside, are given [-1, 1] here."""
    from torchvision import models

    stated = _from_torchvision(models.get_model_weights(name).DEFAULT.transforms())
    return msgspec.structs.replace(stated, mean=(0.5,) * 3, std=(0.5,) * 3) if name in _AUXILIARY else stated


def _from_torchvision(transforms: Any) -> Preprocess:
    crop = transforms.crop_size[0]
    return Preprocess(
        size=(crop, crop),
        resize=transforms.resize_size[0],
        crop=crop,
        interpolation=_interpolation(transforms.interpolation.value),
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _interpolation(name: str) -> Literal["nearest", "bilinear", "bicubic"]:
    """A library's word for an interpolation in ours; those that resize alike (Lanczos, box) become bicubic."""
    known: dict[str, Literal["nearest", "bilinear", "bicubic"]] = {"nearest": "nearest", "bilinear": "bilinear"}
    return known.get(name, "bicubic")


def _fit_head(body: nn.Module, name: str, trained: int, classes: int, replace_head: bool) -> tuple[str, ...]:
    """Give a body with published weights a head for the classes, where it has another and that is allowed."""
    if trained == classes:
        return ()
    if not replace_head:
        raise UsageError(
            f"the published weights of {name} answer {trained} classes and the data has {classes}. "
            "Teach it on this data first with a new head (--set train.teacher_epochs=N), or give weights that answer these classes."
        )
    return (put_head(body, classes),)


def timm_body(name: str, classes: int, *, pretrained: bool, replace_head: bool) -> Made:
    """A timm classifier; its Preprocess is timm's own for it, which timm's trainer uses too.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: no such name, or weights for other classes that are not to be replaced.
        MissingError: the weights could not be fetched.
    """
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "timm") from None
    if name.partition(".")[0] not in timm.list_models():
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5))
        raise UsageError(f"timm has no network called {name!r}. {f'Near: {near}.' if near else 'timm.list_models() lists them.'}")
    body: nn.Module
    if pretrained:
        body = _fetched(f"timm:{name}", lambda: timm.create_model(name, pretrained=True))
        notes = _fit_head(body, name, int(body.num_classes), classes, replace_head)  # type: ignore[arg-type]
    else:
        body, notes = timm.create_model(name, pretrained=False, num_classes=classes), ()
    return Made(body, _from_timm(timm.data.resolve_model_data_config(body)), True, notes)


def _from_timm(config: dict[str, Any]) -> Preprocess:
    channels, height, width = config["input_size"]
    return Preprocess(
        size=(height, width),
        resize=round(min(height, width) / config.get("crop_pct", 1.0)),
        crop=min(height, width),
        interpolation=_interpolation(config["interpolation"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        colour="grey" if channels == 1 else "rgb",
    )


def hf_body(name: str, classes: int, *, pretrained: bool, replace_head: bool) -> Made:
    """An image classifier of Hugging Face's hub, by transformers.

    Raises:
        MissingExtra: transformers is not installed.
        UsageError: weights for other classes that are not to be replaced.
        MissingError: it could not be fetched.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra("transformers", "hf") from None
    auto, spec = transformers.AutoModelForImageClassification, f"hf:{name}"
    processor = _fetched(spec, lambda: transformers.AutoImageProcessor.from_pretrained(name))
    notes: tuple[str, ...] = ()
    if pretrained:
        model = _fetched(spec, lambda: auto.from_pretrained(name))
        notes = _fit_head(model, name, int(model.config.num_labels), classes, replace_head)
    else:
        model = auto.from_config(_fetched(spec, lambda: transformers.AutoConfig.from_pretrained(name, num_labels=classes)))
    return Made(Logits(model), _from_hf(processor), True, notes)


def _fetched(spec: str, get: Any) -> Any:
    try:
        return get()
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingError(f"{spec} could not be fetched: {error}. Fetch it once where there is a network, or give a file of weights.") from None


def _resized(edge: int | None, share: float | None) -> int | None:
    """The shorter side before the middle is cut out: ConvNeXt's processor cuts a share of it, below 384 pixels, and says that share alone."""
    return int(edge / share) if edge and share and edge < 384 else edge


def _from_hf(processor: Any) -> Preprocess:
    """What an image processor says; one that does not normalise leaves [0, 1]."""
    size = dict(processor.size)
    edge = size.get("shortest_edge")
    height, width = size.get("height", edge), size.get("width", edge)
    crop = dict(getattr(processor, "crop_size", None) or {}) if getattr(processor, "do_center_crop", False) else {}
    high, wide = crop.get("height", height), crop.get("width", width)
    seen = (high, wide) if isinstance(high, int) and isinstance(wide, int) else None
    normalises = getattr(processor, "do_normalize", True)
    # Pillow numbers its filters: 0 nearest, 2 bilinear, 3 bicubic.
    filters: dict[int, Literal["nearest", "bilinear", "bicubic"]] = {0: "nearest", 2: "bilinear"}
    plain = Preprocess(
        size=seen,
        resize=_resized(edge, getattr(processor, "crop_pct", None)) or (min(height, width) if height and width else None),
        crop=None if seen is None else min(seen),
        colour="bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb",
        interpolation=filters.get(int(getattr(processor, "resample", 2)), "bicubic"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    return msgspec.structs.replace(plain, mean=tuple(processor.image_mean), std=tuple(processor.image_std)) if normalises else plain
