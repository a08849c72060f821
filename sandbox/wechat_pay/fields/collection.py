"""The fields of asking for money in the direct family; those of partner are with its others."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.parameters import Fields, Text, Truth

PAY: Fields = (shared.APPID, shared.SERVICE_ID)
"""Wiki chapter 6_1_19; the newest page requires both, the OpenAPI description none."""

DIRECT_COMPLETE: Fields = (
    shared.OUT_ORDER_NO,
    shared.APPID,
    replace(shared.OPENID, required=True),
    shared.SERVICE_ID,
    shared.SERVICE_INTRODUCTION,
    shared.payments(required=True),
    shared.DISCOUNTS,
    shared.time_range(required=True),
    shared.LOCATION,
    shared.TOTAL_AMOUNT,
    Truth("profit_sharing", "微信支付服务分账标记"),
    Text("goods_tag", "订单优惠标记", 32),
    shared.ATTACH,
    replace(shared.NOTIFY_URL, required=False),
)
"""Doc 4012924361."""
