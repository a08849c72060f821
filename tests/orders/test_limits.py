"""What an event can make the function do, and no more: one path, one host, one secret, one order."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.event import Message
from orders.order import Status
from sandbox.world import MERCHANT

from .conftest import PAID_TIME, Shop, a_message

BASES = (
    "/v3/payscore/serviceorder",
    "/v3/payscore/partner/serviceorder",
    "/v3/payscore/acquiringbank/serviceorder",
    "/v3/payscore/payafter-orders",
    "/v3/payscore/oversea/partner/serviceorder",
)
_WILD = st.text(max_size=32) | st.sampled_from(
    [
        "../../secret",
        "..",
        ".",
        "a/b",
        "http://127.0.0.1/",
        "//evil",
        "%2e%2e%2f",
        "a?b=c",
        "a#b",
        "\r\nHost: evil",
        "|*|",
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"mchid": st.just(MERCHANT) | _WILD, "out_order_no": _WILD},
        optional=dict.fromkeys(("appid", "service_id", "endpoint", "sub_mchid", "channel_id", "event_id"), _WILD),
    )
)
def test_an_event_reaches_no_other_path_and_no_other_secret(shop: Shop, fields: dict[str, Any]) -> None:
    """Whatever stands in it: a call goes to an order's own path, a secret is asked for by digits alone."""
    before = len(shop.wechat_pay.calls)
    body = json.dumps({**fields, "detail": {"paid_time": PAID_TIME}})
    [result] = shop.run(Message("m1", body))
    for call in shop.wechat_pay.calls[before:]:
        if call.operation == "query":
            assert call.path in BASES
        else:
            base, number, deed = call.path.rsplit("/", 2)
            assert (base in BASES, unquote(number), deed) == (True, fields["out_order_no"], "sync")
    if result.event is not None:
        assert result.event.payment.mchid.isdigit()


@pytest.mark.parametrize("fault", ["huge_body", "redirect", "gateway_error"])
def test_an_answer_without_measure_costs_one_order(shop: Shop, fault: str) -> None:
    """More than a mebibyte, a way elsewhere, a page of HTML: that order waits, its neighbour is settled."""
    struck, fine = shop.order_no(), shop.order_no()
    shop.wechat_pay.misbehave(fault, out_order_no=struck)
    waits, done = shop.run(a_message(struck, "m1"), a_message(fine, "m2"))
    assert (waits.failed, done.failed) == (True, False)
    assert shop.item(struck).status is Status.RETRYING
    assert shop.item(fine).status is Status.SYNCED


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 20_000, "9" * 60_000, '{"mchid":"' + "1" * 70_000 + '"}'])
def test_a_body_without_measure_costs_one_message(shop: Shop, body: str) -> None:
    """Nested, long or wide: refused before anything is asked."""
    fine = shop.order_no()
    refused, done = shop.run(Message("m1", body), a_message(fine, "m2"))
    assert (refused.wait, refused.event) == (0, None)
    assert not done.failed
