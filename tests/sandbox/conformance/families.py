"""Rows about the three families with sub-merchants: partner, acquiringbank and oversea."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.wechat_pay import family_examples as examples
from sandbox.wechat_pay.families import ENDPOINTS
from tests.sandbox.asking import APPID, OPENID, SUB_APPID, SUB_MCHID, Answer, Asking
from tests.sandbox.conformance.entering import enter
from tests.sandbox.conformance.row import Section

FAMILIES = ("partner", "acquiringbank", "oversea")
WITH_MODIFY = ("partner", "acquiringbank")
PAGES: Mapping[str, Mapping[str, str]] = {
    "partner": {
        "create": "wiki chapter6_2_1",
        "query": "partner/4013138559",
        "complete": "partner/4013138598",
        "modify": "partner/4013138819",
        "cancel": "partner/4012458758",
        "sync": "partner/4013138975",
    },
    "acquiringbank": {
        "create": "partner/4013194023",
        "query": "partner/4013194035",
        "complete": "partner/4013194080",
        "modify": "partner/4013194282",
        "cancel": "partner/4013194058",
        "sync": "partner/4013194292",
    },
    "oversea": {
        "create": "global/4014096395",
        "query": "global/4014096411",
        "complete": "global/4014096431",
        "cancel": "global/4014096416",
        "sync": "global/4014096438",
    },
}
PARAM_ERROR = (400, "PARAM_ERROR")

SECTION = {
    "partner": Section("Partner: a service provider's orders", "partner", Asking.alone),
    "acquiringbank": Section("Acquiring bank", "acquiringbank", Asking.alone),
    "oversea": Section("Overseas", "oversea", Asking.alone),
}
SECTIONS = tuple(SECTION.values())


def create(asking: Asking, family: str, number: str = "S1", /, **changes: Any) -> Answer:
    """Create an order; a change that is None leaves the field out."""
    return asking.post(ENDPOINTS[family], _without_none(examples.create(family, number, **changes)))


def change(asking: Asking, family: str, operation: str, body: Mapping[str, Any], number: str = "S1") -> Answer:
    """Complete, modify, cancel or sync the order."""
    return asking.post(f"{ENDPOINTS[family]}/{number}/{operation}", _without_none(body))


def query(asking: Asking, family: str, **changes: Any) -> Answer:
    """Query S1."""
    return asking.get(ENDPOINTS[family], **_without_none({**examples.WHO[family], "out_order_no": "S1", **changes}))


def confirmed(asking: Asking, family: str, **changes: Any) -> None:
    """S1 was created by a call and confirmed by its customer, an hour ago."""
    assert create(asking, family, **changes).status == 200
    asking.service.confirm(asking.mchid, "S1")
    asking.clock.now += 3600


def completed(asking: Asking, family: str, **changes: Any) -> None:
    """S1 was completed by a call, a minute ago: it waits for 39 yuan."""
    confirmed(asking, family)
    answer = change(asking, family, "complete", examples.complete(family, 3900, asking.clock.now, **changes))
    assert answer.status in {200, 204}, answer.body
    asking.clock.now += 60


def _without_none(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def require_each(asking: Asking, family: str, operation: str, body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Prove that a request without any of these fields is refused with the field's name."""
    for name in names:
        answer = change(asking, family, operation, {**body, name: None})
        assert (answer.refusal, answer.field) == (PARAM_ERROR, f"/{name}"), (name, answer.body)


REQUIRED_AT_CREATE = (
    *("service_id", "appid", "sub_mchid", "service_introduction"),
    *("risk_fund", "time_range", "notify_url"),
)
MORE_AT_CREATE = {"acquiringbank": ("channel_id",), "oversea": ("currency",)}


for _family in FAMILIES:
    _create, _query = PAGES[_family]["create"], PAGES[_family]["query"]

    @enter(
        SECTION[_family],
        "create-required",
        _create,
        "the appid, the sub-merchant and the other required fields are sent",
    )
    def _(asking: Asking, family: str = _family) -> None:
        for name in (*REQUIRED_AT_CREATE, *MORE_AT_CREATE.get(family, ())):
            answer = create(asking, family, **{name: None})
            assert (answer.refusal, answer.field) == (PARAM_ERROR, f"/{name}")
        body = {name: value for name, value in examples.create(family, "S1").items() if name != "out_order_no"}
        assert asking.post(ENDPOINTS[family], body).field == "/out_order_no"

    @enter(SECTION[_family], "create-limits", _create, "lengths, types and closed lists of the fields")
    def _(asking: Asking, family: str = _family) -> None:
        fund = {"name": "DEPOSIT", "amount": 9900}
        wrong: dict[str, tuple[Any, str]] = {
            "service_introduction": ("务" * 21, "/service_introduction"),
            "risk_fund": ({**fund, "name": "LOAN"}, "/risk_fund/name"),
            "notify_url": ("https://shop.example.com/notify?a=1", "/notify_url"),
            "sub_mchid": ("1" * 33, "/sub_mchid"),
        }
        for name, (value, field) in wrong.items():
            assert create(asking, family, **{name: value}).field == field
        assert create(asking, family, risk_fund={**fund, "amount": "9900"}).field == "/risk_fund/amount"

    @enter(SECTION[_family], "create-answer", _create, "the answer holds what the shop has sent, and no openid")
    def _(asking: Asking, family: str = _family) -> None:
        body = create(asking, family, sub_appid=SUB_APPID).body
        sent = set(examples.create(family, "S1")) | {"sub_appid"}
        assert body.keys() == sent | {"mchid", "order_id", "state", "package"}
        assert (body["state"], body["appid"], body["sub_mchid"]) == ("CREATED", APPID, SUB_MCHID)

    @enter(
        SECTION[_family],
        "create-again",
        _create,
        "the same request again succeeds with the same answer; another is refused",
    )
    def _(asking: Asking, family: str = _family) -> None:
        first = create(asking, family).body
        assert create(asking, family).body == first
        assert create(asking, family, service_introduction="雨伞租借").refusal == (400, "INVALID_REQUEST")

    @enter(
        SECTION[_family],
        "create-no-confirm",
        _create,
        "without a confirmation, one of the two openids is sent; then DOING",
    )
    def _(asking: Asking, family: str = _family) -> None:
        unconfirmed: dict[str, Any] = {"need_user_confirm": False}
        assert create(asking, family, **unconfirmed).field == "/openid"
        both: dict[str, Any] = {"openid": OPENID, "sub_openid": "sub-user", "sub_appid": SUB_APPID}
        assert create(asking, family, **unconfirmed, **both).field == "/openid"
        body = create(asking, family, **unconfirmed, openid=OPENID).body
        assert (body["state"], body["state_description"], "package" in body) == ("DOING", "USER_CONFIRM", False)

    @enter(SECTION[_family], "create-sub-openid", _create, "sub_openid needs sub_appid; it is the query's only openid")
    def _(asking: Asking, family: str = _family) -> None:
        user: dict[str, Any] = {"need_user_confirm": False, "sub_openid": "sub-user"}
        assert create(asking, family, **user).field == "/sub_appid"
        assert create(asking, family, **user, sub_appid=SUB_APPID).status == 200
        order = query(asking, family).body
        assert (order["sub_openid"], order["sub_appid"], "openid" in order) == ("sub-user", SUB_APPID, False)

    @enter(SECTION[_family], "create-past", _create, "a service cannot start in the past")
    def _(asking: Asking, family: str = _family) -> None:
        past = "2026-01-01T11:00:00+08:00" if family == "oversea" else "20260101110000"
        assert create(asking, family, time_range={"start_time": past}).field == "/time_range/start_time"

    @enter(
        SECTION[_family], "query-answer", _query, "the query has the sub-merchant, and after a confirmation the openid"
    )
    def _(asking: Asking, family: str = _family) -> None:
        create(asking, family)
        order = query(asking, family).body
        assert (order["sub_mchid"], order["state"], "openid" in order) == (SUB_MCHID, "CREATED", False)
        asking.service.confirm(asking.mchid, "S1")
        order = query(asking, family).body
        assert (order["state"], order["state_description"]) == ("DOING", "USER_CONFIRM")
        assert order["openid"]

    @enter(SECTION[_family], "query-one-number", _query, "a query has out_order_no or query_id, and not both")
    def _(asking: Asking, family: str = _family) -> None:
        create(asking, family)
        query_id = asking.service.order(asking.mchid, "S1").query_id
        assert query(asking, family, out_order_no=None, query_id=query_id).body["out_order_no"] == "S1"
        assert query(asking, family, query_id=query_id).refusal == PARAM_ERROR
        assert query(asking, family, out_order_no=None).refusal == PARAM_ERROR

    @enter(
        SECTION[_family],
        "query-required",
        _query,
        "the sub-merchant is required; overseas the service is, elsewhere not",
    )
    def _(asking: Asking, family: str = _family) -> None:
        create(asking, family)
        assert query(asking, family, sub_mchid=None).field == "sub_mchid"
        without = query(asking, family, service_id=None)
        assert (without.status, without.field) == ((400, "service_id") if family == "oversea" else (200, ""))

    @enter(SECTION[_family], "complete", PAGES[_family]["complete"], "completing is answered with 204 and no body")
    def _(asking: Asking, family: str = _family) -> None:
        confirmed(asking, family)
        answer = change(asking, family, "complete", examples.complete(family, 3900, asking.clock.now))
        assert (answer.status, answer.reply.body) == (204, b"")
        order = query(asking, family).body
        assert (order["state_description"], order["collection"]["state"]) == ("MCH_COMPLETE", "USER_PAYING")
        assert (order["total_amount"], order["post_payments"][0]["amount"]) == (3900, 3900)

    @enter(
        SECTION[_family],
        "complete-required",
        PAGES[_family]["complete"],
        "service, sub-merchant, payments and total are sent",
    )
    def _(asking: Asking, family: str = _family) -> None:
        confirmed(asking, family)
        body = examples.complete(family, 3900, asking.clock.now)
        require_each(asking, family, "complete", body, ("service_id", "sub_mchid", "post_payments", "total_amount"))
        assert change(asking, family, "complete", {**body, "post_payments": []}).field == "/post_payments"

    @enter(
        SECTION[_family],
        "complete-sum",
        PAGES[_family]["complete"],
        "the total is payments minus discounts, ≤ the risk fund",
    )
    def _(asking: Asking, family: str = _family) -> None:
        confirmed(asking, family)
        now = asking.clock.now
        discount = {"post_discounts": [{"name": "满减", "description": "满20减1元", "amount": 100}]}
        for body in (
            {**examples.complete(family, 3900, now), "total_amount": 3899},
            {**examples.complete(family, 3900, now), **discount},
            examples.complete(family, 9901, now),
            {**examples.complete(family, 3900, now), "total_amount": True},
        ):
            answer = change(asking, family, "complete", body)
            assert (answer.refusal, answer.field) == (PARAM_ERROR, "/total_amount")
        body = {**examples.complete(family, 3900, now), **discount, "total_amount": 3800}
        assert change(asking, family, "complete", body).status == 204

    @enter(
        SECTION[_family],
        "complete-end",
        PAGES[_family]["complete"],
        "an end that create lacked is sent, and is not ahead",
    )
    def _(asking: Asking, family: str = _family) -> None:
        confirmed(asking, family)
        body = examples.complete(family, 3900, asking.clock.now)
        assert change(asking, family, "complete", {**body, "time_range": None}).field == "/time_range/end_time"
        ahead = examples.complete(family, 3900, asking.clock.now + 60)
        assert change(asking, family, "complete", ahead).field == "/time_range/end_time"

    @enter(
        SECTION[_family],
        "cancel",
        PAGES[_family]["cancel"],
        "canceling is answered with 204; again, if nothing differs",
    )
    def _(asking: Asking, family: str = _family) -> None:
        create(asking, family)
        body = examples.cancel(family)
        for _ in range(2):
            answer = change(asking, family, "cancel", body)
            assert (answer.status, answer.reply.body) == (204, b"")
        other = change(asking, family, "cancel", {**body, "reason": "其他原因"})
        assert other.refusal == (400, "INVALID_REQUEST")
        assert query(asking, family).body["state"] == "REVOKED"

    @enter(SECTION[_family], "cancel-reason", PAGES[_family]["cancel"], "a reason of at most 50 characters is required")
    def _(asking: Asking, family: str = _family) -> None:
        create(asking, family)
        body = examples.cancel(family)
        require_each(asking, family, "cancel", body, ("reason", "sub_mchid"))
        assert change(asking, family, "cancel", {**body, "reason": "因" * 51}).field == "/reason"
        without = change(asking, family, "cancel", {**body, "reason": "因" * 50, "service_id": None})
        assert (without.status, without.field) == ((400, "/service_id") if family == "oversea" else (204, ""))

    @enter(
        SECTION[_family],
        "sync",
        PAGES[_family]["sync"],
        "a sync is answered with 204; the order is paid by the merchant",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        answer = change(asking, family, "sync", examples.sync(family, asking.clock.now))
        assert (answer.status, answer.reply.body) == (204, b"")
        order = query(asking, family).body
        detail = order["collection"]["details"][0]
        assert (order["state"], order["collection"]["state"], detail["paid_type"]) == ("DONE", "USER_PAID", "MCH")
        assert "transaction_id" not in detail

    @enter(SECTION[_family], "sync-required", PAGES[_family]["sync"], "service, sub-merchant, type and detail are sent")
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        body = examples.sync(family, asking.clock.now)
        require_each(asking, family, "sync", body, ("service_id", "sub_mchid", "type", "detail"))
        assert change(asking, family, "sync", {**body, "detail": {}}).field == "/detail/paid_time"
        assert change(asking, family, "sync", {**body, "type": "Order_Done"}).field == "/type"
        foreign = "20260101130000" if family == "oversea" else "2026-01-01T13:00:00+08:00"
        assert change(asking, family, "sync", {**body, "detail": {"paid_time": foreign}}).field == "/detail/paid_time"

    @enter(
        SECTION[_family], "sync-window", PAGES[_family]["sync"], "the payment is after complete and at most 60 s ahead"
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        for wrong in (asking.clock.now - 60, asking.clock.now + 61):
            assert change(asking, family, "sync", examples.sync(family, wrong)).field == "/detail/paid_time"
        assert change(asking, family, "sync", examples.sync(family, asking.clock.now + 60)).status == 204

    @enter(SECTION[_family], "sync-deducting", PAGES[_family]["sync"], "while money is being taken: wait three minutes")
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        asking.service.deducting(asking.mchid, "S1")
        answer = change(asking, family, "sync", examples.sync(family, asking.clock.now))
        assert (answer.refusal, answer.body["message"]) == ((400, "INVALID_REQUEST"), "单据正在扣款中，请稍后再试")

    @enter(
        SECTION[_family], "order-not-exist", _query, "an order that does not exist, or of another sub-merchant, is 404"
    )
    def _(asking: Asking, family: str = _family) -> None:
        assert query(asking, family).refusal == (404, "ORDER_NOT_EXIST")
        create(asking, family)
        assert query(asking, family, sub_mchid="1900000110").refusal in {(404, "ORDER_NOT_EXIST"), (403, "NO_AUTH")}


for _family in WITH_MODIFY:

    @enter(
        SECTION[_family],
        "modify",
        PAGES[_family]["modify"],
        "a smaller total is answered with 204; a larger one is refused",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        answer = change(asking, family, "modify", examples.modify(family, 3000))
        assert (answer.status, answer.reply.body) == (204, b"")
        assert query(asking, family).body["collection"]["total_amount"] == 3000
        assert change(asking, family, "modify", examples.modify(family, 3001)).field == "/total_amount"

    @enter(
        SECTION[_family],
        "modify-required",
        PAGES[_family]["modify"],
        "sub-merchant, payments, total and reason (50) are sent",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        body = examples.modify(family, 3000)
        require_each(asking, family, "modify", body, ("sub_mchid", "post_payments", "total_amount", "reason"))
        assert change(asking, family, "modify", {**body, "reason": "因" * 51}).field == "/reason"
        without = change(asking, family, "modify", {**body, "service_id": None})
        assert (without.status, without.field) == ((204, "") if family == "partner" else (400, "/service_id"))

    @enter(
        SECTION[_family],
        "modify-equal",
        PAGES[_family]["modify"],
        "the page asks for a total that is not above the former one",
        switch="modify_to_equal",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        asking.service.switches = replace(asking.service.switches, modify_to_equal=False)
        assert change(asking, family, "modify", examples.modify(family, 3900)).field == "/total_amount"
        asking.service.switches = replace(asking.service.switches, modify_to_equal=True)
        assert change(asking, family, "modify", examples.modify(family, 3900)).status == 204


for _family in FAMILIES:

    @enter(
        SECTION[_family],
        "cancel-completed",
        PAGES[_family]["cancel"],
        "an order that waits for its money can be canceled; the troubleshooting guide says that it cannot",
        switch="cancel_after_complete",
    )
    def _(asking: Asking, family: str = _family) -> None:
        completed(asking, family)
        asking.service.switches = replace(asking.service.switches, cancel_after_complete=False)
        assert change(asking, family, "cancel", examples.cancel(family)).refusal == (400, "INVALID_REQUEST")
        asking.service.switches = replace(asking.service.switches, cancel_after_complete=True)
        assert change(asking, family, "cancel", examples.cancel(family)).status == 204


@enter(
    SECTION["oversea"],
    "no-modify",
    "global/4014096411",
    "there is no page about modify",
    does="404 RESOURCE_NOT_EXISTS",
)
def _(asking: Asking) -> None:
    completed(asking, "oversea")
    assert change(asking, "oversea", "modify", examples.modify("oversea", 3000)).refusal == (404, "RESOURCE_NOT_EXISTS")


@enter(SECTION["oversea"], "times", "global/4014096411", "times are RFC 3339 with an offset")
def _(asking: Asking) -> None:
    start = {"start_time": "2026-01-01T12:30:00+08:00", "end_time": "2026-01-01T05:00:00Z"}
    assert create(asking, "oversea", time_range=start).status == 200
    assert query(asking, "oversea").body["time_range"] == start
    for wrong in ("20260101130000", "2026-01-01T13:00:00", "2026-02-30T13:00:00+08:00"):
        answer = create(asking, "oversea", "S2", time_range={"start_time": wrong})
        assert answer.field == "/time_range/start_time"


@enter(
    SECTION["oversea"], "currency", "global/4014096431", "the order has a currency, which complete repeats unchanged"
)
def _(asking: Asking) -> None:
    confirmed(asking, "oversea")
    assert query(asking, "oversea").body["currency"] == "HKD"
    body = examples.complete("oversea", 3900, asking.clock.now)
    assert change(asking, "oversea", "complete", {**body, "currency": "USD"}).field == "/currency"
    assert change(asking, "oversea", "complete", {**body, "currency": "HKD"}).status == 204


@enter(
    SECTION["oversea"],
    "appid",
    "global/4014096416",
    "complete and cancel name the sub-merchant's appid where create had one",
)
def _(asking: Asking) -> None:
    create(asking, "oversea", sub_appid=SUB_APPID)
    body = examples.cancel("oversea")
    assert change(asking, "oversea", "cancel", {**body, "appid": APPID}).refusal == (403, "NO_AUTH")
    assert change(asking, "oversea", "cancel", {**body, "appid": SUB_APPID}).status == 204


@enter(SECTION["acquiringbank"], "channel-answer", "partner/4013194035", "the answer has the channel")
def _(asking: Asking) -> None:
    assert create(asking, "acquiringbank").body["channel_id"] == examples.CHANNEL_ID
    assert query(asking, "acquiringbank").body["channel_id"] == examples.CHANNEL_ID
    assert query(asking, "acquiringbank", channel_id="1230000111").refusal == (403, "NO_AUTH")


@enter(
    SECTION["acquiringbank"],
    "channel-required",
    "partner/4013194035",
    "every request has the channel; the OpenAPI description lets some lack it",
    switch="channel_id_required",
)
def _(asking: Asking) -> None:
    completed(asking, "acquiringbank")
    now = asking.clock.now
    bodies = {
        "sync": examples.sync("acquiringbank", now),
        "modify": examples.modify("acquiringbank", 3000),
        "cancel": examples.cancel("acquiringbank"),
    }
    assert query(asking, "acquiringbank", channel_id=None).field == "channel_id"
    for operation, body in bodies.items():
        assert change(asking, "acquiringbank", operation, {**body, "channel_id": None}).field == "/channel_id"
    asking.service.switches = replace(asking.service.switches, channel_id_required=False)
    assert query(asking, "acquiringbank", channel_id=None).status == 200
    assert change(asking, "acquiringbank", "sync", {**bodies["sync"], "channel_id": None}).status == 204


@enter(
    SECTION["acquiringbank"],
    "deduction",
    "partner register-deduct-info",
    "a bank registers a deduction and can query it",
)
def _(asking: Asking) -> None:
    names = {**examples.WHO["acquiringbank"], "appid": APPID}
    at = f"{ENDPOINTS['acquiringbank']}/S1/registerdeductinfo"
    confirmed(asking, "acquiringbank")
    assert asking.post(at, {**names, "out_trade_no": "D1"}).refusal == (400, "INVALID_ORDER_STATE")
    change(asking, "acquiringbank", "complete", examples.complete("acquiringbank", 3900, asking.clock.now))
    deduction = f"{ENDPOINTS['acquiringbank']}/deduction"
    assert asking.get(deduction, **names, out_order_no="S1").refusal == (404, "ORDER_NOT_EXIST")
    assert asking.post(at, {**names, "out_trade_no": "D1"}).body == {"description": "充电宝租借"}
    assert asking.get(deduction, **names, out_order_no="S1").body["out_trade_no"] == "D1"
    assert asking.post(at, {**names, "out_trade_no": "D2"}).refusal == (400, "INVALID_REQUEST")
    asking.clock.now += 24 * 3600
    assert asking.post(at, {**names, "out_trade_no": "D1"}).refusal == (400, "INVALID_REQUEST")
    assert asking.post(at, {**names, "out_trade_no": "D2"}).status == 200


@enter(
    SECTION["acquiringbank"],
    "deduction-blocks",
    "partner/4013194292",
    "for 24 hours a registered deduction forbids modify, cancel and sync; no code is printed",
    does="INVALID_REQUEST 单据正在扣款中，请稍后再试, as while WeChat Pay deducts",
)
def _(asking: Asking) -> None:
    completed(asking, "acquiringbank")
    names = {**examples.WHO["acquiringbank"], "appid": APPID, "out_trade_no": "D1"}
    assert asking.post(f"{ENDPOINTS['acquiringbank']}/S1/registerdeductinfo", names).status == 200
    bodies = {
        "sync": examples.sync("acquiringbank", asking.clock.now),
        "modify": examples.modify("acquiringbank", 3000),
        "cancel": examples.cancel("acquiringbank"),
    }
    for operation, body in bodies.items():
        assert change(asking, "acquiringbank", operation, body).body["message"] == "单据正在扣款中，请稍后再试"
    asking.clock.now += 24 * 3600
    assert change(asking, "acquiringbank", "sync", bodies["sync"]).status == 204
