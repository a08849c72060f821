"""The modules of the sandbox import each other in one direction, and the library not at all where they simulate."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "sandbox").rglob("*.py"))
}


def _imports(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports, wherever in it, for type checking included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in names)


def test_no_module_of_the_sandbox_is_in_an_import_circle() -> None:
    """The imports of the sandbox have an order in which every module comes after those that it imports."""
    graph = {name: {one for one in _imports(path) if one in FILES and one != name} for name, path in FILES.items()}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == set(FILES)


def test_the_service_has_no_network() -> None:
    """No module that the service reaches imports a host, a socket, a server or a client."""
    reached, pending = set(), ["sandbox.wechat_pay.service"]
    while pending:
        name = pending.pop()
        reached.add(name)
        pending += [one for one in _imports(FILES[name]) if one in FILES and one not in reached]
    modules = {one.partition(".")[0] for name in reached for one in _imports(FILES[name])}
    assert not modules & {"socket", "socketserver", "http", "requests", "urllib3", "boto3"}
    assert not reached & {"sandbox.wechat_pay.host", "sandbox.wechat_pay.control", "sandbox.wechat_pay.simulator"}


def test_the_simulator_shares_no_line_with_the_library() -> None:
    """The simulated WeChat Pay imports neither the library nor the function that it tests."""
    for name, path in FILES.items():
        if name.startswith("sandbox.wechat_pay"):
            assert not {"wechatpay", "orders"} & {one.partition(".")[0] for one in _imports(path)}
