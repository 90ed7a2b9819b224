"""The commands in the order of the story, as Typer has them. Help stays plain text: drawing it with Rich would cost three
times as much to start.
"""

from typing import Annotated

import typer

from edgekd import __version__
from edgekd.cli import budget, check, doctor, init, jobs, label, measure, pack, predict, recipe, report, robustness, selftest, taps, targets
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


app.command("init", cls=Command)(command(init.init, needs="train", asks=True))
app.command("compress", cls=Command)(command(jobs.compress, needs="train"))
app.command("teach", cls=Command)(command(jobs.teach, needs="train"))
app.command("label", cls=Command)(command(label.label, needs="train"))
app.command("distill", cls=Command)(command(jobs.distill, needs="train"))
app.command("export", cls=Command)(command(jobs.export, needs="train"))
app.command("evaluate", cls=Command)(command(measure.evaluate, needs="train"))
app.command("robustness", cls=Command)(command(robustness.robustness, needs="train"))
app.command("bench", cls=Command)(command(measure.bench, needs="measure"))
app.command("predict", cls=Command)(command(predict.predict, needs="train"))
app.command("pack", cls=Command)(command(pack.pack, needs="train"))
app.command("check", cls=Command)(command(check.check, needs="measure"))
budgets = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
budgets.command("init", cls=Command)(command(budget.budget_init, needs="measure"))
budgets.command("tighten", cls=Command)(command(budget.budget_tighten, needs="measure"))
app.add_typer(budgets, name="budget", help="Write limits from what was measured, and tighten them.")
baselines = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
baselines.command("save", cls=Command)(command(budget.baseline_save, needs="measure"))
baselines.command("show", cls=Command)(command(budget.baseline_show, needs="measure"))
baselines.command("compare", cls=Command)(command(budget.baseline_compare, needs="measure"))
app.add_typer(baselines, name="baseline", help="Keep what later changes are compared with.")
app.command("report", cls=Command)(command(report.report))
app.command("watch", cls=Command)(command(report.watch))
app.command("recipe", cls=Command)(command(recipe.recipe))
app.command("taps", cls=Command)(command(taps.taps, needs="train"))
app.command("doctor", cls=Command)(command(doctor.doctor))
app.command("selftest", cls=Command)(command(selftest.selftest, needs="measure"))

devices = typer.Typer(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False)
devices.callback(invoke_without_command=True)(command(targets.targets))
devices.command("show", cls=Command)(command(targets.show))
devices.command("probe", cls=Command)(command(targets.probe, needs="measure"))
app.add_typer(devices, name="targets")
