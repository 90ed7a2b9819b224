"""How fast: artifacts × targets → measurements with every raw sample, ratios with their intervals, and what to doubt about them.

In: files with what is known of them, and targets with their hosts. `bench` times them against each other (`bout` does so on one target), `operators`
tells which layer each operator of the runtime is, `why` what each layer weighs and takes, `sustain` runs one file after another for long. `where`
refuses early what could not be measured, and `answering` lets a file answer as another machine runs it.
No accuracy is measured here, no limit judged, nothing printed or written.
"""

from edgekd.bench.answering import answering
from edgekd.bench.plan import FULL, QUICK, Bench, Plan
from edgekd.bench.rounds import bench
from edgekd.bench.sustained import Load, loaded, sustain
from edgekd.bench.where import resolve, target_of

__all__ = ["FULL", "QUICK", "Bench", "Load", "Plan", "answering", "bench", "loaded", "resolve", "sustain", "target_of"]
