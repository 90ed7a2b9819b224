"""edgekd.distill.train: which images a step shows, and in which view."""

from pathlib import Path

import torch
from torch import Tensor

from edgekd.data.batches import Batch, Batches
from edgekd.phases import Augment, Subset
from edgekd.terms import Kd
from tests.distill import nets


class Watched(Batches):
    """Images that note which of them were shown, and in which view."""

    def __init__(self) -> None:
        super().__init__(nets.images())
        self.shown: list[tuple[int | None, list[int]]] = []

    def view(self, positions: Tensor, view: int, augment: Augment, view_seed: int) -> Batch:
        self.shown.append((view, positions.tolist()))
        return super().view(positions, view, augment, view_seed)

    def plain(self, positions: Tensor) -> Batch:
        self.shown.append((None, positions.tolist()))
        return super().plain(positions)


class Asked:
    """A teacher of zeros that notes for which views it was asked."""

    def __init__(self) -> None:
        self.views: list[int | None] = []

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        self.views.append(view)
        return torch.zeros(len(images), nets.CLASSES)

    def plain(self) -> Tensor:
        raise AssertionError("nothing here needs the answers for all images")


def test_passes_are_counted_through_all_phases(tmp_path: Path) -> None:
    """A pass that a phase did not finish counts, so that no view or order comes twice; `views` come round."""
    phases = nets.phase("a", 1.5), nets.phase("b", 1, subset=Subset(fraction=0.5)), nets.phase("c", 0.5)
    live, remembered = Watched(), Watched()
    nets.learn(tmp_path / "live", *phases, images=live, views=0)
    nets.learn(tmp_path / "remembered", *phases, images=remembered, views=3)
    passes = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [view for view, _ in live.shown] == passes
    assert [view for view, _ in remembered.shown] == [number % 3 for number in passes]
    assert [positions for _, positions in live.shown] == [positions for _, positions in remembered.shown]


def test_a_plain_phase_shows_images_as_they_are(tmp_path: Path) -> None:
    """Its passes count as others do, and the teacher is asked for the same plain images."""
    watched, teacher = Watched(), Asked()
    lengths = {"a": 1, "b": 0.5, "c": 0.25}
    phases = [nets.phase(name, epochs, terms=(Kd(),), plain=name == "b") for name, epochs in lengths.items()]
    nets.learn(tmp_path, *phases, images=watched, teacher=teacher, views=0)
    assert [view for view, _ in watched.shown] == teacher.views == [0, 0, 0, 0, None, None, 2]


def test_a_pass_shows_each_image_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    """All 64, in batches of 16."""
    watched = Watched()
    nets.learn(tmp_path, nets.phase(epochs=2), images=watched)
    first, second = ([position for _, batch in watched.shown[start : start + 4] for position in batch] for start in (0, 4))
    assert sorted(first) == sorted(second) == list(range(64))
    assert first != second


def test_subsets_follow_the_runs_seed_and_the_phase(tmp_path: Path) -> None:
    """Two phases by one rule see different images, and so do two runs; one run sees the same again."""
    half = Subset(fraction=0.5)

    def seen(name: str, seed: int) -> list[set[int]]:
        watched = Watched()
        nets.learn(tmp_path / name, nets.phase("a", 0.5, subset=half), nets.phase("b", 0.5, subset=half), images=watched, seed=seed)
        return [set(watched.shown[i][1] + watched.shown[i + 1][1]) for i in (0, 2)]

    first, second = seen("first", 3)
    assert [len(first), len(second)] == [32, 32]
    assert seen("again", 3) == [first, second]
    assert first != second
    assert first not in seen("other", 4)
