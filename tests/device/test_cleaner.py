"""device/cleaner.py: nothing that is sent tells whose machine it is."""

import getpass
import socket

import pytest

from edgekd.device.cleaner import Cleaner
from edgekd.device.tries import Check


def test_names_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hosts, users and places, wherever they stand; versions, fractions and systems stay."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(socket, "gethostname", lambda: "workshop")
    clean = Cleaner("jo@orin-3.example")
    check = clean.check(
        Check(
            name="x",
            state="fails",
            text="jo on orin-3.example (from workshop by ada) cannot read /home/jo/.cache/edgekd/a.onnx or ~/x: 10.3.0.26, images/s, GNU/Linux, adam",
            figures={"where": ["/opt/secret/file", {"deep": "at workshop"}], "ms": 1.5, "none": None},
        )
    )
    assert check.text == "… on … (from … by …) cannot read … or …: 10.3.0.26, images/s, GNU/Linux, adam"
    assert check.figures == {"where": ["…", {"deep": "at …"}], "ms": 1.5, "none": None}
