"""The folder as a whole: what is in it, that it is always the same, and that it is whole or not there."""

import errno
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import RunError, UsageError
from edgekd.events import Event, Wrote
from edgekd.files import sha256_file
from edgekd.pack import pack
from edgekd.reportfile import read_report
from tests.pack.runs import finished


def names(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_all_that_is_needed_to_ship_is_in_it(packed: Path, toy_run: Path) -> None:
    """The file as the run has it, its report, three images in two forms, the samples for a CPU."""
    assert names(packed) == {
        "README.txt", "classes.txt", "preprocess.txt", "expected.txt", "model.onnx", "manifest.json", "sample.py",
        "cpp/pack.h", "cpp/openvino.cpp", "cpp/onnxruntime.cpp", "licences/README.txt", "licences/edgekd-LICENSE.txt",
        "report/report.html", "report/report.json", "report/report.md",
        *(f"images/{number}.{kind}" for number in (1, 2, 3) for kind in ("png", "pgm")),
    }  # fmt: skip
    assert (packed / "model.onnx").read_bytes() == (toy_run / "export" / "student-toy-fp32.onnx").read_bytes()
    assert read_report(packed / "report") == read_report(toy_run)
    assert (packed / "licences" / "edgekd-LICENSE.txt").read_text().strip().startswith("Apache License")
    assert (packed / "classes.txt").read_text() == "dark\nbright\n"


def test_the_manifest_has_the_hash_of_every_other_file(packed: Path) -> None:
    """And says which file of which run this is."""
    told = json.loads((packed / "manifest.json").read_text())
    assert told["files"] == {name: sha256_file(packed / name) for name in names(packed) - {"manifest.json"}}
    assert (told["schema"], told["artifact"], told["target"], told["run"]) == (1, "student/toy/fp32", "cpu", "toy")


def test_the_zip_holds_the_folder(packed: Path) -> None:
    """Under the folder's name, byte for byte."""
    with zipfile.ZipFile(packed.parent / "pack.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {f"pack/{name}": (packed / name).read_bytes() for name in names(packed)}


def test_the_same_run_gives_the_same_bytes(packed: Path, toy_run: Path, tmp_path: Path) -> None:
    """Zip file included; one event tells of it."""
    told: list[Event] = []
    pack(toy_run, "cpu", tmp_path / "pack", base=toy_run.parent, zipped=True, emit=told.append)
    assert (tmp_path / "pack.zip").read_bytes() == (packed.parent / "pack.zip").read_bytes()
    assert [event.path for event in told if isinstance(event, Wrote)] == [str(tmp_path / "pack")]


def test_both_forms_of_an_image_have_the_same_pixels(packed: Path) -> None:
    """Those of a test image."""
    with np.load(packed.parent / "images.npz") as archive:
        known = [pixels.tobytes() for pixels in archive["x_test"]]
    for number in (1, 2, 3):
        first, second = (Image.open(packed / "images" / f"{number}.{kind}").tobytes() for kind in ("png", "pgm"))
        assert first == second
        assert first in known


def test_an_empty_folder_is_taken_and_a_full_one_is_not(toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood there stands there still; `.` is a folder as any other."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    pack(toy_run, "cpu", Path("."), base=toy_run.parent)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "new.zip").write_text("mine")
    for out, said in (
        (tmp_path / "empty", "holds 'README.txt'"),
        (tmp_path / "full", "holds 'thesis.txt'. Choose another with --out"),
        (tmp_path / "file", "is a file or a link"),
        (tmp_path / "link", "is a file or a link"),
        (tmp_path / "new", r"new\.zip is there already and is not overwritten"),
    ):
        with pytest.raises(UsageError, match=said):
            pack(toy_run, "cpu", out, zipped=True)
    assert {(tmp_path / name).read_text() for name in ("full/thesis.txt", "file", "new.zip")} == {"mine"}


@pytest.mark.parametrize("step", ["copyfile", "replace"])
def test_a_full_disk_leaves_nothing(toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whether the model or the last name does not fit; the message names the disk."""

    def full(*_args: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil if step == "copyfile" else os, step, full)
    with pytest.raises(RunError, match=r"no room to write .*pack"):
        pack(toy_run, "cpu", tmp_path / "pack", base=toy_run.parent)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it writes."""

    def interrupted(*_args: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgekd.pack._draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(toy_run, "cpu", tmp_path / "pack", base=toy_run.parent)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changes_meanwhile_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on in the folder may write it anew."""
    run, copy = finished(tmp_path), shutil.copyfile

    def slow(source: Path, place: Path) -> None:
        source.write_bytes(source.read_bytes() + b"x")
        copy(source, place)

    monkeypatch.setattr(shutil, "copyfile", slow)
    with pytest.raises(UsageError, match="changed while it was packed: a run works there"):
        pack(run, "cpu", tmp_path / "pack", base=tmp_path)
    assert not (tmp_path / "pack").exists()
