"""What a till sent, and which order a message is about: read from raw bodies, without the function's parser."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

WITH_SUB_MERCHANT = {"partner", "acquiringbank", "oversea"}  # endpoints whose orders' keys contain the sub_mchid

_BEIJING = timezone(timedelta(hours=8))


def order_key(mchid: str, out_order_no: str, sub_mchid: str = "") -> str:
    """Return an order's key in the table, with the sub-merchant where the endpoint has one."""
    return f"{mchid}/{sub_mchid}#{out_order_no}" if sub_mchid else f"{mchid}#{out_order_no}"


@dataclass(frozen=True, slots=True)
class TillReport:
    """What a till sent: without an `out_order_no` for a body that cannot be read. `paid_time` as the body has it.

    `sub_mchid` is the order's where its endpoint has sub-merchants; `by_bus`: EventBridge may carry it.
    """

    body: str
    mchid: str = ""
    out_order_no: str = ""
    paid_time: str = ""
    sub_mchid: str = ""
    by_bus: bool = False

    @property
    def readable(self) -> bool:
        """Whether it names an order."""
        return bool(self.out_order_no)

    @property
    def key(self) -> str:
        """The key of the order that it is about."""
        return order_key(self.mchid, self.out_order_no, self.sub_mchid)


def order_of(body: str) -> str:
    """Return the key of the order that a message is about; empty where that cannot be read."""
    try:
        payload = _payload(json.loads(body))
        if not isinstance(payload["detail"]["paid_time"], str) or not payload["detail"]["paid_time"].isdigit():
            return ""
        sub_mchid = payload.get("sub_mchid", "") if payload.get("endpoint") in WITH_SUB_MERCHANT else ""
        return order_key(payload["mchid"], payload["out_order_no"], sub_mchid)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _payload(value: Any) -> Any:  # noqa: ANN401  whatever JSON can hold
    """Return the payload, out of an SNS envelope and an EventBridge event around it."""
    if value.get("Type") == "Notification":
        value = json.loads(value["Message"])
    return value["detail"] if "detail-type" in value else value


def moment(paid_time: str) -> float:
    """Return a time of payment as Unix seconds, however it is written: 14 or 8 digits of Beijing time, or RFC 3339."""
    if paid_time.isdigit():
        return datetime.strptime(paid_time.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=_BEIJING).timestamp()
    return instant(paid_time)


def instant(text: str) -> float:
    """Return an ISO 8601 time as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()
