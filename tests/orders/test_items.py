"""The items of the orders table, attribute by attribute: a public format, which consoles and other programs read.

The items were written down from the function as it was before orders had parts.
"""

from copy import replace
from typing import Any

import pytest

from orders.errors import UnreadableItemError
from orders.items import document_of, item_of, order_of
from orders.order import Attempt, Facts, Order, Outcome, Payment, Receipt, Refusal, Reporter, Status, instant
from orders.rules import record

NOW = 1_767_240_000.0
AT = {"S": "2026-01-01T04:00:00.000Z"}
PAYMENT = Payment("1230000109", "A1", "20260101110000", appid="wx1", service_id="500001", endpoint="direct")
TILL = Reporter("m1", "e1", "pos.till")
WHO = {"mchid": {"S": "1230000109"}, "out_order_no": {"S": "A1"}, "paid_time": {"S": "20260101110000"}}


def recorded(order: Order | None, outcome: Outcome, reporter: Reporter = TILL, *, at: float = NOW) -> Order:
    """The order as the rules write it."""
    after = record(order, outcome, [reporter], at)
    assert after is not None
    return after


def every_attribute() -> tuple[Order, dict[str, Any]]:
    """A partner's order with every field set, members of a later version included."""
    payment = Payment(
        "1230000109", "A1", "20260101110000", "wx1", "500001", "partner", "1900000109", "c1", seq=1, paid_amount=0
    )
    answer = {"state": "DOING", "total_amount": 3900, "rate": 0.5, "list": [{"a": True, "b": ""}], "none": None}
    order = Order(
        payment,
        Facts(answer, "DOING", "MCH_COMPLETE", "USER_PAYING", "MCH", "4200"),
        Status.RETRYING,
        version=3,
        created_at=instant(NOW),
        updated_at=instant(NOW),
        reason="DEDUCTING",
        event_id="e1",
        message_id="m1",
        source="pos.till",
        attempts=3,
        history=(
            Attempt(instant(NOW), "m1", "RETRYING", "DEDUCTING", "INVALID_REQUEST", "08F5-0", 41),
            Attempt(instant(NOW), "m1", "UNKNOWN", rest={"colour": {"S": "red"}}),
        ),
        outcome_unknown=True,
        messages={"m1": Receipt(2, retried="ORDER_NOT_EXIST"), "m2": Receipt(1, rejected=True)},
        rejected_at=instant(NOW),
        last_error=Refusal("INVALID_REQUEST", "单据正在扣款中", "f", "body", "i", 400, "08F5-1"),
        synced_at=instant(NOW),
        rest={"refund": {"M": {"tags": {"SS": ["a", "b"]}}}},
    )
    item = {
        **WHO,
        "pk": {"S": "1230000109/1900000109#A1"},
        "refund": {"M": {"tags": {"SS": ["a", "b"]}}},
        "status": {"S": "RETRYING"},
        "version": {"N": "3"},
        "created_at": AT,
        "updated_at": AT,
        "reason": {"S": "DEDUCTING"},
        "appid": {"S": "wx1"},
        "service_id": {"S": "500001"},
        "endpoint": {"S": "partner"},
        "sub_mchid": {"S": "1900000109"},
        "channel_id": {"S": "c1"},
        "seq": {"N": "1"},
        "paid_amount": {"N": "0"},
        "event_id": {"S": "e1"},
        "message_id": {"S": "m1"},
        "source": {"S": "pos.till"},
        "attempts": {"N": "3"},
        "history": {
            "L": [
                {
                    "M": {
                        "at": AT,
                        "message_id": {"S": "m1"},
                        "outcome": {"S": "RETRYING"},
                        "reason": {"S": "DEDUCTING"},
                        "code": {"S": "INVALID_REQUEST"},
                        "request_id": {"S": "08F5-0"},
                        "latency_ms": {"N": "41"},
                    }
                },
                {
                    "M": {
                        "colour": {"S": "red"},
                        "at": AT,
                        "message_id": {"S": "m1"},
                        "outcome": {"S": "UNKNOWN"},
                        "latency_ms": {"N": "0"},
                    }
                },
            ]
        },
        "outcome_unknown": {"BOOL": True},
        "messages": {
            "M": {
                "m1": {"M": {"receives": {"N": "2"}, "retried": {"S": "ORDER_NOT_EXIST"}}},
                "m2": {"M": {"receives": {"N": "1"}, "rejected": {"BOOL": True}}},
            }
        },
        "rejected_at": AT,
        "state": {"S": "DOING"},
        "state_description": {"S": "MCH_COMPLETE"},
        "collection_state": {"S": "USER_PAYING"},
        "paid_type": {"S": "MCH"},
        "transaction_id": {"S": "4200"},
        "wechat": {
            "M": {
                "state": {"S": "DOING"},
                "total_amount": {"N": "3900"},
                "rate": {"N": "0.5"},
                "list": {"L": [{"M": {"a": {"BOOL": True}, "b": {"S": ""}}}]},
                "none": {"NULL": True},
            }
        },
        "last_error": {
            "M": {
                "code": {"S": "INVALID_REQUEST"},
                "message": {"S": "单据正在扣款中"},
                "field": {"S": "f"},
                "location": {"S": "body"},
                "issue": {"S": "i"},
                "http_status": {"N": "400"},
                "request_id": {"S": "08F5-1"},
            }
        },
        "synced_at": AT,
        "attention": {"S": "RETRYING"},
    }
    return order, item


def a_synced_order() -> tuple[Order, dict[str, Any]]:
    """A new order whose sync succeeded."""
    answer = {"state": "DONE", "total_amount": 3900}
    facts = Facts(answer, "DONE", collection_state="USER_PAID", paid_type="MCH")
    outcome = Outcome(Status.SYNCED, PAYMENT, facts=facts, request_id="08F5-0", latency_ms=41)
    item = {
        **WHO,
        "pk": {"S": "1230000109#A1"},
        "status": {"S": "SYNCED"},
        "version": {"N": "1"},
        "created_at": AT,
        "updated_at": AT,
        "appid": {"S": "wx1"},
        "service_id": {"S": "500001"},
        "endpoint": {"S": "direct"},
        "event_id": {"S": "e1"},
        "message_id": {"S": "m1"},
        "source": {"S": "pos.till"},
        "attempts": {"N": "1"},
        "history": {
            "L": [
                {
                    "M": {
                        "at": AT,
                        "message_id": {"S": "m1"},
                        "outcome": {"S": "SYNCED"},
                        "request_id": {"S": "08F5-0"},
                        "latency_ms": {"N": "41"},
                    }
                }
            ]
        },
        "state": {"S": "DONE"},
        "collection_state": {"S": "USER_PAID"},
        "paid_type": {"S": "MCH"},
        "wechat": {"M": {"state": {"S": "DONE"}, "total_amount": {"N": "3900"}}},
        "synced_at": AT,
    }
    return recorded(None, outcome), item


def a_synced_order_without_its_answer() -> tuple[Order, dict[str, Any]]:
    """The same where the item cannot hold the answer."""
    order, item = a_synced_order()
    assert order.facts is not None
    del item["wechat"]
    omitted = "wechat: the item cannot hold it (ValidationException)"
    return replace(order, facts=replace(order.facts, answer=None, omitted=omitted)), item | {"omitted": {"S": omitted}}


def an_unanswered_order() -> tuple[Order, dict[str, Any]]:
    """A query that shows the order open, then a retry with an unknown outcome: the earlier facts stay."""
    facts = Facts({"state": "DOING"}, "DOING", "USER_CONFIRM")
    doing = Outcome(Status.RETRYING, PAYMENT, "USER_CONFIRM", facts=facts, request_id="08F5-0", latency_ms=41)
    silent = Outcome(
        Status.RETRYING,
        replace(PAYMENT, paid_amount=3900),
        "OUTCOME_UNKNOWN",
        unknown=True,
        refusal=Refusal("UNANSWERED", "silence"),
        latency_ms=8000,
    )
    order = recorded(recorded(None, doing), silent, replace(TILL, receive_count=2), at=NOW + 60)
    item = {
        **WHO,
        "pk": {"S": "1230000109#A1"},
        "status": {"S": "RETRYING"},
        "version": {"N": "2"},
        "created_at": AT,
        "updated_at": {"S": "2026-01-01T04:01:00.000Z"},
        "reason": {"S": "OUTCOME_UNKNOWN"},
        "appid": {"S": "wx1"},
        "service_id": {"S": "500001"},
        "endpoint": {"S": "direct"},
        "paid_amount": {"N": "3900"},
        "event_id": {"S": "e1"},
        "message_id": {"S": "m1"},
        "source": {"S": "pos.till"},
        "attempts": {"N": "2"},
        "history": {
            "L": [
                {
                    "M": {
                        "at": AT,
                        "message_id": {"S": "m1"},
                        "outcome": {"S": "RETRYING"},
                        "reason": {"S": "USER_CONFIRM"},
                        "request_id": {"S": "08F5-0"},
                        "latency_ms": {"N": "41"},
                    }
                },
                {
                    "M": {
                        "at": {"S": "2026-01-01T04:01:00.000Z"},
                        "message_id": {"S": "m1"},
                        "outcome": {"S": "UNKNOWN"},
                        "reason": {"S": "OUTCOME_UNKNOWN"},
                        "code": {"S": "UNANSWERED"},
                        "latency_ms": {"N": "8000"},
                    }
                },
            ]
        },
        "outcome_unknown": {"BOOL": True},
        "messages": {"M": {"m1": {"M": {"receives": {"N": "2"}}}}},
        "state": {"S": "DOING"},
        "state_description": {"S": "USER_CONFIRM"},
        "wechat": {"M": {"state": {"S": "DOING"}}},
        "last_error": {"M": {"code": {"S": "UNANSWERED"}, "message": {"S": "silence"}}},
        "attention": {"S": "RETRYING"},
    }
    return order, item


def the_least_order() -> tuple[Order, dict[str, Any]]:
    """An order of required fields alone."""
    payment = Payment("1230000109", "A1", "20260101110000")
    item = {
        **WHO,
        "pk": {"S": "1230000109#A1"},
        "status": {"S": "REJECTED"},
        "version": {"N": "1"},
        "created_at": AT,
        "updated_at": AT,
        "attempts": {"N": "0"},
        "attention": {"S": "REJECTED"},
    }
    return Order(payment, None, Status.REJECTED, 1, instant(NOW), instant(NOW)), item


EXAMPLES = [
    every_attribute(),
    a_synced_order(),
    a_synced_order_without_its_answer(),
    an_unanswered_order(),
    the_least_order(),
]
NAMES = ["every attribute", "synced", "answer omitted", "unanswered", "least"]


@pytest.mark.parametrize(("order", "item"), EXAMPLES, ids=NAMES)
def test_an_item_has_exactly_the_attributes_of_the_contract(order: Order, item: dict[str, Any]) -> None:
    """Payment and facts are flat, the answer is `wechat`, and an empty field has no attribute."""
    assert item_of(order) == item


@pytest.mark.parametrize(("order", "item"), EXAMPLES, ids=NAMES)
def test_an_order_is_read_from_its_item_as_it_was_written(order: Order, item: dict[str, Any]) -> None:
    """Every part of it, attributes of a later version included."""
    assert order_of(item) == order


@pytest.mark.parametrize("name", ["mchid", "out_order_no", "paid_time", "status", "version", "created_at"])
def test_an_item_that_lacks_a_required_attribute_is_unreadable(name: str) -> None:
    """The error names the attribute, whichever part of the order it belongs to."""
    item = {key: value for key, value in a_synced_order()[1].items() if key != name}
    with pytest.raises(UnreadableItemError, match=f"{name} missing"):
        order_of(item)


def test_a_set_in_an_answer_is_read_as_a_list() -> None:
    """An operator's tool may have written one; JSON has no sets."""
    item = a_synced_order()[1] | {"wechat": {"M": {"tags": {"SS": ["a", "b"]}}}}
    facts = order_of(item).facts
    assert facts is not None
    assert facts.answer == {"tags": ["a", "b"]}


@pytest.mark.parametrize(("order", "item"), EXAMPLES, ids=NAMES)
def test_a_document_has_the_names_of_the_item(order: Order, item: dict[str, Any]) -> None:
    """An operator reads the order under the names that the console shows; unknown attributes stand under `rest`."""
    values = document_of(order).items()
    document = {name: value for name, value in values if value is not False and value not in (None, "", (), {})}
    rest = document.pop("rest", {})
    assert document.keys() | rest.keys() == item.keys() - {"pk", "attention"}
    assert document["out_order_no"] == "A1"
    assert document.get("wechat") == (order.facts.answer if order.facts else None)
