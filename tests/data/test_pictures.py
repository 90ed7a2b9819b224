"""edgekd.data.pictures: any picture at one size; broken ones are named."""

import itertools
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgekd.data import memory, ondisk, pictures
from edgekd.data.images import Pixels
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note, Progress, silent
from tests.data.conftest import WriteImages


def scan(paths: list[Path], wanted: Wanted | None = None, events: list[Event] | None = None) -> pictures.Scan:
    """A scan of these files."""
    emit = silent if events is None else events.append
    return pictures.scan(len(paths), lambda number: Image.open(paths[number]), lambda number: paths[number].name, wanted or Wanted(), emit)


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def test_right_size_is_left_alone() -> None:
    """A picture that fits is copied byte for byte."""
    picture = halves(6, 4)
    assert np.array_equal(pictures.fit(picture, (4, 6, 3)), np.asarray(picture))


def test_centre_is_cut_from_the_scaled_picture() -> None:
    """The shorter side is scaled and the centre cut out, of wide pictures, tall ones and small ones alike."""
    wide = pictures.fit(halves(40, 10), (5, 5, 3))
    assert wide[:, :2, 0].min() == 255
    assert wide[:, 3:, 2].min() == 255
    small = pictures.fit(halves(4, 2), (8, 8, 3))
    assert small.shape == (8, 8, 3)
    tall = pictures.fit(halves(10, 40), (6, 12, 3))
    assert tall[:, 0, 0].min() == 255


def test_crop_fraction_shows_less() -> None:
    """At a half, the middle half of the picture fills the frame."""
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
    shown = pictures.fit(ramp, (32, 32, 1), 0.5)[:, :, 0]
    assert np.array_equal(shown, np.asarray(ramp)[16:48, 16:48])


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_exif_orientation_is_honoured(tmp_path: Path, ending: str) -> None:
    """A picture stored turned is seen upright, and its upright size counts; whether Pillow has turned it or not."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it
    halves(8, 4).save(tmp_path / f"turned.{ending}", exif=exif)
    found = scan([tmp_path / f"turned.{ending}"])
    assert found.shape == (8, 4, 3)
    assert found.pixels is not None
    assert found.pixels[0, :4, :, 0].min() == 255
    assert found.pixels[0, 4:, :, 2].min() == 255


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("L", 100, 100), ("1", 1, 255), ("I;16", 100 * 256, 100), ("RGBA", (100, 100, 100, 0), 100), ("P", 3, 3), ("CMYK", (155, 155, 155, 0), 100)],
)
def test_every_kind_of_picture_becomes_eight_bits(mode: str, value: object, expected: int) -> None:
    """Grey, bitmap, sixteen-bit, transparent, palette and print colours."""
    picture = Image.new(mode, (2, 2), value)  # type: ignore[arg-type]
    if mode == "P":
        picture.putpalette([number for number in range(256) for _ in range(3)])
        picture.info["transparency"] = bytes(range(256))
    for channels in (1, 3):
        assert np.unique(pictures.fit(picture, (2, 2, channels))).tolist() == [expected]


def test_large_jpegs_are_read_right(tmp_path: Path) -> None:
    """A JPEG decoded at a fraction of its size shows the same picture."""
    halves(1024, 512).save(tmp_path / "large.jpg", quality=95)
    shown = pictures.fit(Image.open(tmp_path / "large.jpg"), (16, 32, 3)).astype(int)
    assert np.abs(shown - pictures.fit(halves(1024, 512), (16, 32, 3)).astype(int)).max() < 12


def test_broken_files_are_named_and_counted(tmp_path: Path, write_images: WriteImages) -> None:
    """Text under an image's name and half an image are dropped; the rest keeps its order."""
    paths = write_images(tmp_path / "good", 3)
    half = tmp_path / "half.png"
    half.write_bytes(paths[0].read_bytes()[:100])
    text = tmp_path / "text.png"
    text.write_text("no picture", encoding="utf-8")
    events: list[Event] = []
    for wanted in (Wanted(), Wanted(size=(8, 8), channels=3)):
        found = scan([paths[0], half, paths[1], text, paths[2]], wanted, events)
        assert found.kept.tolist() == [0, 2, 4]
        assert found.bad == ("half.png", "text.png")
        assert found.pixels is not None
        assert np.array_equal(found.pixels[1], np.asarray(Image.open(paths[1])))
    assert Note(text="2 of 5 images cannot be read and are left out: half.png, text.png", level="warning") in events


def test_exif_that_does_not_read_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels are whole."""

    def broken(picture: Image.Image) -> Image.Image:
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", broken)
    halves(4, 4).save(tmp_path / "a.png")
    assert scan([tmp_path / "a.png"]).bad == ()


def test_twelve_bits_in_sixteen_are_said(tmp_path: Path) -> None:
    """As cameras and microscopes store them: read as they are they would be black."""
    for name, most in (("dark", 4095), ("full", 60000)):
        Image.fromarray(np.linspace(0, most, 16).reshape(4, 4).astype(np.uint16)).save(tmp_path / f"{name}.png")
    for names, warned in ((["dark"], True), (["dark", "full"], False)):
        events: list[Event] = []
        scan([tmp_path / f"{name}.png" for name in names], events=events)
        assert any(isinstance(event, Note) and "hold numbers up to 4095" in event.text for event in events) == warned


def test_nothing_readable(tmp_path: Path) -> None:
    """A set of which no file can be read is refused."""
    (tmp_path / "a.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(MissingError, match=r"none of the 1 image files can be read; the first is a\.png"):
        scan([tmp_path / "a.png"])


def test_size_and_channels_follow_the_pictures(tmp_path: Path, write_images: WriteImages) -> None:
    """One size is kept, several become a square near what they have with a note; all grey stays grey, one in colour makes all three-channel."""
    grey = write_images(tmp_path / "grey", 2, (10, 12), "L")
    assert scan(grey).shape == (10, 12, 1)
    colour = write_images(tmp_path / "colour", 1, (6, 6))
    events: list[Event] = []
    assert scan([*grey, *colour], events=events).shape == (32, 32, 3)
    expected = "the images have 2 sizes (6 to 10 high, 6 to 12 wide): they are held at 32x32; size (--size HxW) says otherwise"
    assert Note(text=expected) in events
    assert scan([*grey, *colour], Wanted(size=(5, 7))).shape == (5, 7, 3)
    assert scan(colour, Wanted(channels=1)).shape == (6, 6, 1)


def test_streamed_pictures_equal_resident_ones(tmp_path: Path, write_images: WriteImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory and disk are short, the reader gives the same pixels, past a dropped file, and the hash is the same."""
    paths = write_images(tmp_path / "images", 5)
    paths[1].write_text("no picture", encoding="utf-8")
    held = scan(paths)
    monkeypatch.setattr(memory, "free_bytes", lambda device="cpu": 0)
    monkeypatch.setattr(ondisk, "reserved", lambda shape, emit: None)
    read = scan(paths)
    assert read.pixels is None
    assert read.reader is not None
    assert held.pixels is not None
    assert read.content == held.content
    places = np.array([3, 0, 1])
    assert np.array_equal(read.reader(places), held.pixels[places])
    paths[4].unlink()
    with pytest.raises(MissingError, match=r"004\.png could be read when the run began and cannot now.*Put it back"):
        read.reader(places)


def test_content_changes_with_a_pixel(tmp_path: Path, write_images: WriteImages) -> None:
    """The hash is stable, and one changed pixel changes it."""
    paths = write_images(tmp_path / "images", 2)
    before = scan(paths).content
    assert scan(paths).content == before
    picture = Image.open(paths[1])
    picture.load()
    picture.putpixel((0, 0), (1, 2, 3))
    picture.save(paths[1])
    assert scan(paths).content != before


@pytest.mark.parametrize("channels", [1, 3])
def test_refit_resizes_arrays(channels: int) -> None:
    """Arrays come back untouched where they fit, and resized or with other channels where they do not."""
    pixels: Pixels = np.random.RandomState(0).randint(0, 256, (3, 8, 8, channels)).astype(np.uint8)
    assert pictures.refit(pixels, Wanted()) is pixels
    assert pictures.refit(pixels, Wanted(size=(4, 6))).shape == (3, 4, 6, channels)
    assert pictures.refit(pixels, Wanted(channels=4 - channels)).shape == (3, 8, 8, 4 - channels)


def test_wishes_that_cannot_be() -> None:
    """Sizes, channels and crops outside their range are refused by name."""
    with pytest.raises(UsageError, match=r"at least 1x1 pixels, got size 0x32"):
        Wanted(size=(0, 32))
    with pytest.raises(UsageError, match=r"1 channel \(grey\) or 3 \(colour\), got channels = 2"):
        Wanted(channels=2)
    with pytest.raises(UsageError, match=r"more than 0 and at most all of an image, got crop fraction 1\.5"):
        Wanted(crop_fraction=1.5)


def test_what_takes_long_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at the headers, reading and fitting: with the time left, and a last word when all is done; what is quick says nothing."""
    pixels: Pixels = np.zeros((4, 8, 8, 1), np.uint8)
    events: list[Event] = []

    def work() -> list[tuple[str, int, bool]]:
        events.clear()
        pictures.scan(4, lambda number: Image.fromarray(pixels[number, :, :, 0]), str, Wanted(), events.append)
        pictures.refit(pixels, Wanted((4, 4)), events.append)
        return [(event.what, event.done, event.seconds_left is not None) for event in events if isinstance(event, Progress)]

    assert work() == []
    ticks = itertools.count()
    monkeypatch.setattr(pictures, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    assert work() == [(what, done, True) for what in ("looking at images", "reading images", "fitting images") for done in (1, 2, 3, 4)]
