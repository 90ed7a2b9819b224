"""What this machine can do: its devices, instructions and runtimes, what is missing and the line that installs it.

Reads the installed packages and the machine; imports torch and a runtime only to ask which devices they see. Changes nothing.
"""

import importlib.metadata
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from typing import Any

from edgekd import __version__, units
from edgekd.errors import install_line

INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx_vnni_int8": "AVX-VNNI-INT8",
    "i8mm": "Arm i8mm",
    "asimddp": "Arm dot product",
}
"""Instructions that multiply and add 8-bit numbers, as Linux names them and as people do."""
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-qnn", "onnxruntime-migraphx")
PACKAGES = ("torch", "torchvision", "onnx", "onnxslim", "accelerate", "tensorrt", "tensorrt-rtx", "openvino", "timm")
PROGRAMS = {
    "ssh": "measures on other machines",
    "nvidia-smi": "tells about NVIDIA cards",
    "trtexec": "builds and runs TensorRT engines where Python has no tensorrt",
}


@dataclass(frozen=True)
class Found:
    """One machine as edgekd sees it. `missing` maps what is not there to the line that installs it; `warnings` stand by themselves."""

    edgekd: str
    python: str
    machine: dict[str, Any]
    int8: list[str]
    onnxruntime: dict[str, str]
    providers: list[str]
    packages: dict[str, str]
    cuda: list[str]
    programs: dict[str, str | None]
    missing: dict[str, str]
    swap: list[str]
    untested: list[str]
    warnings: list[str] = field(default_factory=list)


def examine() -> Found:
    """Look at this machine."""
    from edgekd.device.agent import machine

    facts = machine.facts()
    runtimes = {name: version for name in ONNXRUNTIMES if (version := _version(name)) is not None}
    providers, problem = _providers() if runtimes else ([], None)
    return Found(
        edgekd=__version__,
        python=f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        machine=facts,
        int8=[INT8[flag] for flag in facts["instructions"] if flag in INT8],
        onnxruntime=runtimes,
        providers=providers,
        packages={name: version for name in PACKAGES if (version := _version(name)) is not None},
        cuda=_cuda(),
        programs={name: shutil.which(name) for name in PROGRAMS},
        missing=missing_extras(),
        swap=swap_lines(list(runtimes)),
        untested=_untested(),
        warnings=_warnings(list(runtimes), problem),
    )


def swap_lines(installed: list[str]) -> list[str]:
    """The two lines that put the GPU build of ONNX Runtime in place of what is there; none where it is there already."""
    if installed == ["onnxruntime-gpu"] or not installed:
        return []
    return [f"pip uninstall -y {' '.join(installed)}", "pip install onnxruntime-gpu"]


def missing_extras() -> dict[str, str]:
    """Extras with a package that is not installed, and the line that installs them."""
    lacking: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("edgekd") or []:
        marked = re.fullmatch(r"([A-Za-z0-9._-]+).*extra == ['\"]([\w-]+)['\"].*", requirement)
        if marked and marked[1] != "edgekd" and not _present(marked[1]):
            lacking.setdefault(marked[2], []).append(marked[1])
    return {f"{extra} ({', '.join(names)})": install_line(extra) for extra, names in lacking.items()}


def lines(found: Found) -> list[str]:
    """All of it as text that fits 80 columns."""
    machine = found.machine
    int8 = f"{', '.join(found.int8)}: INT8 files should pay off" if found.int8 else "none: INT8 files may be slower than fp32 here"
    text = [
        f"edgekd {found.edgekd}, Python {found.python}, {machine['system']}",
        "",
        f"processor    {machine['cpu']}, {machine['cores']} cores, {units.bytes_text(machine['memory'])} of memory",
        f"INT8         {int8}",
        f"GPU          {machine['gpu'] or 'none found'}{', driver ' + machine['driver'] if machine['driver'] else ''}",
        f"CUDA         {', '.join(found.cuda) or 'torch sees no CUDA device: training runs on the CPU'}",
        f"ONNX Runtime {', '.join(f'{name} {version}' for name, version in found.onnxruntime.items()) or 'not installed'}",
        f"  providers  {', '.join(found.providers) or 'none'}",
        f"packages     {', '.join(f'{name} {version}' for name, version in found.packages.items()) or 'none of the extras'}",
    ]
    text += [f"{name:12} {path or f'not found ({PROGRAMS[name]})'}" for name, path in found.programs.items()]
    if found.swap:
        text += ["", "The GPU build of ONNX Runtime takes the place of this one with:", *(f"  {line}" for line in found.swap)]
    if found.missing:
        text += ["", "Missing, and the line that installs it:"]
        text += [f"  {what}: {line}" for what, line in found.missing.items()]
    if found.untested:
        text += ["", "Targets that edgekd has never run on real hardware:", *(f"  {name}" for name in found.untested)]
        text += ["TensorRT's engines have never been run on any; edgekd selftest tries them here, and its file is worth sending."]
    text += [f"warning: {warning}" for warning in found.warnings]
    return [part for line in text for part in _folded(line)]


def _folded(line: str) -> list[str]:
    """A line in pieces of at most 80 columns; what follows a label stays beside it."""
    labelled = re.match(r" *\S+(?: \S+)* {2,}", line)
    indent = " " * (13 if labelled else 4)
    return textwrap.wrap(line, 80, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _present(name: str) -> bool:
    """Whether a distribution is installed; any build of ONNX Runtime serves."""
    return any(_version(build) is not None for build in (ONNXRUNTIMES if name == "onnxruntime" else (name,)))


def _providers() -> tuple[list[str], str | None]:
    """What ONNX Runtime can run on, or why it does not load."""
    try:
        import onnxruntime
    except ImportError as error:
        return [], f"onnxruntime is installed and does not load: {error}"
    return list(onnxruntime.get_available_providers()), None


def _cuda() -> list[str]:
    """The CUDA devices that torch sees."""
    try:
        import torch
    except ImportError:
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def _untested() -> list[str]:
    from edgekd import target

    return [each.name for each in map(target.load, target.names()) if not each.tested]


def _warnings(installed: list[str], problem: str | None) -> list[str]:
    found = [problem] if problem else []
    if len(installed) > 1:
        away = f"pip uninstall -y {' '.join(installed)}"
        found.append(f"{' and '.join(installed)} write into one folder and break each other: {away}, then install one of them")
    if not sys.platform.startswith("linux"):
        found.append(f"edgekd has never been run on {sys.platform}; tell us how it goes")
    return found
