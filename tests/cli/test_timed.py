"""edgekd bench --layers and --sustained: what is typed reaches the bench, and what it comes to is printed at 80 columns."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from onnx import helper
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.cli.timed import load_s, refuse_unused, throughput_batches
from edgekd.errors import UsageError
from edgekd.record import Report
from tests.graphs import model, value
from tests.report.pages import drawn_report

runner = CliRunner()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of load that a stand-in for a run's bench is asked for; its report was profiled and loaded."""
    seen: list[float] = []

    def bench_files(*_: Any, sustained_s: float, **__: Any) -> Report:
        seen.append(sustained_s)
        return drawn_report()

    module = ModuleType("edgekd.compress")
    module.bench_files = bench_files  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgekd.compress", module)
    monkeypatch.setattr("edgekd.compress", module, raising=False)
    monkeypatch.chdir(tmp_path)
    return seen


def ran(*typed: str) -> str:
    """What a command prints that ends well."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_run_is_loaded_for_as_long_as_is_typed(asked: list[float]) -> None:
    """And not at all where nothing is."""
    ran("bench", "--sustained", "2 min")
    ran("bench")
    assert asked == [120.0, 0.0]


def test_layers_and_load_are_printed_below_the_report(asked: list[float]) -> None:
    """A sentence, and where it is asked for a table, within 80 columns."""
    plain, layered = ran("bench"), ran("bench", "--layers")
    assert "the last 10 s were 20.0 % slower than the first" in " ".join(plain.split())
    assert "Slowest layers of" not in plain
    table = layered[layered.index("Slowest layers of student/resnet20/int8-cpu on cpu") :].splitlines()
    assert table[4].split() == ["conv7", "Conv", "240", "µs", "17.3", "%"]
    assert max(map(len, layered.splitlines())) <= 80


def test_under_json_there_is_one_document(asked: list[float]) -> None:
    """With both in it, and no table behind it."""
    document = json.loads(ran("bench", "--layers", "--sustained", "60s", "--json"))
    measurement = next(each for each in document["measurements"] if each["layer_times"])
    assert measurement["layer_times"][0]["layer"] == "conv0"
    assert measurement["sustained"][0]["temperature_c"] == {"cpu": 45.5, "board": 30.0}


@pytest.mark.parametrize(("text", "seconds"), [(None, 0.0), ("60s", 60.0), ("1 s", 1.0), ("1500 ms", 1.5), ("60min", 3600.0)])
def test_times_of_load(text: str | None, seconds: float) -> None:
    """With their units, as everywhere."""
    assert load_s(text) == seconds


@pytest.mark.parametrize(("text", "batches"), [(None, []), ("8", [8]), ("32, 1,8,8", [1, 8, 32]), ("4096", [4096])])
def test_batches_of_throughput(text: str | None, batches: list[int]) -> None:
    """Each once, in rising order."""
    assert throughput_batches(text) == batches


@pytest.mark.parametrize("text", ["", "0", "-1", "1,,8", "1.5", "4097", "a", "²", "9" * 5000, "1;8"])
def test_what_are_no_batches(text: str) -> None:
    """Refused with an example, whatever was typed."""
    with pytest.raises(UsageError, match=r"as in 1,8,32"):
        throughput_batches(text)


@pytest.mark.parametrize("text", ["60", "0.9s", "61 min", "", "-5s", "soon", "nan s", "1e999s"])
def test_what_is_no_time_of_load(text: str) -> None:
    """A number alone would be milliseconds; too short says nothing, too long is a mistake."""
    with pytest.raises(UsageError):
        load_s(text)


def test_sizes_of_axes_that_no_file_leaves_open(tmp_path: Path) -> None:
    """By the axis's name or its place; what is misspelt, or fixed, is refused with what is open."""
    file = tmp_path / "m.onnx"
    made = model([helper.make_node("Relu", ["x"], ["y"])], [value("x", "n", 3, "height", 16)], [value("y", "n", 3, "height", 16)], [])
    file.write_bytes(made.SerializeToString())
    refuse_unused({"height": 224, "x.2": 8, "n": 1}, [file])
    for wrong in ("hieght", "x.3", "width"):
        with pytest.raises(UsageError, match=rf"'{wrong}' is none\. Open: n, height\."):
            refuse_unused({wrong: 224}, [file])
