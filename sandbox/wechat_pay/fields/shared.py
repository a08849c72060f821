"""Fields that the pages of several families have in common (docs 4012587900, 4012587955)."""

from sandbox.wechat_pay.parameters import Fields, Group, Rows, Text, Truth, Whole

NUMBER_PATTERN = r"[0-9A-Za-z_\-|*]+"
"""Of an `out_order_no`; the newest page of create lists no `*`, the page about order numbers does (doc 4012068676)."""

OUT_ORDER_NO = Text("out_order_no", "商户服务订单号", 32, required=True, pattern=NUMBER_PATTERN)
AUTHORIZATION_CODE = Text("authorization_code", "授权协议号", 32, required=True, pattern=NUMBER_PATTERN)
OUT_REFUND_NO = Text("out_refund_no", "商户退款单号", 64, required=True, pattern=r"[0-9A-Za-z_\-|*@]+")
IN_PATH: Fields = (OUT_ORDER_NO, AUTHORIZATION_CODE, OUT_REFUND_NO, Text("openid", "用户标识", 128))

APPID = Text("appid", "公众账号ID", 32, required=True)
SERVICE_ID = Text("service_id", "服务ID", 32, required=True)
SERVICE_INTRODUCTION = Text("service_introduction", "服务信息", 20, required=True)

PAYMENT: Fields = (
    Text("name", "付费名称", 20, required=True),
    Whole("amount", "付费金额"),
    Text("description", "付费说明", 30, least=0),
    Whole("count", "付费数量", 1, 100),
)
DISCOUNT: Fields = (
    Text("name", "优惠名称", 20, required=True),
    Text("description", "优惠说明", 30, least=0),
    Whole("amount", "优惠金额"),
    Whole("count", "优惠数量", 1, 100),
)


def payments(*, required: bool) -> Rows:
    """Return the field `post_payments`: 100 rows at most, and at least one where it is required."""
    return Rows("post_payments", "后付费项目", PAYMENT, 100, required=required, least=1 if required else 0)


DISCOUNTS = Rows("post_discounts", "商户优惠", DISCOUNT, 30)

_REMARKS: Fields = (
    Text("start_time_remark", "服务开始时间备注", 20, least=0),
    Text("end_time_remark", "服务结束时间备注", 20, least=0),
)


def time_range(*, required: bool) -> Group:
    """Return the field `time_range`; where it is required, so is its start. `service_time` has the rules of both."""
    start = Text("start_time", "服务开始时间", 32, required=required)
    return Group(
        "time_range", "服务时间段", (start, Text("end_time", "服务结束时间", 32), *_REMARKS), required=required
    )


def location(most: int) -> Group:
    """Return the field `location`; pages differ about the characters that a place may have."""
    places = (("start_location", "服务开始地点"), ("end_location", "服务结束地点"))
    return Group("location", "服务位置", tuple(Text(name, title, most, least=0) for name, title in places))


LOCATION = location(50)

DEPOSIT_FREE = ("DEPOSIT", "ADVANCE", "CASH_DEPOSIT")
RISK_FUND = Group(
    "risk_fund",
    "服务风险金",
    (
        Text("name", "风险金名称", 64, required=True, words=(*DEPOSIT_FREE, "ESTIMATE_ORDER_COST")),
        Whole("amount", "风险金额", 1, required=True),
        Text("description", "风险说明", 30, least=0),
    ),
    required=True,
)

_LOOPBACK = r"http://(127\.0\.0\.1|localhost)(:[0-9]+)?"  # the page permits https alone; a handler under test has none
NOTIFY_URL = Text("notify_url", "商户回调地址", 255, required=True, pattern=rf"(https://[^\s/?#]+|{_LOOPBACK})[^\s?#]*")
"""HTTPS, without a query string."""

ATTACH = Text("attach", "商户数据包", 256, least=0)
OPENID = Text("openid", "用户标识", 128)
NEED_USER_CONFIRM = Truth("need_user_confirm", "是否需要用户确认")
DEVICE = Group(
    "device",
    "设备信息",
    (
        Text("start_device_id", "服务开始的设备ID", 64),
        Text("end_device_id", "服务结束的设备ID", 64),
        Text("materiel_no", "物料编码", 64),
    ),
)
TOTAL_AMOUNT = Whole("total_amount", "总金额", required=True)


def reason(title: str, most: int) -> Text:
    """Return the field `reason`."""
    return Text("reason", title, most, required=True)


TYPE = Text("type", "场景类型", 32, required=True, words=("Order_Paid",))
PAYMENT_TIME = Text("paid_time", "收款成功时间", 64, required=True)
QUERY_ID = Text("query_id", "查单ID", 512)
