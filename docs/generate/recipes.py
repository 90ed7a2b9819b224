"""Every key of a recipe as Markdown: a section for each struct, with what a key takes, its default and what it is.

In: the structs of `edgekd.recipe`, their annotations and docstrings, and `words` for keys that carry no docstring of their own. Out: text.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from docs.generate.words import CHOICES, KEYS
from edgekd.recipe import Recipe
from edgekd.terms import Term

PLAIN: dict[type[Type], str] = {StrType: "text", IntType: "whole number", FloatType: "number", BoolType: "true or false"}


def keys() -> str:
    """Every struct that a recipe is made of, in the order in which it meets them.

    Raises:
        SystemExit: a key or a choice that nothing explains.
    """
    return "\n\n".join(_section(kind, places) for kind, places in structs().items())


def structs() -> dict[type[msgspec.Struct], list[str]]:
    """Every struct, and the keys that it stands under, as in `train.optimizer`; "" is the recipe itself."""
    found: dict[type[msgspec.Struct], list[str]] = {}
    waiting: list[tuple[type[msgspec.Struct], str]] = [(Recipe, "")]
    while waiting:
        kind, place = waiting.pop(0)
        found.setdefault(kind, []).append(place)
        if len(found[kind]) == 1:
            for field in info(kind).fields:
                waiting += [(leaf.cls, f"{place}.{field.encode_name}".strip(".")) for leaf in _structs(field.type)]
    return found


def info(kind: type[msgspec.Struct]) -> StructType:
    """What msgspec knows of a struct."""
    found = type_info(kind)
    assert isinstance(found, StructType)
    return found


def explanation(kind: type[msgspec.Struct], key: str) -> str:
    """What a key is, in a sentence: its own docstring, else `words`; a choice's names follow.

    Raises:
        SystemExit: neither says.
    """
    own, ours = _docstrings(kind).get(key), KEYS.get(f"{kind.__name__}.{key}")
    if own is None and ours is None:
        ours = KEYS.get(f"*.{key}")
    if (own is None) == (ours is None):
        raise SystemExit(f"{kind.__name__}.{key} is explained {'nowhere' if own is None else 'twice'}: below its field, or in docs/generate/words.py")
    return " ".join([own or ours or "", *(f"`{name}`: {what}" for name, what in _choices(kind, key).items())])


def _section(kind: type[msgspec.Struct], places: list[str]) -> str:
    told = info(kind)
    rows = [_row(kind, field) for field in told.fields]
    if told.tag_field:
        rows.insert(0, f"| `{told.tag_field}` | Which term it is. | `{told.tag}` | required |")
    head = ["| key | what it is | takes | default |", "|---|---|---|---|"]
    return "\n\n".join([f"## {_title(told, places)}", " ".join(_cell(kind.__doc__ or "").split()), "\n".join([*head, *rows])])


def _title(told: StructType, places: list[str]) -> str:
    """What a section is called: where its keys stand in the file."""
    names = [place for place in places if place]
    if not names:
        return "The recipe's own keys"
    if told.tag_field:
        return f"{names[0]}: {told.tag}"
    return ", ".join(names)


def _row(kind: type[msgspec.Struct], field: Field) -> str:
    return f"| `{field.encode_name}` | {_cell(explanation(kind, field.name))} | {_takes(field.type)} | {_default(field)} |"


def _takes(kind: Type) -> str:
    """A type in a reader's words; what may be left out says so by its default."""
    if isinstance(kind, Metadata):
        return _takes(kind.type)
    if isinstance(kind, UnionType):
        parts = [part for part in kind.types if not isinstance(part, NoneType)]
        return " or ".join(dict.fromkeys(_takes(part) for part in parts))
    if isinstance(kind, LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, StructType):
        return "a term" if kind.tag_field else "a table"
    if isinstance(kind, (ListType, VarTupleType)):
        many = {"a table": "tables", "a term": "terms"}
        return f"list of {many.get(_takes(kind.item_type), _takes(kind.item_type))}"
    if isinstance(kind, TupleType):
        return f"[{', '.join(_takes(part) for part in kind.item_types)}]"
    if isinstance(kind, DictType):
        return f"table of {_takes(kind.value_type)}"
    return PLAIN[type(kind)]


def _default(field: Field) -> str:
    if field.required:
        return "required"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is None or value is msgspec.NODEFAULT:  # it has none where it is unset
        return "–"
    if isinstance(value, msgspec.Struct) or (isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct)):
        return "as its keys say" if isinstance(value, msgspec.Struct) else "two, as printed by `edgekd recipe`"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _structs(kind: Type) -> Iterator[StructType]:
    """The structs that may stand at a place."""
    if isinstance(kind, StructType):
        yield kind
    elif isinstance(kind, UnionType):
        for part in kind.types:
            yield from _structs(part)
    elif isinstance(kind, (ListType, VarTupleType)):
        yield from _structs(kind.item_type)


def _choices(kind: type[msgspec.Struct], key: str) -> dict[str, str]:
    """The names that a key chooses among, each with its sentence; {} where they speak for themselves.

    Raises:
        SystemExit: some are explained and others are not.
    """
    said = CHOICES.get(f"{kind.__name__}.{key}", {})
    (field,) = (field for field in info(kind).fields if field.name == key)
    names = [str(value) for literal in _literals(field.type) for value in literal.values]
    if said and sorted(said) != sorted(names):
        raise SystemExit(f"{kind.__name__}.{key} takes {', '.join(names)}, and docs/generate/words.py explains {', '.join(said)}")
    return said


def _literals(kind: Type) -> list[LiteralType]:
    parts = kind.types if isinstance(kind, UnionType) else (kind,)
    return [part for part in parts if isinstance(part, LiteralType)]


@cache
def _docstrings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string below each field of a class, as its source has it."""
    (tree,) = (node for node in ast.parse(inspect.getsource(sys.modules[kind.__module__])).body if getattr(node, "name", "") == kind.__name__)
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            found[field.target.id] = " ".join(text.split())
    return found


def _cell(text: str) -> str:
    """Text in a table. TOML has no None: a key without a value is left out."""
    return re.sub(r"\bNone: ", "left out: ", text).replace("|", "&#124;")


def terms() -> str:
    """The terms of a loss and what each is, from their docstrings."""
    rows = [f"| `{info(kind).tag}` | {_cell(kind.__doc__ or '')} |" for kind in get_args(Term)]
    return "\n".join(["| term | what it is |", "|---|---|", *rows])
