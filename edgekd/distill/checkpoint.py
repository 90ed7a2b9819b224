"""Everything that resuming needs, in one file that is replaced whole.

The order of batches, the views and the learning rate are pure functions of the step, so that no data loader or schedule has state of its own.
What is kept: weights, optimiser, averaged weights, ranges of what is rounded, the phase's subset, what the temperature follows or has learned,
torch's generator (dropout) and the curve so far.
"""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from edgekd.errors import RunError
from edgekd.files import atomic_path
from edgekd.record import CurvePoint

NAME = ".checkpoint.pt"
"""With a dot: a stage that is done counts its files, and this one is none of them."""
FORMAT = 1


@dataclasses.dataclass
class Place:
    """Where training stands: after `step` steps in all, `phase_step` of them in phase number `phase`, which began with pass `first_pass`.

    `positions` are the images that the phase sees; None until it has begun. `confidence` is how sure the student is, where a temperature follows it,
    `learned` the x of the phase's temperature, where it is learned, `first_temperature` its T at the phase's first step. `ranges` are those that a
    quantised phase rounds within.
    """

    step: int = 0
    phase: int = 0
    phase_step: int = 0
    first_pass: int = 0
    positions: Tensor | None = None
    confidence: Tensor | None = None
    learned: Tensor | None = None
    first_temperature: Tensor | None = None
    ranges: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    curve: list[CurvePoint] = dataclasses.field(default_factory=list)


def save(folder: Path, place: Place, states: dict[str, Any], *, key: str) -> None:
    """Write the checkpoint: `states` by name as `state_dict()` gives them. `key` names the job whose it is."""
    place_table = {field.name: getattr(place, field.name) for field in dataclasses.fields(place)}
    place_table["curve"] = msgspec.json.encode(place.curve).decode()
    with atomic_path(folder / NAME) as part:
        table = {"format": FORMAT, "key": key, "place": place_table, "states": states, "generator": torch.get_rng_state()}
        torch.save({**table, "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}, part)


def load(folder: Path, *, key: str) -> tuple[Place, dict[str, Any]] | None:
    """The checkpoint in a folder and its states; None where there is none. torch's generator is set to where it stood.

    Raises:
        RunError: the file does not read, or is another job's.
    """
    file = folder / NAME
    if not file.exists():
        return None
    try:
        table = torch.load(file, map_location="cpu", weights_only=True)
        if table["format"] != FORMAT or table["key"] != key:
            raise RunError(f"{file} is the checkpoint of another job. Remove it to start this one from the beginning.")
        place = Place(**{**table["place"], "curve": msgspec.json.decode(table["place"]["curve"], type=list[CurvePoint])})
        states = table["states"]
        torch.set_rng_state(table["generator"])
        for place_of, state in enumerate(table.get("cuda", [])[: torch.cuda.device_count()]):  # dropout on a GPU would begin anew
            torch.cuda.set_rng_state(state, place_of)
    except pickle.UnpicklingError:  # its text advises to run whatever the file holds
        raise RunError(f"{file} does not read as a checkpoint: no file of torch's. Remove it to start this stage from its beginning.") from None
    except (RuntimeError, EOFError, LookupError, TypeError, OSError, msgspec.MsgspecError) as error:
        raise RunError(f"{file} does not read as a checkpoint: {error}. Remove it to start this stage from its beginning.") from None
    return place, states
