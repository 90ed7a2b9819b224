"""How many images a teacher answers a second: with its BatchNorms folded, by how many it is asked for at once and in which memory format; and what
edgekd chooses.

    python -m benchmarks.asking [--networks resnet56 resnet20 …] [--rounds 6] [--quick]

A forward in eval mode of a batch that lies ready, on all cores, in fp32 and in bf16: whole as torch has it by default, and by pieces, in either
memory format, as it is and folded; freed memory is kept, as while a network learns. All ways of a precision take turns in one process; ratios are of
times within a round, to the default's. Weights are random, which matters to no time.

    NETWORK_PRECISION_speedup          of the way that `choose_asking` chose for the folded network, over the default
    NETWORK_PRECISION_folded_speedup   of folding alone, over the default
    choice_s_max                       what choosing took at the most
"""

import argparse
import itertools
import json
import time
from typing import Any

import torch

from benchmarks.result import commit, keep, saved_rows, tell
from edgekd import stats, timings
from edgekd.device.agent import machine
from edgekd.distill.asking import PIECES, choose_asking, copies
from edgekd.distill.heap import freed_memory_is_kept
from edgekd.models.folded import folded
from edgekd.models.load import build

NETWORKS = {"resnet56": (32, 128), "resnet20": (32, 128), "wrn-16-2": (32, 128), "resnet18": (224, 64), "mobilenet_v2": (224, 64)}
"""Side of an image and images a batch."""

Row = dict[str, Any]


def rows(name: str, precision: str, rounds: int) -> list[Row]:
    """One for each way of asking a network."""
    size, batch = NETWORKS[name]
    torch.manual_seed(0)
    network = build(name, classes=10, shape=(size, size, 3)).eval()
    images = torch.rand(batch, 3, size, size)
    begun = time.monotonic()
    quick = folded(network, tell)
    bf16 = precision == "bf16"
    chosen = choose_asking(quick, images, bf16=bf16)
    choice_s = time.monotonic() - begun
    networks = {False: copies(network), True: copies(quick)}
    ways = list(itertools.product([None, *(piece for piece in PIECES if piece < batch)], (False, True), networks))
    times: dict[tuple[int | None, bool, bool], list[float]] = {way: [] for way in ways}
    for at in range(rounds + 1):  # the first is to warm up
        for way in timings.turns(ways, at % 2, rounds + 1, at):
            began = time.perf_counter()
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                for piece in torch.split(images, way[0] or batch):
                    networks[way[2]][way[1]](piece)
            times[way].append(time.perf_counter() - began)
    listed = []
    for way, spent in times.items():
        speedup, low, high = stats.mean_ratio([plain / mine for plain, mine in zip(times[None, False, False][1:], spent[1:], strict=True)])
        row: Row = {"network": name, "precision": precision, "size": size, "batch": batch}
        row |= {"at_once": way[0] or batch, "channels_last": way[1], "folded": way[2]}
        row |= {"images_per_s": round(batch / stats.median(spent[1:]), 1), "speedup": round(speedup, 3)}
        row |= {"speedup_low": round(low, 3), "speedup_high": round(high, 3), "chosen": way == (chosen.at_once, chosen.channels_last, True)}
        listed.append(row | {"choice_s": round(choice_s, 1)})
    return listed


def figures(rows: list[Row]) -> dict[str, float]:
    """What was chosen, what folding alone gains, and what it cost to choose."""
    found = {f"{row['network']}_{row['precision']}_speedup": row["speedup"] for row in rows if row["chosen"]}
    alone = (row for row in rows if row["folded"] and row["at_once"] == row["batch"] and not row["channels_last"])
    return {
        **found,
        **{f"{row['network']}_{row['precision']}_folded_speedup": row["speedup"] for row in alone},
        "choice_s_max": max(row["choice_s"] for row in rows),
    }


def main() -> None:
    """All of these networks anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one network, two rounds, results thrown away")
    args = parser.parse_args()
    torch.set_num_threads(machine.cores())
    found = {} if args.quick else {_place(row): row for row in saved_rows("asking") if "precision" in row}
    names, precisions = (["resnet20"], ["fp32"]) if args.quick else (args.networks, ["fp32", "bf16"])
    with freed_memory_is_kept():
        for name, precision in itertools.product(names, precisions):
            begun = time.monotonic()
            new = rows(name, precision, 2 if args.quick else args.rounds)
            for row in new:
                found[_place(row)] = {**row, "seconds": round((time.monotonic() - begun) / len(new), 1), "commit": commit()}
                print(json.dumps(found[_place(row)]), flush=True)
            keep("asking", figures, found, quick=args.quick)


def _place(row: Row) -> tuple[str, str, int, bool, bool]:
    return row["network"], row["precision"], -row["at_once"], row["channels_last"], row["folded"]


if __name__ == "__main__":
    main()
