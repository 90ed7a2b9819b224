"""doctor: what this machine can do, and what it lacks."""

from edgekd.cli.face import Face


def doctor(face: Face) -> None:
    """Say what this machine can do and what it lacks.

    Devices, runtimes, INT8 instructions; what is missing and the line that installs it.
    """
    from edgekd.cli.machine import examine, lines

    found = examine()
    face.result("\n".join(lines(found)), found)
