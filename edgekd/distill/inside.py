"""Both networks seen from inside, for the phases whose terms compare features.

In: student, teacher and phases. Out: an `Inside`, which answers logits with features on either side, and holds for each term the bridge between
its pairs. A distillation token compares the student's inside with the teacher's answers, whoever gives these. Terms of several phases that are alike
share a bridge, so that what it has learnt goes on. Which loss is taken of it is `objective`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.distill.bridges import Features, bridge
from edgekd.distill.within import attention_pairs, halves, token_pairs, within
from edgekd.errors import UsageError
from edgekd.events import Emit, Note
from edgekd.files import sha256_json
from edgekd.models.attention import attends
from edgekd.models.network import Network
from edgekd.models.tapped import Tapped
from edgekd.models.taps import POOLED, Tap, find, suggested
from edgekd.phases import Phase
from edgekd.terms import FEATURE_TERMS, Attention, Contrast, Feature, FeatureTerm, Heads, Relation, Tokens, Values

_NOBODY = "a term looks inside a teacher, and no one network teaches"


@dataclass(frozen=True)
class Look:
    """One term's view of both networks: which taps, through which bridge."""

    pairs: tuple[tuple[str, str], ...]
    bridge: nn.Module

    def __call__(self, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Features:
        """Features that can be compared, from those of both networks by tap."""
        matched: Features = self.bridge([(ours[mine], theirs[other]) for mine, other in self.pairs])
        return matched


class Inside:
    """Student and teacher with their taps, and all bridges.

    Attributes:
        student: answers (logits, features); its parameters are the network's own.
        bridges: what is learnt beside the student.
        at_once: how many images the teacher is asked for at a time; None: all that come.

    Args:
        teacher: asked where a term looks inside it; None: none does.
        adjusted: what becomes of its logits before any term sees them; None: nothing.
        compiled: the teacher is, where it can be traced.

    Raises:
        UsageError: a tap that a network does not have, features that a term cannot compare, or a teacher that shows nothing of its inside.
    """

    def __init__(
        self,
        student: Network,
        teacher: Network | None,
        phases: Sequence[Phase],
        *,
        seed: int,
        emit: Emit,
        adjusted: Callable[[Tensor], Tensor] | None = None,
        compiled: bool = False,
    ) -> None:
        self.adjusted = adjusted
        terms = {_key(term): term for phase in phases for term in phase.terms if isinstance(term, FEATURE_TERMS)}
        self._pairs = {key: pairs_of(term, student, teacher) for key, term in terms.items()}
        # The bridges' weights must not move torch's own generator, from which dropout draws.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridges = nn.ModuleDict({key: self._bridge(key, term, student, teacher) for key, term in terms.items()})
        self.bridges.to(student.mean.device)
        pairs = [pair for pairs in self._pairs.values() for pair in pairs]
        self.student = Tapped(student, [mine for mine, _ in pairs])
        asked = teacher if any(phase.compares_insides for phase in phases) else None
        self.teacher = None if asked is None else Tapped(asked, [other for _, other in pairs])
        if self.teacher is not None:
            self.teacher.fold(emit)
        self.at_once: int | None = None
        self._asked: Any = torch.compile(self.teacher) if compiled and self.teacher is not None and not self.teacher.note else self.teacher
        for tapped in (self.student, self.teacher):
            if tapped is not None and tapped.note is not None:
                emit(Note(text=tapped.note))
        for key, term in terms.items():
            if not isinstance(term, Tokens) and not term.pairs:
                told = ", ".join(f"{mine} with {other}" for mine, other in self._pairs[key])
                emit(Note(text=f"{type(term).__name__.lower()} compares {told}: no pairs were named"))
        unlike = _unlike(student, teacher) if teacher is not None and any(isinstance(term, Attention) for term in terms.values()) else None
        if unlike is not None:
            emit(Note(text=unlike, level="warning"))

    def _bridge(self, key: str, term: FeatureTerm, student: Network, teacher: Network | None) -> nn.Module:
        if isinstance(term, Tokens):
            return halves(student)
        assert teacher is not None, _NOBODY
        pairs = self._pairs[key]
        ours, theirs = find(student, *(mine for mine, _ in pairs)), find(teacher, *(other for _, other in pairs))
        taps: list[tuple[Tap, Tap]] = [(ours[mine], theirs[other]) for mine, other in pairs]
        return within(term, taps, student, teacher) if isinstance(term, (Heads, Values)) else bridge(term, taps)

    def answer(self, images: Tensor, *, bf16: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """The teacher's logits (batch, classes) and its features, float32, in eval mode and without gradients."""
        assert self.teacher is not None, _NOBODY
        self.teacher.eval()
        with torch.no_grad(), torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
            answers = [self._asked(piece) for piece in torch.split(images, self.at_once or len(images))]
        logits, features = answers[0]
        if len(answers) > 1:
            logits = torch.cat([logits for logits, _ in answers])
            features = {name: torch.cat([features[name] for _, features in answers]) for name in features}
        logits = logits.float()
        return logits if self.adjusted is None else self.adjusted(logits), floats(features)

    def looks(self, phase: Phase) -> dict[int, Look]:
        """What each feature term of a phase looks at, by the term's place."""
        keys = {place: _key(term) for place, term in enumerate(phase.terms) if isinstance(term, FEATURE_TERMS)}
        return {place: Look(self._pairs[key], self.bridges[key]) for place, key in keys.items()}


def floats(features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Features in float32, as bridges and losses take them: under autocast they come in bfloat16."""
    return {name: value.float() for name, value in features.items()}


def pairs_of(term: FeatureTerm, student: Network, teacher: Network | None) -> tuple[tuple[str, str], ...]:
    """The pairs that a term names; else the vectors before the heads for terms on vectors, the last stages for `feature`, all stages for the others,
    the last layers for terms on attention.

    Raises:
        UsageError: none are named, and the two networks have no stages that belong together; or as `within`'s.
    """
    if isinstance(term, Tokens):
        return token_pairs(student)
    assert teacher is not None, _NOBODY
    if isinstance(term, (Heads, Values)):
        return attention_pairs(term, student, teacher)
    if term.pairs or isinstance(term, (Relation, Contrast)):
        return term.pairs or ((POOLED, POOLED),)
    stages = tuple(suggested(student, teacher))
    if not stages:
        kind = type(term).__name__.lower()
        raise UsageError(
            f"the term {kind} needs pairs of taps; {student.name} and {teacher.name} have no stages that belong together. "
            "Name them: pairs = [[STUDENT'S, TEACHER'S]], from what `edgekd taps MODEL` lists."
        )
    return stages[-1:] if isinstance(term, Feature) else stages


def _unlike(student: Network, teacher: Network) -> str | None:
    """What to know of maps of attention between networks of two kinds; None where they are of one."""
    ours, theirs = _kind(student), _kind(teacher)
    if ours == theirs:
        return None
    return (
        f"attention compares where {student.name} ({ours}) and {teacher.name} ({theirs}) look, and unlike networks look at unlike things. "
        "Without kd it left VGG13 → MobileNetV2 5 points below the student alone on CIFAR-100, ResNet32x4 → ShuffleNetV2 1 above (Tian et al. 2020). "
        "Keep kd beside it, and compare with kd alone."
    )


def _kind(network: Network) -> str:
    if attends(network.body):
        return "transformer"
    depthwise = any(isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels for module in network.body.modules())
    return "depthwise convolutions" if depthwise else "convolutions"


def _key(term: FeatureTerm) -> str:
    """Equal for terms that may share a bridge: of one kind, on the same pairs, with the same option where a bridge has one."""
    pairs = None if isinstance(term, Tokens) else term.pairs
    return f"{type(term).__name__.lower()}-{sha256_json([pairs, _option(term)])[:8]}"


def _option(term: FeatureTerm) -> int | str | None:
    """What a bridge depends on beside its pairs: a width, a way to match heads or a number of them."""
    if isinstance(term, Contrast):
        return term.width
    if isinstance(term, Heads):
        return term.match
    return term.relation_heads if isinstance(term, Values) else None
