"""target: the devices that ship, and one's own."""

from pathlib import Path

import pytest

from edgekd import target
from edgekd.errors import MissingError, UsageError


@pytest.mark.parametrize("name", target.names())
def test_each_target_that_ships_reads(name: str) -> None:
    """Its INT8 flavour is among its precisions, and what it states of the chip has a source."""
    loaded = target.load(name)
    assert loaded.name == name
    assert loaded.description
    assert loaded.int8 in loaded.precisions
    assert loaded.by_engine == (loaded.int8 == "int8-trt")
    stated = [loaded.chip.memory, loaded.chip.bandwidth, loaded.chip.peak_fp32, loaded.chip.peak_fp16, loaded.chip.peak_int8]
    assert bool(loaded.chip.source) == any(stated)
    assert all(value is None or value > 0 for value in stated)


def test_the_cpus_are_those_that_were_tested() -> None:
    """What has never run on the real device says so."""
    assert [name for name in target.names() if target.load(name).tested] == ["cpu", "cpu-openvino"]


def test_the_targets_are_found_in_the_checkout() -> None:
    """An editable install has them beside the package."""
    assert (target.folder() / "cpu.toml").is_file()


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    """FILE.toml is a target named after the file unless it says otherwise."""
    file = tmp_path / "camera.toml"
    text = 'description = "ours"\nruntime = "onnxruntime"\nprovider = "CPUExecutionProvider"\nprecisions = ["fp32"]\nint8 = "int8-cpu"\n'
    file.write_text(text)
    assert target.load(str(file)).name == "camera"
    file.write_text(text + 'name = "cam-2"\n')
    assert target.load(str(file)).name == "cam-2"


def test_a_target_of_ones_own_is_seen_from_the_folder_that_is_given(tmp_path: Path) -> None:
    """Its path is relative to that folder, and where no file is, the message says at which path it was looked for."""
    (tmp_path / "camera.toml").write_text((target.folder() / "cpu.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert target.load("camera.toml", tmp_path).name == "camera"
    assert target.load("cpu", tmp_path).name == "cpu"
    with pytest.raises(MissingError, match=r"there is none at .*lost\.toml\. A path in a recipe or a budget is relative to"):
        target.load("lost.toml", tmp_path)


def test_an_unknown_target_names_the_nearest() -> None:
    """A misspelt name is one word away from the right one."""
    with pytest.raises(MissingError, match=r"no target is called 'jetson-orin-nan'\. Did you mean 'jetson-orin-nano'\? `edgekd targets` lists them"):
        target.load("jetson-orin-nan")


def test_a_file_that_is_no_toml_says_so(tmp_path: Path) -> None:
    """The parser's line number is kept."""
    (tmp_path / "a.toml").write_text("name = \n")
    with pytest.raises(UsageError, match=r"a\.toml is not TOML: .*line 1"):
        target.load(str(tmp_path / "a.toml"))


def test_a_misspelt_key_of_a_target_names_the_nearest(tmp_path: Path) -> None:
    """As in a recipe."""
    (tmp_path / "a.toml").write_text("[chip]\nband_width = 1.0\n")
    with pytest.raises(UsageError, match=r"a\.toml does not read as a target: unknown key 'band_width' in chip; did you mean 'bandwidth'\?"):
        target.load(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("line", ["dla = 0", "useDLACore = 1", 'DLA = "all"'])
def test_a_target_that_asks_for_a_dla(tmp_path: Path, line: str) -> None:
    """Is refused by that name, however it asks, and not as a misspelt key."""
    (tmp_path / "a.toml").write_text(line)
    with pytest.raises(UsageError, match=r"a\.toml asks for a DLA by '\w+', and edgekd builds for GPUs alone\. Take it away"):
        target.load(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("line", ["batch = 0", "threads = -3", "workspace = 0", "chip = { bandwidth = 0.0 }", "chip = { peak_int8 = -1.0 }"])
def test_figures_that_cannot_be(tmp_path: Path, line: str) -> None:
    """Nothing is timed in batches of none."""
    head = 'description = "d"\nruntime = "onnxruntime"\nprovider = "CPUExecutionProvider"\nprecisions = ["fp32"]\nint8 = "int8-cpu"\n'
    (tmp_path / "mine.toml").write_text(head + line + "\n")
    with pytest.raises(UsageError, match=rf"does not read as a target: expected .* \(at {line.split()[0]}"):
        target.load("mine.toml", tmp_path)


def test_a_damaged_installation_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the shipped targets the remedy is to install again."""
    monkeypatch.setattr("edgekd.target.resources.files", lambda _package: tmp_path / "edgekd")
    with pytest.raises(MissingError, match="Reinstall edgekd"):
        target.folder()


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0, Cortex-A76", "raspberry-pi-5"),
        ("NVIDIA Jetson AGX Orin Developer Kit, Cortex-A78AE", "jetson-agx-orin-64gb"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "jetson-orin-nano"),
        ("AMD Ryzen 9 7945HX NVIDIA GeForce RTX 4060 Laptop GPU", "rtx-4060-laptop"),
        ("Intel(R) Xeon(R) NVIDIA GeForce RTX 4060", "rtx-4060"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("AMD EPYC", None),
        ("NVIDIA Jetson Orin Nano Super Developer Kit", "jetson-orin-nano"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA GeForce RTX 4060 Ti", None),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("nvidia geforce rtx 3090", "rtx-3090"),
    ],
)
def test_the_target_that_fits_a_machine(machine: str, name: str | None) -> None:
    """By the longest word that its names have in common with it; none for a machine that no target was written for, though its name goes on alike."""
    found = target.fitting(machine)
    assert (found[0].name if found else None) == name
