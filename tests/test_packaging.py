"""The wheel, and what it does in an environment that holds its requirements and nothing else.

The quick tests need no network: they build the wheel with what uv has cached and link the required packages from the environment they run in.
"""

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.needs import ROOT, need_tool
from tests.toys import brightness

GOLDEN = ROOT / "tests" / "golden" / "report-v1.json"
LATE = ["torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib"]


def sh(*command: str | Path, cwd: Path, code: int = 0) -> str:
    """Run a command, ask for its exit code, and return what it wrote."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{command} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    sh(need_tool("uv"), "build", "--wheel", "--offline", "--quiet", "--out-dir", folder, cwd=ROOT)
    (file,) = folder.glob("*.whl")
    return file


def requirements(name: str, extras: frozenset[str]) -> Iterator[str]:
    """The distributions that a distribution needs, and what those need; some more than once."""
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield requirement.name
            yield from requirements(requirement.name, frozenset(requirement.extras))


def environment(folder: Path, wheel: Path, extras: frozenset[str] = frozenset()) -> Path:
    """A virtual environment with the wheel and the closure of its requirements; its Python."""
    sh(need_tool("uv"), "venv", "--offline", "--quiet", "--python", sys.executable, folder, cwd=ROOT)
    python = folder / "bin" / "python"
    sh(need_tool("uv"), "pip", "install", "--offline", "--quiet", "--no-deps", "--python", python, wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in set(requirements("edgekd", extras)) - {"edgekd"}:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            link = packages / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))
    return python


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment without any extra."""
    return environment(tmp_path_factory.mktemp("core") / "env", wheel)


@pytest.fixture(scope="module")
def measure(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the extra `measure`."""
    return environment(tmp_path_factory.mktemp("measure") / "env", wheel, frozenset({"measure"}))


def test_the_wheel_holds_the_targets_the_types_and_the_licence(wheel: Path) -> None:
    """And no tests or benchmarks."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"edgekd/targets/{file.name}" for file in (ROOT / "targets").glob("*.toml")} <= set(names)
    assert {"edgekd/py.typed", "edgekd/report/page.css"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {"edgekd", f"edgekd-{importlib.metadata.version('edgekd')}.dist-info"}


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    """A rule of .gitignore may hide one from the build."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {str(file.relative_to(ROOT)) for file in (ROOT / "edgekd").rglob("*.py")} <= names


def test_the_samples_of_a_pack_are_in_the_wheel(wheel: Path) -> None:
    """Those in C++ too, which are no modules."""
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "edgekd" / "pack" / "samples").rglob("*") if file.suffix in {".py", ".cpp", ".h"}}
    assert len(files) == 5
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_the_core_checks_a_report(core: Path, tmp_path: Path) -> None:
    """A limit that holds exits 0, one that does not exits 1."""
    edgekd = core.parent / "edgekd"
    limit = "--limit", "size=400kB"
    assert "pass" in sh(edgekd, "check", GOLDEN, *limit, cwd=tmp_path).lower()
    assert "over" in sh(edgekd, "check", GOLDEN, "--limit", "size=200kB", cwd=tmp_path, code=1).lower()
    code = f"import sys; from edgekd.cli import main; sys.argv[1:] = {['check', str(GOLDEN), *limit]!r}\ntry: main()\nexcept SystemExit: pass\n"
    late = sh(core, "-c", f"{code}print(sorted(set({LATE!r}) & set(sys.modules)))", cwd=tmp_path).splitlines()[-1]
    assert late == "[]"


def test_the_core_names_the_line_for_the_rest(core: Path, tmp_path: Path) -> None:
    """`compress` needs the extra `train`."""
    assert "pip install 'edgekd[train]'" in sh(core.parent / "edgekd", "compress", "--out", tmp_path / "r", cwd=tmp_path, code=2).replace("\n", " ")


def test_the_core_finds_the_targets_and_reads_recipes(core: Path, tmp_path: Path) -> None:
    """Those inside the package: the environment stands outside the checkout."""
    code = "from edgekd import target; print(target.folder(), *target.names())"
    folder, *names = sh(core, "-c", code, cwd=tmp_path).split()
    assert Path(folder).parent.name == "edgekd"
    assert "site-packages" in folder
    assert names == sorted(file.stem for file in (ROOT / "targets").glob("*.toml"))


@pytest.mark.parametrize("extra", ["", "measure"])
def test_a_torch_that_a_jetpack_image_brought_stays(extra: str) -> None:
    """Nothing that the gate asks for, or that asks for in turn, is torch or comes with one: an installer has no reason to touch it."""
    brought = {name.lower() for name in requirements("edgekd", frozenset({extra} if extra else ()))}
    assert {"msgspec", "rich", "typer"} <= brought
    assert ("onnxruntime" in brought) == bool(extra)
    assert not [name for name in brought if name.startswith(("torch", "nvidia", "triton", "tensorrt"))]


def test_the_extra_measure_brings_no_torch(measure: Path, tmp_path: Path) -> None:
    """It can run and read ONNX files all the same."""
    code = "import importlib.util as u; print([n for n in ('numpy', 'onnx', 'onnxruntime', 'torch', 'torchvision') if u.find_spec(n)])"
    assert sh(measure, "-c", code, cwd=tmp_path).strip() == "['numpy', 'onnx', 'onnxruntime']"
    assert sh(measure, "-c", "import edgekd.bench, edgekd.gate, edgekd.graph", cwd=tmp_path) == ""


def test_the_extra_measure_times_and_checks_bare_files(measure: Path, tmp_path: Path) -> None:
    """bench and check, where torch cannot be imported."""
    files = [brightness(tmp_path / name).name for name in ("old.onnx", "new.onnx")]
    edgekd = measure.parent / "edgekd"
    timed = json.loads(sh(edgekd, "bench", *files, "--max-time", "3", "--json", "-q", cwd=tmp_path))
    assert [found["artifact"] for found in timed["measurements"]] == ["file/old/as-is", "file/new/as-is"]
    assert "pass" in sh(edgekd, "check", *files, "--limit", "params=40", "--limit", "size=10kB", cwd=tmp_path)
    assert "over" in sh(edgekd, "check", *files, "--limit", "params=30", cwd=tmp_path, code=1)


def test_the_agent_imports_with_the_standard_library_alone(tmp_path: Path) -> None:
    """A device may have nothing else; numpy and the runtime are imported inside functions."""
    modules = sorted(f"agent.{file.stem}" for file in (ROOT / "edgekd" / "device" / "agent").glob("*.py") if file.stem != "__init__")
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'edgekd' / 'device')!r})\nimport agent, {', '.join(modules)}\nprint('edgekd' in sys.modules)"
    assert modules
    assert sh(sys.executable, "-I", "-S", "-c", code, cwd=tmp_path).strip() == "False"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_gate_imports_under_the_oldest_python(wheel: Path, tmp_path: Path) -> None:
    """3.10; needs the network for that Python's packages."""
    uv = need_tool("uv")
    if subprocess.run([uv, "python", "find", "3.10"], capture_output=True, check=False).returncode:
        pytest.skip("there is no Python 3.10 here")
    sh(uv, "venv", "--quiet", "--python", "3.10", tmp_path / "env", cwd=ROOT)
    python = tmp_path / "env" / "bin" / "python"
    sh(uv, "pip", "install", "--quiet", "--python", python, wheel, cwd=ROOT)
    modules = "budget, report, record, recipe, run, files, target, stats, units, explain, errors, events, userfile, cli"
    sh(python, "-c", f"from edgekd import {modules}", cwd=tmp_path)
    assert "pass" in sh(python.parent / "edgekd", "check", GOLDEN, "--limit", "size=400kB", cwd=tmp_path).lower()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_wheel_alone_does_the_whole_job(wheel: Path, tmp_path: Path) -> None:
    """`pip install 'WHEEL[train]'` outside the checkout, then `edgekd compress`; needs the network for the packages."""
    uv = need_tool("uv")
    sh(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env", cwd=ROOT)
    sh(uv, "pip", "install", "--quiet", "--python", tmp_path / "env" / "bin" / "python", f"edgekd[train] @ {wheel.as_uri()}", cwd=ROOT)
    sh(tmp_path / "env" / "bin" / "edgekd", "compress", "--epochs", "2", "--out", tmp_path / "run", cwd=tmp_path)
    assert (tmp_path / "run" / "report.json").is_file()
