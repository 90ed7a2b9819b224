"""What is measured of a file by itself, while the others' agents are idle: peak memory, an engine's parts, energy, throughput, layers."""

import statistics

from edgekd.bench import opening
from edgekd.bench.contender import Contender
from edgekd.bench.operators import layer_times
from edgekd.bench.questions import Questions
from edgekd.errors import DeviceError
from edgekd.measurements import Flow

ENERGY_S = 30.0
"""Seconds that an energy reading is taken over; shorter ones are mostly the counter's own steps."""
REST_S = 5.0
"""Seconds that the machine is left alone, to know what it takes at rest."""
PROFILE_S = 1.0
"""Seconds that a profile's runs take at most, but for the first two."""


def measure(asked: Questions, each: Contender, left_s: float) -> None:
    """All of it, of a file whose agent is there, in about `left_s` seconds; profiling comes last, as it changes times.

    Raises:
        DeviceError: what costs the file its measurement.
    """
    asked.open(each, asked.target.threads)
    if each.opened["partly"]:
        each.doubts.append(f"{asked.target.provider} does not take all of its nodes: what is left runs on the CPU, and may be all of it")
    weigh(asked, each)
    part(asked, each)
    meter(asked, each, left_s)
    flow(asked, each, min(asked.plan.flow_ms, 1e3 * left_s / max(1, len(asked.way.batches))))
    profile(asked, each)


def weigh(asked: Questions, each: Contender) -> None:
    """Peak resident bytes of loading and running the file, over those of the bare runtime."""
    block = asked.block(each, 0, warm_ms=0, min_ms=0, min_runs=1, frame_ms=None)
    resident = each.opened["resident"]
    each.memory = max(0, block["peak"] - resident) if block["peak"] is not None and resident is not None else None


def part(asked: Questions, each: Contender) -> None:
    """What an engine's inference is made of."""
    if each.built is not None:
        each.engine = opening.engine_run(each.built, each.ask("parts", asked.patience, batch=asked.target.batch, dims=dict(asked.way.dims)))
        each.doubts.extend(opening.engine_doubts(each.engine))


def meter(asked: Questions, each: Contender, left_s: float) -> None:
    """Joules an image over half a minute of inferences, in all and above rest, where the machine counts them and there is the time."""
    each.energy_reason = each.ask("rest", asked.patience, seconds=0)["energy_reason"]
    if each.energy_reason is not None:
        return
    if left_s < ENERGY_S + REST_S + asked.plan.flow_ms / 1e3:
        each.energy_reason = f"{ENERGY_S + REST_S:.0f} s for each file are needed and the time allowed has {max(left_s, 0):.0f} s"
        return
    rest = each.ask("rest", asked.patience, seconds=REST_S)
    block = asked.block(each, 1e3 * ENERGY_S, min_ms=1e3 * ENERGY_S, metered=True)
    each.energy_reason = block["energy_reason"]
    if block["joules"] is None or rest["joules"] is None:
        return
    image_s = 1 / asked.way.fps if asked.way.fps else statistics.fmean(block["samples"]) / each.batch / 1e3  # slow ones take energy, too
    watts, at_rest = block["joules"] / block["seconds"], rest["joules"] / rest["seconds"]
    each.energy, each.energy_above_rest, each.energy_rail = watts * image_s, (watts - at_rest) * image_s, block["rail"]


def flow(asked: Questions, each: Contender, min_ms: float) -> None:
    """Images a second with several batches in flight, at each batch size: on a CPU one thread a batch, as many batches as threads, gets the most
    done."""
    if min_ms < 100:
        each.doubts.append("no time was left to measure throughput")
        return
    on_cpu, threads, fixed = asked.target.on_cpu, each.opened["threads"], each.opened["batch"]
    own_threads = asked.target.runtime == "onnxruntime"  # which a stream brings along; others are told how many share theirs
    if fixed and asked.way.batches:
        each.doubts.append(f"its batch is fixed: throughput was measured at {fixed} alone")
    if own_threads and on_cpu and threads > 1:
        asked.open(each, 1)
    for batch in [fixed] if fixed else asked.way.batches or (opening.FLOW_BATCH,):
        try:
            streams = threads if on_cpu else 2
            if not own_threads:
                asked.open(each, threads, streams=streams, batch=batch)
            told = each.ask("flow", asked.patience, batch=batch, min_ms=min_ms, streams=streams, dims=dict(asked.way.dims))
            each.flows.append(Flow(batch=told["batch"], images_per_s=told["images_per_s"], streams=told["streams"]))
        except DeviceError as error:
            each.doubts.append(f"throughput could not be measured at batch {batch}: {error}")


def profile(asked: Questions, each: Contender) -> None:
    """What each layer takes, by a session of its own that keeps a profile; a file that it fails for keeps its other figures."""
    if not asked.way.layers:
        return
    if not asked.target.on_cpu:
        each.doubts.append(f"its layers were not timed: of {asked.target.provider} the runtime times its own calls, not their work")
        return
    try:
        told = each.ask(
            "profile",
            asked.patience,
            path=asked.session.place(each.path),
            provider=asked.target.provider,
            **({} if asked.target.runtime == "onnxruntime" else {"runtime": asked.target.runtime}),
            threads=asked.target.threads,
            folder=asked.session.room(),
            max_ms=1e3 * PROFILE_S,
            batch=asked.target.batch,
            dims=dict(asked.way.dims),
        )
        each.layer_times = layer_times(each.artifact, each.path, told["nodes"])
    except DeviceError as error:
        each.doubts.append(f"its layers could not be timed: {error}")
