"""The table of endpoints against the documentation's field lists, and the rest of the library against the table."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import wechatpay
from wechatpay.endpoints import ENDPOINTS, EndpointName

LIBRARY = Path(wechatpay.__file__).parent

# path, required, optional, what sync answers; all of them have out_order_no, type and detail.paid_time too
DOCUMENTED: dict[str, tuple[str, set[str], set[str], str]] = {
    "direct": ("v3/payscore/serviceorder", {"appid", "service_id"}, set(), "order"),
    "partner": ("v3/payscore/partner/serviceorder", {"service_id", "sub_mchid"}, {"seq", "paid_amount"}, "nothing"),
    "acquiringbank": (
        "v3/payscore/acquiringbank/serviceorder",
        {"service_id", "sub_mchid"},
        {"channel_id"},
        "nothing",
    ),
    "payafter": ("v3/payscore/payafter-orders", {"appid", "service_id"}, set(), "acknowledgement"),
    "oversea": (
        "v3/payscore/oversea/partner/serviceorder",
        {"service_id", "sub_mchid"},
        {"seq", "paid_amount"},
        "nothing",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_row_says_what_the_documentation_says(name: str) -> None:
    """A row has the path, the fields and the kind of sync answer that the documentation has."""
    row = ENDPOINTS[name]
    assert (row.path, set(row.required), set(row.optional), row.sync_answer) == DOCUMENTED[name]
    assert set(row.identity) <= set(row.fields)


def test_only_overseas_orders_have_times_with_an_offset_and_a_host_of_their_own() -> None:
    """Only the oversea endpoint has RFC 3339 times and a host of its own."""
    assert [name for name, row in ENDPOINTS.items() if row.rfc_3339] == ["oversea"]
    assert [name for name, row in ENDPOINTS.items() if row.overseas] == ["oversea"]


def test_the_type_of_a_name_lists_the_table() -> None:
    """`EndpointName` lists the names of the table, in its order."""
    assert get_args(EndpointName) == tuple(ENDPOINTS) == tuple(DOCUMENTED)


def _texts(module: Path) -> Iterator[str]:
    """Yield every text in a module's code, docstrings left out."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def test_no_other_module_spells_an_endpoint() -> None:
    """No other module spells a path or a name of an endpoint; the typed layers name the direct one."""
    modules = [module for module in LIBRARY.glob("*.py") if module.name != "endpoints.py"]
    spelt = {(module.name, text) for module in modules for text in _texts(module) if "/payscore" in text}
    names = {(module.name, text) for module in modules for text in _texts(module) if text in ENDPOINTS}
    assert spelt == set()
    assert names == {("payscore.py", "direct"), ("direct_orders.py", "direct")}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_answer_is_bound_by_what_the_call_named(name: str) -> None:
    """The identity of an answer consists of the endpoint's identity fields that the call named."""
    row = ENDPOINTS[name]
    fields: dict[str, Any] = {field: f"{field} of the call" for field in row.fields}
    assert row.identity_of(fields) == {field: fields[field] for field in row.identity}
    assert row.identity_of({}) == {}
