"""edgekd bench --offline and --collect: what is typed reaches the folder, and what goes with no folder is refused."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from edgekd.bench import Bench
from edgekd.bench.offline import Written
from edgekd.cli.app import app
from edgekd.device.agent.folder import PLAN
from edgekd.errors import HostsLostError
from edgekd.record import Report
from tests.report.sample import sample_report
from tests.toys import brightness

runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two files."""
    monkeypatch.chdir(tmp_path)
    brightness(tmp_path / "a.onnx")
    brightness(tmp_path / "b.onnx", gain=-3.0)
    return tmp_path


def ran(*typed: str, code: int = 0) -> str:
    """What a command prints, ended so."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_a_folder_for_bare_files(folder: Path) -> None:
    """What to do there and afterwards is printed as lines that can be typed; all that was asked stands in the plan."""
    printed = ran("bench", "a.onnx", "b.onnx", "--offline", "my orin", "--max-time", "20", "--fps", "30", "--throughput", "1,4")
    there, back = printed.splitlines()[-2:]
    assert there == "there   cd 'my orin' && python3 agent.pyz ."
    assert shlex.split(back)[1:] == ["edgekd", "bench", "a.onnx", "b.onnx", "--collect", "my orin"]
    plan = json.loads((folder / "my orin" / PLAN).read_text())
    assert (plan["host"], plan["asked"]["targets"]) == ("my-orin", ["cpu"])
    asked = plan["asked"]["asked"]
    assert (asked["max_s"], asked["fps"], asked["batches"]) == (20.0, 30.0, [1, 4])
    assert asked["pairs"] == [["file/b/as-is", "file/a/as-is"]]
    jobs = [step["job"] for part in plan["parts"] for step in part]
    assert jobs.count("flow") == 4
    assert {step["wishes"]["frame_ms"] for part in plan["parts"] for step in part if step["job"] == "time"} == {None, 1e3 / 30}
    assert "was not carried out to its end: it holds no answers.jsonl" in ran("bench", "a.onnx", "b.onnx", "--collect", "my orin", code=2)


def test_a_folder_as_json() -> None:
    """One document."""
    document = json.loads(ran("bench", "a.onnx", "--offline", "orin", "--max-time", "5", "--json"))
    assert document["files"] == 1
    assert document["parts"] == 7


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("a.onnx", "--offline", "o", "--collect", "o"), "give one of them"),
        (("a.onnx", "--offline", "o", "--host", "user@orin"), "--host is for devices that a line reaches, and does not go with --offline"),
        (("a.onnx", "--offline", "o", "--sustained", "60s"), "--sustained is for devices that a line reaches"),
        (("a.onnx", "--offline", "o", "--lock-clocks"), "--lock-clocks is for devices that a line reaches"),
        (("a.onnx", "--collect", "o", "--python", "python3"), "--python is for devices that a line reaches, and does not go with --collect"),
        (("a.onnx", "--collect", "o", "--on", "cpu"), "--on was settled by --offline"),
        (("a.onnx", "--collect", "o", "--fps", "30"), "--fps was settled by --offline"),
        (("r.toml", "--offline", "o", "--fps", "30"), "--fps says nothing, and does not go with --offline"),
        (("a.onnx", "--offline", "o", "--max-time", "0"), "--max-time takes seconds above 0"),
        (("a.onnx", "--offline", "o", "--epochs", "3"), "--epochs says nothing about bare files"),
        (("a.onnx", "--collect", "o"), "o is no folder that edgekd bench --offline wrote: there is no plan.json"),
        (("a.onnx", "--offline", "b.onnx"), "b.onnx must be a folder, and is a file"),
    ],
)
def test_what_goes_with_no_folder(folder: Path, typed: tuple[str, ...], message: str) -> None:
    """Refused in words, and nothing is written."""
    (folder / "r.toml").write_text('data = "digits"\n')
    assert message in " ".join(ran("bench", *typed, code=2).split())
    assert not (folder / "o").exists()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], list[Any]]:
    """Put a stand-in for a run's work in its place: what it was asked is in the list that comes back."""

    def stand_in(name: str, answer: Any) -> list[Any]:
        seen: list[Any] = []

        def work(*_: Any, device: Path | None = None, **wishes: Any) -> Any:
            seen.append(device)
            if isinstance(answer, Exception):
                raise answer
            return answer

        module = ModuleType("edgekd.compress")
        setattr(module, name, work)
        monkeypatch.setitem(sys.modules, "edgekd.compress", module)
        monkeypatch.setattr("edgekd.compress", module, raising=False)
        return seen

    return stand_in


def test_a_run_is_written_and_collected(run: Callable[[str, Any], list[Any]]) -> None:
    """By its folder, which the line back names too."""
    seen = run("offline_files", Written(parts=3, files=8, bytes=1000, seconds=60))
    assert ran("bench", "--offline", "stick").endswith("back    edgekd bench runs/digits --collect stick\n")
    assert seen == [Path("stick")]
    seen = run("collected_files", sample_report())
    assert "Files" in ran("bench", "--collect", "stick")
    assert seen == [Path("stick")]


def test_a_host_that_was_lost_is_a_failure(run: Callable[[str, Any], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others came to is printed all the same: of a run and of bare files."""
    run("bench_files", HostsLostError({"orin": "it is off"}, sample_report()))
    result = runner.invoke(app, ["bench"])
    assert result.exit_code == 3
    assert "On cpu" in result.stdout

    def lost(*_: Any, **__: Any) -> Bench:
        return Bench([], [], {}, {}, {"orin": "it is off"})

    monkeypatch.setattr("edgekd.bench.bench", lost)
    result = runner.invoke(app, ["bench", "a.onnx", "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["doubts"] == ["orin: it is off"]


def test_lost_hosts_in_words() -> None:
    """Each with its reason; the report goes along."""
    error = HostsLostError({"orin": "it is off", "pi": "no route"}, Report(edgekd="1", name="", created=""))
    assert (str(error), error.exit_code) == ("orin was given up: it is off; pi was given up: no route", 3)
