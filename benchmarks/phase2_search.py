"""Which two phases lose nothing? CIFAR-10, resnet56 → resnet8, seeds that no other result uses, validation images only.

    python -m benchmarks.phase2_search [--first kd dkd] [--second NAME] [--seeds 10 11] [--quick]

Phase 1 (T=3, all images) is trained once for each set of terms and seed; each second phase goes on from its checkpoint through the same remaining
steps of the same schedule. The winner is copied by hand into recipes/two-phase.toml. Test images are never read here. Goes on where it was stopped.
"""

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.cifar10 import EPOCHS, TERMS, learnt, scores, train_settings
from benchmarks.result import ROOT, WORK, save, saved_rows, tell
from edgekd.distill import checkpoint
from edgekd.distill.job import Job
from edgekd.events import Event, PhaseStarted
from edgekd.files import write_atomic
from edgekd.phases import Phase, Subset, Temperature, Train
from edgekd.recipefile import read_recipe
from edgekd.terms import Dist, Dkd, Kd, Label, Term

FALLING = Temperature(start=3.0, end=0.5, shape="cosine")
EIGHTH, QUARTER, HALF = 1 / 8, 1 / 4, 1 / 2
FIRSTS: dict[str, tuple[float, tuple[Term, ...], float]] = {
    "kd": (3.0, TERMS, EIGHTH),
    "kd, last quarter": (3.0, TERMS, QUARTER),
    "kd, last half": (3.0, TERMS, HALF),
    "kd, soft weight 4": (3.0, (Kd(weight=4.0), Label(weight=0.1)), EIGHTH),
    "kd, soft weight 1.6": (3.0, (Kd(weight=1.6), Label(weight=0.1)), EIGHTH),
    "kd, label weight 0.5": (3.0, (Kd(weight=0.9), Label(weight=0.5)), EIGHTH),
    "kd, standardised": (3.0, (Kd(weight=9.0, standardise=True), Label(weight=0.1)), EIGHTH),
    "dkd": (3.0, (Dkd(weight=0.5, alpha=1.0, beta=8.0), Label(weight=0.1)), EIGHTH),
    "dist": (3.0, (Dist(weight=2.0), Label(weight=1.0)), EIGHTH),
    "kd, T=4": (4.0, TERMS, EIGHTH),
}
"""Phase 1 by name: its temperature, its terms, and the share of the epochs that it leaves. T=4 is plain KD's, with "all, T held" after it."""


def refine(epochs: float, terms: tuple[Term, ...], by: Any = "random", fraction: float = 0.8, **changes: Any) -> Phase:
    """A second phase."""
    settings: dict[str, Any] = {"temperature": FALLING, "terms": terms, **changes}
    return Phase(name="refine", epochs=epochs, subset=None if fraction == 1 else Subset(by=by, fraction=fraction), **settings)


def seconds(last: float, terms: tuple[Term, ...], temperature: float = 3.0) -> dict[str, Phase]:
    """Second phases by what sets them apart, `last` epochs long, with phase 1's terms where nothing else is said."""
    halves = (Kd(weight=0.5), Label(weight=0.5))
    return {
        "all": refine(last, terms, fraction=1.0),
        "all, T held": refine(last, terms, fraction=1.0, temperature=temperature),
        "random 80 %": refine(last, terms),
        "random 50 %": refine(last, terms, fraction=0.5),
        "confident 80 %": refine(last, terms, "confident"),
        "mixed 80 %": refine(last, terms, "mixed"),
        "mixed 50 %": refine(last, terms, "mixed", 0.5),
        "mixed 30 %": refine(last, terms, "mixed", 0.3),
        "random 80 %, T held at 3": refine(last, terms, temperature=3.0),
        "random 80 %, no labels": refine(last, (Kd(weight=1.0),)),
        "random 80 %, half labels": refine(last, halves),
        "random 80 %, soft weight 4": refine(last, (Kd(weight=4.0), Label(weight=0.1))),
        "random 80 %, BatchNorm frozen": refine(last, terms, batchnorm="frozen"),
        "plain, all": refine(last, terms, fraction=1.0, plain=True),
        "plain, random 80 %": refine(last, terms, plain=True),
        "plain, random 50 %": refine(last, terms, fraction=0.5, plain=True),
        "plain, mixed 80 %": refine(last, terms, "mixed", plain=True),
        "plain, mixed 50 %": refine(last, terms, "mixed", 0.5, plain=True),
        "mixed 50 %, half labels": refine(last, halves, "mixed", 0.5),
        "mixed 50 %, soft weight 4": refine(last, (Kd(weight=4.0), Label(weight=0.1)), "mixed", 0.5),
        "mixed 50 %, BatchNorm frozen": refine(last, terms, "mixed", 0.5, batchnorm="frozen"),
    }


def train_to(phases: tuple[Phase, ...], train: Train, seed: int, folder: Path, *, stop_before: str | None = None) -> dict[str, float]:
    """Train a resnet8 and score it on validation images; `stop_before` names the phase before which to stop and leave a checkpoint."""

    def emit(event: Event) -> None:
        tell(event)
        if isinstance(event, PhaseStarted) and event.phase == stop_before:
            raise KeyboardInterrupt

    network, _ = learnt("resnet8", phases, train, seed=seed, folder=folder, emit=emit)
    return scores(network, "valid")


def phase_one(first: Phase, rest: Phase, train: Train, seed: int, folder: Path) -> Path:
    """The folder with the checkpoint at the end of phase 1, trained where it is not there yet."""
    key = _key((first, rest), train, seed)
    if not (folder / "over").exists() or (folder / "over").read_text() != key:
        try:
            train_to((first, rest), train, seed, folder, stop_before=rest.name)
        except KeyboardInterrupt:
            if checkpoint.load(folder, key=key) is None:
                raise
        write_atomic(folder / "over", key)
    return folder


def _key(phases: tuple[Phase, ...], train: Train, seed: int) -> str:
    """Equal for students that are trained alike."""
    return Job(how="distilled", phases=phases, train=train, seed=seed, folder=Path()).key


def branch(start: Path, phases: tuple[Phase, Phase], train: Train, seed: int, folder: Path) -> dict[str, float]:
    """One candidate: phase 1's checkpoint taken up with another second phase."""
    found = checkpoint.load(start, key=(start / "over").read_text())
    assert found is not None
    place, states = found
    place.positions = None  # chosen anew, by the candidate's own rule
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(folder, place, states, key=_key(phases, train, seed))
    return train_to(phases, train, seed, folder)


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean validation accuracy of each candidate that all seeds have, best first."""
    seeds = {row["seed"] for row in rows}
    by: dict[str, list[float]] = {}
    for row in rows:
        by.setdefault(f"{row['first_phase']} / {row['second_phase']}", []).append(row["valid_accuracy"])
    return dict(sorted(((name, float(np.mean(v))) for name, v in by.items() if len(v) == len(seeds)), key=lambda item: -item[1]))


def main() -> None:
    """Phase 1, then every second phase, that is asked for and not there yet."""
    names = list(seconds(1.0, TERMS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", nargs="+", default=list(FIRSTS), choices=list(FIRSTS))
    parser.add_argument("--second", nargs="+", default=names, choices=names, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[10, 11])
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    whole = EPOCHS["resnet8"] * (0.01 if args.quick else 1.0)
    train = train_settings(read_recipe(ROOT / "recipes" / "two-phase.toml"))
    train = msgspec.structs.replace(train, views=1) if args.quick else train
    rows = {row["key"]: row for row in ([] if args.quick else saved_rows("phase2_search"))}
    for seed in args.seeds:
        for first in args.first:
            temperature, terms, share = FIRSTS[first]
            last = whole * share
            transfer = Phase(name="transfer", epochs=whole - last, temperature=temperature, terms=terms)
            work = WORK / "phase2" / ("quick" if args.quick else "runs") / f"{_slug(first)}-{seed}"
            for second in args.second:
                phases = (transfer, seconds(last, terms, temperature)[second])
                key = _key(phases, train, seed)
                if key in rows:
                    continue
                rest = refine(last, terms, fraction=1.0)
                start = phase_one(transfer, rest, train, seed, work / f"transfer-{_key((transfer, rest), train, seed)[:8]}")
                found = branch(start, phases, train, seed, work / f"{_slug(second)}-{key[:8]}")
                rows[key] = {"first_phase": first, "second_phase": second, "seed": seed, **found, "key": key}
                print(json.dumps(rows[key]), flush=True)
                listed = list(rows.values())
                top = {"best_valid_accuracy": next(iter(means(listed).values()), max(row["valid_accuracy"] for row in listed))}
                save("phase2_search", figures=top, rows=listed, seconds=time.monotonic() - begun, quick=args.quick)
    for name, accuracy in means(list(rows.values())).items():
        print(f"{accuracy:.2f}  {name}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    main()
