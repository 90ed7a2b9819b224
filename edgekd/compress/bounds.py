"""Limits for files that do not exist yet: computed from what will be in them, or aims, and each remark says which.

In: a draft and what was seen of images, teacher, students and targets. Out: the draft's limits. Once something was measured, `edgekd budget init`
knows better.
"""

import math
from typing import Any

import msgspec

from edgekd import stats, units
from edgekd.compress.draft import Draft
from edgekd.compress.sight import Sight
from edgekd.limit import Limit

DISAGREEING = 0.05
"""Test images that one of teacher and student alone may have right, as a share, though neither is better."""
LEAST_DROP, MOST_DROP = 0.01, 0.10
"""A limit on accuracy is no tighter than the one; where the images cannot tell less than the other, there is none."""
GRAPH_SHARE, GRAPH_BYTES = 0.10, 20_000
"""What a file's graph may add to its parameters."""
WORTH_ASKING = 1.5
"""Times fewer MACs from which a speedup is asked for."""


def suggest_limits(draft: Draft, sight: Sight) -> None:
    """Limits on what ships on each target that is measured; where none is, on the file that the first would take."""
    if draft.recipe.limit:
        return
    hosted = [aim for aim in sight.targets if aim.host]
    limits = [Limit(target=aim.target) for aim in hosted]
    if not hosted:
        written = draft.recipe.export.precisions
        takes = [name for aim in sight.targets for name in aim.precisions if name in written]
        limits = [Limit(artifact=(takes or [*written])[0])]
    for place, limit in enumerate(limits):
        here = f"limit.{place}"
        if limit.target is None:
            draft.say(f"{here}.artifact", "No target here is measured: this holds for files in that precision, wherever they run.")
        else:
            draft.say(f"{here}.artifact", f"Whatever file ships on {limit.target}: the fastest that keeps to max_drop on validation images.")
        limits[place] = _bounded(draft, sight, limit, here)
    draft.say(
        "limit.0",
        "What `edgekd compress` and `edgekd check` hold the result to; where it breaks one they exit with 1. Nothing is measured yet: these are "
        "computed or aims. Once a run is done, `edgekd budget init` writes limits from what it measured.",
    )
    draft.put(limit=tuple(limits))


def _bounded(draft: Draft, sight: Sight, limit: Limit, here: str) -> Limit:
    """A limit with its bounds, and where each comes from."""
    chosen = [offer for offer in sight.students if offer.chosen]
    bounds: dict[str, Any] = {"size": _size(draft, sight, limit, f"{here}.size")}
    drop = _drop(draft, sight, f"{here}.accuracy_drop") if chosen else None
    if drop is not None:
        bounds["accuracy_drop"] = drop
    least = min((offer.fewer_macs or 0 for offer in chosen), default=0)
    if limit.target is not None and least >= WORTH_ASKING:
        bounds["speedup"] = round(math.sqrt(least), 1)
        draft.say(
            f"{here}.speedup",
            f"An aim: the square root of {units.number_text(least)}, how many times fewer MACs the student does; layers that wait for "
            "memory gain less than that. It is against the teacher's FP32 file, timed in turn.",
        )
    return msgspec.structs.replace(limit, **bounds)


def _size(draft: Draft, sight: Sight, limit: Limit, here: str) -> str:
    chosen = [offer for offer in sight.students if offer.chosen]
    largest = max(chosen, key=lambda offer: offer.params, default=None)
    if largest is None:
        size, whose = sight.teacher.size, f"the teacher's {units.count_text(sight.teacher.params)} parameters"
    else:
        precision = limit.artifact if limit.artifact in largest.sizes else max(largest.sizes, key=lambda each: largest.sizes[each])
        size, whose = largest.sizes[precision], f"{units.count_text(largest.params)} parameters of {largest.model} in {precision}"
    draft.say(
        here,
        f"Computed: {whose} are {units.bytes_text(size)}; {units.percent_text(GRAPH_SHARE, 0)} and {units.bytes_text(GRAPH_BYTES, 2)} more for the "
        "graph around them.",
    )
    return units.bytes_text(size * (1 + GRAPH_SHARE) + GRAPH_BYTES)


def _drop(draft: Draft, sight: Sight, here: str) -> str | None:
    """The least drop that so many test images can show not to be there; None where that says nothing, or accuracy is not what counts."""
    count = sight.data.test
    if draft.recipe.task == "multilabel":
        draft.say(here, "No limit on accuracy_drop: it counts images with all labels right. Bound map, auc or recall instead.")
        return None
    if draft.recipe.train.prior != "data":
        draft.say(here, "No limit on accuracy_drop: this prior trades common classes for rare ones. Bound balanced_accuracy instead.")
        return None
    each = max(1, round(count * DISAGREEING / 2))
    known = stats.paired_difference(each, each, count)[2] if count >= 2 * each else 1.0
    bound = max(LEAST_DROP, math.ceil(200 * known) / 200)
    equal = (
        f"with {count} test images, if the student were as good as its teacher, and each of the two right on {each} that the other gets wrong, "
        f"it could only be said to lose less than {units.points_text(known)}"
    )
    if bound > MOST_DROP:
        draft.say(here, f"No limit on accuracy_drop: {equal}. --test names more.")
        return None
    draft.say(here, f"An aim. A tighter one may stay undecided: {equal}." if bound > LEAST_DROP else "An aim.")
    return units.points_text(bound, None)
