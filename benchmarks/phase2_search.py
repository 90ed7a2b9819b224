"""Which second phase loses nothing? CIFAR-10, resnet56 → resnet8, one seed that no other result uses, validation images only.

    python -m benchmarks.phase2_search [--quick]

Phase 1 (T=3, all images) is trained once; each candidate goes on from its checkpoint through the same remaining steps of the same schedule. The
winner is copied by hand into recipes/two-phase.toml. Test images are never read here.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.cifar10 import EPOCHS, IMAGENET, TERMS, batches, images, teacher, tell, train_settings
from benchmarks.result import ROOT, WORK, save
from edgekd.distill import checkpoint, distill
from edgekd.distill.train import Job
from edgekd.evaluate import evaluate
from edgekd.events import Event, PhaseStarted
from edgekd.files import write_atomic
from edgekd.models.load import build
from edgekd.recipe import Kd, Label, Phase, Subset, Temperature, Train, read_recipe

SEED = 10
FALLING = Temperature(start=3.0, end=0.5, shape="cosine")


def refine(epochs: float, by: Any = "random", fraction: float = 0.8, **changes: Any) -> Phase:
    """A second phase."""
    settings: dict[str, Any] = {"temperature": FALLING, "terms": TERMS, **changes}
    return Phase(name="refine", epochs=epochs, subset=None if fraction == 1 else Subset(by=by, fraction=fraction), **settings)


def candidates(share: float) -> dict[str, Phase]:
    """Second phases by what sets them apart; `share` scales their epochs down for a smoke test."""
    last = 1.0 * share
    return {
        "last 1 of 8, all": refine(last, fraction=1.0),
        "last 1 of 8, random 80 %": refine(last),
        "last 1 of 8, random 50 %": refine(last, fraction=0.5),
        "last 1 of 8, confident 80 %": refine(last, "confident"),
        "last 1 of 8, mixed 80 %": refine(last, "mixed"),
        "last 1 of 8, mixed 50 %": refine(last, "mixed", 0.5),
        "last 1 of 8, random 80 %, T held at 3": refine(last, temperature=3.0),
        "last 1 of 8, random 80 %, no labels": refine(last, terms=(Kd(weight=1.0),)),
        "last 1 of 8, random 80 %, half labels": refine(last, terms=(Kd(weight=0.5), Label(weight=0.5))),
        "last 1 of 8, random 80 %, soft weight 4": refine(last, terms=(Kd(weight=4.0), Label(weight=0.1))),
        "last 1 of 8, random 80 %, BatchNorm frozen": refine(last, batchnorm="frozen"),
        "last 1 of 8, mixed 30 %": refine(last, "mixed", 0.3),
        "last 1 of 8, mixed 50 %, BatchNorm frozen": refine(last, "mixed", 0.5, batchnorm="frozen"),
        "last 1 of 8, mixed 50 %, soft weight 4": refine(last, "mixed", 0.5, terms=(Kd(weight=4.0), Label(weight=0.1))),
        "last 1 of 8, random 80 %, BatchNorm anew": refine(last),
        "last 1 of 8, mixed 50 %, BatchNorm anew": refine(last, "mixed", 0.5),
        "last 1 of 8, mixed 50 %, half labels": refine(last, "mixed", 0.5, terms=(Kd(weight=0.5), Label(weight=0.5))),
    }


def train_to(phases: tuple[Phase, ...], train: Train, folder: Path, *, stop_before: str | None = None) -> dict[str, Any]:
    """Train a resnet8 and score it on validation images; `stop_before` names the phase before which to stop and leave a checkpoint."""

    def emit(event: Event) -> None:
        tell(event)
        if isinstance(event, PhaseStarted) and event.phase == stop_before:
            raise KeyboardInterrupt

    torch.manual_seed(SEED)
    network = build("resnet8", classes=10, shape=(32, 32, 3), preprocess=IMAGENET)
    distill(
        network, teacher(), data=batches("train"), data_sha256=images().sha256, valid=batches("valid"), phases=phases, train=train,
        folder=folder, memory=WORK / "cifar10" / "memory", seed=SEED, emit=emit,
    )  # fmt: skip
    scored, _ = evaluate(network.predict, images().valid, artifact="student", split="valid", classes=images().classes)
    return {"valid_accuracy": round(100 * scored.metrics["accuracy"].value, 3), "valid_nll": round(scored.metrics["nll"].value, 4)}


def phase_one(epochs: float, rest: Phase, train: Train, folder: Path) -> Path:
    """The folder with the checkpoint at the end of phase 1, trained where it is not there yet."""
    phases = (Phase(name="transfer", epochs=epochs, temperature=3.0, terms=TERMS), rest)
    if not (folder / "over").exists():
        try:
            train_to(phases, train, folder, stop_before=rest.name)
        except KeyboardInterrupt:
            if checkpoint.load(folder, key=_key(phases, train, folder)) is None:
                raise
        write_atomic(folder / "over", _key(phases, train, folder))
    return folder


def _key(phases: tuple[Phase, ...], train: Train, folder: Path) -> str:
    return Job(name="resnet8", how="distilled", phases=phases, train=train, seed=SEED, folder=folder).key


def branch(start: Path, epochs: float, second: Phase, train: Train, folder: Path) -> dict[str, Any]:
    """One candidate: phase 1's checkpoint taken up with another second phase."""
    done = folder / "row.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    phases = (Phase(name="transfer", epochs=epochs, temperature=3.0, terms=TERMS), second)
    found = checkpoint.load(start, key=(start / "over").read_text())
    assert found is not None
    place, states = found
    place.positions = None  # chosen anew, by the candidate's own rule
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(folder, place, states, key=_key(phases, train, folder))
    row = train_to(phases, train, folder)
    write_atomic(done, json.dumps(row))
    return row


def main() -> None:
    """Phase 1, then every candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    share = 0.01 if args.quick else 1.0
    whole = EPOCHS["resnet8"] * share
    train = train_settings(read_recipe(ROOT / "recipes" / "two-phase.toml"))
    train = msgspec.structs.replace(train, views=1) if args.quick else train
    work = WORK / "phase2" / ("quick" if args.quick else "runs")
    rows = []
    for name, second in candidates(share).items():
        first = whole - second.epochs
        start = phase_one(first, refine(second.epochs, fraction=1.0), train, work / f"transfer-{first:g}")
        settings = msgspec.structs.replace(train, reestimate_batchnorm=name.endswith("anew"))
        rows.append({"second_phase": name, **branch(start, first, second, settings, work / name.replace(" ", "-").replace(",", ""))})
        print(json.dumps(rows[-1]), flush=True)
    best = max((row for row in rows if not row["second_phase"].endswith("all")), key=lambda row: row["valid_accuracy"])
    figures = {"best_valid_accuracy": best["valid_accuracy"], "seed": float(SEED)}
    save("phase2_search", figures=figures, rows=rows, seconds=time.monotonic() - begun, quick=args.quick)


if __name__ == "__main__":
    main()
