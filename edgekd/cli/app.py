"""The commands in the order of the story, as Typer has them. Help stays plain text: drawing it with Rich would cost three
times as much to start.
"""

from typing import Annotated

import typer

from edgekd import __version__
from edgekd.cli import ask, jobs, judge, measure
from edgekd.cli.face import command
from edgekd.cli.quick import Command, Group

app = typer.Typer(
    cls=Group,
    help="Make a trained vision model small and fast enough for a device, and prove it.",
    epilog="Start with: edgekd compress. Then: edgekd COMMAND --help.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"edgekd {__version__}")
        raise typer.Exit()


@app.callback()
def edgekd(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False) -> None:
    """Make a trained vision model small and fast enough for a device, and prove it."""


app.command("compress", cls=Command)(command(jobs.compress, needs="train"))
app.command("teach", cls=Command)(command(jobs.teach, needs="train"))
app.command("distill", cls=Command)(command(jobs.distill, needs="train"))
app.command("export", cls=Command)(command(jobs.export, needs="train"))
app.command("evaluate", cls=Command)(command(measure.evaluate, needs="train"))
app.command("bench", cls=Command)(command(measure.bench, needs="measure"))
app.command("predict", cls=Command)(command(measure.predict, needs="train"))
app.command("check", cls=Command)(command(judge.check, needs="measure"))
app.command("report", cls=Command)(command(judge.report))
app.command("recipe", cls=Command)(command(ask.recipe))
app.command("doctor", cls=Command)(command(ask.doctor))

targets = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False)
targets.callback(invoke_without_command=True)(command(ask.targets))
targets.command("show", cls=Command)(command(ask.show_target))
app.add_typer(targets, name="targets")
