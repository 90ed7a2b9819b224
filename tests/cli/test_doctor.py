"""edgekd doctor."""

import json

from typer.testing import CliRunner

from edgekd.cli.app import app

runner = CliRunner()


def test_doctor_tells_about_this_machine() -> None:
    """Processor, INT8 instructions, runtimes, what is missing and how to get it."""
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    for word in ("processor", "INT8", "CUDA", "ONNX Runtime", "providers", "CPUExecutionProvider", "never run on real hardware", "jetson-orin-nano"):
        assert word in result.stdout
    document = json.loads(runner.invoke(app, ["doctor", "--json"]).stdout)
    assert document["machine"]["cores"] >= 1
    assert "cpu" not in document["untested"]
