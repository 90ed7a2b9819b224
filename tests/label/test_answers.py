"""edgekd.label.answers: what is asked, in which views, and what parts that stand are worth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data import views
from edgekd.data.images import Images, Pixels
from edgekd.events import Event, Note, Progress, silent
from edgekd.label import answers
from edgekd.label.perceptual import difference_hash
from edgekd.label.rules import Answers
from edgekd.models.network import Network
from edgekd.phases import Augment
from edgekd.preprocess import Preprocess
from tests.label.conftest import noise

AUGMENT = Augment(crop=2)
COUNT, VIEWS = 150, 3


class Counting(nn.Module):
    """The mean of each channel, in disorder where the first pixel is 0 (no number); counts how often it is asked."""

    asked = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        assert not self.training
        means = images.mean((2, 3))
        return torch.where(images[:, :1, 0, 0] == 0, torch.nan, means)


@pytest.fixture
def pixels() -> Pixels:
    """Images whose first pixel is not black, but for number 5."""
    found = np.maximum(noise(COUNT), 1)
    found[5, 0, 0] = 0
    return found


def asked(pixels: Pixels, folder: Path, events: list[Event] | None = None) -> tuple[Answers, int]:
    """The answers of a teacher, and how often it was asked."""
    body = Counting()
    network = Network(body, Preprocess(mean=(0.0,), std=(1.0,)), name="counting", classes=3)
    images = Images(np.full(len(pixels), -1), np.arange(len(pixels)), (16, 16, 3), pixels)
    told = silent if events is None else events.append
    found = answers.ask(network, images, folder, number=VIEWS, augment=AUGMENT, device=torch.device("cpu"), emit=told)
    return found, body.asked


def test_each_image_is_asked_about_as_it_is_and_in_its_views(pixels: Pixels, tmp_path: Path) -> None:
    """The views are those that training replays; an answer that is no number stays one, and votes for nothing."""
    events: list[Event] = []
    found, count = asked(pixels, tmp_path, events)
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    means = views.plain(tensor).mean((2, 3)).numpy()
    fine = np.arange(COUNT) != 5
    assert np.allclose(found.logits[fine], means[fine], atol=1e-6)
    assert np.isnan(found.logits[5]).all()
    for view in range(VIEWS):
        seen = views.view(tensor, torch.arange(COUNT), view, AUGMENT, answers.VIEW_SEED)
        expected = torch.where(seen[:, 0, 0, 0] == 0, -1, seen.mean((2, 3)).argmax(1))
        assert found.votes[:, view].tolist() == expected.tolist()
    assert -1 in found.votes
    assert found.hashes.tolist() == [difference_hash(picture) for picture in pixels]
    assert count == (1 + VIEWS) * 3
    assert [(each.done, each.total) for each in events if isinstance(each, Progress)] == [(64, COUNT), (128, COUNT), (150, COUNT)]


def test_what_stands_is_not_asked_again(pixels: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts: nothing. Without the second: from there on, whatever stands behind it. The answers are the same each time."""
    monkeypatch.setattr(answers, "PART_S", 0)
    whole, _ = asked(pixels, tmp_path)
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert parts == ["part-000000000.npz", "part-000000064.npz", "part-000000128.npz"]
    for gone, count in (([], 0), (parts[1:2], 8), (parts[2:], 4)):
        for name in gone:
            (tmp_path / name).unlink()
        again, number = asked(pixels, tmp_path)
        assert number == count
        assert all(np.array_equal(getattr(whole, key), getattr(again, key), equal_nan=key == "logits") for key in ("logits", "votes", "hashes"))


@pytest.mark.parametrize("damage", ["torn", "other", "longer"])
def test_a_part_that_is_not_what_it_was_is_asked_anew(pixels: Pixels, tmp_path: Path, damage: str) -> None:
    """With a warning; an error would be no help to anybody."""
    whole, _ = asked(pixels, tmp_path)
    (part,) = tmp_path.iterdir()
    if damage == "torn":
        part.write_bytes(part.read_bytes()[:-100])
    else:
        rows, classes = (COUNT, 4) if damage == "other" else (COUNT + 1, 3)
        np.savez(part, logits=np.zeros((rows, classes)), votes=np.zeros((rows, VIEWS)), hashes=np.zeros(rows))
    events: list[Event] = []
    again, number = asked(pixels, tmp_path, events)
    assert number == (1 + VIEWS) * 3
    assert np.array_equal(whole.logits, again.logits, equal_nan=True)
    assert [each.text for each in events if isinstance(each, Note) and each.level == "warning" and "asked anew" in each.text]
