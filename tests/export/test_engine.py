"""export/engine.py and device/agent/trt.py: engines for RTX cards, built for real without a GPU."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd import target
from edgekd.device.agent import trt
from edgekd.device.agent.protocol import RefusedError
from edgekd.errors import DeviceError, UsageError
from edgekd.events import Event, Progress, silent
from edgekd.export.engine import engines, read_engine
from edgekd.export.feed import Feed
from edgekd.export.fp16 import to_fp16
from edgekd.export.int8 import Quantiser
from tests.device.agent.gpu import compiled, offered, trtexec
from tests.export.nets import PREPARED as IMAGES
from tests.needs import need_package

RTX = [target.load(name) for name in ("rtx-3060", "rtx-4090", "rtx-5090")]


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    """TensorRT for RTX, which builds without a GPU."""
    need_package("tensorrt_rtx")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builders keep what they have timed."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def half(toy: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its fp16 file."""
    file = tmp_path_factory.mktemp("fp16") / "toy.onnx"
    onnx.save(to_fp16(toy, IMAGES[:7], Feed(), "toy")[0], file)
    return file


def test_one_command_for_three_cards(half: Path, tmp_path: Path) -> None:
    """An engine each with a table that says what it is made of, in the file's own precision."""
    told: list[Event] = []
    found = engines(half, RTX, tmp_path, batches=(1, 4, 8), emit=told.append)
    assert [engine.chips for engine in found] == [["8.6"], ["8.9"], ["12.0"]]
    assert [engine.file for engine in found] == ["toy-rtx-3060.engine", "toy-rtx-4090.engine", "toy-rtx-5090.engine"]
    for engine in found:
        assert (tmp_path / engine.file).stat().st_size == engine.size > 1000
        assert read_engine(tmp_path / engine.file) == engine
        assert engine.profile["images"] == [[1, 3, 8, 8], [4, 3, 8, 8], [8, 3, 8, 8]]
        assert engine.precisions["fp16"] >= 4
        assert engine.library == "tensorrt_rtx"
    assert any(isinstance(event, Progress) and "building toy-rtx-3060.engine" in event.what for event in told)


def test_weights_beside_the_file_are_read_there(half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the command was started, whatever lies there; other weights make another engine."""
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    onnx.save(onnx.load(half), folder / "toy.onnx", save_as_external_data=True, location="w.bin", size_threshold=256)
    weights = (folder / "w.bin").read_bytes()
    (elsewhere / "w.bin").write_bytes(bytes(len(weights)))
    monkeypatch.chdir(elsewhere)
    (first,) = engines(folder / "toy.onnx", RTX[:1], tmp_path)
    (plain,) = engines(half, RTX[:1], tmp_path / "plain")
    assert first.layers == plain.layers
    assert engines(folder / "toy.onnx", RTX[:1], tmp_path) == [first]
    (folder / "w.bin").write_bytes(bytes(len(weights)))
    (zeros,) = engines(folder / "toy.onnx", RTX[:1], tmp_path)
    assert zeros.sha256 != first.sha256
    (folder / "w.bin").write_bytes(weights)
    (again,) = engines(folder / "toy.onnx", RTX[:1], tmp_path)
    assert again.sha256 == first.sha256


def test_what_stands_is_not_built_again(half: Path, tmp_path: Path) -> None:
    """Until the file, the library, the chip or the batches are others, or the engine is not the one that its table speaks of."""
    (first,) = engines(half, RTX[:1], tmp_path)
    file = tmp_path / first.file
    before = file.stat().st_mtime_ns
    assert engines(half, RTX[:1], tmp_path) == [first]
    assert file.stat().st_mtime_ns == before
    (small,) = engines(half, [msgspec.structs.replace(RTX[0], workspace=2**26)], tmp_path)
    assert small.workspace == 2**26
    assert file.stat().st_mtime_ns > before
    (other,) = engines(half, RTX[:1], tmp_path, batches=(1, 2, 2))
    assert other.batches == (1, 2, 2)
    file.write_bytes(b"x" * other.size)
    assert read_engine(file) is None
    (again,) = engines(half, RTX[:1], tmp_path, batches=(1, 2, 2))
    assert read_engine(file) == again
    file.with_name(file.name + ".json").write_text("{")
    assert read_engine(file) is None


def test_an_engine_of_another_gpu_does_not_stand(half: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT proper builds for the GPU that is there, which its table names: where it names another, the engine is built anew, with its timings."""
    offered(compiled(tmp_path).parent, monkeypatch)
    orin = [target.load("jetson-orin-nano")]
    (first,) = engines(half, orin, tmp_path)
    assert (first.library, first.by, first.gpu, first.chips) == ("tensorrt", "python", "Fake GPU 8 (8.7)", [])
    assert first.precisions == {"fp32": 1}
    assert [(layer.kind, layer.precision) for layer in first.kernels] == [("pointwisev2", "fp32")]
    file = tmp_path / first.file
    before = file.stat().st_mtime_ns
    assert engines(half, orin, tmp_path) == [first]
    assert file.stat().st_mtime_ns == before
    table = file.with_name(file.name + ".json")
    table.write_text(table.read_text().replace("Fake GPU 8 (8.7)", "another"))
    assert read_engine(file) is not None
    (again,) = engines(half, orin, tmp_path)
    assert again.gpu == "Fake GPU 8 (8.7)"
    assert file.stat().st_mtime_ns > before
    (timings,) = cache.glob("engines/*.timings")
    assert (timings.name, timings.read_bytes()) == ("tensorrt-10.3.0.timings", b"timed timed ")


def test_trtexec_builds_where_there_are_no_bindings(half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table then has the engine's layers and none of the network; with bindings there the engine is built anew."""
    folder = compiled(tmp_path).parent
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.setenv("PATH", os.pathsep.join([str(trtexec(tmp_path).parent), os.environ["PATH"]]))
    orin = [target.load("jetson-orin-nano")]
    (engine,) = engines(half, orin, tmp_path / "out", batches=(1, 4, 8))
    assert (engine.by, engine.version, engine.gpu, engine.seconds, engine.layers) == ("trtexec", "10.3.0", "Fake GPU 8 (8.7)", 12.5, [])
    assert (engine.profile["images"], engine.kernels[0].name) == ([[1, 3, 8, 8], [4, 3, 8, 8], [8, 3, 8, 8]], "double y + add")
    assert read_engine(tmp_path / "out" / engine.file) == engine == engines(half, orin, tmp_path / "out", batches=(1, 4, 8))[0]
    offered(folder, monkeypatch)
    (other,) = engines(half, orin, tmp_path / "out", batches=(1, 4, 8))
    assert other.by == "python"


def test_int8_as_tensorrt_takes_it(toy: onnx.ModelProto, tmp_path: Path) -> None:
    """The flavour that is made for it builds; the CPU's is refused in the library's own words."""
    quantiser = Quantiser(toy, IMAGES, Feed(), "toy", silent)
    onnx.save(quantiser.made("int8-trt"), tmp_path / "trt.onnx")
    onnx.save(quantiser.made("int8-cpu"), tmp_path / "cpu.onnx")
    (engine,) = engines(tmp_path / "trt.onnx", RTX[1:2], tmp_path)
    assert engine.precisions["int8"] == len(quantiser.layers("int8-trt")) == 3
    assert engine.kernels == []
    with pytest.raises(DeviceError, match="TensorRT does not take this file"):
        engines(tmp_path / "cpu.onnx", RTX[1:2], tmp_path)
    assert not list(tmp_path.glob("cpu*.engine*"))


def test_targets_that_take_no_engine(half: Path, tmp_path: Path) -> None:
    """Neither a CPU nor a card without a chip."""
    with pytest.raises(
        UsageError, match=r"engines are built for targets that run TensorRT, cpu runs onnxruntime\. Name one of those, as --on rtx-4090\."
    ):
        engines(half, [target.load("cpu")], tmp_path)
    (tmp_path / "own.toml").write_text('description = "a card"\nruntime = "tensorrt-rtx"\nprovider = "x"\nprecisions = ["fp16"]\nint8 = "int8-trt"\n')
    with pytest.raises(UsageError, match=r"is built for its chip, and own names none\. Add compute_capability"):
        engines(half, [target.load(str(tmp_path / "own.toml"))], tmp_path)


def test_each_target_has_a_file_of_its_own(half: Path, tmp_path: Path) -> None:
    """Also where names differ behind a dot alone, as those of versions and chips do."""
    text = 'description = "a card"\nruntime = "tensorrt-rtx"\nprovider = "x"\nprecisions = ["fp16"]\nint8 = "int8-trt"\n'
    names = ("card-8.6", "card-8.9")
    for name in names:
        (tmp_path / f"{name}.toml").write_text(f'{text}compute_capability = "{name[5:]}"\n')
    made = engines(half, [target.load(str(tmp_path / f"{name}.toml")) for name in names], tmp_path)
    assert [each.file for each in made] == [f"{half.stem}-{name}.engine" for name in names]


def open_size(path: Path) -> Path:
    """A file whose height is open too."""
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", 8]) for name in ("images", "out")]
    graph = helper.make_graph([helper.make_node("Relu", ["images"], ["out"])], "open", puts[:1], puts[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("chips", "make", "message"),
    [
        (["8.7"], None, r"TensorRT-RTX [\d.]+ knows no chip 8\.7; it knows .*SM89"),
        ([], open_size, r"only the batch of images may be open, and its shape is \[-1, 3, -1, 8\]\. Export it with fixed sizes\."),
        ([], lambda path: path.write_bytes(b"no model") and path, "TensorRT does not take this file"),
    ],
    ids=["an Orin", "an open height", "no model"],
)
def test_what_the_builder_refuses(half: Path, tmp_path: Path, chips: list[str], make: Any, message: str) -> None:
    """In words, before anything is written."""
    file = half if make is None else make(tmp_path / "f.onnx")
    with pytest.raises(RefusedError, match=message):
        trt.build(str(file), str(tmp_path / "e"), "tensorrt_rtx", chips=chips)
    assert not (tmp_path / "e").exists()


def test_a_builder_is_told_to_stop(half: Path, tmp_path: Path) -> None:
    """By its monitor, when its time is up; nothing is written."""
    with pytest.raises(RefusedError, match="the engine must be built within 0 s and was not; its builder was stopped"):
        trt.build(str(half), str(tmp_path / "e"), "tensorrt_rtx", chips=["8.9"], limit_s=0.0)
    assert not (tmp_path / "e").exists()


def test_the_table_is_plain_json(half: Path, tmp_path: Path) -> None:
    """For whoever wants to read it without edgekd."""
    (engine,) = engines(half, RTX[:1], tmp_path)
    table = json.loads((tmp_path / f"{engine.file}.json").read_text())
    assert {"schema", "onnx", "sha256", "library", "version", "chips", "profile", "layers", "size", "seconds"} <= set(table)


def test_a_file_of_one_batch_has_engines_of_that(half: Path, tmp_path: Path) -> None:
    """Its own is recorded; another one is refused, before anything is built."""
    fixed = onnx.load(half)
    for put in (*fixed.graph.input, *fixed.graph.output):
        put.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(fixed, tmp_path / "four.onnx")
    (found,) = engines(tmp_path / "four.onnx", RTX[:1], tmp_path)
    assert (found.batches, found.profile["images"]) == ((4, 4, 4), [[4, 3, 8, 8]] * 3)
    with pytest.raises(UsageError, match=r"four\.onnx takes 4 at a time and nothing else, got batches of 1, 1, 8\. Leave --batches out"):
        engines(tmp_path / "four.onnx", RTX[:1], tmp_path, batches=(1, 1, 8))
