"""Specs, files and paths that were typed in one folder, as they read from another."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_NO_PATH = ("hf", "timm")
"""Kinds of spec whose second half is a name on a hub."""


@dataclass(frozen=True)
class Moved:
    """From `cwd`, where edgekd was started, to `base`, the folder that a recipe's paths are relative to; where they are one, all stays as typed."""

    cwd: Path
    base: Path

    def path(self, path: str) -> str:
        """A path."""
        if self.base == self.cwd or os.path.isabs(path):
            return path
        return Path(os.path.relpath(self.cwd / path, self.base)).as_posix()

    def spec(self, spec: str) -> str:
        """A spec string, whose path moves if it has one."""
        kind, colon, rest = spec.partition(":")
        if colon and kind.endswith(".py"):
            return f"{self.path(kind)}:{rest}"
        return f"{kind}:{self.path(rest)}" if colon and kind not in _NO_PATH else spec

    def file(self, spec: str) -> str:
        """What may be a bare file name, too: a model, weights, a target, class names."""
        return self.path(spec) if re.search(r"\.(onnx|safetensors|pt|pth|th|tar|ckpt|bin|txt|toml|json)$", spec) else self.spec(spec)
