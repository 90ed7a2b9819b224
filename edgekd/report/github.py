"""Verdicts as the workflow commands that GitHub draws as annotations beside a run. Prints nothing and knows no workflow's files."""

from collections.abc import Sequence

from edgekd.record import Verdict
from edgekd.report.verdicts import by_trouble


def annotations(verdicts: Sequence[Verdict], *, strict: bool = False) -> list[str]:
    """One command for each verdict that does not hold, the worst first: GitHub draws ten of a kind in a step. If `strict`, undecided is an error."""
    return [_command(verdict, strict=strict) for verdict in by_trouble(verdicts) if verdict.state != "pass"]


def log(verdicts: Sequence[Verdict], *, strict: bool = False) -> str:
    """The annotations, and a plain line of the log for each limit that holds."""
    held = [" ".join(f"pass: {v.artifact}: {v.limit}: {v.text}".split()) for v in verdicts if v.state == "pass"]
    return "\n".join([*annotations(verdicts, strict=strict), *held])


def _command(verdict: Verdict, *, strict: bool) -> str:
    level = "warning" if verdict.warn or (verdict.state == "undecided" and not strict) else "error"
    return command(level, f"{verdict.artifact}: {verdict.limit}", f"{verdict.state}: {verdict.text}")


def command(level: str, title: str, text: str) -> str:
    """One workflow command, as `warning` or `error`."""
    return f"::{level} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """Escaped as the runner's command syntax asks (actions/toolkit, command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
