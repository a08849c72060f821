"""Why a message is a dead letter: from the order's item, or from the parser that refused the message. Pure."""

import hashlib
from dataclasses import dataclass, field

from ops.letters.queue import Received
from orders.errors import MalformedEventError, UnreadableItemError
from orders.event import Message, read
from orders.order import UNKNOWN, Order, Payment, Status
from orders.rules import RETRIES_EXHAUSTED

UNREADABLE = "UNREADABLE"
UNREADABLE_ITEM = "UNREADABLE_ITEM"
NEVER_SETTLED = "NEVER_SETTLED"
TABLE_SILENT = "TABLE_SILENT"

_NEVER_ATTEMPTED = (
    "the orders table has no attempt of it: the function may have been throttled or may have crashed before it wrote, "
    "or the table may not have answered; see the function's log and ErrorsAlarm"
)
_ATTEMPTS = frozenset({*Status, UNKNOWN})
"""Outcomes of attempts; the other lines of a history are those of operators."""

_NOT_THIS_MESSAGE = "no attempt of this very message is recorded; the order's own reason is shown"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in DeadLetters with its reason; `explanation` is the error of WeChat Pay or of the parser.

    `cause` is what stands behind the reason: for RETRIES_EXHAUSTED the reason of the last attempt, for UNREADABLE the
    field. `payment` is None if the message cannot be read. `order` is None if the table has no item of its key, if the
    item cannot be read, or if the table did not answer.
    """

    message_id: str
    sent_at: float
    reason: str
    explanation: str
    cause: str
    payment: Payment | None
    order: Order | None
    body: str = field(repr=False)

    @property
    def key(self) -> str:
        """The order's key in the table; empty if the message cannot be read."""
        return self.payment.key if self.payment else ""

    @property
    def mchid(self) -> str:
        """The merchant; empty if the message cannot be read."""
        return self.payment.mchid if self.payment else ""

    @property
    def digest(self) -> str:
        """The SHA-256 of the body."""
        return digest_of(self.body)


def digest_of(body: str) -> str:
    """Return the SHA-256 of a body in hexadecimal digits."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def payment_of(message: Received, now: float) -> Payment | MalformedEventError:
    """Read a message with the function's own parser, as of the time it was sent; `now` is Unix seconds."""
    try:
        return read(Message(message.message_id, message.body, sent_at=message.sent_at or None), now).payment
    except MalformedEventError as error:
        return error


def letter_of(
    message: Received,
    payment: Payment | MalformedEventError,
    item: Order | UnreadableItemError | str | None,
) -> Letter:
    """Explain a message; `item` is that of its order, None if there is none, or why the table did not answer."""

    def letter(reason: str, explanation: str, cause: str = "", order: Order | None = None) -> Letter:
        readable = None if isinstance(payment, MalformedEventError) else payment
        return Letter(message.message_id, message.sent_at, reason, explanation, cause, readable, order, message.body)

    if isinstance(payment, MalformedEventError):
        return letter(UNREADABLE, str(payment), payment.field)
    match item:
        case None:
            return letter(NEVER_SETTLED, _NEVER_ATTEMPTED)
        case str():
            return letter(TABLE_SILENT, f"the orders table did not answer, so the reason is not known: {item}")
        case UnreadableItemError():
            return letter(UNREADABLE_ITEM, f"the order's item cannot be read by this version: {item.problem}")
    return letter(*_why(message.message_id, item), item)


def _why(message_id: str, order: Order) -> tuple[str, str, str]:
    """Return reason, explanation and cause of a message; its own verdict stands, whatever a later message met."""
    reason = order.reason or str(order.status)
    attempts = [line for line in order.history if line.outcome in _ATTEMPTS]
    own = [line for line in attempts if line.message_id == message_id]
    words = _describe_refusal(order)
    if order.status.final:
        return reason, f"the order is {order.status} since {order.updated_at}" + (f"; {words}" if words else ""), ""
    if own and own[-1].outcome == Status.REJECTED and own[-1].reason not in {"", reason}:
        code = f" ({own[-1].code})" if own[-1].code not in {"", own[-1].reason} else ""
        return own[-1].reason, f"rejected at {own[-1].at}{code}; the order is {order.status} by now: {reason}", ""
    if not own and message_id not in order.messages:
        words = f"{words}; {_NOT_THIS_MESSAGE}" if words else _NOT_THIS_MESSAGE
    cause = (own or attempts)[-1].reason if reason == RETRIES_EXHAUSTED and attempts else ""
    return reason, words, cause


def _describe_refusal(order: Order) -> str:
    """Return the message of the last refusal, with its code unless that is the reason already."""
    refusal = order.last_error
    if refusal is None:
        return ""
    return refusal.message if refusal.code == order.reason else f"{refusal.code}: {refusal.message}"
