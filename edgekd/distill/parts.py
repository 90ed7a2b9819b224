"""Each term of a phase → its loss of a batch, before its weight.

In: a term and what there is of the batch, an `Answer`. Out: a scalar, by the term's pure function from `losses`, `features`, `attentions` and their
like; which of its forms and with which arguments is chosen here. What an image with several labels needs is `independent`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgekd.distill import attentions, features, independent, leading, longtail, losses
from edgekd.distill.bridges import Features
from edgekd.distill.leading import Answers, Leading, whole
from edgekd.tasks import several
from edgekd.terms import (
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
    (classes,) of the images that the phase sees, where classes are to be balanced, and those that have any (`shown`), where labels ask among these.
    Where an image may have several labels, these are (batch, labels), and the counts (2, labels), of images that lack and that show each."""

    student: Tensor
    teacher: Answers | None
    labels: Tensor
    temperature: Tensor
    pairs: Features = field(default_factory=list)
    counts: Tensor | None = None
    shown: Tensor | None = None


def _soft(term: LogitTerm, answer: Answer) -> tuple[Tensor, Tensor]:
    """Both networks' logits, standardised where the term says so."""
    assert answer.teacher is not None, "a soft term was given no teacher"
    teacher = whole(answer.teacher).float()
    return (losses.standardise(answer.student), losses.standardise(teacher)) if term.standardise else (answer.student, teacher)


def _label(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Label)
    if several(answer.labels):
        return _independent(term, answer)
    shown = answer.shown if term.among == "shown" else None
    if shown is None and not (term.class_balance or term.logit_adjustment):
        return losses.label(answer.student, answer.labels, smoothing=term.smoothing)
    assert answer.counts is not None, "a label term was given no counts of the classes"
    counts = nn.functional.pad(answer.counts, (0, answer.student.shape[1] - len(answer.counts)))  # the last classes may have no image
    options = {"smoothing": term.smoothing, "class_balance": term.class_balance, "logit_adjustment": term.logit_adjustment}
    return longtail.label(answer.student, answer.labels, counts, **options, shown=shown)


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
