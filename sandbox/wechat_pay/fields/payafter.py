"""The fields of the former family payafter-orders, in its own words (wiki chapters 17_1 to 17_4, 24_1)."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.parameters import Fields, Group, Rows, Text, Truth, Whole

_WHO: Fields = (shared.APPID, shared.SERVICE_ID)
_TIME = r"[0-9]{8}|[0-9]{14}"
_FEES = Rows(
    "fees",
    "后付费项目",
    (
        Text("fee_name", "付费项目名称", 20, required=True),
        Whole("fee_count", "付费项目数量", 1),
        Whole("fee_amount", "付费项目总金额"),
        Text("fee_desc", "描述计费规则", 30, least=0),
    ),
    100,
)
_DISCOUNTS = Rows(
    "discounts",
    "商户优惠",
    (
        Text("discount_name", "优惠名称", 20, required=True),
        Text("discount_desc", "优惠说明", 30, least=0),
        Whole("discount_amount", "商品优惠金额"),
    ),
    5,
)
_PLACE = 50  # characters

CREATE: Fields = (
    *_WHO,
    shared.OUT_ORDER_NO,
    Text("service_start_time", "服务开始时间", 14, required=True, pattern=f"{_TIME}|OnAccept"),
    Text("service_end_time", "预计服务结束时间", 14, pattern=_TIME),
    Text("service_start_location", "开始使用服务的地点", _PLACE, least=0),
    Text("service_end_location", "预计服务结束的地点", _PLACE, least=0),
    replace(shared.SERVICE_INTRODUCTION, required=False),
    _FEES,
    _DISCOUNTS,
    Whole("risk_amount", "订单风险金额"),
    shared.ATTACH,
    shared.NEED_USER_CONFIRM,
    shared.OPENID,
    *(Text(name, title, 1024) for name, title in (("name", "姓名"), ("phone", "手机号"), ("userid", "身份证ID"))),
    Text("address", "收货地址", 1024),
)
QUERY: Fields = (*_WHO, replace(shared.OUT_ORDER_NO, required=False), shared.QUERY_ID)
COMPLETE: Fields = (
    *_WHO,
    Whole("finish_type", "订单使用情况", 1, 2, required=True),
    Text("cancel_reason", "取消订单的原因", 50),
    Text("real_service_start_time", "实际服务开始时间", 14, pattern=_TIME),
    Text("real_service_end_time", "服务结束时间", 14, pattern=_TIME),
    Text("real_service_end_location", "实际结束使用服务的地点", _PLACE, least=0),
    _FEES,
    _DISCOUNTS,
    Whole("total_amount", "总金额"),
    Text("finish_ticket", "完结凭证", 255),
    Truth("profit_sharing", "是否指定商户分账"),
)
CANCEL: Fields = (*_WHO, shared.reason("取消原因", 50))
SYNC: Fields = (
    *_WHO,
    shared.TYPE,
    Group(
        "detail",
        "内容信息详情",
        (Text("paid_time", "支付时间", 14, required=True, pattern="[0-9]{14}"),),
        required=True,
    ),
)
