"""The text files that the samples read, in a form that needs no parser: `key = value` lines, and one class name a line.

In: a `Choice` and what is `Shown`. Out: strings. `#` starts a comment line; numbers are written so that float32 reads back equal.
"""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from edgekd.pack.answers import Feed
from edgekd.pack.chosen import Choice
from edgekd.pack.shown import Shown
from edgekd.units import percent_text

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of characters that end a line, move a cursor, or cannot be encoded."""
_TURNING = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows them, beyond the name that they stand in."""


def plain(name: str) -> str:
    """A name on one line: line ends, control characters and marks of direction as Python writes them (`\\n`, `\\u202e`), `\\` doubled."""
    return "".join(_escaped(letter) for letter in name)


def _escaped(letter: str) -> str:
    if letter == "\\" or letter in _TURNING or unicodedata.category(letter) in _UNSAFE:
        return letter.encode("unicode_escape").decode("ascii")
    return letter


def classes_text(names: Iterable[str]) -> str:
    """classes.txt: a name a line, in the order of the model's answers."""
    return "".join(f"{plain(name)}\n" for name in names)


def preprocess_text(choice: Choice, feed: Feed) -> str:
    """preprocess.txt: how an image becomes the model's input, and what the answer is."""
    ways = choice.preprocess
    mean, std = (_numbers(values * choice.channels if len(values) == 1 else values) for values in (ways.mean, ways.std))
    height, width = choice.size
    return f"""\
# How a picture becomes the input of model.onnx. The samples read this file.
#
# 1. Turn it upright as its EXIF says; as 8-bit grey (channels = 1) or RGB (channels = 3).
# 2. Scale it, bilinear and antialiased, until it covers height x width, divided by crop; cut out the centre of height x width.
# 3. Divide by 255; reverse the channels where colour is bgr; subtract mean and divide by std, channel by channel.
#    Where type is uint8 the model does this itself: it takes the values from 0 to 255.
# 4. Lay it out as layout says: n images, c channels, h rows, w columns. `batch` images go in at a time.
input = {feed.input}
output = {feed.output}
answers = {feed.answers}
layout = {feed.layout}
type = {feed.type}
batch = {feed.batch}
height = {height}
width = {width}
channels = {choice.channels}
colour = {ways.colour}
crop = {ways.crop_fraction!r}
mean = {mean}
std = {std}
"""


def expected_text(choice: Choice, shown: Shown, runtime: str) -> str:
    """expected.txt: the answers to the packed images, a number a class, and how far off another runtime may be."""
    lines = [
        f"# What model.onnx answers to the packed images: its {shown.feed.answers}, in the order of classes.txt, by {runtime} on a CPU.",
        "# No number may be off by more than the tolerance.",
        f"tolerance = {shown.tolerance:.6g}",
    ]
    for number, (origin, answers) in enumerate(zip(shown.origins, shown.answers, strict=True), start=1):
        lines += [f"# {plain(origin)}: {_top(answers, choice.data.classes, shown.feed)}", f"images/{number} = {_numbers(answers.tolist())}"]
    return "\n".join([*lines, ""])


def _top(answers: "np.ndarray[tuple[int], np.dtype[np.float32]]", names: Sequence[str], feed: Feed) -> str:
    """The three likeliest classes."""
    shares = answers.astype(np.float64) if feed.answers == "probabilities" else np.exp(answers - answers.max(), dtype=np.float64)
    shares = shares / shares.sum()
    return ", ".join(f"{plain(names[k])} {percent_text(float(shares[k]))}" for k in np.argsort(-shares, kind="stable")[:3])


def _numbers(values: Iterable[float]) -> str:
    """Nine digits: float32 reads back equal."""
    return " ".join(f"{value:.9g}" for value in values)
