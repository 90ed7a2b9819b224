"""edgekd label at the command line: what is typed, what is printed, how it ends."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.cli.label import SHOWN, told
from edgekd.label import Labelled
from edgekd.label.rules import REASONS
from tests.label.conftest import NETWORK, noise, teachers


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two teachers, and x.npz with 60 images of which ten are the same."""
    folder = teachers(tmp_path_factory.mktemp("label"))
    x = noise(60)
    x[50:] = x[np.abs(x.mean((1, 2, 3)) - 127).argmax()]
    np.savez(folder / "x.npz", x=x)
    return folder


def run(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> Result:
    """The command in a folder."""
    monkeypatch.chdir(place)
    return CliRunner().invoke(app, ["label", *arguments])


def test_a_summary_ends_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept, left out by reason, each class with the most and the fewest; the files; what to type next. In 80 columns, on stdout."""
    found = run(place, monkeypatch, ["npz:x.npz", *NETWORK])
    assert found.exit_code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert lines[0] == "60 images, labelled by bright"
    left_out = [line.partition(":")[0] for line in lines if line.partition(":")[0] in ("unsure", "views-differ", "duplicate")]
    assert left_out == ["unsure", "views-differ", "duplicate"]
    assert int(rows["duplicate: looks like a kept one"][-3]) >= 9
    assert int(rows["kept"][1]) == int(rows["dark"][1]) + int(rows["bright"][1])
    assert any(line.startswith("most: ") and "fewest: " in line for line in lines)
    assert lines[-5:-3] == ["reasons runs/label-x/rejected.jsonl", "data    npz:runs/label-x/labelled.npz"]
    assert lines[-2:] == ["edgekd compress --data npz:runs/label-x/labelled.npz --test SPEC \\", "  --teacher answers --student MODEL"]
    assert (place / "runs" / "label-x" / "labelled.npz").is_file()
    assert "warning: nothing here can tell a wrong mean" in found.stderr


def test_json_is_one_document(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, as counts; an ONNX file brings its class names."""
    found = run(place, monkeypatch, ["npz:x.npz", "--teacher", "bright.onnx", "--out", "json", "--per-class", "balance", "--json", "--quiet"])
    document = json.loads(found.stdout)
    assert (found.exit_code, found.stderr) == (0, "")
    assert document["data"] == "npz:json/labelled.npz"
    assert document["kept"] == sum(document["classes"].values())
    assert len(set(document["classes"].values())) == 1
    assert document["kept"] + sum(document["rejected"].values()) == document["images"] == 60
    assert document["known_accuracy"] is None


def test_a_rule_can_be_left_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is kept where nothing is asked."""
    asked = ["--confidence", "0", "--views", "0", "--duplicates", "off", "--no-flip", "--out", "all", "--json", "--quiet"]
    document = json.loads(run(place, monkeypatch, ["npz:x.npz", *NETWORK, *asked]).stdout)
    assert (document["kept"], document["rejected"]) == (60, {})
    assert "flip = false" in (place / "all" / "recipe.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["npz:x.npz"], "no network is named. Add --teacher"),
        (["npz:none.npz", *NETWORK], "no npz file at"),
        (["photos", *NETWORK], "got 'photos'"),
        (["npz:x.npz", *NETWORK, "--confidence", "90"], "--confidence: a share is written as"),
        (["npz:x.npz", *NETWORK, "--duplicates", "few"], "--duplicates takes a number of bits, or off; got 'few'"),
        (["npz:x.npz", *NETWORK, "--per-class", "all"], "--per-class takes a number, or balance; got 'all'"),
        (["npz:x.npz", *NETWORK, "--device", "toaster"], "device must be one that torch sees here, got 'toaster'"),
        (["npz:x.npz", *NETWORK, "--confidence", "100 %"], "images of fewer than two classes teach nothing"),
    ],
)
def test_wrong_usage_ends_with_2(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    """And says what would be right; nothing on stdout."""
    found = run(place, monkeypatch, [*arguments, "--out", "wrong"])
    assert (found.exit_code, found.stdout) == (2, "")
    assert message in " ".join(found.stderr.split())


def test_each_reason_is_told_whole() -> None:
    """In the table, whose first column is cut where it is long."""
    counts = dict.fromkeys(REASONS, 1)
    result = Labelled(
        data="d", teacher="t", images=8, kept=2, rejected=counts, classes={"a": 1, "b": 1}, confidence={"a": 1.0, "b": 0.9}, reasons="r"
    )
    assert all(f"{reason}: {text}  " in told(result) for reason, text in REASONS.items())
    assert "as many of each" in told(result)


def test_of_many_classes_the_commonest_and_the_rarest_are_shown() -> None:
    """Long names lose their middle; all of it fits 80 columns."""
    classes = {f"a class with a name that is longer than most, number {number:04}": number for number in range(1000)}
    result = Labelled(
        data="npz:l.npz", teacher="t", images=499500, kept=499500, rejected={}, classes=classes, confidence=dict.fromkeys(classes, 0.9), reasons="r"
    )
    lines = told(result).splitlines()
    rows = [line for line in lines if line.startswith("a class")]
    assert len(rows) == SHOWN
    assert [rows[0].split()[-3], rows[-1].split()[-3]] == ["999", "0"]
    note = " ".join(" ".join(lines).split())
    assert "the commonest and the rarest of 1000 classes" in note
    assert max(map(len, lines)) <= 80
