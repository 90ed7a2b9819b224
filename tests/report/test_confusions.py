"""Tests of edgekd/report/confusions.py."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgekd.record import Report
from edgekd.report.confusions import Pair, confusions, pairs
from edgekd.scores import Score
from tests.report.pages import Page, drawn_report
from tests.report.sample import SHIPPED, TEACHER, sample_report

replace = msgspec.structs.replace
counts = st.dictionaries(st.sampled_from("abcd"), st.dictionaries(st.sampled_from("efgh"), st.integers(1, 50), max_size=4), max_size=4)


def _score(confusion: dict[str, dict[str, int]]) -> Score:
    return Score(artifact="a", split="test", host="", n=100, metrics={}, confusion=confusion)


def _of(classes: int) -> Report:
    """Each class is called the next one: by the teacher once, by the student as often as its number says."""
    report = drawn_report()
    names = [f"class {number}" for number in range(classes)]
    found = {
        role: {name: {names[(number + 1) % classes]: 1 if role == "teacher" else number + 1} for number, name in enumerate(names)}
        for role in ("teacher", "student")
    }
    assert report.data is not None
    scores = [replace(each, confusion=found[each.artifact.partition("/")[0]]) for each in report.scores]
    return replace(report, scores=scores, data=replace(report.data, classes=names))


def test_what_was_added_most_stands_first() -> None:
    """Then what stayed, then what the student mixes up less often than its teacher; nothing is left out."""
    found = pairs(_score({"cat": {"dog": 40, "deer": 9}, "dog": {"cat": 15}}), _score({"cat": {"dog": 20, "deer": 9}, "dog": {"cat": 25}}))
    assert found == [Pair("cat", "dog", 40, 20), Pair("cat", "deer", 9, 9), Pair("dog", "cat", 15, 25)]


@given(counts, counts)
def test_all_pairs_come_to_all_that_is_wrong(student: dict[str, dict[str, int]], teacher: dict[str, dict[str, int]]) -> None:
    """Of both, in an order that falls."""
    found = pairs(_score(student), _score(teacher))
    assert sum(pair.student for pair in found) == sum(count for row in student.values() for count in row.values())
    assert sum(pair.teacher for pair in found) == sum(count for row in teacher.values() for count in row.values())
    assert [pair.added for pair in found] == sorted((pair.added for pair in found), reverse=True)


def test_a_figure_says_what_it_comes_to() -> None:
    """In a sentence, a row for each pair that grew, and a matrix whose diagonal is what is right."""
    ((name, drawn),) = confusions(drawn_report())
    page = Page(drawn)
    assert name == SHIPPED
    assert (
        page.inside("p")[0]
        == "Of 2000 images the student calls 64 by another class, the teacher 54: 20 more in 1 pair of classes, 10 fewer in 1 pair of classes."
    )
    assert page.inside("title") == ["cat, called dog: by the student 40 times, by the teacher 20"]
    shades = [attributes.get("class") for kind, attributes in page.elements if kind == "td"]
    assert shades[:9] == ["own", "more-4", None, "less-2", "own", None, None, None, "own"]
    assert page.inside("td")[:2] == ["+20", "−10"]
    assert page.inside("summary") == ["The other 2 pairs of classes"]


def test_a_hundred_classes_are_a_list() -> None:
    """No matrix; twelve pairs are drawn, the worst first, the others open on a click."""
    page = Page(confusions(_of(100))[0][1])
    assert not [attributes for attributes in page.named("table") if attributes["class"] == "matrix"]
    assert len(page.inside("title")) == 12
    assert page.inside("title")[0] == "class 99, called class 0: by the student 100 times, by the teacher 1"
    assert "The other 88 pairs of classes" in page.inside("summary")


def test_a_thousand_pairs_say_what_they_leave_out() -> None:
    """Two hundred are listed behind the click."""
    page = Page(confusions(_of(1000))[0][1])
    assert "788 more stand in report.json." in page.inside("p")


def test_scores_of_other_images_are_not_compared() -> None:
    """Nor those of a report from before mix-ups were kept."""
    report = drawn_report()
    other = replace(report, scores=[replace(each, images="ef" * 32) if each.artifact == TEACHER else each for each in report.scores])
    assert confusions(other) == confusions(sample_report()) == []
