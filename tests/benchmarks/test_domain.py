"""Tests of benchmarks/domain.py."""

from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks import domain
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.distill.domain import SelfTeaching
from edgekd.models.load import build
from edgekd.phases import Augment


def test_a_poor_camera_keeps_what_an_image_shows() -> None:
    """Grey, of less contrast, noisy, the same each time, and brighter where the image is."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    seen = domain.poor(pixels, 1)
    assert (seen.dtype, seen.shape) == (pixels.dtype, pixels.shape)
    assert np.array_equal(seen, domain.poor(pixels, 1))
    assert not np.array_equal(seen, domain.poor(pixels, 2))
    assert np.array_equal(seen[..., 0], seen[..., 2])
    assert np.corrcoef(pixels.mean(axis=3).ravel(), seen[..., 0].ravel())[0, 1] > 0.7


def test_what_a_domain_gains_is_paired_with_the_source_alone() -> None:
    """On source and target, over the seeds that both have; the gradient is the largest that was seen."""
    found = {"source_only": [(80.0, 40.0), (82.0, 44.0)], "own_logits": [(80.5, 40.0), (81.5, 44.0)], "ours": [(79.0, 60.0), (81.0, 65.0)]}
    rows = [
        {
            "way": way,
            "seed": seed,
            "source_accuracy": here,
            "target_accuracy": there,
            "source_auc": 97.0,
            "target_auc": 90.0,
            "largest_gradient": 0.1 + seed,
        }
        for way, seeds in found.items()
        for seed, (here, there) in enumerate(seeds)
    ]
    figures = domain.figures(rows)
    assert (figures["ours_minus_source_only_target"], figures["ours_minus_source_only_source"]) == (20.5, -1.0)
    assert figures["ours_minus_source_only_target_low"] < 20.5 < figures["ours_minus_source_only_target_high"]
    assert (figures["own_logits_minus_source_only_target"], figures["ours_largest_gradient"]) == (0.0, 1.1)
    assert not {"ours_unaligned_target_accuracy", "teacher_target_accuracy", "source_only_largest_gradient"} & set(figures)


def test_own_logits_have_no_gradient_and_an_averaged_teacher_has() -> None:
    """On the target's images, at a student's weights as they begin: but for rounding."""
    torch.manual_seed(0)
    student = build("resnet8", classes=10, shape=(32, 32, 3), preprocess=domain.IMAGENET).train()
    pixels = domain.poor(np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8), 1)
    images = Images(np.full(64, -1), np.arange(64), (32, 32, 3), pixels)
    options = msgspec.structs.replace(domain.OPTIONS, confidence=0.0)
    shared: dict[str, Any] = {"content": "x", "wanted": [1] * 10, "augment": Augment(), "view_seed": 0, "batch": 64, "seed": 0, "steps": 1}
    lesson = SelfTeaching(student, Batches(images), options, **shared)
    own = [domain.OwnLogits(lesson, together=together) for together in (False, True)]
    for one, least, most in ((own[0], 0.0, 1e-5), (own[1], 0.0, 1e-5), (lesson, 1e-2, 1e9)):
        looked = domain.Looked(one)
        guests = looked.guests(domain.EVERY - 1, plain=False)
        answers = torch.zeros(4, 10) if guests is None else torch.cat([torch.zeros(4, 10), student(guests)])
        looked.parts(student, torch.zeros(0), answers, step=domain.EVERY - 1)
        assert (guests is None) == (one is own[0])
        assert least <= looked.largest <= most
