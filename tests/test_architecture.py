"""Who may import whom. The table is the architecture; this test keeps it true."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDERS = ROOT / "functions/orders"
LIBRARY = ROOT / "layers/wechatpay/python/wechatpay"

# What each module may import besides the standard library. `orders` and `wechatpay` alone stand for the whole package.
TABLE = {
    # the function: values and rules in the middle import nothing outside them, each world has one doorway
    "orders.waits": set(),
    "orders.order": {"orders.waits"},
    "orders.rules": {"orders.order"},
    "orders.items": {"orders.order", "orders.errors", "wechatpay.text", "mypy_boto3_dynamodb"},
    "orders.errors": set(),
    "orders.settings": {"orders.errors"},
    "orders.fields": {"orders.errors", "wechatpay.text"},
    "orders.event": {"orders.order", "orders.errors", "orders.fields", "wechatpay.text"},
    "orders.records": {"orders.event", "orders.errors", "wechatpay.text"},
    "orders.dialogue": {"orders.order", "orders.waits"},
    "orders.settlement": {"orders.dialogue", "orders.order", "orders.waits"},
    "orders.ports": {"orders.order", "orders.errors"},
    "orders.results": {"orders.event", "orders.order", "orders.rules", "orders.waits"},
    "orders.cases": {
        "orders.errors",
        "orders.event",
        "orders.order",
        "orders.ports",
        "orders.results",
        "orders.rules",
    },
    "orders.batch": {"orders.cases", "orders.errors", "orders.event", "orders.order", "orders.results", "orders.rules"},
    "orders.recorder": {"orders.errors", "orders.order", "orders.ports", "orders.rules"},
    "orders.relay": {
        "orders.batch",
        "orders.cases",
        "orders.errors",
        "orders.event",
        "orders.order",
        "orders.ports",
        "orders.recorder",
        "orders.results",
        "orders.waits",
    },
    "orders.wechat": {"orders.dialogue", "orders.order", "orders.waits", "wechatpay"},
    "orders.conversation": {
        "orders.dialogue",
        "orders.errors",
        "orders.order",
        "orders.settlement",
        "orders.wechat",
        "wechatpay",
    },
    "orders.table": {
        "orders.order",
        "orders.items",
        "orders.errors",
        "wechatpay.text",
        "botocore",
        "mypy_boto3_dynamodb",
    },
    "orders.aws": {"boto3", "botocore"},
    "orders.queue": {"botocore", "mypy_boto3_sqs"},
    "orders.circuit": {"orders.order", "orders.ports", "aws_lambda_powertools", "mypy_boto3_dynamodb"},
    "orders.secret": {"orders.errors", "wechatpay", "cryptography"},
    "orders.merchants": {"orders.errors", "orders.secret", "botocore", "wechatpay", "mypy_boto3_secretsmanager"},
    "orders.report": {
        "orders.cases",
        "orders.errors",
        "orders.event",
        "orders.order",
        "orders.results",
        "orders.rules",
        "orders.settlement",
        "aws_lambda_powertools",
    },
    "orders.bootstrap": {"orders", "aws_lambda_powertools", "wechatpay"},
    "orders.handler": {
        "orders.bootstrap",
        "orders.errors",
        "orders.event",
        "orders.records",
        "orders.report",
        "orders.settings",
        "aws_lambda_powertools",
    },
    "orders": set(),
    # the library: pure text first, then keys, then the network; never AWS, never orders
    "wechatpay.text": set(),
    "wechatpay.errors": {"wechatpay.text"},
    "wechatpay.message": set(),
    "wechatpay.answer": {"wechatpay.errors"},
    "wechatpay.chain": {"wechatpay.answer", "wechatpay.message"},
    "wechatpay.pem": {"wechatpay.errors"},
    "wechatpay.certificate": {"wechatpay.errors", "wechatpay.pem", "cryptography"},
    "wechatpay.merchant": {
        "wechatpay.certificate",
        "wechatpay.cipher",
        "wechatpay.errors",
        "wechatpay.pem",
        "cryptography",
    },
    "wechatpay.platform_keys": {"wechatpay.certificate", "wechatpay.errors", "wechatpay.pem", "cryptography"},
    "wechatpay.platform_certificates": {
        "wechatpay.answer",
        "wechatpay.cipher",
        "wechatpay.errors",
        "wechatpay.platform_keys",
        "wechatpay.verification",
    },
    "wechatpay.cipher": {"wechatpay.errors", "cryptography"},
    "wechatpay.verification": {"wechatpay.errors", "wechatpay.message", "cryptography"},
    "wechatpay.notification": {
        "wechatpay.answer",
        "wechatpay.cipher",
        "wechatpay.errors",
        "wechatpay.platform_keys",
        "wechatpay.verification",
        "cryptography",
    },
    "wechatpay.authorization": {"wechatpay.merchant", "wechatpay.message", "requests"},
    "wechatpay.tls": {"certifi"},
    "wechatpay.addresses": set(),
    "wechatpay.hosts": set(),
    "wechatpay.limits": set(),
    "wechatpay.connections": {
        "wechatpay.addresses",
        "wechatpay.hosts",
        "wechatpay.limits",
        "wechatpay.tls",
        "requests",
        "urllib3",
    },
    "wechatpay.failures": {"wechatpay.limits", "wechatpay.text", "requests", "urllib3"},
    "wechatpay.transport": {
        "wechatpay.errors",
        "wechatpay.failures",
        "wechatpay.hosts",
        "wechatpay.limits",
        "requests",
        "urllib3",
    },
    "wechatpay.times": set(),
    "wechatpay.endpoints": set(),
    "wechatpay.service_order": {"wechatpay.answer", "wechatpay.errors", "wechatpay.text", "wechatpay.times"},
    "wechatpay.direct_orders": {
        "wechatpay.answer",
        "wechatpay.chain",
        "wechatpay.client",
        "wechatpay.endpoints",
        "wechatpay.errors",
        "wechatpay.service_order",
    },
    "wechatpay.payscore": {
        "wechatpay.answer",
        "wechatpay.chain",
        "wechatpay.client",
        "wechatpay.direct_orders",
        "wechatpay.endpoints",
        "wechatpay.errors",
        "wechatpay.service_order",
        "wechatpay.times",
    },
    "wechatpay.security": {"wechatpay.answer", "wechatpay.chain", "wechatpay.client", "wechatpay.errors"},
    "wechatpay.client": {"wechatpay", "requests", "cryptography"},
    "wechatpay": {"wechatpay"},
}
FILES = {
    ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for package in (ORDERS, LIBRARY)
    for path in sorted(package.rglob("*.py"))
}


def _imports(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who is meant"
            module = node.module or ""
            if module in {"orders", "wechatpay"}:  # `from orders import order` imports the module orders.order
                known = {f"{module}.{alias.name}" for alias in node.names}
                yield from (name if name in FILES else module for name in known)
            else:
                yield module


def _allowed(name: str, allowed: set[str]) -> bool:
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or name in allowed or top in allowed


def test_the_table_lists_every_module() -> None:
    """A new module is a decision."""
    assert sorted(TABLE) == sorted(FILES)


@pytest.mark.parametrize("module", TABLE)
def test_a_module_imports_what_the_table_allows(module: str) -> None:
    """Everything else is the business of another module."""
    assert [name for name in _imports(FILES[module]) if not _allowed(name, TABLE[module])] == []


def test_only_settings_reads_the_environment() -> None:
    """One place that knows the names. In the library, the bundle of certificate authorities is everybody's setting."""
    readers = {
        name for name, path in FILES.items() if re.search(r"os\.environ|getenv", path.read_text(encoding="utf-8"))
    }
    assert readers == {"orders.settings", "wechatpay.tls"}


def test_what_ships_knows_nothing_of_what_does_not() -> None:
    """Neither sandbox nor ops is imported by the function or the library, nor are tests by anybody."""
    for path in FILES.values():
        assert not {"sandbox", "ops", "bench", "tests"} & {name.partition(".")[0] for name in _imports(path)}


def test_a_package_exports_what_it_promises() -> None:
    """`__all__` is the public part of the library, sorted, each name with its docstring."""
    import wechatpay

    assert list(wechatpay.__all__) == sorted(wechatpay.__all__)
    for name in wechatpay.__all__:
        assert getattr(wechatpay, name).__doc__
