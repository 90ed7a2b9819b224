"""Which files can be measured where: refuses early what could not be, so that no long work comes before a late refusal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import target
from edgekd.device.host import check_host, connect
from edgekd.device.session import Session
from edgekd.errors import DeviceError, MissingError, UsageError
from edgekd.events import Emit, Note, silent
from edgekd.record import Artifact
from edgekd.target import Target


def resolve(targets: Mapping[str, str], base: Path = Path()) -> list[tuple[Target, str]]:
    """Each target that has a host, with it; paths are relative to `base`. Asked early, it spares a long run a late refusal.

    Raises:
        MissingError, UsageError: an unknown target, or a host that no session can be opened with.
    """
    found = []
    for name, host in targets.items():
        what = target.load(name, base)
        if not host:
            continue
        check_host(host)
        found.append((what, host))
    return found


def target_of(host: str, python: Sequence[str] = (), emit: Emit = silent) -> str:
    """The name of the target that a machine fits by its own words, and can be measured as; it is said.

    Raises:
        UsageError, MissingError, DeviceError: as `connect`.
    """
    with connect(host, python) as session:
        what, who, lacks = fitting(session)
    emit(Note(text=f"{who}: measured as {what.name}{lacks}"))
    return what.name


def fitting(session: Session) -> tuple[Target, str, str]:
    """The target that a session's machine fits and has the runtime of, else the CPU's; what the machine is, and what it lacks to be another.

    Raises:
        DeviceError, MissingExtra: it has no runtime at all.
    """
    with session.start() as agent:
        told = agent.ask("facts")
        found = target.fitting(f"{told['cpu']} {told['gpu'] or ''}")
        lacks = {each.name: _lacking(session, each) for each in found}
        runs = [each for each in found if lacks[each.name] is None]
        if not runs:
            agent.ask("start")
    other = next((f" (it fits {name} too: {why})" for name, why in lacks.items() if why is not None), "")
    return runs[0] if runs else target.load("cpu"), f"{session.host} is {told['gpu'] or told['cpu']}", other


def _lacking(session: Session, what: Target) -> str | None:
    """Why a target's runtime cannot be used there; None where it can."""
    with session.start() as agent:
        try:
            agent.ask("start", runtime=what.runtime)
        except (DeviceError, MissingError) as error:
            return str(error)
    return None


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
