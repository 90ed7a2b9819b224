"""device/agent/nvml.py: a card as a library tells it that stands in for NVIDIA's, through the same C interface."""

import subprocess
from pathlib import Path

import pytest

from edgekd.device.agent import machine, nvml, power
from tests.device.agent.gpu import compiled
from tests.needs import need_tool


def built(folder: Path, name: str, *options: str) -> str:
    """The stand-in as a shared library."""
    file = folder / name
    subprocess.run(
        [need_tool("gcc", "cc"), "-shared", "-fPIC", *options, "-o", str(file), str(Path(__file__).with_name("nvml.c"))], check=True, timeout=120
    )
    return str(file)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> "dict[str, str]":
    """A newer one, an older one, one that finds no card, and one of two cards."""
    folder = tmp_path_factory.mktemp("nvml")
    return {
        "new": built(folder, "new.so", "-DBROKEN=0"),
        "old": built(folder, "old.so", "-DBROKEN=0", "-DOLD"),
        "none": built(folder, "none.so", "-DBROKEN=9"),
        "two": built(folder, "two.so", "-DBROKEN=0", "-DTWO"),
    }


def card(library: str) -> nvml.Card:
    """The card that a library tells of."""
    found, reason = nvml.opened(library)
    assert found is not None, reason
    return found


def test_what_a_card_is(libraries: "dict[str, str]") -> None:
    """Name, driver, the CUDA that it speaks, its capability and its memory."""
    assert card(libraries["new"]).facts() == {
        "gpu": "NVIDIA Example 4000",
        "driver": "580.65.06",
        "cuda": "13.2",
        "compute_capability": "8.9",
        "gpu_memory": 25769803776,
    }


def test_how_a_card_is(libraries: "dict[str, str]") -> None:
    """Clocks, warmth, memory; what holds it back now and how long anything has; a list of processes that is longer than was thought."""
    told = card(libraries["new"]).state()
    assert (told["gpu_mhz"], told["memory_mhz"], told["gpu_c"], told["gpu_memory_free"]) == (2520.0, 10501.0, 71.0, 20_000_000_000)
    assert told["held"] == ["the GPU was held back by its power limit"]
    assert told["counts"] == {
        "the GPU was held back by its power limit": 123456789,
        "the GPU was slowed for its heat": 0,
        "the GPU was held back for its reliability": 0,
    }
    assert told["gpu_processes"] == list(range(1000, 1100))


def test_an_older_library(libraries: "dict[str, str]") -> None:
    """It has other names for some questions, and none for others; heat is said once, idling is none."""
    old = card(libraries["old"])
    told = old.state()
    assert (told["held"], told["counts"], told["gpu_processes"]) == (["the GPU was slowed for its heat"], {}, [77])
    assert old.joules() is None


def test_energy_is_the_cards_counter(libraries: "dict[str, str]") -> None:
    """In joules; an older card counts none, and says so."""
    counter, rail, reason = power._gpu_counter(libraries["new"])
    assert counter is not None
    first, second = counter(), counter()
    assert first is not None
    assert second is not None
    assert (second - first, rail, reason) == (2.5, "GPU board (NVML)", None)
    assert power._gpu_counter(libraries["old"]) == (None, None, "this card counts no energy (NVML)")


def test_no_card(libraries: "dict[str, str]") -> None:
    """A library that finds none is told from none at all."""
    assert nvml.opened(libraries["none"]) == (None, "NVML tells of no card here")
    assert nvml.opened("libno-such-library.so.1") == (None, "there is no NVIDIA management library (NVML) here")


def test_of_two_cards_the_one_that_cuda_takes(libraries: "dict[str, str]", tmp_path: Path) -> None:
    """CUDA's first is NVML's second here, found by its slot; without CUDA, or where its slot is not known, NVML's first is all there is."""
    driver = compiled(tmp_path)
    elsewhere = built(tmp_path, "elsewhere.so", "-DBROKEN=0", "-DTWO", '-DSLOT="0000:99:00.0"')
    told = [nvml.opened(libraries["two"], str(driver)), nvml.opened(libraries["two"], "libno-such-library.so.1"), nvml.opened(elsewhere, str(driver))]
    assert [found.facts()["gpu"] for found, _ in told if found is not None] == ["NVIDIA Example 4000", "NVIDIA Example 100", "NVIDIA Example 100"]


def test_a_machine_with_a_card(libraries: "dict[str, str]", monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts and its warmth stand beside the processor's, and no other program is asked."""
    found = card(libraries["new"])
    monkeypatch.setattr(nvml, "opened", lambda: (found, None))
    monkeypatch.setenv("PATH", "/nowhere")
    facts, state = machine.facts(), machine.state()
    assert (facts["gpu"], facts["driver"], facts["cuda"], facts["compute_capability"]) == ("NVIDIA Example 4000", "580.65.06", "13.2", "8.9")
    assert state["temperature_c"]["GPU"] == 71.0
    assert (state["gpu_mhz"], len(state["gpu_processes"])) == (2520.0, 100)


def test_cudas_versions() -> None:
    """As the driver numbers them."""
    assert [nvml.cuda_version(number) for number in (11080, 12040, 12060, 13020)] == ["11.8", "12.4", "12.6", "13.2"]


def test_versions_of_two_digits() -> None:
    """A CUDA 13.10 is no 13.0."""
    assert (nvml.cuda_version(12040), nvml.cuda_version(13100)) == ("12.4", "13.10")


def test_libraries_that_are_not_there() -> None:
    """No version is None, and no error."""
    assert nvml._driver_cuda("libno-such-library.so.1") is None
    assert nvml._tensorrt(("libno-such-library.so.1",)) is None
