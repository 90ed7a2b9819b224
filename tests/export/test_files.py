"""export/files.py: what is written, what it says of itself, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgekd import __version__
from edgekd.device.host import connect
from edgekd.device.predict import open_predict, prepare
from edgekd.errors import EdgekdError, UsageError
from edgekd.events import Event, Note, Progress, Wrote, silent
from edgekd.export import HeldOut, export, files
from edgekd.export import onnx as exporter
from edgekd.export.control import Quality
from edgekd.models.blackbox import onnx_teacher
from edgekd.models.load import build, fingerprint
from edgekd.models.network import Network
from edgekd.recipe import Export
from edgekd.record import Artifact
from tests.export.nets import CLASSES, MACS, PARAMS, PREPROCESS, Toy, network, pixels


def run(net: Network, folder: Path, emit: Callable[[Event], None] = silent, **changes: Any) -> list[Artifact]:
    given: dict[str, Any] = {
        "role": "student",
        "name": "toy",
        "classes": CLASSES,
        "settings": Export(),
        "calibration": pixels(128, 1),
        "parity": pixels(16, 2),
    }
    return export(net, folder, emit=emit, **(given | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path, list[Artifact], list[Event]]:
    """A Toy in all precisions, with what was told on the way."""
    folder = tmp_path_factory.mktemp("export")
    events: list[Event] = []
    net = network()
    return net, folder, run(net, folder, events.append), events


def answers(file: Path, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    logits: np.ndarray[Any, Any] = session.run(["logits"], {"images": prepare(images, PREPROCESS)})[0]
    return logits


def test_three_files(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """fp32, fp16 and int8 are there under their names, and nothing beside them: no external data, no unfinished part."""
    _, folder, artifacts, _ = made
    assert [artifact.name for artifact in artifacts] == ["student/toy/fp32", "student/toy/fp16", "student/toy/int8-cpu"]
    assert sorted(file.name for file in folder.iterdir()) == sorted(artifact.path for artifact in artifacts)
    for artifact in artifacts:
        model = onnx.load(folder / artifact.path, load_external_data=False)
        onnx.checker.check_model(model, full_check=True)
        assert not any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer)


def test_counts(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """Every precision has the same parameters and MACs, BatchNorm folded; int8 names what runs in integers."""
    _, folder, artifacts, _ = made
    for artifact in artifacts:
        assert (artifact.params, artifact.macs, artifact.opset, artifact.classes) == (PARAMS, MACS, 20, 4)
        assert artifact.size == (folder / artifact.path).stat().st_size
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(folder / artifacts[0].path).graph.node}
    assert [artifact.quantised for artifact in artifacts[:2]] == [{}, {}]
    assert artifacts[2].quantised == {"Add": 1, "Conv": 2, "Gemm": 1, "GlobalAveragePool": 1}
    assert artifacts[2].conversions == 1


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch(made: tuple[Network, Path, list[Artifact], list[Event]], batch: int) -> None:
    """One file answers one, two and seven images as the network does in eval mode."""
    net, folder, artifacts, _ = made
    images = pixels(batch, 3)
    wanted = net.predict({"images": images})["logits"]
    for artifact, bound in zip(artifacts, (1e-5, 1e-2, 0.2), strict=True):
        assert np.abs(answers(folder / artifact.path, images) - wanted).max() < bound * wanted.std()
        assert artifact.parity[str(batch)] < bound


def test_metadata(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """A file says its classes, Preprocess, task, version and the hash of what it came from; where that stood on this machine it does not."""
    net, folder, artifacts, _ = made
    for artifact in artifacts:
        model = onnx.load(folder / artifact.path)
        told = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(told["edgekd.classes"]) == CLASSES
        assert json.loads(told["edgekd.preprocess"])["mean"] == [0.5, 0.4, 0.3]
        assert (told["edgekd.version"], told["edgekd.task"], told["edgekd.name"]) == (__version__, "classify", "student/toy")
        assert told["edgekd.source"] == fingerprint(net)
        assert b"site-packages" not in model.SerializeToString()
        assert [entry.domain for entry in model.opset_import] == [""]
    assert artifacts[2].calibration is not None
    assert artifacts[2].calibration == json.loads(told["edgekd.calibration"])
    assert artifacts[2].calibration["images"] == 128


def test_the_network_is_left_as_it_was(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """Training mode and running statistics stay, though dropout and batch statistics never reach a file."""
    net, *_ = made
    again = network()
    assert all(module.training for module in net.modules())
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_events(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """Calibration tells how far it is, each file is announced once it stands."""
    *_, events = made
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress if event.what == "calibrating student/toy by minmax"] == [0, 64, 128]
    assert [(event.done, event.total, event.unit) for event in progress if event.what == "exporting student/toy"] == [
        (done, 3, "files") for done in range(4)
    ]
    assert [event.what for event in events if isinstance(event, Wrote)] == ["student/toy/fp32", "student/toy/fp16", "student/toy/int8-cpu"]


def test_calibration_is_hashed_and_spread(tmp_path: Path) -> None:
    """As many images as asked for, from all over the set; few of them are a doubt."""
    images = pixels(90, 5)
    notes: list[Event] = []
    settings = Export(precisions=("int8",), calibration_images=10)
    artifacts = run(network(), tmp_path, notes.append, calibration=images, settings=settings)
    assert [artifact.precision for artifact in artifacts] == ["fp32", "int8-cpu"]
    assert artifacts[1].calibration is not None
    assert artifacts[1].calibration["images"] == 10
    assert any(isinstance(note, Note) and "calibrated on 10 images only" in note.text for note in notes)
    picked = files._calibration(images, settings)
    assert picked is not None
    assert np.array_equal(picked[[0, -1]], images[[0, -1]])


@pytest.mark.parametrize("images", [None, np.zeros((0, 8, 8, 3), np.uint8)])
def test_no_calibration_images_no_int8(tmp_path: Path, images: Any) -> None:
    """int8 is refused before anything is written; random data never stand in."""
    with pytest.raises(UsageError, match=r"int8 is calibrated on training images, and there are none.*precisions ="):
        run(network(), tmp_path, calibration=images)
    assert list(tmp_path.iterdir()) == []


def test_class_names_must_be_as_many_as_outputs(tmp_path: Path) -> None:
    """Three names do not fit four outputs."""
    with pytest.raises(UsageError, match="toy answers 4 classes and 3 are named"):
        run(network(), tmp_path, classes=CLASSES[:3])


def test_too_few_images_to_check_on(tmp_path: Path) -> None:
    """Six images cannot fill a batch of seven."""
    with pytest.raises(UsageError, match="checked on 7 images or more, got 6"):
        run(network(), tmp_path, parity=pixels(6), settings=Export(precisions=("fp32",)))


def test_a_fixed_batch(tmp_path: Path) -> None:
    """A batch of 4 stands in every file, checked and calibrated as it is."""
    for artifact in run(network(), tmp_path, settings=Export(batch=4), calibration=pixels(10)):
        shape = onnx.load(tmp_path / artifact.path).graph.input[0].type.tensor_type.shape
        assert shape.dim[0].dim_value == 4
        assert list(artifact.parity) == ["4"]
        assert artifact.macs == MACS


def test_a_file_that_answers_otherwise_never_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that drops a bias is caught: the message names file, batch, difference and layer, and no file has the name."""

    def wrong(module: Toy, *args: Any, **kwargs: Any) -> onnx.ModelProto:
        nn.init.constant_(module.head.bias, 1.0)
        return right(module, *args, **kwargs)

    right = exporter.to_onnx
    monkeypatch.setattr(exporter, "to_onnx", lambda module, *args, **kwargs: wrong(_copy(module), *args, **kwargs))
    with pytest.raises(
        EdgekdError, match=r"toy-fp32\.onnx does not answer as the step before: at batch 1 logits differ by .* 0\.001 is allowed.* head \(Linear\)"
    ):
        run(network(), tmp_path)
    assert not (tmp_path / "student-toy-fp32.onnx").exists()


def _copy(module: Any) -> Any:
    again = Toy()
    again.load_state_dict(module.state_dict())
    return again


# A teacher that came as ONNX ------------------------------------------------------------------------------------------


def black_box(path: Path, *, opset: int = 20, kind: int = TensorProto.FLOAT, domain: str = "", rounded: bool = False) -> Path:
    """NHWC in, a fixed batch of 2, softmax out (`rounded`: to 8 bits): pooled colours through a linear layer; 3·4 + 4 parameters."""
    rng = np.random.default_rng(0)
    real = helper.tensor_dtype_to_np_dtype(kind)
    weights = [
        numpy_helper.from_array(rng.normal(0, 3, (3, 4)).astype(real), "w"),
        numpy_helper.from_array(rng.normal(0, 1, 4).astype(real), "b"),
    ]
    nodes = [
        helper.make_node("Transpose", ["pictures"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["nchw"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["own"]),
        helper.make_node("Softmax", ["own"], ["whole" if rounded else "probabilities"], axis=1),
    ]
    if rounded:
        weights += [numpy_helper.from_array(np.array(1 / 256, np.float32), "scale"), numpy_helper.from_array(np.array(0, np.uint8), "zero")]
        nodes.append(helper.make_node("QuantizeLinear", ["whole", "scale", "zero"], ["steps"]))
        nodes.append(helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["probabilities"]))
    graph = helper.make_graph(
        nodes,
        "black box",
        [helper.make_tensor_value_info("pictures", kind, [2, 8, 8, 3])],
        [helper.make_tensor_value_info("probabilities", kind, [2, 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)], ir_version=7)
    helper.set_model_props(model, {"author": "somebody"})
    onnx.save(model, path)
    return path


def test_a_black_box_keeps_its_graph(tmp_path: Path) -> None:
    """Names, layout, batch, softmax and notes are as they came, in fp16 and int8 too; the metadata is edgekd's."""
    teacher = onnx_teacher(black_box(tmp_path / "given.onnx"), classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="given.onnx")
    artifacts = run(teacher, tmp_path / "out", role="teacher", name="given")
    assert [artifact.name for artifact in artifacts] == ["teacher/given/fp32", "teacher/given/fp16", "teacher/given/int8-cpu"]
    for artifact in artifacts:
        model = onnx.load(tmp_path / "out" / artifact.path)
        told = {entry.key: entry.value for entry in model.metadata_props}
        assert (model.graph.input[0].name, model.graph.output[0].name, told["author"]) == ("pictures", "probabilities", "somebody")
        assert json.loads(told["edgekd.classes"]) == CLASSES
        assert (artifact.params, list(artifact.parity)) == (16, ["2"])
    assert artifacts[0].parity["2"] < 1e-6


def test_a_black_box_keeps_its_input(tmp_path: Path) -> None:
    """What was asked of the files' insides is for networks; of a copied file a note says that it stays."""
    notes: list[Event] = []
    teacher = onnx_teacher(black_box(tmp_path / "given.onnx"), classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="given.onnx")
    settings = Export(precisions=("fp32",), preprocess="resize", softmax=True)
    (artifact,) = run(teacher, tmp_path, notes.append, role="teacher", name="given", settings=settings)
    assert onnx.load(tmp_path / artifact.path).graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert any(isinstance(note, Note) and "export.preprocess and export.softmax changes nothing in it" in note.text for note in notes)


def test_a_black_box_answers_in_the_order_of_the_data(tmp_path: Path) -> None:
    """Where the teacher's classes stand in another order, the copied file gives them in the data's."""
    teacher = onnx_teacher(black_box(tmp_path / "given.onnx"), classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="given.onnx")
    before = teacher.predict({"images": pixels(4)})["logits"]
    teacher.permute([2, 0, 3, 1])
    run(teacher, tmp_path, role="teacher", name="other", settings=Export(precisions=("fp32",)))
    session = onnxruntime.InferenceSession(tmp_path / "teacher-other-fp32.onnx", providers=["CPUExecutionProvider"])
    nhwc = prepare(pixels(4), PREPROCESS).transpose(0, 2, 3, 1)[:2]
    assert np.allclose(np.log(session.run(None, {"pictures": nhwc})[0]), before[:2][:, [2, 0, 3, 1]], atol=1e-4)


@pytest.mark.parametrize("how", [{"domain": "ai.onnx"}, {"rounded": True}], ids=["ai.onnx", "8 bits"])
def test_a_black_box_that_teaches_can_be_exported(tmp_path: Path, how: dict[str, Any]) -> None:
    """Its operators under their long name, or a softmax that is held in 8 bits, whose zeros are compared as they are."""
    teacher = onnx_teacher(black_box(tmp_path / "own.onnx", **how), classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="own.onnx")
    (artifact,) = run(teacher, tmp_path, role="teacher", name="own", settings=Export(precisions=("fp32",)))
    assert (artifact.opset, artifact.parity["2"]) == (20, 0)


def test_a_black_box_of_an_old_opset_gets_no_int8(tmp_path: Path) -> None:
    """Opset 12 cannot say a scale per channel: the note says so, the other files are made."""
    notes: list[Event] = []
    teacher = onnx_teacher(black_box(tmp_path / "old.onnx", opset=12), classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="old.onnx")
    artifacts = run(teacher, tmp_path, notes.append, role="teacher", name="old")
    assert [artifact.precision for artifact in artifacts] == ["fp32", "fp16"]
    assert any(isinstance(note, Note) and "opset 12, int8-cpu needs 13: no such file of it." in note.text for note in notes)


def test_int8_for_tensorrt_needs_scales_in_fp16(tmp_path: Path) -> None:
    """ONNX knows them since opset 19: below that there is no such file, and a note says what to set."""
    notes: list[Event] = []
    settings = Export(opset=18, precisions=("int8",))
    artifacts = run(network(), tmp_path, notes.append, settings=settings, flavours=("int8-trt", "int8-cpu"))
    assert [artifact.precision for artifact in artifacts] == ["fp32", "int8-cpu"]
    told = [note.text for note in notes if isinstance(note, Note) and "needs 19" in note.text]
    assert told == ["student/toy has opset 18, int8-trt needs 19: no such file of it. Set export.opset = 19 or more."]


def test_int8_for_tensorrt_that_the_runtime_does_not_read(tmp_path: Path) -> None:
    """Of an opset after 20 ONNX Runtime refuses such a file of networks with a pool: a note says what to set, and all other files are made."""
    notes: list[Event] = []
    settings = Export(opset=21, precisions=("int8",))
    assert [file.precision for file in run(network(), tmp_path / "toy", settings=settings, flavours=("int8-trt",))] == ["fp32", "int8-trt"]
    pooled = build("resnet8", classes=4, shape=(8, 8, 3), preprocess=PREPROCESS)
    files = run(pooled, tmp_path / "pooled", notes.append, settings=settings, flavours=("int8-trt", "int8-cpu"))
    assert [file.precision for file in files] == ["fp32", "int8-cpu"]
    (told,) = [note.text for note in notes if isinstance(note, Note) and "does not read its int8-trt" in note.text]
    assert "Set export.opset = 20 or less. (" in told


def test_fp16_to_the_ends(tmp_path: Path) -> None:
    """Where it is asked for, the fp16 file takes and answers fp16, the others float32; it is held to fp32's answers, and can be asked."""
    files = run(network(), tmp_path, settings=Export(precisions=("fp16",), half_io=True, softmax=True))
    kinds = {}
    for file in files:
        graph = onnx.load(tmp_path / file.path).graph
        kinds[file.precision] = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert kinds == {"fp32": {TensorProto.FLOAT}, "fp16": {TensorProto.FLOAT16}}
    asked = {}
    with connect("local") as session:
        for file in files:
            with open_predict(session, tmp_path / file.path) as answer:
                asked[file.precision] = answer({"images": pixels(5)})["logits"]
    np.testing.assert_allclose(asked["fp16"], asked["fp32"], atol=0.02 * asked["fp32"].std())


def near(share: float) -> Quality:
    """Whether answers lie that near to the first ones that were asked about, which are fp32's: on average within a share of their spread."""
    first: list[NDArray[np.float32]] = []

    def quality(said: NDArray[np.float32]) -> float:
        first[:] = first or [said]
        return float(np.abs(said - first[0]).mean() <= share * first[0].std())

    return quality


def test_int8_is_held_to_what_it_may_lose(tmp_path: Path) -> None:
    """By the quality of answers to held-out images: layers go back to float by name until it holds, and a file that never holds is not written."""
    notes: list[Event] = []
    settings = Export(precisions=("int8",))
    *_, int8 = run(network(), tmp_path, notes.append, settings=settings, held_out=HeldOut(pixels(128, 5), near(0.005)), max_drop=0.5)
    assert int8.precision == "int8-cpu"
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / int8.path).metadata_props}
    floats = json.loads(metadata["edgekd.calibration"])["floats"]
    assert 0 < len(floats) < 3
    told = f"int8-cpu of student/toy keeps {', '.join(floats)} in float: with them in int8 it lost more than max_drop allows."
    assert told in [note.text for note in notes if isinstance(note, Note)]
    never = run(network(), tmp_path / "never", notes.append, settings=settings, held_out=HeldOut(pixels(128, 5), near(0.0)), max_drop=0.5)
    assert [file.precision for file in never] == ["fp32"]
    assert not [note for note in notes if isinstance(note, Note) and "is not held to max_drop" in note.text]


def test_int8_that_is_not_held_to_anything_says_so(made: tuple[Network, Path, list[Artifact], list[Event]]) -> None:
    """Where no validation images tell what it loses."""
    text = "int8 of student/toy is not held to max_drop: there are too few validation images to tell what it loses."
    assert Note(text=text, level="warning") in made[-1]


def test_a_black_box_that_is_not_fp32_is_copied_as_is(tmp_path: Path) -> None:
    """An fp16 teacher is no fp32 file: it keeps its precision, and nothing is made of it."""
    notes: list[Event] = []
    path = black_box(tmp_path / "half.onnx", kind=TensorProto.FLOAT16)
    teacher = onnx_teacher(path, classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="half.onnx")
    artifacts = run(teacher, tmp_path, notes.append, role="teacher", name="half")
    assert [artifact.precision for artifact in artifacts] == ["as-is"]
    assert any(isinstance(note, Note) and "came in fp16" in note.text for note in notes)


class Huge(nn.Module):
    """Activations of about 10⁹ inside, logits of ordinary size."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Conv2d(3, 8, 1)
        self.down = nn.Linear(8, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.down((self.up(images) * 3e4 * 3e4).mean((2, 3)) / 3e4 / 3e4)
        return logits


def test_an_activation_beyond_fp16(tmp_path: Path) -> None:
    """A CPU would compute it in fp32 and hide it; it is found, and who gives or takes it stays in float32, by name."""
    notes: list[Event] = []
    artifacts = run(network(Huge), tmp_path, notes.append, settings=Export(precisions=("fp16",)))
    assert [artifact.precision for artifact in artifacts] == ["fp32", "fp16"]
    (note,) = [note for note in notes if isinstance(note, Note)]
    assert "fp16 of student/toy keeps " in note.text
    assert note.text.endswith(" in float32: their numbers leave fp16's range, or come near its end.")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / artifacts[1].path).metadata_props}
    assert ", ".join(json.loads(metadata["edgekd.float32"])) in note.text


def test_weights_that_are_inputs_too(tmp_path: Path) -> None:
    """As ONNX had them before IR version 4: they are made smaller all the same."""
    old = onnx.load(black_box(tmp_path / "given.onnx"))
    old.ir_version = 3
    old.graph.input.extend(helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in old.graph.initializer)
    onnx.save(old, tmp_path / "old.onnx")
    teacher = onnx_teacher(tmp_path / "old.onnx", classes=4, shape=(8, 8, 3), preprocess=PREPROCESS, spec="old.onnx")
    found = {artifact.precision: artifact for artifact in run(teacher, tmp_path / "out", role="teacher", name="old", classes=["a", "b", "c", "d"])}
    assert set(found) == {"fp32", "fp16", "int8-cpu"}
    half = onnx.load(tmp_path / "out" / found["fp16"].path)
    kinds = {each.data_type for each in half.graph.initializer if len(each.dims) > 1}
    assert kinds == {TensorProto.FLOAT16}
