"""Budgets for people whose CI is pytest: `assert_within("model.onnx", size="4 MB", params="1.2M")`."""

from pathlib import Path

from edgekd import budget, gate
from edgekd.gate.limits import limits_of


def assert_within(
    model: Path | str,
    *,
    artifact: str = "shipped",
    target: str | None = None,
    baseline: Path | str | None = None,
    strict: bool = False,
    **limits: str | float | list[str] | dict[str, str | float],
) -> None:
    """Hold an .onnx file, a run's folder or its report.json to limits, each a quantity of `recipe.Limit` as in `latency_p50="12 ms"`.

    Raises:
        AssertionError: something is over, or missing; under `strict` also where noise leaves it open. Its text holds the verdicts.
        UsageError: no such quantity, or a bound that does not read.
    """
    held = limits_of({"artifact": artifact, **({} if target is None else {"target": target}), **limits}, "assert_within")
    verdicts = gate.check([model], held, baseline=baseline)
    if budget.exit_code(verdicts, strict=strict) != 0:
        broken = [verdict for verdict in verdicts if verdict.state != "pass"]
        raise AssertionError("\n".join(f"{verdict.artifact}: {verdict.limit}: {verdict.state}: {verdict.text}" for verdict in broken))
