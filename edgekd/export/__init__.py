"""Files a device can run: a trained network becomes checked ONNX files in fp32, fp16 and int8.

`files.export` does the whole; `onnx` writes a module as ONNX, `precision` makes other precisions of it, `parity` holds each file to the step before.
Accuracy and speed of the files are measured elsewhere (`evaluate`, `bench`); engines for NVIDIA devices are not built here.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is first imported

from edgekd.export.files import export

__all__ = ["export"]
