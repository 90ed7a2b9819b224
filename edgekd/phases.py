"""How networks learn, as frozen structs of a recipe: phases of weighted terms, and what all phases share.

Defaults that depend on the data or the machine are `None` here ("what fits"); `distill.filled` states them. Nothing is computed here.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from edgekd.terms import COMPARING_TERMS, FEATURE_TERMS, LOGIT_TERMS, Dist, Feature, Kd, Label, Relation, Struct, Term, Tokens, require

Shape: TypeAlias = Literal["linear", "cosine", "exponential", "teacher-confidence", "student-confidence", "learned"]


class Temperature(Struct, frozen=True, kw_only=True):
    """T from `start` to `end` over a phase, by confidence, or learned between the two."""

    start: float = 6.0
    end: float = 0.8
    shape: Shape = "cosine"

    def __post_init__(self) -> None:
        require(self.start > 0 and self.end > 0, "a temperature must be above 0", [self.start, self.end])
        require(max(self.start, self.end) < math.inf, "a temperature must be finite", [self.start, self.end])
        room = self.shape != "learned" or self.start != self.end
        require(room, "a learned temperature needs start and end apart, as in { start = 6.0, end = 0.8 }", [self.start, self.end])


class Subset(Struct, frozen=True, kw_only=True):
    """Which images a phase sees: `fraction` of them, chosen `by` a rule (distill/subset.py names each)."""

    by: Literal["random", "balanced", "confident", "hard", "mixed"] = "random"
    fraction: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "a subset's fraction must be above 0 and at most 1", self.fraction)


class Phase(Struct, frozen=True, kw_only=True):
    """One stretch of training. `epochs` counts passes over all training images, so that budgets of steps compare."""

    name: str
    epochs: float
    terms: tuple[Term, ...] = ()
    """What the loss adds up. Left out: standardised `kd`, from 20 classes on `dist`, of more than 1,000 plain `kd`, and `label` beside it."""
    temperature: float | Temperature = 3.0
    subset: Subset | None = None
    plain: bool = False
    """Show the images as they are, without augmentation, as the student will see them once it is done (He et al. 2019, arXiv:1909.09148)."""
    batchnorm: Literal["running", "frozen"] = "running"
    """frozen: statistics stay as they were at the phase's start."""
    quantised: bool | msgspec.UnsetType = msgspec.UNSET
    """Round inputs and weights of layers as int8 does while the student learns, with BatchNorm's statistics frozen, so that its int8 file loses
    less. For last phases: without rounding it would unlearn that. Left out: false."""
    # Unset and not false: a recipe that does not name it keeps its bytes, and its stages their keys.

    def __post_init__(self) -> None:
        require(0 < self.epochs < math.inf, "a phase's epochs must be above 0 and finite", self.epochs)
        for term in self.terms:
            for name, value in msgspec.structs.asdict(term).items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    require(0 <= value < math.inf, f"{name} of a loss must be 0 or more and finite", value)
        weights = [term.weight for term in self.terms]
        require(not weights or sum(weights) > 0, "a phase's weights must add up to more than 0", weights)
        if not isinstance(self.temperature, Temperature):
            require(self.temperature > 0, "a temperature must be above 0", self.temperature)
            require(self.temperature < math.inf, "a temperature must be finite", self.temperature)

    @property
    def soft(self) -> bool:
        """Whether any term asks the teacher."""
        return any(not isinstance(term, Label) for term in self.terms)

    @property
    def softens(self) -> bool:
        """Whether any term divides answers by the temperature."""
        return any(isinstance(term, LOGIT_TERMS) or (isinstance(term, Tokens) and term.form == "soft") for term in self.terms)

    @property
    def is_quantised(self) -> bool:
        """Whether the student learns with int8's rounding."""
        return self.quantised is True

    @property
    def looks_inside(self) -> bool:
        """Whether any term looks inside the student."""
        return any(isinstance(term, FEATURE_TERMS) for term in self.terms)

    @property
    def compares_insides(self) -> bool:
        """Whether any term looks inside both networks."""
        return any(isinstance(term, COMPARING_TERMS) for term in self.terms)


class Optimizer(Struct, frozen=True, kw_only=True):
    """`lr` is the peak of the schedule; `body_lr` that of weights that were brought, where it differs from the head's."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.1
    body_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        for rate in (self.lr, self.body_lr):
            require(rate is None or 0 < rate < math.inf, "a learning rate must be above 0 and finite", rate)
        # The default is that of SGD, and nothing is learnt by it otherwise.
        require(self.name == "sgd" or self.lr < 0.1, f"{self.name} takes a learning rate below 0.1, as lr = 0.001", self.lr)
        require(0 <= self.momentum < 1, "momentum must be at least 0 and below 1", self.momentum)
        require(0 <= self.weight_decay < math.inf, "weight_decay must be 0 or more and finite", self.weight_decay)


class Augment(Struct, frozen=True, kw_only=True):
    """How a view differs from the plain image. `crop` is padding in pixels before a random crop of the same size.

    `scale` is the least share of the area that a random resized crop keeps (1: none); `colour` the strength of brightness, contrast and
    saturation changes.
    """

    crop: int = 0
    flip: bool = False
    scale: float = 1.0
    colour: float = 0.0

    def __post_init__(self) -> None:
        require(self.crop >= 0, "crop is padding of 0 pixels or more", self.crop)
        require(0 < self.scale <= 1, "scale is a share of the area above 0 and at most 1", self.scale)
        require(0 <= self.colour <= 1, "colour must be 0 to 1", self.colour)


class Train(Struct, frozen=True, kw_only=True):
    """What all phases share. None: what fits the data and the machine, printed with its reason."""

    batch: int | None = None
    """Images a step; None: 128, fewer where a pass would have less than 32 steps."""
    optimizer: Optimizer | None = None
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    views: int = 8
    """How many views of each image the teacher is remembered on; 0: it answers live."""
    view_seed: int = 0
    augment: Augment | None = None
    prior: Literal["data", "uniform"] | dict[str, float] = "data"
    validation: float | str = "10 %"
    ema: float = 0.0
    """Decay per step of an average of the weights that is kept in the end, a plain mean at first; 0: none."""
    reestimate_batchnorm: bool = False
    """At the end, compute BatchNorm statistics anew on a view of all training images."""
    precision: Literal["fp32", "bf16"] | None = None
    channels_last: bool | None = None
    compile: bool | None = None
    """Compile the network with torch first. None: in a long run it is tried, where a C++ compiler is there, and kept if its own time comes back."""
    threads: int | None = None
    teacher_batch: int | msgspec.UnsetType = msgspec.UNSET
    """Images that a teacher is asked for at once. Left out: where it is asked often, what a short measurement finds fastest."""
    teacher_epochs: float | None = None
    """How long a teacher without weights is taught; None: as long as the phases together."""
    teacher_optimizer: Optimizer | None = None

    def __post_init__(self) -> None:
        require(self.threads is None or self.threads >= 1, "threads must be 1 or more", self.threads)
        require(self.teacher_batch is msgspec.UNSET or self.teacher_batch >= 1, "teacher_batch must be 1 or more", self.teacher_batch)
        require(self.teacher_epochs is None or 0 < self.teacher_epochs < math.inf, "teacher_epochs must be above 0 and finite", self.teacher_epochs)
        require(self.batch is None or self.batch >= 2, "a batch needs 2 images or more", self.batch)
        require(self.views >= 0, "views must be 0 or more", self.views)
        require(0 <= self.ema < 1, "ema must be at least 0 and below 1", self.ema)


DEFAULT: tuple[Phase, ...] = (
    Phase(name="transfer", epochs=21, temperature=3.0),
    Phase(
        name="refine",
        epochs=3,
        subset=Subset(by="mixed", fraction=0.8),
        plain=True,
        temperature=Temperature(start=3.0, end=0.5, shape="cosine"),
    ),
)
"""T=3 on all data, then T falling to 0.5 on a subset of plain images, the best that benchmarks/phase2_search.py found."""

FEW_TERMS: tuple[Term, ...] = (Kd(weight=9.0, standardise=True), Label(weight=0.1))
MANY_TERMS: tuple[Term, ...] = (Dist(weight=2.0), Label())
LARGEST_TERMS: tuple[Term, ...] = (Kd(weight=0.9), Label(weight=0.1))
"""Of so many classes that a teacher's largest logits alone are remembered."""
MANY_CLASSES = 20
"""From how many on `dist` teaches better than standardised `kd`: benchmarks/classes.py and methods.py. Of ten either was better once."""


def usual_terms(*, many: bool, even: bool = False) -> tuple[Term, ...]:
    """What a phase without terms teaches by, of many classes or few. `even`: the device meets them alike, whatever the images do; labels are then
    adjusted for how often they occur, which was the best on long tails of ten classes and of a hundred (benchmarks/longtail.py)."""
    terms = MANY_TERMS if many else FEW_TERMS
    return tuple(msgspec.structs.replace(term, logit_adjustment=1.0) if even and isinstance(term, Label) else term for term in terms)


def termed(phases: Sequence[Phase], terms: tuple[Term, ...]) -> tuple[Phase, ...]:
    """The phases, those that leave their terms out with these."""
    return tuple(phase if phase.terms else msgspec.structs.replace(phase, terms=terms) for phase in phases)


INSIDE = Phase(name="inside", epochs=8, temperature=4.0, terms=(Feature(weight=10.0), Relation(weight=25.0), Label(weight=0.1)))
"""Learns what stands inside the teacher: the last stage's features, and how images lie to each other before the head."""


def features_first(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """A third of the epochs on `INSIDE`, and the phases in what is left: the best on CIFAR-100 that benchmarks/methods.py measured."""
    whole = sum(phase.epochs for phase in phases)
    later = (msgspec.structs.replace(phase, epochs=phase.epochs * 2 / 3) for phase in phases)
    return (msgspec.structs.replace(INSIDE, epochs=whole / 3), *later)


TWO_PHASES = termed(DEFAULT, FEW_TERMS)
"""The default as it is for few classes."""
