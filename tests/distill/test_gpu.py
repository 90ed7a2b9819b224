"""edgekd.distill.train on a GPU: what would make it wait for the CPU."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, meter, train
from edgekd.phases import Phase, Temperature
from edgekd.terms import Kd, Label
from tests.distill import nets

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("shape", ["cosine", "teacher-confidence", "student-confidence", "learned"])
@pytest.mark.parametrize("views", [0, 2], ids=["live", "remembered"])
def test_no_step_makes_the_cpu_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, views: int) -> None:
    """From the fourth step on torch counts none, whoever answers and however T moves; what is logged asks for numbers, and is not looked at here."""
    monkeypatch.setattr(meter, "LOG_S", 1e9)
    monkeypatch.setattr(meter, "VALIDATIONS", 1)
    plain = train._Fit._step

    def watched(fit: Any, *step: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if 3 <= fit.place.step < fit.steps - 1 else "default")
        try:
            plain(fit, *step)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(train._Fit, "_step", watched)
    phase = Phase(name="soft", epochs=4, terms=(Kd(), Label(weight=0.1)), temperature=Temperature(start=4, end=1, shape=shape))
    settings = msgspec.structs.replace(nets.TRAIN, views=views)
    data = Batches(nets.images(), device="cuda")
    distill(
        nets.network(), nets.teacher(), Job(phases=(phase,), train=settings, folder=tmp_path, checkpoint_s=nets.NEVER), data=data, data_sha256="toy"
    )
