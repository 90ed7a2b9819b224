"""A report as a run writes it, made up and always the same, for every test that needs one."""

import base64
import random

import msgspec

from edgekd import stats
from edgekd.budget import judge
from edgekd.limit import Limit
from edgekd.measurements import Host, Launch, Measurement, Ratio, State, Timing
from edgekd.preprocess import Preprocess
from edgekd.record import Artifact, CurvePoint, DataSummary, Network, Precision, Report, Role, Training
from edgekd.scores import Metric, Score

IMAGES = 2000
CLASSES = ["cat", "dog", "deer"]
TEACHER = "teacher/resnet56/fp32"
SHIPPED = "student/resnet20/int8-cpu"

_FILES: list[tuple[Role, str, Precision, int, float, float]] = [
    ("teacher", "resnet56", "fp32", 3_441_210, 6.2, 0.0),
    ("teacher", "resnet56", "fp16", 1_742_118, 6.6, 0.0005),
    ("teacher", "resnet56", "int8-cpu", 1_012_377, 3.1, 0.006),
    ("student", "resnet20", "fp32", 1_102_410, 2.1, 0.011),
    ("student", "resnet20", "fp16", 561_208, 2.3, 0.0115),
    ("student", "resnet20", "int8-cpu", 331_954, 1.05, 0.014),
]
_NETWORKS = {"resnet56": (853_018, 125_485_706), "resnet20": (269_722, 40_551_552)}


def sample_report() -> Report:
    """resnet56 → resnet20 on three classes: six files, one target, one student that was also taught alone."""
    artifacts = [_artifact(*file[:4]) for file in _FILES]
    measurements = [_measurement(artifact.name, file[4], seed) for seed, (artifact, file) in enumerate(zip(artifacts, _FILES, strict=True))]
    return Report(
        edgekd="0.1.0",
        name="sample",
        created="2026-11-20T12:00:00Z",
        seed=7,
        recipe={"data": "npz:animals.npz", "max_drop": "1 point", "student": [{"model": "resnet20"}], "on": {"cpu": "local"}},
        data=DataSummary(
            spec="npz:animals.npz",
            sha256="5f" * 32,
            classes=CLASSES,
            train=18_000,
            valid=2000,
            test=IMAGES,
            shape=(32, 32, 3),
            class_counts=[6000, 6000, 6000],
            notes=["a note about the data"],
        ),
        networks=_networks(),
        artifacts=artifacts,
        scores=_scores(artifacts),
        hosts={"here": _host()},
        measurements=measurements,
        ratios=[_ratio(measurement, measurements[0]) for measurement in measurements[1:]],
        shipped={"cpu/resnet20": SHIPPED},
        doubts=["the machine was busy: load 3.1 on 4 cores"],
    )


LIMITS = [
    Limit(artifact="int8", target="cpu", size="332 kB", speedup=4.0, accuracy_drop="1.2 points", recall={"cat": 0.9, "dgo": 0.8}),
    Limit(agreement="99 %", reason="the phone app compares <both>"),
    Limit(growth={"latency": "5 %"}, warn=True),
]


def judged_report() -> Report:
    """The same, held to limits of which one is over, one missing, one undecided and one only warns."""
    report = sample_report()
    return msgspec.structs.replace(report, verdicts=judge(report, LIMITS))


def _artifact(role: Role, network: str, precision: Precision, size: int) -> Artifact:
    params, macs = _NETWORKS[network]
    return Artifact(
        role=role,
        network=network,
        precision=precision,
        path=f"export/{role}-{network}-{precision}.onnx",
        sha256="ab" * 32,
        size=size,
        params=params,
        macs=macs,
        opset=20,
        classes=len(CLASSES),
        preprocess=Preprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        parity={"1": 1e-6, "2": 2e-6, "7": 2e-6},
    )


def _networks() -> list[Network]:
    def network(role: str, name: str, training: Training, valid: float, test: Metric | None = None) -> Network:
        params, macs = _NETWORKS[name]
        return Network(role=role, name=name, params=params, macs=macs, training=training, valid_accuracy=valid, test_accuracy=test)  # type: ignore[arg-type]

    point = CurvePoint(
        epoch=1.0, step=140, phase="transfer", loss=0.8, temperature=3.0, shares={"kd": 0.9, "label": 0.1}, learning_rate=0.1, valid_accuracy=0.7
    )
    distilled = Training(how="distilled", steps=5600, seconds=412.0, seed=7, curve=[point])
    return [
        network("teacher", "resnet56", Training(how="brought"), 0.936),
        network("student", "resnet20", distilled, 0.924),
        network("alone", "resnet20", Training(how="alone", steps=5600, seconds=398.0, seed=7), 0.897, _metric(1791, IMAGES)),
    ]


def _scores(artifacts: list[Artifact]) -> list[Score]:
    """The teacher has 1868 of 2000 right; each other file loses and wins some of them."""
    teacher = [position < 1868 for position in range(IMAGES)]
    random.Random(1).shuffle(teacher)
    return [_score(artifact.name, teacher, file[5], seed) for seed, (artifact, file) in enumerate(zip(artifacts, _FILES, strict=True))]


def _score(artifact: str, teacher: list[bool], drop: float, seed: int) -> Score:
    draw = random.Random(seed)
    lost, won = (round(IMAGES * drop * 1.5), round(IMAGES * drop * 0.5))
    losing = set(draw.sample([i for i, right in enumerate(teacher) if right], lost))
    winning = set(draw.sample([i for i, right in enumerate(teacher) if not right], won))
    right = [(was and i not in losing) or i in winning for i, was in enumerate(teacher)]
    accuracy = sum(right)
    return Score(
        artifact=artifact,
        split="test",
        host="here",
        n=IMAGES,
        metrics={
            "accuracy": _metric(accuracy, IMAGES),
            "top5": _metric(IMAGES, IMAGES),
            "balanced_accuracy": _metric(accuracy - 2, IMAGES),
            "macro_f1": _metric(accuracy - 3, IMAGES),
            "ece": Metric(value=0.021, low=0.017, high=0.026, n=IMAGES),
            "nll": Metric(value=0.251, low=0.233, high=0.269, n=IMAGES),
        },
        recall={name: _metric(610 + 5 * position, 660) for position, name in enumerate(CLASSES)},
        against={
            "agreement": _metric(IMAGES - lost - won, IMAGES),
            "flips": _metric(lost, IMAGES),
            "accuracy_drop": _paired(lost, won, IMAGES),
        },
        correct=base64.b64encode(int("".join("01"[hit] for hit in right), 2).to_bytes(IMAGES // 8, "big")).decode(),
        images="cd" * 32,
    )


def _metric(k: int, n: int) -> Metric:
    value, low, high = stats.proportion(k, n)
    return Metric(value=value, low=low, high=high, n=n)


def _paired(only_first: int, only_second: int, n: int) -> Metric:
    value, low, high = stats.paired_difference(only_first, only_second, n)
    return Metric(value=value, low=low, high=high, n=n)


def _host() -> Host:
    return Host(
        cpu="Example Four 4000",
        architecture="x86_64",
        cores=4,
        memory=16_000_000_000,
        instructions=["avx2", "avx512_vnni"],
        system="Linux 6.1",
        governor="performance",
        runtimes={"onnxruntime": "1.32.0"},
    )


def _measurement(artifact: str, ms: float, seed: int) -> Measurement:
    """Three launches of eight rounds of twenty samples: enough for p95, too few for p99."""
    draw = random.Random(seed)

    def block() -> list[float]:
        pace = ms * draw.gauss(1, 0.01)
        return [round(pace * (1 + abs(draw.gauss(0, 0.02))), 4) for _ in range(20)]

    launches = [Launch(load_ms=31.0, first_ms=4 * ms, rounds=[block() for _ in range(8)]) for _ in range(3)]
    return Measurement(
        artifact=artifact,
        target="cpu",
        host="here",
        runtime="onnxruntime",
        provider="CPUExecutionProvider",
        batch=1,
        threads=4,
        timing=Timing(launches=launches),
        throughput=round(2600 / ms, 1),
        memory=round(9e6 + 2e6 * ms),
        energy_reason="this CPU's RAPL counters may not be read",
        states=[State(when="before", clock_mhz=[3400.0], load=0.4)],
        doubts=["the clock fell by 12 % during round 5"] if seed == 2 else [],
    )


def _ratio(measurement: Measurement, teacher: Measurement) -> Ratio:
    ours, theirs = ([[ms for block in launch.rounds for ms in block] for launch in each.timing.launches] for each in (measurement, teacher))
    launches = [stats.median(first) / stats.median(second) for first, second in zip(ours, theirs, strict=True)]
    value, low, high = stats.mean_ratio(launches)
    return Ratio(
        artifact=measurement.artifact,
        against=teacher.artifact,
        target="cpu",
        quantity="latency",
        value=value,
        low=low,
        high=high,
        confidence=0.95,
        method="Student's t of the launches",
        launches=launches,
    )
