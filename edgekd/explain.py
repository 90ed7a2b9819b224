"""What is wrong in a table that a person wrote, in their words: the place, the value received, the nearest thing that would do.

In: msgspec's error, the struct that was asked for, and the table. Out: one sentence. It decides nothing and raises nothing.
"""

import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def explain(error: msgspec.ValidationError, kind: type[msgspec.Struct], table: Any) -> str:
    """The error in words, as in `unknown key 'epoch' in phase[0]; did you mean 'epochs'?`."""
    text, _, where = str(error).partition(" - at ")
    where = where.strip("`").removeprefix("$").removeprefix(".")
    inside = f" in {where}" if where else ""
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", text):
        return f"unknown key {unknown[1]!r}{inside}; {_unknown_key(unknown[1], where, kind, table)}"
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        return f"the key {missing[1]!r} is missing{inside}"
    if wrong := re.fullmatch(r"Invalid (?:enum )?value (.+)", text, re.DOTALL):
        tables = any(isinstance(each, msgspec.inspect.DictType) for each in _at(where, kind, None))
        return f"{wrong[1]} is no value for {where or 'this'}; it takes {', '.join(sorted(_choices(where, kind, table)))}{', or a table' * tables}"
    hint = ". Write [height, width], as in [32, 32]" if where.rpartition(".")[2] == "size" and "array" in text else _as_table(where, kind, table)
    return f"{text[0].lower()}{text[1:]}{f' (at {where})' if where else ''}{hint}"


def _as_table(where: str, kind: type[msgspec.Struct], table: Any) -> str:
    """How to write a bare text where a table, or a list of them, is wanted; empty where none is."""
    value = table
    for step in _STEP.finditer(where):
        if step[2] == "...":
            return ""  # of which entry, nobody tells
        value = value[step[1] if step[1] is not None else int(step[2])]
    kinds = [leaf for each in _at(where, kind, None) for leaf in _leaves(each)]
    inner = [leaf for each in kinds for item in _items(each) for leaf in _leaves(item)]
    struct = next((each for each in (*kinds, *inner) if isinstance(each, msgspec.inspect.StructType)), None)
    if not isinstance(value, str) or struct is None:
        return ""
    first = struct.tag_field or struct.fields[0].encode_name
    written = f'{{ {first} = "{value}" }}'
    return f". Write {written}" if struct in kinds else f". Write [{written}]"


def _unknown_key(key: str, where: str, kind: type[msgspec.Struct], table: Any) -> str:
    """What to write in place of an unknown key, or where it belongs."""
    candidates = [k for k in _at(where, kind, None) if isinstance(k, msgspec.inspect.StructType)]
    meant = [k for k in _at(where, kind, table) if isinstance(k, msgspec.inspect.StructType)]
    known = sorted(_keys(meant))
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    near = [min(each for each in near if _alike(key, each) == _alike(key, near[0]))] if near else []  # of those as like the first: p50 before p95
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    if not where and (deeper := _deeper(key, meant, near[0] if near else "")):
        hint = f"did you mean {deeper}?"
    others = [k for k in candidates if k not in meant and key in _keys([k])]
    if others:
        owners = " and ".join(f'{k.tag_field} = "{k.tag}"' for k in others)
        return f"it belongs to {owners}; {hint}"
    return hint


def _deeper(key: str, kinds: list[Any], here: str) -> str:
    """A key of tables within that is far more like `key` than `here` is, and whose: the outermost by their paths. Empty where none has one."""
    found = list(_inside(kinds, ""))
    near = difflib.get_close_matches(key, sorted({name for _, name in found}), n=1, cutoff=0.75)
    if not near or _alike(key, near[0]) <= _alike(key, here) + 0.2:
        return ""
    owners = sorted({path for path, name in found if name == near[0]})
    outermost = min(path.count(".") for path in owners)
    return f"{near[0]!r} of {' or '.join(path for path in owners if path.count('.') == outermost)}"


def _inside(kinds: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Path and key of all that stands in the tables of a table."""
    for field in (field for kind in kinds for field in kind.fields):
        leaves = _leaves(field.type)
        structs = [leaf for part in leaves for leaf in [part, *(inner for item in _items(part) for inner in _leaves(item))]]
        tables = [leaf for leaf in structs if isinstance(leaf, msgspec.inspect.StructType)]
        inside = f"{path}.{field.encode_name}" if path else field.encode_name
        yield from ((inside, name) for name in sorted(_keys(tables)))
        yield from _inside(tables, inside)


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _keys(kinds: list[msgspec.inspect.StructType]) -> set[str]:
    return {field.encode_name for kind in kinds for field in kind.fields} | {kind.tag_field for kind in kinds if kind.tag_field}


def _choices(where: str, kind: type[msgspec.Struct], table: Any) -> set[str]:
    """The words that may stand at a place: those of a Literal, or the tags of the structs there."""
    holder, _, last = where.rpartition(".")
    tags = {str(k.tag) for k in _at(holder, kind, None) if isinstance(k, msgspec.inspect.StructType) and k.tag_field == last}
    literals = [k for k in _at(where, kind, table) if isinstance(k, msgspec.inspect.LiteralType)]
    return tags | {str(value) for literal in literals for value in literal.values}


def _at(where: str, kind: type[msgspec.Struct], table: Any) -> list[Any]:
    """The types that may stand at a path such as `phase[0].subset`; where the table tells tagged structs apart, only the one it names."""
    kinds = [msgspec.inspect.type_info(kind)]
    for step in _STEP.finditer(where):
        name, index = step[1], step[2]
        if name is not None:
            kinds = [f.type for k in kinds if isinstance(k, msgspec.inspect.StructType) for f in k.fields if f.encode_name == name]
            table = table.get(name) if isinstance(table, dict) else None
        else:
            kinds = [item for k in kinds for item in _items(k)]
            table = table[int(index)] if isinstance(table, list) and index.isdigit() else None
        kinds = _named([leaf for k in kinds for leaf in _leaves(k)], table)
    return kinds


def _named(kinds: list[Any], table: Any) -> list[Any]:
    """Of tagged structs the one that the table names, where it names one."""
    tagged = [k for k in kinds if isinstance(k, msgspec.inspect.StructType) and k.tag_field]
    return [k for k in tagged if isinstance(table, dict) and table.get(k.tag_field) == k.tag] or kinds


def _items(kind: Any) -> list[Any]:
    if isinstance(kind, msgspec.inspect.DictType):
        return [kind.value_type]
    return [kind.item_type] if isinstance(kind, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)) else []


def _leaves(kind: Any) -> list[Any]:
    return [leaf for part in kind.types for leaf in _leaves(part)] if isinstance(kind, msgspec.inspect.UnionType) else [kind]
