"""Tests of edgekd/report/runtimes.py."""

import msgspec

from edgekd.measurements import Launch, Timing
from edgekd.record import Report
from edgekd.report import runtimes, words
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace
REPORT = sample_report()


def _by_two_runtimes(rival: str, ms: float, span: tuple[float, float, float] | None) -> Report:
    """The report with a second target of the same machine, on which `rival` ships and takes so long; `span`: held against the first in turn."""
    measured = next(each for each in REPORT.measurements if each.artifact == rival)
    rounds = [[[ms * (1 + 0.001 * at)] * 3 for at in range(8)]] * 3
    timing = Timing(launches=[Launch(load_ms=1.0, first_ms=1.0, rounds=each) for each in rounds])
    other = replace(measured, target="cpu-openvino", runtime="openvino", timing=timing)
    ratios = list(REPORT.ratios)
    if span is not None:
        held = replace(ratios[0], artifact=rival, against=rival, target="cpu-openvino", against_target="cpu")
        ratios.append(replace(held, value=span[0], low=span[1], high=span[2]))
    else:
        ratios.append(replace(ratios[0], artifact="student/x/fp32", against="student/x/fp32", target="cpu-openvino", against_target="cpu"))
    return replace(
        REPORT,
        measurements=[*REPORT.measurements, other],
        ratios=ratios,
        shipped={**REPORT.shipped, "cpu-openvino/resnet20": rival},
    )


def test_the_faster_of_two_runtimes_is_named() -> None:
    """One file by two runtimes: their ratio as it was held in turn, whichever of the two wins, and noise is called so."""
    faster = _by_two_runtimes(SHIPPED, 0.9, (0.8, 0.75, 0.85))
    told = f"{SHIPPED} by cpu-openvino is faster than by cpu (1.25×, 95 % interval 1.18 to 1.33): where you may choose, choose cpu-openvino."
    assert runtimes.sentences(faster) == [told]
    assert words.sentences(faster)[-1] == told
    slower = runtimes.sentences(_by_two_runtimes(SHIPPED, 1.3, (1.25, 1.2, 1.3)))
    assert slower == [f"{SHIPPED} by cpu is faster than by cpu-openvino (1.25×, 95 % interval 1.20 to 1.30): where you may choose, choose cpu."]
    alike = runtimes.sentences(_by_two_runtimes(SHIPPED, 1.04, (0.99, 0.95, 1.04)))
    assert alike == [f"{SHIPPED}: cpu and cpu-openvino are equally fast within the noise (1.01×, 95 % interval 0.962 to 1.05)."]
    assert runtimes.sentences(REPORT) == []


def test_two_runtimes_may_ship_two_files() -> None:
    """Where another file is the fastest there, both medians are compared; a rival that is unmeasured is not judged."""
    other = "student/resnet20/fp32"
    (told,) = runtimes.sentences(_by_two_runtimes(other, 0.5, None))
    assert told.startswith(f"{other} by cpu-openvino is faster than {SHIPPED} by cpu (2.")
    assert told.endswith("choose cpu-openvino.")
    (told,) = runtimes.sentences(_by_two_runtimes(other, 4.2, None))
    assert told.startswith(f"{SHIPPED} by cpu is faster than {other} by cpu-openvino (3.9")
    assert told.endswith("choose cpu.")
    unmeasured = replace(_by_two_runtimes(other, 0.5, None), measurements=REPORT.measurements)
    assert runtimes.sentences(unmeasured) == []


def test_openvino_is_named_where_it_may_be_much_faster() -> None:
    """On a CPU with AMX, of an int8 file that ships and is no trifle, as long as it was not tried."""
    hosts = {key: replace(host, instructions=[*host.instructions, "amx_int8"]) for key, host in REPORT.hosts.items()}
    amx = replace(REPORT, hosts=hosts)
    assert "--on cpu=local --on cpu-openvino=local" in runtimes.sentences(amx)[-1]
    assert runtimes.sentences(REPORT) == runtimes.sentences(replace(amx, shipped={"cpu/resnet20": "student/resnet20/fp32"})) == []
    assert "AMX" not in "".join(runtimes.sentences(replace(_by_two_runtimes(SHIPPED, 0.9, None), hosts=hosts)))
    quick = Timing(launches=[Launch(load_ms=1.0, first_ms=1.0, rounds=[[0.1] * 3] * 8)] * 3)
    for timing in (quick, Timing(launches=[])):  # a report of nothing but failed launches ends no command
        assert runtimes.sentences(replace(amx, measurements=[replace(each, timing=timing) for each in amx.measurements])) == []
