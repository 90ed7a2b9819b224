"""edgekd.distill.leading: the largest logits and one number for the others, and what is learnt from them."""

import math
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, leading, losses
from edgekd.distill.leading import HEATS, KEPT, Leading, packed, unpacked
from edgekd.distill.remembered import Remembered
from edgekd.errors import UsageError
from edgekd.events import silent
from edgekd.models.network import Network
from edgekd.phases import Phase, Subset
from edgekd.preprocess import Preprocess
from edgekd.terms import Dist, Dkd, Kd, Label, Levels, Term, Tokens
from tests.distill import nets

CPU = torch.device("cpu")
T = torch.tensor([1.0, 3.0, 0.5])


def drawn(classes: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(3, classes, generator=torch.Generator().manual_seed(seed))


def kept(logits: Tensor) -> Leading:
    return unpacked(packed(logits), logits.shape[1], CPU).at(torch.arange(len(logits)))


def test_what_is_kept_of_an_answer() -> None:
    """The largest logits in order with their classes, and the log of what the others add up to."""
    logits = torch.full((1, 200), -2.0)
    logits[0, 40 : 40 + KEPT - 1] = 1.0
    logits[0, 7] = 5.0
    found = kept(logits)
    assert (found.logits[0, 0].item(), found.classes[0, 0].item(), found.of) == (5.0, 7, 200)
    assert set(found.classes[0, 1:].tolist()) == set(range(40, 40 + KEPT - 1))
    assert found.rest[0].tolist() == pytest.approx([math.log(136) - 2 / heat for heat in HEATS], abs=1e-5)


def test_a_row_takes_some_hundred_bytes() -> None:
    """However many classes there are."""
    assert packed(drawn(5000)).nbytes == 3 * (KEPT * 6 + 4 * len(HEATS))


def test_an_answer_takes_two_bytes_a_class_or_what_its_largest_take() -> None:
    """Of float16; where few are kept, 64 logits with their classes, and four sums."""
    assert (leading.answer_bytes(10, few=False), leading.answer_bytes(2000, few=True)) == (20, 64 * 2 + 64 * 4 + 4 * 4)


def test_below_the_coldest_heat_the_others_stay_below_those_kept() -> None:
    """However cold it is, no class that is not kept weighs more than the smallest of those kept."""
    shares = kept(drawn(1000, scale=1.0)).log_shares(torch.full((3,), 0.05))
    assert (shares[:, -1] <= shares[:, -2] + math.log(1000 - KEPT)).all()


def test_the_loss_is_plain_kd_where_one_class_is_not_kept() -> None:
    """A bucket of one class is that class."""
    student, teacher = drawn(KEPT + 1, 1), drawn(KEPT + 1, 2).half().float()
    assert leading.kd(student, kept(teacher), T).item() == pytest.approx(losses.kd(student, teacher, T).item(), rel=1e-4)


def test_the_loss_is_plain_kd_where_the_others_are_alike() -> None:
    """Nothing is lost where neither network tells them apart."""
    student, teacher = drawn(500, 1), drawn(500, 2).half().float()
    others = teacher.argsort(1)[:, :-KEPT]
    teacher.scatter_(1, others, -6.0)
    student.scatter_(1, others, 0.5)
    assert leading.kd(student, kept(teacher), T).item() == pytest.approx(losses.kd(student, teacher, T).item(), rel=1e-4)


@pytest.mark.parametrize("heat", [0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0])
def test_a_teacher_that_teaches_itself_loses_nothing(heat: float) -> None:
    """At any temperature, not at those alone whose sums are kept; it was 0.06 at T = 3 when the others were told by one number."""
    teacher = drawn(2000, 3, 2.0).half().float()
    assert abs(leading.kd(teacher, kept(teacher), torch.full((3,), heat)).item()) < 0.002


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_between_none_and_plain_kd(seed: int) -> None:
    """Where the bucket's weight is exact a coarser comparison never sees more. 0 for the teacher itself."""
    student, teacher, heat = drawn(500, seed), drawn(500, seed + 10).half().float(), torch.tensor([4.0, 1.0, 0.5])
    assert 0 < leading.kd(student, kept(teacher), heat) <= losses.kd(student, teacher, heat)
    assert leading.kd(teacher, kept(teacher), heat).item() == pytest.approx(0.0, abs=1e-5)


def test_gradients() -> None:
    """Checked against differences, in float64."""
    student, teacher = drawn(70, 1).double().requires_grad_(), kept(drawn(70, 2))
    assert torch.autograd.gradcheck(lambda logits: leading.kd(logits, teacher, T), (student,))


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_extreme_logits_stay_finite(logit: float) -> None:
    """Loss and gradient, on either side."""
    sharp = torch.zeros(3, 100)
    sharp[:, 3] = logit
    student = (-sharp).requires_grad_()
    loss = leading.kd(student, kept(sharp), T)
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_names_and_sureness_are_those_of_all_logits() -> None:
    """Of what is kept as of the whole."""
    logits = drawn(2000).half().float()
    assert torch.equal(leading.named(kept(logits)), leading.named(logits))
    torch.testing.assert_close(leading.sureness(kept(logits)), leading.sureness(logits), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("terms", "what"),
    [
        ((Dkd(),), "dkd in phase 'p' asks for all"),
        ((Kd(), Dist()), "dist in phase 'p' asks for all"),
        ((Levels(),), "levels in phase 'p' asks for all"),
        ((Tokens(), Label()), "tokens in phase 'p' asks for all"),
        ((Kd(standardise=True),), "kd with standardise in phase 'p' asks for all"),
    ],
)
def test_terms_that_need_all_logits_are_refused(terms: tuple[Term, ...], what: str) -> None:
    """By name, with the remedy."""
    with pytest.raises(UsageError, match=rf"of 1001 classes a teacher's 64 largest logits.*{what}\. Set train\.views = 0"):
        leading.check((nets.phase(terms=terms),), 1001, corrected=False)


def test_subsets_and_priors_that_need_all_logits_are_refused() -> None:
    """Those that look at the teacher's choice alone are not."""
    with pytest.raises(UsageError, match="the subset 'mixed' asks for all"):
        leading.check((nets.phase(terms=(Kd(),), subset=Subset(by="mixed")),), 1001, corrected=False)
    with pytest.raises(UsageError, match="a prior is taken off all"):
        leading.check((nets.phase(terms=(Kd(),)),), 1001, corrected=True)
    leading.check((nets.phase(terms=(Kd(), Label()), subset=Subset(by="confident")),), 1001, corrected=False)


# The whole way --------------------------------------------------------------------------------------------------------


class Wide(nn.Module):
    """A linear layer over the mean colour, with more classes than there are colours."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(8 * images.mean((2, 3)))
        return logits


def wide(seed: int, classes: int = 1001) -> Network:
    """At random; number 2 is sure of the brightest colour."""
    torch.manual_seed(seed)
    body = Wide(classes)
    if seed == 2:
        body.head.weight.data[:3], body.head.bias.data[:3] = 8 * torch.eye(3), 25.0
    return Network(body, Preprocess(size=(8, 8)), name=f"wide-{seed}", classes=classes)


def learnt(folder: Path, views: int, phases: tuple[Phase, ...]) -> Network:
    student = wide(1)
    settings = msgspec.structs.replace(nets.TRAIN, views=views)
    distill(student, wide(2), Job(phases=phases, train=settings, folder=folder, checkpoint_s=nets.NEVER), data=nets.data(), data_sha256="toy")
    return student


def test_a_student_learns_from_what_is_kept(tmp_path: Path) -> None:
    """In two phases, of which the second sees the surest images: it comes near in what it is shown. The files are small."""
    phases = (
        nets.phase(name="all", epochs=20, terms=(Kd(),), temperature=2.0),
        nets.phase(name="sure", epochs=1, terms=(Kd(), Label(weight=0.1)), subset=Subset(by="confident", fraction=0.9)),
    )
    teacher, images = wide(2).eval(), nets.data().plain(torch.arange(64))[0]
    remembered = learnt(tmp_path / "remembered", 2, phases[:1])

    def distance(student: Network) -> float:
        with torch.no_grad():
            return float(leading.kd(student(images), kept(teacher(images)), torch.full((64,), 2.0)))

    assert distance(remembered) < 0.5 * distance(wide(1))
    (file,) = (tmp_path / "remembered").rglob("view-0.npy")
    assert file.stat().st_size < 64 * (KEPT * 6 + 4 * len(HEATS)) + 500
    learnt(tmp_path / "sure", 2, tuple(msgspec.structs.replace(phase, terms=(Kd(),)) for phase in phases))


def test_a_file_of_another_kind_is_answered_anew(tmp_path: Path) -> None:
    """Whole logits where the largest are wanted."""
    data = Batches(nets.images())

    def asked(*, few: bool) -> Remembered:
        return Remembered(wide(2).eval(), data, tmp_path, classes=1001, augment=nets.AUGMENT, view_seed=0, emit=silent, few=few)

    whole, few = asked(few=False).plain(), asked(few=True).plain()
    assert isinstance(whole, Tensor)
    assert isinstance(few, Leading)
    assert torch.equal(few.logits[:, 0], whole.amax(1))


def test_the_whole_is_not_made_of_what_is_kept() -> None:
    """Who needs all logits has been refused before."""
    with pytest.raises(AssertionError, match="logits of all classes"):
        leading.whole(kept(drawn(100)))
