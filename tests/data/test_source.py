"""edgekd.data.source: from a spec to train, validation and test."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.data import memory, ondisk
from edgekd.data.source import Images, Source, class_counts, load
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note
from edgekd.record import OWN_SPLIT
from tests.data.conftest import Arrays, WriteImages, save_npz, toy_arrays, write_mnist
from tests.needs import ROOT


def test_the_readme_names_every_kind_of_images() -> None:
    """Each kind of spec of edgekd's own stands in its table, and the flag that fetches what is not there."""
    (row,) = (line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| images |"))
    for word in ("digits", "folder:DIR", "npz:FILE", "csv:FILE", "cifar10:DIR", "hf:NAME", "FILE.py:function", "--download"):
        assert f"`{word}`" in row


def npz(file: Path, arrays: Arrays) -> str:
    """The spec of an npz file of these arrays."""
    return f"npz:{save_npz(file, arrays)}"


def numbers(images: Images) -> list[int]:
    """The images' first pixels: in toy arrays their numbers."""
    return [int(value) for value in images.read(np.arange(len(images)))[:, 0, 0, 0]]


def sizes(source: Source) -> tuple[int, int, int]:
    """Train, validation and test images."""
    return len(source.train), len(source.valid), len(source.test)


@pytest.fixture
def unsplit(tmp_path: Path, write_images: WriteImages) -> str:
    """A folder of 20 cats and 40 dogs, without splits."""
    write_images(tmp_path / "pets" / "cat", 20, (4, 4))
    write_images(tmp_path / "pets" / "dog", 40, (4, 4))
    return f"folder:{tmp_path / 'pets'}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("npz:data.npz", (18, 2, 6)),
        ("folder:pets", (48, 6, 6)),
        ("csv:table.csv", (18, 2, 10)),
        ("data.py:make", (18, 2, 4)),
        ("mnist:sets", (90, 10, 20)),
    ],
)
def test_every_kind_of_spec(tmp_path: Path, unsplit: str, spec: str, expected: tuple[int, int, int]) -> None:
    """Relative paths start at `base`, and the spec is kept as it was given."""
    npz(tmp_path / "data.npz", toy_arrays(train=20, test=6))
    rows = [f"pets/{kind}/{number:03}.png,{kind},{'train' if number < 10 else 'test'}\n" for kind in ("cat", "dog") for number in range(15)]
    (tmp_path / "table.csv").write_text("path,label,split\n" + "".join(rows), encoding="utf-8")
    code = "import numpy as np\n\ndef make():\n    x, y = np.zeros((20, 4, 4), np.uint8), [0, 1] * 10\n"
    (tmp_path / "data.py").write_text(code + "    return {'x_train': x, 'y_train': y, 'x_test': x[:4], 'y_test': y[:4]}\n", encoding="utf-8")
    write_mnist(tmp_path / "sets", train=100, test=20)
    source = load(spec, base=tmp_path)
    assert sizes(source) == expected
    assert source.spec == spec


@pytest.mark.parametrize("spec", ["", "digit", "npz:", "hf:", "parquet:data", "net.py", "MNIST:data"])
def test_unknown_kinds_are_refused(spec: str) -> None:
    """With all that there are."""
    with pytest.raises(UsageError, match=rf"data is digits, npz:FILE, folder:DIR, .*NAME:DIR with one of cifar10, .*; got '{spec}'\."):
        load(spec)


def test_a_bare_path_is_told_what_it_lacks(tmp_path: Path) -> None:
    """The kind that stands before it, as far as the path shows it."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.npz").touch()
    for spec, kind in (("photos", "folder"), ("a.npz", "npz")):
        with pytest.raises(UsageError, match=rf"got '{spec}'\. Write {kind}:{spec}$"):
            load(spec, base=tmp_path)


def test_digits_and_their_size_and_channels() -> None:
    """Asked for; a tenth of the training images is for validation."""
    source = load("digits", size=(8, 10), channels=3)
    assert sizes(source) == (1294, 144, 359)
    assert {images.shape for images in (source.train, source.valid, source.test)} == {(8, 10, 3)}
    assert not source.flip


@pytest.mark.parametrize(("size", "channels", "shape"), [(None, None, (4, 6, 1)), ((8, 8), None, (8, 8, 1)), (None, 3, (4, 6, 3))])
def test_size_and_channels_hold_for_every_split(
    tmp_path: Path, size: tuple[int, int] | None, channels: int | None, shape: tuple[int, int, int]
) -> None:
    """The test set of another spec too, whatever it has itself."""
    spec = npz(tmp_path / "a.npz", toy_arrays(shape=(4, 6), train=20, test=4))
    other = npz(tmp_path / "b.npz", toy_arrays(shape=(9, 9, 3), train=4))
    for source in (load(spec, size=size, channels=channels), load(spec, size=size, channels=channels, test=other)):
        for images in (source.train, source.valid, source.test):
            assert images.shape == shape
            assert images.read(np.arange(len(images))).shape == (len(images), *shape)


def test_a_crop_shows_less_of_pictures_alone(tmp_path: Path) -> None:
    """Each spec by its own kind: arrays are as they are, whichever of the two names pictures."""
    frame = np.pad(np.full((4, 4), 200, np.uint8), 2)
    whole = npz(
        tmp_path / "a.npz", {"x_train": np.stack([frame] * 8), "y_train": np.arange(8) % 2, "x_test": frame[None], "y_test": np.zeros(1, int)}
    )
    for name in ("0", "1"):
        (tmp_path / "p" / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(frame).save(tmp_path / "p" / name / f"{number}.png")
    pictures = f"folder:{tmp_path / 'p'}"
    for spec, test in itertools.product((pictures, whole), repeat=2):
        source = load(spec, size=(4, 4), crop_fraction=0.5, test=test)
        bright = [bool((images.read(np.arange(1)) == 200).all()) for images in (source.train, source.test)]
        assert bright == [spec == pictures, test == pictures]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share: float) -> None:
    """From nothing to not quite all."""
    with pytest.raises(UsageError, match=rf"validation is a share of train, from 0 % to below 100 %; got {share:.0%}"):
        load("digits", validation=share)


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_validation_is_the_same_share_of_every_class(tmp_path: Path, share: float) -> None:
    """Exactly; what was held out is not trained on, and pixels and labels go along."""
    source = load(npz(tmp_path / "a.npz", toy_arrays(3, train=120, test=6)), validation=share)
    assert class_counts(source.valid.labels, 3).tolist() == [40 * share] * 3
    assert sorted(numbers(source.train) + numbers(source.valid)) == list(range(120))
    for images in (source.train, source.valid):
        assert numbers(images) == images.index.tolist()
        assert np.array_equal(images.labels, images.index % 3)


def test_without_validation_there_is_none(tmp_path: Path) -> None:
    """0 % leaves an empty split, and all images to train on."""
    assert sizes(load(npz(tmp_path / "a.npz", toy_arrays(train=20, test=6)), validation=0)) == (20, 0, 6)


def test_splits_are_cut_alike_every_time(unsplit: str) -> None:
    """Every run chooses by the same images and is tested on the same, so that no teacher of another run has learnt on them."""
    first, again = load(unsplit), load(unsplit)
    assert first.valid.index.tolist() == again.valid.index.tolist()
    assert first.test.index.tolist() == again.test.index.tolist()
    assert first.sha256 == again.sha256 != load(unsplit, validation=0.3).sha256


def test_a_set_without_splits_is_split_and_says_so(unsplit: str) -> None:
    """A tenth of each class for testing, a tenth of the whole for validation, in the notes of the source and to the reader."""
    events: list[Event] = []
    source = load(unsplit, emit=events.append)
    assert sizes(source) == (48, 6, 6)
    assert class_counts(source.test.labels, 2).tolist() == class_counts(source.valid.labels, 2).tolist() == [2, 4]
    parts = [set(images.index.tolist()) for images in (source.train, source.valid, source.test)]
    assert set.union(*parts) == set(range(60))
    assert source.notes == (OWN_SPLIT,)
    assert Note(text=f"{unsplit} has no test split: 6 images, the same share of every class, were cut off for it") in events
    assert OWN_SPLIT not in load(unsplit, test=unsplit).notes


def test_splits_that_the_data_has_are_kept(tmp_path: Path) -> None:
    """Whatever the share; the hash stays too."""
    spec = npz(tmp_path / "a.npz", toy_arrays(train=20, valid=6, test=4))
    one, other = load(spec), load(spec, validation=0.5)
    assert sizes(one) == sizes(other) == (20, 6, 4)
    assert one.sha256 == other.sha256
    assert one.notes == ()


def test_groups_stay_whole_in_both_cuts(tmp_path: Path, write_images: WriteImages) -> None:
    """A patient is trained on, validated on or tested on."""
    write_images(tmp_path / "scans", 60, (4, 4))
    rows = [f"scans/{number:03}.png,{'ab'[number % 2]},p{number // 4}\n" for number in range(60)]
    (tmp_path / "table.csv").write_text("path,label,group\n" + "".join(rows), encoding="utf-8")
    source = load("csv:table.csv", base=tmp_path)
    patients = [set((images.index // 4).tolist()) for images in (source.train, source.valid, source.test)]
    assert all(patients)
    assert sum(map(len, patients)) == len(set.union(*patients)) == 15


def test_arrays_without_a_test_split_need_one(tmp_path: Path) -> None:
    """From the file, or from another spec."""
    spec = npz(tmp_path / "a.npz", toy_arrays(train=20))
    with pytest.raises(UsageError, match=r"a\.npz has no test images: it needs x_test and y_test"):
        load(spec)
    assert sizes(load(spec, test=spec)) == (18, 2, 20)


def test_another_test_set_goes_by_class_name(tmp_path: Path) -> None:
    """Its own test split, renumbered; it may name classes that none of its test images shows."""
    spec = npz(tmp_path / "a.npz", {**toy_arrays(3, train=30, test=6), "classes": np.array(["ant", "bee", "cat"])})
    other = {**toy_arrays(4, train=8), **toy_arrays(2, test=4), "classes": np.array(["cat", "ant", "dog", "eel"])}
    source = load(spec, test=npz(tmp_path / "b.npz", other))
    assert source.test.labels.tolist() == [2, 0, 2, 0]
    assert numbers(source.test) == [0, 1, 2, 3]
    assert source.classes == ("ant", "bee", "cat")
    other["x_test"][0, -1, -1] ^= 1
    assert load(spec, test=npz(tmp_path / "b.npz", other)).sha256 != source.sha256
    with pytest.raises(UsageError, match=r"every class of --test npz:.*c\.npz must be one of the data's \(ant, bee, cat\); it also has dog, eel\."):
        load(spec, test=npz(tmp_path / "c.npz", {"x_train": other["x_train"], "y_train": other["y_train"], "classes": other["classes"]}))


def test_unreadable_files_of_both_specs_are_listed(tmp_path: Path, write_images: WriteImages, unsplit: str) -> None:
    """The source carries their names into the report."""
    write_images(tmp_path / "unseen" / "dog", 3)
    broken = [tmp_path / "pets" / "cat" / "003.png", tmp_path / "unseen" / "dog" / "001.png"]
    for path in broken:
        path.write_text("no picture", encoding="utf-8")
    source = load(unsplit, test="folder:unseen", base=tmp_path)
    assert source.unreadable == tuple(str(path) for path in broken)
    assert source.test.labels.tolist() == [1, 1]
    with pytest.raises(MissingError, match=r"no folder at .*nowhere"):
        load(unsplit, test="folder:nowhere", base=tmp_path)


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    """Although others are named."""
    spec = npz(tmp_path / "a.npz", {**toy_arrays(1, train=6, test=2), "classes": np.array(["cat", "dog"])})
    with pytest.raises(UsageError, match=r"needs two classes or more; all training images of .* are of class 'cat'"):
        load(spec)


@pytest.mark.parametrize(("split", "word"), [("valid", "validation"), ("test", "test")])
def test_a_class_that_train_lacks(tmp_path: Path, split: str, word: str) -> None:
    """It may be named, with a warning, and may not be asked for."""
    arrays = {**toy_arrays(train=8, valid=2, test=2), "classes": np.array(["ant", "bee", "cat"])}
    events: list[Event] = []
    spec = npz(tmp_path / "a.npz", arrays)
    load(spec, emit=events.append)
    assert Note(text=f"no training image of {spec} shows: cat; a network can only learn them elsewhere", level="warning") in events
    arrays[f"y_{split}"] = np.array([0, 2])
    with pytest.raises(UsageError, match=rf"if it can be learnt: {word} images of .* have classes that train lacks: cat\."):
        load(npz(tmp_path / "a.npz", arrays))


def a_pixel(arrays: Arrays) -> None:
    """Of the last test image."""
    arrays["x_test"][-1, -1, -1] ^= 1


def a_label(arrays: Arrays) -> None:
    """Of a validation image."""
    arrays["y_valid"][0] ^= 1


def a_name(arrays: Arrays) -> None:
    """Of a class."""
    arrays["classes"][0] = "cow"


def a_split(arrays: Arrays) -> None:
    """The last training image becomes the first for validation, so that all images and labels together keep their order."""
    for axis in "xy":
        train, valid = arrays[f"{axis}_train"], arrays[f"{axis}_valid"]
        arrays |= {f"{axis}_train": train[:-1], f"{axis}_valid": np.concatenate([train[-1:], valid])}


@pytest.mark.parametrize("change", [a_pixel, a_label, a_name, a_split])
def test_the_hash_changes_with_the_data(tmp_path: Path, change: Callable[[Arrays], None]) -> None:
    """And not with the file's name."""
    arrays = {**toy_arrays(train=20, valid=6, test=4), "classes": np.array(["cat", "dog"])}
    before = load(npz(tmp_path / "a.npz", arrays)).sha256
    assert load(npz(tmp_path / "b.npz", arrays)).sha256 == before
    change(arrays)
    assert load(npz(tmp_path / "c.npz", arrays)).sha256 != before


def counted(images: Images, classes: int) -> list[int]:
    """Images of each class."""
    return [int(count) for count in class_counts(images.labels, classes)]


def test_a_long_tail_is_learnt_from_and_chosen_by(tmp_path: Path) -> None:
    """Validation is cut from the tail and no other images, the test images stay, and another tail is other data."""
    spec = npz(tmp_path / "a.npz", toy_arrays(3, train=240, test=30))
    whole, tail = load(spec), load(spec, imbalance=16)
    assert counted(tail.train, 3) == [72, 18, 5]
    assert counted(tail.valid, 3) == [8, 2, 0]
    assert numbers(tail.test) == numbers(whole.test)
    assert not set(numbers(tail.train)) & set(numbers(tail.valid))
    assert load(spec, imbalance=16).sha256 == tail.sha256
    assert len({source.sha256 for source in (whole, tail, load(spec, imbalance=8))}) == 3
    assert load(spec, imbalance=1).sha256 == whole.sha256


def test_all_of_a_long_tail_may_be_learnt_from(tmp_path: Path) -> None:
    """Validation of 0 % leaves the whole tail to train on."""
    spec = npz(tmp_path / "a.npz", toy_arrays(3, train=240, test=30))
    assert counted(load(spec, imbalance=16, validation=0).train, 3) == [80, 20, 5]


def test_the_datas_own_validation_images_are_thinned_alike(tmp_path: Path) -> None:
    """A class that is rare in training is as rare where choices are made, and never gone."""
    source = load(npz(tmp_path / "a.npz", toy_arrays(3, train=240, valid=18, test=30)), imbalance=16)
    assert counted(source.train, 3) == [80, 20, 5]
    assert counted(source.valid, 3) == [6, 2, 1]
    assert counted(source.test, 3) == [10, 10, 10]


def test_a_test_set_that_is_cut_off_keeps_the_datas_own_frequencies(unsplit: str) -> None:
    """It is cut before the tail; the tail is as long as the smallest class allows."""
    source = load(unsplit, imbalance=4)
    assert counted(source.test, 2) == [2, 4]
    assert counted(source.train, 2) + counted(source.valid, 2) == [16, 4, 2, 0]


def test_groups_stay_whole_in_a_long_tail(tmp_path: Path, write_images: WriteImages) -> None:
    """What is left of a group is learnt from or chosen by, never both."""
    rows = []
    for kind in ("cat", "dog"):
        for number, file in enumerate(write_images(tmp_path / kind, 40, (4, 4))):
            rows.append(f"{file.relative_to(tmp_path)},{kind},{'test' if number < 8 else 'train'},{kind}{number // 4}\n")
    (tmp_path / "table.csv").write_text("path,label,split,group\n" + "".join(rows), encoding="utf-8")
    source = load(f"csv:{tmp_path / 'table.csv'}", imbalance=2, validation=0.2)
    groups = [row.rsplit(",", 1)[1] for row in rows]
    assert len(source.train) + len(source.valid) == 48
    assert not {groups[index] for index in source.train.index} & {groups[index] for index in source.valid.index}


# Several labels an image ----------------------------------------------------------------------------------------------


def several_arrays(train: int = 40, test: int = 8, names: str = "abc") -> Arrays:
    """Toy images, each of which shows the labels that the bits of its number plus one name."""
    arrays = toy_arrays(train=train, test=test)
    for split, count in (("train", train), ("test", test)):
        arrays[f"y_{split}"] = ((np.arange(count)[:, None] + 1) >> np.arange(len(names))) & 1
    return arrays | {"classes": np.array(list(names))}


def test_labels_stay_with_their_images(tmp_path: Path) -> None:
    """Through the cut of validation images, a row an image."""
    source = load(npz(tmp_path / "d.npz", several_arrays()), several=True)
    assert (source.classes, sizes(source)) == (("a", "b", "c"), (36, 4, 8))
    for images in (source.train, source.valid, source.test):
        assert images.labels.tolist() == [[(number + 1) >> bit & 1 for bit in range(3)] for number in numbers(images)]
    assert class_counts(source.train.labels, 3).tolist() == source.train.labels.sum(axis=0).tolist()
    assert (source.valid.labels == 1).any(axis=0).all()


def test_the_hash_knows_every_label(tmp_path: Path) -> None:
    """One label that is not known any more is other data."""
    arrays = several_arrays()
    first = load(npz(tmp_path / "d.npz", arrays), several=True).sha256
    arrays["y_test"] = arrays["y_test"].astype(np.float64)
    assert load(npz(tmp_path / "e.npz", arrays), several=True).sha256 == first
    arrays["y_test"][0, 1] = np.nan
    assert load(npz(tmp_path / "f.npz", arrays), several=True).sha256 != first


def test_unseen_images_bring_their_labels_by_name(tmp_path: Path) -> None:
    """In the data's order; what they do not tell of a label is not known; one that the data lacks is refused where it is shown."""
    spec = npz(tmp_path / "d.npz", several_arrays())
    other = several_arrays(train=8, test=6, names="cxa")
    other["y_test"][:, 1] = 0
    source = load(spec, test=npz(tmp_path / "t.npz", other), several=True)
    assert source.test.labels.tolist() == [[(n + 1) >> 2 & 1, -1, (n + 1) & 1] for n in range(6)]
    other["y_test"][0, 1] = 1
    with pytest.raises(UsageError, match=r"every class of --test .* must be one of the data's \(a, b, c\); it also has x"):
        load(spec, test=npz(tmp_path / "u.npz", other), several=True)


def test_tasks_and_labels_that_do_not_fit(tmp_path: Path, unsplit: str) -> None:
    """Both ways round, and kinds of data that have one label an image."""
    spec, one = npz(tmp_path / "d.npz", several_arrays()), npz(tmp_path / "o.npz", toy_arrays(train=20, test=6))
    with pytest.raises(
        UsageError, match=r"labels are one whole number an image; y_train .* \(40, 3\)\. .* Several labels an image: task = \"multilabel\""
    ):
        load(spec)
    with pytest.raises(UsageError, match=r"labels are a matrix of 0 and 1, .*y_train .* \(20,\)\. Where each image has one label, leave task"):
        load(one, several=True)
    for other in ("digits", unsplit, "hf:pets", "cifar10:sets"):
        with pytest.raises(UsageError, match=r"has one label an image\. Several come from npz:FILE"):
            load(other, several=True)


def test_several_labels_that_cannot_be_learnt_or_tested(tmp_path: Path) -> None:
    """No image shows any; no test image does; one that only test images show."""
    arrays = several_arrays()
    with pytest.raises(UsageError, match=r"no training image of .* shows any of its labels: there is nothing to learn"):
        load(npz(tmp_path / "a.npz", arrays | {"y_train": np.zeros((40, 3))}), several=True)
    with pytest.raises(UsageError, match=r"no test image of .* does\. Take others"):
        load(npz(tmp_path / "b.npz", arrays | {"y_test": np.full((8, 3), -1)}), several=True)
    lacking = arrays["y_train"] * [1, 1, 0]
    with pytest.raises(UsageError, match=r"test images of .* have classes that train lacks: c"):
        load(npz(tmp_path / "c.npz", arrays | {"y_train": lacking}), several=True)


def test_test_images_that_were_learnt_from_are_doubted(tmp_path: Path) -> None:
    """Pixel by pixel; a hundredth of them may slip in without a word."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (300, 4, 4, 3), np.uint8), np.arange(300) % 2
    for again, doubted in ((40, True), (2, False)):
        test = np.concatenate([x[:again], rng.integers(0, 256, (200 - again, 4, 4, 3), np.uint8)])
        np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=test, y_test=np.arange(200) % 2)
        told: list[Event] = []
        found = load("npz:images.npz", base=tmp_path, emit=told.append)
        said = [event for event in told if isinstance(event, Note) and "every accuracy here looks better" in event.text]
        assert bool(found.notes) == bool(said) == doubted
        assert all(event.level == "warning" for event in said)


def test_validation_images_are_held_against_the_others_too(tmp_path: Path) -> None:
    """What is chosen by images that were learnt from, or are tested on, is chosen wrongly."""
    rng = np.random.default_rng(0)
    images = {split: rng.integers(0, 256, (count, 4, 4, 3), np.uint8) for split, count in (("train", 60), ("valid", 20), ("test", 20))}
    said = {"train": "20 of 20 validation images are also among those to learn from", "test": "test images are also validation images"}
    for again, words in said.items():
        arrays = {**images, "valid": images[again][:20]}
        named: dict[str, Any] = {f"{kind}_{split}": x if kind == "x" else np.arange(len(x)) % 2 for split, x in arrays.items() for kind in "xy"}
        np.savez(tmp_path / "images.npz", **named)
        assert any(words in note for note in load("npz:images.npz", base=tmp_path).notes)


def test_classes_that_a_split_lacks_are_named(tmp_path: Path) -> None:
    """A small split has a few classes only."""
    x, y = np.random.default_rng(0).integers(0, 256, (160, 4, 4, 3), np.uint8), np.arange(160) % 40
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    told: list[Event] = []
    load("npz:images.npz", base=tmp_path, emit=told.append)
    assert any(isinstance(event, Note) and event.text == "10 of 40 classes have no test image: 30, 31, 32, 33, 34 and 5 more" for event in told)


@pytest.mark.parametrize("disk", [True, False])
def test_pictures_outside_memory_are_held_against_each_other_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: bool) -> None:
    """By what was seen when each was read, whether they then lie decoded on disk or stay where they are."""
    monkeypatch.setattr(memory, "fits", lambda _: False)
    if not disk:
        monkeypatch.setattr(ondisk, "reserved", lambda shape, emit: None)
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for name in ("a", "b"):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "photos" / split / name / f"{number}.png")
    assert load("folder:photos", base=tmp_path).notes == ()
    for number in range(3):
        shutil.copy(tmp_path / "photos" / "train" / "a" / f"{number}.png", tmp_path / "photos" / "test" / "a" / f"again{number}.png")
    (note,) = load("folder:photos", base=tmp_path).notes
    assert note.startswith("3 of 11 test images are also among those to learn from")
