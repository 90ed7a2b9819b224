"""The face: parse what was typed, call one function, print its result, exit. Nothing is decided here.

Modules stand one per group of commands (`jobs`, `measure`, `judge`, `ask`). At import they load the standard library
and Typer only; what a command needs is imported when it runs, so that `edgekd --help` costs no more than it must.
"""


def main() -> None:
    """Run the command line; the entry point `edgekd`."""
    from edgekd.cli.app import app

    app(prog_name="edgekd")
