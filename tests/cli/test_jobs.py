"""compress, teach, distill, export: what was typed reaches `edgekd.compress` whole."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.errors import install_line
from edgekd.events import StageFinished, StageStarted, silent
from edgekd.recipe import Recipe
from edgekd.recipefile import encode_recipe
from edgekd.record import Report
from edgekd.run import Run
from tests.report.sample import judged_report, sample_report

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()
Calls = list[tuple[str, Recipe, dict[str, Any]]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What a stand-in for `edgekd.compress` is asked to do, in an empty working directory."""
    seen: Calls = []
    module = ModuleType("edgekd.compress")

    def verb(name: str) -> Callable[..., Report]:
        def work(recipe: Recipe, **options: Any) -> Report:
            seen.append((name, recipe, options))
            options["emit"](StageStarted(stage="teach"))
            options["emit"](StageFinished(stage="teach", seconds=1))
            options["folder"].mkdir(parents=True, exist_ok=True)
            (options["folder"] / "report.json").write_text("{}")
            return sample_report()

        return work

    for name in ("compress", "teach", "distill", "export_files", "evaluate_files", "bench_files"):
        setattr(module, name, verb(name))
    module.plan = lambda recipe, *, base, work, folder, log, emit: [f"{work} {recipe.data} in {base}", f"note      {'word ' * 30}"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgekd.compress", module)
    monkeypatch.setattr("edgekd.compress", module, raising=False)
    monkeypatch.chdir(tmp_path)
    return seen


def test_compress_without_arguments_is_the_digits(calls: Calls, tmp_path: Path) -> None:
    """The default recipe, in runs/digits, with progress on stderr and the report on stdout."""
    result = runner.invoke(app, ["compress"])
    assert result.exit_code == 0, result.output
    ((name, recipe, options),) = calls
    assert (name, recipe) == ("compress", Recipe())
    assert (options["folder"], options["base"], options["origin"]) == (Path("runs/digits"), tmp_path, "data digits, teacher of edgekd")
    assert "teach: done in 1.0 s" in result.stderr
    assert "student/resnet20/int8-cpu" in result.stdout
    assert "report  runs/digits/report.json" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("verb", ["compress", "teach", "distill"])
def test_trackers_are_asked_for_by_name(calls: Calls, verb: str) -> None:
    """None by default; the recipe knows nothing of them."""
    assert runner.invoke(app, [verb]).exit_code == 0
    assert runner.invoke(app, [verb, "--log", "tensorboard", "--log", "wandb"]).exit_code == 0
    assert [list(options["log"]) for _, _, options in calls] == [[], ["tensorboard", "wandb"]]
    assert calls[0][1] == calls[1][1]


@pytest.mark.parametrize(
    ("typed", "verb"),
    [
        ("teach", "teach"),
        ("distill", "distill"),
        ("export", "export_files"),
        ("evaluate", "evaluate_files"),
        ("bench", "bench_files"),
    ],
)
def test_each_step_alone_takes_the_same_recipe_and_folder(typed: str, verb: str, calls: Calls) -> None:
    """So that each goes on where another ended."""
    Path("recipes").mkdir()
    Path("recipes/cameras.toml").write_text('data = "npz:a.npz"\n')
    result = runner.invoke(app, [typed, "recipes/cameras.toml", "--seed", "4"])
    assert result.exit_code == 0, result.output
    ((name, recipe, options),) = calls
    assert (name, recipe.data, recipe.seed) == (verb, "npz:a.npz", 4)
    assert options["folder"] == Path("runs/cameras")
    assert options["base"] == Path("recipes").resolve()
    assert options["origin"] == "recipe ../../recipes/cameras.toml"


def test_the_folder_is_ones_own_choice(calls: Calls) -> None:
    """--out."""
    assert runner.invoke(app, ["compress", "--out", "here"]).exit_code == 0
    assert calls[0][2]["folder"] == Path("here")


@pytest.mark.parametrize("verb", ["compress", "distill", "teach"])
def test_a_dry_run_only_says(calls: Calls, verb: str) -> None:
    """Lines of 80 columns, or a document."""
    said = runner.invoke(app, [verb, "--dry-run"]).stdout
    assert said.startswith(f"{verb} digits in ")
    assert max(map(len, said.splitlines())) <= 80
    assert said.splitlines()[-1].startswith(" " * 10 + "word")
    assert list(json.loads(runner.invoke(app, [verb, "--dry-run", "--json"]).stdout)) == ["plan"]
    assert calls == []


def test_json_is_the_report_and_nothing_else(calls: Calls) -> None:
    """One document on stdout."""
    assert json.loads(runner.invoke(app, ["compress", "--json"]).stdout)["name"] == "sample"


@pytest.mark.parametrize(("states", "code"), [(["pass", "undecided"], 0), (["pass", "over"], 1), (["pass", "missing"], 2)])
def test_a_run_with_limits_exits_as_check_does(states: list[str], code: int, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is printed all the same."""
    report = judged_report()
    kept = [next(verdict for verdict in report.verdicts if verdict.state == state and not verdict.warn) for state in states]

    def work(*_: Any, **__: Any) -> Report:
        return msgspec.structs.replace(report, verdicts=kept)

    monkeypatch.setattr(sys.modules["edgekd.compress"], "compress", work)
    result = runner.invoke(app, ["compress"])
    assert result.exit_code == code, result.output
    assert "student/resnet20/int8-cpu" in result.stdout


def test_quiet_prints_only_the_result(calls: Calls) -> None:
    """Nothing on stderr."""
    result = runner.invoke(app, ["compress", "-q"])
    assert result.stderr == ""
    assert "student/resnet20/int8-cpu" in result.stdout


def test_a_run_is_taken_up_by_its_folder(calls: Calls) -> None:
    """Its own recipe, its own origin, and paths from where its recipe lies."""
    with Run.open(Path("runs/a"), origin="recipe ../../r/a.toml", recipe_toml=encode_recipe(Recipe(seed=9)), emit=silent):
        pass
    assert runner.invoke(app, ["bench", "runs/a"]).exit_code == 0
    ((_, recipe, options),) = calls
    assert (recipe.seed, options["origin"], options["base"]) == (9, "recipe ../../r/a.toml", Path("r").resolve())
    result = runner.invoke(app, ["bench", "runs/a", "--out", "b"])
    assert result.exit_code == 2
    assert "runs/a is a run and stays where it is; take --out b away" in result.stderr


def test_a_runs_own_recipe_is_run_from_where_that_run_was(calls: Calls) -> None:
    """Its paths start where they did; and so it is another run, in a folder of its own."""
    with Run.open(Path("runs/a"), origin="recipe ../../r/a.toml", recipe_toml=encode_recipe(Recipe(data="npz:x.npz")), emit=silent):
        pass
    assert runner.invoke(app, ["compress", "runs/a/recipe.toml", "--out", "b"]).exit_code == 0
    ((_, recipe, options),) = calls
    assert (recipe.data, options["base"], options["folder"]) == ("npz:x.npz", Path("r").resolve(), Path("b"))
    with Run.open(Path("runs/b"), origin="recipe ../a/recipe.toml", recipe_toml=encode_recipe(Recipe(data="npz:x.npz")), emit=silent):
        pass
    assert runner.invoke(app, ["bench", "runs/b"]).exit_code == 0
    assert calls[-1][2]["base"] == Path("r").resolve()


def test_a_run_whose_manifest_is_damaged(calls: Calls) -> None:
    """It is said what is wrong with it."""
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/manifest.json").write_text('{"ori')
    result = runner.invoke(app, ["compress", "runs/a"])
    assert result.exit_code == 2
    assert "is a folder and no run of edgekd: its manifest.json does not read" in " ".join(result.stderr.split())


def test_a_run_by_flags_is_taken_up_from_anywhere(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its paths start where it was started, beside `runs`."""
    with Run.open(Path("runs/a"), origin="data npz:x.npz, teacher m.onnx", recipe_toml=encode_recipe(Recipe(data="npz:x.npz")), emit=silent):
        pass
    home = Path.cwd()
    Path("deep").mkdir()
    monkeypatch.chdir("deep")
    assert runner.invoke(app, ["bench", "../runs/a"]).exit_code == 0
    ((_, recipe, options),) = calls
    assert (recipe.data, options["base"]) == ("npz:x.npz", home)


@pytest.mark.parametrize(
    ("file", "instead"),
    [
        ("rgb.npz", "--data npz:rgb.npz"),
        ("rgb.csv", "--data csv:rgb.csv"),
        ("t.onnx", "--teacher t.onnx"),
        ("t.pth", "--teacher-weights t.pth"),
    ],
)
def test_what_is_no_recipe_by_its_name_is_told_its_place(calls: Calls, file: str, instead: str) -> None:
    """It was read as TOML."""
    Path(file).write_bytes(b"\x93")
    result = runner.invoke(app, ["compress", file])
    assert result.exit_code == 2
    assert f"a recipe is a TOML file or a run's folder; got {file}. Did you mean {instead}?" in " ".join(result.stderr.split())


@pytest.mark.parametrize(("file", "found"), [("run/report.json", "give its folder"), ("runs/nothing", "there is no such"), ("nothing.toml", None)])
def test_what_is_no_recipe_is_said(calls: Calls, file: str, found: str | None) -> None:
    """A report was said to be no TOML, and a run that is not there to be a recipe that `edgekd recipe` writes."""
    Path("run").mkdir()
    Path("run/report.json").write_text("{}")
    result = runner.invoke(app, ["compress", file])
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert "no recipe at nothing.toml" in said if found is None else f"this takes a recipe (FILE.toml) or a run's folder; got {file}: {found}" in said


def test_labelled_images_are_no_run(calls: Calls) -> None:
    """They are learnt from."""
    with Run.open(Path("runs/l"), origin="labels for folder:street by t.onnx", recipe_toml="", emit=silent):
        pass
    result = runner.invoke(app, ["export", "runs/l"])
    assert result.exit_code == 2
    assert "--data npz:runs/l/labelled.npz" in " ".join(result.stderr.split())


def test_a_folder_that_is_no_run_is_refused(calls: Calls) -> None:
    """With what would do."""
    Path("photos").mkdir()
    result = runner.invoke(app, ["compress", "photos"])
    assert result.exit_code == 2
    assert "photos is a folder and no run of edgekd" in result.stderr


def test_without_the_extra_the_line_that_installs_it_is_named(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a core-only install."""

    def missing(*_: Any, **__: Any) -> Report:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(sys.modules["edgekd.compress"], "compress", missing)
    result = runner.invoke(app, ["compress"])
    assert result.exit_code == 2
    assert f"numpy is needed here and is not installed. Install it with: {install_line('train')}" in result.stderr


SLOW = """
    import signal, sys, time, types
    module = types.ModuleType("edgekd.compress")
    def compress(recipe, *, folder, emit, **_):
        from edgekd.events import StageStarted
        emit(StageStarted(stage="teach"))
        time.sleep(60)
    module.compress = compress
    sys.modules["edgekd.compress"] = module
    from edgekd.cli import main
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests behind itself has it ignored
    main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_real_process_with_their_codes(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """And with a word on how to go on, no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW), "compress"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "teach …\n"
    time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert said.startswith("edgekd: Stopped. teach goes on from its last checkpoint")
    assert said.endswith("To go on: edgekd compress\n")
