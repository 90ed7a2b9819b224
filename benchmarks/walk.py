"""Which networks export: a small member of each family of torchvision's classifiers, some of timm where that is there, held to torch's answers.

python -m benchmarks.walk [--quick] [NAME ...]

Weights are untrained; BatchNorm statistics come of the photographs that it is then checked on, crops of the two that scikit-learn brings, since with
those of a new layer a deep network answers the same to every image. Each file passes edgekd's own check of fp32 files or is refused, with the reason.
A row a network: millions of parameters and of MACs in its file, the file's opset and size, and the largest difference of its logits from torch's, in
millionths of their standard deviation.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.result import keep, saved_rows
from edgekd.data.pictures import as_picture
from edgekd.distill.batchnorm import batchnorms
from edgekd.errors import EdgekdError
from edgekd.events import silent
from edgekd.export import export
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.recipe import Export

CLASSES = 10
SIZE = 224
AUXILIARY = " with its auxiliary heads"
"""Behind the name of a network as torchvision builds it for training; edgekd's own way leaves those heads out."""
TORCHVISION = (
    *("squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "resnet18", "mobilenet_v2", "regnet_y_400mf", "efficientnet_b0"),
    *("googlenet", f"googlenet{AUXILIARY}", "densenet121", "swin_t", "convnext_tiny", "inception_v3", f"inception_v3{AUXILIARY}", "vit_b_16"),
    *("alexnet", "regnet_x_400mf", "efficientnet_v2_s", "swin_v2_t", "maxvit_t", "vgg11"),
)
_TIMM = (
    *("resnet10t", "mobilenetv3_small_050", "efficientnet_lite0", "mobilevit_xxs", "deit_tiny_patch16_224", "mobilenetv4_conv_small", "lcnet_050"),
    *("ghostnetv2_100", "fasternet_t0", "starnet_s1", "hgnetv2_b0", "ese_vovnet19b_dw", "rexnet_100", "convnextv2_atto", "repvgg_a0", "mobileone_s0"),
    *("repvit_m0_9", "fastvit_t8", "efficientvit_b0", "efficientformerv2_s0", "edgenext_xx_small", "levit_128s", "tiny_vit_5m_224", "mixer_s32_224"),
    *("nfnet_l0", "xcit_nano_12_p16_224"),
)
TIMM = tuple(f"timm:{name}" for name in _TIMM)
QUICK = ("squeezenet1_1",)


def names() -> list[str]:
    """All that are walked here."""
    return [*TORCHVISION, *(TIMM if importlib.util.find_spec("timm") else ())]


@cache
def pictures(count: int = 16) -> NDArray[np.uint8]:
    """Squares cut from two photographs, uint8 (count, SIZE, SIZE, 3)."""
    from sklearn.datasets import load_sample_images

    photographs, draw, found = load_sample_images().images, np.random.default_rng(0), []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(draw.integers(100, min(photograph.shape[:2])))
        top, left = (int(draw.integers(0, whole - side)) for whole in photograph.shape[:2])
        found.append(np.asarray(as_picture(photograph[top : top + side, left : left + side]).resize((SIZE, SIZE))))
    return np.stack(found)


def built(name: str) -> Network:
    """An untrained network whose answers tell images apart."""
    torch.manual_seed(0)
    plain = name.removesuffix(AUXILIARY)
    network = build(plain, classes=CLASSES, shape=(SIZE, SIZE, 3))
    if plain != name:
        from torchvision import models

        body = models.get_model(plain, weights=None, num_classes=CLASSES, aux_logits=True, init_weights=True)
        network = Network(body, network.preprocess, name=network.name, classes=CLASSES, spec=plain)
    for layer in network.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():  # a head that begins at 0 answers 0 whatever it is given
            nn.init.normal_(layer.weight, std=0.02)
    network.eval()
    for layer in batchnorms(network):
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        network(torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 255)
    return network.eval()


def row(name: str, folder: Path) -> dict[str, Any]:
    """What comes of exporting one network into a folder."""
    begun = time.monotonic()
    found: dict[str, Any] = {"network": name, "params_m": "", "macs_m": "", "opset": "", "size_mb": "", "difference_ppm": "", "refused": ""}
    try:
        (file,) = export(
            built(name),
            folder,
            role="student",
            name=name,
            classes=[str(number) for number in range(CLASSES)],
            settings=Export(precisions=("fp32",)),
            calibration=None,
            parity=pictures(),
            emit=silent,
        )
    except EdgekdError as error:
        found["refused"] = str(error)
    else:
        found |= {"params_m": round(file.params / 1e6, 2), "macs_m": "" if file.macs is None else round(file.macs / 1e6, 1), "opset": file.opset}
        found |= {"size_mb": round(file.size / 1e6, 2), "difference_ppm": round(1e6 * max(file.parity.values()), 2)}
    return {**found, "seconds": round(time.monotonic() - begun, 1)}


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many networks export and agree, and how many do not."""
    refused = sum(bool(each["refused"]) for each in rows)
    return {"agree": float(len(rows) - refused), "refused": float(refused)}


def main() -> None:
    """Every network that has no row yet; those that are named, anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of all that are walked, these, whether they have a row or not")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one network, results thrown away")
    args = parser.parse_args()
    rows = {} if args.quick else {each["network"]: each for each in saved_rows("walk")}
    for name in args.names or (QUICK if args.quick else names()):
        if name in rows and not args.names:
            continue
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            rows[name] = row(name, Path(folder))
        print(json.dumps(rows[name]), flush=True)
        keep("walk", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()
