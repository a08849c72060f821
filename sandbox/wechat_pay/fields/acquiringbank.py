"""The fields of the acquiring bank's family, which names a channel in every request."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared, sub_merchant
from sandbox.wechat_pay.parameters import Fields, Text

_CHANNEL: Fields = (sub_merchant.CHANNEL_ID,)

CREATE: Fields = (*sub_merchant.CREATE, replace(sub_merchant.CHANNEL_ID, required=True))
"""Docs partner 4013194023, 4012691326."""

QUERY: Fields = (sub_merchant.OPTIONAL_SERVICE_ID, *sub_merchant.QUERY, *_CHANNEL)
"""Doc partner 4013194035: the service is optional, the channel is not."""

COMPLETE: Fields = (*sub_merchant.COMPLETE, *_CHANNEL)
"""Doc partner 4013194080."""

MODIFY: Fields = (shared.SERVICE_ID, *sub_merchant.MODIFY, *_CHANNEL)
"""Doc partner 4013194282."""

CANCEL: Fields = (sub_merchant.OPTIONAL_SERVICE_ID, *sub_merchant.CANCEL, *_CHANNEL)
"""Doc partner 4013194058."""

SYNC: Fields = (*sub_merchant.SYNC, *_CHANNEL)
"""Docs partner 4013194292, 4012691378."""

_DEDUCTION: Fields = (shared.SERVICE_ID, shared.APPID, sub_merchant.SUB_MCHID, sub_merchant.SUB_APPID, *_CHANNEL)

REGISTER_DEDUCTION: Fields = (
    *_DEDUCTION,
    Text("out_trade_no", "商户扣款单号", 32, required=True, pattern=shared.NUMBER_PATTERN),
)
QUERY_DEDUCTION: Fields = (*_DEDUCTION, shared.OUT_ORDER_NO)
