"""export/control.py: what int8 may lose, and which layers go back to float until it holds."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgekd.evaluate.quality import quality
from edgekd.events import Event, Note, silent
from edgekd.export.control import ENOUGH, Choice, Cost, Judge, _fewest, _holds, chosen
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import Quantiser

IMAGES: NDArray[np.float32] = np.random.default_rng(0).normal(0, 1, (160, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def judge(toy: onnx.ModelProto) -> Judge:
    """fp32's own answers are the labels: it is right everywhere."""
    before: NDArray[np.float32] = open_session(toy.SerializeToString(), "toy").run(None, {"images": IMAGES})[0]
    return Judge(IMAGES, before, quality(before.argmax(axis=1)), Feed(), "toy")


@pytest.fixture(scope="module")
def quantiser(toy: onnx.ModelProto) -> Quantiser:
    """Calibrated on the first images."""
    return Quantiser(toy, IMAGES[:32], Feed(), "toy", silent)


def test_nothing_is_lost_by_the_same_model(toy: onnx.ModelProto, judge: Judge) -> None:
    """Neither distribution nor accuracy."""
    cost = judge.cost(toy)
    assert cost.divergence == pytest.approx(0, abs=1e-9)
    assert cost.drop == 0


def test_a_divergence_by_hand() -> None:
    """KL of two distributions over two classes, told as logits or as shares, and of two labels that are there or not each by itself."""
    one = Judge(IMAGES[:1], np.array([[np.log(3), 0]], np.float32), None, Feed(), "m")
    several = Judge(IMAGES[:1], np.array([[np.log(3), 0]], np.float32), None, Feed(), "m", "several")
    shares = Judge(IMAGES[:1], np.array([[0.75, 0.25]], np.float32), None, Feed(), "m", "probabilities")
    after = constant(np.zeros((1, 2), np.float32))
    assert one.cost(after).divergence == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), rel=1e-5)
    assert several.cost(after).divergence == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), rel=1e-5)
    assert shares.cost(constant(np.array([[0.5, 0.5]], np.float32))).divergence == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), rel=1e-5)
    assert one.cost(after).drop is None


def constant(answer: NDArray[np.float32]) -> onnx.ModelProto:
    """A model that answers so, whatever it is shown."""
    helper = onnx.helper
    values = [onnx.numpy_helper.from_array(answer, "answer"), onnx.numpy_helper.from_array(np.zeros((192, 2), np.float32), "zero")]
    nodes = [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("MatMul", ["flat", "zero"], ["none"])]
    nodes.append(helper.make_node("Add", ["none", "answer"], ["logits"]))
    put = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])
    out = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 2])
    return helper.make_model(helper.make_graph(nodes, "constant", [put], [out], values), opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_what_holds_is_kept_whole(quantiser: Quantiser, judge: Judge) -> None:
    """No layer goes back to float where int8 loses little enough."""
    choice = chosen(quantiser, "int8-cpu", judge, max_drop=0.5, reduce_range=False, emit=silent)
    assert choice is not None
    assert choice.floats == ()
    assert choice.cost.divergence == min(choice.tried.values())


class Lossy(Judge):
    """A judge to whom a model loses 10 points for each layer of these that is int8, and by the answers a little for each."""

    def cost(self, model: onnx.ModelProto, most: int | None = None) -> Cost:
        small = [list(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1]
        harm = (0.3 if [8, 1, 3, 3] in small else 0) + (0.2 if [8, 3, 3, 3] in small else 0)
        return Cost(2 * ENOUGH + harm, harm)


@pytest.fixture
def lossy(judge: Judge) -> Lossy:
    """To whom the depthwise layer hurts most, then the first."""
    return Lossy(judge.images, judge.before, judge.quality, judge.feed, judge.name)


@pytest.mark.parametrize(("max_drop", "count"), [(0.6, 0), (0.25, 1), (0.1, 2)])
def test_the_worst_layers_go_back_to_float(quantiser: Quantiser, lossy: Lossy, max_drop: float, count: int) -> None:
    """As many as it takes, the one that hurts most first; every method was tried."""
    choice = chosen(quantiser, "int8-cpu", lossy, max_drop=max_drop, reduce_range=False, emit=silent)
    assert choice is not None
    assert list(choice.floats) == [quantiser.layers("int8-cpu")[place] for place in (1, 0)][:count]
    assert choice.cost.drop is not None
    assert choice.cost.drop <= max_drop
    assert set(choice.tried) == {"minmax", "percentile", "entropy"}


def test_nothing_holds(quantiser: Quantiser, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no int8 then, and the note says what it would lose."""
    told: list[Event] = []

    def cost(self: Judge, model: Any, most: int | None = None) -> Cost:
        return Cost(1.0, 0.4)

    monkeypatch.setattr(Judge, "cost", cost)
    assert chosen(quantiser, "int8-trt", judge, max_drop=0.01, reduce_range=False, emit=told.append) is None
    assert Note(text="no int8-trt of toy: it loses 40.0 points, and with its worst layers in float still more than 1", level="warning") in told


@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_the_fewest_that_hold_are_found(most: int) -> None:
    """Whatever number holds, with no more trials than it takes to double up to it and to halve back; none where not even the most holds."""
    for needed in range(1, most + 2):
        asked: list[int] = []

        def tried(count: int, needed: int = needed, asked: list[int] = asked) -> Choice | None:
            asked.append(count)
            floats = tuple(map(str, range(count)))
            return Choice(onnx.ModelProto(), "minmax", floats, Cost(0.0, 0.0), {}) if count >= needed else None

        found = _fewest(tried, most)
        assert (None if found is None else len(found.floats)) == (needed if needed <= most else None)
        assert len(asked) == len(set(asked)) <= 2 * most.bit_length()
        assert max(asked) <= most


def test_a_loss_of_just_what_is_allowed_holds() -> None:
    """Shares are subtracted, and one image of a hundred is a point."""
    assert _holds(Cost(0.0, 0.97 - 0.96), 0.01)
    assert not _holds(Cost(0.0, 0.97 - 0.95), 0.01)
