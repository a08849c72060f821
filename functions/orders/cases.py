"""A case: the deliveries of a batch that one conversation about their order answers for. Pure."""

from typing import NamedTuple

from orders import rules
from orders.errors import OutOfTimeError, TableUnavailableError, UnreadableItemError
from orders.event import Message, OrderPaid
from orders.order import Order, Outcome, Payment, Refusal, Reporter, Status
from orders.ports import CircuitOpen
from orders.results import Done, Ending, Result, RetryNow, Schedule

CIRCUIT_OPEN = "CIRCUIT_OPEN"
OUT_OF_TIME = "OUT_OF_TIME"
SECOND_REPORT = "SECOND_REPORT"
TABLE_UNAVAILABLE = "TABLE_UNAVAILABLE"
UNEXPECTED = "UNEXPECTED"
UNREADABLE_ITEM = "UNREADABLE_ITEM"

type Failure = CircuitOpen | Exception
"""Why a case had no conversation, or one without a recorded outcome."""


class Delivery(NamedTuple):
    """A message that could be read, and the event in it."""

    message: Message
    event: OrderPaid

    @property
    def payment(self) -> Payment:
        """The payment that it reports."""
        return self.event.payment

    @property
    def reporter(self) -> Reporter:
        """The message, as the order's item remembers it."""
        return self.event.reporter

    @property
    def key(self) -> str:
        """The key of the order that it is about."""
        return self.event.payment.key

    def with_payment(self, payment: Payment) -> "Delivery":
        """Return the delivery with a completed payment."""
        return self._replace(event=self.event._replace(payment=payment))

    def ends(self, ending: Ending, order: Order | None, outcome: Outcome | None = None) -> Result:
        """Return the result that the order, or the outcome of its conversation, explains."""
        return Result(self.message, ending, self.event, order, outcome)

    def fails(self, failure: Failure, order: Order | None, schedule: Schedule) -> Result:
        """Return the result that a failure explains; `order` is the item as it stands."""
        match failure:
            case CircuitOpen(seconds):
                ending = schedule.deferral(self.reporter, seconds)
                return self._unsettled(ending, order, CIRCUIT_OPEN, CIRCUIT_OPEN)
            case OutOfTimeError():
                return self._unsettled(RetryNow(), order, OUT_OF_TIME, OUT_OF_TIME)
            case TableUnavailableError():
                reason, problem = TABLE_UNAVAILABLE, str(failure)
            case UnreadableItemError():
                reason, problem, order = UNREADABLE_ITEM, str(failure), None
            case _:
                reason, problem = UNEXPECTED, _unexpected(failure)
        return self._unsettled(schedule.backoff(self.reporter), order, reason, problem)

    def follows(self, schedule: Schedule) -> Result:
        """Return the result of a delivery that must wait for another one of its order."""
        problem = "another event of the same order went first"
        return self._unsettled(schedule.backoff(self.reporter), None, SECOND_REPORT, problem)

    def _unsettled(self, ending: Ending, order: Order | None, reason: str, problem: str) -> Result:
        return Result(self.message, ending, self.event, order, reason=reason, problem=problem)


class Case(NamedTuple):
    """The deliveries that need one conversation; the payment of the first of them, the lead, is sent.

    `order`: the item as it was loaded. `query_first`: an earlier call of one of them may have been executed.
    """

    order: Order | None
    query_first: bool
    deliveries: tuple[Delivery, ...]

    @property
    def lead(self) -> Delivery:
        """The delivery whose payment is sent."""
        return self.deliveries[0]

    @property
    def payment(self) -> Payment:
        """The payment to send."""
        return rules.payment_to_send(self.order, self.lead.payment)

    @property
    def is_remembered(self) -> bool:
        """Whether the item answers by itself: a notification has told that WeChat Pay has collected."""
        return self.order is not None and self.order.status is Status.COLLECTED

    @property
    def remembered(self) -> Outcome:
        """The outcome that the item gives, without a call."""
        outcome = rules.remembered(self.order, self.lead.payment)
        if outcome is None:
            raise ValueError("the item gives no outcome")
        return outcome

    @property
    def retried(self) -> str:
        """The reason for which the lead has used its one delayed retry."""
        return rules.used_retry(self.order, self.lead.reporter.message_id)

    def reporters(self, outcome: Outcome | None = None) -> list[Reporter]:
        """Return the messages that the outcome answers for; without an outcome all of them."""
        return [one.reporter for one in self.deliveries if outcome is None or self._answers(outcome, one)]

    def ends(self, outcome: Outcome, order: Order | None, schedule: Schedule) -> list[Result]:
        """Return how each message ends after the conversation; `order` is the item as it stands."""
        return [self._end(one, outcome, order, schedule) for one in self.deliveries]

    def fails(self, failure: Failure, order: Order | None, schedule: Schedule) -> list[Result]:
        """Return how each message ends after a failure; `order` is the item as it stands."""
        return [one.fails(failure, order, schedule) for one in self.deliveries]

    def note(self, failure: Failure) -> Outcome | None:
        """Return what the item must say about a failure, None if nothing.

        A dead letter must have its reason on the item: the failure of a message's last receive is noted, and an open
        circuit once. A rejection and its reason stay.
        """
        match failure:
            case CircuitOpen():
                last_error = self.order.last_error if self.order else None
                return None if self._explains_itself else self._note(CIRCUIT_OPEN, last_error)
            case TableUnavailableError() | UnreadableItemError():
                return None
            case _ if not self._has_last_receive:
                return None
            case OutOfTimeError():
                problem = "the invocation's time did not suffice for a call"
                return self._note(OUT_OF_TIME, Refusal(OUT_OF_TIME, problem))
            case _:
                return self._note(UNEXPECTED, Refusal(UNEXPECTED, _unexpected(failure)))

    def _note(self, reason: str, refusal: Refusal | None) -> Outcome:
        unknown = self.query_first or reason == UNEXPECTED
        return Outcome(Status.RETRYING, self.payment, reason, unknown=unknown, refusal=refusal)

    @property
    def _explains_itself(self) -> bool:
        """Whether the item keeps its reason while the circuit is open."""
        if self.order is None:
            return False
        is_noted = self.order.reason == CIRCUIT_OPEN and not self._has_last_receive
        return is_noted or self.order.status is Status.REJECTED

    @property
    def _has_last_receive(self) -> bool:
        return any(one.reporter.last for one in self.deliveries)

    def _answers(self, outcome: Outcome, delivery: Delivery) -> bool:
        """Whether the outcome answers for a delivery: it reports the payment of the lead, or the outcome is final."""
        return outcome.status.final or delivery.payment == self.lead.payment

    def _end(self, delivery: Delivery, outcome: Outcome, order: Order | None, schedule: Schedule) -> Result:
        if order is not None and order.status.final:
            return delivery.ends(Done(), order, outcome)
        if not self._answers(outcome, delivery):
            return delivery.follows(schedule)
        if outcome.status is Status.REJECTED:
            return delivery.ends(RetryNow(), order, outcome)
        return delivery.ends(schedule.backoff(delivery.reporter, outcome.wait), order, outcome)


def _unexpected(failure: object) -> str:
    return f"unexpected {type(failure).__name__}"
