"""The face: parse what was typed, call one function, print its result, exit. Nothing is decided here.

Modules stand one per group of commands (`jobs`, `measure`, `check`, `budget`). At import they load the standard library
and Typer only; what a command needs is imported when it runs, so that `edgekd --help` costs no more than it must.
"""


def main() -> None:
    """Run the command line; the entry point `edgekd`."""
    import io
    import os
    import sys

    from edgekd.cli.app import app

    # Python has None for a stream that was closed before it began, as supervisors close them; whoever writes there writes to nobody.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))

    # A result may be read by another program: in UTF-8 whatever the locale says, and no name of a file is unwritable.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")

    app(prog_name="edgekd")
