"""The generated parts of docs/*.md: what stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->` is written here.

NAME is one of `BLOCKS`, or a file beside the page, which is shown whole.

python -m docs.generate [--check]
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from docs.generate import commands, figures, recipes, ways
from edgekd.files import write_atomic

DOCS = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- generated: (?P<name>[\w.-]+) -->\n.*?<!-- end of (?P=name) -->", re.DOTALL)
OPEN = re.compile(r"<!-- (?:generated: |end of )")

BLOCKS: dict[str, Callable[[], str]] = {
    "recipe-keys": recipes.keys,
    "terms": recipes.terms,
    "commands": commands.reference,
    "targets": figures.targets,
    "chips": figures.chips,
    "headline": figures.headline,
    "ways": figures.ways,
    "second-phases": figures.search,
    "methods": figures.methods,
    "longtail": figures.longtail,
    "forgetting": ways.forgetting,
    "domain": ways.domain,
    "inherit": ways.inherit,
    "digits": lambda: figures.files("digits"),
    "walk": lambda: figures.files("walk"),
}


LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml"}


def filled(page: Path) -> str:
    """A page's text with its generated parts written anew.

    Raises:
        SystemExit: a part that nothing writes, or that has no end.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        file = page.parent / name
        if name not in BLOCKS and file.suffix not in LANGUAGES:
            raise SystemExit(f"{page} asks for {name!r}, and nothing writes that; there are: {', '.join(BLOCKS)}")
        written = BLOCKS[name]() if name in BLOCKS else f'```{LANGUAGES[file.suffix]} title="{name}"\n{file.read_text(encoding="utf-8")}```'
        return f"<!-- generated: {name} -->\n{written}\n<!-- end of {name} -->"

    text = page.read_text(encoding="utf-8")
    if OPEN.search(BLOCK.sub("", text)):
        raise SystemExit(f"{page} has a generated part without its beginning or its end")
    return BLOCK.sub(block, text)


def main() -> int:
    """Write every page that is not as it should be, or with --check name them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for page in sorted(DOCS.rglob("*.md")):
        wanted = filled(page)
        if wanted != page.read_text(encoding="utf-8"):
            stale.append(page)
            if not check:
                write_atomic(page, wanted)
    print("\n".join(f"{'stale' if check else 'wrote'} {page.relative_to(DOCS.parent)}" for page in stale) or "nothing to do")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
