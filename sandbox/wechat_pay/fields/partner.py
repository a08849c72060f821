"""The fields of the partner family: what a service provider sends about its sub-merchants' service orders."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared, sub_merchant
from sandbox.wechat_pay.parameters import Fields, Text, Truth

_SERVICE: Fields = (sub_merchant.OPTIONAL_SERVICE_ID,)

CREATE: Fields = (*sub_merchant.CREATE, shared.DEVICE)
QUERY: Fields = (*_SERVICE, *sub_merchant.QUERY)
"""Docs partner 4013138559, 4012692256: the service is optional."""

COMPLETE: Fields = (*sub_merchant.COMPLETE, shared.DEVICE)
"""Docs partner 4013138598, 4012692408."""

MODIFY: Fields = (*_SERVICE, *sub_merchant.MODIFY, shared.DEVICE)
"""Docs partner 4013138819, 4012692360."""

CANCEL: Fields = (*_SERVICE, *sub_merchant.CANCEL)
"""Doc partner 4012458758."""

SYNC: Fields = sub_merchant.SYNC
"""Docs partner 4013138975, 4012458816."""

PAY: Fields = (*_SERVICE, sub_merchant.SUB_MCHID)
"""Wiki chapter 6_2_6."""

DIRECT_COMPLETE: Fields = (
    shared.SERVICE_ID,
    shared.APPID,
    replace(sub_merchant.SUB_APPID, required=True),
    sub_merchant.SUB_MCHID,
    shared.OUT_ORDER_NO,
    shared.SERVICE_INTRODUCTION,
    shared.payments(required=False),
    shared.DISCOUNTS,
    shared.TOTAL_AMOUNT,
    shared.time_range(required=True),
    shared.LOCATION,
    Truth("profit_sharing", "微信支付服务分账标记"),
    Text("goods_tag", "订单优惠标记", 32),
    shared.ATTACH,
    shared.NOTIFY_URL,
    shared.OPENID,
    sub_merchant.SUB_OPENID,
)
"""Wiki chapter 6_2_8."""
