"""The fields of the overseas family: a currency, and times of RFC 3339, whose rules are elsewhere."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared, sub_merchant
from sandbox.wechat_pay.parameters import Fields, Text

_CURRENCY = Text("currency", "货币类型", 16)
_APPID = replace(shared.APPID, required=False)
"""Of the sub-merchant, where it has one, and of the institution otherwise."""

CREATE: Fields = (*sub_merchant.CREATE, replace(_CURRENCY, required=True))
"""Doc global 4014096395."""

QUERY: Fields = (shared.SERVICE_ID, *sub_merchant.QUERY)
"""Doc global 4014096411."""

COMPLETE: Fields = (*sub_merchant.COMPLETE, _APPID, _CURRENCY)
"""Doc global 4014096431."""

CANCEL: Fields = (shared.SERVICE_ID, *sub_merchant.CANCEL, _APPID)
"""Doc global 4014096416."""

SYNC: Fields = sub_merchant.SYNC
"""Doc global 4014096438."""
