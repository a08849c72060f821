"""What a till sends: the payload about an order, by the family of its endpoint, and its way. Values, no network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from orders.order import order_key

SOURCE, DETAIL_TYPE = "pos.till", "Order_Paid"  # what the stack's rule takes
OTHER_MERCHANT = "1900000109"  # whose key at WeChat Pay is newer than the one in its secret; the sub-merchant, too

Way = Literal["bus", "queue"]


@dataclass(frozen=True, slots=True)
class Family:
    """What an event names of its order's endpoint; where all is empty, the merchant's secret decides."""

    endpoint: str = ""
    sub_mchid: str = ""
    channel_id: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What is named."""
        values = {"endpoint": self.endpoint, "sub_mchid": self.sub_mchid, "channel_id": self.channel_id}
        return {name: value for name, value in values.items() if value}

    def key(self, mchid: str, out_order_no: str) -> str:
        """Return the key of such an order in the table."""
        return order_key(mchid, out_order_no, self.endpoint or None, self.sub_mchid or None)


FAMILIES: Mapping[str, Family] = {
    family.endpoint: family
    for family in (
        Family(),
        Family("direct"),
        Family("partner", OTHER_MERCHANT),
        Family("acquiringbank", OTHER_MERCHANT, "20240101"),
        Family("payafter"),
        Family("oversea", OTHER_MERCHANT),
    )
}
"""A family of each endpoint, with an example of what it names; "" is the one without any."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One text on its way from a till: to the bus as an event's detail, or to the order queue as a message."""

    text: str
    way: Way = "bus"
    source: str = SOURCE
    detail_type: str = DETAIL_TYPE

    def entry(self, bus: str) -> dict[str, str]:
        """Return the entry of PutEvents."""
        return {"Source": self.source, "DetailType": self.detail_type, "Detail": self.text, "EventBusName": bus}


@dataclass(frozen=True, slots=True)
class Event:
    """One report of a till: by which way, and what is unusual in it.

    `paid` is the time of payment in seconds from now. `changes` replace members of the payload, None removes one.
    """

    way: Way = "bus"
    paid: float = -1.0
    source: str = SOURCE
    detail_type: str = DETAIL_TYPE
    changes: Mapping[str, object] = field(default_factory=dict)

    def dispatch(self, mchid: str, number: str, now: datetime, family: Family = FAMILIES[""]) -> Dispatch:
        """Return the report about an order, at this time."""
        paid_time = (now + timedelta(seconds=self.paid)).isoformat(timespec="seconds")
        whole = payload_of(mchid, number, paid_time, family) | dict(self.changes)
        payload = {name: value for name, value in whole.items() if value is not None}
        return Dispatch(json.dumps(payload, ensure_ascii=False), self.way, self.source, self.detail_type)


def payload_of(mchid: str, out_order_no: str, paid_time: str, family: Family = FAMILIES[""]) -> dict[str, object]:
    """Return the payload of a till's report."""
    order = {"mchid": mchid, "out_order_no": out_order_no, **family.fields}
    return {**order, "type": DETAIL_TYPE, "detail": {"paid_time": paid_time}}


def own_dispatch(text: str, way: Way) -> Dispatch:
    """Return what a person has typed: a payload, or a whole EventBridge event, whose own source and type count.

    What is not JSON is sent as it is, so that one sees what becomes of it.
    """
    value = _object(text)
    if way == "queue" or "detail-type" not in value:
        return Dispatch(text, way)
    detail = json.dumps(value.get("detail"), ensure_ascii=False)
    return Dispatch(detail, way, str(value.get("source", "")), str(value["detail-type"]))


def key_of(text: str) -> str:
    """Return the key of the order that a text is about, a payload or an event; empty where that cannot be read."""
    value = _object(text)
    payload = value.get("detail") if "detail-type" in value else value
    texts = {name: one for name, one in payload.items() if isinstance(one, str)} if isinstance(payload, dict) else {}
    if not {"mchid", "out_order_no"} <= texts.keys():
        return ""
    return order_key(texts["mchid"], texts["out_order_no"], texts.get("endpoint"), texts.get("sub_mchid"))


def _object(text: str) -> dict[str, object]:
    """Return the JSON object that a text is; empty for any other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
