"""edgekd.report.groups: head, middle and tail in words, in the table of scores, and drawn beside the teacher's."""

import msgspec
import pytest

from edgekd.record import Report
from edgekd.report import groups
from edgekd.report.classes import recalls
from edgekd.report.columns import tables
from edgekd.report.markdown import markdown
from edgekd.scores import ClassGroups, Metric
from tests.report.pages import Page
from tests.report.sample import TEACHER, sample_report

replace = msgspec.structs.replace
THIRDS = ClassGroups(rule="thirds", head=["cat"], middle=["dog"], tail=["deer"])


def unbalanced(found: ClassGroups | None = THIRDS, counts: tuple[int, ...] = (900, 90, 9)) -> Report:
    """The sample on classes of so many images; the student has 0.8, 0.6 and 0.4 of the groups right, the teacher 0.1 less."""
    report = sample_report()
    assert report.data is not None
    scores = []
    for each in report.scores:
        less = 0.1 if each.artifact == TEACHER else 0.0
        recall = {name: 0.8 - 0.2 * place - less for place, name in enumerate(groups.GROUPS)}
        scores.append(replace(each, groups={name: Metric(value=value, low=value, high=value, n=100) for name, value in recall.items()}))
    return replace(report, data=replace(report.data, groups=found, class_counts=list(counts)), scores=scores)


def test_the_rule_is_said() -> None:
    """Thirds with the images they have, from most to fewest; bounds with theirs; nothing where classes are balanced."""
    told = "head, middle and tail: thirds of the classes, 1 with 900, 1 with 90 and 1 with 9 training images"
    assert groups.rule(unbalanced()) == told
    two = ClassGroups(rule="bounds", head=["cat"], middle=[], tail=["dog", "deer"])
    assert (
        groups.rule(unbalanced(two)) == "head, middle and tail: of the classes 1 with over 100, 0 with 20 to 100 and 2 with under 20 training images"
    )
    both = ClassGroups(rule="thirds", head=["cat", "dog"], middle=[], tail=["deer"])
    assert "2 with 900 to 90, " in groups.rule(unbalanced(replace(both, middle=["deer"])))
    assert groups.rule(sample_report()) == ""
    assert groups.rule(replace(sample_report(), data=None)) == ""


def test_the_table_of_scores_has_a_column_a_group() -> None:
    """Of every file, the teacher's too, with the rule below it; a balanced report has none of them."""
    (scores,) = (table for table in tables(unbalanced()) if table.title == "Scores")
    cells = {column.head: column.cells for column in scores.columns}
    assert [cells[group][0] for group in groups.GROUPS] == ["70.0 %", "50.0 %", "30.0 %"]
    assert [cells[group][3] for group in groups.GROUPS] == ["80.0 %", "60.0 %", "40.0 %"]
    assert groups.rule(unbalanced()) in scores.note
    assert groups.rule(unbalanced()) in markdown(unbalanced())
    (plain,) = (table for table in tables(sample_report()) if table.title == "Scores")
    assert not {column.head for column in plain.columns} & set(groups.GROUPS)


def test_the_groups_are_drawn_beside_the_teachers() -> None:
    """Above the classes, with the rule as the caption."""
    ((_, drawn),) = recalls(unbalanced())
    page = Page(drawn)
    assert page.inside("caption")[0] == f"Mean recall of {groups.rule(unbalanced())}"
    assert page.inside("title")[:3] == [
        "head: student 80.0 %, teacher 70.0 %, 100 images",
        "middle: student 60.0 %, teacher 50.0 %, 100 images",
        "tail: student 40.0 %, teacher 30.0 %, 100 images",
    ]


@pytest.mark.parametrize("report", [sample_report(), unbalanced(None)])
def test_without_a_rule_nothing_is_drawn_of_groups(report: Report) -> None:
    """As in a report of balanced classes, and in one from before groups were kept."""
    assert "head, middle and tail" not in "".join(str(drawn) for _, drawn in recalls(report))
