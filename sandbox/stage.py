"""Where one story of the demo runs: send its events, wait for its states, and require what was promised."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from ops import dead_letters
from ops.letters.reasons import Letter
from orders.order import Order, Status
from sandbox.testbed import MERCHANT, Testbed
from sandbox.till import Till
from sandbox.till_events import Dispatch, payload_of
from sandbox.waiting import NotReachedError, until


class BrokenPromiseError(Exception):
    """A story did not end as promised."""


@dataclass(slots=True)
class Stage:
    """Where one story runs: the testbed, and what the screen shows of it."""

    testbed: Testbed
    event: str = ""
    steps: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    mchid: str = MERCHANT

    def publish(self, file: str) -> None:
        """Send what an event file contains, as the till does."""
        self.event = file
        self.testbed.publish(file)

    def report(self, number: str) -> None:
        """Report an order's payment by the bus, at the time that the event files have."""
        payload = payload_of(self.mchid, number, "2026-01-01T12:00:00+08:00")
        Till(self.testbed.deployment).send_one(Dispatch(json.dumps(payload)))

    def ready(self, *numbers: str) -> None:
        """Complete these orders at WeChat Pay: they wait for their money."""
        for number in numbers:
            self.bring("ready", number)

    def bring(self, situation: str, number: str) -> None:
        """Bring an order at WeChat Pay into one of `triggers.SITUATIONS`."""
        self.orders.append(number)
        self.testbed.bring(situation, number, self.mchid)

    def expect(self, number: str, status: Status, reason: str = "") -> Order:
        """Wait until the order's item has this status and reason, or has had them by its history.

        The next attempt may have come between two looks, and ended under another reason.
        """

        def look() -> Order | None:
            order = self.testbed.order(number, self.mchid)
            return order if order and _has_been(order, status, reason) else None

        def current() -> str:
            order = self.testbed.order(number, self.mchid)
            return f"{order.status} {order.reason}" if order else "no item"

        order = self.wait(look, f"{number}: {status} {reason}".rstrip(), current)
        self.show(f"{status} {reason or order.reason}".rstrip())
        return order

    def wait[T](self, look: Callable[[], T | None], state: str, instead: Callable[[], object] | None = None) -> T:
        """Wait for a state; raise BrokenPromiseError with what there was instead."""
        try:
            return until(look, state=state, instead=instead)
        except NotReachedError as error:
            raise BrokenPromiseError(str(error)) from None

    def expect_dead(self, text: str, reason: str) -> Letter:
        """Wait until the message with this text is among the dead letters, for this reason; it stays there."""

        def look() -> Letter | None:
            letters = dead_letters.peek(self.testbed.deployment)
            return next((letter for letter in letters if text in letter.body), None)

        letter = self.wait(look, f"{text}: a dead letter for {reason}")
        if letter.reason != reason:
            raise BrokenPromiseError(f"{text}: promised a dead letter for {reason}, seen {letter.reason}")
        self.show("dead letter")
        return letter

    def require(self, promise: str, condition: object) -> None:
        """Raise BrokenPromiseError unless the condition is true."""
        if not condition:
            raise BrokenPromiseError(promise)

    def show(self, step: str) -> None:
        """Add a step to the story's line, once."""
        if step not in self.steps[-1:]:
            self.steps.append(step)

    def calls(self, number: str | None = None) -> list[str]:
        """Return the calls to WeChat Pay about the story's orders, such as `sync 400 ORDER_DONE`."""
        calls = self.testbed.wechat_pay.calls
        mine = [call for call in calls if call.out_order_no in ([number] if number else self.orders)]
        return [f"{call.operation} {call.status or '-'} {call.code}".rstrip() for call in mine]


def _has_been(order: Order, status: Status, reason: str) -> bool:
    """Return whether the order has this status and reason, or had them while it was retried."""
    if (order.status, order.reason) == (status, reason or order.reason):
        return True
    return status is Status.RETRYING and any(attempt.reason == reason for attempt in order.history)
