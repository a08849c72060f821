"""Bodies as the pages of each family document them: those of `examples` with the family's own names and words."""

from collections.abc import Mapping
from typing import Any

from sandbox.wechat_pay import examples
from sandbox.wechat_pay.times import digits, rfc_3339

type Body = dict[str, Any]

SUB_MCHID, CHANNEL_ID = "1900000109", "1230000110"
_PROVIDER = {"service_id": examples.WHO["service_id"], "sub_mchid": SUB_MCHID}

WHO: Mapping[str, Mapping[str, str]] = {
    "direct": examples.WHO,
    "partner": _PROVIDER,
    "acquiringbank": {**_PROVIDER, "channel_id": CHANNEL_ID},
    "payafter": examples.WHO,
    "oversea": _PROVIDER,
}
"""What every request of a family names."""

_AT_CREATE: Mapping[str, Mapping[str, str]] = {"oversea": {"currency": "HKD"}}


def create(family: str, out_order_no: str, **changes: object) -> Body:
    """Return a body of create with every required field."""
    if family == "payafter":
        return {**examples.WHO, "out_order_no": out_order_no, "service_start_time": "OnAccept", **changes}
    names = {**WHO[family], **_AT_CREATE.get(family, {}), **changes}
    return examples.create(out_order_no, **names)


def complete(family: str, total_amount: int, at: float, **changes: object) -> Body:
    """Return a body of complete for a service that ends at this Unix time."""
    if family == "payafter":
        fees = [{"fee_name": "租金", "fee_count": 1, "fee_amount": total_amount, "fee_desc": "按小时计费"}]
        used = {"finish_type": 2, "real_service_end_time": digits(at), "fees": fees, "total_amount": total_amount}
        return {**examples.WHO, **used, **changes}
    end = rfc_3339(digits(at)) if family == "oversea" else digits(at)
    return _of(family, examples.complete(total_amount, at, time_range={"end_time": end}), changes)


def modify(family: str, total_amount: int, **changes: object) -> Body:
    """Return a body of modify."""
    return _of(family, examples.modify(total_amount), changes)


def cancel(family: str, **changes: object) -> Body:
    """Return a body of cancel."""
    return _of(family, examples.cancel(), changes)


def sync(family: str, at: float, **changes: object) -> Body:
    """Return a body of sync for a payment at this Unix time."""
    paid_time = rfc_3339(digits(at)) if family == "oversea" else digits(at)
    return _of(family, examples.sync(paid_time), changes)


def _of(family: str, body: Body, changes: Mapping[str, object]) -> Body:
    """Return the body of the direct family with the names of another."""
    rest = {name: value for name, value in body.items() if name not in examples.WHO}
    return {**WHO[family], **rest, **changes}
