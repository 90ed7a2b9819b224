"""Compares text with a golden file. `UPDATE_GOLDEN=1 pytest tests/report` writes them anew: read the difference before you commit it."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Fails where `text` is not what golden/`name` holds."""
    file = _FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} reads differently now; UPDATE_GOLDEN=1 writes it anew"
