"""The face: parse what was typed, call one function, print its result, exit. Nothing is decided here.

Modules stand one per group of commands (`jobs`, `measure`, `judge`, `ask`). At import they load the standard library
and Typer only; what a command needs is imported when it runs, so that `edgekd --help` costs no more than it must.
"""


def main() -> None:
    """Run the command line; the entry point `edgekd`."""
    import io
    import sys

    from edgekd.cli.app import app

    # A result may be read by another program: in UTF-8 whatever the locale says, and no name of a file is unwritable.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")

    app(prog_name="edgekd")
