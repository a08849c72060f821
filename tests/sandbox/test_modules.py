"""The modules of the sandbox import each other in one direction, and the library not at all where they simulate."""

from graphlib import TopologicalSorter
from pathlib import Path

from tests.imports import graph, imports, modules

ROOT = Path(__file__).parents[2]
FILES = modules(ROOT / "sandbox", ROOT)


def test_no_module_of_the_sandbox_is_in_an_import_circle() -> None:
    """The imports of the sandbox have an order in which every module comes after those that it imports."""
    assert set(TopologicalSorter(graph(FILES)).static_order()) == set(FILES)


def test_the_service_has_no_network() -> None:
    """No module that the service reaches imports a host, a socket, a server or a client."""
    reached, pending = set(), ["sandbox.wechat_pay.service"]
    while pending:
        name = pending.pop()
        reached.add(name)
        pending += [one for one in imports(FILES[name], FILES) if one in FILES and one not in reached]
    modules = {one.partition(".")[0] for name in reached for one in imports(FILES[name], FILES)}
    assert not modules & {"socket", "socketserver", "http", "requests", "urllib3", "boto3"}
    assert not reached & {"sandbox.wechat_pay.host", "sandbox.wechat_pay.control", "sandbox.wechat_pay.simulator"}


def test_the_simulator_shares_no_line_with_the_library() -> None:
    """The simulated WeChat Pay imports neither the library nor the function that it tests."""
    for name, path in FILES.items():
        if name.startswith("sandbox.wechat_pay"):
            assert not {"wechatpay", "orders"} & {one.partition(".")[0] for one in imports(path, FILES)}
