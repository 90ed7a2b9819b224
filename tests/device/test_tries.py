"""device/tries.py: whatever a part ends with is an answer; what the parts find is `test_selftest`'s."""

import pytest

from edgekd.device.tries import AbsentError, Check, Found, Try
from edgekd.errors import DeviceError, MissingExtra


def works() -> Found:
    """A part that works."""
    return "fine", {"ms": 1.0}


def raising(error: Exception) -> Try:
    """A part that ends so."""

    def work() -> Found:
        raise error

    return Try("part", work)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (AbsentError("no counter"), "absent"),
        (MissingExtra("onnxruntime", "measure"), "absent"),
        (DeviceError("this onnxruntime has no CUDAExecutionProvider"), "refused"),
        (DeviceError("`open` failed in the runtime: a node was odd"), "fails"),
        (DeviceError("the agent ended while at work on `open`: SIGSEGV"), "fails"),
        (DeviceError("the agent must answer within 120 s"), "fails"),
        (KeyError("logits"), "fails"),
        (DeviceError("its answer disagrees with the one computed here by 3"), "fails"),
    ],
)
def test_every_end_is_an_answer(error: Exception, state: str) -> None:
    """A part that breaks costs its own line."""
    check = raising(error).run()
    assert (check.state, check.text) == (state, repr(error) if isinstance(error, KeyError) else str(error))
    assert Try("part", works).run() == Check(name="part", state="works", text="fine", figures={"ms": 1.0})
