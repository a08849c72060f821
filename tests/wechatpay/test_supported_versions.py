"""The Pythons that the library supports: the sources, the metadata, the linter and the workflow agree about them."""

import ast
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import python_versions

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers/wechatpay"
SOURCES = sorted((LAYER / "python/wechatpay").glob("*.py"))
PYPROJECT: dict[str, Any] = tomllib.loads((LAYER / "pyproject.toml").read_text(encoding="utf-8"))
VERSIONS = ["3.11", "3.12", "3.13", "3.14"]

NEWER: dict[tuple[int, int], str] = {
    (3, 12): "asyncio.create_eager_task_factory asyncio.eager_task_factory calendar.Day calendar.Month "
    "collections.abc.Buffer inspect.BufferFlags inspect.getasyncgenlocals inspect.getasyncgenstate "
    "inspect.markcoroutinefunction itertools.batched math.sumprod sys.activate_stack_trampoline sys.monitoring "
    "threading.setprofile_all_threads threading.settrace_all_threads types.get_original_bases typing.TypeAliasType "
    "typing.override",
    (3, 13): "asyncio.QueueShutDown base64.z85decode base64.z85encode builtins.PythonFinalizationError copy.replace "
    "dbm.sqlite3 enum.EnumDict math.fma os.process_cpu_count queue.ShutDown types.CapsuleType typing.NoDefault "
    "typing.ReadOnly typing.TypeIs typing.get_protocol_members typing.is_protocol warnings.deprecated",
    (3, 14): "annotationlib compression compression.zstd concurrent.futures.InterpreterPoolExecutor "
    "functools.Placeholder pathlib.types string.templatelib typing.evaluate_forward_ref uuid.uuid6 uuid.uuid7 "
    "uuid.uuid8",
}
"""Modules of the standard library and names in them, by the Python that brought them; `make lint` asks mypy as well."""

NAMES = frozenset(name for names in NEWER.values() for name in names.split())


def _newer(tree: ast.Module) -> Iterator[str]:
    """Yield what a source takes from the standard library that Python 3.11 does not have."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name in NAMES)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ([module] if module in NAMES else [])
                yield from (name for each in names if (name := f"{module}.{each.name}") in NAMES)
            case ast.Attribute() if ast.unparse(node) in NAMES:
                yield ast.unparse(node)
            case ast.Name(id=name) if f"builtins.{name}" in NAMES:
                yield name
            case _:
                pass


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_source_is_python_3_11(path: Path) -> None:
    """Each shipped file parses with the grammar of Python 3.11 and imports nothing that is newer."""
    tree = ast.parse(path.read_text(encoding="utf-8"), path.name, feature_version=(3, 11))
    assert list(_newer(tree)) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import itertools\nitertools.batched([], 2)", ["itertools.batched"]),
        ("from typing import Self, override", ["typing.override"]),
        ("from string.templatelib import Template", ["string.templatelib"]),
        ("import annotationlib", ["annotationlib"]),
        ("raise PythonFinalizationError", ["PythonFinalizationError"]),
        ("from typing import Self\nimport math\nmath.isfinite(1.0)", []),
    ],
)
def test_a_newer_name_is_reported(source: str, names: list[str]) -> None:
    """The check above reports modules, imported names, attributes and builtins."""
    assert list(_newer(ast.parse(source))) == names


def _exists(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        if module and hasattr(importlib.import_module(module), attribute):
            return True
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


@pytest.mark.parametrize("version", NEWER, ids=str)
def test_the_listed_names_exist_since_that_python(version: tuple[int, int]) -> None:
    """Each name is in this Python if this is that version or a later one, and otherwise it is not."""
    for name in NEWER[version].split():
        assert _exists(name) is (sys.version_info >= version), name


@pytest.mark.parametrize("source", ["type Alias = int", "def f[T](value: T) -> T: ...", "class C[T]: ..."])
def test_the_grammar_of_3_12_is_refused(source: str) -> None:
    """The parser's `feature_version` refuses PEP 695, which is what a newer source would most likely have."""
    with pytest.raises(SyntaxError):
        ast.parse(source, feature_version=(3, 11))


def test_metadata_linter_and_workflow_name_the_same_versions() -> None:
    """Classifiers, requires-python, ruff's target and the matrix of the workflow agree."""
    assert python_versions.supported_versions() == VERSIONS
    assert PYPROJECT["project"]["requires-python"] == f">={VERSIONS[0]}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{VERSIONS[0].replace('.', '')}"
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["library"]["strategy"]["matrix"]["python"] == VERSIONS
    readme = (LAYER / "README.md").read_text(encoding="utf-8")
    assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in readme
