"""edgekd.models.zoo: timm's and transformers' networks, with stand-ins in place of the two packages."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekd.compress.images import teachers_preprocess
from edgekd.errors import MissingError, MissingExtra, UsageError, install_line
from edgekd.models.heads import outputs
from edgekd.models.load import build, save_weights
from edgekd.models.zoo import hf_body, published_classes, published_preprocess, timm_body
from edgekd.preprocess import Preprocess
from edgekd.recipe import Teacher
from tests.models.nets import Tiny, noise


@pytest.mark.parametrize(("spec", "extra"), [("timm:resnet18", "timm"), ("hf:someone/net", "hf")])
def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, spec: str, extra: str) -> None:
    """The extra that brings it."""
    for library in ("timm", "transformers"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=f"is needed here and is not installed. Install it with: {re.escape(install_line(extra))}"):
        build(spec, classes=3, shape=(8, 8, 3))
    if extra == "timm":
        with pytest.raises(MissingExtra, match=re.escape(install_line("timm"))):
            published_preprocess(spec, "pretrained")


# timm -----------------------------------------------------------------------------------------------------------------


class Counted(Tiny):
    """A Tiny that says how many classes it has, as timm's networks do."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.num_classes = classes


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the functions of timm that are called: it knows a Tiny of 10 classes, which has published weights."""
    module: Any = ModuleType("timm")
    config = {"input_size": (3, 160, 192), "interpolation": "bicubic", "crop_pct": 0.8, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}

    def create_model(name: str, pretrained: bool, num_classes: int = 10) -> nn.Module:
        if pretrained and name.endswith(".lost"):
            raise OSError("no network")
        return Counted(num_classes)

    def get_pretrained_cfg(name: str, allow_unregistered: bool) -> SimpleNamespace:
        if name not in ("tiny", "tinier"):
            raise RuntimeError(f"No pretrained config exists for model {name}")
        return SimpleNamespace(num_classes=10, **config)

    module.get_pretrained_cfg = get_pretrained_cfg
    module.list_models = lambda: ["tiny", "tinier"]
    module.create_model = create_model
    module.data = SimpleNamespace(resolve_model_data_config=lambda body: config)
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.usefixtures("timm")
def test_timm_states_its_preprocess() -> None:
    """With and without published weights; the part of a picture that is seen is size over crop_pct."""
    for pretrained in (False, True):
        made = timm_body("tiny.of_1k", 10, pretrained=pretrained, replace_head=False)
        expected = Preprocess(size=(160, 192), resize=200, crop=160, interpolation="bicubic", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
        assert (made.preprocess, made.states, made.notes) == (expected, True, ())


@pytest.mark.usefixtures("timm")
def test_classes_of_timms_published_weights() -> None:
    """None for a name that it does not know, so that building it can name near ones."""
    assert published_classes("timm:tiny") == 10
    assert published_classes("timm:tyni") is None
    with pytest.raises(UsageError, match="tiny"):
        timm_body("tyni", 10, pretrained=True, replace_head=False)


@pytest.mark.usefixtures("timm")
def test_timm_states_its_preprocess_before_the_network_is_built() -> None:
    """As the built network has it, for published weights and a file alike; a network without weights, or one that is not there, has none."""
    built = timm_body("tiny", 10, pretrained=False, replace_head=False).preprocess
    assert [published_preprocess("timm:tiny", weights) for weights in ("pretrained", "own.pth", None)] == [built, built, None]
    assert published_preprocess("timm:nothing", "pretrained") is None
    assert teachers_preprocess(Teacher(model="timm:tiny", weights="pretrained"), Path()) == built


@pytest.mark.usefixtures("timm")
def test_timm_with_other_classes() -> None:
    """A new network has them; published weights get a new head, or are refused."""
    assert outputs(timm_body("tiny", 3, pretrained=False, replace_head=False).body.head) == 3  # type: ignore[arg-type]
    network = build("timm:tiny", classes=3, shape=(8, 8, 3), weights="pretrained", replace_head=True)
    assert network.notes == ["its head head of 10 outputs was replaced by a new one of 3"]
    assert (network.name, network.preprocess.size) == ("tiny", (8, 8))
    with pytest.raises(UsageError, match="the published weights of tiny answer 10 classes and the data has 3"):
        timm_body("tiny", 3, pretrained=True, replace_head=False)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(("name", "hint"), [("tini", r"Near: tin\w+, tin\w+\."), ("###", r"timm\.list_models\(\) lists them\.")])
def test_timm_has_no_such_network(name: str, hint: str) -> None:
    """Near ones, or where they are listed."""
    with pytest.raises(UsageError, match=rf"timm has no network called '{name}'\. {hint}"):
        timm_body(name, 3, pretrained=False, replace_head=False)


@pytest.mark.usefixtures("timm")
def test_timm_cannot_fetch() -> None:
    """What, why, and two ways out."""
    with pytest.raises(MissingError, match=r"timm:tiny\.lost could not be fetched: no network\. Fetch it once .*, or give a file of weights"):
        timm_body("tiny.lost", 10, pretrained=True, replace_head=False)


# Hugging Face ---------------------------------------------------------------------------------------------------------

VIT = {"size": {"height": 16, "width": 12}, "resample": 2, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "do_normalize": True}
CROPS = {"do_center_crop": True, "crop_size": {"height": 14, "width": 14}}


class Answer(Tiny):
    """A Tiny that answers a record, as transformers' classifiers do."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.config = SimpleNamespace(num_labels=classes)

    def forward(self, images: Tensor) -> Tensor:
        return SimpleNamespace(logits=super().forward(images))  # type: ignore[return-value]


def transformers(monkeypatch: pytest.MonkeyPatch, processor: Mapping[str, Any]) -> None:
    """A module with the three classes of transformers that are called: its hub has a network of 10 classes, and one that is lost."""

    def processor_of(name: str) -> SimpleNamespace:
        if name.endswith("lost"):
            raise OSError("no network")
        return SimpleNamespace(**processor)

    module: Any = ModuleType("transformers")
    module.AutoImageProcessor = SimpleNamespace(from_pretrained=processor_of)
    module.AutoConfig = SimpleNamespace(from_pretrained=lambda name, num_labels: num_labels)
    module.AutoModelForImageClassification = SimpleNamespace(from_pretrained=lambda name: Answer(10), from_config=Answer)
    monkeypatch.setitem(sys.modules, "transformers", module)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Preprocess(size=(16, 12), resize=12, crop=12, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))),
        ({"size": {"shortest_edge": 18}, **CROPS}, Preprocess(size=(14, 14), resize=18, crop=14, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))),
        (
            {"size": {"shortest_edge": 18}, **CROPS, "do_center_crop": False, "resample": 3},
            Preprocess(size=(18, 18), resize=18, crop=18, interpolation="bicubic", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
        ),
        (
            {"size": {"shortest_edge": 14}, **CROPS, "crop_pct": 0.875, "do_flip_channel_order": True},
            Preprocess(size=(14, 14), resize=16, crop=14, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), colour="bgr"),
        ),
        (
            {"do_normalize": False, "resample": 0},
            Preprocess(size=(16, 12), resize=12, crop=12, interpolation="nearest", mean=(0.0,) * 3, std=(1.0,) * 3),
        ),
    ],
)
def test_an_image_processor_states_the_preprocess(monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any], expected: Preprocess) -> None:
    """Fixed sides, a shortest edge with and without a crop, other filters, and no normalisation."""
    transformers(monkeypatch, {**VIT, **changes})
    made = hf_body("someone/net", 3, pretrained=False, replace_head=False)
    assert (made.preprocess, made.states) == (expected, True)


def test_the_record_becomes_logits_and_goes_through_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The weights in the file have transformers' own names."""
    transformers(monkeypatch, VIT)
    network = build("hf:someone/net", classes=10, shape=(8, 8, 3), weights="pretrained").eval()
    assert (network.name, network.preprocess.size) == ("net", (16, 12))
    assert network(noise(2)).shape == (2, 10)
    save_weights(network, tmp_path / "net.safetensors")
    back = build("net.safetensors", classes=10, shape=(8, 8, 3), base=tmp_path).eval()
    assert torch.equal(back(noise(2)), network(noise(2)))
    torch.save(Tiny(10).state_dict(), tmp_path / "own.pt")
    assert build("hf:someone/net", classes=10, shape=(8, 8, 3), weights="own.pt", base=tmp_path).notes == []


def test_published_weights_of_the_hub_with_other_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new head, or a refusal."""
    transformers(monkeypatch, VIT)
    made = hf_body("someone/net", 3, pretrained=True, replace_head=True)
    assert made.notes == ("its head head of 10 outputs was replaced by a new one of 3",)
    assert made.body(noise(2)).shape == (2, 3)
    with pytest.raises(UsageError, match="the published weights of someone/net answer 10 classes and the data has 3"):
        hf_body("someone/net", 3, pretrained=True, replace_head=False)


def test_the_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """What, why, and two ways out."""
    transformers(monkeypatch, VIT)
    with pytest.raises(MissingError, match=r"hf:someone/lost could not be fetched: no network\. Fetch it once"):
        hf_body("someone/lost", 3, pretrained=False, replace_head=False)
