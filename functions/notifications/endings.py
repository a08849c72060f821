"""How a notification ends: it was received, refused, or could not be dealt with now. Values only."""

from enum import StrEnum
from typing import NamedTuple

from orders.order import Order


class Reason(StrEnum):
    """Why a request is refused (4xx), in one word. Nothing was written, and a repetition would end alike."""

    UNREADABLE_REQUEST = "UNREADABLE_REQUEST"  # not what a front hands over, or a body that is not what it says
    WRONG_PATH = "WRONG_PATH"
    WRONG_METHOD = "WRONG_METHOD"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNSIGNED = "UNSIGNED"
    STALE = "STALE"
    PROBE = "PROBE"
    UNKNOWN_MERCHANT = "UNKNOWN_MERCHANT"
    UNKNOWN_SERIAL = "UNKNOWN_SERIAL"
    WRONG_SIGNATURE = "WRONG_SIGNATURE"
    UNDECRYPTABLE = "UNDECRYPTABLE"
    MALFORMED = "MALFORMED"
    OTHER_MERCHANT = "OTHER_MERCHANT"

    @property
    def is_about_keys(self) -> bool:
        """Whether a merchant's secret that lacks a key, or has a wrong one, is refused for it."""
        return self in _ABOUT_KEYS


_ABOUT_KEYS = frozenset({Reason.UNKNOWN_SERIAL, Reason.WRONG_SIGNATURE, Reason.UNDECRYPTABLE})


class Trouble(StrEnum):
    """Why a notification cannot be dealt with now (5xx): WeChat Pay sends it again."""

    SECRET_UNAVAILABLE = "SECRET_UNAVAILABLE"  # noqa: S105  a word
    NO_APIV3_KEY = "NO_APIV3_KEY"
    LOOKUPS_LIMITED = "LOOKUPS_LIMITED"
    OUT_OF_TIME = "OUT_OF_TIME"
    TABLE_UNAVAILABLE = "TABLE_UNAVAILABLE"
    UNREADABLE_ITEM = "UNREADABLE_ITEM"
    UNEXPECTED = "UNEXPECTED"


class Effect(StrEnum):
    """What a notification has changed; the value is the dimension of its metric."""

    COUNTED = "counted"  # it says nothing about the payment of an order
    NOT_REPORTED = "not_reported"  # no till has reported the order, and WeChat Pay has collected nothing
    NOT_UNDERSTOOD = "not_understood"  # about a payment, in words that this version does not know
    UNCHANGED = "unchanged"
    REPEATED = "repeated"  # this very notification had made the order PAID_BY_WECHAT before
    CONTRADICTION = "contradiction"
    COLLECTED = "collected"
    PAID_BY_WECHAT = "paid_by_wechat"
    SYNCED = "synced"
    NOTHING_DUE = "nothing_due"


class Refused(NamedTuple):
    """The request is no notification that can be trusted; `mchid` is the path's, empty if there is none."""

    reason: Reason
    mchid: str = ""


class Failed(NamedTuple):
    """The notification could not be dealt with now."""

    trouble: Trouble
    mchid: str = ""


class Received(NamedTuple):
    """The notification was verified and dealt with; `order` is the item as it stands, if it is about one."""

    mchid: str
    event_type: str
    effect: Effect
    out_order_no: str = ""
    sub_mchid: str = ""
    order: Order | None = None


type Ending = Received | Refused | Failed
