"""edgekd.distill.ranks: two real processes that teach one network together, over gloo."""

import copy
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgekd.data.batches import order
from edgekd.distill import losses, schedule
from edgekd.distill.ranks import ALONE, Ranks, check_batch, launched
from edgekd.errors import UsageError
from tests.distill import nets
from tests.distill.ranked import COUPLED, INSIDE, PER_SAMPLE, Smooth, learn
from tests.needs import ROOT

State = dict[str, Tensor]


@dataclass(frozen=True)
class Ended:
    """How two processes ended: their exit codes, and what the main rank said."""

    codes: tuple[int, int]
    said: str


def launch(folder: Path) -> Ended:
    """Two processes on this machine, told what a launcher tells them; each job that has not ended is taken up."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "tests.distill.ranked", str(folder)]
    started = [
        subprocess.Popen(line, cwd=ROOT, env={**os.environ, **told, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    try:
        said = [process.communicate(timeout=100)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return Ended((started[0].returncode, started[1].returncode), said[0])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """All jobs, of which the last has lost a rank."""
    folder = tmp_path_factory.mktemp("together")
    return folder, launch(folder)


def state(folder: Path, job: str, rank: int) -> State:
    return load_file(folder / f"{job}-{rank}.safetensors")


def close(ours: State, theirs: State, tolerance: float) -> bool:
    """Whether two networks hold the same numbers, to rounding."""
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[n].float(), theirs[n].float(), rtol=0, atol=tolerance) for n in ours)


@pytest.mark.parametrize("job", ["per-sample", "coupled", "inside"])
def test_ranks_hold_the_same_bits(job: str, together: tuple[Path, object]) -> None:
    """Weights and running statistics alike."""
    ours, theirs = (state(together[0], job, rank) for rank in (0, 1))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_same_global_batch_gives_what_one_process_gets(tmp_path: Path, together: tuple[Path, object]) -> None:
    """Without batch statistics two ranks differ from one by rounding; temperatures that follow or are learned, and a subset that is chosen, too."""
    alone, _ = learn(tmp_path / "alone", Smooth, PER_SAMPLE)
    assert close(state(together[0], "per-sample", 0), alone.state_dict(), 2e-5)
    torch.manual_seed(1)
    begun = nets.network(Smooth()).state_dict()
    assert not close(begun, alone.state_dict(), 1e-2), "nothing was learnt, so that nothing was compared"


def test_terms_that_look_inside_learn_in_several_processes(tmp_path: Path, together: tuple[Path, object]) -> None:
    """The projection is everybody's: two ranks end where one process does, but for rounding, and where no feature is compared they do not."""
    alone, _ = learn(tmp_path / "alone", Smooth, INSIDE)
    assert close(state(together[0], "inside", 0), alone.state_dict(), 2e-5)
    labels = (nets.phase("inside", 2), INSIDE[1])
    without, _ = learn(tmp_path / "without", Smooth, labels)
    assert not close(without.state_dict(), alone.state_dict(), 1e-3)


def test_what_a_batch_couples_is_coupled_within_each_part(together: tuple[Path, object]) -> None:
    """As one process gets it that shows both halves of each batch to the same weights, and averages gradients and running statistics."""
    assert close(state(together[0], "coupled", 0), by_halves(), 2e-5)


def by_halves() -> State:
    """The reference: a loop of its own."""
    data, teacher = nets.data(), nets.teacher().eval()
    train, phase = nets.TRAIN, COUPLED[0]
    assert train.optimizer is not None
    assert train.batch is not None
    torch.manual_seed(1)
    student = nets.network(nets.Toy(dropout=0.0)).train()
    settings = train.optimizer
    optimizer = torch.optim.SGD(student.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay, nesterov=True)
    (steps,) = schedule.phase_steps(COUPLED, len(data), train.batch)
    per_pass = len(data) // train.batch
    for step in range(steps):
        number, slot = divmod(step, per_pass)
        batch = order(len(data), 5, number)[slot * train.batch : (slot + 1) * train.batch]
        optimizer.param_groups[0]["lr"] = settings.lr * schedule.rate(train.schedule, step, steps)
        halves = [copy.deepcopy(student) for _ in range(2)]
        for half, positions in zip(halves, batch.chunk(2), strict=True):
            assert train.augment is not None
            images, _, _ = data.view(positions, number % train.views, train.augment, train.view_seed)
            with torch.no_grad():
                answers = teacher(images).half().float()
            heat = torch.full((len(positions),), float(phase.temperature))  # type: ignore[arg-type]
            ours = half(images)
            (losses.kd(ours, answers, heat) + losses.dist(ours, answers, heat)).backward()  # type: ignore[no-untyped-call]
        for own, *parts in zip(student.parameters(), *(half.parameters() for half in halves), strict=True):
            own.grad = torch.stack([part.grad for part in parts if part.grad is not None]).mean(0)
        with torch.no_grad():
            for kept, *others in zip(student.buffers(), *(half.buffers() for half in halves), strict=True):
                kept.copy_(torch.stack(others).double().mean(0))
        optimizer.step()
    return dict(student.state_dict())


def test_a_lost_rank_is_told_and_the_run_goes_on(tmp_path: Path, together: tuple[Path, Ended]) -> None:
    """The main rank says what happened; two processes go on from its checkpoint to the bits of two that were not disturbed, and so does one alone."""
    folder, done = together
    assert done.codes == (1, -signal.SIGKILL)
    assert "2 processes teach together, and one of them ended" in done.said
    assert not (folder / "dies-0.safetensors").exists()
    shutil.copytree(folder / "dies", tmp_path / "dies")
    again = launch(folder)
    assert again.codes == (0, 0), again.said
    undisturbed = state(folder, "per-sample", 0)
    assert all(torch.equal(value, undisturbed[name]) for name, value in state(folder, "dies", 0).items())
    alone, training = learn(tmp_path / "dies", Smooth, PER_SAMPLE)
    assert training.steps == 24
    assert close(alone.state_dict(), undisturbed, 2e-5)


def test_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the main rank, shows whole batches, and agrees with itself."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (ALONE.main, launched()) == (True, (0, 1))
    positions = torch.arange(7)
    assert torch.equal(ALONE.part(positions), positions)
    assert ALONE.gathered(positions) is ALONE.agreed(positions) is positions


def test_parts_are_alike_and_apart() -> None:
    """What cannot be shared evenly is not shown."""

    class Third(Ranks):
        number, count = 2, 3

    assert Third().part(torch.arange(8)).tolist() == [4, 5]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    """With the nearest that can."""

    class Third(Ranks):
        number, count = 0, 3

    check_batch(129, Third())
    with pytest.raises(UsageError, match=r"128 images are not 3 equal parts. Take --set train.batch=129\."):
        check_batch(128, Third())


def test_a_launcher_says_who_is_who(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables that torchrun and accelerate set."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert launched() == (3, 4)
