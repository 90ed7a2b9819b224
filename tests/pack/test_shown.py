"""The three images of a pack: from the run's test set where it is at hand and the same, else a person's own."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgekd.data import source
from edgekd.data.noise import flipped
from edgekd.errors import MissingError, UsageError
from edgekd.events import silent
from edgekd.pack.chosen import chosen
from edgekd.pack.shown import Shown, shown
from edgekd.reportfile import read_report
from tests.pack.runs import finished, grey_images, rewritten
from tests.toys import brightness


def of(run: Path, *images: Path, base: Path | None = None) -> Shown:
    """What a pack of the run's file would show."""
    return shown(chosen(run, "cpu", None), images, run.parent if base is None else base, silent)


def pictures(folder: Path, count: int = 3) -> list[Path]:
    """Grey pictures of a size that no network here has."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("L", (20, 10), 100 * number).save(path)
    return paths


def test_they_are_test_images_that_the_file_answers_clearly(toy_run: Path) -> None:
    """Of both classes, as the data has them; a reader is told which."""
    seen = of(toy_run)
    pixels, labels = grey_images()
    for image, answer, origin in zip(seen.pixels, seen.answers, seen.origins, strict=True):
        (place,) = (number for number in range(30, 60) if (pixels[number] == image).all())
        assert origin == f"test image {place - 30}, labelled {('dark', 'bright')[labels[place]]}"
        assert answer.argmax() == labels[place]
    assert {origin.split()[-1] for origin in seen.origins} == {"dark", "bright"}
    assert seen.feed.plain
    assert 0 < seen.tolerance < 0.01


def test_few_test_images_are_all_shown(tmp_path: Path) -> None:
    """Two of them."""
    run = finished(tmp_path)
    archive = dict(np.load(tmp_path / "images.npz"))
    np.savez(tmp_path / "images.npz", **{**archive, "x_test": archive["x_test"][:2], "y_test": archive["y_test"][:2]})
    report = read_report(run)
    assert report.data is not None
    rewritten(run, report, data=msgspec.structs.replace(report.data, sha256=source.load("npz:images.npz", base=tmp_path).sha256))
    assert len(of(run).pixels) == 2


def test_data_that_moved_is_said_with_the_remedy(tmp_path: Path) -> None:
    """And three pictures of a person's own do instead, as the network sees them."""
    run = finished(tmp_path)
    os.rename(tmp_path / "images.npz", tmp_path / "elsewhere.npz")
    with pytest.raises(MissingError, match=r"the run was tested on are not at hand: no npz file at .*--images FILE FILE FILE"):
        of(run)
    seen = of(run, *pictures(tmp_path))
    assert [int(image.mean()) for image in seen.pixels] == [0, 100, 200]
    assert (seen.pixels.shape, seen.origins) == ((3, 4, 4, 1), ["0.png", "1.png", "2.png"])


@pytest.mark.parametrize(("changes", "imbalance", "share"), [({"label_noise": "20 %"}, 1.0, 0.2), ({"imbalance": 2.0}, 2.0, 0.0)])
def test_images_are_loaded_as_the_run_had_them(tmp_path: Path, changes: dict[str, object], imbalance: float, share: float) -> None:
    """With labels that were flipped, or as a long tail: the hash is that run's, and the test images are the same."""
    run = finished(tmp_path)
    report = read_report(run)
    assert report.data is not None
    had = flipped(source.load("npz:images.npz", imbalance=imbalance, base=tmp_path), share)
    assert had.sha256 != report.data.sha256
    rewritten(run, report, recipe=report.recipe | changes, data=msgspec.structs.replace(report.data, sha256=had.sha256))
    assert len(of(run).pixels) == 3


def test_data_that_changed_is_said(tmp_path: Path) -> None:
    """Answers to other images are not those of the report."""
    run = finished(tmp_path)
    archive = dict(np.load(tmp_path / "images.npz"))
    np.savez(tmp_path / "images.npz", **{**archive, "x_test": archive["x_test"] + 1})
    with pytest.raises(MissingError, match="holds other images now, or splits them otherwise, than when the run was tested"):
        of(run)


def test_pictures_that_cannot_be_packed_are_named(tmp_path: Path, toy_run: Path) -> None:
    """Two of them, one that is not there, one that is none."""
    first, second, _ = pictures(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="3 images are packed; --images names 2"):
        of(toy_run, first, second)
    with pytest.raises(UsageError, match=r"--images: .*none\.png cannot be read: No such file"):
        of(toy_run, first, second, tmp_path / "none.png")
    with pytest.raises(UsageError, match=r"--images: .*text\.png cannot be read: not a picture"):
        of(toy_run, first, second, tmp_path / "text.png")


def test_a_file_that_is_not_fit_to_ship_is_not_packed(tmp_path: Path) -> None:
    """Answers that are no numbers, or of other classes than the run's."""
    with pytest.raises(UsageError, match="are not all finite: it is not fit to ship"):
        of(finished(tmp_path, file=lambda path: brightness(path, gain=float("nan"))))
    (tmp_path / "other").mkdir()
    run = finished(tmp_path / "other", classes=("dark", "dim", "bright"))
    with pytest.raises(UsageError, match="answers 2 classes, its run names 3"):
        of(run)
