"""Verdicts as JUnit XML, which every CI server draws: over is a failure, missing an error, undecided is skipped. Judges nothing."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from edgekd.record import Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {"over": "failure", "missing": "error", "undecided": "skipped"}


def junit(verdicts: Sequence[Verdict], *, strict: bool = False) -> str:
    """One test case a verdict, in the order they came. A limit that only warns is skipped where it does not hold; if `strict`, undecided fails."""
    elements = [_element(verdict, strict=strict) for verdict in verdicts]
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name="edgekd", tests=str(len(verdicts)))
    for key, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(elements.count(element)))
    for verdict, outcome in zip(verdicts, elements, strict=True):
        where = f" on {verdict.target}" if verdict.target else ""
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(f"{verdict.artifact}{where}"), name=_clean(verdict.limit))
        if outcome is None:
            ElementTree.SubElement(case, "system-out").text = _clean(verdict.text)
        else:
            ElementTree.SubElement(case, outcome, message=_clean(verdict.text)).text = _clean("\n".join(verdict.why)) or None
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _element(verdict: Verdict, *, strict: bool) -> str | None:
    element = "failure" if strict and verdict.state == "undecided" else _ELEMENTS.get(verdict.state)
    return "skipped" if verdict.warn and element is not None else element


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 has no way to write."""
    return _NOT_XML.sub("?", text)
