"""The fenced code blocks of the site's pages and of the README, and what `edgekd` is asked in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.needs import ROOT

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
RUN = "<!-- test: run -->"
"""On the line before a block: it is run, and not only read."""
_BLOCK = re.compile(
    rf"^(?P<run>{re.escape(RUN)}\n)?```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ENDS = frozenset({"|", "||", "&&", ";", "&", ")"})


@dataclass(frozen=True)
class Block:
    """One fenced block; `title` is the name of the file that it stands for."""

    page: Path
    line: int
    language: str
    title: str
    run: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in one of these languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], found["title"] or "", found["run"] is not None, found["text"])


@dataclass(frozen=True)
class Asked:
    """One call of `edgekd` in a shell's lines: its words after the program's name, and the file that its output goes to."""

    words: list[str]
    into: str | None


def asked(text: str) -> Iterator[Asked]:
    """Every call of `edgekd` in lines of a shell; comments, pipes and `uv run` are seen through."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for words in _commands(list(lexer)):
            into = words[words.index(">") + 1] if ">" in words else None
            words = words[: words.index(">")] if into else words
            words = words[2:] if words[:2] == ["uv", "run"] else words
            if words[:1] == ["edgekd"]:
                yield Asked(words[1:], into)


def _commands(tokens: list[str]) -> Iterator[list[str]]:
    """A line's commands, split where a shell ends one."""
    words: list[str] = []
    for token in [*tokens, ";"]:
        if token in _ENDS:
            yield words
            words = []
        else:
            words.append(token)
