"""Faults of the order in an answer, made before it is signed: the answer verifies and is not as documented."""

import functools
import json
from collections.abc import Callable
from typing import Any, Concatenate, Literal

from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import Change, When, fault
from sandbox.wechat_pay.message import as_json

type OrderJson = dict[str, Any]  # of whatever form an earlier change has left


def _changing_the_order[**P](mutate: Callable[Concatenate[OrderJson, P], None]) -> Change[P]:
    """Turn a function that changes the order of an answer in place into one that changes the draft."""

    @functools.wraps(mutate)
    def change(draft: Draft, /, *arguments: P.args, **options: P.kwargs) -> Draft:
        if not draft.reply.body or draft.reply.status != 200:
            return draft
        order = json.loads(draft.reply.body)
        mutate(order, *arguments, **options)
        return draft.with_body(as_json(order))

    return change


@fault(When.AFTER)
@_changing_the_order
def unknown_state(order: OrderJson, *, state: str = "SUSPENDED") -> None:
    """A state outside the documentation."""
    order["state"] = state


@fault(When.AFTER)
@_changing_the_order
def foreign_words(order: OrderJson, *, words: Literal["payafter", "unknown"] = "payafter") -> None:
    """The order in the words of another endpoint, or of none."""
    if "state" not in order:
        return
    if words == "payafter":
        _as_payafter(order)
    else:
        _with_unknown_words(order)


@fault(When.AFTER)
@_changing_the_order
def no_collection(order: OrderJson) -> None:
    """The order without `collection`."""
    order.pop("collection", None)


@fault(When.AFTER)
@_changing_the_order
def collection_empty(order: OrderJson) -> None:
    """`collection` is []."""
    _set_collection(order, [])


@fault(When.AFTER)
@_changing_the_order
def collection_null(order: OrderJson) -> None:
    """`collection` is null."""
    _set_collection(order, None)


@fault(When.AFTER)
@_changing_the_order
def collection_unreadable(order: OrderJson, *, value: object = None) -> None:
    """`collection` is `value`, a text by default."""
    _set_collection(order, "x" if value is None else value)


@fault(When.AFTER)
@_changing_the_order
def details_unreadable(order: OrderJson, *, details: object = None) -> None:
    """`collection.details` is `details`, [null] by default."""
    if isinstance(order.get("collection"), dict):
        order["collection"]["details"] = [None] if details is None else details


@fault(When.AFTER)
@_changing_the_order
def total_amount_missing(order: OrderJson) -> None:
    """The order without `total_amount`."""
    order.pop("total_amount", None)


@fault(When.AFTER)
def nested_answer(draft: Draft, *, depth: int = 1000) -> Draft:
    """One more member, nested `depth` levels deep."""
    if not draft.reply.body.endswith(b"}"):
        return draft
    deep = b"[" * depth + b"]" * depth  # as text: Python's own writer refuses such depths
    return draft.with_body(draft.reply.body[:-1] + b',"nested":' + deep + b"}")


@fault(When.AFTER)
@_changing_the_order
def huge_body(order: OrderJson) -> None:
    """2 MB in one member."""
    order["attach"] = "x" * (2 << 20)


@fault(When.AFTER)
@_changing_the_order
def other_order(order: OrderJson, *, as_order: str = "ANOTHER-ORDER") -> None:
    """The number of another order."""
    order["out_order_no"] = as_order


def _set_collection(order: OrderJson, value: object) -> None:
    """Put a value in the place of `collection`, of an order that has one or should have one."""
    if order.get("state") == "DONE" or "collection" in order:
        order["collection"] = value


_OF_PAYAFTER = {"MCH_COMPLETE": "FINISHED", "USER_CONFIRM": "USER_ACCEPTED"}


def _as_payafter(order: OrderJson) -> None:
    """Name the same facts as payafter-orders does (state, pay_type, pay_succ_time, finish_transaction_id)."""
    collection = order.pop("collection", {})
    description = order.pop("state_description", "")
    order["state"] = _OF_PAYAFTER.get(description, order["state"])
    details = collection.get("details") if isinstance(collection, dict) else None
    if order["state"] == "DONE" and details:
        detail = details[0]
        order |= {"state": "USER_PAID", "pay_succ_time": detail.get("paid_time", "")}
        by_wechat = {"finish_transaction_id": detail.get("transaction_id", "")}
        order |= {"pay_type": "MchChannelPayType"} if detail.get("paid_type") == "MCH" else by_wechat


def _with_unknown_words(order: OrderJson) -> None:
    """Put a new word at every place that has one ("new values may be added", doc 4012081709)."""
    collection = order.get("collection")
    if not isinstance(collection, dict):
        order["state_description"] = "WAIT_REVIEW"
        return
    collection["state"] = "WAIT_PAY"
    for detail in collection.get("details", []):
        detail["paid_type"] = "CREDIT"
