"""How a report came to be, as tables: networks and their teaching, files and their fingerprints, machines and their state, the recipe.

So much that another person can repeat it. Says what the report holds and nothing of how good it is.
"""

from collections.abc import Sequence

from edgekd import units
from edgekd.measurements import Host, Measurement
from edgekd.record import Artifact, Report
from edgekd.report.cells import led
from edgekd.report.markdown import recipe_text
from edgekd.report.markup import NONE, Markup, folded, grid, lines, name, plain, tag


def origins(report: Report) -> Markup:
    """What was done, and all that it takes to do it again."""
    notes = tag("ul", *(tag("li", plain(note)) for note in report.notes)) if report.notes else NONE
    return lines([notes, _networks(report), _facts(report), _recipe(report), _files(report.artifacts), _states(report.measurements)])


def _networks(report: Report) -> Markup:
    if not report.networks:
        return NONE
    heads = ["network", "came by its weights", "parameters", "MACs", "steps", "time", "seed", f"validation {led(report)}"]
    rows = [
        [
            name(f"{network.role}/{network.name}"),
            plain(network.training.how),
            plain(units.count_text(network.params)),
            plain(units.count_text(network.macs)),
            plain(str(network.training.steps) if network.training.steps else units.NOTHING),
            plain(units.seconds_text(network.training.seconds) if network.training.steps else units.NOTHING),
            plain(str(network.training.seed)),
            plain(units.percent_text(network.valid_accuracy)),
        ]
        for network in report.networks
    ]
    return grid("Networks", heads, rows, class_="wide figures")


def _facts(report: Report) -> Markup:
    facts = [("edgekd", f"{report.edgekd}, seed {report.seed}, {report.created}")]
    if report.data is not None:
        data = report.data
        facts.append(("data", f"{data.spec}, sha256 {data.sha256}"))
        facts.append(("images", f"{data.train} for training, {data.valid} for validation, {data.test} for test, {'×'.join(map(str, data.shape))}"))
        facts.append(("classes", _classes(data.classes, data.class_counts)))
        facts += [("left out", f"{len(data.unreadable)} unreadable images: {', '.join(data.unreadable[:10])}")] if data.unreadable else []
    facts += [(f"host {host}", _machine(found)) for host, found in report.hosts.items()]
    return grid("What it was made of", ["what", "which"], [[name(what), name(text)] for what, text in facts], class_="wide facts")


def _classes(classes: Sequence[str], counts: Sequence[int]) -> str:
    shown = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
    spread = f"; {min(counts)} to {max(counts)} training images each" if counts else ""
    return f"{len(classes)}: {shown}{spread}"


def _machine(host: Host) -> str:
    versions = ", ".join(f"{runtime} {version}" for runtime, version in host.runtimes.items())
    modes = [f"{what} {mode}" for what, mode in (("power mode", host.power_mode), ("governor", host.governor), ("driver", host.driver)) if mode]
    parts = [
        host.gpu,
        host.cpu,
        host.architecture,
        f"{host.cores} cores",
        units.bytes_text(host.memory),
        " ".join(host.instructions),
        host.system,
        *modes,
        versions,
    ]
    return ", ".join(part for part in parts if part)


def _recipe(report: Report) -> Markup:
    if not report.recipe:
        return NONE
    use = tag(
        "p",
        plain("Save this as "),
        tag("code", plain("recipe.toml")),
        plain(" and run "),
        tag("code", plain("edgekd compress recipe.toml")),
        plain("."),
    )
    text = tag("pre", tag("code", plain(recipe_text(report))), tabindex="0", role="group", aria_label="The recipe as TOML")
    return folded("The recipe, to run it again", use, text)


def _files(artifacts: Sequence[Artifact]) -> Markup:
    if not artifacts:
        return NONE
    heads = ["file", "sha256", "opset", "in INT8", "calibrated on", "differs by"]
    rows = [
        [
            name(artifact.path),
            tag("code", plain(artifact.sha256), class_="hash"),
            plain(str(artifact.opset)),
            plain(_in_int8(artifact)),
            plain(_calibrated(artifact)),
            plain(_parity(artifact)),
        ]
        for artifact in artifacts
    ]
    note = "Differs by: the largest difference of its logits to the step before it, over their standard deviation."
    return folded("Files and their fingerprints", grid("Files of this run", heads, rows, note=note))


def _in_int8(artifact: Artifact) -> str:
    """As "7 Conv, 1 Gemm; 2 conversions"."""
    counts = ", ".join(f"{count} {kind}" for kind, count in artifact.quantised.items())
    if counts and artifact.conversions is not None:
        counts += f"; {artifact.conversions} conversion{'' if artifact.conversions == 1 else 's'}"
    return counts or units.NOTHING


def _parity(artifact: Artifact) -> str:
    """The largest difference of all batches; where more is known of the largest batch, that too."""
    if not artifact.parity:
        return units.NOTHING
    largest = units.number_text(max(artifact.parity.values()))
    if not artifact.parities:
        return largest
    most = max(artifact.parities, key=lambda each: each.images)
    same = f"{units.percent_text(most.agreement)} of {most.images} images the same answer"
    return f"{largest} (mean {units.number_text(most.mean)}, cosine {units.number_text(most.cosine, 6)}, {same})"


def _calibrated(artifact: Artifact) -> str:
    known = artifact.calibration or {}
    return (
        ", ".join(str(part) for part in (f"{known['images']} images" if "images" in known else "", known.get("method", "")) if part) or units.NOTHING
    )


def _states(measurements: Sequence[Measurement]) -> Markup:
    """Clock, temperature and load of the machine before, during and after."""
    rows = [row for measurement in measurements if (row := _state(measurement))]
    heads = ["file", "target", "clock, MHz", "temperature, °C", "load", "throttled"]
    return folded("The machine while it was measured", grid("From lowest to highest", heads, rows, class_="wide figures")) if rows else NONE


def _state(measurement: Measurement) -> list[Markup]:
    states = measurement.states
    clocks = [clock for state in states for clock in state.clock_mhz]
    warmth = [degrees for state in states for degrees in state.temperature_c.values()]
    loads = [state.load for state in states if state.load is not None]
    known = [state.throttled for state in states if state.throttled is not None]
    if not (clocks or warmth or loads or known):
        return []
    throttled = units.NOTHING if not known else "yes" if any(known) else "no"
    return [name(measurement.artifact), name(measurement.target), *(plain(_range(values)) for values in (clocks, warmth, loads)), plain(throttled)]


def _range(values: Sequence[float]) -> str:
    if not values:
        return units.NOTHING
    low, high = units.number_text(min(values)), units.number_text(max(values))
    return low if low == high else units.span_text(low, high)
