"""What must hold of a file on a device, as a recipe and a CI build state it."""

from edgekd.terms import Struct


class Limit(Struct, frozen=True, kw_only=True):
    """What must hold of an artifact on a target. Quantities are text with units, or plain numbers.

    Upper bounds: size, params, macs, opset, latency_p50, latency_p95, memory, energy, ece, accuracy_drop, flips. Lower bounds: speedup,
    accuracy, balanced_accuracy, macro_f1, auc, map, recall, agreement. `relative` bounds what part of the teacher's a quantity is, as in
    { size = "25 %" }, `growth` its rise over a baseline, `layers` how many layers have weights of a precision, as in { fp32 = 2 };
    `operators` names all that may occur.
    """

    artifact: str = "shipped"
    target: str | None = None
    host: str | None = None
    """On which machine: its name as in [on], or part of its CPU's or GPU's name. What another one measured is left undecided."""
    against: str | None = None
    """What speedup, accuracy_drop and relative compare with; None: the teacher's fp32 file."""
    warn: bool = False
    reason: str | None = None
    size: str | float | None = None
    params: str | float | None = None
    macs: str | float | None = None
    opset: str | float | None = None
    operators: list[str] = []
    layers: dict[str, str | float] = {}
    latency_p50: str | float | None = None
    latency_p95: str | float | None = None
    memory: str | float | None = None
    energy: str | float | None = None
    speedup: str | float | None = None
    accuracy: str | float | None = None
    balanced_accuracy: str | float | None = None
    macro_f1: str | float | None = None
    auc: str | float | None = None
    map: str | float | None = None
    recall: dict[str, str | float] = {}
    ece: str | float | None = None
    accuracy_drop: str | float | None = None
    agreement: str | float | None = None
    flips: str | float | None = None
    relative: dict[str, str | float] = {}
    growth: dict[str, str | float] = {}
