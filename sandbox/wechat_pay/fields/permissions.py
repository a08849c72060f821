"""The fields of permissions, in the three families that have them."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared, sub_merchant
from sandbox.wechat_pay.parameters import Fields, Text

_REASON = shared.reason("撤销原因", 50)
_NOTIFY_URL = Text("notify_url", "通知地址", 255, pattern=r"https?://[^\s/?#]+[^\s?#]*")
_OF_PARTNER: Fields = (sub_merchant.SUB_MCHID,)
_OF_BANK: Fields = (sub_merchant.SUB_MCHID, replace(sub_merchant.CHANNEL_ID, required=True))
_USERS: Fields = (
    shared.SERVICE_ID,
    shared.APPID,
    sub_merchant.SUB_MCHID,
    sub_merchant.SUB_APPID,
    shared.OPENID,
    sub_merchant.SUB_OPENID,
)
_USER: Fields = (shared.SERVICE_ID, shared.APPID)

APPLY: Fields = (shared.SERVICE_ID, shared.APPID, shared.AUTHORIZATION_CODE, _NOTIFY_URL)
APPLY_PARTNER: Fields = (*APPLY, *_OF_PARTNER, sub_merchant.SUB_APPID)
APPLY_BANK: Fields = (*APPLY_PARTNER, replace(sub_merchant.CHANNEL_ID, required=True))

OF_CODE: Fields = (shared.SERVICE_ID,)
OF_CODE_PARTNER: Fields = (*OF_CODE, *_OF_PARTNER)
OF_CODE_BANK: Fields = (*OF_CODE, *_OF_BANK)

TERMINATE: Fields = (*OF_CODE, _REASON)
TERMINATE_PARTNER: Fields = (*OF_CODE_PARTNER, _REASON)
TERMINATE_BANK: Fields = (*OF_CODE_BANK, _REASON)

OF_USER: Fields = _USER
OF_USER_PARTNER: Fields = _USERS
TERMINATE_USER: Fields = (*_USER, _REASON)
TERMINATE_USER_PARTNER: Fields = (*_USERS, _REASON)

TERMINATE_SERVICE: Fields = (shared.APPID, _REASON)
SERVICE_STATE: Fields = (*_USER, replace(shared.OPENID, required=True))
