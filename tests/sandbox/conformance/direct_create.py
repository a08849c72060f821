"""Creating a direct order: its fields, times, re-entry and answer."""

from typing import Any

from sandbox.wechat_pay import examples
from sandbox.wechat_pay.times import digits
from tests.sandbox.conformance.row import Section
from tests.sandbox.conformance.shop import Shop

SECTION = Section("Direct: create", "create", Shop)
row = SECTION.row
PAGE = "4012587900"


def _requires(name: str, path: str, changes: dict[str, Any]) -> None:
    def check(shop: Shop) -> None:
        shop.create(**changes).wrong(path, "此字段为必填项")

    says, does = f"`{path.removeprefix('/').replace('/', '.')}` is required", f"400 PARAM_ERROR that names `{path}`"
    SECTION.add(f"without-{name}", says, PAGE, does, check)


for _name in (
    "out_order_no",
    "appid",
    "service_id",
    "service_introduction",
    "time_range",
    "risk_fund",
    "notify_url",
):
    _requires(_name.replace("_", "-"), f"/{_name}", {_name: None})
_requires("start-time", "/time_range/start_time", {"time_range": {}})
_requires("risk-fund-name", "/risk_fund/name", {"risk_fund": {"amount": 1}})
_requires("risk-fund-amount", "/risk_fund/amount", {"risk_fund": {"name": "DEPOSIT"}})


def _refuses(name: str, says: str, does: str, *wrong: tuple[str, dict[str, Any]]) -> None:
    def check(shop: Shop) -> None:
        for path, changes in wrong:
            shop.create(**changes).wrong(path)

    SECTION.add(name, says, PAGE, does, check)


def _payments(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"post_payments": list(rows)}


_refuses(
    "numbers",
    "`out_order_no`: 1 to 32 digits, letters, `_` and `-`; and, by 4012068676, the vertical bar and `*`",
    "400 PARAM_ERROR for 33 characters, another sign, an empty text or a number",
    *(("/out_order_no", {"out_order_no": value}) for value in ("x" * 33, "a b", "单号", "", 7)),
)
_refuses(
    "names",
    "`appid` and `service_id`: 32 characters at most",
    "400 PARAM_ERROR for 33 characters",
    ("/appid", {"appid": "w" * 33}),
    ("/service_id", {"service_id": "1" * 33}),
)
_refuses(
    "risk-fund",
    "`risk_fund.name` is DEPOSIT, ADVANCE, CASH_DEPOSIT or ESTIMATE_ORDER_COST; `amount` is above 0; 30 characters",
    "400 PARAM_ERROR for another name, 0, an amount as text or with a fraction, true, and 31 characters",
    ("/risk_fund/name", {"risk_fund": {"name": "RENT", "amount": 1}}),
    *(("/risk_fund/amount", {"risk_fund": {"name": "DEPOSIT", "amount": one}}) for one in (0, -1, "9900", 99.5, True)),
    ("/risk_fund/description", {"risk_fund": {"name": "DEPOSIT", "amount": 1, "description": "x" * 31}}),
    ("/risk_fund", {"risk_fund": []}),
)
_refuses(
    "notify-url",
    "`notify_url`: HTTPS, without a query string, 255 characters at most",
    "400 PARAM_ERROR for HTTP, a query string, a fragment, no host and 256 characters",
    *(
        ("/notify_url", {"notify_url": url})
        for url in (
            "http://shop.example.com/notify",
            "https://shop.example.com/notify?x=1",
            "https://shop.example.com/#x",
            "https://",
            "https://shop.example.com/" + "x" * 231,
        )
    ),
)
_refuses(
    "attach",
    "`attach`: 256 characters at most",
    "400 PARAM_ERROR for 257 characters and for an object",
    ("/attach", {"attach": "x" * 257}),
    ("/attach", {"attach": {}}),
)
_refuses(
    "payments",
    "`post_payments`: 100 at most; `name` of 20 characters is required, `amount` is 0 or more, 30 characters of "
    "description, `count` 1 to 100",
    "400 PARAM_ERROR for each, and for an amount as text",
    ("/post_payments", _payments(*({"name": str(n), "amount": 1} for n in range(101)))),
    ("/post_payments/0/name", _payments({"amount": 1})),
    ("/post_payments/0/name", _payments({"name": "x" * 21, "amount": 1})),
    ("/post_payments/0/amount", _payments({"name": "x", "amount": -1})),
    ("/post_payments/0/amount", _payments({"name": "x", "amount": "1"})),
    ("/post_payments/0/description", _payments({"name": "x", "description": "x" * 31})),
    ("/post_payments/0/count", _payments({"name": "x", "amount": 1, "count": 0})),
    ("/post_payments/0/count", _payments({"name": "x", "amount": 1, "count": 101})),
    ("/post_payments", {"post_payments": {"name": "x"}}),
)
_refuses(
    "payment-names",
    "a payment has an amount or a description; names differ, but `商品信息` may be repeated (wiki chapter6_1_14)",
    "400 PARAM_ERROR for neither, and for a name that is repeated",
    ("/post_payments/0/amount", _payments({"name": "x"})),
    ("/post_payments/1/name", _payments({"name": "x", "amount": 1}, {"name": "x", "amount": 2})),
)
_refuses(
    "discounts",
    "`post_discounts`: 30 at most; the names differ",
    "400 PARAM_ERROR for 31, a name that is repeated and one of 21 characters",
    ("/post_discounts", {"post_discounts": [{"name": str(n)} for n in range(31)]}),
    ("/post_discounts/1/name", {"post_discounts": [{"name": "x"}, {"name": "x"}]}),
    ("/post_discounts/0/name", {"post_discounts": [{"name": "x" * 21}]}),
)
_refuses(
    "remarks",
    "remarks of start and end: 20 characters at most",
    "400 PARAM_ERROR for 21 characters",
    ("/time_range/start_time_remark", {"time_range": {"start_time": "OnAccept", "start_time_remark": "x" * 21}}),
)


@row("introduction", "`service_introduction`: 20 characters, a Chinese one counts as one", PAGE)
def _(shop: Shop) -> None:
    """Takes 20 Chinese characters; 400 PARAM_ERROR for 21."""
    shop.create(service_introduction="充" * 21).wrong("/service_introduction", "字符数 21，大于最大值 20")
    assert shop.create(service_introduction="充" * 20).status == 200


@row("goods", "`商品信息` may be repeated among the names of payments", PAGE)
def _(shop: Shop) -> None:
    """Takes it twice."""
    shop.created(**_payments({"name": "商品信息", "amount": 1}, {"name": "商品信息", "amount": 2}))


@row("location", "a place has 20 characters on some pages, 50 on others", PAGE, "switch `location_limit`, 20")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for 21 characters; with the switch at 50 for 51."""
    shop.create(location={"start_location": "店" * 21}).wrong("/location/start_location")
    shop.switch(location_limit=50)
    shop.create(location={"end_location": "店" * 51}).wrong("/location/end_location")
    shop.created(location={"start_location": "店" * 50})


@row("start-time", "a start to the second is after the call, a start to the day is today or later", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `服务开始时间不能早于调用接口时间` for this second and for yesterday."""
    words = "服务开始时间不能早于调用接口时间"
    for start in (digits(shop.now), digits(shop.now - 1), digits(shop.now - 86_400)[:8]):
        shop.create(time_range={"start_time": start}).wrong("/time_range/start_time", words)
    shop.created(time_range={"start_time": digits(shop.now + 1)})
    assert shop.create("S2", time_range={"start_time": digits(shop.now)[:8]}).status == 200


@row("time-form", "a time is yyyyMMddHHmmss or yyyyMMdd, a start also `OnAccept`; times are Beijing's", "4012068676")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for RFC 3339, for a day that does not exist, and for `OnAccept` as an end."""
    for start in ("2026-01-02T12:00:00+08:00", "20260230", "onaccept", "2026010112"):
        shop.create(time_range={"start_time": start}).wrong("/time_range/start_time")
    for end in ("OnAccept", "2026"):
        shop.create(time_range={"start_time": "OnAccept", "end_time": end}).wrong("/time_range/end_time")


@row("end-time", "an expected end is after the start, and more than a minute ahead; a day is not before today", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR that names `/time_range/end_time`."""
    start, hour = digits(shop.now + 3600), 3600
    for begin, end in (
        (start, digits(shop.now + hour)),
        (start, digits(shop.now + 1)),
        ("OnAccept", digits(shop.now + 60)),
        ("OnAccept", digits(shop.now - 86_400)[:8]),
    ):
        shop.create(time_range={"start_time": begin, "end_time": end}).wrong("/time_range/end_time")
    shop.created(time_range={"start_time": start, "end_time": digits(shop.now + 2 * hour)})


@row("created", "a new order is CREATED, with `order_id` and `package`", PAGE)
def _(shop: Shop) -> None:
    """200 with the order, CREATED, and no `state_description`."""
    order = shop.created()
    assert (order["state"], bool(order["package"]), "state_description" in order) == ("CREATED", True, False)


@row("told", "an answer has what the shop has sent", PAGE)
def _(shop: Shop) -> None:
    """Exactly the fields that were sent, next to the numbers and the state."""
    order = shop.created()
    sent = set(examples.create("S1")) | {"mchid", "state", "order_id", "package"}
    assert set(order) == sent
    assert set(shop.query().json) == sent - {"package"}
    location, attach = {"start_location": "a"}, "till 7"
    more = shop.create("S2", location=location, attach=attach, post_discounts=[{"name": "x", "amount": 1}]).json
    assert (more["location"], more["attach"], more["post_discounts"]) == (
        location,
        attach,
        [{"name": "x", "amount": 1}],
    )


@row("order-id", "`order_id` has 31 digits and begins with 1000000000 and the date", "4012587962")
def _(shop: Shop) -> None:
    """31 digits, another for each order, also within one second."""
    numbers = [shop.create(f"S{n}").json["order_id"] for n in range(20)]
    assert len(set(numbers)) == 20
    assert all(len(number) == 31 and number.startswith("100000000020260101") for number in numbers)


@row("again", "the same call with the same parameters succeeds again", PAGE)
def _(shop: Shop) -> None:
    """200 with the same order, in the state that it has by now."""
    first = shop.created()
    assert shop.create().json == first
    shop.service.confirm(shop.order().mchid, "S1")
    again = shop.create().json
    assert (again["order_id"], again["state"]) == (first["order_id"], "DOING")


@row("again-otherwise", "the same number with other parameters is refused", PAGE)
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `订单重入参数校验失败` (271316598), and the order stays as it is."""
    shop.created()
    risk_fund = {"name": "DEPOSIT", "amount": 1}
    for changes in ({"attach": "x"}, {"risk_fund": risk_fund}, {"service_introduction": "x"}, {"appid": "wx-other"}):
        answer = shop.create(**changes)
        assert answer.refusal == (400, "INVALID_REQUEST", "订单重入参数校验失败")
    assert "attach" not in shop.query().json


@row("no-confirm", "without the customer's confirmation an order is DOING, USER_CONFIRM at once", "4012587929")
def _(shop: Shop) -> None:
    """200 with DOING and USER_CONFIRM, without `package`; the order can be completed."""
    order = shop.created(need_user_confirm=False, openid="o-1")
    assert (order["state"], order["state_description"], "package" in order) == ("DOING", "USER_CONFIRM", False)
    assert shop.query().json["openid"] == "o-1"
    assert shop.complete().status == 200


@row("no-confirm-openid", "without the customer's confirmation `openid` is required", "4012587929")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR that names `/openid`."""
    shop.create(need_user_confirm=False).wrong("/openid", "此字段为必填项")


@row("confirm-type", "`need_user_confirm` is true or false, and true where it is left out", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for a text or a number."""
    for value in ("false", 0):
        shop.create(need_user_confirm=value).wrong("/need_user_confirm")


@row(
    "service-limit",
    "a risk fund is at most the limit that WeChat Pay agrees with the merchant",
    PAGE,
    "switch `service_risk_limit`, none",
)
def _(shop: Shop) -> None:
    """Takes every amount; with the switch 400 PARAM_ERROR `创建订单的订单风险金额超过此服务的服务风险金额` above it."""
    shop.created(risk_fund={"name": "DEPOSIT", "amount": 10**9})
    shop.switch(service_risk_limit=20_000)
    fund = {"name": "DEPOSIT", "amount": 20_001}
    shop.create("S2", risk_fund=fund).wrong("/risk_fund/amount", "创建订单的订单风险金额超过此服务的服务风险金额")
