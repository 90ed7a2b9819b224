"""Baselines: what is kept, where, and how it is read again."""

from pathlib import Path

import msgspec
import pytest

from edgekd.errors import MissingError, UsageError
from edgekd.gate import check
from edgekd.gate.baseline import PLACE, opened, save, slim
from edgekd.gate.limits import limits_from
from edgekd.reportfile import read_report
from tests.gate.folders import committed, written
from tests.report.sample import sample_report
from tests.toys import brightness


def test_what_is_saved_is_compared_with(tmp_path: Path) -> None:
    """A run against its own baseline has not grown; how it was trained is not kept."""
    run = written(tmp_path / "run", sample_report())
    kept = save([run], PLACE)
    assert read_report(PLACE) == kept == slim(sample_report())
    assert (kept.networks, kept.recipe) == ([], {})
    limits = limits_from(["growth.size=0%", "growth.latency=5%", "growth.memory=5%"])
    assert [verdict.state for verdict in check([run], limits, baseline=PLACE)] == ["pass"] * 3


def test_bare_files_have_one_baseline_together(tmp_path: Path) -> None:
    """Looked into, so that --why can tell what grew."""
    kept = save([brightness(tmp_path / "a.onnx"), brightness(tmp_path / "b.onnx")], tmp_path / "new" / "base.json")
    assert [(artifact.network, artifact.params, len(artifact.layers)) for artifact in kept.artifacts] == [("a", 34, 1), ("b", 34, 1)]


def test_a_baseline_is_of_one_report(tmp_path: Path) -> None:
    """Two runs have two."""
    runs = [written(tmp_path / name, sample_report()) for name in ("a", "b")]
    with pytest.raises(UsageError, match=r"a baseline is of one run, or of \.onnx files only; got .*a, .*b"):
        save(runs, PLACE)


def test_it_is_found_without_a_word(tmp_path: Path) -> None:
    """Where the nearest budget file says, else at its usual place; else that is an error."""
    with pytest.raises(MissingError, match=r"no report at budget/report\.json"), opened(None):
        pass
    save([written(tmp_path / "run", sample_report())], PLACE)
    with opened(None) as found:
        assert found.name == "sample"
    named = msgspec.structs.replace(sample_report(), name="named")
    written(tmp_path / "kept", named)
    (tmp_path / "budget.toml").write_text('baseline = "kept/report.json"\n')
    with opened(None) as found:
        assert found.name == "named"
    committed(tmp_path, "kept/report.json")
    (tmp_path / "budget.toml").write_text('baseline = "main:kept/report.json"\n')
    (tmp_path / "kept" / "report.json").unlink()
    with opened(None) as found:
        assert found.name == "named"
