"""edgekd.data.folders: folders of image files, as they are laid out."""

from pathlib import Path

import numpy as np
import pytest

from edgekd.data.folders import below, folder
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.data.source import load
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note, silent
from tests.data.conftest import WriteImages


def read(directory: Path, events: list[Event] | None = None) -> Found:
    """The folder as it is."""
    return folder(directory, Wanted(), silent if events is None else events.append)


def write_split(write_images: WriteImages, directory: Path, **counts: int) -> None:
    """A class folder for each keyword, with so many images."""
    for name, count in counts.items():
        write_images(directory / name, count)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_all_three_splits_as_they_are_named(tmp_path: Path, write_images: WriteImages, name: str) -> None:
    """train, val and test are what they say; class numbers follow the sorted names of train."""
    write_split(write_images, tmp_path / "train", dog=5, cat=4)
    write_split(write_images, tmp_path / name, cat=2, dog=1)
    write_split(write_images, tmp_path / "test", dog=3)
    found = read(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0] * 4 + [1] * 5
    assert found.valid is not None
    assert found.test is not None
    assert found.valid.labels.tolist() == [0, 0, 1]
    assert found.test.labels.tolist() == [1, 1, 1]
    every = [*found.test.index, *found.train.index, *found.valid.index]
    assert every == list(range(15)), "the index counts all sorted paths: test, train, val"


def test_splits_by_their_usual_other_names(tmp_path: Path, write_images: WriteImages) -> None:
    """Training and Testing are no classes."""
    write_split(write_images, tmp_path / "Training", dog=5, cat=4)
    write_split(write_images, tmp_path / "Testing", dog=3)
    found = read(tmp_path)
    assert (found.classes, len(found.train), found.test is not None and len(found.test)) == (("cat", "dog"), 9, 3)


def test_a_class_without_pictures_is_named(tmp_path: Path, write_images: WriteImages) -> None:
    """It would disappear without a word; .jfif is a JPEG like any other."""
    write_split(write_images, tmp_path, dog=3, cat=3)
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "000.jfif")
    (tmp_path / "elk").mkdir()
    (tmp_path / "elk" / "a.heic").write_bytes(b"x")
    events: list[Event] = []
    found = read(tmp_path, events)
    assert (found.classes, len(found.train)) == (("cat", "dog"), 6)
    assert [event.text.endswith("elk has no file that ends as a picture does, and is no class") for event in events if isinstance(event, Note)] == [
        True
    ]


def test_without_test_the_validation_images_are_the_test_set(tmp_path: Path, write_images: WriteImages) -> None:
    """As ImageNet has it."""
    write_split(write_images, tmp_path / "train", a=4, b=4)
    write_split(write_images, tmp_path / "val", a=2, b=2)
    events: list[Event] = []
    found = read(tmp_path, events)
    assert found.valid is None
    assert found.test is not None
    assert len(found.test) == 4
    assert Note(text=f"{tmp_path} has no test split: its validation images are the test set, and validation is cut from train") in events


def test_unseen_test_images_leave_the_validation_images_what_they_are(tmp_path: Path, write_images: WriteImages) -> None:
    """With --test nothing has to be borrowed from them, and none is cut from train."""
    write_split(write_images, tmp_path / "seen" / "train", a=10, b=10)
    write_split(write_images, tmp_path / "seen" / "val", a=3, b=2)
    write_split(write_images, tmp_path / "unseen", a=2, b=2)
    found = load(f"folder:{tmp_path / 'seen'}", test=f"folder:{tmp_path / 'unseen'}")
    assert (len(found.train), len(found.valid), len(found.test)) == (20, 5, 4)


def test_one_folder_of_classes_has_no_splits(tmp_path: Path, write_images: WriteImages) -> None:
    """DIR/CLASS/*, also in folders below; what is no image by name, or hidden, is passed over."""
    write_split(write_images, tmp_path, a=3, b=3)
    write_images(tmp_path / "a" / "deeper", 2, ending="jpg")
    write_images(tmp_path / ".hidden", 2)
    (tmp_path / "b" / "README.txt").write_text("text", encoding="utf-8")
    found = read(tmp_path)
    assert found.classes == ("a", "b")
    assert found.train.labels.tolist() == [0] * 5 + [1] * 3
    assert found.test is None
    assert found.lacks_test is None
    assert found.unreadable == ()


def test_hidden_files_are_no_images(tmp_path: Path, write_images: WriteImages) -> None:
    """macOS leaves ._NAME.png beside a picture on other disks."""
    write_split(write_images, tmp_path / "train", cat=2, dog=2)
    (tmp_path / "train" / "cat" / "._000.png").write_bytes(b"\x00\x05\x16\x07")
    found = read(tmp_path)
    assert (len(found.train), found.unreadable) == (4, ())


def test_links_are_followed_and_hidden_folders_are_not(tmp_path: Path, write_images: WriteImages) -> None:
    """A folder that leads elsewhere counts as one, once however it leads back; what tools keep beside pictures is none of them."""
    write_split(write_images, tmp_path / "data", cat=2, dog=2)
    write_images(tmp_path / "elsewhere", 3)
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data" / "cat", target_is_directory=True)
    write_images(tmp_path / "data" / "dog" / ".ipynb_checkpoints", 5)
    assert np.bincount(read(tmp_path / "data").train.labels).tolist() == [5, 2]
    assert len(list(below(tmp_path / "data"))) == 7


def test_endings_may_be_capitals(tmp_path: Path, write_images: WriteImages) -> None:
    """As cameras write them."""
    write_split(write_images, tmp_path / "train", cat=2)
    write_images(tmp_path / "train" / "dog", 3, ending="JPG")
    found = read(tmp_path)
    assert (found.classes, len(found.train)) == (("cat", "dog"), 5)


def test_unreadable_files_leave_no_gap_in_the_index(tmp_path: Path, write_images: WriteImages) -> None:
    """The index counts readable files only, and the others are listed by path."""
    write_split(write_images, tmp_path, a=3, b=3)
    (tmp_path / "a" / "001.png").write_text("no picture", encoding="utf-8")
    found = read(tmp_path)
    assert found.unreadable == (str(tmp_path / "a" / "001.png"),)
    assert found.train.index.tolist() == list(range(5))
    assert found.train.labels.tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_lacks(tmp_path: Path, write_images: WriteImages, split: str) -> None:
    """It cannot have been learnt."""
    write_split(write_images, tmp_path / "train", a=2, b=2)
    write_split(write_images, tmp_path / split, a=1, bird=1)
    with pytest.raises(UsageError, match=r"if it can be learnt: .*000\.png is of class 'bird', which train of .* lacks\. Train has: a, b\."):
        read(tmp_path)


def test_folders_that_are_not_there_or_empty(tmp_path: Path) -> None:
    """No folder, an empty one, and a train folder without images."""
    with pytest.raises(MissingError, match=r"no folder at .*nowhere; folder: takes DIR/train/CLASS/\*"):
        read(tmp_path / "nowhere")
    with pytest.raises(MissingError, match=r"no images under .*folder: takes DIR/train/CLASS/\*.*with files ending in \.bmp"):
        read(tmp_path)
    (tmp_path / "a.png").touch()
    with pytest.raises(MissingError, match=r"and 1 in .* lie in none\. Move each into .*/CLASS, or have a teacher label them"):
        read(tmp_path)


def test_an_empty_train_folder(tmp_path: Path, write_images: WriteImages) -> None:
    """Images elsewhere do not help."""
    (tmp_path / "train").mkdir()
    write_split(write_images, tmp_path / "test", a=1, b=1)
    with pytest.raises(MissingError, match=r"no training images under .*train: it takes one folder of images per class"):
        read(tmp_path)


def test_a_test_folder_without_classes_is_passed_over(tmp_path: Path, write_images: WriteImages) -> None:
    """As competitions publish it: pictures without labels are of no use, and the note says so."""
    write_split(write_images, tmp_path / "train", a=2, b=2)
    write_images(tmp_path / "test", 2)
    events: list[Event] = []
    assert read(tmp_path, events).test is None
    expected = f"{tmp_path / 'test'} has no images in folders of their classes and is passed over"
    assert Note(text=expected, level="warning") in events


def test_ambiguous_layouts(tmp_path: Path, write_images: WriteImages) -> None:
    """Two validation folders, or splits without train."""
    write_split(write_images, tmp_path / "one" / "val", a=1)
    with pytest.raises(UsageError, match=r"one has val but no train"):
        read(tmp_path / "one")
    for name in ("train", "val", "valid"):
        write_split(write_images, tmp_path / "two" / name, a=1, b=1)
    with pytest.raises(UsageError, match=r"two has both val and valid, which mean the same\. Take one away"):
        read(tmp_path / "two")


def test_no_training_image_reads(tmp_path: Path, write_images: WriteImages) -> None:
    """Test images alone are no data set."""
    write_split(write_images, tmp_path / "train", a=1)
    write_split(write_images, tmp_path / "test", a=1)
    (tmp_path / "train" / "a" / "000.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(MissingError, match=r"none of the training images of .* can be read"):
        read(tmp_path)
