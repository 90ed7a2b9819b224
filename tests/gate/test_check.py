"""The gate: what is checked, against which limits, and that nothing passes unchecked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgekd.errors import MissingError, MissingExtra, install_line
from edgekd.events import Event, Note, silent
from edgekd.files import sha256_file
from edgekd.gate import check, read_all, renamed
from edgekd.gate.limits import limits_from
from edgekd.limit import Limit
from edgekd.reportfile import encode_report
from edgekd.run import Run
from tests.gate.folders import committed, written
from tests.gate.test_limits import CAMERA
from tests.needs import ROOT
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness

replace = msgspec.structs.replace


def test_limits_of_the_recipe_and_of_the_budget_file_both_hold(tmp_path: Path) -> None:
    """Neither loosens the other."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nartifact = "fp32"\nsize = "2 MB"\n')
    recipe = {"limit": [{"artifact": "int8", "size": "400 kB"}]}
    report = msgspec.structs.replace(sample_report(), recipe=recipe)
    assert [verdict.state for verdict in check([written(tmp_path / "run", report)])] == ["pass", "pass"]


def test_a_report_is_held_to_limits_that_are_given(tmp_path: Path) -> None:
    """A run's folder and its report.json are the same."""
    run = written(tmp_path / "run", sample_report())
    limits = limits_from(["size=400kB"], artifact=SHIPPED)
    assert [verdict.state for verdict in check([run], limits)] == ["pass"]
    assert check([run / "report.json"], limits) == check([run], limits)


def test_a_bare_file_needs_no_more_than_its_path(tmp_path: Path) -> None:
    """Size, parameters and MACs of any ONNX file."""
    file = brightness(tmp_path / "m.onnx")
    verdicts = check([file], limits_from(["size=4MB", "params=34", "macs=10"]))
    assert {verdict.quantity: verdict.state for verdict in verdicts} == {"size": "pass", "params": "pass", "macs": "over"}
    assert verdicts[0].artifact == "file/m/as-is"


def test_several_reports_are_told_apart(tmp_path: Path) -> None:
    """A verdict's artifact begins with its report's path."""
    paths = [written(tmp_path / name, sample_report()) for name in ("a", "b")]
    names = [verdict.artifact for verdict in check(paths, limits_from(["size=1MB"], artifact=SHIPPED))]
    assert names == [f"{path}: {SHIPPED}" for path in paths]


def test_a_gate_that_checks_nothing_does_not_pass(tmp_path: Path) -> None:
    """No limits anywhere, or no paths."""
    with pytest.raises(MissingError, match="a gate that checks nothing does not pass"):
        check([written(tmp_path / "run", sample_report())])
    with pytest.raises(MissingError, match="nothing to check"):
        check([])


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A path that stands for nothing never passes."""
    for path in ("nope.onnx", "nope", "nope.json"):
        with pytest.raises(MissingError, match="nope"):
            check([tmp_path / path], limits_from(["size=4MB"]))


def test_a_symlink_loop_is_an_error(tmp_path: Path) -> None:
    """It ends, and says where."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(MissingError, match="loop"):
        check([loop], limits_from(["size=4MB"]))


def test_growth_over_a_bare_baseline(tmp_path: Path) -> None:
    """Two bare files may be compared in size, whatever they are called."""
    old, new = brightness(tmp_path / "old.onnx", {}), brightness(tmp_path / "new.onnx")
    (verdict,) = check([new], limits_from(["growth.size=1%"]), baseline=old)
    assert verdict.state == "over"
    (verdict,) = check([old], limits_from(["growth.size=1%"]), baseline=new)
    assert verdict.state == "pass"


def test_a_baseline_stands_for_one_file_alone(tmp_path: Path) -> None:
    """Beside two it keeps its name, as nobody can tell which of them it was."""
    new, other, old = (brightness(tmp_path / f"{name}.onnx") for name in ("new", "other", "old"))
    ((_, then),) = read_all([old], deep=False)
    assert renamed(then, [new, other]) == then
    assert [artifact.name for artifact in renamed(then, [new]).artifacts] == ["file/new/as-is"]


def test_without_onnx_a_size_is_judged_and_parameters_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a core-only install has it: nothing is guessed."""
    file = brightness(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgekd.graph", raising=False)
    assert [verdict.state for verdict in check([file], limits_from(["size=4MB"]))] == ["pass"]
    for typed in ("params=1M", "macs=1M", "growth.params=1%"):
        with pytest.raises(MissingExtra, match=re.escape(install_line("measure"))):
            check([file], limits_from([typed]))


def test_the_gate_loads_nothing_heavy(tmp_path: Path) -> None:
    """A report and a bare file's size are judged without numpy, onnx or torch."""
    run, file = written(tmp_path / "run", sample_report()), brightness(tmp_path / "m.onnx")
    code = (
        "import sys; from edgekd.gate import check; from edgekd.gate.limits import limits_from\n"
        f"check([{str(run)!r}, {str(file)!r}], limits_from(['size=400kB']))\n"
        "print([m for m in ('torch', 'torchvision', 'numpy', 'onnx', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.strip() == "[]"


def test_it_says_which_files_the_limits_stood_in(tmp_path: Path) -> None:
    """The recipe's and the budget file's; what both say is judged once."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nartifact = "int8"\nsize = "400 kB"\n')
    run = written(tmp_path / "run", replace(sample_report(), recipe={"limit": [{"artifact": "int8", "size": "400 kB"}]}))
    events: list[Event] = []
    assert len(check([run], emit=events.append)) == 1
    assert events == [Note(text=f"limits read from {tmp_path / 'budget.toml'}"), Note(text=f"limits read from the recipe in {run}")]


def test_a_budget_file_may_name_what_is_checked_and_its_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to itself: `edgekd check` alone does the whole job, from any folder below."""
    brightness(tmp_path / "old.onnx", {})
    brightness(tmp_path / "new.onnx")
    (tmp_path / "deep").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.edgekd]\ncheck = ["new.onnx"]\nbaseline = "old.onnx"\nlimit = [{ growth = { size = "1 %" } }]\n')
    monkeypatch.chdir(tmp_path / "deep")
    (verdict,) = check()
    assert (verdict.state, verdict.before) == ("over", (tmp_path / "old.onnx").stat().st_size)
    assert [v.before for v in check(budget_file="../pyproject.toml")] == [verdict.before]
    (other,) = check(limits=limits_from(["size=1MB"]))
    assert (other.state, other.before) == ("pass", verdict.before)
    (typed,) = check(["../new.onnx"], limits_from(["growth.size=1%"]))
    assert (typed.state, typed.before) == ("over", verdict.before)


def test_a_report_whose_limits_all_belong_to_others_is_not_passed_over(tmp_path: Path) -> None:
    """What nothing is held to was not checked, whatever the others are held to."""
    run, file = written(tmp_path / "run", sample_report()), brightness(tmp_path / "m.onnx")
    with pytest.raises(MissingError, match=f"no limits for {run}: a gate that checks nothing does not pass"):
        check([run, file], limits_from(["size=1MB"], artifact="m.onnx"))


def test_a_file_by_its_whole_path_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on model.onnx does not bind another folder's, where its own is checked; alone, that one is meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    brightness(tmp_path / "m.onnx"), brightness(tmp_path / "deep" / "m.onnx")
    both = [*limits_from(["size=1MB"], artifact="m.onnx"), *limits_from(["size=2MB"], artifact="deep/m.onnx")]
    assert len(check(["m.onnx", "deep/m.onnx"], both)) == 2
    assert len(check(["deep/m.onnx"], both[:1])) == 1


def test_a_budget_names_files_from_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the check is started, however the files were typed: another of the same name is not meant."""
    for folder in ("ci", "deep"):
        (tmp_path / folder).mkdir()
    brightness(tmp_path / "m.onnx", {}), brightness(tmp_path / "deep" / "m.onnx", {"more": "x" * 5000})
    small, large = ((tmp_path / name).stat().st_size for name in ("m.onnx", "deep/m.onnx"))
    limits = f'[[limit]]\nartifact = "../m.onnx"\nsize = "{small} B"\n[[limit]]\nartifact = "../deep/m.onnx"\nsize = "{large} B"\n'
    (tmp_path / "ci" / "budget.toml").write_text(f'check = ["../m.onnx", "../deep/m.onnx"]\n{limits}')
    for place, paths in (
        (tmp_path, []),
        (tmp_path / "deep", []),
        (tmp_path / "deep", ["m.onnx", "../m.onnx"]),
        (tmp_path, ["m.onnx", "deep/m.onnx"]),
    ):
        monkeypatch.chdir(place)
        verdicts = check(paths, budget_file=tmp_path / "ci" / "budget.toml")
        assert [(verdict.state, verdict.measured) for verdict in verdicts] == [("pass", small), ("pass", large)]


def test_a_limit_on_a_target_is_about_the_runs_that_were_for_it(tmp_path: Path) -> None:
    """One that should have been measured there lacks it; where no run was for it, each does."""
    ours, theirs = sample_report(), sample_report()
    measurements = [replace(each, target="pi") for each in theirs.measurements]
    theirs = replace(theirs, measurements=measurements, shipped={"pi/resnet20": SHIPPED}, recipe={"on": {"pi": "user@pi"}})
    paths = [written(tmp_path / "a", ours), written(tmp_path / "b", theirs)]
    limits = [Limit(target="cpu", size="400 kB"), Limit(target="pi", size="500 kB")]
    assert [(v.target, v.state) for v in check(paths, limits)] == [("cpu", "pass"), ("pi", "pass")]
    lost = written(tmp_path / "c", replace(theirs, recipe={"on": {"pi": "user@pi", "cpu": "local"}}))
    assert [(v.target, v.state) for v in check([paths[0], lost], limits)] == [("cpu", "pass"), ("cpu", "missing"), ("pi", "pass")]
    assert {v.state for v in check(paths, [Limit(target="orin", size="1 MB")])} == {"missing"}
    own = written(tmp_path / "d", replace(theirs, measurements=[], recipe={"on": {"boards/mine.toml": "local"}}))
    assert [v.state for v in check([paths[0], own], [Limit(target="cpu", artifact=SHIPPED, size="400 kB")])] == ["pass", "pass"]


def test_no_limit_is_left_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose file one report has and whose target another was for; a bare file is for any target."""
    monkeypatch.chdir(tmp_path)
    brightness(tmp_path / "m.onnx")
    run = written(tmp_path / "run", sample_report())
    limits = [Limit(target="cpu", artifact="m.onnx", size="1 B"), Limit(target="cpu", artifact="m.onnx", latency_p50="1 ns"), Limit(size="1 B")]
    states = [(v.artifact.rpartition(": ")[2], v.quantity, v.state) for v in check([run, "m.onnx"], limits)]
    assert states == [
        (SHIPPED, "size", "over"),
        ("file/m/as-is", "size", "over"),
        ("file/m/as-is", "latency_p50", "missing"),
        ("file/m/as-is", "size", "over"),
    ]
    elsewhere = replace(sample_report(), artifacts=[replace(each, network="tiny") for each in sample_report().artifacts])
    on_pi = [replace(each, target="pi", artifact=each.artifact.replace("resnet20", "tiny")) for each in elsewhere.measurements]
    other = written(tmp_path / "other", replace(elsewhere, measurements=on_pi, shipped={}, recipe={"on": {"pi": "user@pi"}}))
    limits = [Limit(target="pi", artifact=SHIPPED, latency_p50="1 ns"), Limit(artifact="fp32", size="2 MB")]
    assert [v.state for v in check([run, other], limits)] == ["missing", "pass", "pass"]


def test_a_budgets_git_baseline_is_of_its_own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the check is started: REF:PATH is read where the budget file lies."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, fill in ((ours, {}), (theirs, {"more": "x" * 5000})):
        folder.mkdir()
        brightness(folder / "m.onnx", fill)
        committed(folder, "m.onnx")
    size = (ours / "m.onnx").stat().st_size
    brightness(ours / "m.onnx", {"more": "x" * 500})
    (ours / "budget.toml").write_text('check = ["m.onnx"]\nbaseline = "HEAD:m.onnx"\nlimit = [{ growth = { size = "1 %" } }]\n')
    for place in (ours, theirs, tmp_path):
        monkeypatch.chdir(place)
        (verdict,) = check(budget_file=ours / "budget.toml")
        assert (verdict.state, verdict.before) == ("over", size)


def test_limits_that_are_given_replace_those_in_files(tmp_path: Path) -> None:
    """Typed ones, those of a named file, or both together; the nearest file and the recipe then say nothing."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nsize = "1 kB"\n')
    (tmp_path / "other.toml").write_text(f'[[limit]]\nartifact = "{SHIPPED}"\nparams = "1M"\n')
    run = written(tmp_path / "run", replace(sample_report(), recipe={"limit": [{"artifact": "int8", "macs": "1G"}]}))
    size = limits_from(["size=400kB"], artifact=SHIPPED)
    assert [v.quantity for v in check([run], size)] == ["size"]
    assert [v.quantity for v in check([run], budget_file="other.toml")] == ["params"]
    assert [v.quantity for v in check([run], size, budget_file="other.toml")] == ["size", "params"]
    assert [v.quantity for v in check([run])] == ["macs", "size"]


def test_a_limit_on_one_file_is_about_the_report_that_has_it(tmp_path: Path) -> None:
    """Of several; where none has it, it is missing in each."""
    other = replace(sample_report(), artifacts=[replace(each, network="tiny") for each in sample_report().artifacts])
    paths = [written(tmp_path / "a", sample_report()), written(tmp_path / "b", other)]
    verdicts = check(paths, [Limit(artifact=SHIPPED, target="cpu", size="400 kB"), Limit(artifact="fp32", size="2 MB")])
    names = [SHIPPED, "student/resnet20/fp32", "student/tiny/fp32"]
    assert [(v.artifact, v.state) for v in verdicts] == [(f"{path}: {name}", "pass") for path, name in zip([paths[0], *paths], names, strict=True)]
    assert [v.state for v in check(paths, [Limit(artifact="student/none/fp32", size="2 MB")])] == ["missing", "missing"]


def test_a_bare_file_is_named_by_its_path(tmp_path: Path) -> None:
    """As much of it as the limit says; a file that is not checked is missing."""
    (tmp_path / "models").mkdir()
    files = [brightness(tmp_path / "models" / "a.onnx"), brightness(tmp_path / "b.onnx")]
    assert [v.artifact for v in check(files, [Limit(artifact="models/a.onnx", size="1 MB")])] == ["file/a/as-is"]
    assert [v.state for v in check(files, [Limit(artifact="c.onnx", size="1 MB")])] == ["missing"]
    assert [v.state for v in check(files, [Limit(artifact="odels/a.onnx", size="1 MB")])] == ["missing"]


def test_what_stands_inside_a_bare_file_is_judged(tmp_path: Path) -> None:
    """Opset, operators, precisions of its layers; what is over names what it found."""
    file = brightness(tmp_path / "m.onnx")
    fine = check([file], limits_from(["opset=20", "operators=Gemm,Flatten", "layers.fp32=1", "layers.int8=0"]))
    assert {v.quantity: v.state for v in fine} == dict.fromkeys(["opset", "operators", "layers.fp32", "layers.int8"], "pass")
    opset, operators, layers = check([file], limits_from(["opset=19", "operators=Gemm,Conv", "layers.fp32=0"]))
    assert [v.state for v in (opset, operators, layers)] == ["over"] * 3
    assert opset.text == "20; 1 (5.3 %) over. Export with an older opset, or change the limit on opset."
    assert operators.limit == "operators only Gemm, Conv"
    as_toml = limits_from(['operators=["Gemm", "Conv"]'])
    assert as_toml == limits_from(["operators=Gemm,Conv"])
    assert operators.text.endswith("Not among them: Flatten (1).")


def test_a_limit_on_layers_alone_looks_into_the_file(tmp_path: Path) -> None:
    """As one on operators does."""
    (verdict,) = check([brightness(tmp_path / "m.onnx")], limits_from(["layers.fp32=1"]))
    assert verdict.state == "pass"


def test_a_file_that_was_not_looked_into_has_no_parameters(tmp_path: Path) -> None:
    """A report made on the core install says so, rather than 0."""
    from edgekd.gate.bare import bare_report

    run = written(tmp_path / "run", bare_report([brightness(tmp_path / "m.onnx")], deep=False))
    verdicts = check([run], limits_from(["size=1MB", "params=1M", "macs=1M", "opset=20", "operators=Gemm", "layers.fp32=9"]))
    assert [v.state for v in verdicts] == ["pass"] + ["missing"] * 5


def test_why_names_the_layers(tmp_path: Path) -> None:
    """Of a bare file they are read for it, whatever the limit is about."""
    (verdict,) = check([brightness(tmp_path / "m.onnx")], limits_from(["size=10"]), why=True)
    assert verdict.why == ["logits (Gemm): 136 B, 100.0 % of all layers"]


def test_the_baseline_may_stand_in_git(tmp_path: Path) -> None:
    """A report or an .onnx file of another commit, with its path there."""
    old = brightness(tmp_path / "m.onnx", {})
    written(tmp_path / "budget", sample_report())
    committed(tmp_path, "m.onnx", "budget/report.json")
    before = old.stat().st_size
    brightness(tmp_path / "m.onnx")
    (verdict,) = check(["m.onnx"], limits_from(["growth.size=1%"]), baseline="main:m.onnx")
    assert (verdict.state, verdict.before) == ("over", before)
    (verdict,) = check(["budget"], limits_from(["growth.latency=5%"]), baseline="HEAD:budget/report.json")
    assert verdict.state == "pass"


def test_a_target_of_ones_own_is_found_from_where_it_is_named(tmp_path: Path) -> None:
    """Typed from here, in a budget from its folder: measurements have it by its name."""
    report = sample_report()
    ours = [replace(each, target="cam-2") for each in report.measurements]
    run = written(tmp_path / "run", replace(report, measurements=ours, shipped={"cam-2/resnet20": SHIPPED}))
    (tmp_path / "camera.toml").write_text(CAMERA)
    (verdict,) = check([run], limits_from(["latency_p50=1 s"], target="camera.toml"))
    assert (verdict.state, verdict.target) == ("pass", "cam-2")
    (tmp_path / "ci").mkdir()
    (tmp_path / "camera.toml").rename(tmp_path / "ci" / "camera.toml")
    (tmp_path / "ci" / "budget.toml").write_text('[[limit]]\ntarget = "camera.toml"\nlatency_p50 = "1 s"\n')
    assert check([run], budget_file="ci/budget.toml") == [verdict]
    with pytest.raises(MissingError, match=r"there is none at camera\.toml"):
        check([run], limits_from(["latency_p50=1s"], target="camera.toml"))


def test_a_part_of_another_bare_file(tmp_path: Path) -> None:
    """Of the one that the limit is against."""
    files = [brightness(tmp_path / "new.onnx", {}), brightness(tmp_path / "old.onnx")]
    (verdict,) = check(files, [Limit(artifact="new.onnx", against="file/old/as-is", relative={"params": "50 %"})])
    assert (verdict.state, verdict.measured, verdict.limit) == ("over", 1.0, "relative.params ≤ 50 %")
    (lonely,) = check(files[:1], limits_from(["relative.size=50%"]))
    assert (lonely.state, "no fp32 file of a teacher to compare with" in lonely.text) == ("missing", True)


def test_a_report_that_lost_the_file_is_not_let_off(tmp_path: Path) -> None:
    """A limit on another run's file is that run's; one on a network that both have is both's."""
    report = sample_report()
    kept = [artifact for artifact in report.artifacts if artifact.name != SHIPPED]
    paths = [written(tmp_path / "whole", report), written(tmp_path / "lost", replace(report, artifacts=kept, shipped={}))]
    verdicts = check(paths, [Limit(artifact=SHIPPED, size="400 kB")])
    assert [verdict.state for verdict in verdicts] == ["pass", "missing"]


def test_a_file_that_is_no_longer_the_one_that_was_measured_is_said(tmp_path: Path) -> None:
    """Its verdicts are of the report, which tells of another; one that is as it was, or is not there, needs no word."""
    report, said = sample_report(), list[Event]()
    (tmp_path / "run").mkdir()
    file = brightness(tmp_path / "run" / "m.onnx")
    first, *others = report.artifacts
    kept = replace(first, path="m.onnx", sha256=sha256_file(file))
    written(tmp_path / "run", replace(report, artifacts=[kept, *others]))
    check([tmp_path / "run"], [Limit(artifact=kept.name, size="4 MB")], emit=said.append)
    assert said == []
    for content in (b"cut off", brightness(tmp_path / "other.onnx", {}).read_bytes()):
        file.write_bytes(content)
        check([tmp_path / "run"], [Limit(artifact=kept.name, size="4 MB")], emit=said.append)
    (text,) = {event.text for event in said if isinstance(event, Note)}
    assert text == f"{file} is not the file that the report of {tmp_path / 'run'} tells of: what holds there was measured of another"
    said.clear()
    check([tmp_path / "run"], [Limit(artifact=SHIPPED, size="4 MB")], emit=said.append)
    assert said == []  # no limit is about it
    check([tmp_path / "run" / "report.json"], [Limit(artifact=kept.name, size="4 MB")], emit=said.append)
    assert len(said) == 1


def test_a_run_that_was_taken_up_again_is_said(tmp_path: Path) -> None:
    """Its report is of before."""
    folder, said = tmp_path / "run", list[Event]()
    with Run.open(folder, origin="flags", recipe_toml="", emit=silent) as run:
        (folder / "report.json").write_bytes(encode_report(sample_report()))
        run.write_manifest()
    check([folder], [Limit(size="400 kB")], emit=said.append)
    assert said == []
    with Run.open(folder, origin="flags", recipe_toml="", emit=silent) as run:
        run.stage("teach", {})
    check([folder], [Limit(size="400 kB")], emit=said.append)
    assert [event.text for event in said if isinstance(event, Note)] == [f"{folder} was taken up again and has not ended: its report is of before"]
