"""edgekd.distill.subset: each rule against an example worked out by hand, ties, seeds, fractions."""

from collections import Counter
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgekd.distill.subset import NEEDS_STUDENT, NEEDS_TEACHER, RULES, Pool, choose
from edgekd.errors import TrainingError
from edgekd.phases import Subset

Rule = Literal["random", "balanced", "confident", "hard", "mixed"]

LABELS = torch.tensor([0, 0, 1, 1, 0, 1])
TEACHER = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.05, 0.95]]).log()
"""Right everywhere but at position 1; surest at 5, 0, 2, 3, 4 in this order."""
STUDENT = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.5, 0.5], [0.05, 0.95]]).log()
"""Among the five: farthest at 2 (0.8 ln 4 − 0.2 ln 4 = 0.832), then 3 (0.082), then 4 (0.020); equal at 0 and 5."""


def positions(
    by: Rule, fraction: float, *, labels: Tensor = LABELS, teacher: Tensor | None = TEACHER, student: Tensor | None = STUDENT, seed: int = 0
) -> list[int]:
    chosen = choose(Subset(by=by, fraction=fraction), Pool(labels=labels, seed=seed, teacher=teacher, student=student))
    assert chosen.dtype == torch.int64
    listed: list[int] = chosen.tolist()
    return listed


@pytest.mark.parametrize(("fraction", "expected"), [(1 / 6, [0, 5]), (0.5, [0, 2, 5]), (5 / 6, [0, 2, 3, 4, 5])])
def test_confident_by_hand(fraction: float, expected: list[int]) -> None:
    """The surest of those that the teacher has right, in ascending order."""
    assert positions("confident", fraction) == expected


@pytest.mark.parametrize(("fraction", "expected"), [(1 / 6, [2, 3]), (0.3, [2, 3]), (0.5, [2, 3, 4])])
def test_hard_by_hand(fraction: float, expected: list[int]) -> None:
    """Farthest from the teacher first; position 1, where the teacher errs, is left out although it is farther than 3 and 4."""
    assert positions("hard", fraction) == expected


@pytest.mark.parametrize("by", ["confident", "hard"])
def test_rules_end_where_the_teacher_errs(by: Rule) -> None:
    """All six were asked for, and five are right."""
    assert positions(by, 1.0) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(8))
def test_mixed_is_half_hard_and_half_random(seed: int) -> None:
    """Of four, two are the hardest and two come from all that is left, the teacher's errors too; over seeds each of them comes."""
    chosen = positions("mixed", 4 / 6, seed=seed)
    assert {2, 3} < set(chosen)
    assert len(set(chosen)) == 4


def test_mixed_takes_others_by_seed() -> None:
    """Each image that is not hard is chosen by some seed."""
    assert set().union(*(positions("mixed", 4 / 6, seed=seed) for seed in range(20))) == set(range(6))


def test_balanced_by_hand() -> None:
    """Of 8 + 2 + 4 images, six are two of each class; nine are both of the rare class and three or four of the others."""
    labels = torch.tensor([0] * 8 + [1] * 2 + [2] * 4)
    counts = [Counter(labels[positions("balanced", k / 14, labels=labels)].tolist()) for k in (6, 9)]
    assert counts[0] == {0: 2, 1: 2, 2: 2}
    assert counts[1][1] == 2
    assert sorted((counts[1][0], counts[1][2])) == [3, 4]


@pytest.mark.parametrize("by", ["confident", "hard"])
def test_ties_go_by_position(by: Rule) -> None:
    """Where all images are alike, the first ones are taken."""
    labels, teacher, student = torch.zeros(8, dtype=torch.int64), torch.tensor([[1.0, 0.0]] * 8), torch.zeros(8, 2)
    assert positions(by, 0.5, labels=labels, teacher=teacher, student=student) == [0, 1, 2, 3]


@pytest.mark.parametrize("by", ["random", "balanced", "mixed"])
def test_a_choice_is_a_pure_function_of_its_seed(by: Rule) -> None:
    """The same seed chooses the same, whatever torch's own generator does; other seeds choose otherwise."""
    labels = torch.arange(60) % 2
    teacher, student = torch.nn.functional.one_hot(labels).float(), torch.zeros(60, 2)
    first = positions(by, 0.5, labels=labels, teacher=teacher, student=student)
    torch.rand(7)
    assert positions(by, 0.5, labels=labels, teacher=teacher, student=student) == first
    assert positions(by, 0.5, labels=labels, teacher=teacher, student=student, seed=1) != first


def test_no_choice_moves_torchs_generator() -> None:
    """Dropout after a choice is what it would have been without."""
    before = torch.get_rng_state()
    positions("balanced", 0.5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("fraction", "count"), [(0.001, 2), (0.24, 2), (0.26, 3), (0.5, 5), (1.0, 10)])
def test_fractions_are_rounded_and_never_one_alone(fraction: float, count: int) -> None:
    """Of ten images."""
    assert len(positions("random", fraction, labels=torch.zeros(10, dtype=torch.int64))) == count


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.floats(0.01, 1), st.integers(0, 10_000), st.sampled_from(["random", "balanced"]))
def test_subsets_without_a_teacher(labels: list[int], fraction: float, seed: int, by: Rule) -> None:
    """Ascending positions, each once, as many as asked for; balanced classes differ by one at most where they have enough images."""
    chosen = positions(by, fraction, labels=torch.tensor(labels), teacher=None, student=None, seed=seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == max(2, round(fraction * len(labels)))
    if by == "balanced":
        whole, taken = Counter(labels), Counter(labels[i] for i in chosen)
        most = max(taken.values())
        assert all(taken[label] in (most, most - 1, size) for label, size in whole.items())


def test_rules_say_what_they_need() -> None:
    """Whoever needs the student needs the teacher, and each name is a rule."""
    assert NEEDS_STUDENT < NEEDS_TEACHER < set(RULES)


@pytest.mark.parametrize("by", ["confident", "hard"])
def test_an_empty_subset_is_refused(by: Rule) -> None:
    """The message names the rule, what it found and what to do."""
    with pytest.raises(TrainingError, match=rf"the subset '{by}' is made of images that the teacher has right, and it has none.*class order"):
        positions(by, 0.5, labels=1 - TEACHER.argmax(1))


# Several labels an image ----------------------------------------------------------------------------------------------

SEVERAL = torch.tensor([[1, 0]] * 6 + [[0, 1]] * 2 + [[1, 1]] + [[0, -1]] * 3)


def test_balanced_takes_rare_labels_first() -> None:
    """Of 12 images a half: all three that show the rare label, and as many as that leaves of the others, those without a label among them."""
    for seed in range(5):
        chosen = positions("balanced", 0.5, labels=SEVERAL, teacher=None, student=None, seed=seed)
        marks = SEVERAL[chosen]
        assert len(chosen) == 6
        assert (marks[:, 1] == 1).sum() >= 2
        assert (marks[:, 0] == 1).sum() >= 2
        assert (marks != 1).all(1).sum() >= 1


def test_balanced_of_one_label_in_a_row_is_balanced_of_one_label() -> None:
    """A row with a single 1 says what the number of its column does."""
    rows = torch.nn.functional.one_hot(LABELS)
    for fraction in (1 / 3, 2 / 3, 1.0):
        chosen = [positions("balanced", fraction, labels=labels, teacher=None, student=None, seed=3) for labels in (LABELS, rows)]
        assert Counter(LABELS[chosen[0]].tolist()) == Counter(LABELS[chosen[1]].tolist())
