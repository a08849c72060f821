"""The stories of `make demo`: what a till reports, what WeChat Pay makes of it, and how each is promised to end.

Each is told through the real template. `tests/test_end_to_end.py` tells them again, one test a story.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ops import dead_letters
from ops.dead_letters import Letter
from orders.order import Order, Status
from sandbox.waiting import NotReachedError, until
from sandbox.world import MERCHANT, OTHER_MERCHANT, World


class BrokenPromiseError(Exception):
    """A story did not end as promised."""


@dataclass(slots=True)
class Stage:
    """Where one story is told: the world, and what the screen shows of it."""

    world: World
    event: str = ""
    told: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    mchid: str = MERCHANT

    def publish(self, file: str) -> None:
        """Let the till report what an event file holds."""
        self.event = file
        self.world.publish(file)

    def ready(self, *numbers: str) -> None:
        """Let these orders wait for their money at WeChat Pay."""
        self.orders += numbers
        for number in numbers:
            self.world.ready(number, self.mchid)

    def expect(self, number: str, status: Status, reason: str = "") -> Order:
        """Wait until the order's item has this status and reason, or its history tells that it has had them.

        The next attempt may have come between two looks, and ended under another reason.
        """

        def look() -> Order | None:
            order = self.world.order(number, self.mchid)
            return order if order and _has_been(order, status, reason) else None

        def seen() -> str:
            order = self.world.order(number, self.mchid)
            return f"{order.status} {order.reason}" if order else "no item"

        found = self.wait(look, f"{number}: {status} {reason}".rstrip(), seen)
        self.tell(f"{status} {reason or found.reason}".rstrip())
        return found

    def wait[T](self, look: Callable[[], T | None], state: str, seen: Callable[[], object] | None = None) -> T:
        """Wait for a state; raises BrokenPromiseError with what was seen instead."""
        try:
            return until(look, state=state, seen=seen)
        except NotReachedError as error:
            raise BrokenPromiseError(str(error)) from None

    def expect_dead(self, text: str, reason: str) -> Letter:
        """Wait until the message with this text is among the dead letters, for this reason; it stays there."""

        def look() -> Letter | None:
            letters = dead_letters.peek(self.world.deployment)
            return next((letter for letter in letters if text in letter.body), None)

        found = self.wait(look, f"{text}: a dead letter for {reason}")
        if found.reason != reason:
            raise BrokenPromiseError(f"{text}: promised a dead letter for {reason}, seen {found.reason}")
        self.tell("dead letter")
        return found

    def promise(self, text: str, kept: object) -> None:
        """Fail the story unless this holds."""
        if not kept:
            raise BrokenPromiseError(text)

    def tell(self, word: str) -> None:
        """Add a word to the story's line, once."""
        if word not in self.told[-1:]:
            self.told.append(word)

    def calls(self, number: str | None = None) -> list[str]:
        """What was asked of WeChat Pay about the story's orders, such as `sync 400 ORDER_DONE`."""
        calls = self.world.wechat_pay.calls
        mine = [call for call in calls if call.out_order_no in ([number] if number else self.orders)]
        return [f"{call.operation} {call.status or '-'} {call.code}".rstrip() for call in mine]


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its title, and how it is told; telling raises BrokenPromiseError where it ends otherwise."""

    title: str
    tell: Callable[[Stage], None]

    @property
    def name(self) -> str:
        """The story's name."""
        return self.tell.__name__.replace("_", "-")


def _has_been(order: Order, status: Status, reason: str) -> bool:
    """Whether the order has this status and reason, or had them while it was retried."""
    if (order.status, order.reason) == (status, reason or order.reason):
        return True
    return status is Status.RETRYING and any(attempt.reason == reason for attempt in order.history)


def paid_offline(stage: Stage) -> None:
    """The usual case: one event, one call, the whole answer in the table."""
    stage.ready("PAID-OFFLINE-1")
    stage.publish("paid-offline.json")
    order = stage.expect("PAID-OFFLINE-1", Status.SYNCED)
    answer = stage.world.wechat_pay.order(MERCHANT, "PAID-OFFLINE-1").answer()
    stage.promise("the item holds WeChat Pay's whole answer", order.wechat == answer)
    stage.promise("one call was made", stage.calls() == ["sync 200"])


def paid_offline_by_queue(stage: Stage) -> None:
    """The same from a till that sends to the queue."""
    stage.ready("PAID-OFFLINE-2")
    stage.publish("paid-offline-sqs.json")
    stage.expect("PAID-OFFLINE-2", Status.SYNCED)
    stage.promise("one call was made", stage.calls() == ["sync 200"])


def same_event_twice(stage: Stage) -> None:
    """A till that reports twice costs nothing."""
    stage.ready("TWICE-1")
    stage.publish("same-event-twice.json")
    stage.expect("TWICE-1", Status.SYNCED)
    stage.publish("same-event-twice.json")
    lines = stage.world.lines
    stage.wait(lambda: len(lines("TWICE-1")) >= 4, "all four messages are done", lambda: lines("TWICE-1"))
    order = stage.expect("TWICE-1", Status.SYNCED)
    stage.promise("no status changed", order.attempts == 1)
    stage.promise("WeChat Pay executed one sync", stage.world.wechat_pay.order(MERCHANT, "TWICE-1").syncs == 1)


def mixed_batch(stage: Stage) -> None:
    """One unreadable message costs one message."""
    stage.ready("MIXED-1", "MIXED-3")
    stage.orders.append("MIXED-2")
    stage.publish("mixed-batch.json")
    stage.expect("MIXED-1", Status.SYNCED)
    stage.expect("MIXED-3", Status.SYNCED)
    letter = stage.expect_dead("MIXED-2", "UNREADABLE")
    stage.promise("the reason names the field", letter.explanation.startswith("detail.paid_time: "))
    stage.promise("nothing was asked about it", not stage.calls("MIXED-2"))


def won_by_wechat(stage: Stage) -> None:
    """WeChat Pay was faster: the customer has paid twice, and somebody is told."""
    stage.ready("WON-BY-WECHAT-1")
    deducted = stage.world.wechat_pay.deduct(MERCHANT, "WON-BY-WECHAT-1")
    stage.publish("won-by-wechat.json")
    order = stage.expect("WON-BY-WECHAT-1", Status.PAID_BY_WECHAT)
    stage.promise("the item has what a refund needs", order.transaction_id == deducted.transaction_id)


def deducting(stage: Stage) -> None:
    """WeChat Pay is deducting at this moment: wait its three minutes, then try again."""
    stage.ready("DEDUCTING-1")
    stage.world.wechat_pay.deducting(MERCHANT, "DEDUCTING-1")
    stage.publish("deducting.json")
    stage.expect("DEDUCTING-1", Status.RETRYING, "DEDUCTING")
    waits = stage.world.waits
    [wait] = stage.wait(lambda: waits("DEDUCTING-1")[:1] or None, "its wait is logged")  # after the item is written
    stage.promise("it waits a hundredth of three minutes", wait == 2)
    stage.tell(f"wait {wait} s")
    stage.world.wechat_pay.deducting(MERCHANT, "DEDUCTING-1", on=False)
    stage.expect("DEDUCTING-1", Status.SYNCED)


def order_unknown(stage: Stage) -> None:
    """A dead letter with its reason; its cause is mended; redriven, it gets one new attempt."""
    stage.orders.append("UNKNOWN-1")
    stage.publish("order-unknown.json")
    stage.expect("UNKNOWN-1", Status.REJECTED, "ORDER_NOT_EXIST")
    letter = stage.expect_dead("UNKNOWN-1", "ORDER_NOT_EXIST")
    before = len(stage.calls())
    stage.promise("one short retry, then no call more", before == 2)
    stage.ready("UNKNOWN-1")
    dead_letters.redrive_one(stage.world.deployment, letter.message_id)
    stage.tell("redriven")
    stage.expect("UNKNOWN-1", Status.SYNCED)
    stage.promise("one new attempt", len(set(stage.calls())) == 2 and len(stage.calls()) == before + 1)


def unknown_merchant(stage: Stage) -> None:
    """No secret for this mchid: rejected without a call."""
    stage.mchid = "1999999999"
    stage.orders.append("NO-MERCHANT-1")
    stage.publish("unknown-merchant.json")
    stage.expect("NO-MERCHANT-1", Status.REJECTED, "UNKNOWN_MERCHANT")
    stage.expect_dead("NO-MERCHANT-1", "UNKNOWN_MERCHANT")
    stage.promise("nothing was asked", not stage.calls())


def wrong_key(stage: Stage) -> None:
    """A merchant's key is wrong: his orders wait, none dies, and all go through once the secret is mended."""
    stage.mchid = OTHER_MERCHANT
    stage.ready("WRONG-KEY-1")
    stage.world.wechat_pay.merchant(OTHER_MERCHANT).rotate_key()
    stage.publish("wrong-key.json")
    stage.expect("WRONG-KEY-1", Status.RETRYING, "SIGN_ERROR")
    stage.world.put_secret(OTHER_MERCHANT)
    stage.tell("secret mended")
    stage.expect("WRONG-KEY-1", Status.SYNCED)
    bodies = [letter.body for letter in dead_letters.peek(stage.world.deployment)]
    stage.promise("nothing was dead-lettered for it", not any("WRONG-KEY-1" in body for body in bodies))


def outage(stage: Stage) -> None:
    """WeChat Pay is down in the middle: everything waits, and goes through after it."""
    numbers = ("OUTAGE-1", "OUTAGE-2", "OUTAGE-3")
    stage.ready(*numbers)
    stage.world.wechat_pay.misbehave("connection_refused")
    stage.publish("outage.json")
    for number in numbers:
        stage.expect(number, Status.RETRYING, "UNREACHABLE")
    stage.world.wechat_pay.behave()
    stage.tell("WeChat Pay is back")
    for number in numbers:
        stage.expect(number, Status.SYNCED)
        stage.promise("one sync each", stage.world.wechat_pay.order(MERCHANT, number).syncs == 1)


STORIES = (
    Story("Paid at the till, by EventBridge", paid_offline),
    Story("Paid at the till, by SQS", paid_offline_by_queue),
    Story("The same event, again and again", same_event_twice),
    Story("A batch with one unreadable message", mixed_batch),
    Story("WeChat Pay was faster", won_by_wechat),
    Story("WeChat Pay is deducting just now", deducting),
    Story("An unknown order, mended, redriven", order_unknown),
    Story("A merchant without a secret", unknown_merchant),
    Story("A merchant with a wrong key", wrong_key),
    Story("WeChat Pay is down for a while", outage),  # alone and last: it strikes all calls
)
