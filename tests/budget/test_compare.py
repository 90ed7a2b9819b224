"""What changed between two reports."""

import msgspec
import pytest

from edgekd.budget.compare import Change, changes, strangers
from edgekd.record import Report
from edgekd.report.changes import changes_table
from edgekd.report.markdown import drawn as markdown
from edgekd.report.text import drawn
from tests.report.golden import check_golden
from tests.report.sample import SHIPPED, TEACHER, sample_report

REPORT = sample_report()
replace = msgspec.structs.replace


def earlier() -> Report:
    """The same job when its files were a tenth smaller."""
    return replace(REPORT, artifacts=[replace(each, size=round(each.size / 1.1)) for each in REPORT.artifacts])


def of(found: list[Change], artifact: str, quantity: str) -> Change:
    (change,) = [each for each in found if (each.artifact, each.quantity) == (artifact, quantity)]
    return change


def test_every_file_and_quantity_that_both_have() -> None:
    """Exact ones without an interval, times and scores with one; accuracy paired on the same images."""
    found = changes(REPORT, earlier())
    assert {each.artifact for each in found} == {artifact.name for artifact in REPORT.artifacts}
    size, latency, accuracy = (of(found, SHIPPED, quantity) for quantity in ("size", "latency_p50", "accuracy"))
    assert size.rise == pytest.approx((0.1, 0.1, 0.1), abs=1e-5)
    assert (size.target, latency.target, accuracy.target) == (None, "cpu", None)
    assert latency.rise is not None
    assert latency.rise[1] < 0 == latency.rise[0] < latency.rise[2]
    assert accuracy.rise is not None
    assert accuracy.rise[0] == 0
    assert accuracy.rise[2] - accuracy.rise[1] < 0.005


def test_a_worse_accuracy_fell() -> None:
    """The sign is that of a rise; on other images it is compared as of two samples, with a wider interval."""
    teacher, student = REPORT.score(TEACHER), REPORT.score(SHIPPED)
    assert teacher is not None
    assert student is not None
    now = replace(REPORT, scores=[replace(student, artifact=TEACHER)])
    paired, apart = (of(changes(now, replace(REPORT, scores=[replace(teacher, images=images)])), TEACHER, "accuracy") for images in ("cd" * 32, "x"))
    assert paired.rise is not None
    assert apart.rise is not None
    assert paired.rise[0] == pytest.approx(-0.014)
    assert apart.rise[0] == pytest.approx(-0.014)
    assert apart.rise[2] - apart.rise[1] > paired.rise[2] - paired.rise[1]


def test_a_paired_changes_interval_holds_its_value() -> None:
    """Its low end is the lower one."""
    teacher, student = REPORT.score(TEACHER), REPORT.score(SHIPPED)
    assert teacher is not None
    assert student is not None
    now = replace(REPORT, scores=[replace(student, artifact=TEACHER)])
    change = of(changes(now, replace(REPORT, scores=[teacher])), TEACHER, "accuracy")
    assert change.rise is not None
    assert change.rise[1] < change.rise[0] < change.rise[2] < 0


def test_energies_are_compared_too() -> None:
    """Where both were metered on one rail."""
    now, then = (
        replace(REPORT, measurements=[replace(each, energy=joules, energy_rail="VDD_IN", energy_reason=None) for each in REPORT.measurements])
        for joules in (3e-3, 2e-3)
    )
    assert of(changes(now, then), SHIPPED, "energy").rise == pytest.approx((0.5, 0.5, 0.5))


def test_times_of_another_machine_have_no_rise() -> None:
    """And the reason stands below."""
    then = replace(REPORT, hosts={"here": replace(REPORT.hosts["here"], cores=8)})
    change = of(changes(REPORT, then), SHIPPED, "latency_p50")
    assert change.rise is None
    table = changes_table([change])
    assert table.columns[-1].cells == ["–"]
    assert table.note == "another host measured the baseline: cores was 8 and is 4. Measure both on one."


def test_files_that_only_one_has_are_named() -> None:
    """They are compared with nothing."""
    then = replace(REPORT, artifacts=[*REPORT.artifacts[:5], replace(REPORT.artifacts[5], network="old")])
    assert strangers(REPORT, then) == [f"new: {SHIPPED}", "only in the baseline: student/old/int8-cpu"]
    assert strangers(REPORT, REPORT) == []


def test_targets_that_are_gone_and_other_test_images_are_named() -> None:
    """Else a device would drop out of what is compared, and a change of the data look like one of the model."""
    elsewhere = [replace(each, target="box") for each in REPORT.measurements]
    shipped = {key.replace("cpu/", "box/"): name for key, name in REPORT.shipped.items()}
    now = replace(REPORT, measurements=elsewhere, shipped=shipped, scores=[replace(each, images="ab" * 32) for each in REPORT.scores])
    assert strangers(now, REPORT) == [
        "new: what ran on box",
        "only in the baseline: what ran on cpu",
        "scores are of other test images than the baseline's",
    ]


def test_where_nothing_changed_that_is_all_there_is_to_say() -> None:
    """Files are the same: no row, and how many figures they have."""
    found = [each for each in changes(REPORT, REPORT) if each.quantity in ("size", "params", "macs")]
    table = changes_table(found)
    assert (table.note, table.columns) == ("18 figures are as before", [])


def test_the_table_reads_as_it_should() -> None:
    """As text and as Markdown."""
    found = [each for each in changes(REPORT, earlier()) if each.artifact == SHIPPED]
    table = changes_table(found, ["new: student/tiny/fp32"])
    check_golden("changes.txt", drawn([table], width=100) + "\n")
    check_golden("changes.md", markdown([table]))
