"""Values that a shell offers: each of them is one, and a real shell gets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import target
from edgekd.cli import complete
from edgekd.data.named import NAMES as DATA_NAMES
from edgekd.models.small import factory
from edgekd.models.zoo import torchvision_names

ROOT = Path(__file__).resolve().parents[2]


def test_each_model_is_one() -> None:
    """Built in, torchvision's, or a library's prefix."""
    known = torchvision_names()
    assert [name for name in complete.MODELS if not (name.endswith(":") or factory(name) or name in known)] == []


def test_each_built_in_data_set_is_offered() -> None:
    """With the colon that its folder follows."""
    assert {name.removesuffix(":") for name in complete.DATA} == {"digits", "folder", "npz", "csv", "hf", *DATA_NAMES}


@pytest.mark.parametrize(
    ("name", "metavar", "some"),
    [
        ("format", "text|markdown|json", ["text", "markdown", "json"]),
        ("channels", "1|3", ["1", "3"]),
        ("teacher_weights", "pretrained|FILE", ["pretrained"]),
        ("on", "TARGET[=HOST]", target.names()),
        ("name", "NAME|FILE.toml", target.names()),
        ("limit", "QUANTITY=VALUE", ["size=", "latency_p50=", "recall.", "growth.size="]),
        ("set", "KEY=VALUE", ["seed=", "train.batch=", "export.precisions="]),
        ("artifact", "NAME", ["shipped", "int8-cpu"]),
    ],
)
def test_closed_sets_are_read_off_the_help(name: str, metavar: str, some: list[str]) -> None:
    """Alternatives as they stand there, targets, quantities and keys as they are known elsewhere."""
    values = complete.offered(name, metavar)
    assert values is not None
    assert set(some) <= set(values())


@pytest.mark.parametrize("metavar", ["FILE.onnx", "RUN|REPORT.json|FILE.onnx", "N", "PATH|REF:PATH", "DIR", ""])
def test_files_and_numbers_are_the_shells_own(metavar: str) -> None:
    """Nothing is offered, so that the shell completes paths."""
    assert complete.offered("out", metavar) is None


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["check", "--format", "j"], ["junit", "json"]),
        (["compress", "--teacher", "resnet3"], ["resnet32", "resnet32x4", "resnet34"]),
        (["targets", "show", "cp"], ["cpu", "cpu-openvino"]),
        (["predict", "--teacher", ""], []),
        (["budget", "t"], ["tighten"]),
    ],
)
def test_a_shell_is_answered(typed: list[str], answer: list[str]) -> None:
    """As bash asks, without loading torch or numpy."""
    code = "import sys, atexit\natexit.register(lambda: print([m for m in ('numpy', 'torch', 'rich') if m in sys.modules], file=sys.stderr))\n"
    code += "from edgekd.cli import main\nmain()"
    asked = {"_EDGEKD_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(["edgekd", *typed]), "COMP_CWORD": str(len(typed))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **asked})
    assert done.stdout.split() == answer
    assert done.stderr == "[]\n"


def test_help_says_how_to_install_completion() -> None:
    """Typer's own two options stand in the help, and the script names edgekd."""
    shell = f"{sys.executable} -m edgekd --help; {sys.executable} -m edgekd --show-completion; true"
    said = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True).stdout
    assert "--install-completion" in said
    assert "complete -o default -F _edgekd_completion edgekd" in said
