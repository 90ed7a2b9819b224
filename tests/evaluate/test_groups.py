"""edgekd.evaluate.groups: classes by their training images, and the recall of each group."""

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import stats
from edgekd.evaluate import score
from edgekd.evaluate.groups import grouped
from edgekd.scores import ClassGroups

NAMES = [f"class {number}" for number in range(10)]


def test_by_bounds_where_they_split() -> None:
    """100 and 20 are of the middle; the commonest stands first, equal ones in class order."""
    groups = grouped([19, 500, 100, 20, 101, 0], NAMES[:6])
    assert groups == ClassGroups(rule="bounds", head=["class 1", "class 4"], middle=["class 2", "class 3"], tail=["class 0", "class 5"])


def test_in_thirds_where_bounds_leave_a_group_empty() -> None:
    """CIFAR-10 at 100:1 has no class of under 20 images: four, three and three classes."""
    groups = grouped([4500, 2697, 1616, 969, 581, 348, 209, 125, 75, 45], NAMES)
    assert groups == ClassGroups(rule="thirds", head=NAMES[:4], middle=NAMES[4:7], tail=NAMES[7:])


def test_two_classes_are_no_groups() -> None:
    """There is nothing between a head and a tail."""
    assert grouped([900, 3], NAMES[:2]) is None


@given(st.lists(st.integers(0, 300), min_size=3, max_size=10))
def test_every_class_is_in_one_group(counts: list[int]) -> None:
    """No group is empty, none has a commoner class than the one before it."""
    groups = grouped(counts, NAMES[: len(counts)])
    assert groups is not None
    members = [groups.head, groups.middle, groups.tail]
    assert sorted(chain.from_iterable(members)) == sorted(NAMES[: len(counts)])
    sizes = [[counts[NAMES.index(name)] for name in names] for names in members]
    assert min(sizes[0]) >= max(sizes[1]) >= min(sizes[1]) >= max(sizes[2])


def test_a_groups_recall_is_the_mean_of_its_classes() -> None:
    """However many images each class has; a class that is not shown is left out, and a group of none."""
    labels = np.array([0] * 8 + [1] * 2 + [2] * 4)
    answers = np.array([0] * 6 + [1] * 2 + [1] * 1 + [0] * 1 + [2] * 1 + [0] * 3)
    logits = np.eye(5, dtype=np.float32)[answers]
    groups = ClassGroups(rule="thirds", head=NAMES[:2], middle=[NAMES[2], NAMES[3]], tail=[NAMES[4]])
    scored = score(logits, labels, artifact="a", split="test", classes=NAMES[:5], groups=groups)
    assert set(scored.groups) == {"head", "middle"}
    head, middle = scored.groups["head"], scored.groups["middle"]
    assert head.value == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert head.n == 10
    assert (middle.value, middle.low, middle.high, middle.n) == (*stats.proportion(1, 4), 4)
    parts = [stats.proportion(6, 8), stats.proportion(1, 2)]
    assert head.low == pytest.approx(head.value - math.hypot(*(value - low for value, low, _ in parts)) / 2)
    assert head.high == pytest.approx(head.value + math.hypot(*(high - value for value, _, high in parts)) / 2)


def test_without_groups_there_are_no_recalls_of_them() -> None:
    """As where classes are balanced."""
    assert score(np.eye(3, dtype=np.float32), np.arange(3), artifact="a", split="test", classes=NAMES[:3]).groups == {}
