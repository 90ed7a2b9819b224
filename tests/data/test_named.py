"""edgekd.data.named: torchvision's data sets from files as they are published, Hugging Face's from a stand-in."""

import bz2
import hashlib
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from edgekd.data import named
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, MissingExtra, UsageError, install_line
from edgekd.events import silent
from tests.data.conftest import WriteImages, toy_arrays, write_mnist


def read(name: str, folder: Path, download: bool = False) -> Found:
    """One of torchvision's data sets as it is."""
    return named.torchvision_set(name, folder, Wanted(), download, silent)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10's pickles, of a few images, whose MD5 sums torchvision is told."""
    arrays = toy_arrays(2, (3, 32, 32), train=4, test=2)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    sums = {}
    for name, content in {
        "data_batch_1": {"data": arrays["x_train"].reshape(4, -1), "labels": [0, 1, 0, 1]},
        "test_batch": {"data": arrays["x_test"].reshape(2, -1), "labels": [1, 0]},
        "batches.meta": {"label_names": ["plane", "car"]},
    }.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]})
    return tmp_path


@pytest.mark.parametrize("name", named.NAMES)
def test_every_name_is_one_of_torchvisions_and_missing_without_a_download(tmp_path: Path, name: str) -> None:
    """The remedy is --download; nothing is fetched before."""
    assert hasattr(datasets, named.TORCHVISION[name].kind)
    with pytest.raises(MissingError, match=rf"{name} is not in .*, or not whole.*\. --download fetches it\."):
        read(name, tmp_path)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(("name", "kind", "flip"), [("mnist", "MNIST", False), ("fashion-mnist", "FashionMNIST", True), ("kmnist", "KMNIST", False)])
def test_mnist_and_its_kin(tmp_path: Path, name: str, kind: str, flip: bool) -> None:
    """Grey images as they are, under torchvision's class names; clothes may be mirrored, digits not."""
    arrays = write_mnist(tmp_path, kind)
    found = read(name, tmp_path)
    assert found.test is not None
    for split, images in {"train": found.train, "test": found.test}.items():
        assert images.pixels is not None
        assert np.array_equal(images.pixels[..., 0], arrays[f"x_{split}"])
        assert np.array_equal(images.labels, arrays[f"y_{split}"])
    assert found.classes == tuple(getattr(datasets, kind).classes)
    assert found.flip is flip
    assert found.valid is None


def test_cifar_is_read_channels_last(cifar: Path) -> None:
    """Published as (n, 3·32·32), held as (n, 32, 32, 3)."""
    found = read("cifar10", cifar)
    assert found.test is not None
    assert found.train.pixels is not None
    assert np.array_equal(found.train.pixels, toy_arrays(2, (3, 32, 32), train=4)["x_train"].transpose(0, 2, 3, 1))
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([0, 1, 0, 1], [1, 0])
    assert found.classes == ("plane", "car")


def test_a_changed_pickle_is_not_opened(cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its MD5 is wrong, so it may be anyone's."""
    file = cifar / "cifar-10-batches-py" / "data_batch_1"
    file.write_bytes(file.read_bytes() + b" ")
    monkeypatch.setattr(pickle, "load", lambda *args, **kwargs: pytest.fail("a pickle was opened"))
    with pytest.raises(MissingError, match=r"cifar10 is not in .*, or not whole.*\. --download"):
        read("cifar10", cifar)


def test_svhn_is_turned_channels_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torchvision keeps (n, 3, h, w) and calls labels labels."""
    arrays = toy_arrays(2, (3, 8, 8), train=4, test=2)

    def make(root: Path, split: str, download: bool) -> Any:
        return SimpleNamespace(data=arrays[f"x_{split}"], labels=arrays[f"y_{split}"])

    monkeypatch.setattr(datasets, "SVHN", make)
    found = read("svhn", tmp_path)
    assert found.train.pixels is not None
    assert np.array_equal(found.train.pixels, arrays["x_train"].transpose(0, 2, 3, 1))
    assert found.classes == ("0", "1")


def test_sets_of_files_keep_their_validation_images(tmp_path: Path, write_images: WriteImages) -> None:
    """DTD: lists of files, of several sizes, in three splits."""
    folder = tmp_path / "dtd" / "dtd"
    (folder / "labels").mkdir(parents=True)
    for kind in ("banded", "woven"):
        write_images(folder / "images" / kind, 4, ending="jpg")
    for split, numbers in {"train": (0, 1), "val": (2,), "test": (3,)}.items():
        lines = [f"{kind}/{number:03}.jpg\n" for kind in ("banded", "woven") for number in numbers]
        (folder / "labels" / f"{split}1.txt").write_text("".join(lines), encoding="utf-8")
    found = read("dtd", tmp_path)
    assert found.valid is not None
    assert found.test is not None
    assert [split.labels.tolist() for split in (found.train, found.valid, found.test)] == [[0, 0, 1, 1], [0, 1], [0, 1]]
    assert np.array_equal(found.test.read(np.array([1]))[0], np.asarray(Image.open(folder / "images" / "woven" / "003.jpg")))
    assert found.classes == ("banded", "woven")


@pytest.mark.parametrize("kept", [0, 20, -5])
def test_a_cut_file_is_not_whole(tmp_path: Path, kept: int) -> None:
    """Also where torchvision checks no sum, as of USPS and of MNIST's unpacked files."""
    write_mnist(tmp_path)
    rows = "".join(f"{1 + number % 2} " + " ".join(f"{place}:0.5" for place in range(1, 257)) + "\n" for number in range(4))
    for file in (tmp_path / "usps.bz2", tmp_path / "usps.t.bz2"):
        file.write_bytes(bz2.compress(rows.encode()))
    assert read("usps", tmp_path).train.labels.tolist() == [0, 1, 0, 1]
    for name, file in {"usps": tmp_path / "usps.bz2", "mnist": tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"}.items():
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(MissingError, match=rf"{name} is not in .*, or not whole.*\. --download fetches it"):
            read(name, tmp_path)


def test_a_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for, and the remedy is to try again."""
    asked: list[bool] = []

    def make(root: Path, train: bool, download: bool) -> Any:
        asked.append(download)
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(datasets, "CIFAR10", make)
    with pytest.raises(MissingError, match=r"did not arrive whole in .*: File not found or corrupted\. Try again"):
        read("cifar10", tmp_path, download=True)
    assert asked == [True]


class Rows:
    """A split of the hub: columns by name, rows by number, as the `datasets` package has them."""

    def __init__(self, features: dict[str, Any], count: int, labels: list[Any] | None = None) -> None:
        self.features, self.labels = features, [number % 2 for number in range(count)] if labels is None else labels

    def __getitem__(self, key: Any) -> Any:
        return self.labels if key == "label" else {"image": Image.fromarray(np.full((4, 4), key, np.uint8)), "label": self.labels[key]}


def feature(kind: str, **fields: Any) -> Any:
    """A column's type, which goes by its name."""
    return type(kind, (), fields)()


FEATURES = {"image": feature("Image"), "label": feature("ClassLabel", names=["cat", "dog"]), "id": feature("Value")}


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any, download: bool = False) -> Found:
    """What is made of a data set for which the hub answers this."""
    asked: list[tuple[str, bool]] = []

    def load_dataset(name: str, download_config: Any) -> Any:
        asked.append((name, download_config.local_files_only))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = ModuleType("datasets")
    module.__dict__.update(load_dataset=load_dataset, DownloadConfig=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "datasets", module)
    try:
        return named.hugging_face("pets", Wanted(), download, silent)
    finally:
        assert asked == [("pets", not download)]


def test_hf_splits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its names for them; other splits and columns are passed over."""
    found = hub(monkeypatch, {"train": Rows(FEATURES, 6), "validation": Rows(FEATURES, 2), "test": Rows(FEATURES, 4), "extra": Rows(FEATURES, 1)})
    assert found.valid is not None
    assert found.test is not None
    assert (len(found.train), len(found.valid), len(found.test)) == (6, 2, 4)
    assert found.train.read(np.array([3]))[0, 0, 0, 0] == 3
    assert found.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.classes == ("cat", "dog")
    assert not found.valid_is_test


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_hf_validation_images_stand_in_for_a_test_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As many sets of the hub have only the two."""
    found = hub(monkeypatch, {"train": Rows(FEATURES, 6), name: Rows(FEATURES, 2)}, download=True)
    assert found.test is not None
    assert len(found.test) == 2
    assert found.valid is None
    assert found.valid_is_test


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"test": Rows(FEATURES, 2), "all": Rows(FEATURES, 2)}, r"hf:pets needs a split called train; it has: test, all\."),
        ({"train": Rows({"label": FEATURES["label"]}, 2)}, r"exactly one column with an image \(Image\); it has: label \(ClassLabel\)\. A FILE\.py"),
        ({"train": Rows({**FEATURES, "coarse": FEATURES["label"]}, 2)}, r"one column with a class label .*label \(ClassLabel\), id.*coarse \(Class"),
        ({"train": Rows(FEATURES, 2, [0, None])}, r"hf:pets, train: labels are one whole number an image; item 1 has None"),
        ({"train": Rows(FEATURES, 2), "test": Rows(FEATURES, 2, [-1, -1])}, r"hf:pets names 2 classes, .* from 0 to 1; got -1 to 1"),
    ],
)
def test_hf_sets_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, answer: Any, message: str) -> None:
    """Each reason has its own words."""
    with pytest.raises(UsageError, match=message):
        hub(monkeypatch, answer)


@pytest.mark.parametrize(("download", "remedy"), [(False, r"--download fetches it\."), (True, r"Is the name right\?")])
def test_hf_sets_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, download: bool, remedy: str) -> None:
    """Not on this machine, or nowhere."""
    with pytest.raises(MissingError, match=rf"hf:pets cannot be loaded: no such thing\. .*{remedy}"):
        hub(monkeypatch, FileNotFoundError("no such thing"), download)


def test_hf_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the line that installs it."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=f"datasets is needed here .*{re.escape(install_line('hf'))}"):
        named.hugging_face("pets", Wanted(), False, silent)
