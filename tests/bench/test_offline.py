"""bench/offline.py: the whole way without a line: a folder, the packed agent as a program of its own, and the same measurements as over a line."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.bench import Bench, Plan
from edgekd.bench.offline import Asked, Written, aimed, collect, device_of, write
from edgekd.device.agent.folder import ANSWERS, PLAN, seal
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.device.session import Session
from edgekd.errors import DeviceError, UsageError
from edgekd.preprocess import Preprocess
from edgekd.record import Artifact
from tests.device.nets import aim, artifact, classifier, heavy
from tests.device.processes import PATIENCE_S

TINY = Plan(launches=1, rounds=3, block_ms=4, block_runs=3, warm_ms=1, flow_ms=150, duels=2, duel_ms=20)
HEAVY, COPY, BROKEN = (f"file/{name}/as-is" for name in ("heavy", "copy", "broken"))
RGB = Preprocess(size=(6, 4), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 6, 4, 3)).astype(np.uint8)
Files = list[tuple[Artifact, Path]]


def carried_out(folder: Path, python: str = sys.executable) -> "subprocess.CompletedProcess[str]":
    """The folder's plan, done as on a device: by another process, somewhere else, by its own agent."""
    command = [python, str(folder / "agent.pyz"), str(folder)]
    return subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=4 * PATIENCE_S)


def answered(session: Session, net: Path) -> NDArray[Any]:
    """What a file answers the images."""
    with open_predict(session, net, RGB) as answer:
        return answer({"images": IMAGES})["logits"]


class Made:
    """A folder that was written and carried out, with the files that it was written for."""

    def __init__(self, base: Path) -> None:
        self.base = base
        files = [heavy(base / "heavy.onnx", (4, 256)), heavy(base / "copy.onnx", (4, 256)), base / "broken.onnx"]
        files[-1].write_bytes(b"no model")
        self.files: Files = [artifact(file) for file in files]
        self.net = classifier(base / "net.onnx", ("n", 3, 6, 4))
        self.folder = base / "orin 1"
        asked = Asked(pairs=[(COPY, HEAVY), (BROKEN, HEAVY)], max_s=40, layers=True, plan=TINY)
        self.written: Written = write(self.folder, self.files, [aim(base)], asked, also=lambda session, targets: answered(session, self.net))
        self.done = carried_out(self.folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The way there."""
    found = Made(tmp_path_factory.mktemp("offline"))
    assert found.done.returncode == 0, found.done.stderr
    return found


@pytest.fixture(scope="module")
def found(made: Made) -> tuple[Bench, NDArray[Any]]:
    """The way back, from a copy of the folder."""
    brought = made.base / "back"
    shutil.copytree(made.folder, brought)
    return collect(brought, made.files, also=lambda session, targets: answered(session, made.net))


def test_the_folder_says_what_it_holds(made: Made) -> None:
    """The files by their hash, the images among them; parts that a device can go on behind; no answer is made up into it."""
    placed = sorted(file.suffix for file in (made.folder / "files").iterdir())
    assert placed == [".npy", *[".onnx"] * 3]  # heavy and its copy are one
    assert made.written.files == len(placed)
    assert made.written.bytes == sum(file.stat().st_size for file in (made.folder / "files").iterdir())
    # What tells of the machine, a launch and each alone with comparisons in between, the answers.
    assert made.written.parts == 4
    assert 10 < made.written.seconds < 40
    assert "part 4 of 4" in made.done.stderr
    assert made.done.stdout == ""


def test_it_is_measured_as_over_a_line(found: tuple[Bench, object]) -> None:
    """Every launch and round, throughput, memory, layers, the host's facts, the ratio of what runs; what fails has its reason."""
    bench, _ = found
    assert [each.artifact for each in bench.measurements] == [HEAVY, COPY]
    for each in bench.measurements:
        assert [len(launch.rounds) for launch in each.timing.launches] == [3]
        assert min(each.timing.samples) > 0
        assert all(launch.load_ms > 0 and launch.first_ms > 0 for launch in each.timing.launches)
        assert (each.host, each.target, each.threads, each.batch) == ("orin-1", "quiet", 1, 4)
        assert each.throughput
        assert each.layer_times
        assert each.memory is not None
        assert (each.energy is None) != (each.energy_reason is None)
        assert [state.when for state in each.states] == ["before", "after"]
    assert bench.hosts["orin-1"].cores >= 1
    assert "onnxruntime" in bench.hosts["orin-1"].runtimes
    (ratio,) = bench.ratios
    assert (ratio.artifact, ratio.against, len(ratio.launches)) == (COPY, HEAVY, 2)
    assert 0.5 < ratio.value < 2
    assert list(bench.failures) == [f"{BROKEN} on quiet"]
    assert "`open` failed in the runtime" in bench.failures[f"{BROKEN} on quiet"]


def test_what_it_answered_is_what_is_answered_here(made: Made, found: tuple[Bench, NDArray[Any]]) -> None:
    """The same logits of the same images."""
    with connect("local") as here:
        np.testing.assert_allclose(found[1], answered(here, made.net), atol=1e-5)


def test_other_files_are_refused(made: Made, tmp_path: Path) -> None:
    """One of another hash, one more, one less: by name, with what to do."""
    changed = heavy(tmp_path / "heavy.onnx", layers=2)
    known, _ = artifact(changed)
    others: list[Files] = [[(msgspec.structs.replace(known, sha256="ab" * 32), changed), *made.files[1:]], made.files[:2]]
    for files, name in zip(others, (HEAVY, BROKEN), strict=True):
        with pytest.raises(UsageError, match=f"was written for other files, or they changed since: {name}\\. Give those"):
            collect(made.folder, files, also=lambda session, targets: None)
    with pytest.raises(UsageError, match=r"was written for other files: .*heavy\.onnx changed since"):
        collect(made.folder, [(made.files[0][0], changed), *made.files[1:]], also=lambda session, targets: None)


def test_a_folder_that_was_not_carried_out(made: Made, tmp_path: Path) -> None:
    """Nor to its end: how far it is, and the line to go on with."""
    shutil.copytree(made.folder, tmp_path / "orin")
    file = tmp_path / "orin" / ANSWERS
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(UsageError, match=r"was not carried out to its end: it holds no answers\.jsonl\. On the device: python3 agent\.pyz orin"):
        collect(tmp_path / "orin", made.files, also=lambda session, targets: None)
    body = b"\n".join(whole.split(b"\n")[:4])
    file.write_bytes(body + b'\n{"seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')
    with pytest.raises(UsageError, match="3 of its 4 parts are done"):
        collect(tmp_path / "orin", made.files, also=lambda session, targets: None)
    done = carried_out(tmp_path / "orin")
    assert done.returncode == 0, done.stderr
    assert "part 3 of 4" not in done.stderr
    assert len(collect(tmp_path / "orin", made.files, also=lambda session, targets: None)[0].measurements) == 2


def test_another_version_and_an_edited_answer(made: Made, tmp_path: Path) -> None:
    """Neither is read; what the device wrote must be as it wrote it."""
    shutil.copytree(made.folder, tmp_path / "orin")
    plan = json.loads((tmp_path / "orin" / PLAN).read_text())
    for change, message in (({"edgekd": "0.0"}, r"was written by edgekd 0\.0, and this is "), ({"asked": {}}, "was written by another edgekd")):
        body = {key: value for key, value in {**plan, **change}.items() if key != "seal"}
        (tmp_path / "orin" / PLAN).write_text(json.dumps({**body, "seal": seal(body)}))
        answers = (made.folder / ANSWERS).read_bytes().replace(plan["seal"].encode(), seal(body).encode()).split(b"\n")[:-2]
        text = b"\n".join(answers)
        (tmp_path / "orin" / ANSWERS).write_bytes(text + b'\n{"seal": "' + hashlib.sha256(text).hexdigest().encode() + b'"}\n')
        with pytest.raises(UsageError, match=message):
            collect(tmp_path / "orin", made.files, also=lambda session, targets: None)
    shutil.rmtree(tmp_path / "orin")
    shutil.copytree(made.folder, tmp_path / "orin")
    (output,) = (tmp_path / "orin").rglob("out.npy")
    output.write_bytes(output.read_bytes()[:-4] + b"abcd")
    with pytest.raises(UsageError, match=r"out\.npy is not what the device wrote there"):
        collect(tmp_path / "orin", made.files, also=lambda session, targets: answered(session, made.net))


def test_a_folder_that_is_somebody_elses(made: Made, tmp_path: Path) -> None:
    """Neither other things nor answers that nobody has read are written over; a plan without answers is."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"must be new or empty, and holds notes\.txt"):
        write(tmp_path, made.files[:1], [aim(made.base)], Asked(plan=TINY))
    with pytest.raises(UsageError, match="holds answers of a device: read them with --collect, or name a new folder"):
        write(made.folder, made.files[:1], [aim(made.base)], Asked(plan=TINY))
    with pytest.raises(UsageError, match="must be a folder, and is a file"):
        write(tmp_path / "notes.txt", made.files[:1], [aim(made.base)], Asked(plan=TINY))
    with pytest.raises(UsageError, match="a device is measured as a target, and none is named"):
        write(tmp_path / "none", made.files[:1], [], Asked())
    for files in (made.files[:2], made.files[:1]):
        written = write(tmp_path / "new", files, [aim(made.base)], Asked(plan=TINY))
    assert (written.files, len(list((tmp_path / "new" / "files").iterdir()))) == (1, 1)


def test_nothing_that_opens(made: Made, tmp_path: Path) -> None:
    """Then there is no result, as over a line."""
    write(tmp_path / "orin", made.files[2:], [aim(made.base)], Asked(plan=TINY))
    assert carried_out(tmp_path / "orin").returncode == 0
    with pytest.raises(DeviceError, match=rf"nothing could be measured\. {BROKEN} on quiet: `open` failed in the runtime"):
        collect(tmp_path / "orin", made.files[2:], also=lambda session, targets: None)


def test_which_targets_and_what_they_are_called(tmp_path: Path) -> None:
    """Those without a host, else all; the device is called as the folder, and never as this machine."""
    assert aimed({"cpu": "local", "jetson-orin-nano": ""}) == ["jetson-orin-nano"]
    assert aimed({"cpu": "local"}) == ["cpu"]
    assert [device_of(tmp_path / name) for name in ("orin 1", "local", "...")] == ["orin-1", "offline", "offline"]
