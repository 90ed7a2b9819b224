"""How pictures are cut, and that every network's file says so: what is scored in a run is what the file sees afterwards."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgekd import compress as verbs
from edgekd.cli.app import app
from edgekd.compress.images import cut_before
from edgekd.compress.lesson import built, own_preprocess
from edgekd.compress.previous import Old
from edgekd.compress.story import Story
from edgekd.device.predict import LUMA
from edgekd.events import silent
from edgekd.preprocess import Stated
from edgekd.recipe import Recipe, Student, Teacher
from edgekd.record import Report
from tests.compress.jobs import recipe, workplace


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 16×16: bright above or below in their middle of 8×8, noise around it."""
    folder = workplace(tmp_path_factory.mktemp("cut"))
    draw = np.random.default_rng(0)
    for label, name in enumerate(("above", "below")):
        for number in range(60):
            pixels = draw.integers(0, 256, (16, 16, 3), np.uint8)
            pixels[4:12, 4:12] = draw.integers(0, 120, (8, 8, 3), np.uint8)
            pixels[4 + 4 * label : 8 + 4 * label, 4:12] += 100
            place = folder / "photos" / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def job(**teacher: object) -> Recipe:
    """A teacher that sees the middle of its pictures."""
    stated = msgspec.convert({"size": (8, 8), "resize": 16, "crop": 8, **teacher}, Stated)
    return recipe(data="folder:photos", teacher=Teacher(model="nets.py:wide", preprocess=stated))


@pytest.fixture(scope="module")
def report(base: Path) -> Report:
    """The files of such a run, scored."""
    return verbs.evaluate_files(job(), folder=base / "run", base=base)


def test_every_file_says_how_its_images_were_cut(report: Report) -> None:
    """The student's too, which begins at random and states nothing."""
    assert report.data is not None
    assert report.data.crop_fraction == 0.5
    assert [artifact.preprocess.crop_fraction for artifact in report.artifacts if artifact.preprocess is not None] == [0.5] * len(report.artifacts)


def test_a_bare_file_is_as_good_as_in_its_run(base: Path, report: Report) -> None:
    """Asked about the same pictures afterwards, whole ones of a folder."""
    score = report.score("student/thin/fp32")
    assert score is not None
    (artifact,) = (each for each in report.artifacts if each.name == "student/thin/fp32")
    result = CliRunner().invoke(app, ["evaluate", str(base / "run" / artifact.path), "--data", f"folder:{base / 'photos'}", "--json"])
    assert result.exit_code == 0, result.output
    (bare,) = msgspec.json.decode(result.stdout, type=Report).scores
    assert bare.metrics["accuracy"].value == score.metrics["accuracy"].value


@pytest.mark.parametrize(("data", "test"), [("folder:photos", None), ("npz:images.npz", "folder:photos")])
def test_what_a_network_was_taught_on_elsewhere_does_not_count(base: Path, data: str, test: str | None) -> None:
    """Its weights may come from another cut; here it learns from this one, is scored on it, and says so. Where nothing says how, nothing was cut."""
    own = Student(model="nets.py:thin", preprocess=Stated(resize=10, crop=8))
    told = msgspec.structs.replace(job(), data=data, test=test, student=(own,))
    untold = msgspec.structs.replace(told, teacher=Teacher(model="nets.py:wide"))
    for number, (asked, cut) in enumerate(((told, 0.5), (untold, 1.0))):
        with Story.opened(asked, base / f"asked-{data[:3]}-{number}", "test", base, silent) as story:
            assert built(story, own, replace_head=True).preprocess.crop_fraction == cut


def test_a_run_whose_teacher_is_gone_still_says_it(base: Path, report: Report) -> None:
    """By its students; as long as the teacher's file is there, by that."""
    assert report.data is not None
    with Story.opened(job(), base / "student", "test", base, silent) as story:
        student = built(story, Student(model="nets.py:thin"), replace_head=True)
    gone = msgspec.structs.replace(job(), teacher=Teacher(model="gone.onnx"))
    for asked in (job(), gone):
        cut = cut_before(Old(base / "run", base, asked, report.data, {"nets.py:thin": student}))
        assert cut is not None
        assert cut.crop_fraction == 0.5


@pytest.mark.parametrize(("colour", "expected"), [("bgr", "reversed"), ("grey", "grey")])
def test_a_network_at_random_is_given_its_own_colours_mean(base: Path, colour: str, expected: str) -> None:
    """In the order that it is given them, or of the grey that they make."""
    with Story.opened(job(), base / f"colour-{colour}", "test", base, silent) as story:
        plain = own_preprocess(story, Student(model="resnet8"))
        found = own_preprocess(story, Student(model="resnet8", preprocess=msgspec.convert({"colour": colour}, Stated)))
        assert found.colour == colour
        assert len(plain.mean) == 3
        if expected == "reversed":
            assert (found.mean, found.std) == (plain.mean[::-1], plain.std[::-1])
        else:
            assert found.mean[0] == pytest.approx(float(np.dot(plain.mean, LUMA)), abs=1e-3)
            assert 0 < found.std[0] < max(plain.std)
