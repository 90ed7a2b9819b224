"""Both networks seen from inside, for the phases whose terms compare features.

In: student, teacher and phases. Out: an `Inside`, which answers logits with features on either side, and holds for each term the bridge between
its pairs. Terms of several phases that are alike share a bridge, so that what it has learnt goes on. Which loss is taken of it is `objective`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd.distill.bridges import Features, bridge
from edgekd.errors import UsageError
from edgekd.events import Emit, Note
from edgekd.files import sha256_json
from edgekd.models.network import Network
from edgekd.models.taps import POOLED, Tap, Tapped, find, suggested
from edgekd.recipe import Phase
from edgekd.terms import FEATURE_TERMS, Contrast, Feature, FeatureTerm, Relation


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

    Args:
        adjusted: what becomes of the teacher's logits before any term sees them.

    Raises:
        UsageError: a tap that a network does not have, features that a term cannot compare, or a teacher that shows nothing of its inside.
    """

    def __init__(
        self,
        student: Network,
        teacher: Network,
        phases: Sequence[Phase],
        *,
        seed: int,
        emit: Emit,
        adjusted: Callable[[Tensor], Tensor],
    ) -> None:
        self.adjusted = adjusted
        terms = {_key(term): term for phase in phases for term in phase.terms if isinstance(term, FEATURE_TERMS)}
        self._pairs = {key: pairs_of(term, student, teacher) for key, term in terms.items()}
        # The bridges' weights must not move torch's own generator, from which dropout draws.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridges = nn.ModuleDict({key: bridge(term, self._taps(key, student, teacher)) for key, term in terms.items()})
        self.bridges.to(student.mean.device)
        pairs = [pair for pairs in self._pairs.values() for pair in pairs]
        self.student = Tapped(student, [mine for mine, _ in pairs])
        self.teacher = Tapped(teacher, [other for _, other in pairs])
        for note in (self.student.note, self.teacher.note):
            if note is not None:
                emit(Note(text=note))
        for key, term in terms.items():
            if not term.pairs:
                told = ", ".join(f"{mine} with {other}" for mine, other in self._pairs[key])
                emit(Note(text=f"{type(term).__name__.lower()} compares {told}: no pairs were named"))

    def _taps(self, key: str, student: Network, teacher: Network) -> list[tuple[Tap, Tap]]:
        pairs = self._pairs[key]
        ours, theirs = find(student, *(mine for mine, _ in pairs)), find(teacher, *(other for _, other in pairs))
        return [(ours[mine], theirs[other]) for mine, other in pairs]

    def answer(self, images: Tensor, *, bf16: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """The teacher's logits (batch, classes), float32, and its features, in eval mode and without gradients."""
        self.teacher.eval()
        with torch.no_grad(), torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
            logits, features = self.teacher(images)
        return self.adjusted(logits.float()), features

    def looks(self, phase: Phase) -> dict[int, Look]:
        """What each feature term of a phase looks at, by the term's place."""
        keys = {place: _key(term) for place, term in enumerate(phase.terms) if isinstance(term, FEATURE_TERMS)}
        return {place: Look(self._pairs[key], self.bridges[key]) for place, key in keys.items()}


def pairs_of(term: FeatureTerm, student: Network, teacher: Network) -> tuple[tuple[str, str], ...]:
    """The pairs that a term names; else the vectors before the heads for terms on vectors, the last stages for `feature`, all stages for the others.

    Raises:
        UsageError: none are named, and the two networks have no stages that belong together.
    """
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


def _key(term: FeatureTerm) -> str:
    """Equal for terms that may share a bridge: of one kind, on the same pairs, of one width."""
    width = term.width if isinstance(term, Contrast) else None
    return f"{type(term).__name__.lower()}-{sha256_json([term.pairs, width])[:8]}"
