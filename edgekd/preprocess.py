"""How a network wants its images: whole, as files carry it and networks apply it, and as far as a recipe states it.

In: a file's metadata, or a recipe's table. Out: a `Preprocess`. This module applies none: `models.network` does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from edgekd.errors import UsageError
from edgekd.terms import Struct, require

Colour: TypeAlias = Literal["rgb", "bgr", "grey"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
"""How a network may want its channels."""


class Preprocess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a network wants its images, applied by the network itself.

    `size` is (height, width) in pixels; None takes images as they come. `resize` is the length in pixels of the shorter side before a centre
    crop to `crop`, as torchvision and timm state it: where images come larger than needed, the ratio of the two says which part is seen.
    `mean` and `std` are per channel, for values in [0, 1]; a single value stands for every channel. `colour` is the channel order.
    """

    size: tuple[int, int] | None = None
    resize: int | None = None
    crop: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    colour: Colour = "rgb"

    def __post_init__(self) -> None:
        if any(not s > 0 for s in self.std):
            raise ValueError(f"std must be above 0 in every channel, got {list(self.std)}")
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std must have as many values, got {len(self.mean)} and {len(self.std)}")

    @property
    def crop_fraction(self) -> float:
        """The part of a resized image that the centre crop keeps; 1 where there is none."""
        return self.crop / self.resize if self.crop and self.resize else 1.0


PREPROCESS_KEY = "edgekd.preprocess"
"""Under which a file's metadata (ONNX's, safetensors') hold the Preprocess as JSON."""


def carried_preprocess(metadata: Mapping[str, str], file: Path) -> Preprocess | None:
    """The Preprocess in a file's metadata; None where there is none.

    Raises:
        UsageError: it does not read.
    """
    text = metadata.get(PREPROCESS_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Preprocess)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"the metadata {PREPROCESS_KEY} of {file} does not read: {error}. Export the file again, or state preprocess beside its model."
        ) from None


class Stated(Struct, frozen=True, kw_only=True):
    """How a network wants its images, as far as the recipe says it; what is left out is as its weights say, or without weights as the data is.

    `resize` is the length in pixels of the shorter side before a centre crop to `crop`, as torchvision and timm state it: where images come larger
    than needed, the ratio of the two says which part is seen. With a `size` both are the recipe's to say.
    """

    size: tuple[int, int] | None = None
    resize: int | None = None
    crop: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    colour: Colour | None = None

    def __post_init__(self) -> None:
        told = [f"{name} = {list(values)}" for name, values in (("mean", self.mean), ("std", self.std)) if values is not None]
        require(len(told) != 1, "mean and std stand together", ", ".join(told))
        if self.mean is not None and self.std is not None:
            scale = "mean and std are of values in [0, 1]: divide those of 0 to 255 by 255"
            require(all(0 <= mean <= 1 for mean in self.mean), scale, ", ".join(told))
            Preprocess(mean=self.mean, std=self.std)

    def over(self, known: Preprocess) -> Preprocess:
        """All of it: what is stated goes before what is known otherwise."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        cut = known if self.size is None else msgspec.structs.replace(known, resize=None, crop=None)
        return msgspec.structs.replace(cut, **told)
