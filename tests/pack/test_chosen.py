"""Which file is packed, and what is said where there is none to pack."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgekd.errors import EdgekdError, MissingError, UsageError
from edgekd.pack.chosen import chosen
from edgekd.record import Report
from edgekd.reportfile import read_report
from tests.device.nets import aim
from tests.pack.runs import rewritten


@pytest.fixture
def run(toy_run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be spoilt."""
    shutil.copytree(toy_run, tmp_path / "run")
    return tmp_path / "run"


def with_fp16(report: Report) -> Report:
    """The report with a second file of the same network."""
    return msgspec.structs.replace(report, artifacts=[*report.artifacts, msgspec.structs.replace(report.artifacts[0], precision="fp16")])


def test_what_ships_is_chosen(run: Path) -> None:
    """By the report; a target's name, or a file that describes one."""
    choice = chosen(run, "cpu", None)
    assert (choice.artifact.name, choice.target.name, choice.size, choice.channels) == ("student/toy/fp32", "cpu", (4, 4), 1)
    report = read_report(run)
    rewritten(run, report, shipped={"quiet/toy": "student/toy/fp32"})
    assert chosen(run, aim(run.parent), None).target.name == "quiet"


def test_a_named_file_goes_before_what_ships(run: Path) -> None:
    """On any target that can run it, measured there or not."""
    rewritten(run, with_fp16(read_report(run)))
    assert chosen(run, "cpu", "student/toy/fp16").artifact.precision == "fp16"
    choice = chosen(run, "jetson-orin-nano", "fp32")
    assert (choice.artifact.name, choice.measured) == ("student/toy/fp32", False)


Spoil = Callable[[Path, Report], object]
CASES: dict[str, tuple[Spoil, str, str | None, type[EdgekdError], str]] = {
    "no folder": (lambda run, _: shutil.rmtree(run), "cpu", None, MissingError, r"no run's folder at .*run\. `edgekd compress` makes one"),
    "killed": (
        lambda run, _: (run / "report.json").unlink(), "cpu", None, MissingError, "has not ended. Take it up again with: edgekd compress .*run"
    ),
    "no run": (lambda run, _: list(map(Path.unlink, run.glob("*.json"))), "cpu", None, MissingError, "is a folder and no run of edgekd"),
    "taught only": (
        lambda run, report: rewritten(run, report, artifacts=[], shipped={}), "cpu", None, MissingError, "has exported no file yet. It goes on with"
    ),
    "broken report": (lambda run, _: (run / "report.json").write_text("{"), "cpu", None, UsageError, "is not a report"),
    "no such target": (lambda *_: None, "cpo", None, MissingError, "no target is called 'cpo'. Did you mean 'cpu'?"),
    "never measured there": (
        lambda *_: None, "rtx-4090", None, MissingError,
        r"nothing ships on rtx-4090: .*where one ships: cpu\)\. Measure there with --on rtx-4090=HOST, or name a file with --artifact: student",
    ),
    "several ship": (
        lambda run, report: rewritten(run, with_fp16(report), shipped={"cpu/a": "student/toy/fp32", "cpu/b": "student/toy/fp16"}), "cpu", None,
        UsageError, "2 ship on cpu. Name one with --artifact: student/toy/fp16, student/toy/fp32",
    ),
    "no such file": (lambda *_: None, "cpu", "student/toy/int8", MissingError, "--artifact: no artifact matches 'student/toy/int8'"),
    "several named": (
        lambda run, report: rewritten(run, report, artifacts=[*report.artifacts, msgspec.structs.replace(report.artifacts[0], network="other")]),
        "cpu", "fp32", UsageError, "'fp32' fits student/toy/fp32, student/other/fp32. Write one of them in full",
    ),
    "another runtime's": (
        lambda run, report: rewritten(run, report, artifacts=[msgspec.structs.replace(report.artifacts[0], precision="int8-cpu")]),
        "jetson-orin-nano", "int8-cpu", UsageError, "runs fp16, int8-trt, fp32, and student/toy/int8-cpu is int8-cpu, which tensorrt does not take",
    ),
    "no classes": (lambda run, report: rewritten(run, report, data=None), "cpu", None, UsageError, "Name a run of `edgekd compress`"),
    "no Preprocess": (
        lambda run, report: rewritten(run, report, artifacts=[msgspec.structs.replace(report.artifacts[0], preprocess=None)]),
        "cpu", None, UsageError, "does not say how student/toy/fp32 wants its images",
    ),
    "missing": (
        lambda run, report: (run / report.artifacts[0].path).unlink(), "cpu", None, MissingError, "its file is not at .*It is made again by: edgekd"
    ),
    "damaged": (
        lambda run, report: (run / report.artifacts[0].path).write_bytes(b"x"), "cpu", None, UsageError,
        "is not as the run wrote it: its sha256 begins with 2d711642b726, the report has .*It is made again by: edgekd compress",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_packed_is_said_with_its_remedy(run: Path, case: str) -> None:
    """One message each."""
    spoil, on, wanted, error, said = CASES[case]
    spoil(run, read_report(run))
    with pytest.raises(error, match=said):
        chosen(run, on, wanted)
