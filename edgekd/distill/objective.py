"""One phase's weighted terms → one loss.

loss = Σ wᵢ·Lᵢ with the weights as the recipe has them, not normalised. Each term is a pure function from `losses`; this module chooses their
arguments, keeps the parts apart so that the log can show each term's share, and asks `temperature` for T. It holds no network and runs no
backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekd.distill import losses
from edgekd.distill.temperature import temperature
from edgekd.recipe import Dist, Dkd, Kd, Label, Phase, Temperature, Term


@dataclass(frozen=True)
class Answer:
    """What a batch's loss is made from: logits (batch, classes), labels (batch,), T (batch,)."""

    student: Tensor
    teacher: Tensor | None
    labels: Tensor
    temperature: Tensor


@dataclass(frozen=True)
class Loss:
    """A scalar to go back from, its weighted parts (terms,) in the order of the phase's terms, and the mean T."""

    total: Tensor
    parts: Tensor
    temperature: Tensor


class Objective:
    """The loss of one phase, called once per batch."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.names = _names(phase.terms)

    def __call__(self, student: Tensor, teacher: Tensor | None, labels: Tensor, *, progress: float, confidence: Tensor | None) -> Loss:
        """The loss of a batch.

        Args:
            student: logits (batch, classes), float32.
            teacher: logits (batch, classes) on the same views; None where no term asks for them.
            labels: (batch,) int64.
            progress: how far the phase is, in [0, 1].
            confidence: the student's running mean of its highest probability, for the schedule that follows it.
        """
        heat = self._temperature(teacher, labels, progress=progress, confidence=confidence)
        answer = Answer(student=student, teacher=teacher, labels=labels, temperature=heat)
        parts = torch.stack([term.weight * TERMS[type(term)](term, answer) for term in self.phase.terms])
        return Loss(total=parts.sum(), parts=parts.detach(), temperature=heat.mean().detach())

    def gradient_shares(
        self, student: Tensor, teacher: Tensor | None, labels: Tensor, *, progress: float, confidence: Tensor | None
    ) -> dict[str, float]:
        """Each term's share of the gradient at the logits: its norm over the sum of the terms' norms."""
        heat = self._temperature(teacher, labels, progress=progress, confidence=confidence)
        norms = []
        for term in self.phase.terms:
            logits = student.detach().requires_grad_()
            part = term.weight * TERMS[type(term)](term, Answer(student=logits, teacher=teacher, labels=labels, temperature=heat))
            norms.append(torch.autograd.grad(part, logits)[0].norm().item())
        whole = sum(norms) or 1.0
        return {name: norm / whole for name, norm in zip(self.names, norms, strict=True)}

    def _temperature(self, teacher: Tensor | None, labels: Tensor, *, progress: float, confidence: Tensor | None) -> Tensor:
        probability = None
        spec = self.phase.temperature
        if teacher is not None and isinstance(spec, Temperature) and spec.shape == "teacher-confidence":
            probability = teacher.float().softmax(1).amax(1)
        return temperature(spec, progress, teacher_probability=probability, student_confidence=confidence, batch=len(labels), device=labels.device)


def _names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """A name for each term: its loss, numbered where one stands twice."""
    kinds = [type(term).__name__.lower() for term in terms]
    return tuple(kind if kinds.count(kind) == 1 else f"{kind}-{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds))


def _soft(term: Kd | Dkd | Dist, answer: Answer) -> tuple[Tensor, Tensor]:
    """Both networks' logits, standardised where the term says so."""
    assert answer.teacher is not None, "a soft term was given no teacher"
    teacher = answer.teacher.float()
    return (losses.standardise(answer.student), losses.standardise(teacher)) if term.standardise else (answer.student, teacher)


def _label(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Label)
    return losses.label(answer.student, answer.labels, smoothing=term.smoothing)


def _kd(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Kd)
    return losses.kd(*_soft(term, answer), answer.temperature)


def _dkd(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Dkd)
    student, teacher = _soft(term, answer)
    return losses.dkd(student, teacher, answer.labels, answer.temperature, alpha=term.alpha, beta=term.beta)


def _dist(term: Term, answer: Answer) -> Tensor:
    assert isinstance(term, Dist)
    return losses.dist(*_soft(term, answer), answer.temperature, beta=term.beta, gamma=term.gamma)


TERMS: dict[type[Term], Callable[[Term, Answer], Tensor]] = {Label: _label, Kd: _kd, Dkd: _dkd, Dist: _dist}
