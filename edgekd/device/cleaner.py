"""A selftest without what names a machine, a person or a place, so that it may be sent to strangers."""

import getpass
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edgekd.device.tries import Check


class Cleaner:
    """Takes away what names a machine, a person or a place."""

    _PATH = re.compile(r"(?<![\w.])(?:~|/)[\w.@+-]*(?:/[\w.@+-]*)+")

    def __init__(self, host: str) -> None:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no name belongs to this number, as in many containers
            user = ""
        names = {user, socket.gethostname(), *re.split(r"[@:\[\]]", host)} - {"", "root", "local", "localhost"}
        self._names = [re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])") for name in sorted(names, key=len, reverse=True)]

    def text(self, text: str) -> str:
        """A text without them."""
        text = self._PATH.sub("…", text)
        for name in self._names:
            text = name.sub("…", text)
        return text

    def check(self, check: Check) -> Check:
        """A check without them."""
        return msgspec.structs.replace(check, text=self.text(check.text), figures=self._told(check.figures))

    def facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Facts without them."""
        cleaned: dict[str, Any] = self._told(dict(facts))
        return cleaned

    def _told(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(key): self._told(inner) for key, inner in value.items()}
        return [self._told(inner) for inner in value] if isinstance(value, Sequence) else value
