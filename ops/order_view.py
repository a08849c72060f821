"""An order for people: its status, what to do next, its history, and WeChat Pay's answer. Pure."""

from collections.abc import Iterator, Sequence

from ops import advice, screen
from ops.acknowledgement import Acknowledgement
from ops.advice import Advice
from ops.items import Item
from ops.output import Table
from orders.order import Attempt, Order, instant
from orders.rules import RETRIES_EXHAUSTED


def view(item: Item, begin: str) -> Iterator[str | Table]:
    """Yield the lines about an item; `begin` is how a command of the same stack begins."""
    yield f"{item.owner} {item.out_order_no}"
    if item.order is None:
        yield f"status        unreadable: {item.problem}"
        yield from _next_steps(item, [advice.for_reason("UNREADABLE_ITEM")], begin)
        yield from ("", "attributes", *screen.document(item.attributes).splitlines())
        return
    for name, value in _facts(item, item.order):
        if value:
            yield f"{name:<14}{value}"
    yield from _next_steps(item, advice.for_order(item.order), begin)
    if item.order.history:
        yield from ("", "history", _history(item.order.history))
    if item.order.facts and item.order.facts.answer is not None:
        yield from ("", "WeChat Pay's answer", *screen.document(item.order.facts.answer).splitlines())


def _facts(item: Item, order: Order) -> Iterator[tuple[str, str]]:
    payment, facts, error = order.payment, order.facts, order.last_error
    cause = advice.last_cause(order.history) if order.reason == RETRIES_EXHAUSTED else ""
    yield "status", screen.line(order.status, order.reason, cause and f"the last cause was {cause}")
    amount = "" if payment.paid_amount is None else f"{payment.paid_amount} fen"
    yield "paid", screen.line(f"{payment.paid_time} Beijing time", amount) if payment.paid_time else ""
    yield "sent as", _words(payment, ("endpoint", "appid", "service_id", "sub_mchid", "channel_id", "seq"))
    if facts is not None:
        words = _words(facts, ("state", "state_description", "collection_state", "paid_type", "transaction_id"))
        yield "WeChat Pay", screen.line(words, facts.omitted)
    if error is not None:
        status = f"HTTP {error.http_status}" if error.http_status else ""
        yield "last error", screen.line(f"{error.code}: {error.message}" if error.message else error.code, status)
        yield "", _words(error, ("field", "issue", "location", "request_id"))
    yield "event", screen.line(order.event_id, f"from {order.source}", f"message {order.message_id}")
    yield "attempts", screen.line(order.attempts, "the outcome is unknown" if order.outcome_unknown else "")
    if order.expires_at is not None:
        yield "deleted", f"by DynamoDB after {instant(order.expires_at)}, unless a till reports a payment"
    yield "written", f"created {order.created_at}, last {order.updated_at}, version {order.version}"
    if end := Acknowledgement.of(order):
        earlier = "" if end.is_about(item) else ", before a later attempt"
        yield "acknowledged", f"by {end.who} at {end.at}{earlier}: {end.why}"


def _words(values: object, names: tuple[str, ...]) -> str:
    parts = [(name, getattr(values, name)) for name in names]
    return "  ".join(f"{name}={screen.line(value)}" for name, value in parts if value not in (None, ""))


def _next_steps(item: Item, rows: Sequence[Advice], begin: str) -> Iterator[str]:
    yield from ("", "what to do next")
    end = Acknowledgement.of(item.order) if item.order else None
    if end and end.is_about(item):
        yield "  nothing: it was acknowledged"
        return
    for row in rows:
        yield f"  {row.meaning}"
        yield f"  -> {row.action}"
        yield from (f"       {line}" for line in row.command_lines(item.owner, item.out_order_no, begin))
        yield f"     {row.page}"


def _history(history: tuple[Attempt, ...]) -> Table:
    columns = ("at", "outcome", "reason", "code", "ms", "message", "Request-ID", "note")
    return Table(columns, tuple(_line(attempt) for attempt in history))


def _line(attempt: Attempt) -> tuple[object, ...]:
    note = " ".join(str(value["S"]) for value in attempt.rest.values() if isinstance(value, dict) and "S" in value)
    milliseconds = attempt.latency_ms or None
    parts = (attempt.at, attempt.outcome, attempt.reason, attempt.code, milliseconds)
    return (*parts, attempt.message_id, attempt.request_id, note)
