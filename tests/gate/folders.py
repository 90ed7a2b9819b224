"""Folders to check: a run's, and a git repository's."""

import subprocess
from pathlib import Path

from edgekd.record import Report
from edgekd.reportfile import encode_report
from tests.needs import need_tool


def written(folder: Path, report: Report) -> Path:
    """A run folder with this report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(encode_report(report))
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git prints, with nobody's own settings."""
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
    done = subprocess.run([need_tool("git"), *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def committed(folder: Path, *files: str) -> None:
    """These files in the first commit of a new repository, on the branch main."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", *files)
    git(folder, "commit", "--quiet", "--message", "first")
