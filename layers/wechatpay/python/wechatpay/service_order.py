"""A service order with types, as it is sent and as it is answered (docs 4012587902, 4012587900).

Read tolerantly: WeChat Pay may add fields and words at any time (4012081709), and its own samples write an object where
a list is due, numbers as text, and blanks around names. What cannot be read is None; `raw` has it as it came.
Money is whole fen (oversea: of `currency`). Times stay the text they are; beside each stands the aware `datetime`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import Any, Self, TypeVar

from wechatpay import times
from wechatpay.answer import Answer, tidy
from wechatpay.errors import MalformedError
from wechatpay.text import printable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostPayment:
    """One thing to pay for: `amount` fen, `count` from 1 to 100; `name` up to 20 signs, `description` up to 30."""

    name: str | None = None
    amount: int | None = None
    description: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PostDiscount:
    """One discount: `amount` fen; `name` up to 20 signs, `description` up to 30."""

    name: str | None = None
    description: str | None = None
    amount: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class RiskFund:
    """What may be charged at most: `amount` fen; `name` is DEPOSIT, ADVANCE, CASH_DEPOSIT or ESTIMATE_ORDER_COST."""

    name: str | None = None
    amount: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """When the service begins and ends, as WeChat Pay writes it; make one with `TimeRange.between`."""

    start_time: str | None = None
    end_time: str | None = None
    start_time_remark: str | None = None
    end_time_remark: str | None = None

    @classmethod
    def between(cls, start: datetime | str, end: datetime | str | None = None) -> Self:
        """Make one from aware datetimes, digits of Beijing time or RFC 3339; `start` may be `OnAccept`."""
        begin = "OnAccept" if isinstance(start, str) and start == "OnAccept" else times.written(start, field="start")
        return cls(begin, None if end is None else times.written(end, field="end"))

    @property
    def start(self) -> datetime | None:
        """The moment of `start_time`, aware; None for `OnAccept`."""
        return times.read(self.start_time)

    @property
    def end(self) -> datetime | None:
        """The moment of `end_time`, aware."""
        return times.read(self.end_time)


@dataclass(frozen=True, slots=True)
class Location:
    """Where the service begins and ends, up to 20 signs each."""

    start_location: str | None = None
    end_location: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """The devices of the service; `materiel_no` is the URL on the material that the customer scans (4012587900)."""

    start_device_id: str | None = None
    end_device_id: str | None = None
    materiel_no: str | None = None


@dataclass(frozen=True, slots=True)
class GoodsDetail:
    """One kind of goods that a coupon was used for; `unit_price` and `discount_amount` are fen."""

    goods_id: str | None = None
    quantity: int | None = None
    unit_price: int | None = None
    discount_amount: int | None = None
    goods_remark: str | None = None


@dataclass(frozen=True, slots=True)
class PromotionDetail:
    """A coupon that was used; amounts are fen. `scope` is GLOBAL or SINGLE, `type` CASH or NOCASH."""

    coupon_id: str | None = None
    name: str | None = None
    scope: str | None = None
    type: str | None = None
    amount: int | None = None
    stock_id: str | None = None
    wechatpay_contribute: int | None = None
    merchant_contribute: int | None = None
    other_contribute: int | None = None
    currency: str | None = None
    goods_detail: tuple[GoodsDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionDetail:
    """One part of what was collected, in fen; `paid_type` is NEWTON (by WeChat Pay) or MCH (by the merchant)."""

    seq: int | None = None
    amount: int | None = None
    paid_type: str | None = None
    paid_time: str | None = None
    transaction_id: str | None = None
    promotion_detail: tuple[PromotionDetail, ...] = ()

    @property
    def paid_at(self) -> datetime | None:
        """The moment of `paid_time`, aware."""
        return times.read(self.paid_time)


@dataclass(frozen=True, slots=True)
class Collection:
    """What is collected for an order; `state` is USER_PAYING, USER_PAID or a word to come; amounts are fen.

    `unreadable`: `details` stands in the answer, but is neither a list nor an object, or has a part that is no object
    or has no readable `paid_type`. `details` then lacks a part, or what one of them says: conclude nothing from it.
    """

    state: str | None = None
    total_amount: int | None = None
    paying_amount: int | None = None
    paid_amount: int | None = None
    bank_type: str | None = None
    details: tuple[CollectionDetail, ...] = ()
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """A service order as WeChat Pay has it, in its own words: a property never replaces one word by another.

    `state` is CREATED, DOING, DONE, REVOKED, EXPIRED or a word to come; `state_description` belongs to DOING. An order
    of the endpoint payafter has no `collection`, and other states: CREATED, USER_ACCEPTED (confirmed), FINISHED (to be
    paid), USER_PAID, REVOKED, EXPIRED; how it was paid is in `pay_type` (`MchChannelPayType`: by the merchant's
    channel), `pay_succ_time` and `finish_transaction_id` (WeChat Pay's own transaction, only with USER_PAID).
    `package` comes with a new order: the shop's mini program shows the customer's confirmation with it. `sub_mchid`,
    `sub_appid`, `channel_id` and `currency` come from the endpoints that know them.

    None means absent or unreadable; `name in order.raw` tells which. `raw` is the whole verified answer, decoded, names
    without blanks. Words and transaction numbers are cleaned and bounded (`wechatpay.text`), `raw` is not.
    `repr` shows neither `raw` nor who the customer is.
    """

    out_order_no: str
    state: str
    state_description: str | None = None
    mchid: str | None = None
    service_id: str | None = None
    appid: str | None = None
    sub_mchid: str | None = None
    sub_appid: str | None = None
    channel_id: str | None = None
    order_id: str | None = None
    service_introduction: str | None = None
    total_amount: int | None = None
    need_collection: bool | None = None
    collection: Collection | None = None
    post_payments: tuple[PostPayment, ...] = ()
    post_discounts: tuple[PostDiscount, ...] = ()
    risk_fund: RiskFund | None = None
    time_range: TimeRange | None = None
    location: Location | None = None
    attach: str | None = field(default=None, repr=False)
    notify_url: str | None = field(default=None, repr=False)
    openid: str | None = field(default=None, repr=False)
    sub_openid: str | None = field(default=None, repr=False)
    package: str | None = field(default=None, repr=False)
    currency: str | None = None
    currency_price: int | None = None
    currency_rate_info: str | None = None
    pay_type: str | None = None
    pay_succ_time: str | None = None
    finish_transaction_id: str | None = None
    request_id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @property
    def collection_state(self) -> str | None:
        """The state of the collection; None before the merchant completes the order, or where nothing was due."""
        return self.collection.state if self.collection else None

    @property
    def paid_type(self) -> str | None:
        """How it was paid: NEWTON if any part was collected by WeChat Pay, otherwise the last part's word.

        None where a part is unreadable, and none is NEWTON. Of a payafter order, once it is USER_PAID: NEWTON where
        WeChat Pay names its transaction, MCH where it was the merchant's channel (`MchChannelPayType`), None where it
        says both, or neither.
        """
        words = [detail.paid_type for detail in self._details if detail.paid_type]
        if "NEWTON" in words:
            return "NEWTON"
        if self.collection is not None:
            return words[-1] if words and not self.collection.unreadable else None
        return self._payafter_type() if self.state == "USER_PAID" else None

    def _payafter_type(self) -> str | None:
        if any(not isinstance(self.raw.get(name, ""), str) for name in ("pay_type", "finish_transaction_id")):
            return None
        if self.pay_type == "MchChannelPayType":
            return None if self.finish_transaction_id else "MCH"
        return "NEWTON" if self.finish_transaction_id else None

    @property
    def transaction_id(self) -> str | None:
        """WeChat Pay's number of its own collection, which a refund needs; None where the merchant took the money."""
        numbers = (detail.transaction_id for detail in self._details if detail.transaction_id)
        return next(numbers, self.finish_transaction_id)

    @property
    def paid_moments(self) -> tuple[datetime, ...]:
        """Every readable time of payment, aware: each part's `paid_time`, and `pay_succ_time`."""
        moments = [detail.paid_at for detail in self._details] + [times.read(self.pay_succ_time)]
        return tuple(moment for moment in moments if moment is not None)

    @property
    def paid_at(self) -> datetime | None:
        """The moment of the last payment, aware; None before, or where no time of payment is readable."""
        return max(self.paid_moments, default=None)

    @property
    def _details(self) -> tuple[CollectionDetail, ...]:
        return self.collection.details if self.collection else ()


def service_order(
    answer: Answer, out_order_no: str, mchid: str, identity: Mapping[str, object] | None = None
) -> ServiceOrder:
    """Read an order from a verified answer; raises as `about` does, and MalformedError where it has no state.

    An answer is signed, but does not say for which request: a genuine one about another order must not pass for ours.
    """
    raw = about(answer, out_order_no, mchid, identity)
    if not isinstance(raw.get("state"), str) or not raw["state"]:
        raise MalformedError("the verified answer is no service order", method=answer.method, path=answer.path)
    return _read(ServiceOrder, {**raw, "request_id": answer.request_id, "raw": raw})


def about(
    answer: Answer, out_order_no: str, mchid: str, identity: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return what a verified answer says about this merchant's order of this number.

    `identity`: further fields as the call named them. MalformedError where the answer names another value of any; what
    it leaves out, it does not contradict.
    """
    raw = tidy(answer.json())
    if not isinstance(raw, dict):
        raise MalformedError("the verified answer is no service order", method=answer.method, path=answer.path)
    expected = {"mchid": mchid} | {name: str(value) for name, value in (identity or {}).items()}
    if raw.get("out_order_no") != out_order_no or any(raw.get(name, text) != text for name, text in expected.items()):
        raise MalformedError("the verified answer is about another order", method=answer.method, path=answer.path)
    return raw


def _read(kind: type[T], members: Mapping[str, Any]) -> T:
    """Read every field of `kind` by its own type; what is absent or unreadable keeps its default."""
    readers = _readers(kind)  # type: ignore[arg-type]  # mypy doubts classes
    values = {name: readers[name](value) for name, value in members.items() if name in readers}
    return kind(**{name: value for name, value in values.items() if value is not None})


@cache
def _readers(kind: type) -> Mapping[str, Callable[[object], object]]:
    return {known.name: _word(known.name) or _READERS[known.type] for known in fields(kind)}


# Texts that people read in tables, logs and consoles, and the characters that they may have. A word is bounded far
# above the longest documented one; the documented bound of a transaction number is 64 (4012587902).
_BOUNDS = {
    "state": 64,
    "state_description": 64,
    "paid_type": 64,
    "pay_type": 64,
    "transaction_id": 128,
    "finish_transaction_id": 128,
}


def _word(name: str) -> Callable[[object], str | None] | None:
    if name not in _BOUNDS:
        return None
    limit = _BOUNDS[name]

    def read(value: object) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        return value if len(value) <= limit and value.isprintable() else printable(value, limit)

    return read


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fen(value: object) -> int | None:
    """An integer; the documentation's own samples write some of them as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _one(kind: type[T]) -> Callable[[object], T | None]:
    return lambda value: _read(kind, value) if isinstance(value, dict) else None


def _collection(value: object) -> Collection | None:
    if not isinstance(value, dict):
        return None
    return _read(Collection, {**value, "unreadable": not _is_readable(value.get("details", []))})


def _is_readable(details: object) -> bool:
    """Whether each part of a collection is an object that says how it was paid; an object stands for a list of one."""
    parts = details if isinstance(details, list) else [details]
    return all(isinstance(part, dict) and _text(part.get("paid_type")) for part in parts)


def _many(kind: type[T]) -> Callable[[object], tuple[T, ...]]:
    def read(value: object) -> tuple[T, ...]:
        parts = value if isinstance(value, list) else [value]
        return tuple(_read(kind, part) for part in parts if isinstance(part, dict))

    return read


_READERS: Mapping[object, Callable[[object], object]] = {
    str: _text,
    str | None: _text,
    int | None: _fen,
    bool: _flag,
    bool | None: _flag,
    Mapping[str, Any]: _object,
    Collection | None: _collection,
    RiskFund | None: _one(RiskFund),
    TimeRange | None: _one(TimeRange),
    Location | None: _one(Location),
    tuple[PostPayment, ...]: _many(PostPayment),
    tuple[PostDiscount, ...]: _many(PostDiscount),
    tuple[CollectionDetail, ...]: _many(CollectionDetail),
    tuple[PromotionDetail, ...]: _many(PromotionDetail),
    tuple[GoodsDetail, ...]: _many(GoodsDetail),
}
