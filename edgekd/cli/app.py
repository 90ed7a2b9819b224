"""The commands in the order of the story, as Typer has them. Help stays plain text: drawing it with Rich would cost three
times as much to start.
"""

from typing import Annotated

import typer

from edgekd import __version__
from edgekd.cli import ask, begin, inside, jobs, judge, keep, label, look, measure, predict, probe, robustness, selftest, ship
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


app.command("init", cls=Command)(command(begin.init, needs="train", asks=True))
app.command("compress", cls=Command)(command(jobs.compress, needs="train"))
app.command("teach", cls=Command)(command(jobs.teach, needs="train"))
app.command("label", cls=Command)(command(label.label, needs="train"))
app.command("distill", cls=Command)(command(jobs.distill, needs="train"))
app.command("export", cls=Command)(command(jobs.export, needs="train"))
app.command("evaluate", cls=Command)(command(measure.evaluate, needs="train"))
app.command("robustness", cls=Command)(command(robustness.robustness, needs="train"))
app.command("bench", cls=Command)(command(measure.bench, needs="measure"))
app.command("predict", cls=Command)(command(predict.predict, needs="train"))
app.command("pack", cls=Command)(command(ship.pack, needs="train"))
app.command("check", cls=Command)(command(judge.check, needs="measure"))
budget = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
budget.command("init", cls=Command)(command(keep.budget_init, needs="measure"))
budget.command("tighten", cls=Command)(command(keep.budget_tighten, needs="measure"))
app.add_typer(budget, name="budget", help="Write limits from what was measured, and tighten them.")
baseline = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
baseline.command("save", cls=Command)(command(keep.baseline_save, needs="measure"))
baseline.command("show", cls=Command)(command(keep.baseline_show, needs="measure"))
baseline.command("compare", cls=Command)(command(keep.baseline_compare, needs="measure"))
app.add_typer(baseline, name="baseline", help="Keep what later changes are compared with.")
app.command("report", cls=Command)(command(look.report))
app.command("watch", cls=Command)(command(look.watch))
app.command("recipe", cls=Command)(command(ask.recipe))
app.command("taps", cls=Command)(command(inside.taps, needs="train"))
app.command("doctor", cls=Command)(command(ask.doctor))
app.command("selftest", cls=Command)(command(selftest.selftest, needs="measure"))

targets = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False)
targets.callback(invoke_without_command=True)(command(ask.targets))
targets.command("show", cls=Command)(command(ask.show_target))
targets.command("probe", cls=Command)(command(probe.probe_target, needs="measure"))
app.add_typer(targets, name="targets")
