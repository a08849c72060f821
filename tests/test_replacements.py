"""No test replaces what threads of other tests use, unless its line says why they are not disturbed.

A worker keeps the console and its followers for all of its tests, and they call what a test puts in the place of a
function of Python or of a library. So a replacement is for the test's own object, host or path, and passes the rest on.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_tempo import comments

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "tests").rglob("*.py"))
TERMINAL = {"sys.stdin", "sys.stdout", "getpass.getpass"}  # which no thread of another test uses
OURS = {path.stem for folder in (".", "functions", "layers/wechatpay/python") for path in (ROOT / folder).iterdir()}


def unexplained(source: str) -> Iterator[str]:
    """Yield what a source replaces for the whole process, without a reason in the comment of its line."""
    tree, reasons = ast.parse(source), comments(source)
    imported = dict(_imports(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="setattr" | "object"), args=[target, *others]):
                name = _name(target, imported, others)
                is_shared = name and name not in TERMINAL and name.partition(".")[0] not in OURS
                if is_shared and not reasons.keys() & {*range(node.lineno, (node.end_lineno or 0) + 1)}:
                    yield f"{node.lineno} {name}"


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, and what it stands for."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield (name.asname, name.name) if name.asname else (name.name.partition(".")[0],) * 2
            case ast.ImportFrom(module=module, names=names, level=level):
                for name in names:
                    yield name.asname or name.name, f"{'tests' if level else module}.{name.name}"


def _name(target: ast.expr, imported: dict[str, str], others: list[ast.expr]) -> str:
    """Return what is replaced, by its full name; empty where it belongs to no imported object."""
    match target, others:
        case ast.Constant(value=str(name)), _:
            return name
        case ast.Name(id=name), [ast.Constant(value=str(attribute)), *_] if name in imported:
            return f"{imported[name]}.{attribute}"
        case ast.Attribute(value=value, attr=owner), [ast.Constant(value=str(attribute)), *_]:
            return f"{prefix}.{attribute}" if (prefix := _name(value, imported, [ast.Constant(owner)])) else ""
    return ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_replaced_for_the_whole_process_has_its_reason_on_its_line(path: Path) -> None:
    """Each replacement of what is not ours says why threads of other tests are not disturbed."""
    assert list(unexplained(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import requests\npatch.setattr(requests.Session, 'send', f)", ["2 requests.Session.send"]),
        ("import requests.adapters as a\npatch.setattr(a, 'send', f)", ["2 requests.adapters.send"]),
        ("from pathlib import Path\npatch.setattr(Path, 'open', f)", ["2 pathlib.Path.open"]),
        ("patch.setattr('socket.getaddrinfo', f)", ["1 socket.getaddrinfo"]),
        ("import sys\npatch.setattr(sys, 'stdin', f)", []),
        ("from unittest import mock\nimport ssl\nmock.patch.object(ssl, 'x')", ["3 ssl.x"]),
        ("import ssl\npatch.setattr(ssl, 'x', f)  # passes other hosts on", []),
        ("from orders import rules\npatch.setattr(rules, 'record', f)", []),
        ("from .conftest import Shop\npatch.setattr(Shop, 'run', f)", []),
        ("patch.setattr(shop.table, 'create', f)", []),
    ],
)
def test_the_reader_of_sources_finds_replacements(source: str, names: list[str]) -> None:
    """What is imported from elsewhere is found under each of its names; our own modules are not."""
    assert list(unexplained(source)) == names
