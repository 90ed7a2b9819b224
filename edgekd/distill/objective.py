"""One phase's weighted terms → one loss.

loss = Σ wᵢ·Lᵢ with the weights as the recipe has them, not normalised. How a term's Lᵢ comes about is `parts`' business; this module keeps the parts
apart so that the log can show each term's share, and asks `temperature` for T. It holds no network and runs no backward pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgekd.distill.bridges import Features
from edgekd.distill.inside import Look
from edgekd.distill.leading import Answers, sureness
from edgekd.distill.parts import TERMS, Answer
from edgekd.distill.temperature import temperature
from edgekd.errors import TrainingError
from edgekd.phases import Phase, Temperature
from edgekd.terms import (
    FEATURE_TERMS,
    Label,
    Term,
    Tokens,
)


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
        self.shown = _shown(phase, counts)

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
        ours = self._of_label(pairs, student)
        answer = Answer(student=ours, teacher=teacher, labels=labels, temperature=heat, counts=self.counts, shown=self.shown)
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
        if not self.phase.softens:  # nobody asks for it, and what it would follow may not be there
            return torch.ones(len(labels), device=labels.device)
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


def _shown(phase: Phase, counts: Tensor | None) -> Tensor | None:
    """The classes that have images, where a label term asks among these; found once, as a GPU has to be waited for."""
    if not any(isinstance(term, Label) and term.among == "shown" for term in phase.terms):
        return None
    assert counts is not None, "a label term among the classes that are shown was given no counts of them"
    shown = counts.nonzero().squeeze(1)
    if len(shown) < 2:
        raise TrainingError(
            f'phase {phase.name!r} shows images of one class, and among = "shown" needs two or more: nothing is learnt from a class that '
            'stands against no other. Set among = "all" in its label term.'
        )
    return shown


def _names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """A name for each term: its loss, numbered where one stands twice."""
    kinds = [type(term).__name__.lower() for term in terms]
    return tuple(kind if kinds.count(kind) == 1 else f"{kind}-{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds))
