"""Every method of the distiller by name, against the same student alone and by plain KD: the same steps, views and seeds; last epoch.

    python -m benchmarks.methods --teach [--quick]    CIFAR-100's teacher, first of all; kept in results/methods-teacher.safetensors
    python -m benchmarks.methods [--sets cifar100 cifar10 cifar10-transformer] [--methods …] [--seeds 0 1 2] [--minutes 100] [--quick]

CPU scale: 10 epochs, resnet56 → resnet8 on CIFAR-10 with the published teacher, resnet56b → resnet8b on CIFAR-100. That teacher is taught here, in
12 epochs, from the published resnet56 of CIFAR-10: no image of CIFAR-100 is in that, and no student begins there. A transformer of four blocks
learns CIFAR-10, too: from the same resnet56, and from a larger transformer that it taught. All learn in bf16, which two cores
compute twice as fast as fp32 where they have it, and slowly elsewhere. The weights of a method are its paper's where they are stated for such
networks; where there is a choice, it is made by a run of 3 epochs each on validation images (seed 10, no test image). Test images are read once per
trained student. Each row is written when its run ends, and a run goes on where it was stopped; processes side by side share the rows. Another
teacher makes all rows of its set anew.
"""

import argparse
import dataclasses
import fcntl
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from benchmarks.result import RESULTS, ROOT, WORK, commit, data_file, save, saved_rows, tell
from edgekd import lock, stats
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.distill import distill, filled, supervised
from edgekd.distill.mixture import Ensemble, alike
from edgekd.distill.stored import StoredAnswers
from edgekd.distill.teacher import Live
from edgekd.errors import RunError
from edgekd.evaluate import evaluate
from edgekd.files import sha256_file, sha256_json
from edgekd.models.attention import attends
from edgekd.models.load import Network, build, save_weights
from edgekd.phases import DEFAULT, TWO_PHASES, Optimizer, Phase, Temperature, Train, termed
from edgekd.preprocess import Preprocess
from edgekd.recipefile import read_recipe
from edgekd.record import How, Training
from edgekd.terms import Attention, Contrast, Dist, Dkd, Feature, Heads, Kd, Label, Levels, Relation, Review, Term, Tokens, Values

EPOCHS, CHOICE_EPOCHS = 10.0, 3.0
TEACHER_EPOCHS, TEACHER_RATE = 12.0, 0.05
"""Of CIFAR-100's teacher; the rate at its peak, half of the usual, as it does not begin at random."""
CHOICE_SEED = 10
SEEDS = 3
"""Fewer than these, and a method's gain is no candidate for the best."""
IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CIFAR100 = Preprocess(mean=(0.507, 0.487, 0.441), std=(0.267, 0.256, 0.276))
TEACHER, STUDENT = RESULTS / "methods-teacher.safetensors", RESULTS / "methods-student.safetensors"
KEPT = ("cifar100", "two phases", 0)
"""Set, method and seed of the student that is kept beside its teacher, for benchmarks/export.py."""
NAME = "methods"
"""Of the results."""
PLACE = ("set", "method", "setting", "seed", "key")
"""The fields that tell a row from others."""
Phases = tuple[Phase, ...]
Place = tuple[Any, ...]


# Methods --------------------------------------------------------------------------------------------------------------

HARD = Label(weight=0.1)
KD = (Kd(weight=0.9), HARD)
STANDARD = (Kd(weight=9.0, standardise=True), HARD)


def at_once(*terms: Term, temperature: float | Temperature = 4.0) -> Phases:
    """One phase."""
    return (Phase(name="one", epochs=1.0, temperature=temperature, terms=terms),)


def shipped(name: str) -> Phases:
    """The phases of a recipe in `recipes`."""
    return read_recipe(ROOT / "recipes" / f"{name}.toml").phase


def beside_kd(*terms: Term) -> Phases:
    """Plain KD with further terms."""
    return at_once(*KD, *terms)


def inside_first(phases: Phases) -> Phases:
    """A third of the steps on the teacher's features, as the recipe has it, and these phases behind them."""
    first, *_ = shipped("features-first")
    return (msgspec.structs.replace(first, epochs=sum(phase.epochs for phase in phases) / 2), *phases)


Who = Literal["teacher", "stored", "assistant", "mean", "confidence"]
WHO: dict[str, Who] = {
    "kd, one answer an image": "stored",
    "kd, by an assistant": "assistant",
    "kd, teacher and assistant": "mean",
    "kd, teacher and assistant, by confidence": "confidence",
    "heads": "assistant",
    "values": "assistant",
}
"""Who teaches, where it is not the teacher alone, asked about each view. `stored`: its answers to the plain images are all there is. `assistant`: a
larger student that plain KD taught before, in as many epochs. `mean`, `confidence`: both, their logits mixed by `edgekd.distill.mixture`'s rules."""
METHODS: dict[str, tuple[Phases, ...]] = {
    "alone": (at_once(Label()),),
    "kd": (at_once(*KD),),
    **{name: (at_once(*KD),) for name in WHO if name.startswith("kd")},
    "kd, T 6 → 0.8": (at_once(*KD, temperature=Temperature(start=6.0, end=0.8)),),
    "kd, T by teacher": (at_once(*KD, temperature=Temperature(start=6.0, end=2.0, shape="teacher-confidence")),),
    "kd, T by student": (at_once(*KD, temperature=Temperature(start=6.0, end=0.8, shape="student-confidence")),),
    "kd, T learned": (at_once(*KD, temperature=Temperature(start=1.0, end=21.0, shape="learned")),),
    "kd, standardised": (at_once(*STANDARD, temperature=2.0), at_once(*STANDARD, temperature=3.0)),
    "dkd": tuple(at_once(Dkd(beta=beta), Label()) for beta in (2.0, 8.0)),
    "dkd, standardised": tuple(at_once(Dkd(weight=weight, beta=8.0, standardise=True), Label(), temperature=2.0) for weight in (1.0, 9.0)),
    "dist": (at_once(Dist(weight=2.0), Label()),),
    "dist, standardised": (at_once(Dist(weight=2.0, standardise=True), Label()),),
    "levels": tuple(at_once(Levels(weight=weight), HARD) for weight in (0.9, 3.0)),
    "feature": tuple(beside_kd(Feature(weight=weight)) for weight in (1.0, 10.0)),
    "attention, squares": tuple(beside_kd(Attention(weight=weight)) for weight in (3.0, 20.0, 100.0)),
    "attention, sigmoid": tuple(beside_kd(Attention(weight=weight, form="sigmoid")) for weight in (1.0, 10.0)),
    "feature and attention, sigmoid": (beside_kd(Feature(weight=0.9), Attention(weight=0.1, form="sigmoid")),),
    "relation": (beside_kd(Relation(weight=25.0)),),
    "contrast": (beside_kd(Contrast(weight=0.8)),),
    "review": tuple(beside_kd(Review(weight=weight)) for weight in (1.0, 5.0)),
    "feature and kd": (shipped("features-at-once"),),
    "feature, then kd": (shipped("features-first"),),
    "heads": (beside_kd(Heads()),),
    "values": (beside_kd(Values()),),
    "tokens, hard": (at_once(Tokens(weight=0.5), Label(weight=0.5)),),
    "tokens, soft": (at_once(Tokens(weight=0.9, form="soft"), HARD),),
    "two phases": (TWO_PHASES,),
    "two phases, dist": (termed(DEFAULT, many=True),),
    "feature, then two phases, dist": (inside_first(termed(DEFAULT, many=True)),),
}
"""Each with the settings that validation images choose from; two phases as the recipe has them by default. Attention's usual weight, 1000, is of
means over a map's places: `edgekd.distill.features.attention` sums over them, and at this student's stages that is about 20."""
ATTENDING = ("heads", "values", "tokens, hard", "tokens, soft")
"""What only a transformer can learn by."""
ACROSS = ("alone", "kd", "kd, by an assistant", *ATTENDING, "attention, sigmoid")
"""What the transformer learns by. Its assistant attends as it does; `attention` compares its maps with a convolutional teacher's."""


def scaled(phases: Phases, epochs: float) -> Phases:
    """The phases in the same shares of so many epochs."""
    whole = sum(phase.epochs for phase in phases)
    return tuple(msgspec.structs.replace(phase, epochs=phase.epochs * epochs / whole) for phase in phases)


# Images and networks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A data set with its teacher and student."""

    data: str
    teacher: str
    weights: str
    assistant: str
    student: str
    preprocess: Preprocess
    methods: tuple[str, ...] = tuple(method for method in METHODS if method not in ATTENDING)
    few: bool = False

    @property
    def file(self) -> Path:
        """The teacher's weights."""
        return TEACHER if self.weights == TEACHER.name else data_file(self.weights)

    @functools.cached_property
    def images(self) -> source.Source:
        """With a tenth of train held out for validation."""
        found = source.load(f"npz:{data_file(f'{self.data}.npz')}")
        few = np.arange(1280)
        return dataclasses.replace(found, train=found.train.take(few), valid=found.valid.take(few)) if self.few else found

    @functools.cached_property
    def train(self) -> Batches:
        """Resident."""
        return Batches(self.images.train)

    @functools.cached_property
    def valid(self) -> Batches:
        """Resident."""
        return Batches(self.images.valid)

    def network(self, name: str, weights: str | None = None) -> Network:
        """The teacher's or student's."""
        return build(name, classes=len(self.images.classes), shape=(32, 32, 3), weights=weights, preprocess=self.preprocess)

    @functools.cached_property
    def master(self) -> Network:
        """The teacher with its weights."""
        return self.network(self.teacher, str(self.file)).eval()

    @functools.cached_property
    def helper(self) -> Network:
        """The assistant, taught by plain KD with seed 0, or as it stands."""
        lesson = Lesson(self.data, self, "kd", 0, 0, (0.03 if self.few else 1.0) * EPOCHS, self.few)
        folder = WORK / NAME / f"assistant-{self.data}{'-quick' if self.few else ''}-{lesson.key[:10]}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "weights.safetensors"
        with locked(folder):
            if not file.is_file():
                network, _ = taught(
                    self, self.assistant, lesson.phases, teacher=self.master, seed=0, folder=folder, train=lesson.train, how="distilled",
                    memory=lesson.memory,
                )  # fmt: skip
                save_weights(network, file)
        return self.network(self.assistant, str(file)).eval()

    def who(self, who: Who) -> Network | Ensemble | StoredAnswers:
        """Who teaches."""
        if who == "stored":
            return StoredAnswers(Live(self.master, self.train, bf16=True).plain().half().numpy())
        if who in ("teacher", "assistant"):
            return self.master if who == "teacher" else self.helper
        return Ensemble((self.master, self.helper), alike(2) if who == "mean" else None, (None, None))


SETTINGS = {
    "cifar100": Setting("cifar100", "resnet56b", TEACHER.name, "resnet20b", "resnet8b", CIFAR100),
    "cifar10": Setting("cifar10", "resnet56", "resnet56-4bfd9763.th", "resnet20", "resnet8", IMAGENET),
    "cifar10-transformer": Setting("cifar10", "resnet56", "resnet56-4bfd9763.th", "cifar-deit-4-128", "cifar-deit-4-64-distilled", IMAGENET, ACROSS),
}


# Runs -----------------------------------------------------------------------------------------------------------------


def taught(
    setting: Setting,
    name: str,
    phases: Phases,
    *,
    teacher: Network | Ensemble | StoredAnswers | None,
    seed: int,
    folder: Path,
    train: Train,
    how: How,
    weights: str | None = None,
    memory: Path | None = None,
) -> tuple[Network, Training]:
    """A network trained by these phases, going on from a checkpoint where there is one."""
    torch.manual_seed(seed)
    network = setting.network(name, weights)
    settings = filled(train, images=len(setting.images.train), shape=(32, 32, 3), flip=True, brought=False, attends=attends(network.body))
    training = distill(
        network, teacher, data=setting.train, data_sha256=setting.images.sha256, valid=setting.valid, phases=phases,
        train=settings, folder=folder, memory=memory, how=how, seed=seed, emit=tell,
    )  # fmt: skip
    return network, training


def accuracy(setting: Setting, network: Network, split: Literal["valid", "test"]) -> float:
    """On a split, %."""
    scored, _ = evaluate(network.predict, getattr(setting.images, split), artifact=network.name, split=split, classes=setting.images.classes)
    return round(100 * scored.metrics["accuracy"].value, 3)


@dataclass(frozen=True)
class Lesson:
    """One student of one teacher by one method's phases; `epochs` in all."""

    name: str
    setting: Setting
    method: str
    at: int
    seed: int
    epochs: float
    quick: bool

    @property
    def phases(self) -> Phases:
        """As long as the lesson is."""
        return scaled(METHODS[self.method][self.at], self.epochs)

    @property
    def train(self) -> Train:
        """Settled, so that no machine's pace chooses."""
        return Train(views=1 if self.quick else 8, precision="bf16", channels_last=True, compile=False)

    @functools.cached_property
    def key(self) -> str:
        """Of all that its accuracy comes from, but for the seed."""
        what = {"phases": self.phases, "train": self.train, "data": self.setting.images.sha256, "student": self.setting.student}
        teacher = {"teacher": sha256_file(self.setting.file)} if self.distilled else {}
        helper = {"who": self.who, "assistant": self.setting.assistant} if self.who not in ("teacher", "stored") else {}
        return sha256_json({**what, **teacher, **helper, **({"stored": True} if self.who == "stored" else {})})

    @property
    def who(self) -> Who:
        """Who teaches, if anybody does."""
        return WHO.get(self.method, "teacher")

    @property
    def distilled(self) -> bool:
        """Whether a teacher is asked."""
        return any(phase.soft for phase in self.phases)

    @property
    def place(self) -> Place:
        """What tells its row from others."""
        return self.name, self.method, self.at, self.seed, self.key

    @property
    def folder(self) -> Path:
        """Of its run."""
        return WORK / NAME / ("quick" if self.quick else "runs") / f"{self.name}-{self.seed}-{self.key[:10]}"

    @property
    def memory(self) -> Path:
        """Of its set's teachers' answers."""
        return WORK / NAME / f"memory-{self.setting.data}{'-quick' if self.quick else ''}"

    def learnt(self, *, test: bool) -> dict[str, Any]:
        """The student, trained and, where it counts, tested once."""
        how: How = "distilled" if self.distilled else "alone"
        setting, teacher = self.setting, self.setting.who(self.who) if self.distilled else None
        network, training = taught(
            setting, setting.student, self.phases, teacher=teacher, seed=self.seed, folder=self.folder, train=self.train, how=how, memory=self.memory
        )
        found: dict[str, Any] = dict(zip(PLACE, self.place, strict=True))
        found |= {"steps": training.steps, "epochs": self.epochs, "seconds": round(training.seconds, 1)}
        found |= {"epoch_s": round(training.seconds / self.epochs, 1), "valid_accuracy": accuracy(setting, network, "valid"), "commit": commit()}
        if test and self.who == "assistant":
            found["assistant_accuracy"] = accuracy(setting, setting.helper, "test")
        if test and not self.quick and (self.name, self.method, self.seed) == KEPT:
            save_weights(network, STUDENT, half=True)
        return {**found, "test_accuracy": accuracy(setting, network, "test")} if test else found


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
    """By set and method: mean accuracy, gain over alone and over plain KD paired by seed with intervals, share of the gap to the teacher."""
    found = dict(top)
    for name in SETTINGS:
        by = {m: {r["seed"]: r["test_accuracy"] for r in rows if (r["set"], r["method"]) == (name, m) and "test_accuracy" in r} for m in METHODS}
        for method, seeds in by.items():
            if not seeds:
                continue
            found[f"{name}, {method}"] = float(np.mean(list(seeds.values())))
            for other in ("alone", "kd"):
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time: others wait here."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teach", action="store_true", help="teach CIFAR-100's teacher, and nothing else")
    parser.add_argument("--sets", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=110.0, help="start no new run after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: a few steps, results thrown away")
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
