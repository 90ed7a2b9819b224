"""README.txt and licences/README.txt: which samples a target gets, how each is built, and what nobody has tried."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from edgekd.events import silent
from edgekd.pack.chosen import Choice, chosen
from edgekd.pack.readme import licences_text, readme_text, samples
from edgekd.pack.shown import Shown, shown

COMPILED = {"openvino.cpp"}


@pytest.fixture(scope="module")
def packing(toy_run: Path) -> tuple[Choice, Shown]:
    """The toy run's file for the CPU."""
    choice = chosen(toy_run, "cpu", None)
    return choice, shown(choice, (), toy_run.parent, silent)


@pytest.mark.parametrize(
    ("target", "cpp"),
    [("cpu", ["openvino.cpp", "onnxruntime.cpp"]), ("jetson-orin-nano", ["tensorrt.cpp"]), ("rtx-4090", ["tensorrt.cpp"])],
)
def test_each_target_gets_the_samples_of_its_runtime(packing: tuple[Choice, Shown], toy_run: Path, target: str, cpp: list[str]) -> None:
    """Each with the line that builds it and its licence, in 80 columns; those that nobody compiled say so."""
    choice, seen = chosen(toy_run, target, "fp32"), packing[1]
    assert samples(choice.target, seen) == cpp
    text, licences = readme_text(choice, seen), licences_text(choice.target, seen)
    assert max(map(len, [*text.split("\n"), *licences.split("\n")])) <= 80
    assert text.count("g++ -std=c++17") == len(cpp)
    assert text.count("(NOT COMPILED HERE)") == len(set(cpp) - COMPILED)
    for name in cpp:
        assert f"cpp/{name} -o" in text
        assert f"cpp/{name} " in licences
    assert ("NOT MEASURED on this target" in text) is not choice.measured
    assert ("-ltensorrt_rtx" in text) is (choice.target.runtime == "tensorrt-rtx")


def test_another_provider_is_named(packing: tuple[Choice, Shown]) -> None:
    """sample.py runs on the CPU and says where to change that; OpenVINO is for CPUs."""
    choice, seen = packing
    choice = dataclasses.replace(choice, target=msgspec.structs.replace(choice.target, provider="CUDAExecutionProvider"))
    assert samples(choice.target, seen) == ["onnxruntime.cpp"]
    assert "The target's provider is CUDAExecutionProvider" in readme_text(choice, seen)


def test_a_file_of_another_type_has_no_sample_in_cpp(packing: tuple[Choice, Shown]) -> None:
    """And the reader is told why."""
    choice, seen = packing
    seen = dataclasses.replace(seen, feed=dataclasses.replace(seen.feed, type="uint8", plain=False))
    assert samples(choice.target, seen) == []
    text = readme_text(choice, seen)
    assert "There is no C++ sample: those feed and read float32 only" in text
    assert "g++" not in text
