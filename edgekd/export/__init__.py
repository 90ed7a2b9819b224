"""Files a device can run: a trained network becomes checked ONNX files in fp32, fp16 and int8.

`files.export` does the whole; `onnx` writes a module as ONNX, `precision` and `int8` make other precisions of it, `control` says what int8 may lose,
`parity` holds each file to the step before, and where one is off, `drift` finds its first layer and `rejected` keeps it aside; `engine` builds
TensorRT engines of a file. Accuracy and speed of the files are measured elsewhere
(`evaluate`, `bench`).
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is first imported

from edgekd.export.files import HeldOut, export

__all__ = ["HeldOut", "export"]
