"""reportfile: report.json round trips, old ones load for ever, and nothing that is no number gets in."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import record, reportfile, scores
from edgekd.errors import EdgekdError, MissingError, UsageError
from edgekd.measurements import Host, Launch, LayerTime, Measurement, Moment, Ratio, State, Timing
from edgekd.preprocess import Preprocess

GOLDEN = Path(__file__).parent / "golden" / "report-v1.json"

numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=8)
metrics = st.builds(scores.Metric, value=numbers, low=numbers, high=numbers, n=st.integers(0, 10**6))
artifacts = st.builds(
    record.Artifact,
    role=st.sampled_from(["teacher", "student", "file"]),
    network=words,
    precision=st.sampled_from(["fp32", "fp16", "int8-cpu", "as-is"]),
    path=words,
    sha256=words,
    size=st.integers(0, 2**40),
    params=st.integers(0, 2**40),
    macs=st.none() | st.integers(0, 2**50),
    opset=st.integers(18, 24),
    preprocess=st.none() | st.builds(Preprocess, size=st.none() | st.tuples(st.integers(1, 512), st.integers(1, 512))),
    parity=st.dictionaries(words, numbers, max_size=2),
)
timings = st.builds(
    Timing,
    launches=st.lists(st.builds(Launch, load_ms=numbers, first_ms=numbers, rounds=st.lists(st.lists(numbers, max_size=3), max_size=3)), max_size=2),
)
measurements = st.builds(
    Measurement,
    artifact=words,
    target=words,
    host=words,
    runtime=words,
    provider=words,
    batch=st.integers(1, 64),
    threads=st.integers(0, 64),
    timing=timings,
    energy=st.none() | numbers,
    layer_times=st.lists(st.builds(LayerTime, name=words, op=words, us=st.lists(numbers, max_size=2), layer=st.none() | words), max_size=2),
    sustained=st.lists(
        st.builds(
            Moment,
            when=st.just("during"),
            at_s=numbers,
            ms=numbers,
            inferences=st.integers(0, 9),
            clock_mhz=st.lists(numbers, max_size=2),
        ),
        max_size=2,
    ),
    untold=st.none() | words,
    states=st.lists(st.builds(State, when=st.sampled_from(["before", "during", "after"]), load=st.none() | numbers), max_size=2),
)
disagreements = st.builds(
    scores.Disagreement,
    index=st.integers(0, 10**6),
    label=words,
    teacher=words,
    student=words,
    teacher_probability=numbers,
    student_probability=numbers,
    png=words,
)
reports = st.builds(
    record.Report,
    edgekd=words,
    name=words,
    created=words,
    artifacts=st.lists(artifacts, max_size=2),
    scores=st.lists(
        st.builds(
            scores.Score,
            artifact=words,
            split=st.just("test"),
            host=words,
            n=st.integers(0, 9),
            metrics=st.dictionaries(words, metrics, max_size=2),
            reliability=st.lists(st.builds(scores.Bin, images=st.integers(0, 9), confidence=numbers, accuracy=numbers), max_size=2),
            confusion=st.dictionaries(words, st.dictionaries(words, st.integers(1, 9), max_size=2), max_size=2),
            disagreements=st.lists(disagreements, max_size=2),
        ),
        max_size=2,
    ),
    measurements=st.lists(measurements, max_size=2),
    doubts=st.lists(words, max_size=2),
)


def test_a_huge_file_is_no_report(tmp_path: Path) -> None:
    """It is refused by its size and not read into memory."""
    with (tmp_path / "report.json").open("wb") as file:
        file.truncate(reportfile.LARGEST + 1)
    with pytest.raises(UsageError, match=r"a report has at most 1,073,741,824 bytes, .* has 1,073,741,825"):
        reportfile.read_report(tmp_path)


def full() -> record.Report:
    """One report with something in every part."""
    artifact = record.Artifact(
        role="student",
        network="resnet20",
        precision="int8-cpu",
        path="files/student-resnet20-int8-cpu.onnx",
        sha256="ab" * 32,
        size=300_000,
        params=269_722,
        macs=40_551_808,
        opset=20,
        classes=10,
        preprocess=Preprocess(size=(32, 32), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        quantised={"Conv": 19},
        calibration={"method": "minmax", "images": 512, "sha256": "cd" * 32},
        parity={"1": 0.01, "2": 0.01, "7": 0.02},
    )
    metric = scores.Metric(value=0.92, low=0.915, high=0.925, n=10_000)
    launch = Launch(load_ms=12.0, first_ms=3.0, rounds=[[1.0, 1.1], [1.2]])
    return record.Report(
        edgekd="0.1.0",
        name="cifar10",
        created="2026-11-24T05:00:00Z",
        recipe={"data": "npz:cifar10.npz"},
        data=record.DataSummary(
            spec="npz:cifar10.npz", sha256="ef" * 32, classes=["a", "b"], train=45_000, valid=5_000, test=10_000, shape=(32, 32, 3)
        ),
        networks=[
            record.Network(
                role="student",
                name="resnet20",
                params=269_722,
                macs=40_551_808,
                training=record.Training(
                    how="distilled",
                    steps=10,
                    seconds=2.5,
                    curve=[
                        record.CurvePoint(
                            epoch=1.0,
                            step=10,
                            phase="transfer",
                            loss=1.5,
                            temperature=3.0,
                            shares={"kd": 0.9, "label": 0.1},
                            learning_rate=0.1,
                            valid_accuracy=0.5,
                        )
                    ],
                ),
                test_accuracy=metric,
            )
        ],
        artifacts=[artifact],
        scores=[
            scores.Score(
                artifact=artifact.name,
                split="test",
                host="a",
                n=10_000,
                metrics={"accuracy": metric},
                recall={"a": metric},
                against={"flips": metric},
                correct="gA==",
                images="01" * 32,
            )
        ],
        hosts={"a": Host(cpu="A CPU", architecture="x86_64", cores=2, memory=8 << 30, runtimes={"onnxruntime": "1.32.0"})},
        measurements=[
            Measurement(
                artifact=artifact.name,
                target="cpu",
                host="a",
                runtime="onnxruntime",
                provider="CPUExecutionProvider",
                batch=1,
                threads=0,
                timing=Timing(launches=[launch]),
                throughput=900.0,
                memory=20_000_000,
                energy_reason="no counter on this machine",
                states=[State(when="before", clock_mhz=[3000.0], load=0.5, throttled=False)],
                doubts=["the machine was busy"],
            )
        ],
        ratios=[
            Ratio(
                artifact=artifact.name,
                against="teacher/resnet56/fp32",
                target="cpu",
                quantity="latency",
                value=0.2,
                low=0.19,
                high=0.21,
                confidence=0.95,
                method="bootstrap of launches and rounds",
                seed=0,
            )
        ],
        verdicts=[
            record.Verdict(
                limit="size ≤ 400 kB",
                artifact=artifact.name,
                target="cpu",
                state="pass",
                quantity="size",
                measured=300_000.0,
                bound=400_000.0,
                text="100 kB to spare",
            )
        ],
        shipped={"cpu/resnet20": artifact.name},
        doubts=["the machine was busy"],
        notes=["the batch shrank to 64"],
    )


@given(reports)
def test_a_report_reads_back_equal(report: record.Report) -> None:
    """report.json holds all that the report holds."""
    assert reportfile.decode_report(reportfile.encode_report(report)) == report


def test_the_oldest_report_still_loads() -> None:
    """The golden file was written by the first version and is never written again."""
    assert reportfile.decode_report(GOLDEN.read_bytes()) == full()


def test_what_a_later_edgekd_adds_within_a_schema_is_no_hindrance() -> None:
    """Unknown fields are passed over."""
    table = msgspec.json.decode(reportfile.encode_report(full()))
    table["colour"] = "blue"
    assert reportfile.decode_report(msgspec.json.encode(table)) == full()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused_by_place(number: float) -> None:
    """JSON would hold null and nobody would know."""
    report = msgspec.structs.replace(
        full(), scores=[scores.Score(artifact="a", split="test", host="", n=1, metrics={"nll": scores.Metric(value=number, low=0, high=0, n=1)})]
    )
    with pytest.raises(EdgekdError, match=rf"report\.scores\[0\]\.metrics\.nll\.value is {number}, and only finite numbers are written"):
        reportfile.encode_report(report)


def test_a_sample_that_is_not_finite_is_refused() -> None:
    """Deep in lists too."""
    timing = Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[1.0], [float("nan")]])])
    with pytest.raises(EdgekdError, match=r"timing\.launches\[0\]\.rounds\[1\]\[0\] is nan"):
        reportfile.check_finite(timing, "timing")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "r.json is not a report: .* Give the report.json of a run folder"),
        (b"[1]", "r.json is not a report: Expected `object`, got `array`"),
        (b"{}", "r.json is not a report: its schema is None, expected 1 to 1"),
        (b'{"schema": 0}', "its schema is 0"),
        (b'{"schema": "1"}', "its schema is '1'"),
        (b'{"schema": 99}', "r.json has schema 99, this edgekd reads up to 1. Upgrade with: pip install -U edgekd"),
        (b'{"schema": 1}', "r.json is not a report that edgekd wrote: Object missing required field `edgekd`"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, words: str) -> None:
    """Each with its reason."""
    with pytest.raises(UsageError, match=words):
        reportfile.decode_report(data, "r.json")


def test_a_report_is_found_in_a_file_or_a_run_folder(tmp_path: Path) -> None:
    """Both forms name the same report."""
    (tmp_path / "report.json").write_bytes(reportfile.encode_report(full()))
    assert reportfile.read_report(tmp_path) == reportfile.read_report(tmp_path / "report.json") == full()


def test_no_report_names_what_writes_one(tmp_path: Path) -> None:
    """The remedy is in the message."""
    with pytest.raises(
        MissingError, match=r"no report at .*report\.json: No such file or directory\. `edgekd compress` and `edgekd baseline save` write one"
    ):
        reportfile.read_report(tmp_path)
