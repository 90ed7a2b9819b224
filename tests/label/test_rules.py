"""edgekd.label.rules: each rule alone, all in order, and what holds for any answers."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekd.errors import UsageError
from edgekd.label.perceptual import Seen
from edgekd.label.rules import REASONS, Answers, Decision, Rules, decide

CLASSES = ("cat", "dog", "fox")
ALL = Rules(confidence=0, agreement=0, views=0, duplicates=None)


def logits_of(*rows: "tuple[float, ...]") -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Logits whose softmax are these rows."""
    return np.log(np.array(rows, dtype=np.float32))


def decided(rules: Rules, logits: Any, votes: Any = None, hashes: Any = None) -> Decision:
    """The decision on images called 0, 1, 2 …; without votes and hashes, views all agree and no two look alike."""
    count = len(logits)
    votes = np.empty((count, 0)) if votes is None else votes
    hashes = [number * 0x1F1F1F1F1F1F1F1F % 2**64 for number in range(count)] if hashes is None else hashes
    answers = Answers(np.asarray(logits, np.float32), np.asarray(votes, np.int32), np.array([int(each) for each in hashes], np.uint64))
    return decide(answers, rules, [str(number) for number in range(count)], CLASSES)


def reasons(decision: Decision) -> dict[str, str]:
    """Why each rejected image is."""
    return {each.image: each.reason for each in decision.rejected}


def test_an_unsure_answer_is_no_label() -> None:
    """The largest probability at T = 1 is held to the least that is asked; one that has it just so is kept."""
    found = decided(Rules(confidence=0.5, views=0), [[0, 0, -1e4], *logits_of((0.4, 0.35, 0.25), (0.1, 0.1, 0.8))])
    assert found.kept.tolist() == [0, 2]
    assert reasons(found) == {"1": "unsure"}
    assert (found.rejected[0].label, found.rejected[0].confidence) == ("cat", 0.4)
    assert found.labels.tolist() == [0, 0, 2]


def test_other_views_must_agree() -> None:
    """With the answer to the image as it is; a view without a finite answer agrees with none."""
    sure = logits_of(*[(0.9, 0.05, 0.05)] * 4)
    found = decided(Rules(agreement=0.75), sure, votes=[[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, -1, -1]])
    assert found.kept.tolist() == [0, 1]
    assert reasons(found) == {"2": "views-differ", "3": "views-differ"}
    assert found.rejected[0].agreement == 0.5


def test_what_is_asked_for_where_nothing_is_said() -> None:
    """The bounds that `edgekd label --help` names, each met just so."""
    answers = logits_of((0.8, 0.1, 0.1), (0.79, 0.11, 0.1), (0.9, 0.05, 0.05))
    found = decided(Rules(), answers, votes=[[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1]])
    assert found.kept.tolist() == [0]
    assert reasons(found) == {"1": "unsure", "2": "views-differ"}


def test_of_images_that_look_alike_the_surest_stays() -> None:
    """The others name it, whatever their own label; one that is left out itself takes none with it."""
    sure = logits_of((0.6, 0.2, 0.2), (0.9, 0.05, 0.05), (0.05, 0.7, 0.25), (0.1, 0.1, 0.8))
    found = decided(Rules(confidence=0.5, views=0, duplicates=2), sure, hashes=[0b11, 0, 0b1, 0b1111 << 20])
    assert found.kept.tolist() == [1, 3]
    assert [(each.image, each.like, each.bits) for each in found.rejected] == [("0", "1", 2), ("2", "1", 1)]
    found = decided(Rules(confidence=0.75, views=0, duplicates=2), sure, hashes=[0, 0b1, 0b1, 0b1])
    assert reasons(found) == {"0": "unsure", "2": "unsure", "3": "duplicate"}
    assert (found.rejected[2].like, found.rejected[2].bits, found.rejected[2].label) == ("1", 0, "fox")


def test_a_chain_of_alike_images_keeps_its_ends() -> None:
    """What looks like an image that is left out, and like none that is kept, stays."""
    sure = logits_of((0.9, 0.05, 0.05), (0.8, 0.1, 0.1), (0.7, 0.2, 0.1))
    found = decided(Rules(confidence=0, views=0, duplicates=2), sure, hashes=[0, 0b11, 0b1111])
    assert (found.kept.tolist(), reasons(found)) == ([0, 2], {"1": "duplicate"})


def test_a_class_has_so_many_images_at_most() -> None:
    """The surest of them, ties by number; balance: as many as the rarest that has any."""
    sure = logits_of((0.6, 0.3, 0.1), (0.9, 0.05, 0.05), (0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.1, 0.85, 0.05))
    two = decided(Rules(confidence=0, views=0, per_class=2), sure)
    assert (two.kept.tolist(), reasons(two)) == ([1, 2, 4, 5], {"0": "balance", "3": "balance"})
    assert decided(Rules(confidence=0, views=0, per_class="balance"), sure[:5]).kept.tolist() == [1, 4]


def test_an_answer_that_is_no_number_is_no_label() -> None:
    """Not a NaN, not an infinite one; the line says no label and no confidence."""
    found = decided(Rules(confidence=0), [[0, np.nan, 0], [np.inf, 0, 0], [-np.inf, 0, 0], [1e4, -1e4, 0]], votes=[[-1], [0], [1], [0]])
    assert found.kept.tolist() == [3]
    assert reasons(found) == {"0": "not-finite", "1": "not-finite", "2": "not-finite"}
    assert (found.rejected[0].label, found.rejected[0].confidence, found.rejected[0].agreement) == (None, None, None)
    assert found.labels[0] == -1
    assert np.isfinite(found.logits).all()


def test_logits_are_kept_as_log_probabilities() -> None:
    """In float16: their softmax is the teacher's, at other temperatures too; the far tail ends where float16 does."""
    logits = np.array([[3.0, 1.0, -2.0], [3e38, -3e38, 0.0]], np.float32)
    found = decided(ALL, logits)
    assert found.logits.dtype == np.float16
    theirs, kept = (np.exp(each.astype(float) / 4) / np.exp(each.astype(float) / 4).sum() for each in (logits[0], found.logits[0]))
    assert np.allclose(theirs, kept, atol=1e-3)
    assert found.logits[1].tolist() == [0, -65504, -65504]


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(-30, 30, width=32) | st.just(np.nan)),
    st.floats(0, 1),
    st.none() | st.integers(0, 8),
    st.sampled_from([None, 1, 2, "balance"]),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_any_answers(logits: Any, confidence: float, duplicates: int | None, per_class: Any, draw: Any) -> None:
    """Each image is kept or rejected, once; what is kept keeps every rule; the surer ones of a class are never passed over for its balance."""
    hashes = [draw.getrandbits(4) for _ in logits]
    votes = [[draw.randrange(-1, 3) for _ in range(4)] for _ in logits]
    rules = Rules(confidence=confidence, agreement=0.5, duplicates=duplicates, per_class=per_class)
    found = decided(rules, logits, np.reshape(votes, (len(logits), 4)), hashes)
    assert sorted([*map(str, found.kept), *(each.image for each in found.rejected)], key=int) == [str(number) for number in range(len(logits))]
    assert {each.reason for each in found.rejected} <= set(REASONS)
    seen = Seen(duplicates or 0)
    for number in found.kept.tolist():
        assert found.confidence[number] >= confidence
        assert np.mean(np.array(votes[number]) == found.labels[number]) >= 0.5
        assert duplicates is None or seen.near(hashes[number]) is None
        seen.add(hashes[number], number)
    counts = Counter(found.labels[found.kept].tolist())
    if per_class is not None and counts:
        assert max(counts.values()) <= per_class if per_class != "balance" else len(set(counts.values())) == 1
    for each in found.rejected:
        if each.reason == "balance":
            own = found.labels[int(each.image)]
            assert all(found.confidence[number] >= found.confidence[int(each.image)] for number in found.kept if found.labels[number] == own)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"confidence": 1.5}, "--confidence is a share"),
        ({"confidence": float("nan")}, "--confidence is a share"),
        ({"agreement": -0.1}, "--agreement is a share"),
        ({"views": -1}, "--views takes how many"),
        ({"views": 65}, "--views takes how many"),
        ({"duplicates": 9}, "0 to 8, or off; got 9"),
        ({"per_class": 0}, "1 or more, or balance; got 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    """By the flag that says them."""
    with pytest.raises(UsageError, match=message):
        Rules(**wrong)
