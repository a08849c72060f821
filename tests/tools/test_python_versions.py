"""The program that tests the library on every Python: what it copies, respells, leaves out and reports."""

import ast
import sys
from pathlib import Path

import pytest

from tools import python_versions

ROOT = Path(__file__).parents[2]


def test_pep_695_is_respelled_line_by_line() -> None:
    """A copy of a test runs on Python 3.11; everything else in it stays as it was."""
    source = (
        "type Sign = Callable[..., str]  # kept\n"
        "type Change[**P] = Callable[P, str]\n"
        "class Box:\n"
        "    @staticmethod\n"
        "    def first[T, U: str](\n"
        "        values: list[T],\n"
        "    ) -> T:\n"
        "        return values[0]\n"
    )
    respelled = (
        "Sign = Callable[..., str]  # kept\n"
        "from typing import ParamSpec\n"
        'P = ParamSpec("P")\n'
        "Change = Callable[P, str]\n"
        "class Box:\n"
        "    from typing import TypeVar\n"
        '    T = TypeVar("T")\n'
        '    U = TypeVar("U")\n'
        "    @staticmethod\n"
        "    def first(\n"
        "        values: list[T],\n"
        "    ) -> T:\n"
        "        return values[0]\n"
    )
    assert python_versions.without_pep_695(source) == respelled


def test_the_copied_tests_parse_on_3_11(tmp_path: Path) -> None:
    """Nothing but PEP 695 keeps the tests and the simulator from Python 3.11."""
    python_versions.copy_tests(tmp_path, "3.11")
    copies = sorted(tmp_path.rglob("*.py"))
    assert len(copies) > 40
    for path in copies:
        ast.parse(path.read_text(encoding="utf-8"), path.name, feature_version=(3, 11))


def test_every_module_that_is_left_out_exists() -> None:
    """A module that is renamed does not silently come back in, and none is left out without a reason."""
    folder = ROOT / "tests/wechatpay"
    assert [name for name in python_versions.LEFT_OUT if not (folder / name).is_file()] == []
    assert all(python_versions.LEFT_OUT.values())


def test_a_version_that_runs_is_found() -> None:
    """This Python's own version is there; one that does not exist is not."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert python_versions.find_interpreter(version) is not None
    assert python_versions.find_interpreter("3.99") is None


@pytest.mark.parametrize(("arguments", "verdict", "status"), [([], "untried", 0), (["3.99"], "failed", 1)])
def test_a_missing_interpreter_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], verdict: str, status: int
) -> None:
    """A version that is supported but not on this machine is untried; one that was named must be there."""
    monkeypatch.setattr(python_versions, "build_wheel", lambda folder: folder / "library.whl")
    monkeypatch.setattr(python_versions, "supported_versions", lambda: ["3.99"])
    assert python_versions.main(arguments) == status
    assert f"3.99  {verdict} " in capsys.readouterr().out
