"""The fields of the direct family: what a merchant sends about its own service orders."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.parameters import Fields, Group, Text, Truth

_WHO: Fields = (shared.APPID, shared.SERVICE_ID)

CREATE: Fields = (
    shared.OUT_ORDER_NO,
    *_WHO,
    shared.SERVICE_INTRODUCTION,
    shared.payments(required=False),
    shared.DISCOUNTS,
    shared.time_range(required=True),
    shared.LOCATION,
    shared.RISK_FUND,
    shared.ATTACH,
    shared.NOTIFY_URL,
    shared.OPENID,
    shared.NEED_USER_CONFIRM,
    shared.DEVICE,
)
"""Docs 4012587900 (the customer confirms) and 4012587929 (the customer does not)."""

QUERY: Fields = (replace(shared.OUT_ORDER_NO, required=False), *_WHO, shared.QUERY_ID)
"""Doc 4012587902; one of `out_order_no` and `query_id`, which is a rule of its own."""

COMPLETE: Fields = (
    *_WHO,
    shared.payments(required=True),
    shared.DISCOUNTS,
    shared.TOTAL_AMOUNT,
    shared.time_range(required=False),
    shared.LOCATION,
    Truth("profit_sharing", "微信支付服务分账标记"),
    Text("goods_tag", "订单优惠标记", 32),
    shared.DEVICE,
)
"""Doc 4012587955."""

MODIFY: Fields = (
    *_WHO,
    shared.payments(required=True),
    shared.DISCOUNTS,
    shared.TOTAL_AMOUNT,
    shared.reason("修改原因", 50),
    shared.DEVICE,
)

CANCEL: Fields = (shared.APPID, replace(shared.SERVICE_ID, required=False), shared.reason("撤销原因", 50))
"""The newest page says 50 characters of reason, the former one 30: the switch `reason_limit` chooses."""

SYNC: Fields = (*_WHO, shared.TYPE, Group("detail", "内容信息详情", (shared.PAYMENT_TIME,), required=True))
"""Doc 4012587962."""
