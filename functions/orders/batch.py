"""A batch: which of its messages can be read, which cases they make, and what they say of WeChat Pay. Pure."""

from collections.abc import Mapping, Sequence

from orders import event, rules
from orders.cases import Case, Delivery
from orders.errors import MalformedEventError, OrdersError
from orders.event import Message
from orders.order import Contact, Order
from orders.results import Done, Result, RetryNow, Schedule
from orders.rules import Step


def read(messages: Sequence[Message], now: float, max_receives: int) -> tuple[list[Delivery], list[Result]]:
    """Read each message; return the deliveries, and the results of the messages that cannot be read.

    `now` is Unix seconds. SQS gives a message up if it fails at its receive `max_receives`.
    """
    deliveries: list[Delivery] = []
    unreadable: list[Result] = []
    for message in messages:
        try:
            paid = event.read(message, now)
        except MalformedEventError as error:
            result = Result(message, RetryNow(), problem=str(error), field=error.field, event_id=error.event_id)
            unreadable.append(result)
        else:
            if message.receive_count >= max_receives:
                paid = paid._replace(reporter=paid.reporter._replace(last=True))
            deliveries.append(Delivery(message, paid))
    return deliveries, unreadable


def plan(
    deliveries: Sequence[Delivery], orders: Mapping[str, Order | OrdersError], schedule: Schedule
) -> tuple[list[Case], list[Result]]:
    """Return the cases that need a conversation or a write, and the results of the deliveries that need neither."""
    cases: dict[str, Case] = {}
    results: list[Result] = []
    for delivery in deliveries:
        order = orders.get(key := delivery.key)
        if isinstance(order, OrdersError):
            results.append(delivery.fails(order, None, schedule))
            continue
        step = rules.plan(order, delivery.payment, delivery.reporter)
        if not step.calls and step is not Step.REMEMBERED:
            results.append(delivery.ends(Done() if step is Step.DONE else RetryNow(), order))
            continue
        case = cases.get(key) or Case(order, query_first=False, deliveries=())
        query_first = case.query_first or step is Step.QUERY_FIRST
        cases[key] = Case(order, query_first, (*case.deliveries, delivery))
    return list(cases.values()), results


def contacts(results: Sequence[Result]) -> dict[str, Contact]:
    """Return what each conversation met, by the key of its order; a message without a conversation says nothing."""
    outcomes = [result.outcome for result in results if result.outcome is not None]
    return {outcome.payment.key: outcome.contact for outcome in outcomes}


def in_order(messages: Sequence[Message], results: Sequence[Result]) -> list[Result]:
    """Return the results in the order of the messages."""
    by_message = {result.message: result for result in results}
    return [by_message[message] for message in messages]
