"""edgekd.report.labels: the table of labels where an image may have several."""

import msgspec

from edgekd.record import Report
from edgekd.report.columns import tables
from edgekd.report.labels import labels
from edgekd.scores import LabelScore
from tests.report.sample import SHIPPED, TEACHER, sample_report


def several() -> Report:
    """The sample as if an image could show several animals; the teacher's test images do not show deer."""
    report = sample_report()

    def label(positives: int, precision: float, auc: float | None = 0.9) -> LabelScore:
        return LabelScore(threshold=0.25, positives=positives, negatives=1, average_precision=precision, auc=auc, f1=0.5)

    told = {
        SHIPPED: {"cat": label(200, 0.8), "dog": label(20, 0.7, None), "deer": label(90, 0.6)},
        TEACHER: {"cat": label(200, 0.9), "dog": label(20, 0.75)},
    }
    metrics = {"map": report.scores[0].metrics["accuracy"]}
    scores = [msgspec.structs.replace(score, labels=told.get(score.artifact, {}), metrics={**score.metrics, **metrics}) for score in report.scores]
    return msgspec.structs.replace(report, scores=scores)


def test_labels_of_the_shipped_file_rarest_first() -> None:
    """Beside the teacher's average precision; what is not known has the sign for nothing."""
    table = labels(several())
    note, cells = table.note, table.cells
    assert note.startswith(f"of {SHIPPED}; threshold")
    assert cells["label"] == ["dog", "deer", "cat"]
    assert cells["images"] == ["20", "90", "200"]
    assert cells["threshold"] == ["25.0 %"] * 3
    assert cells["AP"] == ["70.0 %", "60.0 %", "80.0 %"]
    assert cells["AUC"][:2] == ["–", "90.0 %"]
    assert cells["teacher's AP"] == ["75.0 %", "–", "90.0 %"]


def test_one_label_an_image_has_no_such_table() -> None:
    """Its classes have a picture of their own, and its scores are headed by accuracy."""
    assert labels(sample_report()).columns == []
    titles = {table.title: [column.head for column in table.columns] for table in tables(sample_report())}
    assert "Label by label" not in titles
    assert titles["Scores"][1] == "accuracy"
    assert {table.title: [column.head for column in table.columns] for table in tables(several())}["Scores"][1] == "mAP"
