"""HTML and SVG as strings that are not left unescaped by accident: `Markup` may stand in a page, a `str` has to go through `plain` or an attribute.

The type checker holds that; at run time both are strings. Of a report it knows the tables of `columns`, and no numbers.
"""

import html
import re
from collections.abc import Iterable, Sequence
from typing import NewType

from edgekd.report.cells import Table
from edgekd.report.text import firm

Markup = NewType("Markup", str)
NONE = Markup("")

_VOID = {"meta", "link", "br", "img"}
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of pairs, what is no character, and marks that turn the direction of the text around them."""


def clean(text: str) -> str:
    """Text without what a page cannot show or what would change its surroundings; it is not escaped yet."""
    return _UNSEEN.sub("\ufffd", text)


def plain(text: str) -> Markup:
    """Text as it is written, whatever it holds."""
    return Markup(html.escape(clean(text)))


def name(text: str) -> Markup:
    """A name that a person chose: in its own direction, whatever stands around it."""
    return tag("bdi", plain(text))


def tag(kind: str, *parts: Markup, **attributes: str | float | None) -> Markup:
    """An element. `class_` is class, `stroke_width` stroke-width; attributes that are None are left out."""
    given = "".join(f' {_attribute(key)}="{html.escape(_value(value))}"' for key, value in attributes.items() if value is not None)
    return Markup(f"<{kind}{given}>") if kind in _VOID else Markup(f"<{kind}{given}>{joined(parts)}</{kind}>")


def joined(parts: Iterable[Markup]) -> Markup:
    """Parts in a row."""
    return Markup("".join(parts))


def lines(parts: Iterable[Markup]) -> Markup:
    """Parts under each other, those that hold something."""
    return Markup("\n".join(part for part in parts if part))


def percent(share: float) -> str:
    """A place or a length in a drawing, from 0 to 1, as a share of its frame."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


# Tables ---------------------------------------------------------------------------------------------------------------


def grid(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Markup]], *, note: str = "", class_: str = "wide") -> Markup:
    """A table whose first column names the rows, in a frame that scrolls where the page is narrower."""
    head = tag("tr", *(tag("th", plain(each), scope="col") for each in heads))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    table = tag("table", tag("caption", plain(caption)), tag("thead", head), tag("tbody", lines(body)), class_=class_)
    return lines([framed(table, caption), tag("p", plain(firm(note)), class_="note") if note else NONE])


def framed(table: Markup, label: str) -> Markup:
    """A part of the page that scrolls sideways by itself, by keyboard too."""
    return tag("div", table, class_="scroll", tabindex="0", role="group", aria_label=label)


def columned(table: Table) -> Markup:
    """A report's table as it stands."""
    rows = zip(*(column.cells for column in table.columns), strict=True)
    return grid(
        table.title,
        [column.head for column in table.columns],
        [[name(row[0]), *map(plain, row[1:])] for row in rows],
        note=table.note,
        class_="wide figures",
    )


def folded(summary: str, *parts: Markup, printed: bool = False) -> Markup:
    """What opens on a click or a key; on paper it is open where it is `printed`."""
    return tag("details", tag("summary", plain(summary)), *parts, class_="printed" if printed else None) if any(parts) else NONE
