"""An order, its payment, and how it came to be as it is: values only. What follows from them: `rules` and `waits`.

The values are named tuples: a dataclass takes five times as long to define, at each cold start, and frozen four times
as long to make.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from orders.waits import NO_FLOOR, Wait

NO_MEMBERS: Mapping[str, Any] = MappingProxyType({})
SUB_MERCHANT_ENDPOINTS = frozenset({"partner", "acquiringbank", "oversea"})
"""Part of the key's format, which must not move with the library's table of endpoints; a test compares the two."""


class Status(StrEnum):
    """What is known of an order's payment."""

    SYNCED = "SYNCED"
    PAID_BY_WECHAT = "PAID_BY_WECHAT"
    NOTHING_DUE = "NOTHING_DUE"
    RETRYING = "RETRYING"
    COLLECTED = "COLLECTED"
    REJECTED = "REJECTED"

    @property
    def final(self) -> bool:
        """Whether WeChat Pay has closed the order, so that no event can change the status again."""
        return self in _FINAL

    @property
    def needs_attention(self) -> bool:
        """Whether the order is in the `attention` index, for an operator."""
        return self in _ATTENTION


_FINAL = frozenset({Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE})
_ATTENTION = frozenset({Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT})


class Payment(NamedTuple):
    """A payment at the till, in the field names of WeChat Pay; None stands for the default of the merchant's secret.

    `paid_time` is Beijing time, `yyyyMMddHHmmss` or `yyyyMMdd`; `paid_amount` is fen. `paid_time` is empty only in an
    order that is COLLECTED: no till has reported a payment of it.
    """

    mchid: str
    out_order_no: str
    paid_time: str = ""
    appid: str | None = None
    service_id: str | None = None
    endpoint: str | None = None
    sub_mchid: str | None = None
    channel_id: str | None = None
    seq: int | None = None
    paid_amount: int | None = None

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return order_key(self.mchid, self.out_order_no, self.endpoint, self.sub_mchid)

    @property
    def key_is_open(self) -> bool:
        """Whether the key depends on the default endpoint of the merchant's secret."""
        return self.endpoint is None and self.sub_mchid is not None


def order_key(mchid: str, out_order_no: str, endpoint: str | None, sub_mchid: str | None) -> str:
    """Return an order's key: `{mchid}#{out_order_no}`, at endpoints with a sub-merchant `{mchid}/{sub_mchid}#…`.

    The event of one sub-merchant must not settle an order of another. `endpoint` is None while the default in the
    merchant's secret cannot be read: an event that names a sub-merchant then counts as that sub-merchant's.
    """
    has_sub = sub_mchid and (endpoint is None or endpoint in SUB_MERCHANT_ENDPOINTS)
    return f"{mchid}/{sub_mchid}#{out_order_no}" if has_sub else f"{mchid}#{out_order_no}"


class Facts(NamedTuple):
    """The last verified order of WeChat Pay: `answer` is the whole of it, the others repeat its key facts.

    `answer` is None if the item cannot hold it; `omitted` then says why.
    """

    answer: Mapping[str, Any] | None = None
    state: str | None = None
    state_description: str | None = None
    collection_state: str | None = None
    paid_type: str | None = None
    transaction_id: str | None = None
    omitted: str = ""


class Attempt(NamedTuple):
    """One line of an order's history: which message made the attempt, and how it ended.

    `outcome` is a status or UNKNOWN, `reason` a word of this function, `code` WeChat Pay's. `rest` holds members that a
    later version wrote.
    """

    at: str
    message_id: str
    outcome: str
    reason: str = ""
    code: str = ""
    request_id: str = ""
    latency_ms: int = 0
    rest: Mapping[str, Any] = NO_MEMBERS


UNKNOWN = "UNKNOWN"  # an attempt's outcome: WeChat Pay may have executed the call


class Receipt(NamedTuple):
    """What the item remembers of a message while the order is open.

    `receives`: the receive count at its last recorded attempt. `rejected`: its payment was rejected, it fails again.
    `retried`: the reason for which it has used its one delayed retry.
    """

    receives: int
    rejected: bool = False
    retried: str = ""
    rest: Mapping[str, Any] = NO_MEMBERS


class Refusal(NamedTuple):
    """The last failure in WeChat Pay's own words; `field`, `location`, `issue` name the parameter that it refuses."""

    code: str = ""
    message: str = ""
    field: str = ""
    location: str = ""
    issue: str = ""
    http_status: int | None = None
    request_id: str = ""
    rest: Mapping[str, Any] = NO_MEMBERS


class Contact(Enum):
    """What the calls of a conversation met; a refusal by WeChat Pay is an answer, a 5xx or a gateway's page is not."""

    NONE = "no call was made"
    SILENCE = "no call was answered"
    ANSWER = "WeChat Pay answered"


class Outcome(NamedTuple):
    """How one conversation with WeChat Pay ended.

    `payment`: what was sent, defaults filled in. `unknown`: only a query can settle the order, because a call may have
    been executed, or because the order is in a state that this version has no word for. `facts`: the verified order, if
    there was one. `once`: the wait is the one delayed retry for this reason. `contact`: what its calls met.
    `remembered`: no call was made, because a notification had told of it before.
    """

    status: Status
    payment: Payment
    reason: str = ""
    unknown: bool = False
    facts: Facts | None = None
    refusal: Refusal | None = None
    request_id: str = ""
    wait: Wait = NO_FLOOR
    once: bool = False
    latency_ms: int = 0
    contact: Contact = Contact.NONE
    remembered: bool = False


class Order(NamedTuple):
    """An order as the table holds it; times are ISO 8601 in UTC.

    `payment`: as it was sent last. `facts`: the last verified answer. `outcome_unknown`: see `Outcome.unknown`.
    `messages`: receipts by message id, while the order is open. `was_rejected`: it was REJECTED before. `expires_at`:
    Unix seconds from which DynamoDB may delete the item, only while it is COLLECTED. `rest`: attributes that this
    version has no field for; they are written back unchanged.
    """

    payment: Payment
    facts: Facts | None
    status: Status
    version: int
    created_at: str
    updated_at: str
    reason: str = ""
    event_id: str = ""
    message_id: str = ""
    source: str = ""
    attempts: int = 0
    history: tuple[Attempt, ...] = ()
    outcome_unknown: bool = False
    messages: Mapping[str, Receipt] = NO_MEMBERS
    rejected_at: str | None = None
    was_rejected: bool = False
    last_error: Refusal | None = None
    synced_at: str | None = None
    expires_at: int | None = None
    rest: Mapping[str, Any] = NO_MEMBERS

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return self.payment.key


class Reporter(NamedTuple):
    """The message that reported a payment: its id, the event in it, where the event came from, and this delivery.

    `sent_at` is SQS's SentTimestamp in Unix seconds. `last`: SQS gives the message up if this receive fails.
    """

    message_id: str
    event_id: str
    source: str
    receive_count: int = 1
    sent_at: float | None = None
    last: bool = False


def instant(now: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds, such as `2026-01-01T04:00:00.000Z`."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
