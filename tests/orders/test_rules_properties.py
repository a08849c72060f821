"""Property tests of the rules: random sequences of what tills, WeChat Pay, the network and environments may do.

A model keeps the truth: which payments the tills took, and when. WeChat Pay tells of its own payments in between, in
time or never, once or again. Each run ends with every fault repaired and one redrive. Then every paid order is SYNCED,
PAID_BY_WECHAT or NOTHING_DUE, or its item says why it is not, and WeChat Pay has never received a time at which no
customer paid. No item hides a till's report behind what WeChat Pay has told, and the outcome events of each order end
with what its item says. The machine's clocks decide nothing: the only time is the model's.
"""

import itertools
import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from copy import replace
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import wechatpay
from notifications.endings import Effect, Failed, Received, Refused
from notifications.receiver import Receiver
from orders.conversation import WeChatPay
from orders.errors import OrdersError, UnreadableItemError
from orders.event import Message
from orders.order import Order, Status
from orders.ports import Table
from orders.relay import Relay
from orders.report import Report
from orders.results import Result
from orders.rules import RETRIES_EXHAUSTED
from outcomes.announcement import Announcement, DetailType, announce, announce_again
from sandbox.notifications_front import event_of
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.faults import can_strike
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.times import digits

from .inprocess import InTurn, Keys, Killed, KnownMerchant, MemoryTable, NoQueue, Profile, Switch, Wire, session_with

NUMBERS = ["A", "B", "C"]
RECEIVES = 6  # as maxReceiveCount; fewer than in production, so that runs reach the dead letters
FAULTS = [  # of a call or its answer; no status may rest on one
    "system_error",
    "gateway_error",
    "unsigned_error",
    "frequency_limited",
    "sub_code_throttled",
    "not_found_blank",
    "clock_skew_401",
    "bad_sign_401",
    "accepted_202",
    "redirect",
    "tampered_body",
    "reserialised_body",
    "stale_timestamp",
    "foreign_serial",
    "missing_signature_headers",
    "signtest",
    "reset_after_processing",
    "truncated_body",
    "unknown_state",
    "huge_body",
    "other_order",
    "forged_success",
    "reset_before_answer",
    "silence",
    "order_done_on_replay",
    "invalid_order_state_on_replay",
    "invalid_request_on_replay",
    "ok_on_replay",
    "system_error_400",
    "sign_error_400",
    "wrong_platform_serial",
    "paid_time_ahead",
    "param_error_done",
    "gateway_408",
    "gateway_408_after",
    "html_200",
    "dirty_words",
    "wrong_signature",
    "foreign_words",
    "no_collection",
    "collection_empty",
    "collection_null",
    "collection_unreadable",
    "details_unreadable",
    "total_amount_missing",
    "nested_answer",
]
EXPLAINED = {  # reasons in an item that is not final, by the state at WeChat Pay
    "CREATED": "CREATED",
    "USER_CONFIRM": "USER_CONFIRM",
    "REVOKED": "REVOKED",
    "EXPIRED": "EXPIRED",
}
EVENT_TYPES = ["PAYSCORE.USER_PAID", "PAYSCORE.USER_PAID", "PAYSCORE.USER_CONFIRM", "REFUND.SUCCESS"]
ALARMING = {Effect.PAID_BY_WECHAT, Effect.REPEATED, Effect.CONTRADICTION}
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))


@dataclass
class Letter:
    """A message in the queue or among the dead letters."""

    body: str
    number: str
    receives: int = 0


@dataclass
class Truth:
    """The times at which customers really paid for an order, as the tills reported them."""

    times: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Journal(MemoryTable):
    """A table with its stream: what the outcomes function announces of each write."""

    announced: list[Announcement] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)

    def save(self, order: Order) -> None:
        """Write the order; a write is in the stream even if its writer has no answer."""
        before = self.items.get(order.key)
        try:
            MemoryTable.save(self, order)
        finally:
            if self.items.get(order.key) is order:
                if order.status is Status.REJECTED:
                    self.rejected.add(order.key)
                if announcement := announce(before, order):
                    self.announced.append(announcement)

    def of(self, key: str) -> list[DetailType]:
        """Return what was announced of an order, in its sequence."""
        return [one.detail_type for one in self.announced if one.key == key]


class Orders(RuleBasedStateMachine):
    """One merchant, three orders, and every fault that the adapter must bear."""

    keys: Path

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_790_000_000.0
        self.resources = ExitStack()
        self.wechat_pay = Simulator(clock=lambda: self.now, keys=self.keys)  # without a port: called in this process
        self.wire = Wire(self.wechat_pay)
        session = self.resources.enter_context(session_with(self.wire))
        secret = self.wechat_pay.merchant(MERCHANT).secret()
        client = wechatpay.Client(
            **secret,
            base_url="http://main",
            backup_url="http://backup",
            session=session,
            timeout=(math.inf, math.inf),  # no outcome rests on how long the machine takes
            clock=lambda: self.now,
        )
        profile = Profile(client, APPID, SERVICE_ID, "direct")
        self.table = Journal()
        self.circuit = Switch()
        self.relay = Relay(
            table=self.table,
            wechat_pay=WeChatPay(
                Keys({MERCHANT: profile}),
                call_budget=1.0,  # seconds of the model's own clock
                clock=lambda: self.now,
            ),
            queue=NoQueue(),
            circuit=self.circuit,
            executor=InTurn(),
            max_receives=RECEIVES,
            clock=lambda: self.now,
            jitter=lambda: 1.0,
        )
        lookups: Any = KnownMerchant(profile)
        self.receiver = Receiver(self.table, lookups, days=14, within=5.0, call_limit=2.0, clock=lambda: self.now)
        self.notifications: list[
            tuple[dict[str, str], bytes, float]
        ] = []  # notifications that were sent, with their times
        self.reported_twice: set[str] = set()  # orders whose double payment was an ending, for the alarm
        self.unheard: set[str] = set()  # orders of which an ending was lost that nothing repeats
        self.truth: dict[str, Truth] = {number: Truth() for number in NUMBERS}
        self.queue: dict[str, Letter] = {}
        self.dead: dict[str, Letter] = {}
        self.sent = 0
        self.final: dict[str, Status] = {}

    # ---- what tills, shops and customers do --------------------------------------------------------------------------

    @rule(number=st.sampled_from(NUMBERS), move=st.sampled_from(["open", "confirm", "complete", "cancel", "expire"]))
    def a_shop_goes_on(self, number: str, move: str) -> None:
        """A shop moves an order to its next state, if the order's state allows it."""
        if move == "open" and number in self._opened():
            return
        try:
            getattr(self.wechat_pay, move)(MERCHANT, number)
        except SimulatedRefusal:
            return

    @rule(number=st.sampled_from(NUMBERS), total_amount=st.sampled_from([0, 3900]))
    def an_order_becomes_ready(self, number: str, total_amount: int) -> None:
        """A shop opens, confirms and completes an order."""
        if number not in self._opened():
            self.wechat_pay.ready_to_sync(MERCHANT, number, total_amount=total_amount, at=self.now - 60)

    @rule(number=st.sampled_from(NUMBERS))
    def wechat_pay_collects(self, number: str) -> None:
        """WeChat Pay collects the money before the till's report arrives."""
        try:
            self.wechat_pay.deduct(MERCHANT, number)
        except SimulatedRefusal:
            return

    @rule(number=st.sampled_from(NUMBERS), on=st.booleans())
    def a_deduction_runs(self, number: str, on: bool) -> None:
        """A deduction begins or ends."""
        if number in self._opened() and self.wechat_pay.order(MERCHANT, number).collection_state == "USER_PAYING":
            self.wechat_pay.deducting(MERCHANT, number, on)

    @rule(number=st.sampled_from(NUMBERS), copies=st.integers(1, 3))
    def a_till_reports(self, number: str, copies: int) -> None:
        """A till reports a payment, once or several times, each report with a time at which a customer paid."""
        paid_time = digits(self.now - 1)
        self.truth[number].times.add(paid_time)
        payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": paid_time}}
        for _ in range(copies):
            self._enqueue(Letter(json.dumps(payload), number))

    # ---- what WeChat Pay tells ---------------------------------------------------------------------------------------

    @rule(number=st.sampled_from(NUMBERS), event_type=st.sampled_from(EVENT_TYPES))
    def wechat_pay_tells(self, number: str, event_type: str) -> None:
        """WeChat Pay sends a notification about an order as it stands."""
        if number in self._opened():
            headers, body = self.wechat_pay.notification(MERCHANT, number, event_type)
            self.notifications.append((headers, body, self.now))
            self._notify(*self.notifications[-1])

    @precondition(lambda self: self.notifications)
    @rule(data=st.data())
    def a_notification_is_sent_again(self, data: st.DataObject) -> None:
        """The same notification arrives again, in time or too late to be trusted."""
        self._notify(*data.draw(st.sampled_from(self.notifications)))

    @precondition(lambda self: self.notifications)
    @rule(data=st.data())
    def a_notification_is_forged(self, data: st.DataObject) -> None:
        """A notification arrives that was changed on its way: nothing is written."""
        headers, body, sent_at = data.draw(st.sampled_from(self.notifications))
        items = dict(self.table.items)
        self._notify(headers, body + b" ", sent_at)
        assert self.table.items == items

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), number=st.sampled_from(NUMBERS), tells_first=st.booleans())
    def a_notification_and_a_batch_race(self, data: st.DataObject, number: str, tells_first: bool) -> None:
        """A notification arrives between a batch's read and its write, or a batch between those of a notification."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.queue)), min_size=1, max_size=2, unique=True))
        letters = {one: self.queue[one] for one in ids}
        if number not in self._opened():
            return
        headers, body = self.wechat_pay.notification(MERCHANT, number)
        self.notifications.append((headers, body, self.now))
        if tells_first:
            stale = _Stale(self.table, lambda: self._notify(*self.notifications[-1]))
            self._deliver(ids, replace(self.relay, table=stale), letters)
        else:
            self._notify(*self.notifications[-1], _Stale(self.table, lambda: self._deliver(ids)))

    # ---- faults ------------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), times=st.integers(1, 3), operation=st.sampled_from([None, "sync", "query"]))
    def wechat_pay_misbehaves(self, fault: str, times: int, operation: str | None) -> None:
        """A fault strikes the next calls."""
        options: dict[str, Any] = {"processed": True} if fault == "silence" else {}
        operation = operation if operation is None or can_strike(fault, operation) else "sync"
        self.wechat_pay.misbehave(fault, times=times, operation=operation, **options)

    @rule(is_open=st.booleans())
    def the_circuit_moves(self, is_open: bool) -> None:
        """The circuit opens or closes."""
        self.circuit.open = is_open

    @rule(down=st.booleans())
    def the_network_goes(self, down: bool) -> None:
        """The network fails or comes back."""
        self.wire.down = down

    @rule(
        plan=st.lists(
            st.sampled_from(["write", "killed before", "killed after", "refused", "written, no answer"]), max_size=3
        )
    )
    def writes_go_wrong(self, plan: list[str]) -> None:
        """The next writes fail in one of five ways."""
        self.table.plan = plan

    @rule(seconds=st.sampled_from([1, 61, 300, 7200]))
    def time_passes(self, seconds: int) -> None:
        """The clock moves on."""
        self.now += seconds

    # ---- what the queue does -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def a_batch_is_delivered(self, data: st.DataObject) -> None:
        """SQS delivers any messages in any order."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.queue)), min_size=1, max_size=4, unique=True))
        self._deliver(ids)

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), fault=st.sampled_from([None, *FAULTS]))
    def two_environments_race(self, data: st.DataObject, fault: str | None) -> None:
        """One environment reads, another finishes, then the first continues with what it read, perhaps into a fault."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.queue)), min_size=1, max_size=2, unique=True))
        letters = {one: self.queue[one] for one in ids}

        def meanwhile() -> None:
            self._deliver(ids)
            if fault:
                self.wechat_pay_misbehaves(fault, 2, None)

        self._deliver(ids, replace(self.relay, table=_Stale(self.table, meanwhile)), letters)

    @rule()
    def an_operator_redrives(self) -> None:
        """An operator redrives every dead letter, under a new message id."""
        for letter in self.dead.values():
            self._enqueue(replace(letter, receives=0))
        self.dead.clear()

    # ---- invariants --------------------------------------------------------------------------------------------------

    @invariant()
    def a_final_status_never_changes(self) -> None:
        """A final status never changes, and no item disappears."""
        for key, status in self.final.items():
            assert self.table.items[key].status is status
        self.final |= {key: item.status for key, item in self.table.items.items() if item.status.final}

    @invariant()
    def an_item_expires_only_while_no_till_has_reported(self) -> None:
        """A COLLECTED order expires and has no payment at a till; every other order has one and never expires."""
        for item in self.table.items.values():
            is_collected = item.status is Status.COLLECTED
            assert (item.expires_at is not None) is is_collected
            assert (item.payment.paid_time == "") is is_collected

    @invariant()
    def a_rejection_is_not_forgotten(self) -> None:
        """An order that was rejected says so, whatever has become of it."""
        for key in self.table.rejected:
            item = self.table.items[key]
            assert item.was_rejected or item.status is Status.REJECTED

    @invariant()
    def wechat_pay_receives_true_times_only(self) -> None:
        """WeChat Pay never receives a time at which no customer paid."""
        for number in self._opened():
            order = self.wechat_pay.order(MERCHANT, number)
            if order.paid_type == "MCH":
                assert order.paid_time in self.truth[number].times
                assert order.syncs == 1

    def teardown(self) -> None:
        """Repair everything, empty the queue, redrive once, and compare each item with WeChat Pay's order."""
        try:
            self.wechat_pay.end_faults()
            self.wire.down, self.circuit.open, self.table.plan = False, False, []
            for number in self._opened():
                if self.wechat_pay.order(MERCHANT, number).deducting:
                    self.wechat_pay.deducting(MERCHANT, number, on=False)
            self._drain()
            self.an_operator_redrives()
            self._drain()
            for order in self.table.items.values():
                self._compare_with_events(order)
            for number, truth in self.truth.items():
                if truth.times:
                    self._compare(number)
                elif (item := self.table.items.get(f"{MERCHANT}#{number}")) is not None:
                    assert item.status is Status.COLLECTED, "no till has reported it"
                    assert self.wechat_pay.order(MERCHANT, number).paid_type == "NEWTON"
        finally:
            self.resources.close()

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _opened(self) -> set[str]:
        return {str(order["out_order_no"]) for order in self.wechat_pay.ledger()}

    def _enqueue(self, letter: Letter) -> None:
        self.sent += 1
        self.queue[f"m{self.sent}"] = letter

    def _notify(self, headers: dict[str, str], body: bytes, sent_at: float, table: Table | None = None) -> None:
        """Deliver a notification; it is answered, unless the environment ends, and only in time it changes anything."""
        event = event_of("POST", f"/{MERCHANT}", headers.items(), body, self.now)
        before = {key: item.version for key, item in self.table.items.items()}
        calls = len(self.wechat_pay.calls)
        try:
            ending = replace(self.receiver, table=table or self.table).receive(event, lambda: 60.0)
        except Killed:
            self.unheard |= set(NUMBERS)  # WeChat Pay sends it again, which this model does at times
            return
        assert isinstance(ending, Received | Refused | Failed)
        if isinstance(ending, Failed):
            self.unheard |= set(NUMBERS)
        if isinstance(ending, Received) and ending.effect in ALARMING:
            self.reported_twice.add(ending.out_order_no)
        if table is None:
            assert len(self.wechat_pay.calls) == calls, "a notification is opened without a call"
        if table is None and isinstance(ending, Refused):
            assert before == {key: item.version for key, item in self.table.items.items()}
        assert self.now - sent_at <= 300 or not isinstance(ending, Received), "an old notification was trusted"

    def _deliver(self, ids: list[str], relay: Relay | None = None, in_flight: dict[str, Letter] | None = None) -> None:
        letters = in_flight or {one: self.queue[one] for one in ids if one in self.queue}
        closed = {letter.number for letter in letters.values() if self._is_final(letter.number)}
        closed |= self._rejected(letters.values())
        closed |= {letter.number for letter in letters.values() if self._is_collected(letter.number)}
        before = self._calls(closed)
        for letter in letters.values():
            letter.receives += 1
        messages = [Message(one, letter.body, letter.receives) for one, letter in letters.items()]
        try:
            results = (relay or self.relay).run(messages, lambda: 60.0)
        except Killed:
            results = []
        assert relay is not None or self._calls(closed) == before, "a call was made for a final or rejected order"
        self._acknowledge(results)
        for one in [one for one, letter in letters.items() if letter.receives >= RECEIVES and one in self.queue]:
            self.dead[one] = self.queue.pop(one)
            self.unheard.add(self.dead[one].number)  # a redrive gives it another id

    def _acknowledge(self, results: list[Result]) -> None:
        for result in results:
            report = Report(Mock(), Mock(), clock=lambda: self.now)
            report.add(result)
            if report.counts["PaidByWeChat"] and result.event:
                self.reported_twice.add(result.event.payment.out_order_no)
            if not result.failed:
                self.queue.pop(result.message.message_id, None)

    def _is_final(self, number: str) -> bool:
        item = self.table.items.get(f"{MERCHANT}#{number}")
        return item is not None and item.status.final

    def _is_collected(self, number: str) -> bool:
        item = self.table.items.get(f"{MERCHANT}#{number}")
        return item is not None and item.status is Status.COLLECTED

    def _rejected(self, letters: Iterable[Letter]) -> set[str]:
        """Orders that are REJECTED for the payment of all these letters, each of which was received before."""
        rejected: dict[str, bool] = {}
        for letter in letters:
            item = self.table.items.get(f"{MERCHANT}#{letter.number}")
            binds = (
                item is not None
                and item.status is Status.REJECTED
                and item.reason != RETRIES_EXHAUSTED
                and letter.receives > 0
                and json.loads(letter.body)["detail"]["paid_time"] == item.payment.paid_time
            )
            rejected[letter.number] = rejected.get(letter.number, True) and binds
        return {number for number, binds in rejected.items() if binds}

    def _calls(self, numbers: set[str]) -> int:
        return sum(call.out_order_no in numbers for call in self.wechat_pay.calls)

    def _drain(self) -> None:
        while self.queue:
            self.now += 3600
            self._deliver(sorted(self.queue)[:10])

    def _compare(self, number: str) -> None:
        """Compare the item with WeChat Pay's order."""
        item = self.table.items[f"{MERCHANT}#{number}"]
        if number not in self._opened():
            assert (item.status, item.reason) == (Status.REJECTED, "ORDER_NOT_EXIST")
            return
        order = self.wechat_pay.order(MERCHANT, number)
        is_double = item.status is Status.PAID_BY_WECHAT
        assert not is_double or number in self.reported_twice | self.unheard, "no alarm was raised"
        match order.state, order.paid_type:
            case "DONE", "MCH":
                assert item.status is Status.SYNCED
            case "DONE", "NEWTON":
                assert item.status is Status.PAID_BY_WECHAT
                assert item.facts is not None
                assert item.facts.transaction_id == order.transaction_id
            case "DONE", _:
                assert item.status is Status.NOTHING_DUE
            case "DOING", _ if order.collection_state:
                assert (item.status, item.reason) == (Status.REJECTED, "PARAM_ERROR"), "paid before it was asked for"
            case state, _:
                why = item.history[-1].reason if item.reason == RETRIES_EXHAUSTED else item.reason
                assert (item.status, why) == (Status.REJECTED, EXPLAINED[order.state_description or state])

    def _compare_with_events(self, item: Order) -> None:
        """Compare the outcome events with the item that they are about."""
        events = self.table.of(item.key)
        earlier, last = events[:-1], next(reversed(events), None)
        repeated = announce_again(item)
        assert last == (repeated.detail_type if repeated else None)
        assert set(earlier) <= {DetailType.REJECTED}, "an outcome was announced that the table does not bear out"
        is_recovered = item.key in self.table.rejected and item.status in {Status.SYNCED, Status.NOTHING_DUE}
        assert (last is DetailType.RECOVERED) is is_recovered


class _Stale:
    """A table as an environment sees it whose order is written by another one between its read and its write."""

    def __init__(self, table: MemoryTable, meanwhile: Any) -> None:
        self._table = table
        self._meanwhile = meanwhile

    def load(self, keys: Any) -> dict[str, Order | UnreadableItemError]:
        """Read, then let the other environment write, once."""
        orders = self._table.load(list(keys))
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return orders

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write to the one table."""
        return self._table.create(orders)

    def save(self, order: Order) -> None:
        """Write to the one table."""
        self._table.save(order)


def test_the_rules_hold_whatever_happens(key_ring: Path) -> None:
    """No sequence of events breaks an invariant; `make property-tests` runs a hundred times as many."""
    _run(key_ring, EXAMPLES)


def test_an_environment_that_is_overtaken_raises_the_alarm_of_its_message(key_ring: Path) -> None:
    """The alarm is raised though the writer had no answer, and the other copy of the message had no verdict."""
    Orders.keys = key_ring
    model = Orders()
    model.a_till_reports("C", 1)
    model.an_order_becomes_ready("C", 3900)
    model.wechat_pay_collects("C")
    model.writes_go_wrong(["written, no answer"])
    letters = dict(model.queue)

    def meanwhile() -> None:
        model._deliver(["m1"])
        model.wechat_pay_misbehaves("redirect", 2, None)

    model._deliver(["m1"], replace(model.relay, table=_Stale(model.table, meanwhile)), letters)
    assert (model.queue, model.reported_twice) == ({}, {"C"})
    model.teardown()


def test_the_machines_clock_decides_nothing(key_ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model holds on a machine that stalls for an hour between any two looks at its clock."""
    hours = itertools.count(0, 3600)
    wild = SimpleNamespace(monotonic=lambda: float(next(hours)), time=lambda: float(next(hours)))
    for module in ("orders.conversation", "wechatpay.limits", "wechatpay.sender", "wechatpay.transport"):
        monkeypatch.setattr(f"{module}.time", wild)
    _run(key_ring, 10)


def _run(key_ring: Path, examples: int) -> None:
    Orders.keys = key_ring
    run_state_machine_as_test(
        Orders,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
