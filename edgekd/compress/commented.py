"""A recipe as TOML that explains itself.

In: a recipe, and remarks by key: "" opens the file, "data" or "train.views" stands over that key, "train" or "limit.0" over that table. Out: text
that reads back as the same recipe. What is as by default is left out, unless a remark speaks of it; a remark of a key without a value stands alone.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import tomli_w
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo

from edgekd.phases import Augment, Phase, Temperature
from edgekd.recipe import Recipe
from edgekd.recipefile import decode_recipe

Remarks = Mapping[str, Sequence[str]]
"""By key, one paragraph each."""

WIDTH = 120
"""Characters of a comment's line."""
_TABLES = ("co_teacher", "student", "on", "train", "phase", "export", "limit")
"""Keys that are written as tables, below the plain ones."""
_ALWAYS: dict[type, tuple[str, ...]] = {
    Augment: ("crop", "flip"),
    Phase: ("temperature",),
    Temperature: ("start", "end"),
}
"""What is said though it be as by default: people look for it."""


def commented(recipe: Recipe, remarks: Remarks) -> str:
    """The recipe's text."""
    plain = (name for name in recipe.__struct_fields__ if name not in _TABLES or not getattr(recipe, name))
    blocks = [_remark(remarks.get("", ())), *(list(_keys(recipe, "", remarks, name)) for name in plain), *_tables(recipe, remarks)]
    text = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
    assert decode_recipe(text) == recipe, text
    return text


def printable(text: str) -> str:
    """A text on one line, without what a terminal or TOML would take for more than text: class names and paths may hold anything."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _tables(recipe: Recipe, remarks: Remarks) -> Iterator[list[str]]:
    plain = Recipe()
    for name in _TABLES:
        value = getattr(recipe, name)
        if value == getattr(plain, name) and not any(key.partition(".")[0] == name for key in remarks):
            continue
        for place, one in enumerate(value) if isinstance(value, tuple) else ():
            yield [*_remark(remarks.get(f"{name}.{place}", ())), f"[[{name}]]", *_keys(one, f"{name}.{place}.", remarks)]
        if isinstance(value, msgspec.Struct):
            keys = list(_keys(value, f"{name}.", remarks))
            yield [*_remark(remarks.get(name, ())), *([f"[{name}]", *keys] if keys else [])]
        if isinstance(value, dict) and value:
            yield [*_remark(remarks.get(name, ())), f"[{name}]", *(_line(key, host) for key, host in value.items())]


def _keys(struct: msgspec.Struct, path: str, remarks: Remarks, only: str | None = None) -> Iterator[str]:
    """A struct's keys (or one of them), a line each, below what there is to say of them."""
    for field in msgspec.structs.fields(struct):
        if only not in (None, field.name):
            continue
        said, value = remarks.get(f"{path}{field.name}", ()), getattr(struct, field.name)
        yield from _remark(said)
        if value is not None and (said or not _by_default(struct, field)):
            yield _line(field.encode_name, value)


def _by_default(struct: msgspec.Struct, field: FieldInfo) -> bool:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return bool(getattr(struct, field.name) == default) and field.name not in _ALWAYS.get(type(struct), ())


def _remark(paragraphs: Sequence[str]) -> list[str]:
    return [
        f"# {line}"
        for paragraph in paragraphs
        for line in textwrap.wrap(printable(paragraph), WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    ]


def _line(key: str, value: Any) -> str:
    return f"{tomli_w.dumps({key: 0}).removesuffix(' = 0' + chr(10))} = {_value(value)}"


def _value(value: Any) -> str:
    """A value on one line, as TOML has it."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__
        fields = {tag.tag_field: tag.tag} if tag.tag_field is not None else {}
        told = (field for field in msgspec.structs.fields(value) if not _by_default(value, field))
        value = {**fields, **{field.encode_name: each for field in told if (each := getattr(value, field.name)) is not None}}
    if isinstance(value, dict):
        return f"{{ {', '.join(_line(key, each) for key, each in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
