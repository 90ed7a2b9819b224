"""The command line as a person runs it: real processes, real folders, killed and started again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgekd.files import sha256_file
from tests.cli.processes import JOB, done, ended, started
from tests.compress.jobs import workplace


def student(run: Path) -> str:
    """The hash of the student's weights."""
    (file,) = run.glob("distill/thin-*/weights.safetensors")
    return sha256_file(file)


def test_a_run_killed_while_the_student_learns_ends_as_if_it_had_not_been(tmp_path: Path, finished: Path) -> None:
    """SIGKILL once there is a checkpoint, then the same command: the bits of a run that was not disturbed, no half file."""
    base = workplace(tmp_path)
    learn = ["distill", *JOB[1:], "--out", "killed"]
    with started(base, *learn) as process:
        while not list((base / "killed").glob("distill/thin-*/.checkpoint.pt")):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not list((base / "killed").glob("distill/thin-*/weights.safetensors"))
    done(base, learn)
    assert student(base / "killed") == student(finished / "runs" / "images")
    assert not list((base / "killed").rglob(".part-*"))


def test_the_steps_after_it_work_on_its_folder(finished: Path) -> None:
    """report, check, bench of bare files and evaluate, as the README shows them."""
    assert "teacher/wide/fp32" in done(finished, ["report", "runs/images"])
    assert done(finished, ["report", "runs/images", "--format", "markdown"]).startswith("# ")
    assert "pass" in done(finished, ["check", "runs/images", "--limit", "size=1MB"])
    assert "over" in done(finished, ["check", "runs/images", "--limit", "size=1kB"], code=1)
    done(finished, ["check", "runs/images"], code=2)
    files = [str(file.relative_to(finished)) for file in sorted((finished / "runs").rglob("*.onnx"))]
    assert len(files) == 2
    timed = json.loads(done(finished, ["bench", *files, "--max-time", "3", "--json"]))
    assert [ratio["quantity"] for ratio in timed["ratios"]] == ["latency"]
    scored = json.loads(done(finished, ["evaluate", *files, "--data", "npz:images.npz", "--json"]))
    assert [score["n"] for score in scored["scores"]] == [90, 90]


def test_predict_shows_the_teachers_answer_beside(finished: Path) -> None:
    """For a picture of another size than the network's."""
    from PIL import Image

    Image.new("RGB", (40, 30), (200, 200, 200)).save(finished / "grey.png")
    (file,) = (finished / "runs").rglob("student-thin-fp32.onnx")
    (answer,) = json.loads(done(finished, ["predict", str(file), "grey.png", "--json"]))
    assert [{each["class"] for each in answer[who]} for who in ("top", "teacher")] == [{"above", "below", "left"}] * 2


def test_what_ships_is_packed_and_checks_itself(finished: Path) -> None:
    """With test images that the run's own recipe loads; pack's own tests are of runs by hand."""
    done(finished, ["pack", "runs/images", "--for", "cpu", "--out", "packed"])
    told = json.loads((finished / "packed" / "manifest.json").read_text())
    assert told["artifact"] == "student/thin/fp32"
    checked = subprocess.run([sys.executable, finished / "packed" / "sample.py"], capture_output=True, text=True, check=True)
    assert checked.stdout.count("; as expected\n") == 3


def test_the_same_command_again_finds_everything_done(finished: Path) -> None:
    """Nothing is taught twice."""
    _, said = ended(finished, JOB)
    assert "teach: stood already" in said
    assert "bench: stood already" in said
    assert "done in" not in said
