"""The gate: what is checked, against which limits, and that nothing passes unchecked."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgekd.errors import MissingError, MissingExtra, RecipeError, UsageError
from edgekd.gate import bare_report, check, find_limits, inspect, limits_from, nearest_limits, read_limits, short_names
from edgekd.recipe import Limit
from edgekd.record import Report, encode_report
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the repository, whose pyproject.toml is none of the test's."""
    monkeypatch.chdir(tmp_path)


def written(folder: Path, report: Report) -> Path:
    """A run folder with this report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(encode_report(report))
    return folder


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


def test_limits_of_the_recipe_and_of_the_budget_file_both_hold(tmp_path: Path) -> None:
    """Neither loosens the other."""
    (tmp_path / "budget.toml").write_text('[[limit]]\nartifact = "fp32"\nsize = "2 MB"\n')
    recipe = {"limit": [{"artifact": "int8", "size": "400 kB"}]}
    report = msgspec.structs.replace(sample_report(), recipe=recipe)
    assert find_limits(report) == [Limit(artifact="int8", size="400 kB"), Limit(artifact="fp32", size="2 MB")]
    assert [verdict.state for verdict in check([written(tmp_path / "run", report)])] == ["pass", "pass"]


def test_the_nearest_budget_file_counts(tmp_path: Path) -> None:
    """Looked for upward; a pyproject.toml without [tool.edgekd] is passed by."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.edgekd]\nlimit = [{ size = "3 MB" }]\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert nearest_limits(deep) == [Limit(size="3 MB")]
    (tmp_path / "a" / "budget.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    assert nearest_limits(deep) == [Limit(size="1 MB")]
    assert nearest_limits(Path("/")) == []


def test_limits_as_typed() -> None:
    """Plain quantities, classes and growth, about one artifact on one target."""
    typed = ["size=4MB", "recall.cat=90%", "recall.big dog = 80 %", "growth.size=1%"]
    assert limits_from(typed, artifact="int8", target="cpu") == [
        Limit(artifact="int8", target="cpu", size="4MB", recall={"cat": "90%", "big dog": "80 %"}, growth={"size": "1%"})
    ]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["size"], "--limit takes QUANTITY=VALUE, as in size=4MB or recall.CLASS=90%, got 'size'"),
        (["size="], "--limit takes QUANTITY=VALUE"),
        (["size.x=1", "size=2"], "--limit size stands twice; keep one"),
        (["size=1", "size=2"], "--limit size stands twice; keep one"),
        (["artifact=1"], "--limit artifact stands twice; keep one"),
    ],
)
def test_limits_that_do_not_read(typed: list[str], message: str) -> None:
    """Each says what is accepted."""
    with pytest.raises(UsageError) as caught:
        limits_from(typed)
    assert message in str(caught.value)


def test_an_unknown_quantity_is_refused_with_the_nearest() -> None:
    """On the command line as in a file."""
    with pytest.raises(RecipeError, match=r"--limit: unknown key 'latency_p5' in limit.*did you mean 'latency_p"):
        limits_from(["latency_p5=1ms"])


def test_a_budget_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """By its path, with the nearest known key."""
    (tmp_path / "budget.toml").write_text('[[limits]]\nsize = "1 MB"\n')
    with pytest.raises(RecipeError, match=r"budget\.toml: unknown key 'limits'; did you mean 'limit'"):
        nearest_limits(tmp_path)


def test_a_budget_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    """Nor passed over."""
    (tmp_path / "budget.toml").write_text("size: 4 MB")
    with pytest.raises(RecipeError, match=r"budget\.toml is not TOML"):
        nearest_limits(tmp_path)


def test_a_budget_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    """--budget names one."""
    with pytest.raises(MissingError, match="no budget at"):
        read_limits(tmp_path / "nope.toml")
    (tmp_path / "b.toml").write_text('[[limit]]\nsize = "1 MB"\n')
    assert read_limits(tmp_path / "b.toml") == [Limit(size="1 MB")]


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


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    """By as few as it takes."""
    assert short_names([Path("main/model.onnx"), Path("pr/model.onnx")]) == ["main-model", "pr-model"]
    assert short_names([Path("x/a/m.onnx"), Path("y/a/m.onnx"), Path("z/n.onnx")]) == ["x-a-m", "y-a-m", "n"]


def test_one_file_twice_is_refused() -> None:
    """Nothing could tell its two rows apart."""
    with pytest.raises(UsageError, match="each file once"):
        short_names([Path("m.onnx"), Path("m.onnx")])


def test_inspecting_a_file(tmp_path: Path) -> None:
    """What the record says of a file is what stands in it."""
    artifact = inspect(brightness(tmp_path / "m.onnx"))
    assert (artifact.name, artifact.params, artifact.macs, artifact.opset) == ("file/m/as-is", 34, 32, 20)
    assert artifact.size == (tmp_path / "m.onnx").stat().st_size
    shallow = inspect(tmp_path / "m.onnx", deep=False)
    assert (shallow.size, shallow.sha256) == (artifact.size, artifact.sha256)


def test_bare_files_make_one_report(tmp_path: Path) -> None:
    """In the order they were given."""
    files = [brightness(tmp_path / "b.onnx"), brightness(tmp_path / "a.onnx")]
    assert [artifact.network for artifact in bare_report(files).artifacts] == ["b", "a"]


def test_without_onnx_a_size_is_judged_and_parameters_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a core-only install has it: nothing is guessed."""
    file = brightness(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgekd.graph", raising=False)
    assert [verdict.state for verdict in check([file], limits_from(["size=4MB"]))] == ["pass"]
    for typed in ("params=1M", "macs=1M", "growth.params=1%"):
        with pytest.raises(MissingExtra, match=r"edgekd\[measure\]"):
            check([file], limits_from([typed]))


def test_tensors_in_other_files_count_or_are_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file beside a large one of weights does not pass for small."""
    import onnx

    file = brightness(tmp_path / "m.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="m.data", size_threshold=0, convert_attribute=False)
    assert inspect(file, deep=False).size == file.stat().st_size + (tmp_path / "m.data").stat().st_size
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgekd.graph", raising=False)
    with pytest.raises(MissingExtra):
        check([file], limits_from(["size=4MB"]))


def test_the_gate_loads_nothing_heavy(tmp_path: Path) -> None:
    """A report and a bare file's size are judged without numpy, onnx or torch."""
    run, file = written(tmp_path / "run", sample_report()), brightness(tmp_path / "m.onnx")
    code = (
        "import sys; from edgekd.gate import check, limits_from\n"
        f"check([{str(run)!r}, {str(file)!r}], limits_from(['size=400kB']))\n"
        "print([m for m in ('torch', 'torchvision', 'numpy', 'onnx', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": _root()})
    assert done.stdout.strip() == "[]"


def _root() -> str:
    return str(Path(__file__).resolve().parent.parent)
