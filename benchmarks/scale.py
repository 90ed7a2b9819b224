"""How the data path's cost grows with the data: images a second and memory for 1,000 to 500,000 images at 32², 64² and 224², generated.

    python -m benchmarks.scale [--seconds 5] [--quick]

A row is a process of its own: batches of 128 in training's order, each as a view, and the teacher's remembered answers to it (10 classes). Sets that
fit in a quarter of the free memory stay there; larger ones are read from a file of decoded pixels, as `data.ondisk` keeps them. `anonymous_mb` is the
most memory that the process asked for beyond what is resident by choice: pages of files that the system would drop at once do not count.

The last rows are JPEG pictures in folders, 224²: the first pass, in which edgekd decodes and keeps them, and every later one, beside torchvision's
ImageFolder with its v2 transforms in a DataLoader of as many workers, taking turns.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.result import ROOT, commit, saved_rows
from benchmarks.result import keep as keep_rows
from edgekd.data import memory, source
from edgekd.data.batches import AHEAD, Batches, order
from edgekd.data.images import Images
from edgekd.data.views import default_augment
from edgekd.distill.heap import freed_memory_is_kept
from edgekd.distill.remembered import Remembered
from edgekd.events import silent

SETS = tuple((count, size) for size in (32, 64, 224) for count in (1_000, 10_000, 50_000, 500_000) if count * size * size <= 50_000 * 224 * 224)
BATCH, CLASSES, PICTURES, WORKERS = 128, 10, 4_000, 2
PIECE = 1_000
"""Images that are generated at once."""


def generated(count: int, size: int, folder: Path) -> Images:
    """Noise, in memory where it fits, else in a file."""
    shape, labels, index = (count, size, size, 3), np.arange(count) % CLASSES, np.arange(count)
    held = memory.fits(count * size * size * 3)
    pixels: Any = np.empty(shape, np.uint8) if held else np.memmap(folder / "pixels", np.uint8, "w+", shape=shape)
    draw = np.random.default_rng(0)
    for start in range(0, count, PIECE):
        piece = pixels[start : start + PIECE]
        piece[:] = draw.integers(0, 256, piece.shape, np.uint8)
    if held:
        return Images(labels, index, shape[1:], pixels=pixels)
    return Images(labels, index, shape[1:], reader=lambda places: np.asarray(pixels[places]))


def anonymous_mb() -> float:
    """Memory of this process that stands in no file, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))


@freed_memory_is_kept()
def shown(batches: Batches, seconds: float, steps: Callable[[], Iterator[torch.Tensor]]) -> tuple[float, float]:
    """Images a second through views, as a lesson has them, and the most memory meanwhile."""
    augment, most, count, begun = default_augment(batches.images.shape, flip=True), 0.0, 0, time.perf_counter()
    for step, positions in enumerate(steps()):
        batches.view(positions, step % 8, augment, 0)
        count += len(positions)
        if step % 20 == 0:
            most = max(most, anonymous_mb())
            if time.perf_counter() - begun > seconds:
                break
    return count / (time.perf_counter() - begun), max(most, anonymous_mb())


def in_order(batches: Batches) -> Iterator[torch.Tensor]:
    """Positions of batch after batch as training asks for them, the next ones announced."""
    pass_ = 0
    while True:
        pieces = torch.split(order(len(batches), 0, pass_), BATCH)
        for at, piece in enumerate(pieces):
            for coming in pieces[at + 1 : at + 1 + AHEAD]:
                batches.prefetch(coming)
            yield piece
        pass_ += 1


def one(count: int, size: int, seconds: float) -> dict[str, Any]:
    """A row, in a process of its own."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=ROOT / "work") as folder:
        before = anonymous_mb()
        batches = Batches(generated(count, size, Path(folder)))
        held = 2 * batches.images.nbytes / 1e6 if batches.resident else 0.0  # the set itself, and the device's copy of it
        speed, most = shown(batches, seconds, lambda: in_order(batches))
        memory_folder = Path(folder) / "memory"
        answers = Remembered(
            torch.nn.Identity(),
            batches,
            memory_folder,
            classes=CLASSES,
            augment=default_augment((size, size, 3), flip=True),
            view_seed=0,
            emit=silent,
        )
        np.save(memory_folder / "view-0.npy", np.zeros((count, CLASSES), np.float16))
        images, asked, begun = torch.empty(0), 0, time.perf_counter()
        for positions in in_order(batches):
            answers.answer(images, positions, 0)
            asked += len(positions)
            if time.perf_counter() - begun > seconds / 5:
                break
        remembered = asked / (time.perf_counter() - begun)
    row = {"images": count, "size": size, "resident": batches.resident, "views_per_s": round(speed), "answers_per_s": round(remembered)}
    return {**row, "anonymous_mb": round(most - before - held, 1)}


# Pictures in folders --------------------------------------------------------------------------------------------------


def pictures(folder: Path, count: int) -> None:
    """JPEG files of 256 to 320 px, smooth enough to compress as photographs do."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(draw.integers(0, 256, (24, 24, 3), np.uint8))
        split, label = "test" if number % 10 == 9 else "train", f"class-{number % 4}"
        file = folder / split / label / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        small.resize((256 + number % 64, 320 - number % 64)).save(file, quality=90)


def torchvisions(folder: Path) -> Iterator[int]:
    """Sizes of batches of ImageFolder behind v2 transforms, pass after pass."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2, 0.2), v2.ToImage()]
    data = ImageFolder(str(folder / "train"), transform=v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True)]))
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    while True:
        for images, _ in loader:
            yield len(images)


def folders(count: int, seconds: float) -> dict[str, Any]:
    """A row: edgekd's first pass and later ones, and torchvision's, in turns."""
    memory.fits = lambda nbytes, device="cpu": False
    torch.set_num_threads(WORKERS)
    with tempfile.TemporaryDirectory(dir=ROOT / "work") as name:
        folder = Path(name)
        pictures(folder, count)
        begun = time.perf_counter()
        batches = Batches(source.load(f"folder:{folder}", size=(224, 224)).train)
        first = time.perf_counter() - begun
        theirs = torchvisions(folder)
        next(theirs)
        ours_per_s, theirs_per_s, steps = [], [], in_order(batches)
        for _ in range(3):
            ours_per_s.append(shown(batches, seconds, lambda: steps)[0])
            begun, seen = time.perf_counter(), 0
            while time.perf_counter() - begun < seconds:
                seen += next(theirs)
            theirs_per_s.append(seen / (time.perf_counter() - begun))
    speeds = {"views_per_s": round(float(np.median(ours_per_s))), "torchvision_per_s": round(float(np.median(theirs_per_s)))}
    return {"images": count, "size": 224, "jpeg": True, "first_pass_per_s": round(count / first), **speeds}


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Each row's pace by its name, the most memory beyond what is resident, and the pictures' pace over torchvision's."""
    found = {f"views_per_s_{row['images']}_at_{row['size']}": float(row["views_per_s"]) for row in rows if not row.get("jpeg")}
    if any("anonymous_mb" in row for row in rows):
        found["anonymous_mb_max"] = max(row["anonymous_mb"] for row in rows if "anonymous_mb" in row)
    for row in rows:
        if row.get("jpeg"):
            found["folder_over_torchvision"] = row["views_per_s"] / row["torchvision_per_s"]
            found["folder_first_pass_over_torchvision"] = row["first_pass_per_s"] / row["torchvision_per_s"]
    return found


def main() -> None:
    """Every row that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured")
    parser.add_argument("--quick", action="store_true", help="a smoke test: small sets, results thrown away")
    parser.add_argument("--one", nargs=2, type=int, metavar=("IMAGES", "SIZE"), help="print one row")
    parser.add_argument("--pictures", type=int, metavar="COUNT", help="print the row of pictures in folders")
    args = parser.parse_args()
    if args.one or args.pictures:
        print(json.dumps(one(args.one[0], args.one[1], args.seconds) if args.one else folders(args.pictures, args.seconds)))
        return
    (ROOT / "work").mkdir(exist_ok=True)
    rows = {} if args.quick else {(row["size"], row["images"], row.get("jpeg", False)): row for row in saved_rows("scale")}
    asked = {(size, count, False): ["--one", str(count), str(size)] for count, size in (((1000, 32), (1000, 64)) if args.quick else SETS)}
    asked[224, 100 if args.quick else PICTURES, True] = ["--pictures", str(100 if args.quick else PICTURES)]
    for what, words in asked.items():
        if what in rows:
            continue
        line = [sys.executable, "-m", "benchmarks.scale", *words, "--seconds", str(0.5 if args.quick else args.seconds)]
        begun = time.monotonic()
        told = subprocess.run(line, cwd=ROOT.parent, capture_output=True, text=True, check=True).stdout
        rows[what] = {**json.loads(told.splitlines()[-1]), "seconds": round(time.monotonic() - begun, 1), "commit": commit()}
        print(json.dumps(rows[what]), flush=True)
        keep_rows("scale", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()
