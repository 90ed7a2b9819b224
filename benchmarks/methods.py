"""Every method of the distiller by name, against the same student alone and by plain KD: the same steps, views and seeds; last epoch.

    python -m benchmarks.methods --teach [--quick]    CIFAR-100's teacher, first of all; kept in results/methods-teacher.safetensors
    python -m benchmarks.methods [--sets cifar100 cifar10 cifar10-transformer] [--methods …] [--seeds 0 1 2] [--minutes 100] [--quick]

CPU scale: 10 epochs, resnet56 → resnet8 on CIFAR-10 with the published teacher, resnet56b → resnet8b on CIFAR-100. That teacher is taught here, in
12 epochs, from the published resnet56 of CIFAR-10: no image of CIFAR-100 is in that, and no student begins there. A transformer of four blocks
learns CIFAR-10, too: from the same resnet56, and from a larger transformer that it taught. All learn in bf16, which two cores compute twice as fast
as fp32 where they have it, and slowly elsewhere. The weights of a method (catalogue.py) are its paper's where they are stated for such networks;
where there is a choice, it is made by a run of 3 epochs each on validation images (seed 10, no test image). Test images are read once per trained
student. Each row is written when its run ends, and a run goes on where it was stopped; processes side by side share the rows. Another
teacher makes all rows of its set anew. A seed of both image sets is about nine hours of one core with bf16, so that three seeds and the choices
take two cores more than half a day; the transformer's are two hours more a seed.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from benchmarks.catalogue import METHODS, WHO
from benchmarks.lessons import EPOCHS, NAME, PLACE, SETTINGS, TEACHER, Lesson, Place, Setting, accuracy, locked, taught
from benchmarks.result import RESULTS, WORK, pieces, save, saved_rows
from edgekd import lock, stats
from edgekd.distill import supervised
from edgekd.errors import RunError
from edgekd.models.load import Network, save_weights
from edgekd.phases import Optimizer, Train

CHOICE_EPOCHS = 3.0
TEACHER_EPOCHS, TEACHER_RATE = 12.0, 0.05
"""Of CIFAR-100's teacher; the rate at its peak, half of the usual, as it does not begin at random."""
CHOICE_SEED = 10
KD_BY_ASSISTANT = "kd, by an assistant"
SEEDS = 3
"""Fewer than these, and a method's gain is no candidate for the best."""


def place(row: Mapping[str, Any]) -> Place:
    """What tells a row from others, as of a lesson."""
    return tuple(row[key] for key in PLACE)


def chosen(rows: Sequence[Mapping[str, Any]], name: str, method: str) -> int | None:
    """The setting that validation images chose; None while some have not been tried."""
    if len(METHODS[method]) == 1:
        return 0
    tried = {row["setting"]: row["valid_accuracy"] for row in rows if (row["set"], row["method"], row["seed"]) == (name, method, CHOICE_SEED)}
    return max(tried, key=lambda at: tried[at]) if len(tried) == len(METHODS[method]) else None


def figures(rows: Sequence[Mapping[str, Any]], top: Mapping[str, float]) -> dict[str, float]:
    """By set and method: mean accuracy, gain over alone and over plain KD paired by seed with intervals, share of the gap to the teacher; where an
    assistant teaches, over plain KD by that assistant, too."""
    found = dict(top)
    for name in SETTINGS:
        by = {m: {r["seed"]: r["test_accuracy"] for r in rows if (r["set"], r["method"]) == (name, m) and "test_accuracy" in r} for m in METHODS}
        for method, seeds in by.items():
            if not seeds:
                continue
            found[f"{name}, {method}"] = float(np.mean(list(seeds.values())))
            for other in ("alone", "kd", *([KD_BY_ASSISTANT] if WHO.get(method) == "assistant" else [])):
                gaps = [seeds[seed] - by[other][seed] for seed in sorted(set(seeds) & set(by[other]))]
                if method != other and gaps:
                    found[f"{name}, {method} minus {other}"] = float(np.mean(gaps))
                    if len(gaps) > 1:
                        _, low, high = stats.mean_interval(gaps)
                        found |= {f"{name}, {method} minus {other}, low": low, f"{name}, {method} minus {other}, high": high}
            gain, teacher = found.get(f"{name}, {method} minus alone"), top.get(f"{name}, teacher")
            if gain is not None and teacher is not None:
                found[f"{name}, {method}, gap recovered"] = gain / (teacher - float(np.mean(list(by["alone"].values()))))
        sure = {method: found[key] for method in METHODS if len(by[method]) >= SEEDS and (key := f"{name}, {method} minus alone") in found}
        if name == "cifar100" and len(by["alone"]) >= SEEDS and sure:
            found["best_gain_points"] = max(sure.values())
    return found


def stands(row: Mapping[str, Any], name: str, setting: Setting, *, quick: bool) -> bool:
    """Whether a row of this set comes of what is taught today: another teacher or setting makes it anew. Rows of other sets do not matter here."""
    if row["set"] != name:
        return True
    method, at = row["method"], row["setting"]
    known = method in METHODS and at < len(METHODS[method])
    return known and Lesson(name, setting, method, at, row["seed"], row["epochs"], quick).key == row["key"]


def kept(
    new: Mapping[str, Any] | None,
    top: Mapping[str, float],
    rows: list[dict[str, Any]],
    *,
    current: Callable[[Mapping[str, Any]], bool],
    quick: bool,
) -> list[dict[str, Any]]:
    """All rows that are still `current`, those of other processes and a new one among them, written."""
    with locked(WORK / NAME):
        rows = [row for row in (rows if quick else saved_rows(NAME)) if current(row)]
        rows += [dict(new)] if new is not None else []
        file = RESULTS / f"{NAME}.json"
        before = json.loads(file.read_text())["figures"] if file.is_file() and not quick else {}
        top = {**{key: value for key, value in before.items() if key.endswith(", teacher")}, **top}
        save(NAME, figures=figures(rows, top), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=quick)
        return rows


def transferred(setting: Setting) -> Network:
    """The teacher as the published resnet56 of CIFAR-10 is up to its head: the same convolutions, and shortcuts that pass channels on unchanged."""
    torch.manual_seed(0)
    network, old = setting.network(setting.teacher), SETTINGS["cifar10"].master.body.state_dict()
    with torch.no_grad():
        for name, tensor in network.body.state_dict().items():
            if name in old:
                tensor.copy_(old[name])
            elif name.endswith("downsample.0.weight"):
                outputs, inputs, *_ = tensor.shape
                tensor.zero_()[torch.arange(inputs) + (outputs - inputs) // 2, torch.arange(inputs)] = 1.0
    return network


def teach(*, quick: bool) -> None:
    """CIFAR-100's teacher by cross entropy; its own weights in fp16 beside the results."""
    setting = dataclasses.replace(SETTINGS["cifar100"], few=quick)
    train = Train(precision="bf16", channels_last=True, compile=True, optimizer=Optimizer(lr=TEACHER_RATE))
    folder = WORK / NAME / f"teacher{'-quick' if quick else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(transferred(setting), folder / "transferred.safetensors")
    network, training = taught(
        setting, setting.teacher, supervised(0.1 if quick else TEACHER_EPOCHS), teacher=None, seed=0, folder=folder, train=train, how="taught",
        weights=str(folder / "transferred.safetensors"),
    )  # fmt: skip
    print(f"teacher: {accuracy(setting, network, 'valid'):.2f} % of the validation images after {training.steps} steps")
    save_weights(network, folder / "weights.safetensors" if quick else TEACHER, half=True)


def main() -> None:
    """Every row that is not there yet, as long as the time lasts: choices first, then seeds."""
    parser = pieces(__doc__)
    parser.add_argument("--teach", action="store_true", help="teach CIFAR-100's teacher, and nothing else")
    parser.add_argument("--sets", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    args = parser.parse_args()
    if args.teach:
        return teach(quick=args.quick)
    begun = time.monotonic()
    for name in args.sets:
        setting = dataclasses.replace(SETTINGS[name], few=args.quick)
        top = {f"{name}, teacher": accuracy(setting, setting.master, "test")}
        current = functools.partial(stands, name=name, setting=setting, quick=args.quick)
        runs = wanted([method for method in args.methods if method in setting.methods], args.seeds[:1] if args.quick else args.seeds)
        rows = kept(None, top, [], current=current, quick=args.quick)
        while time.monotonic() - begun < 60 * args.minutes and (found := claimed(name, setting, runs, rows, quick=args.quick)) is not None:
            lesson, test, handle = found
            new = lesson.learnt(test=test)
            print(json.dumps(new), flush=True)
            rows = kept(new, top, rows, current=current, quick=args.quick)
            lock.release(handle)


def claimed(
    name: str, setting: Setting, runs: Sequence[tuple[str, int | None, int]], rows: Sequence[Mapping[str, Any]], *, quick: bool
) -> tuple[Lesson, bool, int] | None:
    """The first run that has no row and that no other process is at, whether its student is tested, and its folder's lock; None: none is left."""
    done = set(map(place, rows))
    for method, at, seed in runs:
        choosing = at is not None
        at = at if choosing else chosen(rows, name, method)
        if at is None:
            continue
        epochs = (0.03 if quick else 1.0) * (CHOICE_EPOCHS if choosing else EPOCHS)
        lesson = Lesson(name, setting, method, at, seed, epochs, quick)
        if lesson.place in done:
            continue
        lesson.folder.mkdir(parents=True, exist_ok=True)
        with suppress(RunError):
            return lesson, not choosing, lock.acquire(lesson.folder)
    return None


def wanted(methods: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int | None, int]]:
    """Method, setting (None: as chosen) and seed of every run: choices first."""
    choices: list[tuple[str, int | None, int]] = [(m, at, CHOICE_SEED) for m in methods if len(METHODS[m]) > 1 for at in range(len(METHODS[m]))]
    return [*choices, *((method, None, seed) for seed in seeds for method in methods)]


if __name__ == "__main__":
    main()
