"""The life of a service order at the direct endpoint: create, complete, modify, cancel.

A shop's side of PayScore; an adapter that only reports payments needs none of it.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import NamedTuple, Unpack

from wechatpay.answer import Answer
from wechatpay.arguments import (
    CanceledOrder,
    CompletedOrder,
    ModifiedOrder,
    NewOrder,
    is_natural,
    require_names,
    require_out_order_no,
)
from wechatpay.caller import Caller, TypedCall
from wechatpay.chain import Call
from wechatpay.endpoints import ENDPOINTS
from wechatpay.errors import MalformedError
from wechatpay.read_order import order_fields, read_order
from wechatpay.service_order import ServiceOrder

_ENDPOINT = ENDPOINTS["direct"]
_DEPTH = 8  # levels of a call's values; the documented ones have three


class _Operation(NamedTuple):
    """One operation: its arguments, the states that its answer may have, and whether it may be executed twice."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    states: frozenset[str]
    repeatable: bool = False


# `create` is re-entrant: repeated with the same arguments it succeeds whatever has become of the order since.
_CREATE = _Operation(
    "create",
    NewOrder.__required_keys__,
    NewOrder.__optional_keys__,
    frozenset({"CREATED", "DOING", "DONE", "REVOKED", "EXPIRED"}),
    repeatable=True,
)
# A completed order waits for its money (DOING), has nothing to collect or has been collected already (DONE).
_BILLED = frozenset({"DOING", "DONE"})
_COMPLETE = _Operation("complete", CompletedOrder.__required_keys__, CompletedOrder.__optional_keys__, _BILLED)
_MODIFY = _Operation("modify", ModifiedOrder.__required_keys__, ModifiedOrder.__optional_keys__, _BILLED)
# The answer to `cancel` has no state; one with another state than this is an answer to another call.
_CANCEL = _Operation(
    "cancel",
    CanceledOrder.__required_keys__,
    CanceledOrder.__optional_keys__,
    frozenset({"REVOKED"}),
    repeatable=True,
)


class DirectOrders:
    """What a shop does with its orders; a part of `client.payscore`.

    Every operation takes the keyword arguments of its TypedDict. It raises TypeError for missing and surplus names and
    ValueError for values that cannot be sent, both before anything is sent; MalformedError for an answer about another
    order, or in a state that this call cannot have led to (a signed answer does not say which call it answers); and
    UnansweredError, RefusedError and UntrustedError as `Client.call` does. `create` and `cancel` may be repeated with
    the same arguments; after an unknown outcome of `complete` or `modify`, query first.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """Open an order, which the customer confirms (doc 4012587900).

        Args:
            **order: keyword arguments, those of `NewOrder`; `need_user_confirm` is True by default.

        Returns:
            The order; its `package` shows the confirmation in the shop's mini program.

        Raises:
            TypeError, ValueError, MalformedError, WeChatPayError: see `DirectOrders`.
        """
        return self._caller.run(self._call(_CREATE, order))

    async def create_async(self, **order: Unpack[NewOrder]) -> ServiceOrder:
        """Do what `create` does, on a thread of the client."""
        return await self._caller.run_async(self._call(_CREATE, order))

    def complete(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """End the service and ask for the money: WeChat Pay begins to collect (doc 4012587955).

        Args:
            **order: keyword arguments, those of `CompletedOrder`; amounts are whole fen.

        Returns:
            The order, waiting for its money or with nothing to collect.

        Raises:
            TypeError, ValueError, MalformedError, WeChatPayError: see `DirectOrders`.
        """
        return self._caller.run(self._call(_COMPLETE, order))

    async def complete_async(self, **order: Unpack[CompletedOrder]) -> ServiceOrder:
        """Do what `complete` does, on a thread of the client."""
        return await self._caller.run_async(self._call(_COMPLETE, order))

    def modify(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """Ask for less than before, while nothing has been collected (doc 4012587957).

        Args:
            **order: keyword arguments, those of `ModifiedOrder`; amounts are whole fen.

        Returns:
            The order with its new bill.

        Raises:
            TypeError, ValueError, MalformedError, WeChatPayError: see `DirectOrders`.
        """
        return self._caller.run(self._call(_MODIFY, order))

    async def modify_async(self, **order: Unpack[ModifiedOrder]) -> ServiceOrder:
        """Do what `modify` does, on a thread of the client."""
        return await self._caller.run_async(self._call(_MODIFY, order))

    def cancel(self, **order: Unpack[CanceledOrder]) -> None:
        """End an order that has not been paid; it is REVOKED then (wiki chapter 3_3).

        Args:
            **order: keyword arguments, those of `CanceledOrder`.

        Raises:
            TypeError, ValueError, MalformedError, WeChatPayError: see `DirectOrders`.
        """
        return self._caller.run(self._cancel(order))

    async def cancel_async(self, **order: Unpack[CanceledOrder]) -> None:
        """Do what `cancel` does, on a thread of the client."""
        return await self._caller.run_async(self._cancel(order))

    def _call(self, operation: _Operation, order: Mapping[str, object]) -> TypedCall[ServiceOrder]:
        call, number, identity = _write(operation, order)
        mchid = self._caller.merchant.mchid

        def read(answer: Answer) -> ServiceOrder:
            service_order = read_order(answer, number, mchid, identity)
            _require_state(operation, answer, service_order.raw["state"])
            return service_order

        return TypedCall(call, read)

    def _cancel(self, order: Mapping[str, object]) -> TypedCall[None]:
        call, number, identity = _write(_CANCEL, order)
        mchid = self._caller.merchant.mchid

        def read(answer: Answer) -> None:
            answer_fields = order_fields(answer, number, mchid, identity)
            if "state" in answer_fields:
                _require_state(_CANCEL, answer, answer_fields["state"])

        return TypedCall(call, read)


def _write(operation: _Operation, order: Mapping[str, object]) -> tuple[Call, str, dict[str, object]]:
    """Return the call, and the number and the identity that its answer must have."""
    require_names(operation.required, operation.optional, order)
    number, identity = require_out_order_no(order["out_order_no"]), _ENDPOINT.identity_of(order)
    body = {name: _plain(name, value, _DEPTH) for name, value in order.items()}
    if operation is _CREATE:
        path, values, body = _ENDPOINT.path, {}, {"need_user_confirm": True, **body}
    else:
        path, values = f"{_ENDPOINT.path}/{{out_order_no}}/{operation.name}", {"out_order_no": body.pop("out_order_no")}
    return Call("POST", path, values, json=body, repeatable=operation.repeatable), number, identity


def _require_state(operation: _Operation, answer: Answer, state: object) -> None:
    """Raise MalformedError unless this is a state that the operation's answer may have."""
    if not isinstance(state, str) or state not in operation.states:
        text = f"the verified answer is not one to {operation.name}"
        raise MalformedError(text, method=answer.method, path=answer.path)


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
    if name.endswith("amount") and not is_natural(value):
        raise ValueError(f"{name} must be whole fen, not negative")
    return value
