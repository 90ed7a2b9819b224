"""Small data and recipes for tests of the whole way: images whose class is where their bright half lies, networks of a few hundred weights."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekd import compress as verbs
from edgekd.events import Event
from edgekd.phases import Phase, Subset, Temperature, Train
from edgekd.recipe import Export, Recipe, Student, Teacher
from edgekd.record import Report
from edgekd.terms import Kd as KdTerm
from edgekd.terms import Label as LabelTerm

NETS = """
from torch import nn

def net(width, classes):
    layers = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, classes))

def wide(classes):
    return net(16, classes)

def thin(classes):
    return net(4, classes)

def nan(classes):
    broken = thin(classes)
    nn.init.constant_(broken[-1].bias, float("nan"))
    return broken
"""
PHASES = (
    Phase(name="transfer", epochs=3, temperature=3.0, terms=(KdTerm(weight=0.9), LabelTerm(weight=0.1))),
    Phase(
        name="refine",
        epochs=1,
        temperature=Temperature(start=3.0, end=0.5),
        subset=Subset(by="random", fraction=0.5),
        terms=(KdTerm(weight=0.9), LabelTerm(weight=0.1)),
    ),
)


def images(count: int, seed: int, *, counts: tuple[int, ...] = (1, 1, 1)) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noise of 8×8 in colour; class 0 is bright above, 1 below, 2 on the left. `counts` are the classes' shares."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), [count * share // sum(counts) for share in counts])
    pixels = draw.integers(0, 120, (len(labels), 8, 8, 3), np.uint8)
    places = [np.s_[:4, :], np.s_[4:, :], np.s_[:, :4]]
    for picture, label in zip(pixels, labels, strict=True):
        picture[places[label]] += 80
    return pixels, labels


def workplace(folder: Path, *, train: int = 240, counts: tuple[int, ...] = (1, 1, 1)) -> Path:
    """A folder with images.npz and nets.py."""
    x_train, y_train = images(train, 1, counts=counts)
    x_test, y_test = images(90, 2)
    np.savez(folder / "images.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=np.array(["above", "below", "left"]))
    (folder / "nets.py").write_text(NETS)
    return folder


def recipe(**changes: Any) -> Recipe:
    """A quick job: fp32 only, nothing timed, precision pinned."""
    plain = Recipe(
        data="npz:images.npz",
        teacher=Teacher(model="nets.py:wide"),
        student=(Student(model="nets.py:thin"),),
        train=Train(batch=16, views=2, teacher_epochs=4, precision="fp32", channels_last=False, threads=1),
        phase=PHASES,
        export=Export(precisions=("fp32",)),
        on={},
    )
    return msgspec.structs.replace(plain, **changes)


def run(base: Path, job: Recipe, *, verb: str = "compress", out: str = "run", **wishes: Any) -> tuple[Report, list[Event]]:
    """Do a job in base/out: its report and all that was told; `wishes` are the verb's own arguments."""
    told: list[Event] = []
    report = getattr(verbs, verb)(job, folder=base / out, origin="test", base=base, emit=told.append, **wishes)
    assert isinstance(report, Report)
    return report, told
