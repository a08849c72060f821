"""Fields that the three families with sub-merchants have in common: partner, acquiringbank and oversea."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.parameters import Fields, Group, Text, Truth, Whole

SUB_MCHID = Text("sub_mchid", "子商户号", 32, required=True)
SUB_APPID = Text("sub_appid", "子商户公众账号ID", 32)
SUB_OPENID = Text("sub_openid", "子商户用户标识", 128)
CHANNEL_ID = Text("channel_id", "渠道商商户号", 32)
"""Optional here, as in the OpenAPI description; the pages require it, and so does the switch `channel_id_required`."""

OPTIONAL_SERVICE_ID = replace(shared.SERVICE_ID, required=False)

CREATE: Fields = (
    shared.SERVICE_ID,
    shared.APPID,
    SUB_MCHID,
    SUB_APPID,
    shared.OUT_ORDER_NO,
    shared.SERVICE_INTRODUCTION,
    shared.payments(required=False),
    shared.DISCOUNTS,
    shared.RISK_FUND,
    shared.time_range(required=True),
    shared.LOCATION,
    shared.OPENID,
    SUB_OPENID,
    shared.NEED_USER_CONFIRM,
    shared.NOTIFY_URL,
    shared.ATTACH,
)
QUERY: Fields = (SUB_MCHID, replace(shared.OUT_ORDER_NO, required=False), shared.QUERY_ID)
COMPLETE: Fields = (
    shared.SERVICE_ID,
    SUB_MCHID,
    shared.payments(required=True),
    shared.DISCOUNTS,
    shared.TOTAL_AMOUNT,
    shared.time_range(required=False),
    shared.LOCATION,
    Truth("profit_sharing", "微信支付服务分账标记"),
    Text("complete_time", "完结服务时间", 64),
    Text("goods_tag", "订单优惠标记", 32),
)
MODIFY: Fields = (
    SUB_MCHID,
    shared.payments(required=True),
    shared.DISCOUNTS,
    shared.TOTAL_AMOUNT,
    shared.reason("修改原因", 50),
)
CANCEL: Fields = (SUB_MCHID, shared.reason("撤销原因", 50))
SYNC: Fields = (
    shared.SERVICE_ID,
    SUB_MCHID,
    shared.TYPE,
    Group(
        "detail",
        "内容信息详情",
        (Whole("seq", "收款序号", 1), shared.PAYMENT_TIME, Whole("paid_amount", "收款金额")),
        required=True,
    ),
)
"""`seq` and `paid_amount` are those of the OpenAPI description and of overseas; the newest domestic pages lack them."""
