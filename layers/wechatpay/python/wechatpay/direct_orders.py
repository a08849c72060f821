"""The life of a service order at the direct endpoint: create, complete, modify, cancel.

A shop's side of PayScore; an adapter that only reports payments needs none of it. What each call takes stands in one
TypedDict, for both its forms: a type checker and `help()` show it as keyword arguments. The tables of fields: create
4012587900, complete 4012587955, modify 4012587957, cancel wiki chapter 3_3.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

from wechatpay.chain import Call
from wechatpay.endpoints import ENDPOINTS
from wechatpay.errors import MalformedError
from wechatpay.service_order import (
    Device,
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
    from wechatpay.answer import Answer
    from wechatpay.client import Client

_ENDPOINT = ENDPOINTS["direct"]
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
    """A smaller bill; `reason`, up to 50 signs, is shown to the customer."""

    reason: str


class CanceledOrder(OrderIdentity):
    """An order that will not be charged; `reason` has up to 30 signs."""

    reason: str


_DEFINED = frozenset({"CREATED", "DOING", "DONE", "REVOKED", "EXPIRED"})
# The states that an answer to each operation may have. `create` is re-entrant: repeated with the same arguments it
# succeeds whatever has become of the order since. A completed order waits for its money (DOING), has nothing to collect
# or has been collected already (DONE). The answer to `cancel` has no state; one that has is an answer to another call.
_STATES = {
    "create": _DEFINED,
    "complete": frozenset({"DOING", "DONE"}),
    "modify": frozenset({"DOING", "DONE"}),
    "cancel": frozenset({"REVOKED"}),
}
_DEPTH = 8  # levels of a call's values; the documented ones have three


class DirectOrders:
    """What a shop does with its orders; a part of `client.payscore`.

    Wrong names raise TypeError and values that cannot be sent ValueError, both before anything is sent. An answer about
    another order, or in a state that this call cannot have led to, raises MalformedError: a signed answer does not say
    which call it answers. The rest is as `Client.call` raises it. `create` and `cancel` may be repeated with the same
    arguments; after an unknown outcome of `complete` or `modify`, query first.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def create(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """Open an order; the customer confirms it by the answer's `package` (doc 4012587900)."""
        call = _create(order)
        return _order("create", self._client.call(call), order, self._client.mchid)

    async def create_async(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """`create`, to be awaited."""
        call = _create(order)
        return _order("create", await self._client.call_async(call), order, self._client.mchid)

    def complete(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """Ask for the money: WeChat Pay begins to collect (doc 4012587955)."""
        call = _operate("complete", CompletedOrder, order)
        return _order("complete", self._client.call(call), order, self._client.mchid)

    async def complete_async(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """`complete`, to be awaited."""
        call = _operate("complete", CompletedOrder, order)
        return _order("complete", await self._client.call_async(call), order, self._client.mchid)

    def modify(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """Ask for less than before, while nothing has been collected (doc 4012587957)."""
        call = _operate("modify", ModifiedOrder, order)
        return _order("modify", self._client.call(call), order, self._client.mchid)

    async def modify_async(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """`modify`, to be awaited."""
        call = _operate("modify", ModifiedOrder, order)
        return _order("modify", await self._client.call_async(call), order, self._client.mchid)

    def cancel(self, **order: Unpack[CanceledOrder]) -> None:
        """End an order that has not been paid; it is REVOKED then (wiki chapter 3_3)."""
        call = _operate("cancel", CanceledOrder, order)
        _require_canceled(self._client.call(call), order, self._client.mchid)

    async def cancel_async(self, **order: Unpack[CanceledOrder]) -> None:
        """`cancel`, to be awaited."""
        call = _operate("cancel", CanceledOrder, order)
        _require_canceled(await self._client.call_async(call), order, self._client.mchid)


def _order(operation: str, answer: "Answer", call: Mapping[str, Any], mchid: str) -> ServiceOrder:
    order = service_order(answer, call["out_order_no"], mchid, _ENDPOINT.identified_by(call))
    _require_state(operation, answer, order.raw["state"])
    return order


def _require_canceled(answer: "Answer", call: Mapping[str, Any], mchid: str) -> None:
    said = about(answer, call["out_order_no"], mchid, _ENDPOINT.identified_by(call))
    if "state" in said:
        _require_state("cancel", answer, said["state"])


def _require_state(operation: str, answer: "Answer", state: object) -> None:
    """Raise MalformedError unless this is a state that the operation's answer may have."""
    if not isinstance(state, str) or state not in _STATES[operation]:
        text = f"the verified answer is not one to {operation}"
        raise MalformedError(text, method=answer.method, path=answer.path)


def _create(order: Mapping[str, Any]) -> Call:
    body = {"need_user_confirm": True, **_request_fields(NewOrder, order)}
    return Call("POST", _ENDPOINT.path, {}, json=body, repeatable=True)


def _operate(operation: str, kind: Any, order: Mapping[str, Any]) -> Call:  # noqa: ANN401  a TypedDict's class
    body = _request_fields(kind, order)
    number = {"out_order_no": body.pop("out_order_no")}
    path = f"{_ENDPOINT.path}/{{out_order_no}}/{operation}"
    return Call("POST", path, number, json=body, repeatable=operation == "cancel")


def _request_fields(kind: Any, order: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401  a TypedDict's class
    """Return the fields to send; TypeError for missing and surplus names, ValueError for what is no such value."""
    if missing := sorted(kind.__required_keys__ - order.keys()):
        raise TypeError(f"missing {', '.join(missing)}")
    if surplus := sorted(order.keys() - kind.__required_keys__ - kind.__optional_keys__):
        raise TypeError(f"{', '.join(surplus)} has no place here")
    identified_by(order["out_order_no"])
    return {name: _plain(name, value, _DEPTH) for name, value in order.items()}


def _plain(name: str, value: object, depth: int) -> object:
    """Return a value as JSON: of a dataclass the fields that are set. Money is whole fen, wherever it stands."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: member for field in fields(value) if (member := getattr(value, field.name)) is not None}
    if isinstance(value, dict | list | tuple) and not depth:
        raise ValueError(f"{name} is nested too deeply, or holds itself")
    if isinstance(value, dict):
        return {key: _plain(f"{name}.{key}", member, depth - 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[{position}]", member, depth - 1) for position, member in enumerate(value)]
    if name.endswith("amount") and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{name} must be whole fen, not negative")
    return value


def identified_by(out_order_no: str) -> dict[str, str]:
    """Return the number as a field to send; ValueError for what WeChat Pay does not take as one."""
    if not isinstance(out_order_no, str) or not _OUT_ORDER_NO.fullmatch(out_order_no):
        raise ValueError("out_order_no must be 1 to 32 of digits, letters, _ - | *")
    return {"out_order_no": out_order_no}
