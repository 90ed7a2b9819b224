"""A report as one page, report.html: the answer first, then pictures, then every figure and how to repeat it.

The page is complete in itself: it holds its style, draws its pictures as SVG, runs no script and asks for nothing, which its own security policy
enforces. Everything in it stands in report.json or comes from it by `stats`. Returns the text and writes nothing.
"""

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

from edgekd.record import Report
from edgekd.report import words
from edgekd.report.answer import answer
from edgekd.report.cells import capital, led, measured_targets
from edgekd.report.classes import recalls
from edgekd.report.columns import tables
from edgekd.report.confusions import confusions
from edgekd.report.curves import training
from edgekd.report.disagreements import disagreements
from edgekd.report.kept import kept
from edgekd.report.layers import layers, timed
from edgekd.report.markup import NONE, Markup, columned, folded, lines, name, plain, tag
from edgekd.report.origins import origins
from edgekd.report.pictures import against_latency
from edgekd.report.reliability import reliabilities
from edgekd.report.rows import energies, losses, sizes, spreads
from edgekd.report.steadiness import steadiness
from edgekd.report.sustained import sustained
from edgekd.report.text import firm

ALONE = "This page runs no script and loads nothing."
_OPEN = 2
"""So many students' curves and classes are drawn at once, the others on a click."""
_SENTENCES = 6
_DIFFERS = "Test images that the two call differently, those first on which both are surest: wrong labels stand among them, too."


def html(report: Report) -> str:
    """The page."""
    return page(
        report.name, [_opening(report), *_pictures(report), *_figures(report)], f"Written by edgekd {report.edgekd} from report.json. {ALONE}"
    )


def page(title: str, parts: Iterable[Markup], closing: str, *, refresh: int | None = None) -> str:
    """A page of these parts under the house's style; `refresh` loads it again after so many seconds."""
    style = resources.files("edgekd.report").joinpath("page.css").read_text(encoding="utf-8")
    footer = tag("footer", tag("p", plain(closing)))
    body = tag("body", tag("main", lines(parts)), footer)
    return f"<!doctype html>\n{tag('html', _head(title, style, refresh), body, lang='en')}\n"


def _head(title: str, style: str, refresh: int | None) -> Markup:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        *([] if refresh is None else [tag("meta", http_equiv="refresh", content=str(refresh))]),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", plain(f"{title}: edgekd report")),
        Markup(f"<style>{style}</style>"),
    )


def _opening(report: Report) -> Markup:
    """Name, sentences and the answer."""
    return lines([tag("header", tag("h1", name(report.name)), tag("p", *_subtitle(report), class_="note"), *_told(report)), answer(report)])


def _told(report: Report) -> list[Markup]:
    """The sentences, the first of them larger; of many students the headlines, and what ships and why on a click."""
    sentences = words.sentences(report)
    said = [tag("p", name(firm(sentence)), class_=None if number else "lead") for number, sentence in enumerate(sentences)]
    if len(said) <= _SENTENCES:
        return said
    shown = min(len(words.headlines(report)), _SENTENCES)
    return [*said[:shown], folded(f"{len(said) - shown} more sentences: what ships and why", *said[shown:], printed=True)]


def _subtitle(report: Report) -> list[Markup]:
    parts = [plain(moment(report))]
    if report.data is not None:
        parts += [plain(" · "), name(report.data.spec), plain(f" · {len(report.data.classes)} classes, {report.data.test} test images")]
    return parts


def moment(report: Report) -> str:
    """When a report was made, as people write it."""
    return report.created.replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC")


def section(title: str, *parts: Markup, note: str = "") -> Markup:
    """A part of the page under its heading; nothing where it is empty."""
    return tag("section", tag("h2", plain(title)), *([tag("p", plain(note), class_="note")] if note else []), *parts) if any(parts) else NONE


def _pictures(report: Report) -> list[Markup]:
    targets = measured_targets(report)
    title = f"{capital(led(report))} against latency"
    return [
        *(section(title if len(targets) == 1 else f"{title} on {target}", against_latency(report, target)) for target in targets),
        section("What it costs", losses(report), sizes(report), *(energies(report, target) for target in targets)),
        section("How steady it runs", *(spreads(report, target) for target in targets)),
        section("How it holds under load", *_unfolded(sustained(report))),
        section("How it was taught", *_unfolded(training(report))),
        section("What it kept", *map(columned, kept(report))),
        section("Class by class", *_unfolded(recalls(report))),
        section("What it mixes up", *_unfolded(confusions(report))),
        section("Where it differs from its teacher", *_unfolded(disagreements(report)), note=_DIFFERS),
        section("How sure it is", *_unfolded(reliabilities(report))),
        section("What the student inherits", *_unfolded(steadiness(report))),
        section("Where the bytes and the time are" if timed(report) else "Where the bytes are", *_unfolded(layers(report))),
    ]


def _unfolded(found: Iterable[tuple[str, Markup]]) -> list[Markup]:
    """The first of them as they are, each under its name, the rest on a click."""
    return [lines([tag("h3", name(title)), drawn]) if number < _OPEN else folded(title, drawn) for number, (title, drawn) in enumerate(found)]


def _figures(report: Report) -> list[Markup]:
    above = kept(report)
    every = [table for table in tables(report) if table not in above]
    return [section("All figures", *map(columned, every)), section("How to repeat it", origins(report))]
