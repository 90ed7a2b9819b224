"""Which files can be measured where: refuses early what could not be, so that no long work comes before a late refusal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import target
from edgekd.device.host import check_host, connect, read_host
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Note, silent
from edgekd.record import Artifact
from edgekd.target import Target


def resolve(targets: Mapping[str, str], base: Path = Path()) -> list[tuple[Target, str]]:
    """Each target that has a host, with it; paths are relative to `base`. Asked early, it spares a long run a late refusal.

    Raises:
        MissingError, UsageError: an unknown target, a runtime that cannot be measured yet, or a host that no session can be opened with.
    """
    found = []
    for name, host in targets.items():
        what = target.load(name, base)
        if not host:
            continue
        if what.runtime != "onnxruntime":
            raise UsageError(f"only targets that run ONNX Runtime can be measured yet, {name} runs {what.runtime}. Leave its host empty: {name}=")
        check_host(host)
        found.append((what, host))
    return found


def target_of(host: str, python: Sequence[str] = (), emit: Emit = silent) -> str:
    """The name of the target that a machine fits by its own words, and can be measured as; it is said.

    Raises:
        UsageError, MissingError, DeviceError: as `connect`.
    """
    with connect(host, python) as session, session.start() as agent:
        told = read_host(agent)
    found = target.fitting(f"{told.cpu} {told.gpu or ''}")
    runs = [each for each in found if each.runtime == "onnxruntime"]
    name = runs[0].name if runs else "cpu"
    other = "" if runs or not found else f" (it fits {found[0].name} too, whose {found[0].runtime} cannot be measured yet)"
    emit(Note(text=f"{host} is {told.gpu or told.cpu}: measured as {name}{other}"))
    return name


def check(files: Sequence[tuple[Artifact, Path]], pairs: Sequence[tuple[str, str]] = ()) -> None:
    """Refuse files that could not be measured or told apart, and pairs of anything else.

    Raises:
        MissingError: no such file. UsageError: two files of one name, or a pair that names none.
    """
    names = [artifact.name for artifact, _ in files]
    for artifact, path in files:
        if not path.is_file():
            raise MissingError(f"{artifact.name} must be a file, there is none at {path}.")
        if names.count(artifact.name) > 1:
            raise UsageError(f"two files are called {artifact.name}, and their figures could not be told apart. Rename one.")
    for name in {name for pair in pairs for name in pair} - set(names):
        raise UsageError(f"a ratio needs two files that are measured, {name!r} is none of: {', '.join(names)}")


def fits(artifact: Artifact, what: Target) -> bool:
    """Whether a target takes the file's precision; as it is, a file goes anywhere."""
    return artifact.precision == "as-is" or artifact.precision in what.precisions
