"""Who may import whom. The table is the architecture; this test keeps it true."""

import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.imports import graph, imports, modules

ROOT = Path(__file__).parents[1]
ORDERS = ROOT / "functions/orders"
NOTIFICATIONS = ROOT / "functions/notifications"
OUTCOMES = ROOT / "functions/outcomes"
LIBRARY = ROOT / "layers/wechatpay/python/wechatpay"

# What each module may import, the standard library aside. `orders` and `wechatpay` alone stand for the whole package.
TABLE = {
    # the function: values and rules in the middle import nothing outside them, each world has one doorway
    "orders.waits": set(),
    "orders.order": {"orders.waits"},
    "orders.rules": {"orders.order"},
    "orders.items": {"orders.order", "orders.errors", "wechatpay.text", "mypy_boto3_dynamodb"},
    "orders.errors": set(),
    "orders.settings": {"orders.errors"},
    "orders.fields": {"orders.errors", "wechatpay.text"},
    "orders.mistakes": set(),
    "orders.envelope": {"orders.errors", "orders.fields", "wechatpay.text"},
    "orders.event": {
        "orders.order",
        "orders.envelope",
        "orders.errors",
        "orders.fields",
        "orders.mistakes",
        "wechatpay.endpoints",
        "wechatpay.times",
    },
    "orders.self_test": {"orders.event", "orders.wechat.requests", "wechatpay", "cryptography"},
    "orders.records": {"orders.event", "orders.errors", "orders.mistakes", "wechatpay.text"},
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
    "orders.conversations": {"orders.cases", "orders.order", "orders.ports", "orders.recorder"},
    "orders.relay": {
        "orders.batch",
        "orders.cases",
        "orders.conversations",
        "orders.errors",
        "orders.event",
        "orders.order",
        "orders.ports",
        "orders.recorder",
        "orders.results",
        "orders.waits",
    },
    "orders.wechat": set(),
    "orders.wechat.requests": {"orders.order", "wechatpay"},
    "orders.wechat.verdicts": {"orders.dialogue", "orders.order", "orders.waits", "wechatpay"},
    "orders.wechat.refusals": {"orders.dialogue", "orders.order", "orders.waits", "wechatpay"},
    "orders.wechat.replies": {
        "orders.dialogue",
        "orders.order",
        "orders.wechat.refusals",
        "orders.wechat.verdicts",
        "wechatpay",
    },
    "orders.conversation": {
        "orders.dialogue",
        "orders.errors",
        "orders.order",
        "orders.settlement",
        "orders.wechat.replies",
        "orders.wechat.requests",
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
    "orders.lean_boto3": {"boto3"},
    "orders.lean_requests": set(),
    "orders.plain_calls": {"botocore", "wechatpay.heads"},
    "orders.aws": {"orders.lean_boto3", "orders.plain_calls", "botocore"},
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
        "wechatpay.times",
        "aws_lambda_powertools",
    },
    "orders.bootstrap": {"orders", "aws_lambda_powertools", "wechatpay"},
    "orders.handler": {
        "orders.self_test",
        "orders.bootstrap",
        "orders.errors",
        "orders.event",
        "orders.lean_requests",
        "orders.records",
        "orders.report",
        "orders.settings",
        "aws_lambda_powertools",
    },
    "orders": set(),
    # the second function: rooms of its own, the rules and doorways of the first
    "orders.notices": {"orders.order", "orders.rules"},
    "notifications.endings": {"orders.order"},
    "notifications.front": {"notifications.endings", "wechatpay.verification"},
    "notifications.answers": {"notifications.endings"},
    "notifications.reading": {
        "notifications.endings",
        "orders.order",
        "orders.wechat.replies",
        "wechatpay",
    },
    "notifications.lookups": {"orders.merchants"},
    "notifications.receiver": {
        "notifications",
        "orders.dialogue",
        "orders.errors",
        "orders.merchants",
        "orders.notices",
        "orders.order",
        "orders.ports",
        "orders.recorder",
        "orders.rules",
        "wechatpay",
    },
    "notifications.report": {"notifications.endings", "aws_lambda_powertools"},
    "notifications.settings": {"orders.errors", "orders.settings"},
    "notifications.bootstrap": {
        "notifications",
        "orders.aws",
        "orders.merchants",
        "orders.table",
        "wechatpay",
    },
    "notifications.handler": {
        "notifications.answers",
        "notifications.bootstrap",
        "notifications.report",
        "notifications.settings",
        "orders.lean_requests",
        "aws_lambda_powertools",
    },
    "notifications": set(),
    # the third function: reads items, publishes events
    "outcomes.announcement": {"orders.order"},
    "outcomes.changes": {"orders.errors", "orders.items", "orders.order"},
    "outcomes.bus": {"outcomes.announcement", "botocore", "mypy_boto3_events"},
    "outcomes.settings": {"orders.settings"},
    "outcomes.handler": {"outcomes", "orders.aws", "orders.lean_requests", "wechatpay", "aws_lambda_powertools"},
    "outcomes": set(),
    # the library: pure text first, then keys, then the network; never AWS, never orders
    "wechatpay.version": set(),
    "wechatpay.text": set(),
    "wechatpay.errors": {"wechatpay.text"},
    "wechatpay.message": set(),
    "wechatpay.answer": {"wechatpay.errors"},
    "wechatpay.paths": {"wechatpay.message"},
    "wechatpay.chain": {"wechatpay.answer", "wechatpay.paths"},
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
        "wechatpay.read_order",
        "wechatpay.service_order",
        "wechatpay.verification",
        "cryptography",
    },
    "wechatpay.authorization": {"wechatpay.merchant", "wechatpay.message", "requests"},
    "wechatpay.forks": set(),
    "wechatpay.tls": {"wechatpay.forks", "certifi"},
    "wechatpay.addresses": {"wechatpay.forks"},
    "wechatpay.hosts": set(),
    "wechatpay.limits": set(),
    "wechatpay.redaction": {"wechatpay.limits"},
    "wechatpay.sockets": {"wechatpay.limits", "_typeshed"},  # _typeshed: for type checkers alone
    "wechatpay.heads": set(),
    "wechatpay.http1": {
        "wechatpay.addresses",
        "wechatpay.forks",
        "wechatpay.heads",
        "wechatpay.limits",
        "wechatpay.sockets",
        "_typeshed",
        "urllib3",
    },
    "wechatpay.connection_pools": {"wechatpay.http1", "wechatpay.limits", "requests", "urllib3"},
    "wechatpay.connections": {
        "wechatpay.connection_pools",
        "wechatpay.forks",
        "wechatpay.heads",
        "wechatpay.hosts",
        "wechatpay.limits",
        "wechatpay.redaction",
        "wechatpay.tls",
        "requests",
        "urllib3",
    },
    "wechatpay.retries": set(),
    "wechatpay.failures": {"wechatpay.limits", "wechatpay.text", "requests", "urllib3"},
    "wechatpay.transport": {
        "wechatpay.connections",
        "wechatpay.errors",
        "wechatpay.failures",
        "wechatpay.hosts",
        "wechatpay.limits",
        "wechatpay.retries",
        "requests",
        "urllib3",
    },
    "wechatpay.times": set(),
    "wechatpay.endpoints": set(),
    "wechatpay.base_urls": set(),
    "wechatpay.sender": {
        "wechatpay.authorization",
        "wechatpay.base_urls",
        "wechatpay.chain",
        "wechatpay.connections",
        "wechatpay.hosts",
        "wechatpay.message",
        "wechatpay.paths",
        "wechatpay.transport",
        "wechatpay.version",
        "requests",
    },
    "wechatpay.trust": {
        "wechatpay.answer",
        "wechatpay.chain",
        "wechatpay.cipher",
        "wechatpay.errors",
        "wechatpay.notification",
        "wechatpay.platform_certificates",
        "wechatpay.platform_keys",
        "wechatpay.sender",
        "wechatpay.transport",
        "wechatpay.verification",
    },
    "wechatpay.pool": set(),
    "wechatpay.signed_call": {"wechatpay.transport", "requests"},
    "wechatpay.caller": {
        "wechatpay.answer",
        "wechatpay.chain",
        "wechatpay.cipher",
        "wechatpay.merchant",
        "wechatpay.notification",
        "wechatpay.platform_keys",
        "wechatpay.pool",
        "wechatpay.sender",
        "wechatpay.signed_call",
        "wechatpay.transport",
        "wechatpay.trust",
        "requests",
    },
    "wechatpay.arguments": {"wechatpay.endpoints", "wechatpay.service_order"},
    "wechatpay.service_order": {"wechatpay.answer", "wechatpay.times"},
    "wechatpay.read_order": {"wechatpay.answer", "wechatpay.errors", "wechatpay.service_order", "wechatpay.text"},
    "wechatpay.direct_orders": {
        "wechatpay.answer",
        "wechatpay.arguments",
        "wechatpay.caller",
        "wechatpay.chain",
        "wechatpay.endpoints",
        "wechatpay.errors",
        "wechatpay.read_order",
        "wechatpay.service_order",
    },
    "wechatpay.payscore": {
        "wechatpay.answer",
        "wechatpay.arguments",
        "wechatpay.caller",
        "wechatpay.chain",
        "wechatpay.direct_orders",
        "wechatpay.endpoints",
        "wechatpay.errors",
        "wechatpay.read_order",
        "wechatpay.service_order",
        "wechatpay.signed_call",
        "wechatpay.times",
    },
    "wechatpay.echo": {"wechatpay.answer", "wechatpay.caller", "wechatpay.chain", "wechatpay.errors"},
    "wechatpay.client": {"wechatpay", "requests", "cryptography"},
    "wechatpay": {"wechatpay"},
}
FILES = {
    name: path
    for folder in (ORDERS, NOTIFICATIONS, OUTCOMES, LIBRARY)
    for name, path in modules(folder, folder.parent).items()
}


def _allowed(name: str, allowed: set[str]) -> bool:
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or name in allowed or top in allowed


def test_the_table_lists_every_module() -> None:
    """Every module of the function and the library has its row."""
    assert sorted(TABLE) == sorted(FILES)


@pytest.mark.parametrize("module", TABLE)
def test_a_module_imports_what_the_table_allows(module: str) -> None:
    """A module imports the standard library and what its row of the table names."""
    assert [name for name in imports(FILES[module], FILES) if not _allowed(name, TABLE[module])] == []


def test_there_is_no_import_circle() -> None:
    """The modules of the function and the library have an order in which each imports only those before it."""
    assert set(TopologicalSorter(graph(FILES)).static_order()) == set(FILES)


def test_only_settings_reads_the_environment() -> None:
    """Each function's `settings` reads the environment; in the library, `tls` reads where the authorities are."""
    readers = {
        name for name, path in FILES.items() if re.search(r"os\.environ|getenv", path.read_text(encoding="utf-8"))
    }
    assert readers == {"orders.settings", "notifications.settings", "outcomes.settings", "wechatpay.tls"}


@pytest.mark.parametrize("function", ["notifications", "outcomes"])
def test_the_first_function_knows_nothing_of_the_others(function: str) -> None:
    """The other functions import the first, and never the other way round, nor one another."""
    for name, path in FILES.items():
        if name.partition(".")[0] != function:
            assert not [one for one in imports(path, FILES) if one.partition(".")[0] == function]


def test_what_ships_knows_nothing_of_what_does_not() -> None:
    """Neither the function nor the library imports sandbox, ops, bench, tools or tests."""
    for path in FILES.values():
        packages = {name.partition(".")[0] for name in imports(path, FILES)}
        assert not packages & {"sandbox", "ops", "bench", "tools", "tests"}


def test_no_module_edits_the_import_path() -> None:
    """The environment's sources.pth, pytest's `pythonpath` and the package's program add folders to `sys.path`."""
    folders = ("functions", "layers", "sandbox", "ops", "bench", "tools", "tests")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    edit = re.compile(r"sys\.path(?:\[.*?\] *=|\.(?:insert|append|extend|remove)\(| *\+?= )")
    editors = [path.relative_to(ROOT).as_posix() for path in files if edit.search(path.read_text(encoding="utf-8"))]
    assert editors == ["sandbox/package/wechat_payscore_sandbox/__main__.py"]


def test_a_package_exports_what_it_promises() -> None:
    """`__all__` is the public part of the library, sorted, each name with its docstring (an alias has none)."""
    import wechatpay

    assert list(wechatpay.__all__) == sorted(wechatpay.__all__)
    for name in wechatpay.__all__:
        assert getattr(wechatpay, name).__doc__ or name == "EndpointName"
