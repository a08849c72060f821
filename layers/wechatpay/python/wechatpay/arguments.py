"""What the typed calls take: one TypedDict for each, and the checks of values before anything is sent.

A type checker shows each as keyword arguments. The tables of fields: query 4012587902, sync 4012587962, create
4012587900, complete 4012587955, modify 4012587957, cancel wiki chapter 3_3.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NotRequired, TypedDict

from wechatpay.endpoints import EndpointName
from wechatpay.service_order import Device, Location, PostDiscount, PostPayment, RiskFund, TimeRange

_OUT_ORDER_NO = r"[0-9A-Za-z_\-|*]{1,32}"


class OrderQuery(TypedDict):
    """The arguments of `query`: which order, at which endpoint."""

    out_order_no: str
    service_id: str
    appid: NotRequired[str | None]
    endpoint: NotRequired[EndpointName]
    sub_mchid: NotRequired[str | None]
    channel_id: NotRequired[str | None]


class SyncPayment(OrderQuery):
    """The arguments of `sync`: which order, and the payment to report."""

    paid_time: datetime | str
    seq: NotRequired[int | None]
    paid_amount: NotRequired[int | None]


class OrderIdentity(TypedDict):
    """Which order: `service_id` and `appid` are those it was created with."""

    out_order_no: str
    service_id: str
    appid: str


class NewOrder(OrderIdentity):
    """An order to create; `service_introduction` has up to 20 characters, `notify_url` is https and holds no query.

    `openid` is needed where `need_user_confirm` is False.
    """

    service_introduction: str
    risk_fund: RiskFund
    time_range: TimeRange
    notify_url: str
    post_payments: NotRequired[Sequence[PostPayment]]
    post_discounts: NotRequired[Sequence[PostDiscount]]
    location: NotRequired[Location]
    attach: NotRequired[str]
    openid: NotRequired[str]
    need_user_confirm: NotRequired[bool]
    device: NotRequired[Device]


class Bill(OrderIdentity):
    """What the customer owes: `total_amount` fen is the payments less the discounts; 0 ends the order at once."""

    post_payments: Sequence[PostPayment]
    total_amount: int
    post_discounts: NotRequired[Sequence[PostDiscount]]
    device: NotRequired[Device]


class CompletedOrder(Bill):
    """The bill at the end of the service; `time_range` and `location` need their ends now.

    `goods_tag` marks the order for coupons; of the four calls only this one has it (4012587955).
    """

    time_range: NotRequired[TimeRange]
    location: NotRequired[Location]
    profit_sharing: NotRequired[bool]
    goods_tag: NotRequired[str]


class ModifiedOrder(Bill):
    """A smaller bill; `reason`, up to 50 characters, is shown to the customer."""

    reason: str


class CanceledOrder(OrderIdentity):
    """An order that will not be charged; `reason` has up to 30 characters."""

    reason: str


def require_names(required: frozenset[str], optional: frozenset[str], arguments: Mapping[str, object]) -> None:
    """Raise TypeError for missing names, then for surplus ones; of a TypedDict, as Python does of a signature."""
    if missing := sorted(required - arguments.keys()):
        raise TypeError(f"missing {', '.join(missing)}")
    if surplus := sorted(arguments.keys() - required - optional):
        raise TypeError(f"{', '.join(surplus)} has no place here")


def require_out_order_no(number: object) -> str:
    """Return the order's number; raise ValueError for what WeChat Pay does not take as one (doc 4012587902)."""
    if not isinstance(number, str) or not re.fullmatch(_OUT_ORDER_NO, number):
        raise ValueError("out_order_no must be 1 to 32 of digits, letters, _ - | *")
    return number


def is_natural(value: object) -> bool:
    """Whether the value is a whole number, not negative, as money in fen is; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
