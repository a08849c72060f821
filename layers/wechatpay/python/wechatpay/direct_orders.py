"""The life of a service order at the direct endpoint: create, complete, modify, cancel (docs 4012586135, 4012587166).

A shop's side of PayScore. Whoever only tells WeChat Pay of payments needs none of it. What each call takes stands in
one TypedDict, for both its forms: a type checker and `help()` show it as keyword arguments.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

from wechatpay.chain import Call
from wechatpay.service_order import (
    Location,
    PostDiscount,
    PostPayment,
    RiskFund,
    ServiceOrder,
    TimeRange,
    about,
    service_order,
)

if TYPE_CHECKING:
    from wechatpay.client import Client

PATH = "v3/payscore/serviceorder"

_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")


class OrderIdentity(TypedDict):
    """Which order: `service_id` and `appid` are those it was created with."""

    out_order_no: str
    service_id: str
    appid: str


class NewOrder(OrderIdentity):
    """An order to create; `service_introduction` has up to 20 signs, `notify_url` is https and holds no query.

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


class Bill(OrderIdentity):
    """What the customer owes: `total_amount` fen is the payments less the discounts; 0 ends the order at once."""

    post_payments: Sequence[PostPayment]
    total_amount: int
    post_discounts: NotRequired[Sequence[PostDiscount]]


class CompletedOrder(Bill):
    """The bill at the end of the service; `time_range` and `location` need their ends now."""

    time_range: NotRequired[TimeRange]
    location: NotRequired[Location]
    profit_sharing: NotRequired[bool]
    goods: NotRequired[Sequence[Mapping[str, object]]]


class ModifiedOrder(Bill):
    """A smaller bill; `reason`, up to 50 signs, is shown to the customer."""

    reason: str


class CanceledOrder(OrderIdentity):
    """An order that will not be charged; `reason` has up to 30 signs."""

    reason: str


class DirectOrders:
    """What a shop does with its orders; a part of `client.payscore`.

    Wrong names raise TypeError and values that cannot be sent ValueError, both before anything is sent; an answer about
    another order MalformedError; the rest is as `Client.call` raises it. `create` and `cancel` may be repeated with the
    same arguments; after an unknown outcome of `complete` or `modify`, query first.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def create(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """Open an order; the customer confirms it by the answer's `package` (doc 4012586135)."""
        return self._order(_create(order), order["out_order_no"])

    async def create_async(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """`create`, to be awaited."""
        return await self._order_async(_create(order), order["out_order_no"])

    def complete(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """Ask for the money: WeChat Pay begins to collect (doc 4012587166)."""
        return self._order(_act("complete", CompletedOrder, order), order["out_order_no"])

    async def complete_async(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """`complete`, to be awaited."""
        return await self._order_async(_act("complete", CompletedOrder, order), order["out_order_no"])

    def modify(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """Ask for less than before, while nothing has been collected."""
        return self._order(_act("modify", ModifiedOrder, order), order["out_order_no"])

    async def modify_async(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """`modify`, to be awaited."""
        return await self._order_async(_act("modify", ModifiedOrder, order), order["out_order_no"])

    def cancel(self, **order: Unpack[CanceledOrder]) -> None:
        """End an order that nobody has paid; it is REVOKED then."""
        about(self._client.call(_act("cancel", CanceledOrder, order)), order["out_order_no"], self._client.mchid)

    async def cancel_async(self, **order: Unpack[CanceledOrder]) -> None:
        """`cancel`, to be awaited."""
        call = _act("cancel", CanceledOrder, order)
        about(await self._client.call_async(call), order["out_order_no"], self._client.mchid)

    def _order(self, call: Call, out_order_no: str) -> ServiceOrder:
        return service_order(self._client.call(call), out_order_no, self._client.mchid)

    async def _order_async(self, call: Call, out_order_no: str) -> ServiceOrder:
        return service_order(await self._client.call_async(call), out_order_no, self._client.mchid)


def _create(order: Mapping[str, Any]) -> Call:
    return Call("POST", PATH, {}, json={"need_user_confirm": True, **_told(NewOrder, order)}, repeatable=True)


def _act(deed: str, kind: Any, order: Mapping[str, Any]) -> Call:  # noqa: ANN401  a TypedDict's class
    told = _told(kind, order)
    values = {"out_order_no": told.pop("out_order_no")}
    return Call("POST", f"{PATH}/{{out_order_no}}/{deed}", values, json=told, repeatable=deed == "cancel")


def _told(kind: Any, order: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401  a TypedDict's class
    """Return the fields to send; TypeError for missing and surplus names, ValueError for what is no such value."""
    if missing := sorted(kind.__required_keys__ - order.keys()):
        raise TypeError(f"missing {', '.join(missing)}")
    if surplus := sorted(order.keys() - kind.__required_keys__ - kind.__optional_keys__):
        raise TypeError(f"{', '.join(surplus)} has no place here")
    identified_by(order["out_order_no"])
    return {name: _plain(name, value) for name, value in order.items()}


def _plain(name: str, value: object) -> object:
    """Return a value as JSON: of a dataclass the fields that are set. Money is whole fen."""
    if is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in fields(value)}
        return {member: _plain(f"{name}.{member}", held) for member, held in members.items() if held is not None}
    if name.endswith("amount") and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{name} must be whole fen, not negative")
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[{position}]", member) for position, member in enumerate(value)]
    return value


def identified_by(out_order_no: str) -> dict[str, str]:
    """Return the number as a field to send; ValueError for what WeChat Pay does not take as one."""
    if not isinstance(out_order_no, str) or not _OUT_ORDER_NO.fullmatch(out_order_no):
        raise ValueError("out_order_no must be 1 to 32 of digits, letters, _ - | *")
    return {"out_order_no": out_order_no}
