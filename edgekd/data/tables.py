"""A CSV file that lists images → splits.

In: a file with a header and the columns path, label and, optionally, split and group; relative paths start at the file's own folder. Out: `Found`.
One label an image; images of one group never stand in different splits.
"""

import csv as csv_reader
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.data.folders import SPLIT_NAMES, Row, from_rows
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit

COLUMNS = ("path", "label", "split", "group")


def csv(file: Path, wanted: Wanted, emit: Emit) -> Found:
    """The images that a CSV file lists.

    Raises:
        MissingError: no such file, or images that it lists are not there.
        UsageError: columns, labels, splits or groups that do not fit.
    """
    rows = [_row(file, line, fields) for line, fields in _lines(file)]
    if not rows:
        raise UsageError(f"{file} lists no images: below its header there is nothing.")
    _check_files(file, rows)
    _check_groups(file, rows)
    labels = {row.label for row in rows if row.split == "train"}
    if not labels:
        raise UsageError(f"{file} has no training images: no row's split is train (or empty).")
    numbers = all(label.isdecimal() for label in labels)
    return from_rows(rows, str(file), wanted, emit, sorted(labels, key=int if numbers else None))


def _lines(file: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Each row's line number and its fields by column name."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_reader.DictReader(stream, skipinitialspace=True)
            header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            if not {"path", "label"} <= set(header):
                found = ", ".join(header) or "nothing"
                raise UsageError(f"{file} needs a header with the columns path and label (optional: split, group); it has: {found}.")
            reader.fieldnames = header
            return [(reader.line_num, {key: (row.get(key) or "").strip() for key in COLUMNS}) for row in reader]
    except OSError as error:
        raise MissingError(f"no csv file at {file}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv_reader.Error) as error:
        raise UsageError(f"{file} does not read as CSV in UTF-8: {error}.") from None


def _row(file: Path, line: int, fields: Mapping[str, str]) -> Row:
    label, split = fields["label"], fields["split"].lower() or "train"
    if not fields["path"] or not label:
        raise UsageError(f"{file}, line {line}: each image needs a path and a label, got path {fields['path']!r} and label {label!r}.")
    if ";" in label or "|" in label:
        raise UsageError(f"{file}, line {line}: classify works with one label an image, got {label!r}. Several labels are not supported yet.")
    if split not in SPLIT_NAMES:
        raise UsageError(f"{file}, line {line}: split is one of {', '.join(SPLIT_NAMES)}, or empty for train; got {split!r}.")
    return Row(file.parent / fields["path"], label, SPLIT_NAMES[split], fields["group"] or None)


def _check_files(file: Path, rows: Sequence[Row]) -> None:
    seen: set[Path] = set()
    for row in rows:
        if row.path in seen:
            raise UsageError(f"{file} lists {row.path} twice; an image has one row.")
        seen.add(row.path)
    missing = [row.path for row in rows if not row.path.is_file()]
    if missing:
        raise MissingError(
            f"{len(missing)} of {len(rows)} images that {file} lists are not there; the first is {missing[0]}. "
            "Relative paths start at the csv's folder."
        )


def _check_groups(file: Path, rows: Sequence[Row]) -> None:
    split_of: dict[str, str] = {}
    for row in rows:
        if row.group is not None and split_of.setdefault(row.group, row.split) != row.split:
            raise UsageError(f"{file}: a group never spans splits; group {row.group!r} has images in {split_of[row.group]} and in {row.split}.")
