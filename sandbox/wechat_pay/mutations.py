"""Changes of an order's own words in an answer, made before it is signed: what verifies is not what is documented."""

from collections.abc import Callable, Mapping
from typing import Any

type Words = dict[str, Any]
type Mutation = Callable[[Words, Mapping[str, Any]], object]


def _collection(value: Callable[[Mapping[str, Any]], object]) -> Mutation:
    """Put a value in the place of `collection`, of an order that has one or should have one."""

    def mutate(order: Words, options: Mapping[str, Any]) -> None:
        if order.get("state") == "DONE" or "collection" in order:
            order["collection"] = value(options)

    return mutate


def _details(order: Words, options: Mapping[str, Any]) -> None:
    if isinstance(order.get("collection"), dict):
        order["collection"]["details"] = [None] if options["details"] is None else options["details"]


_OF_PAYAFTER = {"MCH_COMPLETE": "FINISHED", "USER_CONFIRM": "USER_ACCEPTED"}


def _foreign(order: Words, options: Mapping[str, Any]) -> None:
    if "state" not in order:
        return
    if options["words"] == "payafter":
        _say_as_payafter(order)
    else:
        _say_unknown(order)


def _say_as_payafter(order: Words) -> None:
    """What payafter-orders calls the same facts (state, pay_type, pay_succ_time, finish_transaction_id)."""
    collection = order.pop("collection", {})
    description = order.pop("state_description", "")
    order["state"] = _OF_PAYAFTER.get(description, order["state"])
    details = collection.get("details") if isinstance(collection, dict) else None
    if order["state"] == "DONE" and details:
        detail = details[0]
        order |= {"state": "USER_PAID", "pay_succ_time": detail.get("paid_time", "")}
        by_wechat = {"finish_transaction_id": detail.get("transaction_id", "")}
        order |= {"pay_type": "MchChannelPayType"} if detail.get("paid_type") == "MCH" else by_wechat


def _say_unknown(order: Words) -> None:
    """New words at every place that has one ("new values may be added", doc 4012081709)."""
    collection = order.get("collection")
    if not isinstance(collection, dict):
        order["state_description"] = "WAIT_REVIEW"
        return
    collection["state"] = "WAIT_PAY"
    for detail in collection.get("details", []):
        detail["paid_type"] = "CREDIT"


MUTATIONS: Mapping[str, Mutation] = {
    "unknown_state": lambda order, options: order.update(state=options["state"]),
    "foreign_words": _foreign,
    "no_collection": lambda order, _: order.pop("collection", None),
    "collection_empty": _collection(lambda _: []),
    "collection_null": _collection(lambda _: None),
    "collection_unreadable": _collection(lambda options: "x" if options["value"] is None else options["value"]),
    "details_unreadable": _details,
    "total_amount_missing": lambda order, _: order.pop("total_amount", None),
    "huge_body": lambda order, _: order.update(attach="x" * (2 << 20)),
    "other_order": lambda order, options: order.update(out_order_no=options["as_order"]),
}
"""Each fault that changes the order's words, and how; the order is changed in place."""
