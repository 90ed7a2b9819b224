"""Which file is packed: what a run's report says ships on a target, or the one that was named.

In: a run's folder, a target, perhaps `ROLE/NAME/PRECISION`. Out: a `Choice`, whose file is there and as the run wrote it. Reads, writes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from edgekd import target
from edgekd.budget import choose
from edgekd.errors import MissingError, UsageError
from edgekd.files import sha256_file
from edgekd.preprocess import Preprocess
from edgekd.record import Artifact, DataSummary, Report
from edgekd.reportfile import read_report
from edgekd.target import Target


@dataclass(frozen=True)
class Choice:
    """A run's file for a target, with all that its report says. `size` is (height, width) in pixels, `file` where it lies."""

    run: Path
    report: Report
    data: DataSummary
    target: Target
    artifact: Artifact
    preprocess: Preprocess
    size: tuple[int, int]
    file: Path

    @property
    def channels(self) -> int:
        """Channels that the network takes."""
        return 1 if self.preprocess.colour == "grey" else 3

    @property
    def measured(self) -> bool:
        """Whether the file was timed on the target."""
        return any((m.artifact, m.target) == (self.artifact.name, self.target.name) for m in self.report.measurements)


def chosen(run: Path, on: str, wanted: str | None) -> Choice:
    """The file of a run that ships on a target, or the one that is wanted.

    Raises:
        MissingError: no run, no such target, nothing ships there, or the file is not there.
        UsageError: several files fit, the target cannot run the file, or the file is not as the run wrote it.
    """
    report = _finished(run)
    found = target.load(on)
    artifact = _shipped(report, found.name) if wanted is None else _named(report, found.name, wanted)
    _refuse_precision(artifact, found)
    if report.data is None or artifact.preprocess is None or artifact.preprocess.size is None:
        raise UsageError(
            f"the report of {run} does not say how {artifact.name} wants its images, or what its classes are called: bare files and other "
            "programs' are not packed. Name a run of `edgekd compress`."
        )
    if report.data.task == "multilabel":
        raise UsageError(
            f"a pack's samples tell one label of an image, and {artifact.name} tells several. Ship {run / artifact.path} itself: its metadata holds "
            "the labels, their thresholds, and how it wants its images."
        )
    file = run / artifact.path
    _refuse_damaged(run, artifact, file)
    return Choice(run, report, report.data, found, artifact, artifact.preprocess, artifact.preprocess.size, file)


def _finished(run: Path) -> Report:
    """The report of a run that has files to choose from."""
    if not run.is_dir():
        raise MissingError(f"no run's folder at {run}. `edgekd compress` makes one in runs/.")
    if not (run / "report.json").is_file():
        if (run / "manifest.json").is_file():
            raise MissingError(f"{run} has no report.json: its run has not ended. Take it up again with: edgekd compress {run}")
        raise MissingError(f"{run} is a folder and no run of edgekd. `edgekd compress` makes one in runs/.")
    report = read_report(run)
    if not report.artifacts:
        raise MissingError(f"the run in {run} has exported no file yet. It goes on with: edgekd compress {run}")
    return report


def _shipped(report: Report, on: str) -> Artifact:
    names = sorted(choose.shipped_on(report, on))
    if not names:
        known = ", ".join(sorted({key.rpartition("/")[0] for key in report.shipped})) or "none"
        raise MissingError(
            f"nothing ships on {on}: no file was timed and scored there (targets where one ships: {known}). "
            f"Measure there with --on {on}=HOST, or name a file with --artifact: {choose.names(report)}."
        )
    if len(names) > 1:
        raise UsageError(f"one file is packed at a time, and {len(names)} ship on {on}. Name one with --artifact: {', '.join(names)}.")
    return report.artifact(names[0])


def _named(report: Report, on: str, wanted: str) -> Artifact:
    found = choose.artifacts(report, wanted, on)
    if isinstance(found, str):
        raise MissingError(f"--artifact: {found}")
    if len(found) > 1:
        names = ", ".join(artifact.name for artifact in found)
        raise UsageError(f"--artifact names one file, and {wanted!r} fits {names}. Write one of them in full.")
    return found[0]


def _refuse_precision(artifact: Artifact, on: Target) -> None:
    if artifact.precision != "as-is" and artifact.precision not in on.precisions:
        raise UsageError(
            f"{on.name} runs {', '.join(on.precisions)}, and {artifact.name} is {artifact.precision}, which {on.runtime} does not take there. "
            "Name another file with --artifact."
        )


def _refuse_damaged(run: Path, artifact: Artifact, file: Path) -> None:
    remedy = f"It is made again by: edgekd compress {run}"
    if not file.is_file():
        raise MissingError(f"the report names {artifact.name}, and its file is not at {file}. {remedy}")
    digest = sha256_file(file)
    if digest != artifact.sha256:
        raise UsageError(
            f"{file} is not as the run wrote it: its sha256 begins with {digest[:12]}, the report has {artifact.sha256[:12]}, and what was measured "
            f"may not hold for it. {remedy}"
        )
