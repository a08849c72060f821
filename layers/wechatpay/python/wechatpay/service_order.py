"""A service order with types, as it is sent and as it is answered (docs 4012587902, 4012587900).

Money is whole fen (oversea: of `currency`). Times stay the text they are; a property gives each as aware `datetime`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from wechatpay import times
from wechatpay.answer import JsonObject


@dataclass(frozen=True, slots=True)
class PostPayment:
    """One thing to pay for: `amount` fen, `count` from 1 to 100; `name` up to 20 characters, `description` up to 30."""

    name: str | None = None
    amount: int | None = None
    description: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PostDiscount:
    """One discount: `amount` fen; `name` up to 20 characters, `description` up to 30."""

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
        begin = "OnAccept" if isinstance(start, str) and start == "OnAccept" else times.write(start, field="start")
        return cls(begin, None if end is None else times.write(end, field="end"))

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
    """Where the service begins and ends, up to 20 characters each."""

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

    None means absent or unreadable; of an unreadable field `name in order.raw` is True. `raw` is the whole verified
    answer, decoded, names without blanks. Words and transaction numbers are cleaned and bounded (`wechatpay.text`),
    `raw` is not. `repr` shows neither `raw` nor who the customer is.
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
    raw: JsonObject = field(default_factory=dict, repr=False, hash=False)

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
