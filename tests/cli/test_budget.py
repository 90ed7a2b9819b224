"""edgekd budget and edgekd baseline, as processes in a folder of a person's own."""

import json
from pathlib import Path

import pytest

from edgekd.gate.limits import read_budget
from tests.cli.test_check import process
from tests.gate.folders import written
from tests.report.sample import sample_report
from tests.toys import brightness


def test_from_a_file_to_a_gate_that_holds(tmp_path: Path) -> None:
    """init, check, tighten, check again: each works with what the one before wrote, line endings kept."""
    (tmp_path / "models").mkdir()
    brightness(tmp_path / "models" / "m.onnx")
    first = process(tmp_path, "budget", "init", "models/m.onnx", "--margin", "50 %")
    assert (first.returncode, first.stderr) == (0, "")
    assert 'check = ["models/m.onnx"]' in (tmp_path / "budget.toml").read_text()
    assert first.stdout.endswith("wrote budget.toml; check with: edgekd check\n")
    assert process(tmp_path, "check").returncode == 0
    (tmp_path / "deep").mkdir()
    (tmp_path / "budget.toml").write_bytes((tmp_path / "budget.toml").read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "budget.toml").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "budget.toml").read_bytes())
    tight = process(tmp_path / "deep", "budget", "tighten", "--margin", "0 %", "--json")
    assert [(each["quantity"], each["after"]) for each in json.loads(tight.stdout)["changes"]] == [
        ("size", f"{(tmp_path / 'models' / 'm.onnx').stat().st_size} B"),
        ("params", "34"),
        ("macs", "32"),
    ]
    ends = (tmp_path / "budget.toml").read_bytes()
    assert ends.count(b"\n") == ends.count(b"\r\n") > 0
    assert ends.startswith(b"\xef\xbb\xbf")
    assert process(tmp_path, "check").returncode == 0
    again = process(tmp_path, "budget", "tighten", "--margin", "0 %")
    assert again.stdout == f"no limit of {tmp_path / 'budget.toml'} has more room than the margin of 0 %\n"
    brightness(tmp_path / "models" / "m.onnx", {})
    assert process(tmp_path, "check").returncode == 0


def test_a_limit_that_bounds_no_file_is_named_when_limits_are_lowered(tmp_path: Path) -> None:
    """The others are lowered all the same; where none is left there was nothing to do, and that is no success."""
    written(tmp_path / "run", sample_report())
    limits = ('artifact = "student/resnet9/int8-cpu"', 'artifact = "student/resnet20/int8-cpu"', 'target = "gone"')
    (tmp_path / "budget.toml").write_text("".join(f'[[limit]]\n{whose}\nsize = "9 MB"\n' for whose in limits))
    done = process(tmp_path, "budget", "tighten", "run", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, [each["place"] for each in found["changes"]]) == (0, [1])
    assert [note.split(": ")[0] for note in found["notes"]] == ["size = 9 MB bounds no file"] * 2
    assert "no artifact matches 'student/resnet9/int8-cpu'" in found["notes"][0]
    (tmp_path / "budget.toml").write_text(f'[[limit]]\n{limits[2]}\nsize = "9 MB"\n')
    done = process(tmp_path, "budget", "tighten", "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bounds a file of run: size = 9 MB bounds no file: " in done.stderr


def test_a_run_is_bounded_by_what_it_ships(tmp_path: Path) -> None:
    """Its own limits pass on the same report, times with the machine that took them."""
    written(tmp_path / "run", sample_report())
    assert process(tmp_path, "budget", "init", "run", "--out", "ci/budget.toml").returncode == 0
    found = read_budget(tmp_path / "ci" / "budget.toml").budget
    assert (found.check, [limit.host for limit in found.limit]) == (["../run"], [None, "Example Four 4000"])
    assert process(tmp_path, "check", "run", "--budget", "ci/budget.toml", "--strict").returncode == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["budget", "init", "m.onnx"], "budget.toml is there already"),
        (["budget", "init", "m.onnx", "--out", "x.toml", "--margin", "10"], "--margin: a share is written as"),
        (["budget", "init", "m.onnx", "--out", "x.toml", "--margin=-1 %"], "--margin is room to spare and never below 0"),
        (["budget", "init", "none.onnx", "--out", "x.toml"], "no file at none.onnx"),
        (["budget", "tighten", "--budget", "none.toml"], "no budget at none.toml"),
        (["budget", "tighten"], "nothing was measured: give a run's folder"),
        (["baseline", "save"], "Missing argument"),
        (["baseline", "show"], "no report at budget/report.json"),
        (["baseline", "compare", "m.onnx", "--format", "xml"], "--format takes text, markdown, json; got 'xml'"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, typed: list[str], said: str) -> None:
    """Exit code 2, a sentence, and nothing written."""
    brightness(tmp_path / "m.onnx")
    (tmp_path / "budget.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    done = process(tmp_path, *typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["budget.toml", "m.onnx"]


def test_two_runs_on_one_target_take_a_budget_each(tmp_path: Path) -> None:
    """What ships on it would be bounded twice, which no check would take."""
    for name in ("a", "b"):
        written(tmp_path / name, sample_report())
    done = process(tmp_path, "budget", "init", "a", "b")
    assert done.returncode == 2
    assert "twice" in done.stderr
    assert "Runs that ship on one target take a budget each" in done.stderr
    assert not (tmp_path / "budget.toml").exists()


def test_a_baseline_from_save_to_check(tmp_path: Path) -> None:
    """Saved at its usual place, shown, compared with, and grown from."""
    brightness(tmp_path / "m.onnx", {})
    assert process(tmp_path, "baseline", "save", "m.onnx").stdout == "wrote budget/report.json, with 1 files; commit it\n"
    assert "file/m/as-is" in process(tmp_path, "baseline", "show").stdout
    brightness(tmp_path / "m.onnx")
    compared = process(tmp_path, "baseline", "compare", "m.onnx")
    assert compared.stdout.splitlines()[4].split()[:2] == ["file/m/as-is", "size"]
    assert compared.stdout.splitlines()[-1] == "2 figures are as before"
    assert process(tmp_path, "baseline", "compare", "m.onnx", "--format", "markdown").stdout.startswith("### Since the baseline\n\n| artifact |")
    (size, params, _) = json.loads(process(tmp_path, "baseline", "compare", "m.onnx", "--json").stdout)["changes"]
    assert size["now"] > size["then"]
    assert params["rise"] == [0.0, 0.0, 0.0]
    asked = ["check", "m.onnx", "--limit", "growth.size=1%", "--baseline", "budget/report.json"]
    assert process(tmp_path, *asked).returncode == 1


def test_a_baseline_of_something_else_is_no_comparison(tmp_path: Path) -> None:
    """What only one side has is named."""
    brightness(tmp_path / "a.onnx")
    brightness(tmp_path / "b.onnx")
    written(tmp_path / "budget", sample_report())
    done = process(tmp_path, "baseline", "compare", "a.onnx", "b.onnx")
    assert done.returncode == 2
    assert "nothing can be compared with the baseline: new: file/a/as-is, file/b/as-is; only in the baseline: teacher/resnet56/fp32" in done.stderr
