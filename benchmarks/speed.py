"""What distilling costs, as a ratio to what the student alone costs, and against what else distils: resnet56 → resnet8 and resnet20 on CIFAR-10.

    uv run --group peers python -m benchmarks.speed [--students resnet8 resnet20] [--slices 6] [--steps 60] [--quick]

First the floor: the student's forward, backward and update on batches that lie ready in memory, in the fastest of fp32 and bf16 (where the CPU has
it), either memory format, compiled or not (where there is a C++ compiler), freed memory kept as edgekd keeps it; and the teacher's forward likewise,
whole batches or pieces of them.
Then all take turns in slices of equal steps of 128 images, in one process on all cores, and each ratio is one of times within a slice, with an
interval over the slices:

    floor, teacher    as above, in the settings that were fastest
    remembered        edgekd's `distill`, the teacher remembered; its memory filled before (`fill_seconds`: for all views, from the first one's time)
    live              the same with the teacher asked in every step
    tutorial          a plain loop: fp32, DataLoader, PIL images through torchvision's transforms, the teacher live (rivals.py)
    torchdistill      the package, on the same images and batches; without it its figures are left out

`remembered_over_floor` is remembered over floor, `live_over_floor` live over floor and teacher together, `tutorial_ratio` tutorial over remembered,
`tutorial_ratio_live` tutorial over live, `torchdistill_…` likewise; resnet20's with its name before them. All but the floor learn by plain KD and
SGD. What edgekd takes to start is counted in each slice; validation and checkpoints, which come once in many steps, are not. How well each learns is
not asked here.
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import runtimes
from benchmarks.cifar10 import IMAGENET, images, teacher
from benchmarks.result import WORK, commit, keep, saved_rows, tell
from benchmarks.rivals import SGD, SOFT, TEMPERATURE, Photos, TorchDistill, Tutorial, plain
from edgekd import stats, timings
from edgekd.data.batches import Batches
from edgekd.device.agent import machine
from edgekd.distill import Job, distill, filled
from edgekd.distill.asking import Asking, choose_asking
from edgekd.distill.defaults import paced
from edgekd.distill.heap import freed_memory_is_kept
from edgekd.distill.pace import choose_pace
from edgekd.distill.schedule import steps_per_pass
from edgekd.files import sha256_json
from edgekd.models.folded import folded
from edgekd.models.load import Network, build
from edgekd.phases import Optimizer, Phase, Train
from edgekd.terms import Kd, Label

STUDENTS = ("resnet8", "resnet20")
BATCH = 128
READY = 16
"""Batches that lie ready for the floor."""
REST_S = 1.0
"""After a rival's slice, until its workers have filled their queues and sleep."""
LONG = 10_000
"""Steps of a run whose pace is worth a choice."""
RATIOS = {"tutorial": ("remembered", "live"), "torchdistill": ("remembered", "live")}

Row = dict[str, Any]


class Lesson(Protocol):
    """Whoever can be asked for some more steps."""

    def learn(self, steps: int) -> None: ...


# The floor ------------------------------------------------------------------------------------------------------------


class Floor:
    """A network's own cost on batches that lie ready: of a step, or of a forward alone where `forward` says so, `at_once` images at a time."""

    def __init__(
        self,
        network: nn.Module,
        ready: list[tuple[Tensor, Tensor]],
        pace: tuple[str, bool],
        *,
        compiled: bool,
        forward: bool,
        at_once: int | None = None,
    ) -> None:
        precision, channels_last = pace
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = copy.deepcopy(network).train(not forward).to(memory_format=layout)
        self.called: Any = torch.compile(self.network) if compiled else self.network
        self.ready = [(pixels.contiguous(memory_format=layout), labels) for pixels, labels in ready]
        self.bf16, self.forward, self.at_once, self.done = precision == "bf16", forward, at_once or BATCH, 0
        self.optimizer = torch.optim.SGD(self.network.parameters(), nesterov=True, **SGD)
        self.settings = _told(precision, channels_last=channels_last, compiled=compiled, at_once=at_once)

    @freed_memory_is_kept()
    def learn(self, steps: int) -> None:
        """So many batches."""
        for _ in range(steps):
            pixels, labels = self.ready[self.done % len(self.ready)]
            with torch.inference_mode(self.forward), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
                logits = torch.cat([self.called(piece) for piece in torch.split(pixels, self.at_once)])
            if not self.forward:
                self.optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
            self.done += 1


def floor(network: nn.Module, ready: list[tuple[Tensor, Tensor]], *, forward: bool, compile: bool) -> Floor:
    """The fastest way, as some steps in turn tell. A forward is taken to like the precision that a step likes, and it may go by pieces of a batch."""
    pace = choose_pace(network, *ready[0], precision=None, channels_last=None)
    name = min(pace.seconds, key=pace.seconds.__getitem__)
    best, asking = (name.split()[0], name.endswith("channels_last")), Asking()
    if forward:
        asking = choose_asking(network, ready[0][0], bf16=best[0] == "bf16")
    way = (best[0], asking.channels_last) if forward else best
    alone = Floor(network, ready, way, compiled=False, forward=forward, at_once=asking.at_once)
    if not compile:
        return alone
    both = [alone, Floor(network, ready, way, compiled=True, forward=forward, at_once=asking.at_once)]
    for each in both:
        each.learn(3)
    times = {at: min(seconds(both[at], 2) for _ in range(3)) for at in range(2)}
    return both[min(times, key=times.__getitem__)]


def seconds(lesson: Lesson, steps: int) -> float:
    """What some steps take."""
    begun = time.perf_counter()
    lesson.learn(steps)
    return time.perf_counter() - begun


# edgekd ---------------------------------------------------------------------------------------------------------------


class Ours:
    """edgekd's own loop by plain KD, the teacher remembered or live (views = 0): a short `distill` for each slice."""

    def __init__(self, student: Network, data: Batches, train: Train, folder: Path) -> None:
        self.student, self.data, self.train, self.folder = student, data, train, folder
        self.slices = 0

    def learn(self, steps: int) -> None:
        """So many steps, from where the student stands."""
        terms = (Kd(weight=SOFT), Label(weight=1 - SOFT))
        phase = Phase(name="kd", epochs=steps / steps_per_pass(len(self.data), BATCH), temperature=TEMPERATURE, terms=terms)
        place = self.folder / f"slice-{self.slices}"
        distill(
            self.student,
            teacher(),
            Job(phases=(phase,), train=self.train, folder=place),
            data=self.data,
            data_sha256=images().sha256,
            memory=self.folder / "memory",
        )
        self.slices += 1


def ours(student: Network, data: Batches, folder: Path, *, views: int, compile: bool) -> Ours:
    """With what edgekd chooses for a long run: precision, memory format and, where it may, compiling."""
    optimizer = Optimizer(name="sgd", lr=SGD["lr"], momentum=SGD["momentum"], weight_decay=SGD["weight_decay"])
    stated = Train(batch=BATCH, views=views, optimizer=optimizer, schedule="constant", compile=None if compile else False)
    folder.mkdir(parents=True)
    train = filled(stated, images=len(data), shape=(32, 32, 3), flip=True, brought=False)
    train = paced(train, student, data, folder, steps=LONG, emit=tell)
    if not views:  # a slice is too short to be worth what a long run would measure
        asking = choose_asking(folded(teacher(), tell), data.plain(torch.arange(BATCH))[0], bf16=train.precision == "bf16")
        train = msgspec.structs.replace(train, teacher_batch=asking.at_once or msgspec.UNSET)
    return Ours(student, data, train, folder)


# Slices ---------------------------------------------------------------------------------------------------------------


def lessons(name: str, folder: Path, *, compile: bool) -> tuple[dict[str, Lesson], float]:
    """Everybody who takes turns, each with a student of its own; and the seconds that one remembered view took to fill."""
    data = Batches(images().train)

    def fresh() -> Network:
        torch.manual_seed(0)
        return build(name, classes=10, shape=(32, 32, 3), preprocess=IMAGENET)

    ready = [data.plain(torch.arange(start, start + BATCH))[:2] for start in range(0, min(READY, len(data) // BATCH) * BATCH, BATCH)]
    found: dict[str, Lesson] = {
        "floor": floor(fresh(), ready, forward=False, compile=compile),
        "teacher": floor(folded(teacher(), tell), ready, forward=True, compile=compile),
    }
    remembered = ours(fresh(), data, folder / "remembered", views=Train().views, compile=compile)
    fill = seconds(remembered, 1)
    found |= {"remembered": remembered, "live": ours(fresh(), data, folder / "live", views=0, compile=compile)}
    train = images().train
    photos = Photos(train.read(torch.arange(len(train)).numpy()), train.labels, IMAGENET)
    found["tutorial"] = Tutorial(fresh().body, plain(teacher().body), photos, BATCH)
    try:
        found["torchdistill"] = TorchDistill(fresh().body, plain(teacher().body), photos, BATCH)
    except ImportError as error:
        print(f"torchdistill is left out: {error}. Run this with `uv run --group peers`.", flush=True)
    return found, fill


def sliced(found: Mapping[str, Lesson], slices: int, steps: int) -> dict[str, list[float]]:
    """Seconds of each slice, everybody in turn; a first slice is dropped."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for lesson in found.values():
        lesson.learn(max(2, steps // 4))
        time.sleep(REST_S)
    for at in range(slices):
        for name in timings.turns(list(found), at % 2, slices, at):
            times[name].append(seconds(found[name], steps))
            time.sleep(REST_S)
        print(f"  slice {at + 1} of {slices}: " + ", ".join(f"{name} {values[-1]:.1f} s" for name, values in times.items()), flush=True)
    return times


def rows(student: str, found: Mapping[str, Lesson], times: Mapping[str, list[float]], fill: float, steps: int) -> list[Row]:
    """One for each who took turns: images a second and the ratios that it enters."""

    def over(what: str, *others: str) -> stats.Interval:
        return stats.mean_ratio([mine / sum(theirs) for mine, *theirs in zip(times[what], *(times[other] for other in others), strict=True)])

    listed = []
    for what, values in times.items():
        row: Row = {"student": student, "what": what, "settings": _settings(found[what]), "slices": len(values), "steps": steps}
        row |= _named("images_per_s", stats.mean_ratio([steps * BATCH / value for value in values]), 1)
        if what == "remembered":
            row |= _named("over_floor", over(what, "floor"), 4) | {"fill_seconds": round(Train().views * fill, 1)}
        if what == "live":
            row |= _named("over_floor", over(what, "floor", "teacher"), 4)
        for other in RATIOS.get(what, ()):
            row |= _named(f"over_{other}", over(what, other), 4)
        listed.append(row)
    return listed


def _settings(lesson: Lesson) -> str:
    if isinstance(lesson, Floor):
        return lesson.settings
    if isinstance(lesson, Ours):
        train = lesson.train
        return _told(str(train.precision), channels_last=bool(train.channels_last), compiled=bool(train.compile), at_once=train.teacher_batch or None)
    return "fp32"


def _told(precision: str, *, channels_last: bool, compiled: bool, at_once: int | None = None) -> str:
    return f"{precision}{' channels_last' * channels_last}{', compiled' * compiled}{f', teacher by {at_once}' if at_once else ''}"


def _named(name: str, interval: stats.Interval, digits: int) -> Row:
    return {key: round(value, digits) for key, value in zip((name, f"{name}_low", f"{name}_high"), interval, strict=True)}


NAMES: dict[tuple[str, str], str] = {
    ("remembered", "over_floor"): "remembered_over_floor",
    ("live", "over_floor"): "live_over_floor",
    **{(what, f"over_{other}"): f"{what}_ratio{'_live' * (other == 'live')}" for what, others in RATIOS.items() for other in others},
}
"""What a row's ratio is called among the figures."""


def figures(listed: list[Row]) -> dict[str, float]:
    """Each ratio with its interval, resnet20's with its name before it."""
    found: dict[str, float] = {}
    for row in listed:
        prefix = "" if row["student"] == STUDENTS[0] else f"{row['student']}_"
        for (what, key), name in NAMES.items():
            if row["what"] == what and key in row:
                found |= {f"{prefix}{name}{end}": row[f"{key}{end}"] for end in ("", "_low", "_high")}
        if "fill_seconds" in row:
            found[f"{prefix}fill_seconds"] = row["fill_seconds"]
    return found


def main() -> None:
    """Every student that is not there yet from this CPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=STUDENTS)
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--steps", type=int, default=60, help="of each slice")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few images and steps, nothing compiled, results thrown away")
    args = parser.parse_args()
    slices, steps = (2, 2) if args.quick else (args.slices, args.steps)
    torch.set_num_threads(machine.cores())
    compile = runtimes.compiler() is not None and not args.quick
    here = {"cpu": machine.facts()["cpu"], "compile": compile, "torch": runtimes.versions()["torch"]}
    key = sha256_json({"slices": slices, "steps": steps, **here})[:16]
    kept = {(row["student"], row["what"]): row for row in ([] if args.quick else saved_rows("speed"))}
    for student in args.students:
        if any(row["key"] == key for (name, _), row in kept.items() if name == student):
            continue
        begun = time.monotonic()
        print(student, flush=True)
        WORK.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            found, fill = lessons(student, Path(folder), compile=compile)
            times = sliced(found, slices, steps)
        kept = {what: row for what, row in kept.items() if what[0] != student}
        for row in rows(student, found, times, fill, steps):
            row |= {"seconds": round((time.monotonic() - begun) / len(found), 1), "commit": commit(), "key": key}
            kept[student, row["what"]] = row
            print(json.dumps(row), flush=True)
        keep("speed", figures, kept, quick=args.quick)


if __name__ == "__main__":
    main()
