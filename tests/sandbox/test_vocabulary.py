"""The simulator answers each endpoint with its own documented fields. Requests are signed here by hand."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.wechat_pay import Simulator, family_examples
from tests.sandbox.test_wechat_pay import LONG_AGO, MCHID, SigningMerchant, refusal_of

APPID, SERVICE_ID, SUB_MCHID, CHANNEL_ID = "wxd678efh567hg6787", "500001", "1900000109", "C1"
PATHS = {
    "direct": "/v3/payscore/serviceorder",
    "partner": "/v3/payscore/partner/serviceorder",
    "acquiringbank": "/v3/payscore/acquiringbank/serviceorder",
    "payafter": "/v3/payscore/payafter-orders",
    "oversea": "/v3/payscore/oversea/partner/serviceorder",
}
WHO: Mapping[str, dict[str, str]] = {
    "direct": {"service_id": SERVICE_ID, "appid": APPID},
    "partner": {"service_id": SERVICE_ID, "sub_mchid": SUB_MCHID},
    "acquiringbank": {"service_id": SERVICE_ID, "sub_mchid": SUB_MCHID, "channel_id": CHANNEL_ID},
    "payafter": {"service_id": SERVICE_ID, "appid": APPID},
    "oversea": {"service_id": SERVICE_ID, "sub_mchid": SUB_MCHID},
}
DIGITS, RFC_3339 = "20260101120000", "2026-01-01T12:00:00+08:00"
TIMES = {name: RFC_3339 if name == "oversea" else DIGITS for name in PATHS}
NUMBERS = {"appid", "mchid", "out_order_no", "order_id"}
WITHOUT_ORDER = ["partner", "acquiringbank", "oversea"]


@pytest.fixture
def caller(wechat_pay: Simulator) -> SigningMerchant:
    """The merchant."""
    return SigningMerchant(wechat_pay)


def post(caller: SigningMerchant, endpoint: str, operation: str, **fields: Any) -> Any:
    """One call about the order S1."""
    return caller.call("POST", f"{PATHS[endpoint]}/S1/{operation}", {**WHO[endpoint], **fields})


def sync(caller: SigningMerchant, endpoint: str, paid_time: str = "", **fields: Any) -> Any:
    """Report a payment of the order S1."""
    detail = {"paid_time": paid_time or TIMES[endpoint]}
    return post(caller, endpoint, "sync", type="Order_Paid", detail=detail, **fields)


def query(caller: SigningMerchant, endpoint: str, **fields: str) -> Any:
    """Query the order S1."""
    names = {**WHO[endpoint], "out_order_no": "S1", **fields}
    return caller.call("GET", f"{PATHS[endpoint]}?" + "&".join(f"{name}={names[name]}" for name in names))


def waiting(wechat_pay: Simulator, endpoint: str) -> None:
    """The order S1 of this endpoint waits for its money."""
    numbers: dict[str, Any] = {
        name: WHO[endpoint][name] for name in ("sub_mchid", "channel_id") if name in WHO[endpoint]
    }
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO, endpoint=endpoint, **numbers)


@pytest.mark.parametrize("endpoint", WITHOUT_ORDER)
def test_three_endpoints_answer_a_sync_with_204(caller: SigningMerchant, wechat_pay: Simulator, endpoint: str) -> None:
    """Three endpoints answer a sync with a signed 204; their query has the sub-merchant and the collection."""
    waiting(wechat_pay, endpoint)
    answer = sync(caller, endpoint)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Wechatpay-Signature"]
    order = query(caller, endpoint).json()
    assert (order["state"], order["sub_mchid"]) == ("DONE", SUB_MCHID)
    assert (order["collection"]["details"][0]["paid_type"], order.get("state_description")) == ("MCH", None)


def test_payafter_answers_a_sync_with_the_orders_numbers(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """At payafter, a sync is answered with the order's four numbers and no state (wiki chapter 24_1)."""
    waiting(wechat_pay, "payafter")
    answer = sync(caller, "payafter")
    assert (answer.status_code, set(answer.json())) == (200, NUMBERS)


def test_payafter_answers_a_query_in_its_own_words(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """At payafter, a query is answered with its own states and fees, and without a collection (wiki chapter 17_2)."""
    answers = []
    wechat_pay.open(MCHID, "S1", endpoint="payafter", at=LONG_AGO)
    answers.append(query(caller, "payafter").json())
    wechat_pay.confirm(MCHID, "S1")
    answers.append(query(caller, "payafter").json())
    wechat_pay.complete(MCHID, "S1", at=LONG_AGO)
    answers.append(query(caller, "payafter").json())
    sync(caller, "payafter")
    answers.append(query(caller, "payafter").json())
    assert [order["state"] for order in answers] == ["CREATED", "USER_ACCEPTED", "FINISHED", "USER_PAID"]
    assert ["finish_ticket" in order for order in answers] == [False, True, False, False]
    assert [order.get("pay_type") for order in answers] == [None, None, None, "MchChannelPayType"]
    assert [order.get("pay_succ_time") for order in answers] == [None, None, None, DIGITS]
    foreign = {"collection", "state_description", "post_payments", "risk_fund", "time_range", "finish_transaction_id"}
    assert [foreign & set(order) for order in answers] == [set()] * 4
    assert answers[-1]["fees"][0]["fee_amount"] == answers[-1]["total_amount"] == 3900


@pytest.mark.parametrize(("end", "state"), [("cancel", "REVOKED"), ("expire", "EXPIRED")])
def test_payafter_orders_end_without_a_payment(
    caller: SigningMerchant, wechat_pay: Simulator, end: str, state: str
) -> None:
    """A payafter order that is canceled or expires has the same state as at the other endpoints."""
    wechat_pay.open(MCHID, "S1", endpoint="payafter")
    getattr(wechat_pay, end)(MCHID, "S1")
    assert query(caller, "payafter").json()["state"] == state


def test_what_wechat_pay_collects_of_a_payafter_order_has_its_transaction(
    caller: SigningMerchant, wechat_pay: Simulator
) -> None:
    """What WeChat Pay collects of a payafter order has `finish_transaction_id` and no `pay_type`."""
    waiting(wechat_pay, "payafter")
    deducted = wechat_pay.deduct(MCHID, "S1")
    order = query(caller, "payafter").json()
    assert (order["state"], order["finish_transaction_id"]) == ("USER_PAID", deducted.transaction_id)
    assert order["pay_succ_time"] == deducted.paid_time
    assert "pay_type" not in order
    assert refusal_of(sync(caller, "payafter"))[1] == "ORDER_DONE"


def test_overseas_times_have_an_offset(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """Overseas, times have an offset in requests and answers, and amounts have a currency."""
    waiting(wechat_pay, "oversea")
    for wrong in (DIGITS, "20260101", "2026-01-01T12:00:00", "2026-01-01"):
        assert refusal_of(sync(caller, "oversea", wrong))[1] == "PARAM_ERROR"
    assert sync(caller, "oversea", "2026-01-01T04:00:00Z").status_code == 204
    order = query(caller, "oversea").json()
    assert order["collection"]["details"][0]["paid_time"] == RFC_3339
    assert order["currency"] == "HKD"
    assert all(time.endswith("+08:00") for time in order["time_range"].values())


@pytest.mark.parametrize("endpoint", ["direct", "partner", "acquiringbank", "payafter"])
def test_elsewhere_times_are_digits(caller: SigningMerchant, wechat_pay: Simulator, endpoint: str) -> None:
    """Elsewhere than overseas, a time in RFC 3339 is refused with the field's name."""
    waiting(wechat_pay, endpoint)
    answer = sync(caller, endpoint, RFC_3339)
    assert answer.json()["detail"]["field"] == "/detail/paid_time"
    assert "currency" not in query(caller, endpoint).json()


@pytest.mark.parametrize("operation", ["sync", "query"])
@pytest.mark.parametrize("endpoint", PATHS)
def test_every_name_of_an_order_is_required(
    caller: SigningMerchant, wechat_pay: Simulator, endpoint: str, operation: str
) -> None:
    """Every identifying field of an endpoint is required, and a wrong one is refused."""
    waiting(wechat_pay, endpoint)
    call = sync if operation == "sync" else query
    for name in WHO[endpoint]:
        assert call(caller, endpoint, **{name: ""}).json()["detail"]["field"].removeprefix("/") == name
        assert refusal_of(call(caller, endpoint, **{name: "9999"}))[1] in {"NO_AUTH", "ORDER_NOT_EXIST"}


def test_the_acquiring_banks_channel_is_echoed(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """An answer with an order of the acquiring bank has its channel (doc 4013194035)."""
    waiting(wechat_pay, "acquiringbank")
    assert query(caller, "acquiringbank").json()["channel_id"] == CHANNEL_ID


@pytest.mark.parametrize("endpoint", PATHS)
def test_an_order_belongs_to_one_endpoint(caller: SigningMerchant, wechat_pay: Simulator, endpoint: str) -> None:
    """An order of one endpoint does not exist at the others."""
    waiting(wechat_pay, endpoint)
    for other in PATHS.keys() - {endpoint}:
        assert refusal_of(query(caller, other))[1] == "ORDER_NOT_EXIST"
    assert query(caller, endpoint).status_code == 200


@pytest.mark.parametrize("endpoint", PATHS)
def test_an_order_without_an_endpoint_belongs_to_the_first_that_asks_for_it(
    caller: SigningMerchant, wechat_pay: Simulator, endpoint: str
) -> None:
    """An order that was opened without an endpoint belongs to the first that a request names."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    assert sync(caller, endpoint).status_code in {200, 204}
    order = wechat_pay.order(MCHID, "S1")
    assert (order.endpoint, order.sub_mchid) == (endpoint, WHO[endpoint].get("sub_mchid", ""))
    assert query(caller, endpoint).json() == order.answer()
    other = "direct" if endpoint == "payafter" else "payafter"
    assert refusal_of(query(caller, other))[1] == "ORDER_NOT_EXIST"


def test_sub_merchants_number_their_orders_alone(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """Two sub-merchants may use one number for two orders."""
    for sub_mchid in (SUB_MCHID, "1900000110"):
        wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO, endpoint="partner", sub_mchid=sub_mchid)
    sync(caller, "partner")
    assert query(caller, "partner").json()["state"] == "DONE"
    assert query(caller, "partner", sub_mchid="1900000110").json()["state"] == "DOING"
    assert wechat_pay.order(MCHID, "S1", sub_mchid="1900000110").state == "DOING"
    assert [order["state"] for order in wechat_pay.ledger()] == ["DONE", "DOING"]


@pytest.mark.parametrize("endpoint", PATHS)
def test_an_order_is_created_completed_and_canceled_at_its_endpoint(
    caller: SigningMerchant, wechat_pay: Simulator, endpoint: str
) -> None:
    """An order is created, completed and canceled by signed calls, each answered as the endpoint's page says."""
    fields = family_examples.create(endpoint, "S1", **WHO[endpoint])
    created = caller.call("POST", PATHS[endpoint], fields)
    assert created.json()["package"]
    assert ("state" in created.json()) == (endpoint != "payafter")
    assert caller.call("POST", PATHS[endpoint], fields).content == created.content
    wechat_pay.confirm(MCHID, "S1", sub_mchid=WHO[endpoint].get("sub_mchid", ""))
    completed = post(
        caller, endpoint, "complete", **family_examples.complete(endpoint, 3900, time.time(), **WHO[endpoint])
    )
    canceled = post(caller, endpoint, "cancel", reason="用户投诉")
    numbers = NUMBERS | {"service_id"}
    match endpoint:
        case "direct":
            assert completed.json()["state_description"] == "MCH_COMPLETE"
            assert set(canceled.json()) == numbers
        case "payafter":
            assert set(completed.json()) == set(canceled.json()) == numbers
        case _:
            assert (completed.status_code, canceled.status_code) == (204, 204)
    assert query(caller, endpoint).json()["state"] == "REVOKED"
    assert query(caller, endpoint).json().get("currency") == ("HKD" if endpoint == "oversea" else None)


@pytest.mark.parametrize("endpoint", PATHS)
def test_an_order_is_created_with_every_name(caller: SigningMerchant, endpoint: str) -> None:
    """`create` requires every field that the family's page requires: each missing one is named."""
    fields = family_examples.create(endpoint, "S1", **WHO[endpoint])
    for name in fields:
        answer = caller.call("POST", PATHS[endpoint], {key: fields[key] for key in fields if key != name})
        assert answer.json()["detail"]["field"].removeprefix("/") == name


def test_one_number_is_not_used_at_two_endpoints(caller: SigningMerchant) -> None:
    """A number that one endpoint has is refused by `create` at another."""
    assert caller.call("POST", PATHS["direct"], family_examples.create("direct", "S1")).status_code == 200
    answer = caller.call("POST", PATHS["payafter"], family_examples.create("payafter", "S1"))
    assert refusal_of(answer)[:2] == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("endpoint", ["payafter", "oversea"])
def test_two_endpoints_have_no_modify(caller: SigningMerchant, wechat_pay: Simulator, endpoint: str) -> None:
    """The endpoints payafter and oversea have no `modify`."""
    waiting(wechat_pay, endpoint)
    answer = post(caller, endpoint, "modify", total_amount=1, reason="多收")
    assert refusal_of(answer)[:2] == (404, "RESOURCE_NOT_EXISTS")


@pytest.mark.parametrize("endpoint", PATHS)
def test_a_sync_that_succeeds_again_answers_in_the_endpoints_words(
    caller: SigningMerchant, wechat_pay: Simulator, endpoint: str
) -> None:
    """Under `ok_on_replay` a second sync is answered as the first was, at every endpoint."""
    waiting(wechat_pay, endpoint)
    wechat_pay.misbehave("ok_on_replay")
    first, second = sync(caller, endpoint), sync(caller, endpoint)
    assert (first.status_code, first.content) == (second.status_code, second.content)


def test_an_endpoint_that_does_not_exist_is_named(wechat_pay: Simulator) -> None:
    """An unknown endpoint raises ValueError that lists the known ones."""
    with pytest.raises(ValueError, match="endpoint must be one of direct, partner"):
        wechat_pay.open(MCHID, "S1", endpoint="moon")


@pytest.mark.parametrize("body", [b'{"a":' * 100_000, b"[" * 100_000, b'{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}"])
def test_a_body_of_any_depth_is_answered(caller: SigningMerchant, wechat_pay: Simulator, body: bytes) -> None:
    """A body of any depth is answered with a refusal."""
    target = f"{PATHS['direct']}/S1/sync"
    waiting(wechat_pay, "direct")
    answer = caller.send("POST", target, body)
    assert answer.status_code == 400
    assert json.loads(answer.content)["code"] in {"INVALID_REQUEST", "PARAM_ERROR"}
