"""A machine as a new target: what it tells of itself and what can be measured there in a second, as TOML.

In: a session. Out: a `Target`, and its text. Peak rates are the maker's to state, and are left out; so is the bandwidth of a GPU's memory, which no
copy by the CPU shows.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import tomli_w

from edgekd.device.agent.machine import FLAGS
from edgekd.device.session import Session
from edgekd.target import Chip, Target

_HEAD = """# Written by `edgekd targets probe` from the machine itself.
# What it does not tell is not here. Add peak_fp32, peak_fp16 and peak_int8 (operations/s, dense) under [chip] from the maker's data sheet,
# and name that in `source`: without them there is no floor for arithmetic. Set `tested` once a file was measured there.
"""
_FAST_INT8 = ("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm")
assert set(_FAST_INT8) <= set(FLAGS)


def probe(session: Session, name: str) -> Target:
    """The machine at the other end of a session as a target of this name.

    Raises:
        DeviceError: the machine is lost. MissingExtra: it has no runtime.
    """
    with session.start() as agent:
        facts = agent.ask("facts")
        providers = agent.ask("start")["providers"]
        on_gpu = _runtime(facts, providers) != ("onnxruntime", "CPUExecutionProvider")
        copied = None if on_gpu else agent.ask("bandwidth")
    return described(name, facts, providers, copied)


def described(name: str, facts: Mapping[str, Any], providers: list[str], copied: Mapping[str, Any] | None) -> Target:
    """Facts of an agent, and what it copied in memory, as a target."""
    runtime, provider = _runtime(facts, providers)
    on_gpu = provider != "CPUExecutionProvider"
    machine = facts["gpu"] if on_gpu and facts["gpu"] and not facts.get("l4t") else facts["cpu"]
    chip = Chip(memory=facts["gpu_memory"] if on_gpu and not facts.get("l4t") else facts["memory"] or None)
    if copied is not None:
        moved = f"{copied['size'] / 1e6:.0f} MB copied by {copied['threads']} threads"
        source = f"measured: {moved}, read and written, the best of four; less than the maker's peak"
        chip = msgspec.structs.replace(chip, bandwidth=float(f"{copied['bytes_per_s']:.3g}"), source=source)
    fast = any(flag in facts["instructions"] for flag in _FAST_INT8)
    return Target(
        name=name,
        description=f"{machine}, {_by(runtime, provider)}",
        runtime=runtime,
        provider=provider,
        precisions=["fp16", "int8-trt", "fp32"] if on_gpu else ["int8-cpu", "fp32", "fp16"] if fast else ["fp32", "int8-cpu", "fp16"],
        int8="int8-trt" if on_gpu else "int8-cpu",
        power_mode=(facts.get("power_mode") or "").rpartition(" (")[0] or None,
        compute_capability=facts["compute_capability"] if on_gpu else None,
        fits=[machine],
        chip=chip,
    )


def text(found: Target) -> str:
    """A target as the TOML file that describes it; its name is the file's."""
    table: dict[str, Any] = msgspec.to_builtins(found)
    chip = {key: value for key, value in table.pop("chip").items() if value}
    usual = ("name", "cuda_graph", "spin_wait")
    kept = {key: value for key, value in table.items() if value is not None and key not in usual}
    return _HEAD + tomli_w.dumps({**kept, **({"chip": chip} if chip else {})})


def _runtime(facts: Mapping[str, Any], providers: list[str]) -> tuple[Any, str]:
    """What runs files there: TensorRT where the machine has it beside a GPU, else ONNX Runtime on the GPU where its build can, else on the CPU."""
    if facts["tensorrt"] and (facts["gpu"] or facts.get("l4t")):
        return "tensorrt", "TensorRT"
    if facts["gpu"] and "CUDAExecutionProvider" in providers:
        return "onnxruntime", "CUDAExecutionProvider"
    return "onnxruntime", "CPUExecutionProvider"


def _by(runtime: str, provider: str) -> str:
    return "TensorRT" if runtime == "tensorrt" else f"by ONNX Runtime ({provider.removesuffix('ExecutionProvider')})"
