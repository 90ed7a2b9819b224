"""device/agent/machine.py: what recorded /proc and /sys trees say, and what they do not say."""

import os
from pathlib import Path

import pytest

from edgekd.device.agent import machine, nvml

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
cpu MHz\t\t: 2000.123
flags\t\t: fpu sse2 avx2 fma f16c avx512f avx512_vnni
bugs\t\t: spectre_v1

processor\t: 1
model name\t: another
cpu MHz\t\t: 3100.06
flags\t\t: fpu
"""
ORIN = """processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm crc32 fphp asimdhp asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd42

processor\t: 1
CPU part\t: 0xd42
"""
MEMINFO = "MemTotal:       16384000 kB\nMemFree:          123456 kB\nMemAvailable:    9999999 kB\n"


def tree(root: Path, **files: str) -> Path:
    """A root folder with these files; `__` stands for a slash in their names."""
    for name, text in files.items():
        put(root, name.replace("__", "/"), text)
    return root


def put(root: Path, path: str, text: str) -> None:
    """One file of a tree."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture(autouse=True)
def _four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use processors 0 to 3, on a machine without a card."""
    monkeypatch.setattr(nvml, "opened", lambda: (None, "no card"))
    monkeypatch.setattr(machine, "allowed", lambda: [0, 1, 2, 3])
    monkeypatch.setenv("PATH", "/nowhere")


def test_an_x86_processor(tmp_path: Path) -> None:
    """Its model's name, and those of its instructions that matter, in the order in which they are listed."""
    facts = machine.facts(tree(tmp_path, proc__cpuinfo=XEON))
    assert facts["cpu"] == "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    assert facts["instructions"] == ["avx2", "f16c", "fma", "avx512f", "avx512_vnni"]


def test_an_arm_processor(tmp_path: Path) -> None:
    """Its board, whose name ends with a NUL, and its core by the part's number."""
    root = tree(tmp_path, proc__cpuinfo=ORIN, sys__firmware__devicetree__base__model="NVIDIA Jetson Orin Nano Developer Kit\0")
    facts = machine.facts(root)
    assert facts["cpu"] == "NVIDIA Jetson Orin Nano Developer Kit, Cortex-A78AE"
    assert facts["instructions"] == ["asimd", "asimdhp", "asimddp"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"CPU implementer": "0x41", "CPU part": "0xd99"}, "Arm part 0xd99"),
        ({"CPU implementer": "0x61", "CPU part": "0xd0c"}, "Arm part 0xd0c"),
        ({"CPU implementer": "0x41", "CPU part": "0xd0c"}, "Neoverse-N1"),
    ],
)
def test_a_core_that_is_not_known(tmp_path: Path, fields: dict[str, str], name: str) -> None:
    """It keeps its number; another maker's number means another core."""
    assert machine.cpu_name(tmp_path, fields) == name


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """None, nothing and zero, and no error."""
    facts, state = machine.facts(tmp_path), machine.state(tmp_path)
    assert (facts["memory"], facts["instructions"], facts["gpu"], facts["driver"], facts["governor"]) == (0, [], None, None, None)
    assert facts["cpu"]
    assert facts["system"]
    assert state == {"clock_mhz": [], "temperature_c": {}, "load": None, "throttles": None, "busy_s": None, "memory_free": None}
    assert machine.peak_memory(tmp_path) is None
    machine.forget_peak(tmp_path)


def test_this_machine_tells_something() -> None:
    """Every fact is filled in or left out, and the process's own memory is known where /proc is."""
    facts = machine.facts()
    assert 1 <= facts["cores"] <= 4
    if Path("/proc/meminfo").exists():
        assert facts["memory"] > 2**28
        assert 2**20 < (machine.peak_memory() or 0) < facts["memory"]


def test_hyper_threads_count_once(tmp_path: Path) -> None:
    """By who shares a core with whom, which older kernels tell under another name; numbers of cores begin anew in each cluster of an Arm."""
    for name, count in (("core_cpus_list", 3), ("thread_siblings_list", 3)):
        for cpu, siblings in enumerate(["0,2", "1", "0,2", "3"]):
            put(tmp_path / name, f"sys/devices/system/cpu/cpu{cpu}/topology/{name}", f"{siblings}\n")
            put(tmp_path / name, f"sys/devices/system/cpu/cpu{cpu}/topology/core_id", "0\n")
        assert machine.cores(tmp_path / name) == count


@pytest.mark.parametrize(
    ("quota", "cores"), [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("900000 100000", 4)]
)
def test_a_containers_quota_counts(tmp_path: Path, quota: str, cores: int) -> None:
    """A share of a core counts as one; without topology each processor is a core."""
    assert machine.cores(tree(tmp_path, **{"sys__fs__cgroup__cpu.max": quota})) == cores


@pytest.mark.parametrize(("quota", "cores"), [("200000", 2), ("-1", 4)])
def test_an_older_kernels_quota_counts(tmp_path: Path, quota: str, cores: int) -> None:
    """Control groups of version 1 have files of their own; −1 is no limit, nor are more bytes than there are."""
    quotas = {"sys__fs__cgroup__cpu__cpu.cfs_quota_us": quota, "sys__fs__cgroup__cpu__cpu.cfs_period_us": "100000"}
    limit = {"sys__fs__cgroup__memory__memory.limit_in_bytes": "1073741824" if quota != "-1" else "9223372036854771712"}
    folder = tree(tmp_path, proc__meminfo=MEMINFO, **quotas, **limit)
    assert machine.cores(folder) == cores
    assert machine.memory(folder) == (2**30 if quota != "-1" else 16_384_000 * 1024)


@pytest.mark.parametrize(("limit", "bytes_"), [("max", 16_384_000 * 1024), ("1073741824", 2**30), ("9223372036854771712", 16_384_000 * 1024)])
def test_memory_is_the_smaller_of_machine_and_container(tmp_path: Path, limit: str, bytes_: int) -> None:
    """In bytes; a limit beyond the machine's memory is none."""
    assert machine.memory(tree(tmp_path, proc__meminfo=MEMINFO, **{"sys__fs__cgroup__memory.max": limit + "\n"})) == bytes_


def test_the_systems_name(tmp_path: Path) -> None:
    """As os-release prints it, without its quotes."""
    release = 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\nID=ubuntu\n'
    assert machine.system(tree(tmp_path, **{"etc__os-release": release})) == "Ubuntu 22.04.5 LTS"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'NVIDIA GeForce RTX 4090, 550.54.14'\necho 'second, 550.54.14'", ("NVIDIA GeForce RTX 4090", "550.54.14")),
        ("echo", (None, None)),
        ("echo 'no devices were found'; exit 6", (None, None)),
    ],
)
def test_a_card_as_its_tool_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: tuple[str | None, str | None]) -> None:
    """The first card and its driver; nothing where the tool fails."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia() == told


def test_clocks_in_megahertz(tmp_path: Path) -> None:
    """From cpufreq in kHz where it is, else from /proc/cpuinfo."""
    tree(tmp_path, proc__cpuinfo=XEON)
    assert machine.clocks(tmp_path) == [2000.1, 3100.1]
    for cpu, khz in ((0, 1_512_000), (2, 1_728_000), (9, 1)):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{khz}\n")
    assert machine.clocks(tmp_path) == [1512.0, 1728.0]


def test_temperatures_by_sensor(tmp_path: Path) -> None:
    """In °C; a sensor that is off is left out, one without a type goes by its zone."""
    for zone, (kind, millis) in enumerate([("cpu-thermal", "48500"), ("cv0-thermal", "-256000"), ("", "31000")]):
        put(tmp_path, f"sys/class/thermal/thermal_zone{zone}/type", kind)
        put(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", millis)
    assert machine.temperatures(tmp_path) == {"cpu-thermal": 48.5, "thermal_zone2": 31.0}


def test_load_throttling_and_time_spent(tmp_path: Path) -> None:
    """The first figure of loadavg, all cores' throttle counts together, and jiffies but the idle ones as seconds."""
    root = tree(tmp_path, proc__loadavg="1.25 0.50 0.10 2/300 12345\n", proc__stat="cpu  100 20 30 99999 500 6 4 0 0 0\ncpu0 1 1 1 1 1 1 1\n")
    for cpu, kind, count in ((0, "core", 2), (1, "core", 3), (0, "package", 4)):
        put(root, f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/{kind}_throttle_count", str(count))
    state = machine.state(root)
    assert (state["load"], state["throttles"]) == (1.25, 9)
    assert state["busy_s"] == pytest.approx(160 / os.sysconf("SC_CLK_TCK"))


def test_peak_memory_is_the_high_water_mark(tmp_path: Path) -> None:
    """In bytes, and not what is resident now."""
    assert machine.peak_memory(tree(tmp_path, proc__self__status="Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")) == 2 * 2**20
