"""Why a message is a dead letter: its own verdict, as of its own time, and no more than is known."""

from copy import replace
from typing import Any

from ops.letters.history import with_lines
from ops.letters.queue import Received
from ops.letters.reasons import Letter, letter_of, payment_of
from orders.order import Attempt, Order, Payment, Receipt, Refusal, Status
from orders.rules import HISTORY_LENGTH
from tests.ops.simulated_queues import AT, MERCHANT, a_body

LATER = "2026-01-02T04:00:00.000Z"


def explain(order: Order | None, message_id: str = "m1") -> Letter:
    """Explain a letter with this item."""
    message = Received(message_id, a_body("A-1"), "h", 1_767_240_001.0)
    return letter_of(message, payment_of(message, message.sent_at), order)


def an_order(reason: str, *history: Attempt, status: Status = Status.REJECTED, **fields: Any) -> Order:
    """Return an order with this reason and these attempts."""
    payment = Payment(MERCHANT, "A-1", "20260101120000")
    return Order(payment, None, status, 1, AT, LATER, reason=reason, history=history, **fields)


def test_a_letter_has_its_own_reason() -> None:
    """A letter has the reason for which it was rejected, although a later message of the order met another one."""
    first = Attempt(AT, "m1", "REJECTED", "ORDER_NOT_EXIST")
    order = an_order("PARAM_ERROR", first, Attempt(LATER, "m2", "REJECTED", "PARAM_ERROR"))
    assert explain(order).reason == "ORDER_NOT_EXIST"
    assert explain(order).explanation == f"rejected at {AT}; the order is REJECTED by now: PARAM_ERROR"
    assert explain(order, "m2").reason == "PARAM_ERROR"


def test_exhausted_retries_name_their_last_cause() -> None:
    """RETRIES_EXHAUSTED has the reason of the last attempt as its cause; an operator's line is no attempt."""
    order = an_order(
        "RETRIES_EXHAUSTED",
        Attempt(AT, "m1", "RETRYING", "DEDUCTING"),
        Attempt(AT, "m1", "UNKNOWN", "TIMEOUT"),
        Attempt(LATER, "m1", "REDRIVEN"),
        last_error=Refusal("TIMEOUT", "no answer"),
    )
    letter = explain(order)
    assert (letter.reason, letter.cause, letter.explanation) == ("RETRIES_EXHAUSTED", "TIMEOUT", "TIMEOUT: no answer")


def test_a_message_without_an_attempt_is_not_given_one() -> None:
    """Without an item a letter has several possible causes; with an item of other messages' attempts it is said so."""
    letter = explain(None)
    assert letter.reason == "NEVER_SETTLED"
    assert all(cause in letter.explanation for cause in ("throttled", "crashed", "table may not have answered"))
    order = an_order("DEDUCTING", Attempt(AT, "m2", "RETRYING", "DEDUCTING"), status=Status.RETRYING)
    assert explain(order).explanation == "no attempt of this very message is recorded; the order's own reason is shown"
    remembered = replace(order, messages={"m1": Receipt(3)})
    assert explain(remembered).explanation == ""


def test_a_final_order_is_said_to_be_final() -> None:
    """A letter of a final order says which status the order has, and since when."""
    letter = explain(an_order("", Attempt(AT, "m1", "REJECTED", "NO_AUTH"), status=Status.SYNCED))
    assert (letter.reason, letter.explanation) == ("SYNCED", f"the order is SYNCED since {LATER}")


def test_the_body_is_not_in_a_letters_text() -> None:
    """The repr of a letter and of a message has no body: it may have a customer's data."""
    message = Received("m1", "openid-of-a-customer", "h", 0.0)
    assert "openid" not in repr(message) + repr(letter_of(message, payment_of(message, 0.0), None))


def test_a_history_keeps_its_length() -> None:
    """An operator's line takes the place of the oldest one in a full history; the same line is not added twice."""
    order = an_order("X", *(Attempt(AT, f"m{number}", "RETRYING") for number in range(HISTORY_LENGTH)))
    line = Attempt(LATER, "m1", "REDRIVEN")
    later = with_lines(order, [line])
    assert (len(later.history), later.history[-1], later.version) == (HISTORY_LENGTH, line, 2)
    assert with_lines(later, [replace(line, at=AT)]) is later
