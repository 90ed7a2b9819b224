"""`FILE.py:function`: the one way a user's own code is run.

In: a spec string and what the function takes. Out: what it returns, as it is; the caller checks that. Nothing is cached:
each call runs the file anew, with its folder importable as it is for a script.
"""

import ast
import difflib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekd.errors import EdgekdError, MissingError, UsageError
from edgekd.files import sha256_file, sha256_json

_SPEC = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")


def is_userfile(spec: str) -> bool:
    """Whether a spec string has the form `FILE.py:function`."""
    return _SPEC.fullmatch(spec) is not None


def anchored(spec: str, base: Path) -> str:
    """The same spec with its file taken relative to `base`."""
    file, function = _split(spec)
    return f"{base / file}:{function}"


def code_hash(spec: str, base: Path) -> str:
    """The sha256 of the file that a spec names and of its neighbours that it imports: what its functions do may change while its name stays.

    Raises:
        MissingError: no such file.
    """
    file = base / _split(spec)[0]
    if not file.is_file():
        raise MissingError(f"no file at {file}. A relative path starts at the recipe's folder, or where you are.")
    neighbours = {path.relative_to(file.resolve().parent).as_posix(): sha256_file(path) for path in _neighbours(file.resolve())}
    return sha256_json({"file": sha256_file(file), **neighbours}) if neighbours else sha256_file(file)


def _neighbours(file: Path) -> list[Path]:
    """The modules in a file's own folder that it imports, itself or through one another; they are read and not run."""
    found: set[Path] = {file}
    left = [file]
    while left:
        module = left.pop()
        new = set(_imported(module, file.parent)) - found
        found |= new
        left += new
    return sorted(found - {file})


def _imported(module: Path, folder: Path) -> Iterator[Path]:
    """What stands in `folder` of the modules and packages that a module names."""
    try:
        nodes = list(ast.walk(ast.parse(module.read_bytes())))
    except (SyntaxError, ValueError):  # whoever runs it is told where
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            start, names = folder, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = folder if not node.level else Path(module, *[".."] * node.level).resolve()
            names = [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
        else:
            continue
        for parts in (name.split(".") for name in names):
            for count in range(1, len(parts) + 1):
                place = start.joinpath(*parts[:count])
                yield from (each for each in (place.with_suffix(".py"), place / "__init__.py") if folder in each.parents and each.is_file())


def call(spec: str, *args: Any, **kwargs: Any) -> Any:
    """What `function` of `FILE.py` returns for these arguments.

    Raises:
        UsageError: not such a spec, or the user's code raised; the line is named.
        MissingError: no such file, or no such function in it.
    """
    file, name = _split(spec)
    if not file.is_file():
        raise MissingError(f"no file at {file} to call {name!r} from. A relative path starts at the recipe's folder, or where you are.")
    with _importable(file.resolve().parent), _reported(spec, file):
        function = _function(_load(file), name, file)
        return function(*args, **kwargs)


def _split(spec: str) -> tuple[Path, str]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise UsageError(f"code of your own is named as FILE.py:function, got {spec!r}")
    return Path(match["file"]), match["function"]


def _load(file: Path) -> ModuleType:
    """The file as a module; it stands in `sys.modules`, where dataclasses and pickle look for it."""
    name = f"edgekd_userfile_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _function(module: ModuleType, name: str, file: Path) -> Any:
    function = getattr(module, name, None)
    if callable(function):
        return function
    own = sorted(key for key, value in vars(module).items() if callable(value) and getattr(value, "__module__", "") == module.__name__)
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it defines: {', '.join(own) or 'none'}"
    raise MissingError(f"{file} has no function {name!r}; {hint}")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as Python does for a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


@contextmanager
def _reported(spec: str, file: Path) -> Iterator[None]:
    """Turn what the user's code raises into one line that names the place; the cause stays attached for --debug."""
    try:
        yield
    except EdgekdError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f" at line {line}" if line else ""
        raise UsageError(f"{spec} failed{where}: {type(error).__name__}: {error}") from error
