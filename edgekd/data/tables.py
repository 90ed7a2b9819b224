"""A CSV file that lists images → splits.

In: a file with a header and the columns path, label and, optionally, split and group; relative paths start at the file's own folder. Out: `Found`.
Where an image may have several labels, `label` lists them, as in "Cardiomegaly|Effusion", or each label has a column of its own. Images of one group
never stand in different splits.
"""

import csv as csv_reader
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.data import matrices
from edgekd.data.folders import SPLIT_NAMES, Row, Split, from_rows
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Note

_NOTHING = ("nan", "none", "null", "na", "n/a")
"""What programs write where they have nothing to write."""
COLUMNS = ("path", "label", "split", "group")


def csv(file: Path, wanted: Wanted, emit: Emit) -> Found:
    """The images that a CSV file lists.

    Raises:
        MissingError: no such file, or images that it lists are not there.
        UsageError: columns, labels, splits or groups that do not fit.
    """
    header, lines = _lines(file)
    rows, names = (_marked if wanted.several else _labelled)(file, header, lines)
    if not rows:
        raise UsageError(f"{file} lists no images: below its header there is nothing.")
    for name in [] if wanted.several else [name for name in names if name.lower() in _NOTHING]:
        told = f"{file} has images labelled {name!r}, which is a class like any other here: leave them out if it stands for no label."
        emit(Note(text=told, level="warning"))
    _check_files(file, rows)
    _check_groups(file, rows)
    if not any(row.split == "train" for row in rows):
        raise UsageError(f"{file} has no training images: no row's split is train (or empty).")
    return from_rows(rows, str(file), wanted, emit, names)


Lines = Sequence[tuple[int, Mapping[str, str]]]
"""Each row's line number and its fields by column name in small letters; those of `COLUMNS` that the file lacks are empty."""


def _labelled(file: Path, header: Sequence[str], lines: Lines) -> tuple[list[Row], list[str]]:
    """Rows of one label each, and the labels of the training images in order.

    Raises:
        UsageError: columns are missing, or a row that does not fit.
    """
    small = list(map(str.lower, header))
    if not {"path", "label"} <= set(small):
        found = ", ".join(small) or "nothing"
        raise UsageError(f"{file} needs a header with the columns path and label (optional: split, group); it has: {found}.")
    rows = [_row(file, line, fields) for line, fields in lines]
    labels = {row.label for row in rows if row.split == "train"}
    return rows, sorted(labels, key=_by_number if all(label.isdecimal() for label in labels) else None)


def _marked(file: Path, header: Sequence[str], lines: Lines) -> tuple[list[Row], list[str]]:
    """Rows of any number of labels, and the labels: those that training images show in a cell, or those that have columns.

    Raises:
        UsageError: columns are missing, there are fewer than 2 labels, one that no training image shows, or a row that does not fit.
    """
    columns = [name for name in header if name.lower() not in COLUMNS]
    listed = "label" in map(str.lower, header)
    if "path" not in map(str.lower, header) or not (listed or columns):
        raise UsageError(
            f"{file} needs a header with the column path, and label (several in a cell, as in cat|dog) or a column of 0 and 1 for each label "
            f"(optional: split, group); it has: {', '.join(header) or 'nothing'}."
        )
    splits = [_split(file, line, fields) for line, fields in lines]
    names = columns
    if listed:
        cells = [fields["label"] for _, fields in lines]
        numbers = {label for cell, split in zip(cells, splits, strict=True) if split == "train" for label in matrices.in_cell(cell)}
        names = sorted(numbers, key=_by_number if all(label.isdecimal() for label in numbers) else None)
        _check_learnable(file, lines, names)
        marks = matrices.from_cells(cells, names)
    else:
        marks = [matrices.from_columns([fields[name.lower()] for name in names], names, f"{file}, line {line}") for line, fields in lines]
    if lines and len(names) < 2:
        raise UsageError(f'{file} has {len(names)} label(s) in its training images; with task = "multilabel" there are 2 or more.')
    return [
        Row(_path(file, line, fields), "", split, fields["group"] or None, told)
        for (line, fields), split, told in zip(lines, splits, marks, strict=True)
    ], names


def _by_number(label: str) -> tuple[int, str]:
    """By value, and 01 before 1: a set has no order of its own."""
    return int(label), label


def _check_learnable(file: Path, lines: Lines, names: Sequence[str]) -> None:
    for line, fields in lines:
        for label in matrices.in_cell(fields["label"]):
            if label not in names:
                raise UsageError(f"{file}, line {line}: a label can only be tested if it can be learnt; no training image shows {label!r}.")


def _lines(file: Path) -> tuple[list[str], Lines]:
    """The names of the columns as they are written, and the rows below them."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_reader.DictReader(stream, skipinitialspace=True)
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            small = list(map(str.lower, header))
            for name in small:
                if small.count(name) > 1:
                    raise UsageError(f"{file} has two columns called {name!r}; each column has a name of its own.")
            if not header:
                return [], []
            reader.fieldnames = small
            return header, [(reader.line_num, {key: (row.get(key) or "").strip() for key in (*COLUMNS, *small)}) for row in reader]
    except OSError as error:
        raise MissingError(f"no csv file at {file}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv_reader.Error) as error:
        raise UsageError(f"{file} does not read as CSV in UTF-8: {error}.") from None


def _row(file: Path, line: int, fields: Mapping[str, str]) -> Row:
    label = fields["label"]
    if not fields["path"] or not label:
        raise UsageError(f"{file}, line {line}: each image needs a path and a label, got path {fields['path']!r} and label {label!r}.")
    if any(separator in label for separator in matrices.SEPARATORS):
        raise UsageError(f'{file}, line {line}: classify works with one label an image, got {label!r}. For several set task = "multilabel".')
    return Row(_path(file, line, fields), label, _split(file, line, fields), fields["group"] or None)


def _path(file: Path, line: int, fields: Mapping[str, str]) -> Path:
    if not fields["path"]:
        raise UsageError(f"{file}, line {line}: each image needs a path, and this row has none.")
    return file.parent / fields["path"]


def _split(file: Path, line: int, fields: Mapping[str, str]) -> Split:
    split = fields["split"].lower() or "train"
    if split not in SPLIT_NAMES:
        raise UsageError(f"{file}, line {line}: split is one of {', '.join(SPLIT_NAMES)}, or empty for train; got {split!r}.")
    return SPLIT_NAMES[split]


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
