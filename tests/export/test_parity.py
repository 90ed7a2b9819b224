"""export/parity.py: a file is held to the step before it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.export.feed import Feed
from edgekd.export.parity import check, compared

IMAGES: NDArray[np.float32] = np.random.default_rng(0).normal(0, 1, (9, 3, 2, 2)).astype(np.float32)
LOGITS: NDArray[np.float32] = IMAGES.reshape(9, -1)[:, :5].copy()


class Session:
    """A runtime that answers some of the images' own values, disturbed as told; it notes the batches it saw."""

    def __init__(self, disturb: Any = lambda logits: logits) -> None:
        self.disturb = disturb
        self.seen: list[int] = []

    def run(self, names: list[str], fed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        images = fed["images"]
        self.seen.append(len(images))
        return [self.disturb(images.reshape(len(images), -1)[:, :5].copy())]


def test_equal_answers() -> None:
    """No difference at any of the three batches; seven images show it of each, the largest batch sees all."""
    session = Session()
    found = check(session, Feed(), IMAGES, LOGITS, precision="fp32", name="f.onnx")
    assert [(each.batch, each.images, each.largest, each.mean, each.agreement) for each in found] == [
        (1, 7, 0.0, 0.0, 1.0),
        (2, 7, 0.0, 0.0, 1.0),
        (7, 9, 0.0, 0.0, 1.0),
    ]
    assert all(each.cosine == pytest.approx(1.0) for each in found)
    assert session.seen == [1] * 7 + [2, 2, 2, 1] + [7, 2]


def test_what_is_compared() -> None:
    """The largest and the mean difference over the spread, the cosine of the least alike image, the share of equal first classes."""
    before = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)
    after = np.array([[3.0, 0.0], [2.0, 0.0], [0.0, 0.0]], np.float32)
    found = compared(after, before, 0.5, 7)
    assert (found.batch, found.images, found.largest, found.cosine) == (7, 3, 4.0, 0.0)
    assert found.mean == pytest.approx(4 / 3)
    assert found.agreement == pytest.approx(2 / 3)


def test_the_difference_is_told_in_standard_deviations() -> None:
    """A constant 0.01 on every logit, over the spread of all logits."""
    found = check(Session(lambda logits: logits + np.float32(0.01)), Feed(), IMAGES, LOGITS, precision="fp16", name="f.onnx")
    assert found[-1].largest == pytest.approx(0.01 / LOGITS.std(), rel=1e-3)
    assert found[-1].mean == pytest.approx(0.01 / LOGITS.std(), rel=1e-3)


@pytest.mark.parametrize(("precision", "shift", "fits"), [("fp32", 5e-4, True), ("fp32", 5e-3, False), ("fp16", 5e-3, True), ("fp16", 0.1, False)])
def test_tolerance_by_precision(precision: str, shift: float, fits: bool) -> None:
    """fp32 may differ by a thousandth of the spread, fp16 by a fiftieth."""
    session = Session(lambda logits: logits + np.float32(shift * LOGITS.std()))
    if fits:
        check(session, Feed(), IMAGES, LOGITS, precision=precision, name="f.onnx")
    else:
        with pytest.raises(EdgekdError, match=r"f\.onnx does not answer as the step before: at batch 1 logits differ by"):
            check(session, Feed(), IMAGES, LOGITS, precision=precision, name="f.onnx")


def test_a_fault_of_one_batch_size() -> None:
    """A file that mixes up images only when there are seven names that batch."""
    session = Session(lambda logits: logits[::-1] if len(logits) == 7 else logits)
    with pytest.raises(EdgekdError, match="at batch 7 logits differ"):
        check(session, Feed(), IMAGES, LOGITS, precision="fp32", name="f.onnx")


def test_a_batch_that_does_not_run() -> None:
    """A runtime's refusal is told in its last line, with file and batch."""

    def refuse(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(logits) == 7:
            raise RuntimeError("node Reshape\nthe shapes do not fit")
        return logits

    with pytest.raises(EdgekdError, match=r"f\.onnx does not run at batch 7: the shapes do not fit\. Rewrite"):
        check(Session(refuse), Feed(), IMAGES, LOGITS, precision="fp32", name="f.onnx")


def test_int8_may_be_rough_but_not_wrong() -> None:
    """A tenth of the spread as noise passes; other answers altogether do not."""
    noise = np.random.default_rng(1).normal(0, 0.1, (9, 5)).astype(np.float32)
    check(Session(lambda logits: logits + noise[: len(logits)]), Feed(), IMAGES, LOGITS, precision="int8-cpu", name="f.onnx")
    with pytest.raises(EdgekdError, match=r"on average, 0\.5 is allowed\. Export without int8"):
        check(Session(lambda logits: logits[:, ::-1]), Feed(), IMAGES, LOGITS, precision="int8-cpu", name="f.onnx")


def test_int8_that_changes_clear_answers() -> None:
    """Logits close by, but the two largest swapped on every image: the answers decide."""
    before = np.zeros((9, 30), np.float32)
    before[:, 0] = np.linspace(2, 3, 9)
    images = np.repeat(before.reshape(9, 30, 1, 1), 1, axis=2)

    class Swapped:
        def run(self, names: list[str], fed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            return [fed["images"].reshape(-1, 30)[:, [1, 0, *range(2, 30)]]]

    with pytest.raises(EdgekdError, match="7 of 7 clear answers changed, half is allowed"):
        check(Swapped(), Feed(), images, before, precision="int8-cpu", name="f.onnx")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite(value: float) -> None:
    """NaN and infinity are refused whatever the precision."""

    def spoil(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        logits[0, 1] = value
        return logits

    with pytest.raises(EdgekdError, match=r"logits must be finite, and 7 of 35 of f\.onnx \(batch 1\) are not"):
        check(Session(spoil), Feed(), IMAGES, LOGITS, precision="int8-cpu", name="f.onnx")


def test_the_step_before_must_be_finite_too() -> None:
    """A network that answers NaN is not exported."""
    with pytest.raises(EdgekdError, match="the step before"):
        check(Session(), Feed(), IMAGES, np.full_like(LOGITS, np.nan), precision="fp32", name="f.onnx")


def test_another_number_of_classes() -> None:
    """The shape of the answer is compared before its values."""
    with pytest.raises(EdgekdError, match=r"answers \[7, 4\] to 7 images, \[7, 5\] was expected"):
        check(Session(lambda logits: logits[:, :4]), Feed(), IMAGES, LOGITS, precision="fp32", name="f.onnx")


def test_too_few_images() -> None:
    """Fewer than seven images cannot show that a batch of seven works."""
    with pytest.raises(UsageError, match="7 images or more, got 6"):
        check(Session(), Feed(), IMAGES[:6], LOGITS[:6], precision="fp32", name="f.onnx")


def test_a_fixed_batch_is_filled_up() -> None:
    """A file of four at a time is asked in fours, with the first images again at the end."""
    session = Session()
    (found,) = check(session, Feed(batch=4), IMAGES, LOGITS, precision="fp32", name="f.onnx")
    assert (found.batch, found.images, found.largest) == (4, 9, 0.0)
    assert session.seen == [4, 4, 4]
