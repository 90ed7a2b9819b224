"""edgekd.distill.stored: answers that stand beside the images teach as the network would that gave them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.distill import Job, distill
from edgekd.distill.stored import StoredAnswers
from edgekd.distill.teacher import Live
from edgekd.errors import UsageError
from edgekd.models.network import Network
from edgekd.phases import Subset
from edgekd.terms import Dist, Feature, Kd, Label
from tests.distill import nets


def test_every_view_has_the_answer_to_the_plain_image() -> None:
    """In float32 and by position, whatever is shown and whichever view it is."""
    logits = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float16)
    answers = StoredAnswers(logits)
    there = answers.on(torch.device("cpu"))
    some = torch.tensor([5, 0, 63])
    assert (answers.classes, answers.name) == (4, "answers")
    for view in (None, 0, 7):
        told = there.answer(torch.zeros(3, 3, 8, 8), some, view)
        assert told.dtype == torch.float32
        assert np.array_equal(told.numpy(), logits[[5, 0, 63]])
    assert np.array_equal(there.plain().numpy(), logits)


def test_the_hash_is_of_every_answer() -> None:
    """Also of answers that lie otherwise in memory."""
    logits = np.arange(12, dtype=np.float16).reshape(3, 4)
    other = logits.copy()
    other[2, 3] += 1
    assert StoredAnswers(logits).sha256 == StoredAnswers(np.asfortranarray(logits)).sha256
    assert StoredAnswers(logits).sha256 != StoredAnswers(other).sha256


def test_they_teach_what_the_network_teaches(tmp_path: Path) -> None:
    """On plain images a student ends with the weights that it ends with when the teacher is asked, a subset chosen by its answers among them."""
    phases = (
        nets.phase("all", 2, terms=(Kd(weight=0.9), Label(weight=0.1)), plain=True),
        nets.phase("some", terms=(Dist(),), plain=True, subset=Subset(by="confident", fraction=0.5)),
    )
    said = Live(nets.teacher(), nets.data()).plain().half().numpy()
    teachers: list[StoredAnswers | Network] = [StoredAnswers(said), nets.teacher()]  # the second is remembered, in fp16 as well
    ends = []
    for number, teacher in enumerate(teachers):
        student = nets.network()
        distill(student, teacher, Job(phases=phases, train=nets.TRAIN, folder=tmp_path / str(number)), data=nets.data(), data_sha256="x")
        ends.append(student)
    assert nets.same(*ends)
    assert not nets.same(ends[0], nets.network())


def test_terms_that_look_inside_have_nothing_to_look_at(tmp_path: Path) -> None:
    """The phase and the term are named before a step."""
    answers, phases = StoredAnswers(np.zeros((64, nets.CLASSES), np.float16)), (nets.phase("deep", terms=(Kd(), Feature())),)
    with pytest.raises(UsageError, match=r"look inside a teacher need one network.*'deep' has feature.*not by stored answers"):
        distill(nets.network(), answers, Job(phases=phases, train=nets.TRAIN, folder=tmp_path), data=nets.data(), data_sha256="x")
