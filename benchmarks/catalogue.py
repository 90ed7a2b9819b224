"""Every method of the distiller by name, as the phases that benchmarks/methods.py and benchmarks/gpu.py teach by.

The weights of a method are its paper's where they are stated for such networks; where there is a choice, it has several settings.
"""

from typing import Literal

import msgspec

from benchmarks.result import ROOT
from edgekd.phases import DEFAULT, MANY_TERMS, TWO_PHASES, Phase, Temperature, features_first, termed
from edgekd.recipefile import read_recipe
from edgekd.terms import Attention, Contrast, Dist, Dkd, Feature, Heads, Kd, Label, Levels, Relation, Review, Term, Tokens, Values

Phases = tuple[Phase, ...]


HARD = Label(weight=0.1)
KD = (Kd(weight=0.9), HARD)
STANDARD = (Kd(weight=9.0, standardise=True), HARD)
STANDARD_DIST = (Dist(weight=2.0, standardise=True), Label())


def at_once(*terms: Term, temperature: float | Temperature = 4.0) -> Phases:
    """One phase."""
    return (Phase(name="one", epochs=1.0, temperature=temperature, terms=terms),)


def shipped(name: str) -> Phases:
    """The phases of a recipe in `recipes`."""
    return read_recipe(ROOT / "recipes" / f"{name}.toml").phase


def beside_kd(*terms: Term) -> Phases:
    """Plain KD with further terms."""
    return at_once(*KD, *terms)


Who = Literal["teacher", "stored", "assistant", "mean", "accuracy", "confidence"]
WHO: dict[str, Who] = {
    "kd, one answer an image": "stored",
    "kd, by an assistant": "assistant",
    "kd, teacher and assistant": "mean",
    "kd, teacher and assistant, by accuracy": "accuracy",
    "kd, teacher and assistant, by confidence": "confidence",
    "heads": "assistant",
    "values": "assistant",
}
"""Who teaches, where it is not the teacher alone, asked about each view. `stored`: its answers to the plain images are all there is. `assistant`: a
larger student that plain KD taught before, in as many epochs. `mean`, `accuracy`, `confidence`: both, mixed by `edgekd.distill.mixture`'s rules."""
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
    "dist, standardised": (at_once(*STANDARD_DIST),),
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
    "two phases, dist": (termed(DEFAULT, MANY_TERMS),),
    "two phases, dist, standardised": (termed(DEFAULT, STANDARD_DIST),),
    "feature, then two phases": (features_first(TWO_PHASES),),
    "feature, then two phases, dist": (features_first(termed(DEFAULT, MANY_TERMS)),),
    "feature, then two phases, dist, standardised": (features_first(termed(DEFAULT, STANDARD_DIST)),),
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
