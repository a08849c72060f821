"""Rows about asking for money, giving it back, and the bill: pay, direct-complete, refunds, merchant-bill."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.wechat_pay import family_examples as examples
from sandbox.wechat_pay.times import digits
from tests.sandbox.asking import APPID, OPENID, SERVICE_ID, SUB_APPID, Answer, Asking
from tests.sandbox.conformance.entering import enter
from tests.sandbox.conformance.families import PARAM_ERROR, change, completed, confirmed, query
from tests.sandbox.conformance.row import Section

_PAY = {"direct": "wiki chapter6_1_19", "partner": "wiki chapter6_2_6"}
_DIRECT_COMPLETE = {"direct": "4012924361", "partner": "wiki chapter6_2_8"}
_REFUND, _BILL = "4012587971", "4013394586"
ASKING, REFUND, FILES = (
    Section("Asking for money", "ask", Asking.alone),
    Section("Refunds", "refund", Asking.alone),
    Section("The merchant's bill, certificates overseas, and whole dictionaries", "more", Asking.alone),
)
SECTIONS = (ASKING, REFUND, FILES)
REFUNDS = "/v3/refund/domestic/refunds"
NOT_COLLECTED = (404, "RESOURCE_NOT_EXISTS")

for _family, _page in _PAY.items():

    @enter(ASKING, f"{_family}-pay", _page, "an order that waits for its money can be asked for it")
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        answer = change(asking, family, "pay", examples.WHO[family])
        if family == "partner":
            assert (answer.status, answer.reply.body) == (204, b"")
        else:
            assert answer.body.keys() == {"appid", "out_order_no", "service_id", "order_id"}

    @enter(ASKING, f"{_family}-pay-state", _page, "an order that does not wait for its money is refused")
    def _(asking: Asking, family: str = _family) -> None:
        confirmed(asking, family)
        assert change(asking, family, "pay", examples.WHO[family]).refusal == (400, "INVALID_ORDER_STATE")

    @enter(
        ASKING,
        f"{_family}-pay-schedule",
        _page,
        "the call does not change WeChat Pay's own schedule; whether it collects at once is not said",
        does="The order still waits",
        switch="pay_collects",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        change(asking, family, "pay", examples.WHO[family])
        assert query(asking, family).body["state"] == "DOING"
        asking.service.switches = replace(asking.service.switches, pay_collects=True)
        change(asking, family, "pay", examples.WHO[family])
        assert query(asking, family).body["collection"]["details"][0]["paid_type"] == "NEWTON"


@enter(ASKING, "direct-pay-required", "wiki chapter6_1_19", "the newest page requires appid and service")
def _(asking: Asking) -> None:
    completed(asking, "direct")
    for name in ("appid", "service_id"):
        body = {key: value for key, value in examples.WHO["direct"].items() if key != name}
        assert change(asking, "direct", "pay", body).field == f"/{name}"


def direct_complete(asking: Asking, family: str = "direct", path: str = "", /, **changes: Any) -> Answer:
    """Create and complete S1 by one call."""
    now = asking.clock.now
    body = {
        **{name: value for name, value in examples.create(family, "S1").items() if name != "risk_fund"},
        **examples.complete(family, 3900, now),
        "time_range": {"start_time": digits(now - 60), "end_time": digits(now)},
        "openid": OPENID,
        **({"sub_appid": SUB_APPID} if family == "partner" else {}),
        **changes,
    }
    base = path or f"/v3/payscore/{'partner/' if family == 'partner' else ''}serviceorder/direct-complete"
    return asking.post(base, {name: value for name, value in body.items() if value is not None})


@enter(
    ASKING,
    "direct-complete",
    _DIRECT_COMPLETE["direct"],
    "an order is created and completed by one call; it waits for its money",
)
def _(asking: Asking) -> None:
    asking.service.open_service(asking.mchid, openid=OPENID)
    body = direct_complete(asking).body
    assert (body["state"], body["state_description"], body["total_amount"]) == ("DOING", "MCH_COMPLETE", 3900)
    assert query(asking, "direct").body["collection"]["state"] == "USER_PAYING"


@enter(
    ASKING,
    "direct-complete-path",
    _DIRECT_COMPLETE["direct"],
    "the page prints a path without /v3, the OpenAPI one with it",
    does="Both are answered",
)
def _(asking: Asking) -> None:
    asking.service.open_service(asking.mchid, openid=OPENID)
    first = direct_complete(asking).body
    assert direct_complete(asking, "direct", "/payscore/serviceorder/direct-complete").body == first


@enter(ASKING, "direct-complete-permission", _DIRECT_COMPLETE["direct"], "only for a user that has the service open")
def _(asking: Asking) -> None:
    assert direct_complete(asking).refusal == (403, "NO_AUTH")
    asking.service.open_service(asking.mchid, openid=OPENID)
    asking.service.close_service(asking.mchid, openid=OPENID)
    assert direct_complete(asking).refusal == (403, "NO_AUTH")


@enter(
    ASKING,
    "direct-complete-required",
    _DIRECT_COMPLETE["direct"],
    "the user, the service, payments, times and the total are sent",
)
def _(asking: Asking) -> None:
    asking.service.open_service(asking.mchid, openid=OPENID)
    names = ("appid", "openid", "service_id", "service_introduction", "post_payments", "time_range", "total_amount")
    for name in names:
        assert direct_complete(asking, **{name: None}).field == f"/{name}"
    assert direct_complete(asking, total_amount=3899).field == "/total_amount"
    assert direct_complete(asking).status == 200
    assert direct_complete(asking, attach="other").refusal == (400, "INVALID_REQUEST")


@enter(ASKING, "partner-direct-complete", _DIRECT_COMPLETE["partner"], "a service provider is answered with 204")
def _(asking: Asking) -> None:
    names = {"service_id": SERVICE_ID, "appid": APPID, "sub_mchid": examples.SUB_MCHID, "authorization_code": "C1"}
    asking.post("/v3/payscore/partner/permissions", names)
    asking.service.open_service(asking.mchid, "C1", openid=OPENID)
    answer = direct_complete(asking, "partner")
    assert (answer.status, answer.reply.body) == (204, b"")
    assert query(asking, "partner").body["collection"]["state"] == "USER_PAYING"


def collected(asking: Asking, number: str = "S1") -> str:
    """WeChat Pay has collected 39 yuan of this order; return its transaction."""
    asking.service.ready_to_sync(asking.mchid, number, endpoint="direct")
    return asking.service.deduct(asking.mchid, number).transaction_id


def refund(asking: Asking, transaction: str, fen: int = 3900, **changes: Any) -> Answer:
    """Apply for a refund; a change that is None leaves the field out."""
    amount = {"refund": fen, "total": 3900, "currency": "CNY"}
    body: Mapping[str, Any] = {"transaction_id": transaction, "out_refund_no": "R1", "amount": amount, **changes}
    return asking.post(REFUNDS, {name: value for name, value in body.items() if value is not None})


@enter(
    REFUND, "by-transaction", _REFUND, "a refund names the transaction of a collection by WeChat Pay; it is accepted"
)
def _(asking: Asking) -> None:
    body = refund(asking, collected(asking)).body
    assert (body["status"], body["channel"], body["amount"]["refund"]) == ("PROCESSING", "ORIGINAL", 3900)


@enter(REFUND, "out-order-no", _REFUND, "an out_order_no is no out_trade_no")
def _(asking: Asking) -> None:
    collected(asking)
    answer = refund(asking, "", transaction_id=None, out_trade_no="S1")
    assert (answer.refusal, answer.body["message"]) == (NOT_COLLECTED, "订单不存在")


@enter(REFUND, "synced-order", _REFUND, "an order that was paid at the till has no transaction to refund")
def _(asking: Asking) -> None:
    completed(asking, "direct")
    change(asking, "direct", "sync", examples.sync("direct", asking.clock.now))
    detail = query(asking, "direct").body["collection"]["details"][0]
    assert "transaction_id" not in detail
    assert refund(asking, "", transaction_id=None, out_trade_no="S1").refusal == NOT_COLLECTED


@enter(REFUND, "required", _REFUND, "number and amounts are sent, and one of two numbers of the payment")
def _(asking: Asking) -> None:
    number = collected(asking)
    assert refund(asking, number, out_refund_no=None).field == "/out_refund_no"
    assert refund(asking, number, amount=None).field == "/amount"
    for name in ("refund", "total", "currency"):
        amount = {key: value for key, value in {"refund": 1, "total": 3900, "currency": "CNY"}.items() if key != name}
        assert refund(asking, number, amount=amount).field == f"/amount/{name}"
    assert refund(asking, "", transaction_id=None).refusal == PARAM_ERROR


@enter(REFUND, "limits", _REFUND, "64 characters of number, 80 of reason, amounts from 1 fen, closed lists")
def _(asking: Asking) -> None:
    number = collected(asking)
    wrong: dict[str, Any] = {"out_refund_no": "R 1", "reason": "因" * 81, "funds_account": "BASIC"}
    for name, value in wrong.items():
        assert refund(asking, number, **{name: value}).field == f"/{name}"
    assert refund(asking, number, 0).field == "/amount/refund"
    assert refund(asking, number, out_refund_no="R" * 65).field == "/out_refund_no"


@enter(REFUND, "sums", _REFUND, "the refunds of a payment sum up to its amount at most")
def _(asking: Asking) -> None:
    number = collected(asking)
    assert refund(asking, number, 3901).field == "/amount/refund"
    assert refund(asking, number, 3000).status == 200
    assert refund(asking, number, 901, out_refund_no="R2").refusal == (400, "INVALID_REQUEST")
    assert refund(asking, number, 900, out_refund_no="R2").status == 200
    assert refund(asking, number, 1, out_refund_no="R3").body["message"] == "订单已全额退款"


@enter(
    REFUND, "again", _REFUND, "one number refunds once: the same request again is the same refund, another is refused"
)
def _(asking: Asking) -> None:
    number = collected(asking)
    first = refund(asking, number, 1000).body
    assert refund(asking, number, 1000).body == first
    assert refund(asking, number, 1001).body["message"] == "订单金额或退款金额与之前请求不一致，请核实后再试"


@enter(REFUND, "query", "4012587971", "the query says SUCCESS and when; minutes for a balance", switch="refund_seconds")
def _(asking: Asking) -> None:
    refund(asking, collected(asking))
    assert asking.get(f"{REFUNDS}/R1").body["status"] == "PROCESSING"
    asking.service.switches = replace(asking.service.switches, refund_seconds=0.0)
    body = asking.get(f"{REFUNDS}/R1").body
    assert (body["status"], "success_time" in body) == ("SUCCESS", True)


@enter(REFUND, "query-none", "4012587971", "a refund that does not exist is 404")
def _(asking: Asking) -> None:
    assert asking.get(f"{REFUNDS}/R1").refusal == NOT_COLLECTED


@enter(REFUND, "sub-merchant", "partner/4013163605", "a service provider names the sub-merchant")
def _(asking: Asking) -> None:
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint="partner", sub_mchid=examples.SUB_MCHID)
    number = asking.service.deduct(asking.mchid, "S1").transaction_id
    assert refund(asking, number).refusal == (400, "INVALID_REQUEST")
    assert refund(asking, number, sub_mchid=examples.SUB_MCHID).status == 200


BILL = {"service_id": SERVICE_ID, "tar_type": "GZIP", "encryption_algorithm": "AEAD_AES_256_GCM"}


def bill(asking: Asking, **changes: Any) -> Answer:
    """Apply for the bill of the hour before."""
    fields = {"bill_date": digits(asking.clock.now - 3600)[:10], **BILL, **changes}
    return asking.get("/v3/payscore/merchant-bill", **{name: text for name, text in fields.items() if text is not None})


@enter(FILES, "bill-required", _BILL, "date, service, compression and encryption are sent, in closed lists")
def _(asking: Asking) -> None:
    for name in ("bill_date", *BILL):
        assert bill(asking, **{name: None}).field == name
    assert bill(asking, tar_type="ZIP").field == "tar_type"
    assert bill(asking, encryption_algorithm="SM4_GCM").field == "encryption_algorithm"


@enter(
    FILES, "bill-date", _BILL, "the newest page says YYYYMMDDHH, the former one yyyy-MM-dd", does="Both are answered"
)
def _(asking: Asking) -> None:
    assert bill(asking, bill_date="2025-12-31").status == 200
    assert bill(asking, bill_date="20251231").field == "bill_date"


@enter(FILES, "bill-three-months", _BILL, "bills of the last three months, once their time has passed")
def _(asking: Asking) -> None:
    for wrong in ("2026-01-01", "2025-09-01", "2026010112"):
        assert bill(asking, bill_date=wrong).field == "bill_date"


@enter(FILES, "bill-newton", _BILL, "a bill has what WeChat Pay has collected, not what the till has")
def _(asking: Asking) -> None:
    asking.clock.now -= 1800
    asking.service.ready_to_sync(asking.mchid, "S2", endpoint="direct")
    change(asking, "direct", "sync", examples.sync("direct", asking.clock.now), number="S2")
    asking.clock.now += 3600
    assert bill(asking).body == {"download_bill_count": 0}
    asking.clock.now -= 3600
    collected(asking)
    asking.clock.now += 3600
    assert bill(asking).body["download_bill_count"] == 1


@enter(
    FILES, "bill-entry", _BILL, "an entry has the file's address, digest, encrypted key and nonce; the file is unsigned"
)
def _(asking: Asking) -> None:
    asking.clock.now -= 1800
    collected(asking)
    asking.clock.now += 1800
    [entry] = bill(asking).body["download_bill_list"]
    assert entry.keys() == {"bill_sequence", "hash_type", "hash_value", "download_url", "encrypt_key", "nonce"}
    answer = asking.get(entry["download_url"].removeprefix("http://localhost"))
    assert (answer.status, answer.reply.signed) == (200, False)


@enter(FILES, "global-certificates", "wiki external wechatpay5_1", "overseas, certificates have a path of their own")
def _(asking: Asking) -> None:
    domestic, overseas = asking.get("/v3/certificates").body, asking.get("/v3/global/certificates").body
    names = ("serial_no", "effective_time", "expire_time")
    for body in (domestic, overseas):
        assert body["data"][0].keys() == {*names, "encrypt_certificate"}
    assert [[entry[name] for name in names] for entry in overseas["data"]] == [
        [entry[name] for name in names] for entry in domestic["data"]
    ]


@enter(
    FILES,
    "every-field",
    "4012587902",
    "the dictionary has remarks, discounts, the bank, promotions and their goods",
    does="An order that is opened with `every_field`, or the command `fill`",
)
def _(asking: Asking) -> None:
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint="direct", every_field=True)
    asking.service.deduct(asking.mchid, "S1")
    order = query(asking, "direct").body
    promotion = order["collection"]["details"][0]["promotion_detail"][0]
    assert {"start_time_remark", "end_time_remark"} <= order["time_range"].keys()
    assert (order["post_discounts"][0]["amount"], order["collection"]["bank_type"]) == (100, "CMB_DEBIT")
    assert promotion["goods_detail"][0]["goods_id"]
