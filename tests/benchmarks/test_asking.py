"""Tests of benchmarks/asking.py."""

from typing import Any

from benchmarks import asking


def test_what_asking_by_pieces_gains() -> None:
    """The figure is the chosen way's, whichever is the best; folding's is of whole batches; what choosing cost is the most of all networks."""

    def row(network: str, speedup: float, at_once: int, *, folded: bool, chosen: bool = False, choice_s: float = 2.0) -> dict[str, Any]:
        way = {"precision": "bf16", "at_once": at_once, "batch": 128, "channels_last": False, "folded": folded}
        return {"network": network, "speedup": speedup, "chosen": chosen, "choice_s": choice_s, **way}

    rows = [
        row("a", 1.0, 128, folded=False),
        row("a", 1.5, 64, folded=True, chosen=True),
        row("a", 1.6, 32, folded=True),
        row("a", 1.2, 128, folded=True),
        row("b", 1.1, 128, folded=True, chosen=True, choice_s=5.0),
    ]
    speedups = {"a_bf16_speedup": 1.5, "b_bf16_speedup": 1.1, "a_bf16_folded_speedup": 1.2, "b_bf16_folded_speedup": 1.1}
    assert asking.figures(rows) == {**speedups, "choice_s_max": 5.0}
