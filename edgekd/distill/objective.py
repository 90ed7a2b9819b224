"""One phase's weighted terms → one loss.

loss = Σ wᵢ·Lᵢ with the weights as the recipe has them, not normalised. Each term is a pure function from `losses` or `features`; this module chooses
their arguments, keeps the parts apart so that the log can show each term's share, and asks `temperature` for T. It holds no network and runs no
backward pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from edgekd.distill import attentions, features, independent, leading, longtail, losses
from edgekd.distill.bridges import Features
from edgekd.distill.inside import Look
from edgekd.distill.leading import Answers, Leading, sureness, whole
from edgekd.distill.temperature import temperature
from edgekd.errors import TrainingError
from edgekd.phases import Phase, Temperature
from edgekd.tasks import several
from edgekd.terms import (
    FEATURE_TERMS,
    Attention,
    Contrast,
    Dist,
    Dkd,
    Feature,
    Heads,
    Kd,
    Label,
    Levels,
    LogitTerm,
    Relation,
    Review,
    Term,
    Tokens,
    Values,
)


@dataclass(frozen=True)
class Answer:
    """What a batch's loss is made from: logits (batch, classes), labels (batch,), T (batch,); for a feature term its pairs of features; `counts`
    (classes,) of the images that the phase sees, where classes are to be balanced. Where an image may have several labels, these are (batch, labels),
    and the counts (2, labels), of images that lack and that show each."""

    student: Tensor
    teacher: Answers | None
    labels: Tensor
    temperature: Tensor
    pairs: Features = field(default_factory=list)
    counts: Tensor | None = None


@dataclass(frozen=True)
class Seen:
    """Features of both networks for a batch, by tap."""

    student: Mapping[str, Tensor]
    teacher: Mapping[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """A scalar to go back from, its weighted parts (terms,) in the order of the phase's terms, the mean T, and what it was made from."""

    total: Tensor
    parts: Tensor
    temperature: Tensor
    answer: Answer


class Objective:
    """The loss of one phase, called once per batch. `looks` is what each feature term looks at, by the term's place; `counts` are of the images that
    the phase sees, as an `Answer` has them, for label terms that balance classes or leave some out.

    Raises:
        TrainingError: a label term is among the classes that are shown, and there is but one.
    """

    def __init__(self, phase: Phase, looks: Mapping[int, Look] | None = None, counts: Tensor | None = None) -> None:
        self.phase = phase
        self.names = _names(phase.terms)
        self.looks = looks or {}
        self.counts = counts
        _check_shown(phase, counts)

    def __call__(
        self,
        student: Tensor,
        teacher: Answers | None,
        labels: Tensor,
        *,
        progress: float,
        confidence: Tensor | None = None,
        learned: Tensor | None = None,
        seen: Seen | None = None,
    ) -> Loss:
        """The loss of a batch.

        Args:
            student: logits (batch, classes), float32.
            teacher: logits (batch, classes) on the same views, or what is kept of them; None where no term asks for them.
            labels: (batch,) int64, or (batch, labels) where an image may have several.
            progress: how far the phase is, in [0, 1].
            confidence: how sure the student is, for the temperature that follows it.
            learned: x of the temperature that is learned; the loss goes back to it, reversed.
            seen: features of both networks, where a term compares them.
        """
        heat = self._temperature(teacher, labels, progress=progress, confidence=confidence, learned=learned)
        pairs = self._pairs(seen)
        answer = Answer(student=self._of_label(pairs, student), teacher=teacher, labels=labels, temperature=heat, counts=self.counts)
        parts = torch.stack(
            [term.weight * TERMS[type(term)](term, replace(answer, pairs=pairs.get(place, []))) for place, term in enumerate(self.phase.terms)]
        )
        return Loss(total=parts.sum(), parts=parts.detach(), temperature=heat.mean().detach(), answer=answer)

    def gradient_shares(self, answer: Answer) -> dict[str, float]:
        """Each term's share of the gradient at an answer's logits: its norm over the sum of the terms' norms. Feature terms do not reach the logits,
        nor does `tokens`, whose head is its own: 0."""
        norms = []
        for term in self.phase.terms:
            if isinstance(term, FEATURE_TERMS):
                norms.append(0.0)
                continue
            logits = answer.student.detach().requires_grad_()
            part = term.weight * TERMS[type(term)](term, replace(answer, student=logits, temperature=answer.temperature.detach()))
            norms.append(torch.autograd.grad(part, logits)[0].norm().item())
        whole = sum(norms) or 1.0
        return {name: norm / whole for name, norm in zip(self.names, norms, strict=True)}

    def _pairs(self, seen: Seen | None) -> dict[int, Features]:
        """What each feature term compares, by the term's place."""
        if not self.looks:
            return {}
        assert seen is not None, "a feature term was given no features"
        return {place: look(seen.student, seen.teacher) for place, look in self.looks.items()}

    def _of_label(self, pairs: Mapping[int, Features], student: Tensor) -> Tensor:
        """The logits that labels and a teacher's teach: the student's own, but where `tokens` teaches one of its heads, the other head's."""
        apart = [pairs[place][0][0] for place, term in enumerate(self.phase.terms) if isinstance(term, Tokens)]
        return apart[0] if apart else student

    def _temperature(self, teacher: Answers | None, labels: Tensor, *, progress: float, confidence: Tensor | None, learned: Tensor | None) -> Tensor:
        probability = None
        spec = self.phase.temperature
        if teacher is not None and isinstance(spec, Temperature) and spec.shape == "teacher-confidence":
            probability = sureness(teacher)
        return temperature(
            spec,
            progress,
            teacher_probability=probability,
            student_confidence=confidence,
            learned=learned,
            batch=len(labels),
            device=labels.device,
        )


def _check_shown(phase: Phase, counts: Tensor | None) -> None:
    narrow = any(isinstance(term, Label) and term.among == "shown" for term in phase.terms)
    if narrow and counts is not None and int((counts > 0).sum()) < 2:
        raise TrainingError(
            f'phase {phase.name!r} shows images of one class, and among = "shown" needs two or more: nothing is learnt from a class that '
            'stands against no other. Set among = "all" in its label term.'
        )


def _names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """A name for each term: its loss, numbered where one stands twice."""
    kinds = [type(term).__name__.lower() for term in terms]
    return tuple(kind if kinds.count(kind) == 1 else f"{kind}-{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds))


def _soft(term: LogitTerm, answer: Answer) -> tuple[Tensor, Tensor]:
    """Both networks' logits, standardised where the term says so."""
    assert answer.teacher is not None, "a soft term was given no teacher"
    teacher = whole(answer.teacher).float()
    return (losses.standardise(answer.student), losses.standardise(teacher)) if term.standardise else (answer.student, teacher)


def _label(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Label)
    if several(answer.labels):
        return _independent(term, answer)
    if not (term.class_balance or term.logit_adjustment or term.among == "shown"):
        return losses.label(answer.student, answer.labels, smoothing=term.smoothing)
    assert answer.counts is not None, "a label term was given no counts of the classes"
    counts = nn.functional.pad(answer.counts, (0, answer.student.shape[1] - len(answer.counts)))  # the last classes may have no image
    options = {"smoothing": term.smoothing, "class_balance": term.class_balance, "logit_adjustment": term.logit_adjustment}
    return longtail.label(answer.student, answer.labels, counts, **options, among=term.among)


def _independent(term: Label, answer: Answer) -> Tensor:
    positive = None
    if term.class_balance:
        assert answer.counts is not None, "a label term that balances labels was given no counts of them"
        positive = independent.positive_weights(answer.counts, term.class_balance)
    return independent.bce(answer.student, answer.labels, smoothing=term.smoothing, positive=positive)


def _kd(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Kd)
    if several(answer.labels):
        return independent.kd(*_soft(term, answer), answer.temperature)
    if isinstance(answer.teacher, Leading):
        return leading.kd(answer.student, answer.teacher, answer.temperature)
    return losses.kd(*_soft(term, answer), answer.temperature)


def _dkd(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Dkd)
    student, teacher = _soft(term, answer)
    return losses.dkd(student, teacher, answer.labels, answer.temperature, alpha=term.alpha, beta=term.beta)


def _dist(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Dist)
    return losses.dist(*_soft(term, answer), answer.temperature, beta=term.beta, gamma=term.gamma)


def _levels(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Levels)
    student, teacher = _soft(term, answer)
    return losses.levels(student, teacher, answer.temperature, spread=term.spread, instance=term.instance, batch=term.batch, classes=term.classes)


def _feature(term: Term, answer: Answer) -> Tensor:
    return _mean([features.feature(ours, theirs) for ours, theirs in answer.pairs])


def _attention(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Attention)
    return _mean([features.attention(ours, theirs, form=term.form) for ours, theirs in answer.pairs])


def _relation(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Relation)
    return _mean([features.relation(ours, theirs, distance=term.distance, angle=term.angle) for ours, theirs in answer.pairs])


def _contrast(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Contrast)
    return _mean([features.contrast(ours, theirs, answer.labels, sharpness=term.sharpness) for ours, theirs in answer.pairs])


def _review(term: Term, answer: Answer) -> Tensor:
    return _mean([features.review(ours, theirs) for ours, theirs in answer.pairs])


def _heads(term: Term, answer: Answer) -> Tensor:
    return _mean([attentions.heads(ours, theirs) for ours, theirs in answer.pairs])


def _values(term: Term, answer: Answer) -> Tensor:
    return _mean([attentions.values(ours, theirs) for ours, theirs in answer.pairs])


def _tokens(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Tokens)
    assert answer.teacher is not None, "a soft term was given no teacher"
    ((_, distilled),), teacher = answer.pairs, whole(answer.teacher).float()
    if not several(answer.labels):
        return attentions.tokens(distilled, teacher, answer.temperature, form=term.form)
    return independent.kd(distilled, teacher, answer.temperature) if term.form == "soft" else independent.bce(distilled, (teacher > 0).long())


def _mean(values: list[Tensor]) -> Tensor:
    """Over a term's pairs, so that its weight means the same for one pair and for four."""
    return torch.stack(values).mean()


TERMS: dict[type[Term], Callable[[Term, Answer], Tensor]] = {
    Label: _label,
    Kd: _kd,
    Dkd: _dkd,
    Dist: _dist,
    Levels: _levels,
    Feature: _feature,
    Attention: _attention,
    Relation: _relation,
    Contrast: _contrast,
    Review: _review,
    Heads: _heads,
    Values: _values,
    Tokens: _tokens,
}
