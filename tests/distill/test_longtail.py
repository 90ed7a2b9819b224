"""edgekd.distill.longtail: the papers' formulas worked out apart, what is off, gradients, and that a phase's own images are counted."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import Job, alone, distill, longtail, losses
from edgekd.distill.objective import Objective
from edgekd.errors import TrainingError
from edgekd.phases import Phase, Subset
from edgekd.terms import Kd, Label
from tests.distill import nets

COUNTS = torch.tensor([100, 10, 1])


def batch() -> tuple[Tensor, Tensor]:
    """Logits (6, 3) and labels of every class."""
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 0, 0, 1, 1, 2])


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_class_weights_by_the_papers_formula(beta: float) -> None:
    """(1 − β)/(1 − βⁿ), scaled so that they add up to the number of classes."""
    plain = [(1 - beta) / (1 - beta**n) for n in COUNTS.tolist()]
    expected = torch.tensor([3 * weight / sum(plain) for weight in plain], dtype=torch.float64)
    torch.testing.assert_close(longtail.class_weights(COUNTS, beta), expected)


def test_class_weights_at_both_ends() -> None:
    """β = 0 leaves all alike; near 1 a class weighs as the inverse of its images, to the last digits."""
    assert longtail.class_weights(COUNTS, 0.0).tolist() == [1, 1, 1]
    inverse = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    torch.testing.assert_close(longtail.class_weights(COUNTS, 1 - 1e-12), 3 * inverse / inverse.sum(), rtol=1e-6, atol=0)


@given(counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any), beta=st.floats(0, 1, exclude_max=True))
def test_class_weights_are_always_numbers(counts: list[int], beta: float) -> None:
    """Above 0, of mean 1 over the classes with images, and never less for a rarer class, whatever the counts and β."""
    weights = longtail.class_weights(torch.tensor(counts), beta)
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    assert weights[torch.tensor(counts) > 0].mean().item() == pytest.approx(1, rel=1e-4)
    order = torch.tensor(counts).argsort(stable=True)
    assert (weights[order].diff() <= 1e-6 * weights.max()).all()


def test_a_class_without_images_takes_nothing_from_the_others() -> None:
    """Nine classes of 5,000 images weigh 1 each, whether there is a tenth of none or not."""
    weights = longtail.class_weights(torch.tensor([5000] * 9 + [0]), 0.9999)
    torch.testing.assert_close(weights[:9], torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_smoothing_raises_no_rare_class_above_the_label(tau: float) -> None:
    """The best logits for an image of the commonest class of ten at 100:1 name that class, and all others alike: there the gradient is none."""
    counts = (5000 * 100.0 ** (-torch.arange(10) / 9)).long()
    best = torch.full((1, 10), math.log(0.1), dtype=torch.float64)
    prior = longtail.log_prior(counts, tau).softmax(0)
    best[0, 0] = (0.9 + 0.1 * prior[0]).log() - prior[0].log()
    assert best.argmax() == 0
    loss = longtail.label(best.requires_grad_(), torch.tensor([0]), counts, smoothing=0.1, logit_adjustment=tau)
    (gradient,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_the_log_prior_by_hand() -> None:
    """τ times log shares; a class that is not shown counts as shown once."""
    torch.testing.assert_close(longtail.log_prior(torch.tensor([6, 2, 0]), 1.0), torch.tensor([6 / 9, 2 / 9, 1 / 9], dtype=torch.float64).log())
    assert longtail.log_prior(COUNTS, 0.0).tolist() == [0, 0, 0]


def test_the_loss_by_the_papers_formulas() -> None:
    """Menon et al.'s equation 10 and Cui et al.'s 11, in float64 and sample by sample."""
    student, labels = batch()
    student = student.double()
    shares = COUNTS.double() / COUNTS.sum()
    weights = torch.tensor([(1 - 0.99) / (1 - 0.99**n) for n in COUNTS.tolist()], dtype=torch.float64)
    weights = weights * 3 / weights.sum()
    summed = 0.0
    for logits, label in zip(student, labels.tolist(), strict=True):
        others = sum(float((shares[c] / shares[label]) ** 2.0 * torch.exp(logits[c] - logits[label])) for c in range(3) if c != label)
        summed += float(weights[label]) * math.log1p(others)
    loss = longtail.label(student, labels, COUNTS, class_balance=0.99, logit_adjustment=2.0)
    assert loss.item() == pytest.approx(summed / 6, rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_what_is_off_changes_nothing(smoothing: float) -> None:
    """Both at 0, or classes that are alike, give the plain loss."""
    student, labels = batch()
    plain = losses.label(student, labels, smoothing=smoothing)
    torch.testing.assert_close(longtail.label(student, labels, COUNTS, smoothing=smoothing), plain)
    even = longtail.label(student, labels, torch.tensor([7, 7, 7]), smoothing=smoothing, class_balance=0.9, logit_adjustment=1.0)
    torch.testing.assert_close(even, plain)


@pytest.mark.parametrize(
    "options", [{"class_balance": 0.9}, {"logit_adjustment": 1.5}, {"class_balance": 0.5, "logit_adjustment": 1.0, "smoothing": 0.1}]
)
def test_the_gradient_by_differences(options: dict[str, Any]) -> None:
    """At the student's logits; class weights and priors are constants."""
    student, labels = batch()

    def loss(logits: Tensor) -> Tensor:
        adjusted = logits + longtail.log_prior(COUNTS, options.get("logit_adjustment", 0.0)).double()
        weights = longtail.class_weights(COUNTS, options.get("class_balance", 0.0)).double()[labels]
        share, prior = options.get("smoothing", 0.0), longtail.log_prior(COUNTS, options.get("logit_adjustment", 0.0)).double().softmax(0)
        target = (1 - share) * F.one_hot(labels, len(COUNTS)) + share * prior
        return torch.mean(-weights * (target * adjusted.log_softmax(1)).sum(1))

    student.requires_grad_()
    longtail.label(student, labels, COUNTS, **options).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    wide = student.detach().double()
    for place in [(0, 0), (3, 2), (5, 2)]:
        step = torch.zeros_like(wide)
        step[place] = 1e-6
        slope = (loss(wide + step) - loss(wide - step)) / 2e-6
        assert student.grad[place].item() == pytest.approx(slope.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("options", [{"class_balance": 0.9}, {"logit_adjustment": 1.5, "smoothing": 0.1}, {"logit_adjustment": 1.0}])
def test_each_derivative_in_float64(options: dict[str, Any]) -> None:
    """Of three classes and of two."""
    for counts in (COUNTS, COUNTS[:2]):
        student = torch.randn(4, len(counts), generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
        labels = torch.tensor([0, 1, 1, 0])
        assert torch.autograd.gradcheck(lambda s, n=counts, y=labels: longtail.label(s, y, n, **options), student)


def test_extreme_logits_stay_finite() -> None:
    """±1e4 in fp16, loss and gradient."""
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]]).half().requires_grad_()
    loss = longtail.label(student, torch.tensor([1, 1]), COUNTS, class_balance=0.999, logit_adjustment=1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_adjusted_logits_rest_where_classes_are_equally_likely() -> None:
    """Where images say nothing, equal logits are the best answer to labels of any frequencies (Fisher consistency); to plain labels they are not."""
    labels = torch.repeat_interleave(torch.arange(3), COUNTS)
    for tau, still in ((1.0, True), (0.0, False)):
        bias = torch.zeros(3, requires_grad=True)
        longtail.label(bias.expand(len(labels), 3), labels, COUNTS, logit_adjustment=tau).backward()  # type: ignore[no-untyped-call]
        assert bias.grad is not None
        assert (bias.grad.abs().max().item() < 1e-6) is still


@pytest.mark.parametrize("options", [{}, {"smoothing": 0.2}, {"class_balance": 0.9, "logit_adjustment": 1.0, "smoothing": 0.1}])
def test_among_the_classes_that_are_shown(options: dict[str, Any]) -> None:
    """What is lost is what a network of these classes alone would lose, and the others' logits have no gradient at all."""
    student, labels = batch()
    shown, counts = labels != 1, torch.tensor([50, 0, 5])
    student, labels = student[shown].requires_grad_(), labels[shown]
    loss = longtail.label(student, labels, counts, shown=torch.tensor([0, 2]), **options)
    torch.testing.assert_close(loss, longtail.label(student[:, [0, 2]], labels // 2, counts[[0, 2]], **options))
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert not student.grad[:, 1].any()
    assert student.grad[:, [0, 2]].abs().min() > 0
    every = longtail.label(student, labels, COUNTS, shown=torch.arange(3), **options)
    torch.testing.assert_close(every, longtail.label(student, labels, COUNTS, **options))


def test_a_class_against_no_other_is_refused() -> None:
    """Nothing would be learnt; the phase and the remedy are named."""
    phase = Phase(name="p", epochs=1, terms=(Label(among="shown"),))
    with pytest.raises(TrainingError, match=r"phase 'p' shows images of one class, .* Set among = \"all\""):
        Objective(phase, counts=torch.tensor([0, 9, 0]))
    assert Objective(phase, counts=torch.tensor([3, 9, 0])).names == ("label",)


def test_a_label_terms_options_reach_the_loss() -> None:
    """With the counts of the phase, for the last classes too where it has none of them; the gradient's shares see them as well."""
    student, labels = batch()
    term = Label(weight=0.5, smoothing=0.1, class_balance=0.9, logit_adjustment=1.0)
    phase = Phase(name="p", epochs=1, terms=(term, Label()))
    objective = Objective(phase, counts=torch.tensor([5, 3]))
    loss = objective(student, None, labels, progress=0, confidence=None)
    expected = longtail.label(student, labels, torch.tensor([5, 3, 0]), smoothing=0.1, class_balance=0.9, logit_adjustment=1.0)
    torch.testing.assert_close(loss.parts, torch.stack([0.5 * expected, losses.label(student, labels)]))
    assert 0 < objective.gradient_shares(loss.answer)["label-1"] < 0.5
    student, labels = student[labels < 2], labels[labels < 2]
    loss = Objective(Phase(name="p", epochs=1, terms=(Label(among="shown"),)), counts=torch.tensor([5, 3]))(student, None, labels, progress=0)
    torch.testing.assert_close(loss.total, losses.label(student[:, :2], labels))


def test_the_images_of_each_phase_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them first, then those of the balanced subset alone."""
    seen: list[list[int]] = []
    plain = longtail.label

    def spy(student: Tensor, labels: Tensor, counts: Tensor, **options: Any) -> Tensor:
        seen.append(counts.tolist())
        return plain(student, labels, counts, **options)

    monkeypatch.setattr(longtail, "label", spy)
    terms = (Label(logit_adjustment=1.0),)
    phases = (nets.phase("a", 1, terms=terms), nets.phase("b", 1, terms=terms, subset=Subset(by="balanced", fraction=0.1)))
    data = nets.data()
    student = nets.network(nets.Toy(dropout=0))
    distill(student, None, Job(phases=phases, train=nets.TRAIN, folder=tmp_path, how="alone"), data=data, data_sha256="toy")
    assert seen[0] == data.labels.bincount().tolist()
    assert sorted(seen[-1]) == [2, 2, 2]


def test_alone_keeps_what_is_said_of_labels() -> None:
    """Its gain must not be taken for the teacher's; a phase without a label term has nothing to say."""
    balanced = Label(weight=0.1, smoothing=0.2, class_balance=0.9, logit_adjustment=1.0, among="shown")
    first, second = alone([nets.phase("a", terms=(Kd(), balanced)), nets.phase("b", terms=(Kd(),))])
    assert first.terms == (msgspec.structs.replace(balanced, weight=1.0),)
    assert second.terms == (Label(),)


@pytest.mark.parametrize("options", [{"class_balance": 1.0}, {"class_balance": -0.1}, {"logit_adjustment": -1.0}, {"logit_adjustment": math.inf}])
def test_options_outside_their_range_are_refused(options: dict[str, Any]) -> None:
    """With the rule and what was received."""
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name} must be .*, got {options[name]}"):
        Label(**options)
