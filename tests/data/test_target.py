"""edgekd.data.target: images of where a student will work, with labels or without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.data import target
from edgekd.errors import MissingError, UsageError
from tests.data.conftest import WriteImages, save_npz, toy_arrays

CLASSES, SHAPE = ("a", "b"), (4, 4, 3)


def load(base: Path, spec: str, **wishes: Any) -> target.Target:
    """The target of a run with classes a and b and images of 4×4 in colour."""
    return target.load(spec, base=base, **{"classes": CLASSES, "shape": SHAPE, **wishes})


def labelled(file: Path, classes: tuple[str, ...] = CLASSES, **counts: int) -> Path:
    """An npz file of labelled images with class names."""
    return save_npz(file, {**toy_arrays(len(classes), (4, 4, 3), **counts), "classes": np.array(classes)})


# Without labels -------------------------------------------------------------------------------------------------------


def test_an_array_alone_has_no_labels(tmp_path: Path) -> None:
    """x, at the run's size and channels; nothing is held out, and nothing can be scored."""
    save_npz(tmp_path / "x.npz", {"x": np.zeros((6, 8, 8), np.uint8)})
    found = load(tmp_path, "npz:x.npz")
    assert (len(found.images), found.images.shape, found.test) == (6, SHAPE, None)
    assert found.images.labels.tolist() == [-1] * 6


def test_a_folder_of_pictures_has_no_labels(tmp_path: Path, write_images: WriteImages) -> None:
    """Whatever its subfolders are called, as long as it is not as a class, and not train."""
    write_images(tmp_path / "night" / "camera1", 3)
    write_images(tmp_path / "night" / "test", 2)
    found = load(tmp_path, "folder:night")
    assert (len(found.images), found.images.shape, found.test) == (5, SHAPE, None)


# With labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_for_scoring_only(tmp_path: Path) -> None:
    """The training images lose theirs, all of them are there; the test images keep them."""
    labelled(tmp_path / "t.npz", train=10, test=6)
    found = load(tmp_path, "npz:t.npz")
    assert found.images.labels.tolist() == [-1] * 10
    assert found.test is not None
    assert found.test.labels.tolist() == [0, 1] * 3
    assert found.sha256 == found.tested


def test_a_folder_with_a_classes_name_has_labels(tmp_path: Path, write_images: WriteImages) -> None:
    """One such folder is enough, and so is train; a tenth is cut off for the score where there is no test split."""
    for name in ("a", "b"):
        write_images(tmp_path / "flat" / name, 20)
        write_images(tmp_path / "split" / "train" / name, 4)
        write_images(tmp_path / "split" / "test" / name, 3)
    flat, split = load(tmp_path, "folder:flat"), load(tmp_path, "folder:split")
    assert flat.test is not None
    assert split.test is not None
    assert [len(flat.images), len(flat.test), len(split.images), len(split.test)] == [36, 4, 8, 6]


def test_labels_go_by_name(tmp_path: Path) -> None:
    """Numbered as the run's classes are, whatever their order there; images to learn from may show others, those to be scored may not."""
    labelled(tmp_path / "t.npz", ("b", "a"), train=4, test=4)
    found = load(tmp_path, "npz:t.npz")
    assert found.test is not None
    assert found.test.labels.tolist() == [1, 0, 1, 0]
    arrays = toy_arrays(3, (4, 4, 3), train=6, test=6)
    save_npz(tmp_path / "more.npz", {**arrays, "y_test": arrays["y_test"] % 2, "classes": np.array(["a", "b", "c"])})
    assert len(load(tmp_path, "npz:more.npz").images) == 6
    labelled(tmp_path / "other.npz", ("a", "c"), train=4, test=4)
    with pytest.raises(UsageError, match=r"every class of domain\.target npz:other\.npz must be one of the data's \(a, b\); it also has c"):
        load(tmp_path, "npz:other.npz")


def test_other_images_can_be_scored(tmp_path: Path) -> None:
    """The test split of domain.test, or all that it has; the target itself is then scored no more, whatever classes it shows."""
    save_npz(tmp_path / "x.npz", {"x": np.zeros((6, 4, 4, 3), np.uint8)})
    labelled(tmp_path / "t.npz", train=4, test=6)
    labelled(tmp_path / "other.npz", ("a", "c"), train=4, test=4)
    for spec in ("npz:x.npz", "npz:other.npz"):
        found = load(tmp_path, spec, test="npz:t.npz")
        assert found.test is not None
        assert (len(found.test), found.test.shape) == (6, SHAPE)
    save_npz(tmp_path / "known.npz", {**toy_arrays(2, (4, 4, 3), train=4), "classes": np.array(CLASSES)})
    known = load(tmp_path, "npz:x.npz", test="npz:known.npz")
    assert known.test is not None
    assert len(known.test) == 4
    assert known.sha256 == load(tmp_path, "npz:x.npz").sha256
    assert known.tested not in ("", found.tested)


# Refusals -------------------------------------------------------------------------------------------------------------


def test_what_is_not_there(tmp_path: Path) -> None:
    """Named by its path."""
    with pytest.raises(MissingError, match="no folder at"):
        load(tmp_path, "folder:nowhere")
    with pytest.raises(MissingError, match="no npz file at"):
        load(tmp_path, "npz:nowhere.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="no images under"):
        load(tmp_path, "folder:empty")
    with pytest.raises(UsageError, match="data is digits, npz:FILE"):
        load(tmp_path, "nothing")


def test_half_a_labelled_file(tmp_path: Path) -> None:
    """It is neither the one nor the other; what is missing is said, and how to go on."""
    save_npz(tmp_path / "t.npz", toy_arrays(2, (4, 4, 3), train=4))
    with pytest.raises(UsageError, match=r"t\.npz has x_train without x_test and y_test\. Save its images as x, and name labelled ones with domain"):
        load(tmp_path, "npz:t.npz")


def test_a_single_image_teaches_nothing(tmp_path: Path) -> None:
    """It has no statistics."""
    save_npz(tmp_path / "x.npz", {"x": np.zeros((1, 4, 4, 3), np.uint8)})
    with pytest.raises(UsageError, match=r"a target has 2 images or more to learn from; npz:x\.npz has 1"):
        load(tmp_path, "npz:x.npz")


def test_a_single_image_is_no_score(tmp_path: Path) -> None:
    """Before anything is taught."""
    labelled(tmp_path / "t.npz", train=4, test=1)
    with pytest.raises(UsageError, match=r"a score takes 2 images or more; npz:t\.npz has 1 to test on"):
        load(tmp_path, "npz:t.npz")


def test_a_teachers_labels_test_nobody(tmp_path: Path) -> None:
    """What `edgekd label` wrote is no test, here either."""
    arrays = toy_arrays(2, (4, 4, 3), train=4)
    written = {"logits_train": np.zeros((4, 2), np.float16), "names_train": np.array(list("abcd"))}
    save_npz(tmp_path / "t.npz", {**arrays, "classes": np.array(CLASSES), **written})
    save_npz(tmp_path / "x.npz", {"x": np.zeros((6, 4, 4, 3), np.uint8)})
    with pytest.raises(UsageError, match=r"those of domain\.test npz:t\.npz are a teacher's"):
        load(tmp_path, "npz:x.npz", test="npz:t.npz")
