"""What people's CI runs: action.yml, templates/gitlab.yml and .pre-commit-hooks.yaml, each by running what it runs."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from edgekd.cli.app import app
from tests.gate.folders import committed, git, written
from tests.needs import ROOT, need_tool
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "templates" / "gitlab.yml").read_text())
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A person's repository: a model, a run, a budget that names both, and a program `edgekd` for its jobs."""
    folder = tmp_path / "project"
    brightness((written(folder / "run", sample_report()).parent) / "m.onnx")
    (folder / "budget.toml").write_text(
        f'check = ["m.onnx", "run"]\n[[limit]]\nartifact = "m.onnx"\nsize = "1 MB"\n[[limit]]\nartifact = "{SHIPPED}"\nsize = "400 kB"\n'
    )
    program = tmp_path / "bin" / "edgekd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgekd "$@"\n')
    program.chmod(0o755)
    return folder


def bash(folder: Path, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A script as a runner starts it, with the project's `edgekd` first."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [need_tool("bash"), "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**own, "PATH": path, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def acted(folder: Path, **inputs: str) -> "subprocess.CompletedProcess[str]":
    """All steps of the action, as GitHub runs them with these inputs; the last one's end."""
    given = {**{name: about["default"] for name, about in ACTION["inputs"].items()}, **inputs}
    place = folder.parent
    files = {"RUNNER_TEMP": str(place), **{name: str(place / name) for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}}
    for step in ACTION["runs"]["steps"]:
        done = bash(folder, step["run"], **files, **{name: _filled(text, given) for name, text in step["env"].items()})
        if done.returncode:
            break
    return done


def _filled(text: str, inputs: dict[str, str]) -> str:
    """An expression of the action with the inputs put in; nothing but inputs and the action's own path may stand there."""
    match = re.fullmatch(r"\$\{\{ inputs\.(\w+)( \|\| github\.action_path)? \}\}", text)
    assert match is not None, text
    return inputs[match[1]] or (str(ROOT) if match[2] else "")


def test_the_action_checks_what_the_budget_names(project: Path) -> None:
    """Without any input; the comment is where the output says, and stands in the summary too."""
    done = acted(project)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "### edgekd: 2 within limits"), done.stderr
    comment = (project.parent / "GITHUB_OUTPUT").read_text().strip().removeprefix("comment=")
    assert Path(comment).read_text() == done.stdout
    assert done.stdout in (project.parent / "GITHUB_STEP_SUMMARY").read_text()
    assert not (project.parent / "GITHUB_PATH").exists()


def test_the_action_fails_with_what_is_over(project: Path) -> None:
    """By the check's own exit code, with annotations; several lines are several limits, and no shell reads them."""
    done = acted(project, paths="m.onnx", limits="size=10 B\nparams=34\n", options="--why\n--artifact=$(touch x)`touch y`.onnx")
    assert done.returncode == 2
    assert "no artifact matches '$(touch x)`touch y`.onnx'" in done.stderr
    assert not {"x", "y"} & {file.name for file in project.iterdir()}
    done = acted(project, paths="m.onnx", limits="size=10 B\nparams=34\n")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "### edgekd: 1 over, 1 within limits")
    assert "::error title=file/m/as-is%3A size ≤ 10 B::over: " in done.stderr


def test_the_action_fetches_the_branch_of_its_baseline(project: Path, tmp_path: Path) -> None:
    """Which a checkout of a pull request lacks."""
    committed(project, "m.onnx")
    clone = tmp_path / "elsewhere" / "clone"
    clone.parent.mkdir()
    (clone.parent / "bin").symlink_to(tmp_path / "bin")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", str(clone))
    git(clone, "checkout", "--quiet", "-b", "topic")
    git(clone, "update-ref", "-d", "refs/remotes/origin/main")
    brightness(clone / "m.onnx", {})
    done = acted(clone, paths="m.onnx", limits="growth.size=1%", baseline="origin/main:m.onnx")
    assert done.returncode == 0, done.stderr
    assert "| baseline | change |" in done.stdout
    git(clone, "update-ref", "-d", "refs/remotes/origin/main")
    (clone / "budget.toml").write_text('check = ["m.onnx"]\nbaseline = "origin/main:m.onnx"\nlimit = [{ growth = { size = "1 %" } }]\n')
    for moved in (False, True):  # the second time the ref is there, and the remote is not
        if moved:
            git(clone, "remote", "set-url", "origin", f"file://{tmp_path}/gone")
        done = acted(clone)
        assert done.returncode == 0, done.stderr
        assert "| baseline | change |" in done.stdout


def test_the_gitlab_job_reports_as_tests(project: Path) -> None:
    """Its file parses and the job ends with the check's exit code, whichever that is."""
    variables = GITLAB["edgekd"]["variables"]
    script = "\n".join(GITLAB["edgekd"]["script"])
    assert GITLAB["edgekd"]["artifacts"]["reports"]["junit"] == "edgekd.xml"
    done = bash(project, script, **variables)
    assert done.returncode == 0, done.stderr
    assert ElementTree.parse(project / "edgekd.xml").getroot()[0].get("tests") == "2"
    done = bash(project, script, **{**variables, "EDGEKD_PATHS": "m.onnx", "EDGEKD_OPTIONS": "--limit size=10B --baseline m.onnx"})
    assert done.returncode == 1
    assert ElementTree.parse(project / "edgekd.xml").getroot()[0].get("failures") == "1"


def test_the_hook_checks_what_the_budget_names(project: Path) -> None:
    """It runs where a model or a budget changed, and says only what came of it."""
    done = bash(project, HOOK["entry"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("✓ pass") == 2
    (project / "budget.toml").write_text('check = ["m.onnx"]\n[[limit]]\nsize = "1 B"\n')
    assert bash(project, HOOK["entry"]).returncode == 1
    assert HOOK["pass_filenames"] is False
    pattern = re.compile(HOOK["files"])
    assert all(pattern.search(name) for name in ("a/m.onnx", "budget.toml", "pyproject.toml", "budget/report.json"))
    assert not pattern.search("README.md")


def test_every_option_that_they_use_exists() -> None:
    """A renamed one would break other people's CI."""
    import typer

    command: Any = typer.main.get_command(app)
    known = {name for parameter in command.commands["check"].params for name in parameter.opts}
    used = {
        word
        for text in (ROOT / name for name in ("action.yml", "templates/gitlab.yml"))
        for word in re.findall(r"(?<=[ (])--[a-z]+", text.read_text())
    }
    assert used - {"--quiet", "--depth", "--verify"} <= known


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_action_installs_what_it_needs(project: Path) -> None:
    """The first step, where there is no edgekd: the core alone, without torch and numpy. Needs the network for the packages."""
    (project.parent / "bin" / "edgekd").unlink()
    (step, _) = ACTION["runs"]["steps"]
    place = project.parent
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "edgekd").exists())
    done = bash(project, step["run"], RUNNER_TEMP=str(place), GITHUB_PATH=str(place / "path"), PACKAGE=str(ROOT), PATH=path, PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    added = Path((place / "path").read_text().strip())
    names = subprocess.run([added / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "edgekd" in names
    assert not re.search(r"^(torch|numpy|onnx)\b", names, re.MULTILINE)
    assert subprocess.run([added / "edgekd", "check"], cwd=project, check=False).returncode == 0
