"""What a run's networks inherit, made up and always the same, for tests that draw it."""

import msgspec

from edgekd import stats
from edgekd.evaluate.corruptions import FAMILIES
from edgekd.record import Report
from edgekd.scores import Calibration, Inheritance, Metric, Robustness
from tests.report.pages import drawn_report
from tests.report.sample import SHIPPED

replace = msgspec.structs.replace
KINDS = [str(name) for names in FAMILIES.values() for name in names]


def steady_report() -> Report:
    """The drawn sample, asked about 1000 changed images: teacher, student, the student alone, and the file that ships; its files are calibrated."""
    report = drawn_report()
    networks = [
        _inheritance("teacher/resnet56", "teacher", 0.93, 0.02, None),
        _inheritance("student/resnet20", "student", 0.92, 0.03, 0.95),
        _inheritance("alone/resnet20", "alone", 0.90, 0.05, 0.91),
        replace(_inheritance(SHIPPED, "file", 0.915, 0.032, 0.94), fgsm=[]),
    ]
    robustness = Robustness(
        images=1000,
        seed=0,
        families={family: [str(name) for name in names] for family, names in FAMILIES.items()},
        steps=[1, 2, 4, 8],
        networks=networks,
        notes=["a note of the exam"],
    )
    calibrated = [replace(each, temperature=1.5) for each in report.artifacts if each.role == "student"]
    before = {"unscaled_ece": _metric(0.061), "unscaled_nll": _metric(0.402)}
    scores = [replace(each, metrics=each.metrics | before) if each.artifact.startswith("student/") else each for each in report.scores]
    artifacts = [each for each in report.artifacts if each.role != "student"] + calibrated
    return replace(report, robustness=robustness, artifacts=artifacts, scores=scores)


def _inheritance(name: str, role: str, clean: float, fall: float, agreement: float | None) -> Inheritance:
    value, low, high = stats.proportion(round(1000 * clean), 1000)
    accuracies = [clean - fall * severity for severity in range(1, 6)]
    return Inheritance(
        name=name,
        role=role,  # type: ignore[arg-type]
        clean=Metric(value=value, low=low, high=high, n=1000),
        agreement=None if agreement is None else _metric(agreement),
        calibration=Calibration(
            temperature=1.0 + fall, images=2000, ece=_metric(fall), nll=_metric(0.3 + fall), scaled_ece=_metric(fall / 4), scaled_nll=_metric(0.3)
        ),
        corrupted={kind: [round(value - 0.001 * number, 4) for value in accuracies] for number, kind in enumerate(KINDS)},
        fgsm=[round(clean - 8 * fall * step / 8, 4) for step in (1, 2, 4, 8)],
        transferred=[] if role == "teacher" else [round(clean - 4 * fall * step / 8, 4) for step in (1, 2, 4, 8)],
    )


def _metric(value: float) -> Metric:
    return Metric(value=value, low=value, high=value, n=2000)
