"""The terms of a lesson as frozen structs: what a student is compared with, each with its weight and options.

Part of a recipe, whose phases list them; `distill` computes them. This module computes nothing.
"""

import math
from typing import Literal, TypeAlias

import msgspec


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen part of a recipe that refuses keys it does not know."""


def require(holds: bool, rule: str, value: object) -> None:
    """Refuse a value that breaks a rule, with both.

    Raises:
        ValueError: it does not hold; msgspec makes it the recipe's own error.
    """
    if not holds:
        raise ValueError(f"{rule}, got {value!r}")


class Label(Struct, frozen=True, kw_only=True, tag_field="loss", tag="label"):
    """Cross entropy with the labels."""

    weight: float = 1.0
    smoothing: float = 0.0
    class_balance: float = 0.0
    """β of class weights by the effective number of images (Cui et al. 2019): 0 weighs all alike, towards 1 rare classes count more."""
    logit_adjustment: float = 0.0
    """τ by which log class frequencies are added to the student's logits in this loss (Menon et al. 2021): 0 none, 1 aims at classes that are
    equally likely."""
    among: Literal["all", "shown"] | msgspec.UnsetType = msgspec.UNSET
    """Which classes an image's own stands against: all, or those that the phase's images show (Caccia et al. 2022), so that the others are not pushed
    down where none of their images is there. Left out: all."""

    def __post_init__(self) -> None:
        require(0 <= self.smoothing < 1, "smoothing must be at least 0 and below 1", self.smoothing)
        require(0 <= self.class_balance < 1, "class_balance must be at least 0 and below 1, as in 0.999", self.class_balance)
        require(0 <= self.logit_adjustment < float("inf"), "logit_adjustment must be 0 or more, as in 1.0", self.logit_adjustment)


class Kd(Struct, frozen=True, kw_only=True, tag_field="loss", tag="kd"):
    """KL divergence of softened probabilities, times T² (Hinton et al. 2015)."""

    weight: float = 1.0
    standardise: bool = False
    """Standardise both logits first (Sun et al. 2024)."""


class Dkd(Struct, frozen=True, kw_only=True, tag_field="loss", tag="dkd"):
    """KL divergence split into target and non-target parts (Zhao et al. 2022)."""

    weight: float = 1.0
    alpha: float = 1.0
    beta: float = 8.0
    standardise: bool = False


class Dist(Struct, frozen=True, kw_only=True, tag_field="loss", tag="dist"):
    """Correlation between classes and within each class across the batch (Huang et al. 2022)."""

    weight: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    standardise: bool = False


class Levels(Struct, frozen=True, kw_only=True, tag_field="loss", tag="levels"):
    """Samples, likeness of samples, likeness of classes, at several temperatures (Jin et al. 2023)."""

    weight: float = 1.0
    instance: float = 1.0
    batch: float = 1.0
    classes: float = 1.0
    spread: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5)
    """What the phase's T is multiplied by; their losses add up. At T = 4 these are the paper's 2, 3, 4, 5 and 6."""
    standardise: bool = False

    def __post_init__(self) -> None:
        require(bool(self.spread), "spread needs at least one factor, as in [1.0]", list(self.spread))
        require(all(0 < factor < math.inf for factor in self.spread), "the factors of spread must be above 0 and finite", list(self.spread))


LogitTerm: TypeAlias = Kd | Dkd | Dist | Levels
LOGIT_TERMS = (Kd, Dkd, Dist, Levels)
"""The terms that compare logits, and may standardise them first."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Which features belong together: (the student's tap, the teacher's), as `edgekd taps` lists them; (): what fits, and is said."""


class Feature(Struct, frozen=True, kw_only=True, tag_field="loss", tag="feature"):
    """Squared difference of features through a learned projection (Romero et al. 2015). No pairs: the last stages alike."""

    weight: float = 1.0
    pairs: Pairs = ()


class Attention(Struct, frozen=True, kw_only=True, tag_field="loss", tag="attention"):
    """Difference of where two networks look (Zagoruyko and Komodakis 2017). No pairs: all stages."""

    weight: float = 1.0
    form: Literal["squares", "sigmoid"] = "squares"
    pairs: Pairs = ()


class Relation(Struct, frozen=True, kw_only=True, tag_field="loss", tag="relation"):
    """Difference of distances and angles between the samples of a batch (Park et al. 2019). No pairs: what the heads are given."""

    weight: float = 1.0
    distance: float = 1.0
    angle: float = 2.0
    pairs: Pairs = ()


class Contrast(Struct, frozen=True, kw_only=True, tag_field="loss", tag="contrast"):
    """Finding one's own teacher embedding among the batch's (Tian et al. 2020, without a memory bank). No pairs: what the heads are given."""

    weight: float = 1.0
    sharpness: float = 0.1
    """What cosines are divided by; the temperature of a phase is another thing."""
    width: int = 128
    """Of the learned embeddings."""
    pairs: Pairs = ()

    def __post_init__(self) -> None:
        require(self.sharpness > 0, "sharpness must be above 0", self.sharpness)
        require(self.width >= 1, "width must be 1 or more", self.width)


class Review(Struct, frozen=True, kw_only=True, tag_field="loss", tag="review"):
    """Each stage of the student, fused with its deeper ones, against the teacher's (Chen et al. 2021). No pairs: all stages."""

    weight: float = 1.0
    pairs: Pairs = ()
    """From the shallowest to the deepest."""


class Heads(Struct, frozen=True, kw_only=True, tag_field="loss", tag="heads"):
    """KL divergence of what each token attends to, head by head (Wang et al. 2020). No pairs: the last attention layers."""

    weight: float = 1.0
    match: Literal["groups", "nearest"] = "groups"
    """Where numbers of heads differ: `groups`: neighbours of the larger number are averaged until there are as many; `nearest`: each of the student's
    learns from the teacher's at the same place among all."""
    pairs: Pairs = ()


class Values(Struct, frozen=True, kw_only=True, tag_field="loss", tag="values"):
    """KL divergence of how alike value vectors are, in as many heads for both (Wang et al. 2020 and 2021). No pairs: the last attention layers."""

    weight: float = 1.0
    relation_heads: int | None = None
    """Into how many heads both networks' value vectors are split; None: the most up to the teacher's own number that divide both widths."""
    pairs: Pairs = ()

    def __post_init__(self) -> None:
        require(self.relation_heads is None or self.relation_heads >= 1, "relation_heads must be 1 or more", self.relation_heads)


class Tokens(Struct, frozen=True, kw_only=True, tag_field="loss", tag="tokens"):
    """The distillation token's head learns the teacher's answers, the class token's head the other terms (Touvron et al. 2021)."""

    weight: float = 1.0
    form: Literal["hard", "soft"] = "hard"
    """`hard`: the teacher's first choice is the label; `soft`: `kd` at the phase's temperature."""


FeatureTerm: TypeAlias = Feature | Attention | Relation | Contrast | Review | Heads | Values | Tokens
COMPARING_TERMS = (Feature, Attention, Relation, Contrast, Review, Heads, Values)
"""The terms that look inside both networks; the teacher then answers live."""
FEATURE_TERMS = (*COMPARING_TERMS, Tokens)
"""The terms that look inside the student."""

Term: TypeAlias = Label | LogitTerm | FeatureTerm
