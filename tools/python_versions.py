"""Test the library's wheel on each Python that it supports: `python -m tools.python_versions [VERSION …]`.

Each version has a virtual environment with the wheel and with pytest, Hypothesis and the library's dependencies as
`requirements/dev.lock` pins them. The tests of `tests/wechatpay` run there against the simulator, on the wheel.
Tests and simulator are written for Python 3.13; on 3.11 their copies have PEP 695 syntax respelled. The wheel is never
changed.

`--lowest` takes the oldest dependencies in place of the pinned ones.

Without arguments, a version whose interpreter is missing is reported as untried. A version that is named must be there.
"""

import argparse
import ast
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "layers/wechatpay"
LOCK = ROOT / "requirements/dev.lock"
WORK = ROOT / "build/python-versions"
CLASSIFIER = "Programming Language :: Python :: 3."

COPIED = ("sandbox", "tests/gate.py", "tests/wechatpay")
"""What the tests need in addition to the installed package, all of it code of the tests."""

SANDBOX_ALONE = ("console", "signature", "timeline", "commands", "aws_front", "chaos", "sam_local")
"""Folders of `sandbox` that are not copied: the simulated WeChat Pay imports none of them."""

LEFT_OUT: Mapping[str, str] = {
    "test_package.py": "it builds the wheel and the API reference: Python 3.13 does so once",
    "test_supported_versions.py": "it compares files of the repository: the same on every Python",
}
"""Test modules that do not run here, each with its reason."""

PYTEST_INI = """\
[pytest]
pythonpath = .
addopts = -q -ra --strict-markers --strict-config --import-mode=importlib -p no:cacheprovider
xfail_strict = true
filterwarnings = error
"""


@dataclass(frozen=True)
class Run:
    """The tests on one version: how they ended, and pytest's last line or the reason why none ran."""

    version: str
    verdict: Literal["passed", "failed", "untried"]
    result: str

    def __str__(self) -> str:
        return f"{self.version}  {self.verdict:8}{self.result}"


class ToolError(Exception):
    """A program that this one starts has failed; the message is the end of its output."""


def main(arguments: list[str] | None = None) -> int:
    """Run the tests on each version and print a line for each; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.python_versions", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.11; default: all that are supported")
    parser.add_argument("--lowest", action="store_true", help="with the lowest dependencies that the library accepts")
    parser.add_argument("--pytest", default="", metavar="ARGUMENTS", help="more arguments for pytest, in one text")
    request = parser.parse_args(arguments)
    wheel = build_wheel(WORK / "wheel")
    runs = []
    for version in request.versions or supported_versions():
        interpreter = find_interpreter(version)
        if interpreter is None:
            runs.append(
                Run(version, "failed" if request.versions else "untried", f"no python{version} on this machine")
            )
        else:
            environment = WORK / version / "environment"
            python = install(environment, interpreter, wheel, lowest=request.lowest)
            runs.append(run_tests(version, python, shlex.split(request.pytest)))
        print(runs[-1], flush=True)
    for module, reason in LEFT_OUT.items():
        print(f"left out: tests/wechatpay/{module}: {reason}")
    return 1 if any(run.verdict == "failed" for run in runs) else 0


def supported_versions() -> list[str]:
    """Return the versions that the library's classifiers name, such as `3.11`, oldest first."""
    minors = [text.removeprefix(CLASSIFIER) for text in _project()["classifiers"] if text.startswith(CLASSIFIER)]
    return [f"3.{minor}" for minor in sorted(map(int, minors))]


def _project() -> dict[str, list[str]]:
    """Return the table `project` of the library; only its lists are read here."""
    return dict(tomllib.loads((LIBRARY / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def find_interpreter(version: str) -> Path | None:
    """Return a working interpreter of this version: one on PATH, or one that pyenv has installed."""
    name = f"python{version}"
    folders = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders += sorted((pyenv / "versions").glob(f"{version}*/bin"), reverse=True)
    return next((path for folder in folders if _is_python(path := folder / name, version)), None)


def _is_python(path: Path, version: str) -> bool:
    if not path.is_file():
        return False
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    process = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, check=False)
    return process.stdout.strip() == version  # a shim of pyenv exists for versions that it does not run


def build_wheel(folder: Path) -> Path:
    """Build the library's wheel with the build backend that the lock pins; return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder)
    _run(sys.executable, "-m", "pip", "wheel", *options, LIBRARY)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_tests(version: str, python: Path, arguments: list[str]) -> Run:
    """Run a copy of the library's tests with the Python of a virtual environment that has the wheel."""
    folder = WORK / version
    shutil.rmtree(folder / "tree", ignore_errors=True)
    tests = copy_tests(folder / "tree", version)
    modules = python.parent.parent / f"lib/python{version}/site-packages"
    (tests / "layers/wechatpay").mkdir(parents=True)
    (tests / "layers/wechatpay/python").symlink_to(modules)  # tests that start a Python of their own import from there
    shutil.copy(LIBRARY / "README.md", tests / "layers/wechatpay")
    output = folder / "pytest.log"
    with output.open("wb") as log:
        command: list[str | Path] = [python, "-m", "pytest", "-c", "pytest.ini", *arguments, "tests/wechatpay"]
        process = subprocess.run(command, cwd=tests, env=_environment(), stdout=log, stderr=log, check=False)
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    if process.returncode:
        print("\n".join(lines[-60:]))
    release = _run(python, "-c", "import platform; print(platform.python_version())")
    return Run(version, "failed" if process.returncode else "passed", f"{release}: {lines[-1]}")


def install(environment: Path, interpreter: Path, wheel: Path, *, lowest: bool) -> Path:
    """Make a virtual environment with the wheel and what its tests need, as the lock pins it; return its Python.

    `lowest`: the library's own dependencies are the lowest that its metadata accepts.
    """
    uv = Path(sys.executable).parent / "uv"
    shutil.rmtree(environment, ignore_errors=True)
    _run(uv, "venv", "--quiet", "--no-python-downloads", "--python", interpreter, environment)
    python = environment / "bin/python"
    options = ("--quiet", "--no-build", "--constraint", LOCK, "--python", python)
    _run(uv, "pip", "install", *options, "pytest", "hypothesis", wheel)
    if lowest:
        resolution = ("--quiet", "--no-build", "--upgrade", "--resolution", "lowest-direct")
        _run(uv, "pip", "install", *resolution, "--python", python, *_project()["dependencies"])
    location = _run(python, "-I", "-c", "import wechatpay; print(wechatpay.__file__)")
    if not Path(location).is_relative_to(environment):
        raise ToolError(f"the tests would import {location}, not the wheel")
    return python


def copy_tests(tree: Path, version: str) -> Path:
    """Copy the tests and the simulator; respell what this version cannot parse. Return the folder to run them in."""
    for name in COPIED:
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            others = SANDBOX_ALONE if name == "sandbox" else ()
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", *LEFT_OUT, *others))
        else:
            shutil.copy(source, target)
    shutil.copy(ROOT / "tests/simulator.py", tree / "tests/conftest.py")
    (tree / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
    if version == "3.11":
        for path in tree.rglob("*.py"):
            path.write_text(without_pep_695(path.read_text(encoding="utf-8")), encoding="utf-8")
    return tree


def _after_brackets(text: str) -> str:
    """Return what follows the bracket that closes the one before this text."""
    depth = 1
    for place, sign in enumerate(text):
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if not depth:
            return text[place + 1 :]
    raise ValueError(f"no bracket closes the type parameters of {text!r:.80}")


def without_pep_695(source: str) -> str:
    """Return the source with `type X = …` and `def f[T](…)` as Python 3.11 spells them, line by line.

    A type parameter becomes a `TypeVar` or a `ParamSpec` on the line above. Generic classes are not respelled.
    """
    lines = source.splitlines(keepends=True)
    for node in sorted(_pep_695(ast.parse(source)), key=lambda node: node.lineno, reverse=True):
        index = node.lineno - 1
        if isinstance(node, ast.TypeAlias):
            lines[index] = lines[index].replace("type ", "", 1)
        if not node.type_params:
            continue
        last = node.type_params[-1].end_lineno or node.lineno
        head = "".join(lines[index:last])
        name, _, rest = head.partition("[")
        lines[index:last] = [name + _after_brackets(rest)]
        decorators = [] if isinstance(node, ast.TypeAlias) else node.decorator_list
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        parameters = {
            each.name: type(each).__name__
            for each in node.type_params
            if isinstance(each, (ast.TypeVar, ast.ParamSpec))
        }
        kinds = ", ".join(sorted(set(parameters.values())))
        definitions = [f'{name} = {kind}("{name}")' for name, kind in parameters.items()]
        lines[first:first] = [f"{indent}{line}\n" for line in (f"from typing import {kinds}", *definitions)]
    return "".join(lines)


def _pep_695(tree: ast.Module) -> Iterator[ast.TypeAlias | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        match node:
            case ast.TypeAlias():
                yield node
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.type_params:
                yield node
            case _:
                pass


def _environment() -> dict[str, str]:
    """Return this process's environment without what would let a Python import from elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _run(*command: str | Path) -> str:
    """Run a command and return its standard output; raise ToolError with its last output if it fails."""
    process = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if process.returncode:
        raise ToolError(f"{command[0]}: {(process.stderr or process.stdout).strip()[-2000:]}")
    return process.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
