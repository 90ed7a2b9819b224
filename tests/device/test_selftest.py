"""device/selftest.py: what was tried on this machine, and that nothing of it tells whose machine it is."""

import socket

import msgspec
import pytest

from edgekd.device.selftest import Selftest, selftest
from edgekd.device.session import Session
from edgekd.errors import UsageError
from edgekd.events import silent


@pytest.fixture(scope="module")
def found(session: Session) -> Selftest:
    """Some of this machine, tried once."""
    return selftest(session, silent, ["state", "onnxruntime", "tensorrt", "work"])


@pytest.mark.slow
def test_the_whole_of_it(session: Session) -> None:
    """Every part has its line, and none fails."""
    found = selftest(session, silent)
    names = " ".join(check.name for check in found.checks)
    assert all(word in names for word in ("state", "ONNX Runtime", "openvino", "tensorrt", "tensorrt-rtx", "energy", "work", "pace"))
    assert [check.text for check in found.checks if check.state == "fails"] == []


def test_a_part_that_nobody_knows(session: Session) -> None:
    """Is refused with those that there are."""
    with pytest.raises(UsageError, match="no part 'nergy' to try; there are state, settings, onnxruntime"):
        selftest(session, silent, ["state", "nergy"])


def test_what_is_here_works(found: Selftest) -> None:
    """ONNX Runtime on the processor in both precisions, the state, the clock; answers are those of numpy."""
    by_name = {check.name: check for check in found.checks}
    for name in ("state", "ONNX Runtime CPU fp32", "ONNX Runtime CPU fp16", "times follow work"):
        assert by_name[name].state == "works", by_name[name].text
    assert by_name["ONNX Runtime CPU fp32"].figures["apart"] < 1e-3
    assert len(by_name["ONNX Runtime CPU fp32"].figures["samples_ms"]) >= 20


def test_what_is_not_here_is_said(found: Selftest) -> None:
    """Nothing is left out: engines are absent or refused without a GPU, and no part fails."""
    assert [check for check in found.checks if check.name.startswith("tensorrt")]
    assert all(check.text for check in found.checks)
    assert [check.name for check in found.checks if check.state == "fails"] == []


def test_it_may_be_sent(found: Selftest) -> None:
    """No user, no machine, no path, and it reads back."""
    text = msgspec.json.encode(found).decode()
    assert msgspec.json.decode(text, type=Selftest) == found
    assert socket.gethostname() not in text
    for path in ("/tmp/", "/home/", "/usr/", "site-packages"):
        assert path not in text
