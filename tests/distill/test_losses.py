"""Losses on logits: literals worked out by hand, a plain reference, invariants, gradients, shapes."""

import math
from collections.abc import Callable

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, config, jaxtyped
from torch import Tensor

from edgekd.distill import losses
from edgekd.errors import UsageError


def tensor(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


def heat(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def log(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).log()


def random_batch(samples: int, classes: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Student's logits, teacher's logits, labels."""
    generator = torch.Generator().manual_seed(7)
    student = torch.randn(samples, classes, generator=generator, dtype=dtype)
    teacher = 2 * torch.randn(samples, classes, generator=generator, dtype=dtype)
    return student, teacher, torch.randint(classes, (samples,), generator=generator)


Soft = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

SOFT: dict[str, Soft] = {
    "kd": lambda s, t, labels, temperature: losses.kd(s, t, temperature),
    "dkd": lambda s, t, labels, temperature: losses.dkd(s, t, labels, temperature),
    "dist": lambda s, t, labels, temperature: losses.dist(s, t, temperature),
    "levels": lambda s, t, labels, temperature: losses.levels(s, t, temperature),
}
STANDARDISED: dict[str, Soft] = {
    f"{name}, standardised": lambda s, t, labels, temperature, loss=loss: loss(losses.standardise(s), losses.standardise(t), labels, temperature)  # type: ignore[misc]
    for name, loss in SOFT.items()
}
EVERY = {**SOFT, **STANDARDISED}

soft = pytest.mark.parametrize("loss", SOFT.values(), ids=SOFT)
squared = pytest.mark.parametrize("loss", [SOFT[name] for name in ("kd", "dkd", "dist")], ids=["kd", "dkd", "dist"])
every = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)


# Literals -------------------------------------------------------------------------------------------------------------


def test_label_literal() -> None:
    """A label held at 75 % costs −ln 0.75."""
    assert losses.label(log([0.75, 0.25]), torch.tensor([0])).item() == pytest.approx(-math.log(0.75))


def test_label_smoothing_literal() -> None:
    """Half of the target goes to both classes alike: 0.75·(−ln 0.75) + 0.25·(−ln 0.25)."""
    loss = losses.label(log([0.75, 0.25]), torch.tensor([0]), smoothing=0.5)
    assert loss.item() == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


def test_kd_literal() -> None:
    """Teacher (0.75, 0.25) against student (0.5, 0.5) at T = 1: 0.75 ln 1.5 + 0.25 ln 0.5."""
    assert losses.kd(tensor([0.0, 0.0]), log([0.75, 0.25]), heat(1)).item() == pytest.approx(0.130812, abs=1e-6)


def test_kd_scales_with_the_square_of_the_temperature() -> None:
    """Logits twice as far apart at T = 2 soften to the same probabilities, and count four times."""
    assert losses.kd(tensor([0.0, 0.0]), 2 * log([0.75, 0.25]), heat(2)).item() == pytest.approx(4 * 0.130812, abs=4e-6)


def test_dkd_literal() -> None:
    """Teacher (1/2, 3/8, 1/8), label 0, student alike everywhere: 0.058892 on the target, 0.130812 on the others."""
    loss = losses.dkd(tensor([0.0, 0.0, 0.0]), log([0.5, 0.375, 0.125]), torch.tensor([0]), heat(1), alpha=2.0, beta=8.0)
    assert loss.item() == pytest.approx(2 * 0.058892 + 8 * 0.130812, abs=1e-5)


def test_dist_literal_of_opposites() -> None:
    """Two images answered the other way round correlate at −1 in rows and columns: 2·beta + 2·gamma, times T²."""
    student, teacher = log([0.75, 0.25], [0.25, 0.75]), log([0.25, 0.75], [0.75, 0.25])
    assert losses.dist(student, teacher, heat(1, 1), beta=1.0, gamma=0.5).item() == pytest.approx(3)
    assert losses.dist(2 * student, 2 * teacher, heat(2, 2), beta=1.0, gamma=0.5).item() == pytest.approx(12)


def test_dist_literal_of_one_image() -> None:
    """(0.5, 0.3, 0.2) against (0.2, 0.3, 0.5) correlates at −13/14; a batch of one has no correlation within classes."""
    loss = losses.dist(log([0.5, 0.3, 0.2]), log([0.2, 0.3, 0.5]), heat(1))
    assert loss.item() == pytest.approx(1 + 13 / 14 + 1)


def test_dist_within_classes_goes_by_the_mean_square_of_temperatures() -> None:
    """A student that answers all images alike correlates with nothing: what is left within classes is the mean of T², 5 for T = 1 and 3."""
    loss = losses.dist(torch.zeros(2, 3), tensor([1.0, 2.0, 0.0], [0.0, 3.0, 1.0]), heat(1, 3), beta=0.0)
    assert loss.item() == pytest.approx(5.0)


def test_levels_literal() -> None:
    """Student (1/2, 1/2), teacher (3/4, 1/4): 0.130812 of KL; squared lengths 1/2 and 5/8 for the batch; for the classes outer products."""
    for weights, expected in (((1.0, 0.0, 0.0), 0.130812), ((0.0, 1.0, 0.0), 0.125**2), ((0.0, 0.0, 1.0), 0.140625 / 2), ((2.0, 8.0, 4.0), 0.667874)):
        named = dict(zip(("instance", "batch", "classes"), weights, strict=True))
        loss = losses.levels(tensor([0.0, 0.0]), log([0.75, 0.25]), heat(1), spread=[1.0], **named)
        assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_levels_of_a_crowded_batch_leave_samples_their_say() -> None:
    """A batch twenty times over is the same lesson: neither likeness outgrows the samples, where all would end in one answer."""
    student, teacher, _ = random_batch(10, 10)
    one, many = (losses.levels(student.repeat(times, 1), teacher.repeat(times, 1), torch.full((10 * times,), 4.0)) for times in (1, 20))
    assert many.item() == pytest.approx(one.item(), rel=0.01)


def test_levels_add_up_over_temperatures() -> None:
    """The default spread at T = 4 is the paper's five, 2 to 6."""
    student, teacher, _ = random_batch(6, 5)
    alone = [losses.levels(student, teacher, torch.full((6,), value), spread=[1.0]) for value in (2.0, 3.0, 4.0, 5.0, 6.0)]
    torch.testing.assert_close(losses.levels(student, teacher, torch.full((6,), 4.0)), torch.stack(alone).sum())


def test_standardise_literal() -> None:
    """(1, 2, 3) has mean 2 and standard deviation √(2/3)."""
    expected = tensor([-math.sqrt(1.5), 0.0, math.sqrt(1.5)])
    torch.testing.assert_close(losses.standardise(tensor([1.0, 2.0, 3.0])), expected)


def test_standardise_keeps_equal_logits_at_zero() -> None:
    """Logits that are all alike have no spread to divide by, and stay finite with their gradient."""
    logits = torch.full((2, 5), 3.0, requires_grad=True)
    answer = losses.standardise(logits)
    answer[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(answer, torch.zeros(2, 5))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


# A plain reference ----------------------------------------------------------------------------------------------------


def softened(logits: list[float], temperature: float) -> list[float]:
    weights = [math.exp(value / temperature) for value in logits]
    return [weight / sum(weights) for weight in weights]


def divergence(target: list[float], soft: list[float]) -> float:
    return sum(t * math.log(t / s) for t, s in zip(target, soft, strict=True))


def correlation(first: list[float], second: list[float]) -> float:
    mean_first, mean_second = sum(first) / len(first), sum(second) / len(second)
    a, b = [x - mean_first for x in first], [x - mean_second for x in second]
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_label_equals_the_plain_reference(smoothing: float) -> None:
    """Minus the log probability of each class, weighed by (1 − s) on the label and s/classes on all (Szegedy et al. 2016, section 7)."""
    student, _, labels = random_batch(5, 7)
    total = 0.0
    for logits, label in zip(student.tolist(), labels.tolist(), strict=True):
        whole = math.log(sum(math.exp(z) for z in logits))
        total += sum(((1 - smoothing) * (c == label) + smoothing / 7) * (whole - z) for c, z in enumerate(logits))
    assert losses.label(student, labels, smoothing=smoothing).item() == pytest.approx(total / 5, rel=1e-12)


def test_standardise_equals_the_plain_reference() -> None:
    """Each logit less its sample's mean, over the root of the mean square of those (Sun et al. 2024, algorithm 1)."""
    logits, _, _ = random_batch(5, 7)
    for row, answer in zip(logits.tolist(), losses.standardise(logits).tolist(), strict=True):
        mean = sum(row) / 7
        sigma = math.sqrt(sum((z - mean) ** 2 for z in row) / 7)
        assert answer == pytest.approx([(z - mean) / sigma for z in row], rel=1e-5)


def test_kd_equals_the_plain_reference() -> None:
    """Sample by sample with math.exp, each at its own temperature."""
    student, teacher, _ = random_batch(6, 5)
    heats = [0.5, 1.0, 2.0, 3.0, 4.0, 8.0]
    samples = zip(student.tolist(), teacher.tolist(), heats, strict=True)
    expected = sum(h * h * divergence(softened(t, h), softened(s, h)) for s, t, h in samples) / 6
    assert losses.kd(student, teacher, torch.tensor(heats)).item() == pytest.approx(expected, rel=1e-9)


def test_dkd_equals_the_plain_reference() -> None:
    """Sample by sample: the label against the rest, then the rest among themselves."""
    student, teacher, labels = random_batch(6, 5)
    expected = 0.0
    for s, t, place in zip(student.tolist(), teacher.tolist(), labels.tolist(), strict=True):
        ps, pt = softened(s, 2), softened(t, 2)
        target = divergence([pt[place], 1 - pt[place]], [ps[place], 1 - ps[place]])
        others = divergence(*([p / (1 - full[place]) for i, p in enumerate(full) if i != place] for full in (pt, ps)))
        expected += 4 * (0.7 * target + 3 * others) / 6
    loss = losses.dkd(student, teacher, labels, torch.full((6,), 2.0), alpha=0.7, beta=3.0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_dist_equals_the_plain_reference() -> None:
    """Correlations of rows and of columns of the softened probabilities."""
    student, teacher, _ = random_batch(6, 5)
    rows = [[softened(row, 3) for row in logits.tolist()] for logits in (student, teacher)]
    columns = [list(map(list, zip(*part, strict=True))) for part in rows]
    between = sum(1 - correlation(a, b) for a, b in zip(*rows, strict=True)) / 6
    within = sum(1 - correlation(a, b) for a, b in zip(*columns, strict=True)) / 5
    loss = losses.dist(student, teacher, torch.full((6,), 3.0), beta=2.0, gamma=0.5)
    assert loss.item() == pytest.approx(9 * (2 * between + 0.5 * within), rel=1e-9)


def gram(first: list[list[float]], second: list[list[float]]) -> float:
    """Squared Frobenius distance of the rows' products with each other."""
    places = range(len(first))
    products = [[[sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) for j in places] for i in places] for rows in (first, second)]
    return sum((products[0][i][j] - products[1][i][j]) ** 2 for i in places for j in places)


@pytest.mark.parametrize(("classes", "crowd"), [(7, 1.0), (6, 1.0), (2, 3.0)])
def test_levels_equal_the_plain_reference(classes: int, crowd: float) -> None:
    """Entry by entry, at each temperature of each sample, with weights of their own; as in the paper up to as many images as classes, and beyond
    that with what a crowd adds to the likenesses taken off."""
    student, teacher, _ = random_batch(6, classes)
    heats, spread = [1.0, 1.5, 2.0, 3.0, 4.0, 8.0], [0.5, 1.0, 2.0]
    expected = 0.0
    for factor in spread:
        ours, theirs = ([softened(row, factor * h) for row, h in zip(logits.tolist(), heats, strict=True)] for logits in (student, teacher))
        columns = [list(map(list, zip(*part, strict=True))) for part in (ours, theirs)]
        samples = sum((factor * h) ** 2 * divergence(t, s) for s, t, h in zip(ours, theirs, heats, strict=True)) / 6
        expected += 0.5 * samples + 2 * gram(ours, theirs) / 6 / crowd + 3 * gram(*columns) / classes / crowd**2
    loss = losses.levels(student, teacher, torch.tensor(heats, dtype=torch.float64), spread=spread, instance=0.5, batch=2.0, classes=3.0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_dkd_with_the_teachers_own_weight_is_kd() -> None:
    """With alpha 1 and beta 1 − the teacher's probability of the label, the two parts add up to KL."""
    student, teacher, labels = random_batch(1, 7)
    temperature = torch.tensor([2.0])
    beta = 1 - (teacher / 2).softmax(1)[0, labels[0]].item()
    split = losses.dkd(student, teacher, labels, temperature, alpha=1.0, beta=beta)
    torch.testing.assert_close(split, losses.kd(student, teacher, temperature))


# Invariants -----------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_losses_are_zero_at_equality_and_never_below(loss: Soft, temperature: float) -> None:
    """A student that answers as the teacher does has nothing to learn; any other has."""
    student, teacher, labels = random_batch(8, 5)
    heats = torch.full((8,), temperature)
    assert loss(teacher, teacher, labels, heats).item() == pytest.approx(0, abs=1e-12)
    assert loss(student, teacher, labels, heats).item() > 0


@soft
def test_soft_losses_do_not_see_a_shift(loss: Soft) -> None:
    """A constant added to all logits of a sample changes no probability."""
    student, teacher, labels = random_batch(8, 5)
    heats, shift = torch.full((8,), 3.0), torch.arange(8, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(loss(student + shift, teacher - 2 * shift, labels, heats), loss(student, teacher, labels, heats))


@squared
def test_soft_losses_at_scaled_logits_and_temperature(loss: Soft) -> None:
    """Logits and T both k times as large leave the probabilities and multiply the loss by k²."""
    student, teacher, labels = random_batch(8, 5)
    heats = torch.full((8,), 2.0)
    torch.testing.assert_close(loss(3 * student, 3 * teacher, labels, 3 * heats), 9 * loss(student, teacher, labels, heats))


@pytest.mark.parametrize("name", ["kd", "dkd"])
def test_a_temperature_per_sample_is_that_sample_alone(name: str) -> None:
    """Four samples at four temperatures give the mean of four batches of one."""
    student, teacher, labels = random_batch(4, 5)
    heats = torch.tensor([0.5, 1.0, 3.0, 6.0])
    alone = [SOFT[name](student[i : i + 1], teacher[i : i + 1], labels[i : i + 1], heats[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(SOFT[name](student, teacher, labels, heats), torch.stack(alone).mean())


def test_dist_weighs_rows_by_their_own_temperature() -> None:
    """Without the part within classes, samples do not meet: the mean of four batches of one."""
    student, teacher, _ = random_batch(4, 5)
    heats = torch.tensor([0.5, 1.0, 3.0, 6.0])
    alone = [losses.dist(student[i : i + 1], teacher[i : i + 1], heats[i : i + 1], gamma=0.0) for i in range(4)]
    torch.testing.assert_close(losses.dist(student, teacher, heats, gamma=0.0), torch.stack(alone).mean())


def test_dist_does_not_see_the_scale_of_probabilities() -> None:
    """A student whose probabilities are half as far from uniform in every row correlates fully."""
    teacher = log([0.6, 0.2, 0.2], [0.1, 0.3, 0.6])
    student = (0.5 * teacher.exp() + 0.5 / 3).log()
    assert losses.dist(student, teacher, heat(1, 1)).item() == pytest.approx(0, abs=1e-6)


def test_standardise_takes_off_mean_and_scale() -> None:
    """Any stretch and shift of the logits standardises to the same, with mean 0 and standard deviation 1."""
    logits, _, _ = random_batch(4, 6)
    answer = losses.standardise(logits)
    torch.testing.assert_close(losses.standardise(5 * logits - 3), answer, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(answer.mean(1), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(answer.std(1, correction=0), torch.ones(4, dtype=torch.float64), atol=1e-6, rtol=0)


# Gradients and numbers ------------------------------------------------------------------------------------------------


@every
def test_gradients_equal_finite_differences(loss: Soft) -> None:
    """Each derivative at the student's logits in float64, a temperature per sample."""
    student, teacher, labels = random_batch(3, 4)
    heats = torch.tensor([0.7, 2.0, 4.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher, labels, heats), student.requires_grad_())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_label_gradient_equals_finite_differences(smoothing: float) -> None:
    """Each derivative at the student's logits in float64."""
    student, _, labels = random_batch(3, 4)
    assert torch.autograd.gradcheck(lambda s: losses.label(s, labels, smoothing=smoothing), student.requires_grad_())


def test_standardise_gradient_equals_finite_differences() -> None:
    """Through the z-score and KL together."""
    student, teacher, _ = random_batch(3, 4)
    target, heats = losses.standardise(teacher), torch.full((3,), 2.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: losses.kd(losses.standardise(s), target, heats), student.requires_grad_())


def test_kd_gradient_is_the_known_one() -> None:
    """T·(softmax(student/T) − softmax(teacher/T)) / batch."""
    student, teacher, _ = random_batch(4, 6)
    heats = torch.tensor([0.5, 1.0, 3.0, 8.0], dtype=torch.float64)
    losses.kd(student.requires_grad_(), teacher, heats).backward()  # type: ignore[no-untyped-call]
    scale = heats.unsqueeze(1)
    expected = scale * ((student / scale).softmax(1) - (teacher / scale).softmax(1)) / 4
    assert student.grad is not None
    torch.testing.assert_close(student.grad, expected.detach())


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [1e4, 2e4])
def test_large_logits_stay_finite(loss: Soft, dtype: torch.dtype, size: float) -> None:
    """Logits of ±10,000 and ±20,000 at T = 0.5 give finite losses and gradients, also from half precision, of either network or both."""
    small, small_teacher, labels = random_batch(8, 5, torch.float32)
    large, large_teacher = small.sign() * size, small_teacher.sign() * size
    for ours, teacher in ((large, large_teacher), (large, small_teacher), (small, large_teacher), (large, large)):
        student = ours.to(dtype).requires_grad_()
        value = loss(student, teacher.to(dtype), labels, torch.full((8,), 0.5))
        value.backward()  # type: ignore[no-untyped-call]
        assert student.grad is not None
        assert value.isfinite()
        assert student.grad.isfinite().all()


TWO = {name: loss for name, loss in EVERY.items() if "dkd" not in name}


@pytest.mark.parametrize("loss", TWO.values(), ids=TWO)
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_two_classes_are_enough(loss: Soft, size: float) -> None:
    """Finite with a finite gradient, also at ±10,000, and 0 where student and teacher agree; `dkd` is refused."""
    student, teacher, labels = random_batch(8, 2, torch.float32)
    student, teacher, heats = (size * student).requires_grad_(), size * teacher, torch.full((8,), 2.0)
    value = loss(student, teacher, labels, heats)
    value.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert value.isfinite()
    assert student.grad.isfinite().all()
    assert loss(teacher, teacher, labels, heats).item() == pytest.approx(0, abs=1e-5)


def test_the_label_loss_of_large_logits_stays_finite() -> None:
    """±10,000 in half precision, two classes and many, smoothed and not."""
    for classes in (2, 5):
        logits, _, labels = random_batch(8, classes, torch.float32)
        for smoothing in (0.0, 0.1):
            student = (logits.sign() * 1e4).half().requires_grad_()
            value = losses.label(student, labels, smoothing=smoothing)
            value.backward()  # type: ignore[no-untyped-call]
            assert student.grad is not None
            assert value.isfinite()
            assert student.grad.isfinite().all()


@soft
def test_half_precision_is_widened(loss: Soft) -> None:
    """bfloat16 logits give the float32 loss of their values."""
    student, teacher, labels = random_batch(8, 5, torch.float32)
    student, teacher = student.bfloat16(), teacher.bfloat16()
    heats = torch.full((8,), 3.0)
    value = loss(student, teacher, labels, heats)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(student.float(), teacher.float(), labels, heats))


def test_dist_of_flat_answers_sends_no_gradient() -> None:
    """A student that says the same of every class and image counts as uncorrelated instead of dividing by 0."""
    _, teacher, _ = random_batch(4, 5)
    student = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
    value = losses.dist(student, teacher, torch.ones(4))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == pytest.approx(2)
    assert student.grad is not None
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_losses_compile_into_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing breaks the graph, so that a training step can be compiled whole (the shape checker, which tests alone have, would)."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    student, teacher, labels = random_batch(4, 5, torch.float32)
    heats = torch.full((4,), 3.0)

    def whole(s: Tensor, t: Tensor) -> Tensor:
        z = losses.standardise(s)
        hard, decoupled = losses.label(s, labels), losses.dkd(s, t, labels, heats)
        return hard + losses.kd(z, t, heats) + decoupled + losses.dist(s, t, heats) + losses.levels(s, t, heats)

    compiled = torch.compile(whole, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(student, teacher), whole(student, teacher))


# What is refused ------------------------------------------------------------------------------------------------------


def test_dkd_of_two_classes_is_refused() -> None:
    """The message says the rule, the count and what to use instead."""
    student, teacher, labels = random_batch(4, 2)
    with pytest.raises(UsageError, match=r"needs 3 classes or more, got 2\. Use kd instead"):
        losses.dkd(student, teacher, labels, torch.ones(4))


@pytest.mark.parametrize("function", [losses.kd, losses.dist, losses.levels])
def test_shapes_that_would_broadcast_are_caught(function: Callable[..., Tensor]) -> None:
    """Student (4, 10) against teacher (4, 1) is an error under the shape checker, and not a number."""
    checked = jaxtyped(function, typechecker=beartype)
    student, temperature = torch.zeros(4, 10), torch.ones(4)
    checked(student, torch.ones(4, 10), temperature)
    with pytest.raises(TypeCheckError):
        checked(student, torch.ones(4, 1), temperature)
    with pytest.raises(TypeCheckError):
        checked(student, torch.ones(4, 10), torch.ones(4, 1))
    with pytest.raises(TypeCheckError):
        checked(student, torch.ones(4, 10, dtype=torch.int64), temperature)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_narrow_numbers_are_widened_and_no_others(given: torch.dtype, expected: torch.dtype) -> None:
    """To float32; the values stay."""
    values = torch.tensor([1.5, -2.0], dtype=given)
    assert losses.wide(values).dtype == expected
    assert losses.wide(values).tolist() == [1.5, -2.0]
