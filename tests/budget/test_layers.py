"""Which layers are behind a figure."""

import msgspec

from edgekd.budget import judge
from edgekd.budget.layers import behind
from edgekd.limit import Limit
from edgekd.record import Artifact, Layer
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


def with_layers(*sizes: int, names: str = "conv") -> Artifact:
    """The shipped file with layers of so many parameters, one byte and two MACs each."""
    layers = [Layer(name=f"{names}{at}", op="Conv", params=n, bytes=n, macs=2 * n, precision="int8") for at, n in enumerate(sizes)]
    return replace(sample_report().artifacts[-1], layers=layers)


def test_without_a_baseline_the_largest_come_first() -> None:
    """With their share of all."""
    assert behind("size", with_layers(1000, 3000), None) == [
        "conv1 (Conv): 3.00 kB, 75.0 % of all layers",
        "conv0 (Conv): 1.00 kB, 25.0 % of all layers",
    ]
    assert behind("latency_p50", with_layers(1000), None) == ["conv0 (Conv): 2.00k, 100.0 % of all layers"]


def test_over_a_baseline_those_that_grew() -> None:
    """And those that are new; what shrank is not behind it."""
    assert behind("growth.params", with_layers(1000, 2000, 10, 700), with_layers(1000, 1500, 20)) == [
        "conv3 (Conv): 700, new",
        "conv1 (Conv): 2.00k, was 1.50k",
    ]


def test_many_are_counted() -> None:
    """Five are named."""
    told = behind("params", with_layers(*range(1, 9)), with_layers(*[0] * 8))
    assert (len(told), told[-1]) == (6, "3 more layers grew less")
    assert behind("params", with_layers(*range(1, 9)), None)[-1] == "3 more layers are smaller"


def test_files_that_share_no_names_are_compared_by_operator() -> None:
    """As when another exporter wrote one of them."""
    assert behind("size", with_layers(1000, 500), with_layers(700, names="node_")) == ["all Conv: 1.50 kB, was 700 B"]


def test_where_no_layer_grew_that_is_said() -> None:
    """Metadata and constants take bytes too."""
    assert behind("size", with_layers(10), with_layers(10)) == ["no layer grew: what did stands between them, as metadata or constants"]


def test_an_older_report_lists_no_layers() -> None:
    """On either side, it says so."""
    bare = sample_report().artifacts[-1]
    assert behind("size", bare, None) == [
        f"this report does not list the layers of {SHIPPED}: it was made by an older edgekd, or without looking into the file"
    ]
    assert behind("size", with_layers(1), bare)[0].startswith("the baseline does not list the layers")


def test_no_layer_is_behind_an_accuracy() -> None:
    """Nor anything behind a limit that holds, or where nobody asked."""
    assert behind("accuracy", with_layers(1), None) == []
    report = replace(sample_report(), artifacts=[with_layers(1000)])
    assert [v.why for v in judge(report, [Limit(artifact="int8", size="1 MB"), Limit(artifact="int8", size=1)], why=True)] == [
        [],
        ["conv0 (Conv): 1.00 kB, 100.0 % of all layers"],
    ]
    assert [v.why for v in judge(report, [Limit(artifact="int8", size=1)])] == [[]]
