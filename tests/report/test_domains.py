"""Tests of edgekd/report/domains.py."""

import msgspec

from edgekd.record import CurvePoint, Report
from edgekd.report.columns import tables
from edgekd.report.domains import domains
from edgekd.report.html import html
from edgekd.report.live import Told, live
from edgekd.report.markdown import markdown
from edgekd.report.text import text
from edgekd.scores import DomainScore, DomainSummary, Metric
from tests.report.sample import TEACHER, sample_report

replace = msgspec.structs.replace
STUDENT = "student/resnet20/fp32"


def metrics(accuracy: float) -> dict[str, Metric]:
    """Three of 400 images."""
    values = {"accuracy": accuracy, "balanced_accuracy": accuracy - 0.01, "macro_auc": accuracy + 0.05}
    return {name: Metric(value=value, low=value - 0.02, high=value + 0.02, n=400) for name, value in values.items()}


def report(*, labels: bool = True) -> Report:
    """The sample, with a target of which some images have labels, or none."""
    scores = [
        DomainScore(artifact=TEACHER, source=metrics(0.93), target=metrics(0.61) if labels else {}),
        DomainScore(artifact=STUDENT, source=metrics(0.9), target=metrics(0.75) if labels else {}),
    ]
    domain = DomainSummary(target="folder:night", sha256="ab" * 32, images=5000, test=400 if labels else 0, scores=scores)
    return replace(sample_report(), domain=domain)


def cells(shown: Report) -> dict[str, list[str]]:
    """The table's cells by heading."""
    return domains(shown).cells


def test_source_and_target_stand_together() -> None:
    """Accuracy with its interval, balanced accuracy and AUC, of the teacher on both and then of the student."""
    table = domains(report())
    assert table.columns[0].cells == [f"{TEACHER}, source", f"{TEACHER}, target", f"{STUDENT}, source", f"{STUDENT}, target"]
    assert [column.head for column in table.columns[1:]] == ["accuracy", "95 % interval", "balanced", "AUC"]
    found = cells(report())
    assert found["accuracy"] == ["93.0 %", "61.0 %", "90.0 %", "75.0 %"]
    assert (found["95 % interval"][3], found["balanced"][3], found["AUC"][3]) == ("73.0 to 77.0 %", "74.0 %", "80.0 %")
    assert table.note.startswith(
        "source: npz:animals.npz; target: folder:night, 5000 images to learn from without labels, 400 labelled test images; "
    )


def test_without_labels_the_source_alone_is_told() -> None:
    """And why."""
    shown = report(labels=False)
    (table,) = (table for table in tables(shown) if table.title == "Source and target")
    assert table.columns[0].cells == [f"{TEACHER}, source", f"{STUDENT}, source"]
    assert "no labelled images, so that nobody can tell how well it is done there" in table.note


def test_without_a_domain_there_is_no_table() -> None:
    """Nor before anything was scored."""
    unscored = DomainSummary(target="folder:night", sha256="ab" * 32, images=5000, test=400)
    for shown in (sample_report(), replace(sample_report(), domain=unscored)):
        assert domains(shown).columns == []
        assert "Source and target" not in text(shown)


def test_every_form_of_the_report_has_the_table() -> None:
    """Text of 80 columns, Markdown and the page; the other tables' figures stay what they were."""
    shown = report()
    assert max(map(len, text(shown).splitlines())) <= 80
    assert "Source and target" in text(shown)
    assert f"| {STUDENT}, target | 75.0 % | 73.0 to 77.0 % | 74.0 % | 80.0 % |" in markdown(shown)
    assert f"{STUDENT}, target" in html(shown)
    scores = [[table for table in tables(each) if table.title == "Scores"] for each in (shown, sample_report())]
    assert scores[0] == scores[1]


def test_its_share_is_drawn_like_a_terms() -> None:
    """A name that is no term of any phase has its colour, its column and its words, in the report and in a run under way."""
    shown = sample_report()
    student = next(network for network in shown.networks if network.role == "student")
    shares = [{"kd": 0.9, "label": 0.1, "domain": 0.0}, {"kd": 0.7, "label": 0.1, "domain": 0.2}]
    curve = [replace(student.training.curve[0], epoch=float(number + 1), shares=share) for number, share in enumerate(shares)]
    page = html(replace(shown, networks=[replace(student, training=replace(student.training, curve=curve))]))
    assert "domain ends at 20 %" in page
    assert "share of domain" in page
    told = Told()
    told.read(b'{"kind":"stage-started","stage":"distill/resnet20","time":1.0}')
    told.read(
        b'{"kind":"trained","network":"resnet20","phase":"transfer","step":5,"steps":10,"epoch":1.0,"epochs":2.0,"loss":1.0,"temperature":3.0,'
        b'"shares":{"kd":0.8,"domain":0.2},"gradient_shares":{"kd":1.0},"learning_rate":0.1,"images_per_s":1.0,"seconds_left":1.0,'
        b'"valid_accuracy":0.5,"time":2.0}'
    )
    (network,) = told.networks()
    assert isinstance(network.training.curve[0], CurvePoint)
    assert "domain ends at 20 %" in live("run", told, refresh=5)
