"""edgekd.data.arrays: digits, npz files, and what a function returns."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.data.arrays import digits, from_function, npz
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import silent
from tests.data.conftest import save_npz, toy_arrays

GOOD = toy_arrays(train=6, test=4)


def returned(folder: Path, code: str) -> Found:
    """What `from_function` makes of a function with this body; np, Image and a data set class `Pairs` are at hand."""
    head = (
        "import numpy as np\nfrom PIL import Image\n\nclass Pairs:\n    def __init__(self, *items, **more):\n        self.items = items\n"
        "        self.__dict__.update(more)\n    def __len__(self):\n        return len(self.items)\n    def __getitem__(self, number):\n"
        "        item = self.items[number]\n        if isinstance(item, Exception):\n            raise item\n        return item\n\n"
        "def grey(value, size=4):\n    return np.full((size, size), value, np.uint8)\n\ndef make():\n"
    )
    (folder / "data.py").write_text(head + "".join(f"    {line}\n" for line in code.splitlines()), encoding="utf-8")
    return from_function("data.py:make", folder, Wanted(), silent)


def pixels_of(found: Found) -> NDArray[np.uint8]:
    """Train's pixels."""
    return found.train.read(np.arange(len(found.train)))


def test_digits_are_32_pixels_and_grey() -> None:
    """1,797 of them, a fifth for testing, each class in proportion; the mirror image of a 3 is none."""
    found = digits(Wanted())
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (1438, 359)
    assert found.train.shape == found.test.shape == (32, 32, 1)
    assert found.classes == tuple("0123456789")
    counts = [np.bincount(split.labels, minlength=10) for split in (found.train, found.test)]
    assert np.abs(counts[1] / (counts[0] + counts[1]) - 0.2).max() < 0.01
    assert not found.flip
    assert (found.valid, found.lacks_test) == (None, None)


@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((12, 20), 3)])
def test_digits_have_any_size_asked_for(size: tuple[int, int], channels: int) -> None:
    """Height and width in this order, colours all alike, and at 8×8 scikit-learn's own pixels."""
    from sklearn.datasets import load_digits

    found = digits(Wanted(size, channels))
    assert found.train.shape == (*size, channels)
    pixels = pixels_of(found)
    assert np.array_equal(pixels[..., :1], pixels[..., -1:])
    if size == (8, 8):
        own = {np.rint(image * 255 / 16).astype(np.uint8).tobytes() for image in load_digits().images}
        assert {image.tobytes() for image in pixels} <= own


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3)])
def test_an_npz_file_is_read_as_it_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Three splits, labels of any whole-number type and as a column too; grey without a channel axis gains one."""
    arrays = toy_arrays(shape=shape, train=6, valid=2, test=4)
    arrays["y_train"] = arrays["y_train"].astype(np.uint8)[:, None]
    found = npz(save_npz(tmp_path / "data.npz", {**arrays, "other": np.ones(3)}), Wanted())
    assert found.valid is not None
    assert found.test is not None
    for split, images in {"train": found.train, "valid": found.valid, "test": found.test}.items():
        assert images.pixels is not None
        assert np.array_equal(images.pixels, arrays[f"x_{split}"].reshape(-1, 4, 4, images.shape[2]))
        assert images.labels.tolist() == arrays[f"y_{split}"].reshape(-1).tolist()
        assert images.labels.dtype == np.int64
    assert found.classes == ("0", "1")
    assert found.train.shape == (4, 4, 3 if shape == (4, 4, 3) else 1)


@pytest.mark.parametrize("names", [np.array(["cat", "dog", "none"]), np.array([b"cat", b"dog", b"none"])], ids=["text", "bytes"])
def test_an_npz_file_may_name_its_classes(tmp_path: Path, names: NDArray[Any]) -> None:
    """Also more of them than there are images of."""
    assert npz(save_npz(tmp_path / "data.npz", {**GOOD, "classes": names}), Wanted()).classes == ("cat", "dog", "none")


def test_an_npz_file_without_test_images_says_what_to_do(tmp_path: Path) -> None:
    """None are cut off: whoever saved arrays has split them."""
    found = npz(save_npz(tmp_path / "data.npz", toy_arrays(train=6)), Wanted())
    assert found.test is None
    assert found.lacks_test is not None
    assert "it needs x_test and y_test beside x_train, y_train, or --test SPEC" in found.lacks_test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": None, "y_train": None}, r"needs the arrays x_train, .*; x_train and y_train missing, found: x_test, y_test\."),
        ({"y_test": None}, r"has one of x_test and y_test; y_test is missing"),
        ({"x_valid": GOOD["x_test"]}, r"has one of x_valid and y_valid; y_valid is missing"),
        ({"x_train": GOOD["x_train"] / 255}, r"images are uint8, 0 to 255; x_train of .* is float64\. Save \(x \* 255\)"),
        ({"x_test": GOOD["x_test"][:, 0]}, r"images are \(n, height, width\) or .*; x_test of .* is \(4, 4\)"),
        ({"x_test": GOOD["x_test"][..., None].repeat(2, 3)}, r"images are .*1 or 3\); x_test of .* is \(4, 4, 4, 2\)"),
        ({"x_train": GOOD["x_train"][:, :0]}, r"x_train of .* is \(6, 0, 4\)"),
        ({"x_test": GOOD["x_test"][:, :3]}, r"must have one shape, got train \(4, 4, 1\), test \(3, 4, 1\)"),
        ({"y_train": GOOD["y_train"][:5]}, r"each image has one label; .* 6 images in x_train and 5 labels in y_train"),
        ({"y_train": GOOD["y_train"] + 0.5}, r"one whole number an image; y_train of .* is float64 \(6,\)"),
        ({"y_test": np.eye(4, dtype=np.int64)}, r"y_test of .* is int64 \(4, 4\)\. One-hot labels: y\.argmax"),
        ({"y_train": GOOD["y_train"] * 3}, r"labels count from 0 without gaps, one number a class; .* has 0, 1, 3\. Renumber"),
        ({"y_test": GOOD["y_test"] - 1}, r"labels count from 0 without gaps, one number a class; .* has -1, 0, 1\. Renumber"),
        ({"classes": np.array(["cat"])}, r"names 1 classes, so labels run from 0 to 0; got 0 to 1"),
        ({"classes": np.array(["cat", "cat"])}, r"a list of different names, got 1 dimension\(s\) and 1 different of 2"),
        ({"classes": np.array([["cat", "dog"]])}, r"a list of different names, got 2 dimension"),
        ({"x_train": GOOD["x_train"][:0], "y_train": GOOD["y_train"][:0]}, r"has no training images"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Each mistake has its own words."""
    file = save_npz(tmp_path / "data.npz", {key: value for key, value in {**GOOD, **change}.items() if value is not None})
    with pytest.raises(UsageError, match=message):
        npz(file, Wanted())


def test_no_file_at_all(tmp_path: Path) -> None:
    """Nothing there, or a folder."""
    with pytest.raises(MissingError, match=r"no npz file at .*none\.npz: No such file"):
        npz(tmp_path / "none.npz", Wanted())
    with pytest.raises(MissingError, match=r"no npz file at .*: Is a directory"):
        npz(tmp_path, Wanted())


@pytest.mark.parametrize("key", ["x_train", "classes", None])
def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """Object arrays, and a pickle under an npz file's name, are refused before they can act."""
    file = save_npz(tmp_path / "data.npz", {**GOOD, key: np.array(["a", 1], dtype=object)} if key else GOOD)
    if key is None:
        file.write_bytes(pickle.dumps(GOOD))
    monkeypatch.setattr(pickle, "load", lambda *args, **kwargs: pytest.fail("a pickle was opened"))
    with pytest.raises(UsageError, match=r"data\.npz does not read as an npz file of plain arrays: it holds Python objects, which are never read\."):
        npz(file, Wanted())


@pytest.mark.parametrize("kept", [0, 10, 0.5, -10])
def test_a_cut_file(tmp_path: Path, kept: float) -> None:
    """Wherever it was cut."""
    whole = save_npz(tmp_path / "data.npz", GOOD).read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else int(kept)])
    with pytest.raises(UsageError, match=r"data\.npz does not read as an npz file"):
        npz(tmp_path / "data.npz", Wanted())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_file(tmp_path: Path, save: Any) -> None:
    """Bytes that went bad inside an array, packed or not."""
    save(tmp_path / "data.npz", **GOOD)
    content = bytearray((tmp_path / "data.npz").read_bytes())
    name, extra = struct.unpack_from("<HH", content, 26)
    start = 30 + name + extra
    content[start : start + 40] = bytes([0xFF]) * 40
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"data\.npz does not read as an npz file"):
        npz(tmp_path / "data.npz", Wanted())


def test_one_array_is_not_enough(tmp_path: Path) -> None:
    """What np.save writes."""
    np.save(tmp_path / "data.npy", GOOD["x_train"])
    with pytest.raises(UsageError, match=r"data\.npy holds one array; npz: needs a file of several: x_train"):
        npz(tmp_path / "data.npy", Wanted())


def test_a_function_may_return_arrays(tmp_path: Path) -> None:
    """Lists and class names too."""
    found = returned(
        tmp_path, "x = np.stack([grey(n) for n in range(4)])\nreturn {'x_train': x, 'y_train': [0, 1, 0, 1], 'classes': ['cat', 'dog'], 'my': 0}"
    )
    assert found.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0, 1, 0, 1]
    assert pixels_of(found)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_function_may_return_data_sets(tmp_path: Path) -> None:
    """Pictures or arrays, labels listed or not; the index counts on from split to split."""
    found = returned(
        tmp_path,
        "train = Pairs((grey(7), 1), (Image.fromarray(grey(8)), 0), targets=[1, 0])\n"
        "return {'train': train, 'test': Pairs([grey(9), 1]), 'valid': Pairs((grey(5), np.int64(0)))}",
    )
    assert found.valid is not None
    assert found.test is not None
    assert found.train.labels.tolist() == [1, 0]
    assert [split.index.tolist() for split in (found.train, found.valid, found.test)] == [[0, 1], [2], [3]]
    assert pixels_of(found)[:, 0, 0, 0].tolist() == [7, 8]
    assert found.test.read(np.array([0]))[0, 0, 0, 0] == 9
    assert found.train.shape == (4, 4, 1)
    assert found.classes == ("0", "1")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("[1, 2]", r"data\.py:make must return a dict with x_train, .*; got list"),
        ("{'x_test': [], 7: 8}", r"x_train and y_train missing, found: x_test, 7"),
        ("{'x_train': [grey(0), grey(0, 5)], 'y_train': [0, 1]}", r"x_train of data\.py:make does not make one array"),
        ("{'train': Pairs((grey(0), 0)), 'classes': [['a'], ['b', 'c']]}", r"classes of data\.py:make does not make one array"),
        ("{'train': Pairs((grey(0), 0)), 'classes': 'cat'}", r"a list of different names, got 0 dimension"),
        ("{'train': Pairs((grey(0), 2)), 'classes': ['a', 'b']}", r"names 2 classes, so labels run from 0 to 1; got 2 to 2"),
    ],
)
def test_what_a_function_may_not_return(tmp_path: Path, code: str, message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(UsageError, match=message):
        returned(tmp_path, f"return {code}")


def test_a_teachers_logits_stay_beside_its_labels(tmp_path: Path) -> None:
    """In float16, image by image, also in a part of the images; the data says whose labels they are, where `edgekd label` wrote them. People's
    own may agree with a teacher about every image, and other data has no logits."""
    logits = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float16)
    logits[np.arange(6), GOOD["y_train"]] = 5.0
    arrays = {**GOOD, "classes": np.array(["no", "yes"]), "logits_train": logits, "names_train": np.array(list("abcdef"))}
    found = npz(save_npz(tmp_path / "l.npz", arrays), Wanted())
    assert found.train.logits is not None
    agreed = npz(save_npz(tmp_path / "a.npz", {key: value for key, value in arrays.items() if key != "names_train"}), Wanted())
    assert (agreed.notes, agreed.train.by_teacher) == ((), False)
    assert found.train.take(np.array([4])).by_teacher
    assert np.array_equal(found.train.logits, logits)
    part = found.train.take(np.array([4, 1])).logits
    assert part is not None
    assert np.array_equal(part, logits[[4, 1]])
    assert "agreement with that teacher" in found.notes[-1]
    assert found.train.by_teacher
    logits[2] = -logits[2]
    people = npz(save_npz(tmp_path / "o.npz", arrays), Wanted())
    assert (people.notes, people.train.by_teacher) == ((), False)
    plain = npz(save_npz(tmp_path / "p.npz", GOOD), Wanted())
    assert (plain.train.logits, plain.train.take(np.array([1])).logits, plain.notes) == (None, None, ())
    assert not plain.train.by_teacher


@pytest.mark.parametrize(
    "logits", [np.zeros((5, 2)), np.zeros((6, 3)), np.zeros(6), np.zeros((6, 2), int), np.full((6, 2), np.nan), np.full((6, 2), 7e4)], ids=str
)
def test_logits_that_do_not_fit_are_refused(tmp_path: Path, logits: NDArray[Any]) -> None:
    """Of other images or classes, no numbers: a row would stand beside another image."""
    file = save_npz(tmp_path / "l.npz", {**GOOD, "classes": np.array(["no", "yes"]), "logits_train": logits})
    shape = rf"must hold a floating-point number for each training image and class, \(6, 2\); got {logits.dtype} \({logits.shape[0]}"
    value = r"must hold numbers between -65,504 and 65,504; image 0 has (nan|70000\.0) for class 0\. Take such images out"
    fits = logits.shape == (6, 2) and logits.dtype == float
    with pytest.raises(UsageError, match=value if fits else shape):
        npz(file, Wanted())


def test_a_function_may_bring_logits(tmp_path: Path) -> None:
    """Under npz's key, as its other arrays."""
    code = "import numpy as np\ndef data():\n    return np.load('g.npz') | {}\n"
    logits = np.arange(12.0).reshape(6, 2)
    save_npz(tmp_path / "g.npz", {**GOOD, "classes": np.array(["no", "yes"]), "logits_train": logits})
    (tmp_path / "own.py").write_text(code.replace("np.load('g.npz') | {}", f"dict(np.load({str(tmp_path / 'g.npz')!r}))"))
    found = from_function(f"{tmp_path / 'own.py'}:data", tmp_path, Wanted(), silent)
    assert found.train.logits is not None
    assert np.array_equal(found.train.logits, logits.astype(np.float16))
