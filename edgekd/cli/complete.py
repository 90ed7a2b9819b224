"""What a shell offers when Tab is pressed after an option: values of closed sets. Paths are the shell's own business.

In: how an option is called and what its help says it takes (`text|markdown|json`, `MODEL`). Out: the values, without loading torch, as a person
waits for them. Which words exist is decided elsewhere; tests hold these lists to it.
"""

import re
from collections.abc import Callable, Iterator, Sequence

DATA = (
    *("digits", "folder:", "npz:", "csv:", "hf:", "cifar10:", "cifar100:", "fashion-mnist:", "mnist:", "kmnist:", "usps:", "svhn:"),
    *("stl10:", "gtsrb:", "food101:", "flowers102:", "dtd:", "fgvc-aircraft:", "oxford-pets:"),
)
MODELS = (
    *("resnet8", "resnet20", "resnet32", "resnet56", "resnet110", "resnet8x4", "resnet32x4", "wrn-16-2", "wrn-40-2"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("efficientnet_b0", "shufflenet_v2_x1_0", "squeezenet1_1", "regnet_y_400mf", "convnext_tiny", "vit_b_16"),
    *("timm:", "hf:"),
)
"""Some of hundreds: the built-in ones that the literature measures on, and torchvision's usual ones."""
ARTIFACTS = ("shipped", "fp32", "fp16", "int8", "int8-cpu")


def offered(name: str, metavar: str) -> Callable[[], Sequence[str]] | None:
    """What to ask for the values of an option or argument; None where the set is open or one of files."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if metavar in _BY_METAVAR:
        return _BY_METAVAR[metavar]
    words = [word for word in metavar.split("|") if re.fullmatch(r"[a-z0-9-]+", word)]
    return (lambda: words) if words and "|" in metavar else None


def _targets() -> list[str]:
    from edgekd import target

    return target.names()


def _quantities() -> list[str]:
    """What --limit can bound, each with its equals sign."""
    import msgspec

    from edgekd.limit import Limit

    single = [field.name for field in msgspec.structs.fields(Limit) if field.type == str | float | None]
    return [*(f"{name}=" for name in single), "recall.", "growth.size=", "growth.latency="]


def _keys() -> Iterator[str]:
    """The recipe's plain keys and those of its tables, each with its equals sign."""
    import msgspec

    from edgekd.recipe import Recipe

    for field in msgspec.structs.fields(Recipe):
        inner = getattr(field.type, "__struct_fields__", ())
        yield from [f"{field.name}.{name}=" for name in inner] or [f"{field.name}="]


_BY_METAVAR: dict[str, Callable[[], Sequence[str]]] = {
    "SPEC": lambda: DATA,
    "MODEL": lambda: MODELS,
    "TARGET": _targets,
    "TARGET[=HOST]": _targets,
    "NAME|FILE.toml": _targets,
    "QUANTITY=VALUE": _quantities,
    "KEY=VALUE": lambda: list(_keys()),
}
_BY_NAME: dict[str, Callable[[], Sequence[str]]] = {
    "target": _targets,
    "device": lambda: ("cpu", "cuda"),
    "artifact": lambda: ARTIFACTS,
}
