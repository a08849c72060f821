"""The stories of `make demo`: what a till reports, what WeChat Pay answers, and how each must end.

Each runs through the real template; `tests/test_end_to_end.py` runs them as tests.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ops import dead_letters
from orders.order import Status
from sandbox.refund_team import SimulatedRefundTeam
from sandbox.stage import Stage
from sandbox.testbed import MERCHANT, OTHER_MERCHANT
from sandbox.triggers import TRIGGERS


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its title and its steps; `run` raises BrokenPromiseError where it ends otherwise."""

    title: str
    run: Callable[[Stage], None]

    @property
    def name(self) -> str:
        """The story's name."""
        return self.run.__name__.replace("_", "-")


def paid_offline(stage: Stage) -> None:
    """The usual case: one event, one call, the whole answer in the table."""
    stage.ready("PAID-OFFLINE-1")
    stage.publish("paid-offline.json")
    order = stage.expect("PAID-OFFLINE-1", Status.SYNCED)
    answer = stage.testbed.wechat_pay.order(MERCHANT, "PAID-OFFLINE-1").answer()
    stage.require("the item holds WeChat Pay's whole answer", order.facts is not None and order.facts.answer == answer)
    stage.require("one call was made", stage.calls() == ["sync 200"])


def paid_offline_by_queue(stage: Stage) -> None:
    """The same from a till that sends to the queue."""
    stage.ready("PAID-OFFLINE-2")
    stage.publish("paid-offline-sqs.json")
    stage.expect("PAID-OFFLINE-2", Status.SYNCED)
    stage.require("one call was made", stage.calls() == ["sync 200"])


def same_event_twice(stage: Stage) -> None:
    """A till that reports twice: one sync is executed."""
    stage.ready("TWICE-1")
    stage.publish("same-event-twice.json")
    stage.expect("TWICE-1", Status.SYNCED)
    stage.publish("same-event-twice.json")
    lines = stage.testbed.lines
    stage.wait(lambda: len(lines("TWICE-1")) >= 4, "all four messages are done", lambda: lines("TWICE-1"))
    order = stage.expect("TWICE-1", Status.SYNCED)
    stage.require("no status changed", order.attempts == 1)
    stage.require("WeChat Pay executed one sync", stage.testbed.wechat_pay.order(MERCHANT, "TWICE-1").syncs == 1)


def mixed_batch(stage: Stage) -> None:
    """One unreadable message costs one message."""
    stage.ready("MIXED-1", "MIXED-3")
    stage.orders.append("MIXED-2")
    stage.publish("mixed-batch.json")
    stage.expect("MIXED-1", Status.SYNCED)
    stage.expect("MIXED-3", Status.SYNCED)
    letter = stage.expect_dead("MIXED-2", "UNREADABLE")
    stage.require("the reason names the field", letter.explanation.startswith("detail.paid_time: "))
    stage.require("nothing was asked about it", not stage.calls("MIXED-2"))


def won_by_wechat(stage: Stage) -> None:
    """WeChat Pay was faster: the customer has paid twice, and an alarm reports it."""
    stage.bring("won-by-wechat", "WON-BY-WECHAT-1")
    deducted = stage.testbed.wechat_pay.order(MERCHANT, "WON-BY-WECHAT-1")
    stage.publish("won-by-wechat.json")
    order = stage.expect("WON-BY-WECHAT-1", Status.PAID_BY_WECHAT)
    transaction_id = order.facts.transaction_id if order.facts else None
    stage.require("the item has what a refund needs", transaction_id == deducted.transaction_id)


def deducting(stage: Stage) -> None:
    """WeChat Pay is deducting at this moment: wait its three minutes, then try again."""
    stage.bring("deducting", "DEDUCTING-1")
    stage.publish("deducting.json")
    stage.expect("DEDUCTING-1", Status.RETRYING, "DEDUCTING")
    waits = stage.testbed.waits
    [wait] = stage.wait(lambda: waits("DEDUCTING-1")[:1] or None, "its wait is logged")  # after the item is written
    stage.require("it waits a hundredth of three minutes", wait == 2)
    stage.show(f"wait {wait} s")
    stage.testbed.wechat_pay.deducting(MERCHANT, "DEDUCTING-1", on=False)
    stage.expect("DEDUCTING-1", Status.SYNCED)


def order_unknown(stage: Stage) -> None:
    """A dead letter with its reason; its cause is repaired; redriven, it gets one new attempt."""
    stage.orders.append("UNKNOWN-1")
    stage.publish("order-unknown.json")
    stage.expect("UNKNOWN-1", Status.REJECTED, "ORDER_NOT_EXIST")
    letter = stage.expect_dead("UNKNOWN-1", "ORDER_NOT_EXIST")
    before = len(stage.calls())
    stage.require("one short retry, then no call more", before == 2)
    stage.ready("UNKNOWN-1")
    dead_letters.redrive_one(stage.testbed.deployment, letter.message_id)
    stage.show("redriven")
    stage.expect("UNKNOWN-1", Status.SYNCED)
    stage.require("one new attempt", len(set(stage.calls())) == 2 and len(stage.calls()) == before + 1)


def unknown_merchant(stage: Stage) -> None:
    """No secret for this mchid: rejected without a call."""
    stage.mchid = "1999999999"
    stage.orders.append("NO-MERCHANT-1")
    stage.publish("unknown-merchant.json")
    stage.expect("NO-MERCHANT-1", Status.REJECTED, "UNKNOWN_MERCHANT")
    stage.expect_dead("NO-MERCHANT-1", "UNKNOWN_MERCHANT")
    stage.require("nothing was asked", not stage.calls())


def wrong_key(stage: Stage) -> None:
    """A merchant's key is wrong: its orders wait, none is dead-lettered, all succeed once the secret is repaired."""
    stage.mchid = OTHER_MERCHANT
    stage.ready("WRONG-KEY-1")
    stage.testbed.wechat_pay.merchant(OTHER_MERCHANT).rotate_key()
    stage.publish("wrong-key.json")
    stage.expect("WRONG-KEY-1", Status.RETRYING, "SIGN_ERROR")
    stage.testbed.put_secret(OTHER_MERCHANT)
    stage.show("secret mended")
    stage.expect("WRONG-KEY-1", Status.SYNCED)
    bodies = [letter.body for letter in dead_letters.peek(stage.testbed.deployment)]
    stage.require("nothing was dead-lettered for it", not any("WRONG-KEY-1" in body for body in bodies))


def collected_first(stage: Stage) -> None:
    """WeChat Pay tells that it has collected before the till reports: the report is answered from the item."""
    stage.bring("collected-first", "COLLECTED-1")
    stage.expect("COLLECTED-1", Status.COLLECTED)
    stage.report("COLLECTED-1")
    order = stage.expect("COLLECTED-1", Status.PAID_BY_WECHAT)
    stage.require("nothing was asked", not stage.calls())
    collected = stage.testbed.wechat_pay.order(MERCHANT, "COLLECTED-1")
    transaction_id = order.facts.transaction_id if order.facts else None
    stage.require("the item has what a refund needs", transaction_id == collected.transaction_id)


def refund_team(stage: Stage) -> None:
    """WeChat Pay collects while the till's report waits, and tells; the rule on the outcome events sends a mail."""
    team = SimulatedRefundTeam.of(stage.testbed.cloud)
    stage.bring("deducting", "REFUND-1")
    stage.report("REFUND-1")
    stage.expect("REFUND-1", Status.RETRYING, "DEDUCTING")
    deducted = stage.testbed.wechat_pay.deduct(MERCHANT, "REFUND-1")
    stage.expect("REFUND-1", Status.PAID_BY_WECHAT)
    mail = stage.wait(lambda: team.mail_about("REFUND-1"), "the refund team has a mail", lambda: team.mails)
    stage.require("the mail names the transaction", f"Refund WeChat Pay transaction {deducted.transaction_id}." in mail)
    stage.show("mail to the refund team")


def outage(stage: Stage) -> None:
    """WeChat Pay is down for a while: every order waits, and is synced afterwards."""
    numbers = ("OUTAGE-1", "OUTAGE-2", "OUTAGE-3")
    stage.ready(*numbers)
    stage.testbed.wechat_pay.misbehave("connection_refused")
    stage.publish("outage.json")
    for number in numbers:
        stage.expect(number, Status.RETRYING, "UNREACHABLE")
    stage.testbed.wechat_pay.behave()
    stage.show("WeChat Pay is back")
    for number in numbers:
        stage.expect(number, Status.SYNCED)
        stage.require("one sync each", stage.testbed.wechat_pay.order(MERCHANT, number).syncs == 1)


STORIES = tuple(
    Story(TRIGGERS[run.__name__.replace("_", "-")].title, run)
    for run in (
        paid_offline,
        paid_offline_by_queue,
        same_event_twice,
        mixed_batch,
        won_by_wechat,
        deducting,
        order_unknown,
        unknown_merchant,
        wrong_key,
        collected_first,
        refund_team,
        outage,  # alone and last: it strikes all calls
    )
)
