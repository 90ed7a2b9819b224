"""edgekd.data.tables: CSV files that list images."""

from pathlib import Path

import pytest

from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.data.tables import csv
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note, silent
from tests.data.conftest import WriteImages


def read(folder: Path, text: str) -> Found:
    """A table with this text, beside the images."""
    (folder / "table.csv").write_text(text, encoding="utf-8-sig")
    return csv(folder / "table.csv", Wanted(), silent)


@pytest.fixture
def images(tmp_path: Path, write_images: WriteImages) -> Path:
    """A folder with images/000.png to 011.png."""
    write_images(tmp_path / "images", 12)
    return tmp_path


def rows(labels: str, more: str = "") -> str:
    """One line per letter, all with the same end."""
    return "".join(f"images/{number:03}.png, {label}{more}\n" for number, label in enumerate(labels))


def test_paths_and_labels(images: Path) -> None:
    """The least that a table has; paths start at the table's folder."""
    found = read(images, "path,label\n" + rows("abab"))
    assert found.classes == ("a", "b")
    assert found.train.labels.tolist() == [0, 1, 0, 1]
    assert (found.valid, found.test, found.groups) == (None, None, None)


def test_a_label_that_says_nothing_is_warned_of(images: Path) -> None:
    """A program's word for nothing is a class as any other would be."""
    (images / "table.csv").write_text("path,label\nimages/000.png,a\nimages/001.png,NaN\nimages/002.png,b\n")
    told: list[Event] = []
    assert csv(images / "table.csv", Wanted(), told.append).classes == ("NaN", "a", "b")
    assert any(isinstance(event, Note) and "has images labelled 'NaN', which is a class like any other here" in event.text for event in told)


def test_splits_are_kept(images: Path) -> None:
    """Train (or nothing), val and test, in any letters; columns in any order."""
    text = "Label,Split,Path\na,Train,images/000.png\nb,,images/001.png\na,VAL,images/002.png\nb,test,images/003.png\n"
    found = read(images, text)
    assert found.valid is not None
    assert found.test is not None
    assert (len(found.train), len(found.valid), len(found.test)) == (2, 1, 1)


def test_number_labels_sort_as_numbers(images: Path) -> None:
    """10 comes after 2."""
    found = read(images, "path,label\nimages/000.png,10\nimages/001.png,2\n")
    assert found.classes == ("2", "10")


def test_numbers_that_are_equal_have_an_order(images: Path) -> None:
    """01 and 1 stand side by side the same way in every process."""
    found = read(images, "path,label\nimages/000.png,1\nimages/001.png,01\nimages/002.png,2\nimages/003.png,02\n")
    assert found.classes == ("01", "1", "02", "2")


def test_groups_are_handed_on(images: Path) -> None:
    """One text per training image; an image without a group is its own."""
    found = read(images, "path,label,group\nimages/000.png,a,p1\nimages/001.png,b,p1\nimages/002.png,a,\n")
    assert found.groups == ["p1", "p1", str(images / "images" / "002.png")] or found.groups == [
        "p1",
        "p1",
        (images / "images" / "002.png").as_posix(),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\nimages/000.png,a\n", r"needs a header with the columns path and label .* it has: file, class"),
        ("", r"needs a header .* it has: nothing"),
        ("path,label\n", r"lists no images: below its header there is nothing"),
        ("path,label\nimages/000.png,\n", r"line 2: each image needs a path and a label, got path 'images/000\.png' and label ''"),
        ("path,label\nimages/000.png,cat;dog\n", r"line 2: classify works with one label an image, got 'cat;dog'\. For several set task"),
        ("path,label\nimages/000.png,cat|dog\n", r"classify works with one label an image, got 'cat\|dog'"),
        ("path,label,split\nimages/000.png,a,dev\n", r"split is one of train, val, .*; got 'dev'"),
        ("path,label\nimages/000.png,a\nimages/000.png,b\n", r"lists .*000\.png twice; an image has one row"),
        ("path,label,split\nimages/000.png,a,test\n", r"no training images: no row's split is train"),
        ("path,label,split\nimages/000.png,a,train\nimages/001.png,c,test\n", r"is of class 'c', which train of .* lacks"),
        (
            "path,label,split,group\nimages/000.png,a,train,p1\nimages/001.png,a,test,p1\n",
            r"a group never spans splits; group 'p1' has images in train and in test",
        ),
    ],
)
def test_tables_that_cannot_be_used(images: Path, text: str, message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(UsageError, match=message):
        read(images, text)


def test_files_that_are_not_there(images: Path) -> None:
    """A missing table, and a table of missing images."""
    with pytest.raises(MissingError, match=r"no csv file at .*none\.csv"):
        csv(images / "none.csv", Wanted(), silent)
    with pytest.raises(MissingError, match=r"1 of 2 images that .* lists are not there; the first is .*no\.png\. Relative paths start at the"):
        read(images, "path,label\nimages/000.png,a\nimages/no.png,b\n")


def test_a_table_that_is_no_text(images: Path) -> None:
    """Bytes that are not UTF-8."""
    (images / "table.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(UsageError, match=r"does not read as CSV in UTF-8"):
        csv(images / "table.csv", Wanted(), silent)


# Several labels an image ----------------------------------------------------------------------------------------------


def read_several(folder: Path, text: str) -> Found:
    """The same where an image may have several labels."""
    (folder / "table.csv").write_text(text, encoding="utf-8-sig")
    return csv(folder / "table.csv", Wanted(several=True), silent)


def test_several_labels_in_a_cell(images: Path) -> None:
    """As lists of X-rays have them; images without any stay."""
    text = "path,label,split\nimages/000.png,Mass|Nodule,train\nimages/001.png,No Finding,train\nimages/002.png,Nodule,test\nimages/003.png,,\n"
    found = read_several(images, text)
    assert found.classes == ("Mass", "Nodule")
    assert found.train.labels.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert found.test is not None
    assert found.test.labels.tolist() == [[0, 1]]


def test_a_column_for_each_label(images: Path) -> None:
    """Named as in the header; nothing in a cell: not known. A column `group` is none of them."""
    found = read_several(images, "path,Mass,Nodule,group\nimages/000.png,1,0,p\nimages/001.png,,1,p\nimages/002.png,-1.0,0.0,q\n")
    assert found.classes == ("Mass", "Nodule")
    assert found.train.labels.tolist() == [[1, 0], [-1, 1], [-1, 0]]
    assert found.groups == ["p", "p", "q"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\nimages/000.png,a\n", r"needs a header with the column path, and label \(several in a cell, .*; it has: file, class"),
        ("path,split\nimages/000.png,train\n", r"or a column of 0 and 1 for each label"),
        ("", r"it has: nothing"),
        ("path,label\n", r"lists no images"),
        ("path,label\n,a|b\n", r"line 2: each image needs a path, and this row has none"),
        ("path,label\nimages/000.png,a\n", r'has 1 label\(s\) in its training images; with task = "multilabel" there are 2 or more'),
        ("path,label,split\nimages/000.png,a|b,\nimages/001.png,c,test\n", r"line 3: a label can only be tested .* no training image shows 'c'"),
        ("path,label,split\nimages/000.png,a|b,dev\n", r"line 2: split is one of train, val, .*; got 'dev'"),
        ("path,a,b\nimages/000.png,1,2\n", r"line 2: a label's column says 1 \(shown\), .* 'b' has '2'"),
        ("path,Mass,mass\nimages/000.png,1,0\n", r"has two columns called 'mass'"),
    ],
)
def test_tables_of_several_labels_that_cannot_be_used(images: Path, text: str, message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(UsageError, match=message):
        read_several(images, text)
