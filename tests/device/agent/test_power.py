"""device/agent/power.py: what counters and sensors say, and the reason where they say nothing."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from edgekd.device.agent import power
from edgekd.device.agent.power import Meter, Sampler, rails
from tests.device.agent.test_machine import put


def sensor(root: Path, number: int, name: str, **rail: "tuple[str, int, int]") -> None:
    """A sensor with channels `c1=(label, mV, mA)`."""
    place = f"sys/class/hwmon/hwmon{number}"
    put(root, f"{place}/name", f"{name}\n")
    for channel, (label, millivolts, milliamperes) in rail.items():
        put(root, f"{place}/in{channel[1:]}_label", f"{label}\n")
        put(root, f"{place}/in{channel[1:]}_input", f"{millivolts}\n")
        put(root, f"{place}/curr{channel[1:]}_input", f"{milliamperes}\n")


def watts(root: Path) -> "dict[str, float | None]":
    """Of each rail now."""
    return {label: now() for label, now in rails(root).items()}


def test_a_board_with_one_rail_for_all(tmp_path: Path) -> None:
    """An Orin Nano: the others hang on VDD_IN, and adding them would count them twice (synthetic, after the documented layout)."""
    sensor(tmp_path, 0, "nvme", c1=("Composite", 1, 1))
    sensor(tmp_path, 3, "ina3221", c1=("VDD_IN", 5000, 1500), c2=("VDD_CPU_GPU_CV", 5000, 600), c3=("VDD_SOC", 5000, 300), c7=("sum of shunts", 1, 1))
    assert watts(tmp_path) == {"VDD_IN": 7.5}


def test_a_board_without_such_a_rail(tmp_path: Path) -> None:
    """An AGX Orin: all of both sensors' rails, but for the channel that nothing hangs on (synthetic)."""
    sensor(tmp_path, 1, "ina3221", c1=("VDD_GPU_SOC", 20000, 100), c2=("VDD_CPU_CV", 20000, 50), c3=("VIN_SYS_5V0", 5000, 400))
    sensor(tmp_path, 2, "ina3221", c1=("NC", 0, 0), c2=("VDDQ_VDD2_1V8AO", 5000, 100), c3=("NC", 0, 0))
    assert watts(tmp_path) == {"VDD_GPU_SOC": 2.0, "VDD_CPU_CV": 1.0, "VIN_SYS_5V0": 2.0, "VDDQ_VDD2_1V8AO": 0.5}


def test_a_sensor_that_tells_watts(tmp_path: Path) -> None:
    """An INA238 gives microwatts (synthetic)."""
    put(tmp_path, "sys/class/hwmon/hwmon4/name", "ina238\n")
    put(tmp_path, "sys/class/hwmon/hwmon4/power1_input", "12500000\n")
    put(tmp_path, "sys/class/hwmon/hwmon4/label", "VIN\n")
    assert watts(tmp_path) == {"VIN": 12.5}


def metered(meters: list[Callable[[], float | None]], *, every_s: float) -> tuple[float, float, float]:
    """The joules of a tenth of a second, between the least and the most seconds that were metered."""
    before = time.perf_counter()
    sampler = Sampler(meters, every_s=every_s)
    begin = time.perf_counter()
    time.sleep(0.1)
    end = time.perf_counter()
    joules = sampler.end()
    assert joules is not None
    return end - begin, joules, time.perf_counter() - before


def test_power_adds_up_to_energy() -> None:
    """A constant 10 W over a while, whatever the pace of the readings."""
    least, joules, most = metered([lambda: 4.0, lambda: 6.0], every_s=0.005)
    assert least <= joules / 10 <= most


def test_power_that_rises_is_added_up_between_its_readings() -> None:
    """From 0 to 10 W half of what 10 W would be, however seldom it is read."""
    readings = iter([0.0, 10.0])
    least, joules, most = metered([lambda: next(readings)], every_s=60)
    assert least <= joules / 5 <= most


def test_a_sensor_that_falls_silent() -> None:
    """No energy is better than one that misses a part."""
    readings = count()
    sampler = Sampler([lambda: 5.0, lambda: 5.0 if next(readings) < 2 else None], every_s=0.001)
    time.sleep(0.05)
    assert sampler.end() is None


def test_a_meter_names_its_rails(tmp_path: Path) -> None:
    """What was read, over how long."""
    sensor(tmp_path, 0, "ina3221", c1=("A", 1000, 1000), c2=("B", 1000, 2000))
    before = time.perf_counter()
    meter = Meter(tmp_path)
    begin = time.perf_counter()
    time.sleep(0.05)
    end = time.perf_counter()
    reading = meter.end()
    assert reading.joules is not None
    assert end - begin <= reading.joules / 3 <= time.perf_counter() - before
    assert end - begin <= reading.seconds
    assert (reading.rail, reading.reason) == ("A + B", None)


def test_a_meter_without_anything_to_read(tmp_path: Path) -> None:
    """No number, and why."""
    reading = Meter(tmp_path).end()
    assert (reading.joules, reading.rail, reading.reason) == (None, None, "this machine shows no energy counter (RAPL)")


def test_a_meter_of_packages(tmp_path: Path) -> None:
    """What the counters rose by."""
    package(tmp_path, 0, 100_000)
    meter = Meter(tmp_path)
    package(tmp_path, 0, 600_000)
    reading = meter.end()
    assert reading.joules == pytest.approx(0.5)
    assert reading.rail == "processor packages (RAPL)"


def test_a_card_that_is_not_there() -> None:
    """Said as such; a processor's counter is not put in its place."""
    assert power._gpu_counter("libno-such-library.so.1") == (None, None, "there is no NVIDIA management library (NVML) here")


def package(root: Path, number: int, micro: int | None) -> None:
    """A processor package's energy counter, and one of a part of it."""
    put(root, f"sys/class/powercap/intel-rapl:{number}/name", f"package-{number}\n")
    put(root, f"sys/class/powercap/intel-rapl:{number}:0/name", "core\n")
    put(root, f"sys/class/powercap/intel-rapl:{number}:0/energy_uj", "77\n")
    put(root, f"sys/class/powercap/intel-rapl:{number}/max_energy_range_uj", "1000000\n")
    if micro is not None:
        put(root, f"sys/class/powercap/intel-rapl:{number}/energy_uj", f"{micro}\n")


def test_energy_is_counted_by_package(tmp_path: Path) -> None:
    """Parts of a package are not counted twice; a counter that began again at 0 is allowed for."""
    package(tmp_path, 0, 100_000)
    package(tmp_path, 1, 900_000)
    before, why = power.rapl(tmp_path)
    assert (before, why) == ({"package-0": 100_000, "package-1": 900_000}, "")
    package(tmp_path, 0, 350_000)
    package(tmp_path, 1, 50_000)
    assert power.joules(before, power.rapl(tmp_path)[0], tmp_path) == pytest.approx(0.25 + 0.15)


def test_energy_that_is_not_told_has_a_reason(tmp_path: Path) -> None:
    """No counter, and one that only root may read."""
    assert power.rapl(tmp_path) == ({}, "this machine shows no energy counter (RAPL)")
    package(tmp_path, 0, None)
    assert power.rapl(tmp_path) == ({}, "the energy counters (RAPL) are readable by root only here")
