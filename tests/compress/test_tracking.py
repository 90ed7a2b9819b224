"""Trackers: what reaches them, read back by TensorBoard's own reader, and that nothing depends on them."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgekd.compress import plan
from edgekd.compress.tracking import FOLDER, Tracker, figures, flat, tracking
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note, StageFinished, StageStarted, Trained
from edgekd.recipe import Recipe
from edgekd.recipefile import recipe_table
from tests.compress.jobs import recipe, run, workplace


def trained(step: int, loss: float = 0.5) -> Trained:
    """A step of twelve."""
    return Trained(
        network="thin", phase="transfer", step=step, steps=12, epoch=step / 4, epochs=3.0, loss=loss, temperature=3.0,
        shares={"kd": 0.9, "label": 0.1}, gradient_shares={"kd": 0.7}, learning_rate=0.1, images_per_s=900.0, seconds_left=1.0,
        valid_accuracy=0.75 if step % 4 == 0 else None,
    )  # fmt: skip


def scalars(folder: Path, stage: str) -> dict[str, list[tuple[int, float]]]:
    """By name the steps and values that TensorBoard shows of a stage."""
    reader = EventAccumulator(str(folder / FOLDER / "tensorboard" / stage))
    reader.Reload()
    return {tag: [(each.step, round(each.value, 4)) for each in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def sat(folder: Path, *events: Event, names: tuple[Tracker, ...] = ("tensorboard",)) -> list[Event]:
    """One sitting of a run with trackers: what everybody else was told."""
    told: list[Event] = []
    with tracking(names, folder, Recipe(), told.append) as emit:
        for event in events:
            emit(event)
    return told


def test_the_figures_of_training_are_read_back(tmp_path: Path) -> None:
    """Each under its name and step, by the stage that taught it; what has no figure leaves no point; every event goes on as it came."""
    events: list[Event] = [
        StageStarted(stage="teach"),
        trained(3),
        StageFinished(stage="teach", seconds=1.0),
        StageStarted(stage="distill/thin"),
        trained(4),
        trained(5),
    ]
    assert sat(tmp_path, *events) == events
    assert scalars(tmp_path, "teach")["loss"] == [(3, 0.5)]
    found = scalars(tmp_path, "distill/thin")
    assert found["share/kd"] == [(4, 0.9), (5, 0.9)]
    assert found["valid_accuracy"] == [(4, 0.75)]
    assert set(found) == {
        "loss", "temperature", "learning_rate", "images_per_s", "epoch", "valid_accuracy", "share/kd", "share/label", "gradient_share/kd",
    }  # fmt: skip
    assert "temperature" not in figures(msgspec.structs.replace(trained(1), temperature=None))


def test_a_second_sitting_goes_on(tmp_path: Path) -> None:
    """From the checkpoint: what was written after it gives way, what stood before stays, and the recipe is written down once."""
    sat(tmp_path, StageStarted(stage="distill/thin"), trained(3, 0.9), trained(6, 0.6), trained(9, 0.3))
    sat(tmp_path, StageStarted(stage="distill/thin"), trained(5, 0.7), trained(12, 0.1))
    assert scalars(tmp_path, "distill/thin")["loss"] == [(3, 0.9), (5, 0.7), (12, 0.1)]
    assert len(list((tmp_path / FOLDER / "tensorboard" / "distill" / "thin").rglob("hparams.yml"))) == 1


def test_the_recipe_is_the_configuration(tmp_path: Path) -> None:
    """By its own paths, every value plain."""
    settings = flat(recipe_table(Recipe()))
    assert (settings["phase.0.temperature"], settings["phase.1.subset.by"], settings["on.cpu"]) == (3.0, "mixed", "local")
    assert {type(value) for value in settings.values()} <= {bool, int, float, str}
    sat(tmp_path, StageStarted(stage="teach"), trained(1))
    (file,) = (tmp_path / FOLDER).rglob("hparams.yml")
    assert "phase.1.subset.by: mixed" in file.read_text()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_package_that_is_not_there_is_named_first(tmp_path: Path, name: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it, before the run's folder is made."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingError, match=f"--log {name} needs the package {name}, and it is not installed. Install it with: pip install {name}"):
        run(tmp_path, Recipe(), verb="teach", log=[name])
    assert not (tmp_path / "run").exists()


def test_an_unknown_tracker_names_the_nearest(tmp_path: Path) -> None:
    """And all there are, in a dry run, too."""
    with pytest.raises(UsageError, match=r"--log takes tensorboard, mlflow, wandb, got 'tensorbord'\. Did you mean 'tensorboard'\?"):
        sat(tmp_path, names=("tensorbord",))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Did you mean 'tensorboard'"):
        plan(Recipe(), base=tmp_path, log=["tensorbord"])


def test_without_a_name_nothing_is_written(tmp_path: Path) -> None:
    """The default."""
    sat(tmp_path, StageStarted(stage="teach"), trained(1), names=())
    assert list(tmp_path.iterdir()) == []


class Recorder:
    """A package as Accelerate speaks to Weights & Biases: notes what it is asked, and fails from a step on."""

    def __init__(self, fails: int) -> None:
        self.fails, self.asked, self.logged, self.ended = fails, [dict[str, Any]()], [dict[str, Any]()], 0
        self.config = types.SimpleNamespace(update=lambda values, **_: self.asked.append(values))

    def init(self, **asked: Any) -> "Recorder":
        """Begin a run."""
        print("see your run at …")
        self.asked.append(asked)
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        """Take figures, or fail."""
        if step >= self.fails:
            raise ConnectionError("the server is gone.\nmore")
        self.logged.append({"step": step, **values})

    def finish(self) -> None:
        """End the run."""
        self.ended += 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Weights & Biases' place taken by one that fails at step 6."""
    found = Recorder(6)
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    return found


def test_a_tracker_that_fails_is_left_out(tmp_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once, the other one goes on, and what it prints stays off stdout."""
    told = sat(tmp_path, StageStarted(stage="teach"), trained(5), trained(6), trained(7), names=("wandb", "tensorboard"))
    assert [step for step, _ in scalars(tmp_path, "teach")["loss"]] == [5, 6, 7]
    assert [each["step"] for each in recorder.logged[1:]] == [5]
    (note,) = [event for event in told if isinstance(event, Note)]
    said = "wandb failed and is left out from here on: ConnectionError: the server is gone. All figures stand in events.jsonl too."
    assert (note.level, note.text) == ("warning", said)
    assert capsys.readouterr().out == ""


def test_each_stage_has_a_run_of_its_own(tmp_path: Path, recorder: Recorder) -> None:
    """Grouped by the run's folder, with the recipe, and ended with the stage."""
    folder = tmp_path / "photos"
    folder.mkdir()
    sat(
        folder,
        StageStarted(stage="teach"),
        trained(1),
        StageFinished(stage="teach", seconds=1.0),
        StageStarted(stage="distill/thin"),
        trained(1),
        names=("wandb",),
    )
    begun, settings = recorder.asked[1::2], recorder.asked[2::2]
    assert [(each["group"], each["name"], each["dir"]) for each in begun] == [
        ("photos", name, str(folder / FOLDER)) for name in ("teach", "distill/thin")
    ]
    assert [each["data"] for each in settings] == ["digits", "digits"]
    assert recorder.ended == 2


def test_a_run_keeps_its_log_and_its_results(tmp_path: Path) -> None:
    """A real one: teacher and student have their curves below log/, and the stages are those of a run without."""
    base = workplace(tmp_path, train=120)
    report, _ = run(base, recipe(), verb="distill", log=["tensorboard"])
    for stage, accuracy in zip(("teach", "distill/thin"), [network.valid_accuracy for network in report.networks], strict=True):
        found = scalars(base / "run", stage)
        assert found["valid_accuracy"][-1][1] == pytest.approx(accuracy, abs=1e-4)
        assert found["loss"][-1][0] == found["epoch"][-1][0] > 0
    assert {"share/kd", "gradient_share/label"} <= set(found)
    again, told = run(base, recipe(), verb="distill")
    assert [event.reused for event in told if isinstance(event, StageFinished)] == [True, True]
    assert again.networks == report.networks
