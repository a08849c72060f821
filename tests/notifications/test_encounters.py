"""Notifications as a table: each status of an item, each kind of notification, each way in which both meet.

A till's report comes before the notification, after it, between its read and its write, or with the notification
between those of the report; its message is delivered again, or is redriven under another id. Whatever the sequence, the
order ends alike.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from copy import replace
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from notifications.endings import Ending, Reason, Received, Refused
from orders.conversation import WeChatPay
from orders.errors import OrdersError, UnreadableItemError
from orders.event import Message
from orders.items import item_of
from orders.order import Facts, Order, Payment, Receipt, Status, instant
from orders.ports import Table
from orders.relay import Relay
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.wechat_pay.times import digits
from tests.notifications.conftest import Doorway
from tests.orders.inprocess import InTurn, Keys, MemoryTable, NoQueue, Switch

PAYMENT = Payment(MERCHANT, "A1", "20260101120000", appid=APPID, service_id=SERVICE_ID, endpoint="direct")
OTHER = "1999999999"
STATUSES = [None, *Status]
OPEN = {Status.RETRYING, Status.REJECTED}
KINDS = {  # what WeChat Pay tells → what an open order becomes of it
    "NEWTON": Status.PAID_BY_WECHAT,
    "MCH": Status.SYNCED,
    "a word that is not known": None,
}
MESSAGES = {"the same message": ("m1", 2), "redriven": ("m9", 1)}


@dataclass
class Meanwhile:
    """A table whose reader is overtaken, once, between its read and its write."""

    table: MemoryTable
    event: Callable[[], object]

    def load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        """Read, then let the other one come first."""
        orders = self.table.load(keys)
        event, self.event = self.event, lambda: None
        event()
        return orders

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write to the one table."""
        return self.table.create(orders)

    def save(self, order: Order) -> None:
        """Write to the one table."""
        self.table.save(order)


@dataclass
class Scene:
    """The notification and the report that meet at one order, and how each of them ends."""

    doorway: Doorway
    number: str
    call: tuple[dict[str, str], bytes]
    message: Message

    def tell(self, table: Table | None = None) -> Ending:
        """Deliver the notification."""
        receiver = self.doorway.receiver
        if table is not None:
            self.doorway.receiver = replace(receiver, table=table)
        try:
            return self.doorway.deliver(*self.call)
        finally:
            self.doorway.receiver = receiver

    def report(self, table: Table | None = None) -> None:
        """Deliver the till's report."""
        lookups: Any = self.doorway.receiver.lookups
        relay = Relay(
            table=table or self.doorway.table,
            wechat_pay=WeChatPay(
                Keys({MERCHANT: lookups.get(MERCHANT)}),
                call_budget=1.0,  # seconds of the doorway's own clock
                clock=self.doorway.clock,
            ),
            queue=NoQueue(),
            circuit=Switch(),
            executor=InTurn(),
            clock=self.doorway.clock,
            jitter=lambda: 1.0,
        )
        relay.run([self.message], lambda: 60.0)

    @property
    def calls(self) -> int:
        """The number of calls to WeChat Pay about the order."""
        return sum(call.out_order_no == self.number for call in self.doorway.wechat_pay.calls)

    @property
    def item(self) -> Order | None:
        """The order's item; in each state it is as the rules have it."""
        item = self.doorway.item(self.number)
        if item is not None:
            attributes = item_of(item)
            assert ("expires_at" in attributes) is (item.status is Status.COLLECTED)
            assert ("attention" in attributes) is item.status.needs_attention
            assert (item.status is Status.COLLECTED) is ("paid_time" not in attributes)
        return item


SEQUENCES: dict[str, Callable[[Scene], object]] = {
    "told, then reported": lambda scene: [call() for call in (scene.tell, scene.report)],
    "reported, then told": lambda scene: [call() for call in (scene.report, scene.tell)],
    "told while it is reported": lambda scene: scene.report(Meanwhile(scene.doorway.table, scene.tell)),
    "reported while it is told": lambda scene: scene.tell(Meanwhile(scene.doorway.table, scene.report)),
}


def _item(status: Status, number: str = "A1") -> Order:
    """Return an item as the function leaves it at this status."""
    payment = replace(PAYMENT, out_order_no=number)
    order = Order(payment, None, status, 3, instant(0), instant(0), event_id="e1", message_id="m1", attempts=3)
    match status:
        case Status.COLLECTED:
            notice = replace(payment, paid_time="")
            facts = Facts({"state": "DONE"}, "DONE", None, "USER_PAID", "NEWTON", "T1")
            return replace(order, payment=notice, facts=facts, reason="NEWTON", attempts=0, expires_at=2_000_000_000)
        case Status.RETRYING:
            return replace(order, reason="DEDUCTING", messages={"m1": Receipt(1)}, was_rejected=True)
        case Status.REJECTED:
            return replace(order, reason="NO_AUTH", messages={"m1": Receipt(1, rejected=True)}, rejected_at=instant(0))
    return order


def _scene(doorway: Doorway, status: Status | None, kind: str, message: str = "redriven", number: str = "A1") -> Scene:
    doorway.wechat_pay.ready_to_sync(MERCHANT, number)
    doorway.wechat_pay.deduct(MERCHANT, number)
    order = doorway.wechat_pay.order(MERCHANT, number)
    if kind == "MCH":
        paid_time = digits(doorway.clock.now - 60)
        doorway.wechat_pay._store(replace(order, paid_type="MCH", paid_time=paid_time, transaction_id=""))
    elif KINDS[kind] is None:
        doorway.wechat_pay._store(replace(order, state="SOMETHING_NEW"))
    if status is not None:
        item = _item(status, number)
        doorway.table.items[item.key] = item
    id_, receives = MESSAGES[message]
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": PAYMENT.paid_time}}
    return Scene(doorway, number, doorway.notification(number), Message(id_, json.dumps(payload), receives))


def _after_notification(status: Status | None, kind: str) -> Status | None:
    """Return the status after the notification alone."""
    if status is None:
        return Status.COLLECTED if kind == "NEWTON" else None
    return KINDS[kind] or status if status in OPEN else status


def _after_both(status: Status | None, kind: str, message: str) -> Status:
    """Return the status after both, whatever the sequence."""
    if status is Status.COLLECTED:
        return Status.PAID_BY_WECHAT
    if status is not None and status.final:
        return status
    if status is Status.REJECTED and message == "the same message" and KINDS[kind] is None:
        return Status.REJECTED
    return KINDS[kind] or Status.RETRYING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_notification_alone(doorway: Doorway, status: Status | None, kind: str) -> None:
    """A notification settles what a till has reported, remembers what none has, and changes no final status."""
    scene = _scene(doorway, status, kind)
    before = scene.item
    assert isinstance(scene.tell(), Received)
    item = scene.item
    assert (item.status if item else None) is _after_notification(status, kind)
    assert scene.calls == 0
    if item is None or before is None:
        assert item is None or not item.status.needs_attention
        return
    assert item.payment == before.payment
    assert (item.event_id, item.message_id, item.attempts) == ("e1", "m1", before.attempts)
    assert item.was_rejected or item.status is Status.REJECTED or status not in OPEN
    assert item.messages == ({} if item.status.final else before.messages), "a redriven message has its attempt"
    first = item.version
    scene.tell()
    again = scene.item
    assert again is not None
    assert again.version == first, "a repetition writes nothing"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_notification_and_a_report(doorway: Doorway, status: Status | None, kind: str) -> None:
    """The order ends alike in whatever sequence both arrive, and a report is never hidden behind COLLECTED."""
    messages = MESSAGES if status else ["redriven"]  # an item that does not exist has no message
    for number, (message, sequence) in enumerate(product(messages, SEQUENCES)):
        scene = _scene(doorway, status, kind, message, f"A{number}")
        SEQUENCES[sequence](scene)
        item = scene.item
        assert item is not None
        assert item.status is _after_both(status, kind, message), (message, sequence)
        assert item.payment.paid_time == PAYMENT.paid_time
        assert item.was_rejected or item.status is Status.REJECTED or status not in OPEN
        if Status.COLLECTED in {
            status,
            _after_notification(status, kind) if sequence == "told, then reported" else None,
        }:
            assert scene.calls == 0
        SEQUENCES[sequence](scene)
        assert scene.item is not None
        assert scene.item.status is item.status
        assert not item.status.final or scene.item.version == item.version, "both again change nothing"


@pytest.mark.parametrize("status", STATUSES)
def test_a_notification_of_another_merchant(doorway: Doorway, status: Status | None) -> None:
    """A genuine notification of one merchant changes nothing of another, not even with the same keys."""
    scene = _scene(doorway, status, "NEWTON")
    doorway.secrets.secrets[f"wechatpay/{OTHER}"] = {
        **doorway.secrets.secrets[f"wechatpay/{MERCHANT}"],
        "mchid": OTHER,
    }
    if status is not None:
        other = replace(_item(status), payment=replace(_item(status).payment, mchid=OTHER))
        doorway.table.items[other.key] = other
    items = dict(doorway.table.items)
    assert doorway.deliver(*scene.call, OTHER) == Refused(Reason.OTHER_MERCHANT, OTHER)
    assert doorway.table.items == items


@pytest.mark.parametrize("status", STATUSES)
def test_a_notification_of_a_sub_merchants_order(doorway: Doorway, status: Status | None) -> None:
    """An order of a sub-merchant is another order: the service provider's own of this number stays as it is."""
    if status is not None:
        doorway.table.items[PAYMENT.key] = _item(status)
    doorway.wechat_pay.ready_to_sync(MERCHANT, "A1", sub_mchid="1900000109", endpoint="partner")
    doorway.wechat_pay.deduct(MERCHANT, "A1", sub_mchid="1900000109")
    doorway.notify("A1")
    assert doorway.item("A1") == (None if status is None else _item(status))
    other = doorway.item("A1", owner=f"{MERCHANT}/1900000109")
    assert other is not None
    assert other.status is Status.COLLECTED
