"""WeChat Pay's own calls to a merchant: what they say, and when they are sent again (docs 4012587953, 4012587960)."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from sandbox.wechat_pay import security
from sandbox.wechat_pay.keys import SimulatedMerchant
from sandbox.wechat_pay.message import as_json
from sandbox.wechat_pay.notification_facts import NotificationFacts
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.state import Record
from sandbox.wechat_pay.times import digits, rfc_3339

LADDER: Sequence[float] = (0, 15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600)
"""Seconds before each of the ten attempts, after the one before (doc 4012587960)."""

LIMIT = 5.0  # seconds in which a merchant must answer (doc 4012075420)

SUMMARIES: Mapping[str, str] = {
    "PAYSCORE.USER_CONFIRM": "微信支付分服务订单用户已确认",
    "PAYSCORE.USER_PAID": "支付成功",
    "PAYSCORE.USER_OPEN_SERVICE": "签约成功",
    "PAYSCORE.USER_CLOSE_SERVICE": "解约成功",
}
"""Every event type of PayScore with its summary."""

EVENT_TYPE = re.compile(r"[A-Z_]{1,40}\.[A-Z_]{1,40}")

Delivery = Literal["waiting", "accepted", "given up", "not sent"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver: `status` is that of the answer, 0 without one; `problem` says why it was not accepted."""

    at: float
    status: int
    problem: str
    serial: str


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification as it was made, and its attempts so far; `next_at` None: none follows."""

    id: str
    mchid: str
    out_order_no: str
    event_type: str
    notify_url: str
    body: str
    created_at: float
    next_at: float | None
    attempts: tuple[Attempt, ...] = ()
    delivery: Delivery = "waiting"

    @classmethod
    def of_record(cls, record: Record) -> "Notification":
        """Read a notification from its record."""
        return cls(**{**record, "attempts": tuple(Attempt(**attempt) for attempt in record["attempts"])})

    def as_dict(self) -> Record:
        """Return the notification for its record and for the view."""
        return asdict(self)

    def after(self, attempt: Attempt, scale: float) -> "Notification":
        """Return the notification as it is after one more attempt; its waits are those of the ladder times `scale`."""
        attempts = (*self.attempts, attempt)
        if not attempt.problem:
            return replace(self, attempts=attempts, delivery="accepted", next_at=None)
        if len(attempts) >= len(LADDER):
            return replace(self, attempts=attempts, delivery="given up", next_at=None)
        return replace(self, attempts=attempts, next_at=attempt.at + LADDER[len(attempts)] * scale)

    def unsent(self, reason: str, at: float) -> "Notification":
        """Return the notification as one that cannot be sent to its address."""
        return replace(self, attempts=(Attempt(at, 0, reason, ""),), delivery="not sent", next_at=None)


def body(
    merchant: SimulatedMerchant,
    resource: object,
    event_type: str,
    at: float,
    id_: str = "",
    summary: str = "",
    original_type: str = "payscore",
) -> bytes:
    """Return a notification's body: JSON with the resource encrypted under the merchant's APIv3 key."""
    return as_json(
        {
            "id": id_ or random_id(),
            "create_time": rfc_3339(digits(at)),
            "event_type": event_type,
            "resource_type": "encrypt-resource",
            "summary": summary or SUMMARIES.get(event_type, event_type),
            "resource": {"original_type": original_type, **security.seal(merchant, as_json(resource), original_type)},
        }
    )


def new(
    merchant: SimulatedMerchant, order: SimulatedOrder, event_type: str, notify_url: str, at: float
) -> Notification:
    """Make the notification about an order as it stands, due at once."""
    id_ = random_id()
    text = body(merchant, order.answer(), event_type, at, id_).decode()
    return Notification(id_, order.mchid, order.out_order_no, event_type, notify_url, text, at, at + LADDER[0])


def of_facts(merchant: SimulatedMerchant, number: str, facts: NotificationFacts, at: float) -> Notification:
    """Make the notification about a permission or a refund, due at once."""
    id_ = random_id()
    text = body(merchant, facts.resource, facts.event_type, at, id_, facts.summary, facts.original_type).decode()
    return Notification(id_, merchant.mchid, number, facts.event_type, facts.notify_url, text, at, at + LADDER[0])


def share(id_: str) -> float:
    """Return a number from 0 to 100 that belongs to a notification alone: which part of a migration it falls into."""
    return int(id_.replace("-", "")[:8], 16) / 0xFFFFFFFF * 100


def random_id() -> str:
    """Return an id such as WeChat Pay's own."""
    return str(uuid.uuid4())


def resource(order: SimulatedOrder, event_type: str, at: float) -> object:
    """Return what a notification says: the order, or the customer's authorisation of the service (doc 4012587977)."""
    if event_type not in {"PAYSCORE.USER_OPEN_SERVICE", "PAYSCORE.USER_CLOSE_SERVICE"}:
        return order.answer()
    return {
        "appid": order.appid,
        "mchid": order.mchid,
        "service_id": order.service_id,
        "openid": order.answer().get("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        "user_service_status": event_type.removeprefix("PAYSCORE."),
        "openorclose_time": digits(at),
    }


def event_of(before: SimulatedOrder | None, order: SimulatedOrder, *, sync_notifies: bool) -> str:
    """Return the event type that an order's change is told by; empty where it is told by none.

    The customer's confirmation and a collection by WeChat Pay are told. Pages do not say whether a sync is.
    """
    if before is None or before.order_id != order.order_id:
        return ""
    if (before.state, order.state_description) == ("CREATED", "USER_CONFIRM"):
        return "PAYSCORE.USER_CONFIRM"
    paid = order.collection_state == "USER_PAID" != before.collection_state
    return "PAYSCORE.USER_PAID" if paid and (order.paid_type == "NEWTON" or sync_notifies) else ""
