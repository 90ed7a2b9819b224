"""The samples as whoever gets a pack runs them: other processes, in the pack's folder, without edgekd and without torch."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from edgekd.cli.predict import read_picture
from edgekd.pack import pack
from edgekd.preprocess import Preprocess
from tests.device.nets import classifier
from tests.needs import need_tool
from tests.pack.runs import finished

SAMPLES = Path(__file__).resolve().parents[2] / "edgekd" / "pack" / "samples"
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(('edgekd', 'torch', 'onnx')))"
"""Whatever imports one of these, or what is in it, fails."""
CLASSES = ["two\nlines", "👩‍🚀", "שלום\u202e", "x" * 200, "# a = b"]


def colourful(folder: Path, name: str, ways: Preprocess, **options: Any) -> Path:
    """The pack of a classifier of colour images into classes with hostile names."""
    draw = np.random.default_rng(2)
    images = draw.integers(0, 256, (40, 6, 4, 3), np.uint8), np.arange(40) % 5
    (folder / name).mkdir()
    run = finished(folder / name, classes=CLASSES, preprocess=ways, images=images, file=lambda path: classifier(path, **options))
    pack(run, "cpu", folder / name / "pack", base=folder / name)
    return folder / name / "pack"


WAYS = Preprocess(size=(6, 4), resize=8, crop=6, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), colour="bgr")


@pytest.fixture(scope="module")
def packs(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A grey pack; one in BGR with channels first; one with channels last, a softmax and batches of two; one that takes uint8."""
    folder = tmp_path_factory.mktemp("packs")
    return {
        "grey": Path(shutil.copytree(packed, folder / "grey")),
        "bgr": colourful(folder, "bgr", WAYS),
        "last": colourful(folder, "last", Preprocess(size=(6, 4), mean=(0.5,), std=(0.5,)), shape=(2, 6, 4, 3), softmax=True),
        "uint8": colourful(folder, "uint8", Preprocess(size=(6, 4), mean=(0.0,), std=(1.0,)), kind=TensorProto.UINT8),
    }


def python(pack: Path, *typed: str | Path, code: int = 0) -> str:
    """What sample.py prints where edgekd, torch and onnx cannot be imported; it stands in another folder when it starts."""
    run = f"{BLOCKED}; import runpy; sys.argv = {['sample.py', *map(str, typed)]!r}; runpy.run_path({str(pack / 'sample.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-P", "-c", run], capture_output=True, cwd=pack.parent, check=False, env={"PYTHONUTF8": "1"})
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("name", ["grey", "bgr", "last", "uint8"])
def test_the_python_sample_finds_its_answers_as_expected(packs: dict[str, Path], name: str) -> None:
    """In a process that has neither edgekd nor torch."""
    lines = python(packs[name]).splitlines()
    assert [line.split(":")[0] for line in lines] == ["images/1", "images/2", "images/3"]
    assert all(line.endswith("; as expected") for line in lines)


def test_an_answer_that_is_not_as_expected_fails(packs: dict[str, Path], tmp_path: Path) -> None:
    """Another model, or other expectations: exit code 1, and which image it was."""
    pack = Path(shutil.copytree(packs["bgr"], tmp_path / "pack"))
    text = (pack / "expected.txt").read_text(encoding="utf-8")
    number = re.search(r"^images/2 = (\S+)", text, re.MULTILINE)
    assert number is not None
    (pack / "expected.txt").write_text(text.replace(number[0], f"images/2 = {float(number[1]) + 0.1}"), encoding="utf-8")
    first, second, third = python(pack, code=1).splitlines()
    assert "; NOT as expected, off by 0.1" in second
    assert first.endswith("; as expected")
    assert third.endswith("; as expected")


def pictures(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    """Pictures of every kind that has a rule of its own, with how they are saved."""
    draw = np.random.default_rng(7)
    noise = draw.integers(0, 256, (90, 70, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "photo.jpg", Image.fromarray(noise), {"quality": 80, "exif": turned}
    yield "large.jpg", Image.fromarray(noise).resize((700, 900)), {"quality": 80}
    yield "tall.png", Image.fromarray(noise[:, :9]), {}
    yield "small.bmp", Image.fromarray(noise[:3, :5]), {}
    yield "right.png", Image.fromarray(noise[:6, :4]), {}
    yield "clear.png", Image.fromarray(np.dstack([noise, noise[:, :, :1]])), {}
    yield "palette.png", Image.fromarray(noise).quantize(16), {"transparency": 3}
    yield "deep.png", Image.fromarray(draw.integers(0, 65536, (40, 30)).astype(np.uint16)), {}
    yield "bits.png", Image.fromarray(noise).convert("1"), {}
    yield "print.tif", Image.fromarray(noise).convert("CMYK"), {}


@pytest.mark.parametrize("name", ["grey", "bgr"])
def test_the_python_sample_prepares_any_picture_as_edgekd_does(packs: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Pixel for pixel, whatever a file holds; and names classes for it."""
    made = list(pictures(tmp_path))
    for file, picture, options in made:
        picture.save(tmp_path / file, **options)
    paths = [tmp_path / file for file, _, _ in made]
    code = (
        f"{BLOCKED}; sys.path.insert(0, {str(packs[name])!r}); import sample, json, pathlib; "
        "print(json.dumps([sample.pixels(pathlib.Path(p), float(sample.HOW['crop'])).tolist() for p in sys.argv[1:]]))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    ways = WAYS if name == "bgr" else Preprocess(size=(4, 4), colour="grey")
    for path, pixels in zip(paths, json.loads(done.stdout), strict=True):
        np.testing.assert_array_equal(np.array(pixels), read_picture(path, ways), err_msg=path.name)
    lines = python(packs[name], *paths[:2]).splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in paths[:2]]


def test_a_picture_can_be_saved_for_the_cpp_samples(packs: dict[str, Path], tmp_path: Path) -> None:
    """By the line that README.txt gives: at the network's size, in its channels."""
    Image.new("RGB", (50, 40), (10, 20, 30)).save(tmp_path / "photo.jpg")
    for name, kind, magic in (("grey", "pgm", b"P5\n4 4\n255\n"), ("bgr", "ppm", b"P6\n4 6\n255\n")):
        line = re.search(r'python -c "(import sample;.*)"', (packs[name] / "README.txt").read_text(encoding="utf-8"))
        assert line is not None
        shutil.copyfile(tmp_path / "photo.jpg", packs[name] / "photo.jpg")
        subprocess.run([sys.executable, "-c", line[1]], cwd=packs[name], check=True)
        assert (packs[name] / f"photo.{kind}").read_bytes().startswith(magic)


@pytest.fixture(scope="module")
def openvino(packs: dict[str, Path]) -> Path:
    """The OpenVINO sample, built by the lines of README.txt but for optimisation, with warnings on."""
    need_tool("g++")
    text = (packs["grey"] / "README.txt").read_text(encoding="utf-8")
    lines = re.search(r"    OV=.*?rpath,\"\$OV/libs\"\n", text, re.DOTALL)
    assert lines is not None
    script = lines[0].replace("python -c", f"{sys.executable} -c").replace("-O2", "-O0 -Wall -Wextra -Werror")
    script = script.replace("-I ", "-isystem ")  # OpenVINO's own headers have warnings
    done = subprocess.run(["bash", "-ec", script], cwd=packs["grey"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return packs["grey"] / "openvino-sample"


def cpp(sample: Path, pack: Path, *typed: str, code: int = 0) -> str:
    """What the compiled sample prints in a pack's folder."""
    done = subprocess.run([sample, *typed], cwd=pack, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


@pytest.mark.timeout(600)
def test_the_openvino_sample_answers_as_onnx_runtime_does(openvino: Path, packs: dict[str, Path]) -> None:
    """On the packed images, in every layout that it knows, and it names the same classes as the Python sample."""
    for name in ("grey", "bgr", "last"):
        lines = cpp(openvino, packs[name]).splitlines()
        assert len(lines) == 3
        assert lines == python(packs[name]).splitlines()


def test_the_openvino_sample_tells_wrong_answers_and_wrong_images(openvino: Path, packs: dict[str, Path], tmp_path: Path) -> None:
    """1: an answer differs; 2: nothing can be answered. Images of one's own have the network's size."""
    pack = Path(shutil.copytree(packs["bgr"], tmp_path / "pack"))
    assert cpp(openvino, pack, "images/3.ppm").startswith("images/3.ppm: ")
    expected = (pack / "expected.txt").read_text(encoding="utf-8")
    for worse in (r"images/2 = 9\1", r"images/2 = nan\1", "images/2 = 1"):
        (pack / "expected.txt").write_text(re.sub(r"images/2 = \S+( .*)", worse, expected), encoding="utf-8")
        lines = cpp(openvino, pack, code=1).splitlines()
        assert ["NOT as expected" in line for line in lines] == [False, True, False]
    (pack / "expected.txt").write_text("tolerance = 1\n")
    assert cpp(openvino, pack, code=1) == python(pack, code=1) == ""
    (pack / "commented.ppm").write_bytes((pack / "images" / "1.ppm").read_bytes().replace(b"P6\n", b"P6\n# by a painter's program\n", 1))
    assert cpp(openvino, pack, "commented.ppm").partition(": ")[2] == cpp(openvino, pack, "images/1.ppm").partition(": ")[2]
    Image.new("RGB", (50, 40)).save(pack / "large.ppm")
    (pack / "short.ppm").write_bytes((pack / "images" / "1.ppm").read_bytes()[:-1])
    for name in ("large.ppm", "short.ppm", "images/1.png"):
        assert f"{name} is no binary PPM file of 4x6 pixels (width x height)" in cpp(openvino, pack, name, code=2)
    assert "no image at none.ppm" in cpp(openvino, pack, "none.ppm", code=2)
    assert "no preprocess.txt here: start the sample in the folder" in cpp(openvino, tmp_path, code=2)


def test_what_nobody_compiled_says_so_first() -> None:
    """And what is compiled here does not."""
    for file in SAMPLES.glob("cpp/*.cpp"):
        assert file.read_text().startswith("// NOT COMPILED HERE: ") is (file.name != "openvino.cpp")
