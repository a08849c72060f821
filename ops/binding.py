"""Ask WeChat Pay whether a merchant's mchid, appid and service_id belong together, by a query that changes nothing."""

import secrets
from collections.abc import Mapping
from typing import Any

from ops.findings import Finding, failed, not_checked, ok
from orders.merchants import Merchant
from wechatpay import RefusedError, WeChatPayError
from wechatpay.endpoints import ENDPOINTS

SUBJECT = "bound"
PREFIX = "OPS-BOUND-"  # of the order number, so that the merchant's own log explains the query

_UNBOUND = frozenset({"NO_AUTH", "APPID_MCHID_NOT_MATCH"})
_UNBOUND_CAUSES = frozenset({"271302149"})  # sub-code of the Request-ID: mch_id and appid are not bound
_REMEDY = (
    "compare the three with pay.weixin.qq.com, 产品中心: is this appid bound to the merchant (AppID账号管理), and is "
    "service_id one of its PayScore services (微信支付分)"
)


def check(merchant: Merchant, **options: str | None) -> Finding:
    """Query an order that cannot exist, with the secret's appid and service_id; read the answer as a hint.

    `options` replace what the secret has: `appid`, `service_id`, and `sub_mchid` and `channel_id`, which it never has.
    """
    fields = _fields(merchant, options)
    if absent := [name for name in ENDPOINTS[merchant.endpoint].required if not fields.get(name)]:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in absent)
        return not_checked(SUBJECT, f"the query needs {' and '.join(absent)}", f"give {names}")
    number = f"{PREFIX}{secrets.token_hex(11)}"  # 32 characters, the most; no merchant has such an order
    arguments: dict[str, Any] = {"out_order_no": number, "endpoint": merchant.endpoint, **fields}
    try:
        merchant.client.payscore.query(**arguments)
    except RefusedError as error:
        return judge(error, fields)
    except WeChatPayError as error:
        return not_checked(SUBJECT, f"the query failed: {error}", "run it again, or keys check --echo")
    except ValueError as error:
        return not_checked(SUBJECT, f"the query cannot be made: {error}")
    return ok(SUBJECT, f"WeChat Pay answered the query of {number} with an order")


def _fields(merchant: Merchant, options: Mapping[str, str | None]) -> dict[str, str]:
    """Return the fields of the query, those for which the merchant's endpoint has a place."""
    defaults = {"appid": merchant.appid, "service_id": merchant.service_id}
    values = defaults | {name: value for name, value in options.items() if value}
    return {name: value for name, value in values.items() if value and name in ENDPOINTS[merchant.endpoint].fields}


def judge(refusal: RefusedError, fields: Mapping[str, str]) -> Finding:
    """Read WeChat Pay's refusal of the query; the words are WeChat Pay's own."""
    words = f"WeChat Pay says {refusal}"
    names = ", ".join(("mchid", *fields))
    code = refusal.code.replace(" ", "")  # a page of WeChat Pay prints `ORDER_NOT_ EXIST`
    if code == "ORDER_NOT_EXIST":
        return ok(SUBJECT, f"{names} seem to belong together: asked for an impossible order, {words}")
    if code in _UNBOUND or refusal.sub_code in _UNBOUND_CAUSES:
        return failed(SUBJECT, f"{names} seem not to belong together: {words}", _REMEDY)
    if refusal.status == 401:
        return not_checked(SUBJECT, f"the signature is refused: {words}", "run keys check --echo, then merchant rotate")
    return not_checked(SUBJECT, f"the answer says nothing about it: {words}")
