"""edgekd.distill.objective: terms weighted and added up, named, and told apart."""

import math

import pytest
import torch
from torch import Tensor

from edgekd.distill import features, independent, losses
from edgekd.distill.inside import Look
from edgekd.distill.objective import Loss, Objective, Seen
from edgekd.phases import Phase, Temperature
from edgekd.terms import Contrast, Dist, Dkd, Feature, Kd, Label, Levels, Relation, Term

STUDENT = torch.tensor([[0.0, 0.0]])
TEACHER = torch.tensor([[0.75, 0.25]]).log()
LABEL = torch.tensor([0])
KD = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
"""KL of the teacher's (0.75, 0.25) from the student's (0.5, 0.5) at T = 1."""


def objective(*terms: Term, temperature: float | Temperature = 1.0) -> Objective:
    return Objective(Phase(name="p", epochs=1, terms=terms, temperature=temperature))


def batch(samples: int = 5, classes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Student's logits, teacher's logits, labels."""
    generator = torch.Generator().manual_seed(3)
    student, teacher = torch.randn(2, samples, classes, generator=generator)
    return student, teacher, torch.randint(classes, (samples,), generator=generator)


def test_a_weighted_sum_by_hand() -> None:
    """0.9 of kd and 0.2 of label: the weights are taken as they are, and each part stands for itself."""
    loss = objective(Kd(weight=0.9), Label(weight=0.2))(STUDENT, TEACHER, LABEL, progress=0, confidence=None)
    assert loss.parts.tolist() == pytest.approx([0.9 * KD, 0.2 * math.log(2)], abs=1e-6)
    assert loss.total.item() == pytest.approx(0.9 * KD + 0.2 * math.log(2), abs=1e-6)


def test_labels_alone_need_no_temperature() -> None:
    """Nor what it would follow: a phase without soft terms may be given any."""
    for shape in ("teacher-confidence", "student-confidence", "learned", "linear"):
        loss = objective(Label(), temperature=Temperature(start=6, end=0.5, shape=shape))(STUDENT, None, LABEL, progress=0.5)
        assert loss.total.item() == pytest.approx(math.log(2))
        assert loss.temperature.item() == 1.0


def test_every_term_gets_its_own_options() -> None:
    """The total is the sum of the plain functions, each with the term's settings."""
    student, teacher, labels = batch()
    heat = torch.full((5,), 2.0)
    terms: tuple[Term, ...] = (
        Label(weight=0.5, smoothing=0.1),
        Kd(weight=2),
        Kd(weight=3, standardise=True),
        Dkd(alpha=0.5, beta=2.0),
        Dist(beta=0.7, gamma=0.3),
    )
    terms += (Levels(weight=0.5, spread=(1.0, 3.0), instance=2.0, batch=0.5, classes=0.1), Levels(standardise=True))
    expected = [
        0.5 * losses.label(student, labels, smoothing=0.1),
        2 * losses.kd(student, teacher, heat),
        3 * losses.kd(losses.standardise(student), losses.standardise(teacher), heat),
        losses.dkd(student, teacher, labels, heat, alpha=0.5, beta=2.0),
        losses.dist(student, teacher, heat, beta=0.7, gamma=0.3),
        0.5 * losses.levels(student, teacher, heat, spread=[1.0, 3.0], instance=2.0, batch=0.5, classes=0.1),
        losses.levels(losses.standardise(student), losses.standardise(teacher), heat),
    ]
    loss = objective(*terms, temperature=2.0)(student, teacher, labels, progress=0, confidence=None)
    torch.testing.assert_close(loss.parts, torch.stack(expected))
    torch.testing.assert_close(loss.total, torch.stack(expected).sum())


def compared(terms: tuple[Term, ...], labels: Tensor, *pairs: tuple[Tensor, Tensor]) -> Loss:
    """The loss of feature terms that all look at the same pairs, the student's first."""
    taps = [str(number) for number in range(len(pairs))]
    look = Look(tuple((tap, tap) for tap in taps), torch.nn.Identity())
    seen = Seen({tap: ours for tap, (ours, _) in zip(taps, pairs, strict=True)}, {tap: theirs for tap, (_, theirs) in zip(taps, pairs, strict=True)})
    phase = Phase(name="p", epochs=1, terms=terms)
    return Objective(phase, dict.fromkeys(range(len(terms)), look))(torch.zeros(len(labels), 3), None, labels, progress=0, seen=seen)


def test_feature_terms_get_their_own_options_too() -> None:
    """The parts are the plain functions, each with the term's settings."""
    ours, theirs = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 0, 2, 1])
    found = compared((Relation(distance=0.5, angle=3.0), Contrast(sharpness=0.5)), labels, (ours, theirs))
    expected = [features.relation(ours, theirs, distance=0.5, angle=3.0), features.contrast(ours, theirs, labels, sharpness=0.5)]
    torch.testing.assert_close(found.parts, torch.stack(expected))


def test_a_term_of_two_pairs_weighs_as_much_as_one_of_one() -> None:
    """Their mean is taken."""
    pairs = [(torch.zeros(2, 3), torch.full((2, 3), value)) for value in (1.0, 2.0)]
    assert compared((Feature(),), torch.tensor([0, 1]), *pairs).total.item() == pytest.approx((1 + 4) / 2)


def test_half_precision_teachers_are_widened() -> None:
    """A teacher that was remembered in fp16 counts with its stored values."""
    student, teacher, labels = batch()
    narrow = objective(Kd())(student, teacher.half(), labels, progress=0, confidence=None)
    wide = objective(Kd())(student, teacher.half().float(), labels, progress=0, confidence=None)
    assert narrow.total.dtype == torch.float32
    assert torch.equal(narrow.total, wide.total)


def test_only_the_total_goes_back() -> None:
    """Parts and temperature are kept for the log, and hold no graph in memory."""
    student, teacher, labels = batch()
    loss = objective(Kd(), Label())(student.requires_grad_(), teacher, labels, progress=0, confidence=None)
    assert loss.total.requires_grad
    assert not loss.parts.requires_grad
    assert not loss.temperature.requires_grad


def test_labels_alone_need_no_teacher() -> None:
    """Without soft terms there is nothing to ask."""
    assert objective(Label())(STUDENT, None, LABEL, progress=0.5, confidence=None).total.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ((Kd(), Label()), ("kd", "label")),
        ((Kd(), Label(), Kd(standardise=True)), ("kd-1", "label", "kd-2")),
        ((Dist(), Dist(), Dkd(), Dist()), ("dist-1", "dist-2", "dkd", "dist-3")),
    ],
)
def test_repeated_terms_are_numbered(terms: tuple[Term, ...], names: tuple[str, ...]) -> None:
    """A loss that stands once is called by its name."""
    assert objective(*terms).names == names


def shares_of(phase: Objective, student: Tensor, teacher: Tensor, labels: Tensor) -> dict[str, float]:
    """Of the gradient at the logits, as a step reports them."""
    return phase.gradient_shares(phase(student, teacher, labels, progress=0).answer)


def test_gradient_shares_by_hand() -> None:
    """At the logits kd pulls with (−0.25, 0.25) and label with (−0.5, 0.5): 0.9 to 0.1 of them is 9 to 2."""
    shares = shares_of(objective(Kd(weight=0.9), Label(weight=0.1)), STUDENT, TEACHER, LABEL)
    assert shares == pytest.approx({"kd": 9 / 11, "label": 2 / 11}, abs=1e-6)


def test_gradient_shares_leave_the_graph_alone() -> None:
    """Asked for after the step, they neither go back through the network nor touch its gradients."""
    student, teacher, labels = batch()
    student.requires_grad_()
    shares = shares_of(objective(Kd(), Dkd(), Label()), student * 1, teacher, labels)
    assert sum(shares.values()) == pytest.approx(1)
    assert student.grad is None


def test_gradient_shares_of_nothing_are_nothing() -> None:
    """A student that equals its teacher is pulled nowhere, and nothing is divided by 0."""
    assert shares_of(objective(Kd()), STUDENT, STUDENT, LABEL) == {"kd": 0.0}


def test_the_teachers_confidence_sets_each_samples_temperature() -> None:
    """From 4 to 1 by its largest probability: 0.75 and 0.5 give T = 1.75 and 2.5."""
    student = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    teacher = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    spec = Temperature(start=4, end=1, shape="teacher-confidence")
    loss = objective(Kd(), temperature=spec)(student, teacher, torch.tensor([0, 1]), progress=0.3, confidence=None)
    torch.testing.assert_close(loss.total, losses.kd(student, teacher, torch.tensor([1.75, 2.5])))
    assert loss.temperature.item() == pytest.approx(2.125)


def test_the_students_confidence_sets_one_for_all() -> None:
    """From 6 to 0.5, halfway to where the student counts as sure: T = 3.25, whatever the progress."""
    student, teacher, labels = batch()
    spec = Temperature(start=6, end=0.5, shape="student-confidence")
    loss = objective(Kd(), temperature=spec)(student, teacher, labels, progress=0.9, confidence=torch.tensor(0.35))
    torch.testing.assert_close(loss.total, losses.kd(student, teacher, torch.full((5,), 3.25)))


def test_a_learned_temperature_hears_of_the_whole_loss() -> None:
    """x gets the reversed gradient of all terms together, once: none comes from looking at the gradient's shares."""
    student, teacher, labels = batch()
    terms = (Kd(weight=0.03), Dist(weight=0.02), Label())
    phase = objective(*terms, temperature=Temperature(start=6, end=1, shape="learned"))
    x = torch.tensor(0.0, requires_grad=True)
    loss = phase(student, teacher, labels, progress=1, learned=x)
    assert sum(phase.gradient_shares(loss.answer).values()) == pytest.approx(1)
    loss.total.backward()  # type: ignore[no-untyped-call]
    heat = torch.full((5,), 3.5, requires_grad=True)
    (0.03 * losses.kd(student, teacher, heat) + 0.02 * losses.dist(student, teacher, heat)).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert heat.grad is not None
    assert x.grad.item() == pytest.approx(-heat.grad.sum().item() * (1 - 6) * 0.25, rel=1e-4)
    assert loss.temperature.item() == 3.5


def test_progress_moves_the_temperature() -> None:
    """Linear from 3 to 1, halfway through the phase: 2."""
    spec = Temperature(start=3, end=1, shape="linear")
    assert objective(Kd(), temperature=spec)(STUDENT, TEACHER, LABEL, progress=0.5, confidence=None).temperature.item() == 2.0


# Several labels an image ----------------------------------------------------------------------------------------------


def test_rows_of_labels_are_compared_one_by_one() -> None:
    """`label` and `kd` are those of `independent`, with the term's own options; the counts are of images that lack and that show each label."""
    student, teacher, _ = batch()
    labels = torch.tensor([[1, 0, -1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [-1, 0, 1, 0]])
    counts = torch.tensor([[90, 50, 1, 10], [10, 50, 99, 0]])
    phase = Phase(name="p", epochs=1, terms=(Kd(weight=0.9), Label(weight=0.5, smoothing=0.2), Label(class_balance=0.99)), temperature=2.0)
    loss = Objective(phase, counts=counts)(student, teacher, labels, progress=0)
    expected = [
        0.9 * independent.kd(student, teacher, torch.full((5,), 2.0)),
        0.5 * independent.bce(student, labels, smoothing=0.2),
        independent.bce(student, labels, positive=independent.positive_weights(counts, 0.99)),
    ]
    torch.testing.assert_close(loss.parts, torch.stack(expected))
    assert sum(shares_of(Objective(phase, counts=counts), student, teacher, labels).values()) == pytest.approx(1)
