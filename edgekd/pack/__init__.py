"""A folder that someone else can ship: a run's file for a target, with samples that check themselves.

    model.onnx  classes.txt  preprocess.txt  images/  expected.txt  sample.py  cpp/  report/  licences/  README.txt  manifest.json

In: a finished run's folder, a target. Out: the folder, whole or not at all, and on request one zip file of it. The same run gives the same bytes.
Nothing is measured here, and the run's folder stays as it is.
"""

import importlib.metadata
import os
import shutil
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from edgekd import __version__
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Wrote, silent
from edgekd.files import atomic_path, sha256_file, write_atomic
from edgekd.pack.chosen import Choice, chosen
from edgekd.pack.readme import licences_text, readme_text, samples
from edgekd.pack.shown import Shown, shown
from edgekd.pack.texts import classes_text, expected_text, preprocess_text
from edgekd.report.html import html
from edgekd.report.markdown import markdown

__all__ = ["Packed", "pack"]

_MANIFEST = "manifest.json"


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json: what was packed, from which run, and the sha256 of every other file."""

    schema: int = 1
    edgekd: str = __version__
    run: str
    artifact: str
    target: str
    runtime: str
    files: dict[str, str]


def pack(
    run: Path,
    on: str,
    out: Path,
    *,
    artifact: str | None = None,
    images: Sequence[Path] = (),
    base: Path = Path(),
    zipped: bool = False,
    emit: Emit = silent,
) -> Packed:
    """Write a run's file for a target into a folder, with all that is needed to ship it.

    Args:
        run: a finished run's folder.
        on: a target's name, or FILE.toml.
        out: a folder that is new or empty.
        artifact: the file's `ROLE/NAME/PRECISION`; None: what the report ships on the target.
        images: three pictures to pack in place of test images.
        base: what the data's relative paths start from.
        zipped: write one zip file beside the folder, too: its name and `.zip`.

    Raises:
        EdgekdError: the run, the file, its images or the folder cannot be used; nothing is left of the pack then.
    """
    out = Path(os.path.abspath(out))
    archive = out.parent / f"{out.name}.zip"
    _refuse_occupied(out, archive if zipped else None)
    choice = chosen(run, on, artifact)
    seen = shown(choice, images, base, emit)
    with atomic_path(out) as part:
        try:
            packed = _filled(part, choice, seen)
            if zipped:
                with atomic_path(archive) as unfinished:
                    _zip(unfinished, part, out.name)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    emit(Wrote(path=str(out), what="pack"))
    return packed


def _refuse_occupied(out: Path, archive: Path | None) -> None:
    if out.is_dir() and (others := sorted(file.name for file in out.iterdir())):
        raise UsageError(f"a pack needs a folder of its own, and {out} holds {others[0]!r}. Choose another with --out, or empty that one.")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"a pack needs a folder of its own, and {out} is a file or a link. Choose another with --out.")
    if archive is not None and os.path.lexists(archive):
        raise UsageError(f"{archive} is there already and is not overwritten. Choose another folder with --out, or remove it.")


def _filled(part: Path, choice: Choice, seen: Shown) -> Packed:
    """Write every file of the pack into a folder."""
    (part / "images").mkdir(parents=True)
    shutil.copyfile(choice.file, part / "model.onnx")
    for name, text in _texts(choice, seen).items():
        write_atomic(part / name, text)
    _draw(part / "images", seen)
    files = {file.relative_to(part).as_posix(): sha256_file(file) for file in sorted(part.rglob("*")) if file.is_file()}
    if files["model.onnx"] != choice.artifact.sha256:
        raise UsageError(f"{choice.file} changed while it was packed: a run works there. Wait until it ends, and pack again.")
    packed = Packed(run=choice.report.name, artifact=choice.artifact.name, target=choice.target.name, runtime=choice.target.runtime, files=files)
    write_atomic(part / _MANIFEST, msgspec.json.format(msgspec.json.encode(packed), indent=1) + b"\n")
    return packed


def _texts(choice: Choice, seen: Shown) -> dict[str, str | bytes]:
    """The pack's text files by name."""
    runtime = f"onnxruntime {importlib.metadata.version('onnxruntime')}"
    texts: dict[str, str | bytes] = {
        "README.txt": readme_text(choice, seen),
        "classes.txt": classes_text(choice.data.classes),
        "preprocess.txt": preprocess_text(choice, seen.feed),
        "expected.txt": expected_text(choice, seen, runtime),
        "sample.py": _sample("sample.py"),
        "licences/README.txt": licences_text(choice.target, seen),
        "licences/edgekd-LICENSE.txt": _licence(),
        "report/report.json": (choice.run / "report.json").read_bytes(),
        "report/report.md": markdown(choice.report),
        "report/report.html": html(choice.report),
    }
    cpp = samples(choice.target, seen)
    return texts | {f"cpp/{name}": _sample(f"cpp/{name}") for name in (["pack.h", *cpp] if cpp else [])}


def _sample(name: str) -> bytes:
    return resources.files("edgekd.pack").joinpath("samples", *name.split("/")).read_bytes()


def _licence() -> str:
    """edgekd's own licence: in an installation's metadata, or beside the package in a checkout.

    Raises:
        MissingError: it is in neither; the installation is damaged.
    """
    try:
        text = importlib.metadata.distribution("edgekd").read_text("licenses/LICENSE")
    except importlib.metadata.PackageNotFoundError:
        text = None
    if text is not None:
        return text
    file = Path(str(resources.files("edgekd"))).parent / "LICENSE"
    if not file.is_file():
        raise MissingError("edgekd's LICENSE is not in its installation. Reinstall edgekd.")
    return file.read_text(encoding="utf-8")


def _draw(folder: Path, seen: Shown) -> None:
    """1.png, 2.png, 3.png, and the same as PGM (grey) or PPM (colour)."""
    from PIL import Image

    for number, pixels in enumerate(seen.pixels, start=1):
        grey = pixels.shape[2] == 1
        picture = Image.fromarray(pixels[:, :, 0] if grey else pixels)
        picture.save(folder / f"{number}.png")
        picture.save(folder / f"{number}.{'pgm' if grey else 'ppm'}")


def _zip(file: Path, folder: Path, name: str) -> None:
    """One archive with the folder in it, under a name; its files bear no date, so that equal packs are equal."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}")
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                with path.open("rb") as source, archive.open(entry, "w") as copy:
                    shutil.copyfileobj(source, copy)
