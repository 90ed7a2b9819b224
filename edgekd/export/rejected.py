"""A file that is not fit for use is kept aside, with a report of what differs and where, so that it can be looked into.

In: a file without its name yet, what it was made from, and whatever checks it. Out: where a check fails, NAME.onnx.rejected beside where the file
would stand, NAME.onnx.rejected.json with every layer, and the check's message with the first layer that drifts. A later file of that name that is fit
takes both away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import TypeAlias

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from edgekd import __version__
from edgekd.errors import EdgekdError, MissingError, RunError, UsageError
from edgekd.export.drift import Drift, find
from edgekd.export.feed import Feed, open_session
from edgekd.export.parity import FEWEST, compared
from edgekd.files import atomic_path, write_atomic
from edgekd.record import Parity, Precision

Source: TypeAlias = nn.Module | onnx.ModelProto | Path
"""What a file was made from; a path is a model's."""

SHOWN = 3
"""Images on which every layer is compared: those whose answers are off the most."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The report beside a file that was rejected. `parity` is None where its answers do not compare, as where they are not finite."""

    schema: int = 1
    file: str
    precision: str
    message: str
    parity: Parity | None
    drift: Drift | None
    edgekd: str = __version__


@dataclass(frozen=True)
class Step:
    """How a file came about: what its model was made from, its prepared images, and the logits of the step before."""

    source: Source
    model: onnx.ModelProto
    feed: Feed
    images: NDArray[np.float32]
    before: NDArray[np.float32]
    precision: Precision


@contextmanager
def kept_aside(unfinished: Path, path: Path, step: Step) -> Iterator[None]:
    """Let a block check the file `unfinished`, which is to become `path`; what it refuses is kept aside.

    Raises:
        EdgekdError: what the block raised, with the layer where it begins and where the file is kept.
    """
    aside = path.with_name(f"{path.name}.rejected")
    report = aside.with_name(f"{aside.name}.json")
    try:
        yield
    except (UsageError, MissingError, RunError):  # nothing is wrong with the file
        raise
    except EdgekdError as error:
        drift, where = _where(step)
        message = f"{error} {where} The file is kept as {aside}, with its figures in {report.name} beside it."
        with atomic_path(aside) as copy:
            copyfile(unfinished, copy)
        told = Rejected(file=path.name, precision=step.precision, message=message, parity=_answers(step), drift=drift)
        write_atomic(report, msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
        raise type(error)(message) from error
    for old in (aside, report):
        old.unlink(missing_ok=True)


def _where(step: Step) -> tuple[Drift | None, str]:
    """Where the file begins to differ, in figures and in words; a file that does not even run has no such place."""
    try:
        source = onnx.load(step.source) if isinstance(step.source, Path) else step.source
        found = find(source, step.model, step.images[_worst(step)], step.feed, precision=step.precision)
    except Exception as error:  # of the runtime, whose exceptions share no base class: it must not hide what the file was rejected for
        cause = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
        return None, f"Which layer that comes from cannot be told: {cause}."
    return found, found.told


def _worst(step: Step) -> list[int]:
    """The images whose answers are off the most, first; the first ones where that cannot be said."""
    first = list(range(min(SHOWN, len(step.images))))
    try:
        off = np.abs(_logits(step) - step.before[:FEWEST]).max(axis=1)
    except Exception:  # as above: then any images will do
        return first
    return [int(at) for at in np.argsort(-off, kind="stable")[:SHOWN]] if np.isfinite(off).all() else first


def _answers(step: Step) -> Parity | None:
    """How the file's answers to the first images compare, where they do."""
    try:
        logits, before = _logits(step), step.before[:FEWEST]
    except Exception:  # as above: the message says why
        return None
    if logits.shape != before.shape or not np.isfinite(logits).all() or not np.isfinite(before).all():
        return None
    return compared(logits, before, float(step.before.std()) or 1.0, step.feed.batch or FEWEST)


def _logits(step: Step) -> NDArray[np.float32]:
    session = open_session(step.model.SerializeToString(), step.precision, layouts=step.precision != "fp16")
    return step.feed.answer(session, step.images[:FEWEST], FEWEST)
