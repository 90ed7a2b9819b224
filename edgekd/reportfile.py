"""A report ⇄ JSON with a version: what any edgekd wrote, every later one reads.

In: a `Report`, or the bytes or the path of one. Only finite numbers are written, and what does not read is refused by name.
"""

import math
from pathlib import Path
from typing import Any

import msgspec

from edgekd.errors import EdgekdError, MissingError, UsageError
from edgekd.record import SCHEMA, Report

LARGEST = 1 << 30
"""Bytes of a report that is read; a thousand measured files take a hundredth of it."""


def check_finite(value: Any, where: str) -> None:
    """Refuse numbers that are not finite: JSON has no word for them, and msgspec would write null.

    Raises:
        EdgekdError: one is not; its place is named, as in `report.scores[0].metrics.nll.value`.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EdgekdError(f"{where} is {value}, and only finite numbers are written. Nothing was written; look where this one comes from.")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            check_finite(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, dict):
        for name, item in value.items():
            check_finite(item, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_finite(item, f"{where}[{index}]")


def encode_report(report: Report) -> bytes:
    """A report as indented JSON.

    Raises:
        EdgekdError: a number in it is not finite.
    """
    check_finite(report, "report")
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


class _Version(msgspec.Struct, frozen=True):
    """What must be known of a report before the rest is read."""

    schema: Any = None


def decode_report(data: bytes, name: str = "report.json") -> Report:
    """A report of any schema version up to this one's.

    Raises:
        UsageError: not a report, or one that a newer edgekd wrote.
    """
    try:
        schema = msgspec.json.decode(data, type=_Version).schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{name} is not a report: {reason}. Give the report.json of a run folder.") from None
    if not isinstance(schema, int) or schema < 1:
        raise UsageError(f"{name} is not a report: its schema is {schema!r}, expected 1 to {SCHEMA}.")
    if schema > SCHEMA:
        raise UsageError(f"{name} has schema {schema}, this edgekd reads up to {SCHEMA}. Upgrade with: pip install -U edgekd")
    try:
        return msgspec.json.decode(data, type=Report)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is not a report that edgekd wrote: {error}") from None


def read_report(path: Path) -> Report:
    """The report in a file, or in a run folder's report.json."""
    file = path / "report.json" if path.is_dir() else path
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise UsageError(f"a report has at most {LARGEST:,} bytes, {file} has {size:,}. Give the report.json of a run folder.")
        data = file.read_bytes()
    except OSError as error:
        raise MissingError(f"no report at {file}: {error.strerror}. `edgekd compress` and `edgekd baseline save` write one.") from None
    return decode_report(data, str(file))
