"""Reports that a page must bear: one of fifty files with long curves, and one whose every name is hostile. And a reader of pages."""

from html.parser import HTMLParser

import msgspec

from edgekd.measurements import LayerTime, Measurement, Moment
from edgekd.record import Artifact, CurvePoint, Layer, Network, Report, Training
from edgekd.scores import Bin, Disagreement, Score
from tests.report.sample import CLASSES, SHIPPED, judged_report

replace = msgspec.structs.replace
HOSTILE = [
    "<script>document.title='gone'</script>",
    "\"'><img src=x onerror=alert(1)>",
    "🐈‍⬛🦌",
    "\u202egod\u202c",
    "قطة",
    "W" * 200,
    "]]>&amp;<!--",
]
_STUDENTS = 16
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAHUlEQVR42mNgEFAwYHAISChgaJiwYAPDgQsPPgAAMNQHgco41J0AAAAASUVORK5CYII="
"""A picture of four by four pixels."""


def drawn_report() -> Report:
    """The sample with limits, curves of two phases, layers, what a page draws of the answers, and how the file that ships runs."""
    report = judged_report()
    networks = [_taught(network, 6) for network in report.networks]
    artifacts = [_layered(artifact) for artifact in report.artifacts]
    measurements = [_profiled(each) if each.artifact == SHIPPED else each for each in report.measurements]
    return replace(report, networks=networks, artifacts=artifacts, scores=[_answered(score) for score in report.scores], measurements=measurements)


def large_report() -> Report:
    """A teacher and sixteen students in three precisions each, taught for 240 epochs, all timed and scored."""
    report = drawn_report()
    teacher, student = ([each for each in report.artifacts if each.role == role] for role in ("teacher", "student"))
    students = [replace(each, network=f"student-{number}", size=each.size + 997 * number) for number in range(_STUDENTS) for each in student]
    scores, timings = ({each.artifact: each for each in found} for found in (report.scores, report.measurements))
    same = {each.name: each.name.replace(each.network, "resnet20") for each in students}
    networks = [_taught(replace(each, name=f"student-{number}"), 240) for number in range(_STUDENTS) for each in report.networks[1:]]
    return replace(
        report,
        artifacts=[*teacher, *students],
        networks=[_taught(report.networks[0], 240), *networks],
        scores=[*report.scores, *(replace(scores[was], artifact=name) for name, was in same.items())],
        measurements=[*report.measurements, *(replace(timings[was], artifact=name) for name, was in same.items())],
        shipped={f"cpu/student-{number}": f"student/student-{number}/int8-cpu" for number in range(_STUDENTS)},
    )


def run_reports() -> list[Report]:
    """Three runs of one machine and one of another: other seeds, temperatures and names, one of them hostile."""
    report, slower = drawn_report(), drawn_report()
    recipe = {**report.recipe, "phase": [{"name": "transfer", "temperature": 3.0, "terms": [{"loss": "kd", "weight": 0.9}]}]}
    hotter = {**recipe, "phase": [{"name": "transfer", "temperature": 4.0, "terms": [{"loss": "kd", "weight": 0.9}]}], "seed": 8}
    elsewhere = {name: replace(host, cpu="Other Two 2000", cores=2) for name, host in slower.hosts.items()}
    return [
        replace(report, recipe=recipe),
        replace(report, recipe=hotter, name=HOSTILE[0], created="2026-11-21T12:00:00Z"),
        replace(report, recipe=recipe, name=HOSTILE[5], shipped={}, networks=report.networks[:1]),
        replace(slower, recipe=recipe, name="elsewhere", hosts=elsewhere),
    ]


def bare_report() -> Report:
    """What `edgekd bench old.onnx new.onnx` writes: two files, timed and not scored."""
    report = drawn_report()
    files = [replace(each, role="file", network=name) for each, name in zip(report.artifacts[:2], ("old", "new"), strict=True)]
    timed = [replace(each, artifact=file.name) for each, file in zip(report.measurements, files, strict=False)]
    return Report(edgekd="0.1.0", name="files", created="2026-11-20T12:00:00Z", hosts=report.hosts, artifacts=files, measurements=timed)


def hostile_report() -> Report:
    """Classes, networks, phases, terms, layers, target and report are all called what would break a careless page."""
    report = drawn_report()
    renamed = {"resnet56": HOSTILE[0], "resnet20": HOSTILE[1]}
    artifacts = [
        replace(each, network=renamed[each.network], layers=[replace(layer, name=name) for layer, name in zip(each.layers, HOSTILE, strict=False)])
        for each in report.artifacts
    ]
    names = {old.name: new.name for old, new in zip(report.artifacts, artifacts, strict=True)}
    assert report.data is not None
    metric = report.scores[0].recall[CLASSES[0]]
    target = HOSTILE[1]
    return replace(
        report,
        name=HOSTILE[0],
        data=replace(report.data, classes=HOSTILE, spec=HOSTILE[0]),
        artifacts=artifacts,
        networks=[replace(each, name=renamed[each.name], training=_spoilt(each.training)) for each in report.networks],
        scores=[_misnamed(replace(each, artifact=names[each.artifact], recall=dict.fromkeys(HOSTILE, metric))) for each in report.scores],
        measurements=[_misran(replace(each, artifact=names[each.artifact], target=target)) for each in report.measurements],
        ratios=[replace(each, artifact=names[each.artifact], against=names[each.against], target=target) for each in report.ratios],
        verdicts=[replace(each, artifact=HOSTILE[0], limit=HOSTILE[1], text=HOSTILE[6], target=target) for each in report.verdicts],
        shipped={f"{target}/{HOSTILE[1]}": names[shipped] for shipped in report.shipped.values()},
        recipe={"data": HOSTILE[0]},
        doubts=HOSTILE,
        notes=HOSTILE,
    )


def _misran(measurement: Measurement) -> Measurement:
    """Operators, and what the machine keeps to itself, are called what they may not be."""
    times = [replace(each, name=name, op=name, layer=None) for each, name in zip(measurement.layer_times, HOSTILE, strict=False)]
    moments = [replace(each, temperature_c={HOSTILE[0]: 50.0}, clock_mhz=[]) for each in measurement.sustained]
    return replace(measurement, layer_times=times, sustained=moments, untold=HOSTILE[0] if moments else None)


def _misnamed(score: Score) -> Score:
    confusion = {first: {second: 3} for first, second in zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True)} if "int8" in score.artifact else {}
    return replace(
        score,
        confusion=confusion,
        disagreements=[replace(each, label=HOSTILE[0], teacher=HOSTILE[5], student=HOSTILE[3]) for each in score.disagreements],
    )


def _answered(score: Score) -> Score:
    """With bins of confidence, what is mixed up, and for a student two images that its teacher calls differently."""
    student = score.artifact.startswith("student/")
    counts = [0] * 5 + [10, 20, 30, 40, 60, 80, 100, 160, 300, 1200]
    bins = [
        Bin(images=n, confidence=(place + 0.5) / 15 if n else 0.0, accuracy=(place + (0.8 if student else 0.4)) / 15.5 if n else 0.0)
        for place, n in enumerate(counts)
    ]
    confusion = {"cat": {"dog": 40 if student else 20, "deer": 9}, "dog": {"cat": 15 if student else 25}}
    differing = [
        Disagreement(index=index, label="cat", teacher="cat", student="dog", teacher_probability=0.9, student_probability=0.8 - index / 100, png=DOT)
        for index in (4, 11)
    ]
    return replace(score, reliability=bins, confusion=confusion, disagreements=differing if student else [])


def _spoilt(training: Training) -> Training:
    curve = [
        replace(point, phase=HOSTILE[0] if point.phase == "transfer" else HOSTILE[5], shares={HOSTILE[1]: 0.5, HOSTILE[3]: 0.5})
        for point in training.curve
    ]
    return replace(training, curve=curve)


def _taught(network: Network, epochs: int) -> Network:
    alone = network.role != "student"
    curve = [
        CurvePoint(
            epoch=float(epoch),
            step=140 * epoch,
            phase="transfer" if epoch <= epochs * 2 / 3 else "refine",
            loss=2.0 / epoch,
            temperature=None if alone else 3.0 if epoch <= epochs * 2 / 3 else 1.5,
            first_temperature=None if alone else 3.0,
            shares={"label": 1.0} if alone else {"kd": 0.9, "label": 0.1},
            learning_rate=0.1,
            valid_accuracy=0.93 - 0.3 / epoch - (0.02 if alone else 0.0),
        )
        for epoch in range(1, epochs + 1)
    ]
    return replace(network, training=replace(network.training, curve=curve))


def _profiled(measurement: Measurement) -> Measurement:
    """Eight layers and two operators of the runtime's own, and a minute in which the machine grows hot and slow."""
    times = [LayerTime(name=f"conv{number}_nchwc", op="Conv", layer=f"conv{number}", us=[100.0 + 20 * number] * 3) for number in range(8)]
    times += [LayerTime(name=f"Reorder{number}", op="ReorderOutput", us=[10.0, 12.0, 90.0]) for number in range(2)]
    return replace(measurement, layer_times=times, sustained=[_moment(second) for second in range(1, 61)])


def _moment(second: int) -> Moment:
    """Hotter by the second; from the fortieth on slowed."""
    slow = second >= 40
    return Moment(
        when="during",
        at_s=float(second),
        ms=(1.2 if slow else 1.0) + 0.002 * (second % 3),
        inferences=900,
        clock_mhz=[800.0, 2800.0 if slow else 3400.0],
        temperature_c={"cpu": 45.0 + second / 2, "board": 30.0},
        throttled=second == 40,
    )


def _layered(artifact: Artifact) -> Artifact:
    parts = [(f"conv{number}", 2**number) for number in range(8)]
    size = artifact.size // 300
    precision = "int8" if "int8" in artifact.precision else artifact.precision
    return replace(
        artifact, layers=[Layer(name=name, op="Conv", params=part * 100, bytes=part * size, macs=None, precision=precision) for name, part in parts]
    )


class Page(HTMLParser):
    """What a page consists of: its elements with their attributes, and its text by the element that holds it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} was never opened"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def named(self, kind: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for tag, attributes in self.elements if tag == kind]

    def inside(self, *kinds: str) -> list[str]:
        """The texts that stand directly in elements of these kinds."""
        return [text for tag, text in self.texts if tag in kinds]
