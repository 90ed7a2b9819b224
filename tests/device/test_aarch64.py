"""An aarch64 Linux at the end of an ssh line: the way from facts to times, and what breaks on it. Opt-in, since it wants such a machine.

EDGEKD_AARCH64_HOST is what `ssh` takes (with EDGEKD_SSH where the client wants options), whose first python3 has numpy and ONNX Runtime. An emulated
one does; what it measures says nothing of a device.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import Plan, bench
from edgekd.bench.offline import Asked, collect, write
from edgekd.device.host import connect, read_host
from edgekd.device.predict import open_predict
from edgekd.device.ssh import Line
from edgekd.errors import DeviceError
from edgekd.preprocess import Preprocess
from tests.device.nets import aim, artifact, classifier, heavy
from tests.device.processes import gone

HOST = os.environ.get("EDGEKD_AARCH64_HOST", "")
RGB = Preprocess(size=(6, 4), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
PLAN = Plan(launches=1, rounds=2, block_ms=20, block_runs=3, warm_ms=5, flow_ms=150, duels=2, duel_ms=40)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not HOST, reason="EDGEKD_AARCH64_HOST names no machine"),
]


def there(command: str) -> str:
    """What a command of the shell over there prints."""
    line = Line(HOST)
    try:
        return line.run("sh", "-c", command)
    finally:
        line.close()


def test_its_facts() -> None:
    """An Arm with the instructions that decide how fast INT8 runs, and the runtimes of the Python that was found."""
    with connect(HOST) as session, session.start() as agent:
        host = read_host(agent)
    assert host.architecture == "aarch64"
    assert host.cores >= 1
    assert host.memory > 0
    assert "asimd" in host.instructions or host.instructions == []  # an emulated kernel may tell nothing
    assert {"python", "onnxruntime"} <= set(host.runtimes)


def test_a_file_goes_once_and_answers_as_here(tmp_path: Path) -> None:
    """By its hash; floating point differs by architecture, and by no more than rounding."""
    net = classifier(tmp_path / "net.onnx", ("n", 3, 6, 4))
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 4, 3)).astype(np.uint8)
    with connect("local") as here, open_predict(here, net, RGB) as ours:
        expected = ours({"images": images})["logits"]
    with connect(HOST) as session:
        path = session.place(net)
        with open_predict(session, net, RGB) as theirs:
            found = theirs({"images": images})["logits"]
        assert session.place(net) == path
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert there(f"sha256sum {path}").split()[0] == Path(path).stem


def test_it_is_timed(tmp_path: Path) -> None:
    """A whole bench with a ratio and layers, under the host's own name."""
    files = [artifact(heavy(tmp_path / "a.onnx")), artifact(heavy(tmp_path / "b.onnx", layers=8))]
    pairs = [(files[1][0].name, files[0][0].name)]
    found = bench(files, {aim(tmp_path): HOST}, pairs=pairs, plan=PLAN, max_s=120, layers=True)
    assert found.failures == {}
    assert [each.host for each in found.measurements] == [HOST, HOST]
    assert all(each.timing.samples and each.layer_times and each.throughput for each in found.measurements)
    assert found.ratios[0].value > 1


def test_ctrl_c_leaves_nothing_there() -> None:
    """An agent that is at work over there ends with the program that asked it."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from edgekd.device.host import connect\n"
        f"with connect({HOST!r}) as s, s.start() as a:\n"
        "    a.ask('start'); print(a._nonce, flush=True)\n"
        "    import time; time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        nonce = process.stdout.readline().strip()
        # The pattern does not find the shell that it is looked for with.
        sought = f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[{nonce[0]}]{nonce[1:]}' || true"
        assert there(sought) != "0"
        process.send_signal(2)
        process.wait(60)
        assert gone(process.pid)
    deadline = time.monotonic() + 60
    while there(sought) != "0" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert there(sought) == "0"


def test_a_python_without_the_runtime() -> None:
    """It is named, with the line that installs it there; so is one that is no Python."""
    with connect(HOST, ["python3", "-I", "-S"]) as session, session.start() as agent:
        assert agent.ask("facts")["architecture"] == "aarch64"
        with pytest.raises(DeviceError, match=r"needs numpy, and python3 -I -S there has none\. Install it: ssh "):
            agent.ask("start")
    with pytest.raises(DeviceError, match="ended while at work on `prune`"):
        with connect(HOST, ["true"]):
            pass


def test_a_disk_that_is_full() -> None:
    """Refused before a byte travels."""
    with connect(HOST) as session, session.start() as agent, pytest.raises(DeviceError, match="the disk there is too full"):
        agent.ask("have", sha256="0" * 64, size=10**18)


def test_a_plan_is_carried_out_there(tmp_path: Path) -> None:
    """The folder for a device without a network, its own Python, and back."""
    files = [artifact(heavy(tmp_path / "a.onnx"))]
    write(tmp_path / "board", files, [aim(tmp_path)], Asked(plan=PLAN))
    with subprocess.Popen(["tar", "-C", str(tmp_path), "-c", "board"], stdout=subprocess.PIPE) as packed:
        line = Line(HOST)
        try:
            script = 'd=$(mktemp -d) && cd "$d" && tar -x && python3 board/agent.pyz board >&2 && tar -c board; rm -rf "$d"'
            back = subprocess.run(line.command("sh", "-c", script), stdin=packed.stdout, capture_output=True, check=True, timeout=500)
        finally:
            line.close()
    (tmp_path / "back").mkdir()
    subprocess.run(["tar", "-C", str(tmp_path / "back"), "-x"], input=back.stdout, check=True)
    found, _ = collect(tmp_path / "back" / "board", files, also=lambda session, targets: None)
    assert found.hosts["board"].architecture == "aarch64"
    assert found.measurements[0].timing.samples
