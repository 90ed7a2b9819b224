"""edgekd.distill.train: a run that was stopped goes on as if it had not been, in this process and in others."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch

from edgekd.distill import checkpoint
from edgekd.errors import RunError
from edgekd.events import Event, Note
from edgekd.models.network import Network
from edgekd.phases import Train
from edgekd.record import Training
from tests import needs
from tests.distill import nets

Undisturbed = Callable[[Train], tuple[Network, Training]]
Killed = dict[signal.Signals, tuple[Path, int, str]]

KILLS = ((signal.SIGKILL, 19, nets.ALWAYS), (signal.SIGTERM, 7, nets.NEVER), (signal.SIGINT, 20, nets.NEVER))
"""Signal, the step during which it comes, seconds between checkpoints."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The same run without a stop, once for each setting."""
    runs: dict[float, tuple[Network, Training]] = {}

    def run(train: Train) -> tuple[Network, Training]:
        if train.ema not in runs:
            runs[train.ema] = nets.run(tmp_path_factory.mktemp("undisturbed"), train=train)
        return runs[train.ema]

    return run


def stop(folder: Path, number: int, step: int, train: Train = nets.TRAIN) -> list[str]:
    """A run up to a signal during a step; gives the notes."""
    events: list[Event] = []
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        nets.run(folder, stops=[step], by=number, train=train, emit=events.append)
    return [event.text for event in events if isinstance(event, Note)]


def points(training: Training) -> list[tuple[object, ...]]:
    """What of a curve does not depend on how often it was logged."""
    return [
        (point.step, point.epoch, point.phase, point.learning_rate, point.temperature, point.first_temperature, point.valid_accuracy)
        for point in training.curve
    ]


def steps_done(folder: Path) -> int:
    step: int = torch.load(folder / checkpoint.NAME, weights_only=True)["place"]["step"]
    return step


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Processes that were sent a signal while they computed a step: the folder, the exit code and what all of them wrote, by signal."""
    folders = [tmp_path_factory.mktemp(number.name) for number, _, _ in KILLS]
    told = [str(part) for folder, (number, step, seconds) in zip(folders, KILLS, strict=True) for part in (folder, int(number), step, seconds)]
    # A process that forks must have one thread.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.distill.killed", *told]
    ended = subprocess.run(command, cwd=needs.ROOT, env=environment, capture_output=True, text=True, timeout=100, check=True)
    codes = [int(code) for code in ended.stdout.split()]
    return {number: (folder, code, ended.stderr) for folder, code, (number, _, _) in zip(folders, codes, KILLS, strict=True)}


@pytest.mark.parametrize(
    ("number", "code", "kept"),
    [
        (signal.SIGKILL, -signal.SIGKILL, 18),
        (signal.SIGTERM, 143, 7),
        # Python ends itself by SIGINT where nobody takes it up, which a shell calls 130.
        (signal.SIGINT, -signal.SIGINT, 20),
    ],
)
def test_a_killed_process_is_continued(killed: Killed, undisturbed: Undisturbed, number: signal.Signals, code: int, kept: int) -> None:
    """In either phase: bit for bit the weights of an undisturbed run, with averaged weights, a subset, and temperatures that follow and learn."""
    folder, returned, errors = killed[number]
    assert returned == code, errors
    assert steps_done(folder) == kept
    events: list[Event] = []
    student, training = nets.run(folder, train=nets.EMA, emit=events.append)
    assert Note(text=f"student goes on from step {kept} of {nets.STEPS}") in events
    whole, expected = undisturbed(nets.EMA)
    assert nets.same(student, whole)
    assert points(training) == points(expected)


@pytest.mark.parametrize("train", [nets.TRAIN, nets.EMA], ids=["plain", "averaged"])
def test_stopped_at_every_step(tmp_path: Path, undisturbed: Undisturbed, train: Train) -> None:
    """24 sittings of a step each, ended by both signals in turn, come to the same weights, statistics and curve."""
    for step, number in zip(range(1, nets.STEPS + 1), itertools.cycle([signal.SIGTERM, signal.SIGINT]), strict=False):
        said = stop(tmp_path, number, 1, train)
        assert said[-1] == f"stopped at step {step} of {nets.STEPS}; the same command goes on from there"
    student, training = nets.run(tmp_path, train=train)
    whole, expected = undisturbed(train)
    assert nets.same(student, whole)
    assert points(training) == points(expected)


def test_a_temperature_that_learns_is_training_state(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """It stands in the checkpoint and moves, so that a resume could lose it; the student has no part of it."""
    whole, training = undisturbed(nets.TRAIN)
    heats = [point.temperature for point in training.curve if point.phase == "refine" and point.temperature is not None]
    assert training.curve[-1].first_temperature == pytest.approx(2.75)
    assert len(set(heats)) == 3
    assert abs(heats[-1] - 2.75) > 1e-3
    stop(tmp_path, signal.SIGTERM, 20)
    kept = torch.load(tmp_path / checkpoint.NAME, weights_only=True)
    assert kept["place"]["learned"].shape == ()
    assert kept["states"]["network"].keys() == whole.state_dict().keys() == nets.network().state_dict().keys()


def test_runs_with_other_seeds_differ(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Equal bits are no accident: another order of batches ends elsewhere."""
    other, _ = nets.run(tmp_path, train=msgspec.structs.replace(nets.TRAIN, view_seed=1))
    assert not nets.same(other, undisturbed(nets.TRAIN)[0])


def test_a_finished_run_is_not_taught_further(tmp_path: Path) -> None:
    """Continued after its last step, it ends with the same weights and curve."""
    student, training = nets.run(tmp_path, checkpoint_s=nets.ALWAYS)
    again, repeated = nets.run(tmp_path)
    assert nets.same(again, student)
    assert repeated.curve == training.curve


def test_seconds_of_all_sittings_add_up(tmp_path: Path) -> None:
    """A pause between them does not count, and a sitting takes up where the last one ended."""
    stop(tmp_path, signal.SIGTERM, 20)
    table = torch.load(tmp_path / checkpoint.NAME, weights_only=True)
    assert 0 < table["place"]["seconds"] < 60
    table["place"]["seconds"] = 1000.0
    torch.save(table, tmp_path / checkpoint.NAME)
    assert 1000 < nets.run(tmp_path)[1].seconds < 1060


def test_the_command_stops_as_it_was_told(tmp_path: Path) -> None:
    """SIGTERM leaves with 143, SIGINT is a KeyboardInterrupt; handlers are as they were."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as left:
        nets.run(tmp_path, stops=[3], by=signal.SIGTERM)
    assert left.value.code == 143
    with pytest.raises(KeyboardInterrupt):
        nets.run(tmp_path, stops=[3], by=signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert steps_done(tmp_path) == 6


@pytest.mark.parametrize("train", [nets.EMA, msgspec.structs.replace(nets.TRAIN, batch=8)], ids=["averaged", "another batch"])
def test_another_jobs_checkpoint_is_refused(tmp_path: Path, train: Train) -> None:
    """Other settings are another job; the checkpoint stays where it is."""
    stop(tmp_path, signal.SIGTERM, 3)
    with pytest.raises(RunError, match="is the checkpoint of another job"):
        nets.run(tmp_path, train=train)
    assert steps_done(tmp_path) == 3


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """Training does not begin anew over a file that it cannot read."""
    (tmp_path / checkpoint.NAME).write_text("my notes")
    with pytest.raises(RunError, match="does not read as a checkpoint"):
        nets.run(tmp_path)
    assert (tmp_path / checkpoint.NAME).read_text() == "my notes"


def test_whoever_keeps_a_run_hears_of_each_checkpoint(tmp_path: Path) -> None:
    """Called after the file has its name: once a step here."""
    heard: list[bool] = []
    nets.learn(tmp_path, nets.phase(), checkpoint_s=nets.ALWAYS, kept=lambda: heard.append(os.path.exists(tmp_path / checkpoint.NAME)))
    assert heard == [True] * 4
