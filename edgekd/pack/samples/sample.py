"""What images show, by the model beside this file. Python 3.10 or newer, numpy, onnxruntime and pillow; nothing else.

python sample.py IMAGE...   names the likeliest classes of pictures of any size
python sample.py            answers the packed images, and exits 1 where an answer is not the expected one
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # reads that word when it is imported

HERE = Path(__file__).resolve().parent


def table(name: str) -> dict[str, str]:
    """The lines `key = value` of a text file."""
    lines = (HERE / name).read_text(encoding="utf-8").split("\n")
    return dict(line.split(" = ", 1) for line in lines if " = " in line and not line.startswith("#"))


HOW = table("preprocess.txt")
HEIGHT, WIDTH, CHANNELS, BATCH = (int(HOW[key]) for key in ("height", "width", "channels", "batch"))
CLASSES = (HERE / "classes.txt").read_text(encoding="utf-8").split("\n")
# Rounds the float bias of int8 files for TensorRT by scales in fp16, and answers something else.
WRONG = ["WeightBiasQuantization"]
SESSION = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"], disabled_optimizers=WRONG)


def pixels(path: Path, crop: float) -> Any:
    """A picture as uint8 (height, width, channels): turned upright, made smaller or larger, its centre cut out."""
    with Image.open(path) as picture:
        if picture.format == "JPEG":
            generous = 2 * round(max(HEIGHT, WIDTH) / crop)
            picture.draft(None, (generous, generous))  # large photographs are decoded at a half, a quarter or an eighth
        image = ImageOps.exif_transpose(picture)
        if image.mode == "F":
            sys.exit(f"{path}: a picture of floating-point numbers has no known white")
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
        elif image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        image = image.convert("L" if CHANNELS == 1 else "RGB")
    scale = max(HEIGHT / image.height, WIDTH / image.width) / crop
    if scale != 1 or image.size != (WIDTH, HEIGHT):
        wide, tall = WIDTH / scale, HEIGHT / scale
        left, top = (image.width - wide) / 2, (image.height - tall) / 2
        box = (max(left, 0), max(top, 0), min(left + wide, image.width), min(top + tall, image.height))
        image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image, np.uint8).reshape(HEIGHT, WIDTH, CHANNELS)


def save(picture: str, file: str) -> None:
    """Write a picture as the model sees it, as in `save("photo.jpg", "photo.ppm")` for the C++ samples."""
    Image.fromarray(pixels(Path(picture), float(HOW["crop"])).squeeze()).save(file)


def answer(image: Any) -> Any:
    """The model's answer to one picture, a number a class."""
    values = image.astype(np.float32) / np.float32(255)
    if HOW["colour"] == "bgr":
        values = values[:, :, ::-1]
    if HOW["type"] == "uint8":  # the model normalises by itself
        values = np.rint(values * 255)
    else:
        mean, std = (np.array(HOW[key].split(), np.float32) for key in ("mean", "std"))
        values = (values - mean) / std
    if HOW["layout"] == "nchw":
        values = values.transpose(2, 0, 1)
    batch = np.ascontiguousarray(np.repeat(values[None], BATCH, axis=0), HOW["type"])
    return SESSION.run([HOW["output"]], {HOW["input"]: batch})[0].reshape(BATCH, -1)[0].astype(np.float32)


def likeliest(found: Any) -> str:
    """The three likeliest classes with their probabilities."""
    shares = found if HOW["answers"] == "probabilities" else np.exp(found - found.max())
    shares = shares / shares.sum()
    return ", ".join(f"{CLASSES[k]} {100 * shares[k]:.1f} %" for k in np.argsort(-shares, kind="stable")[:3])


def main() -> int:
    """The exit code."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may lack a class name's letters
    for name in sys.argv[1:]:
        print(f"{name}: {likeliest(answer(pixels(Path(name), float(HOW['crop']))))}")
    if len(sys.argv) > 1:
        return 0
    checks, expected = [], table("expected.txt")
    for name, numbers in expected.items():
        if name.startswith("images/"):
            found = answer(pixels(HERE / f"{name}.png", 1.0))  # packed as the model sees them: there is nothing left to cut
            off = float(np.abs(found - np.array(numbers.split(), np.float32)).max())
            checks.append(off <= float(expected["tolerance"]))
            print(f"{name}: {likeliest(found)}; {'as expected' if checks[-1] else f'NOT as expected, off by {off:.3g}'}")
    return 0 if checks and all(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
