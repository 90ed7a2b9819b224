"""An ONNX file quantised by another library, in an environment of that library's own: what benchmarks/quantisers.py calls.

    python quantise_elsewhere.py {nncf,modelopt} {cpu,trt} IN.onnx IMAGES.npy OUT.onnx

Images are prepared, float32 (n, c, h, w). Everything is as the library has it by default but for what the flavour says: for a CPU 8-bit with floats
around it, for TensorRT symmetric and with fp16 around it. The last line printed is the library's version.
"""

import sys
from importlib.metadata import version
from typing import Any

import numpy as np


def nncf(flavour: str, source: str, images: Any, target: str) -> str:
    """By OpenVINO's NNCF, which corrects biases for what rounding shifts; it has no form for TensorRT."""
    import nncf as library
    import onnx

    if flavour != "cpu":
        raise SystemExit("NNCF writes for CPUs here")
    model = onnx.load(source)
    name = model.graph.input[0].name
    made = library.quantize(
        model,
        library.Dataset([{name: image[None]} for image in images]),
        preset=library.QuantizationPreset.MIXED,
        target_device=library.TargetDevice.CPU,
        subset_size=len(images),
    )
    onnx.save(made, target)
    return version("nncf")


def modelopt(flavour: str, source: str, images: Any, target: str) -> str:
    """By NVIDIA's ModelOpt, symmetric whatever it is for."""
    import onnx
    from modelopt.onnx.quantization import quantize

    name = onnx.load(source).graph.input[0].name
    around = "fp32" if flavour == "cpu" else "fp16"
    quantize(source, calibration_data={name: images}, calibration_eps=["cpu"], high_precision_dtype=around, output_path=target)
    return version("nvidia-modelopt")


if __name__ == "__main__":
    who, what, given, pixels, wanted = sys.argv[1:]
    print({"nncf": nncf, "modelopt": modelopt}[who](what, given, np.load(pixels), wanted))
