"""Where training runs: on which device, and in how many processes."""

import torch

from edgekd.distill import ranks as together
from edgekd.distill.ranks import ALONE, Ranks
from edgekd.errors import UsageError
from edgekd.recipe import Recipe


def ranks_and_device(recipe: Recipe) -> tuple[Ranks, torch.device]:
    """The processes that teach together, where a launcher has started several, and this one's device.

    Raises:
        UsageError: the device is not there, or a lesson is beside the phases' terms, which one process gives alone.
    """
    _, count = together.launched()
    if count == 1:
        return ALONE, training_device(recipe)
    if recipe.domain is not None or recipe.previous is not None:
        raise UsageError(f"domain and --from are taught by one process, and {count} were launched. Start edgekd without a launcher.")
    ranks = together.Several(None if recipe.device is None else training_device(recipe))
    return ranks, ranks.device


def training_device(recipe: Recipe) -> torch.device:
    """Where training runs: as the recipe says, else on a GPU where there is one.

    Raises:
        UsageError: torch does not know the device, or it is not there.
    """
    name = recipe.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UsageError(
            f"device must be one that torch sees here, got {name!r}: {reason}. `edgekd doctor` lists them; cpu is always there."
        ) from None
    return device
