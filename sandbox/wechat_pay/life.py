"""What happens to orders by themselves: customers confirm and pay, WeChat Pay deducts and tells, orders expire.

The clock is an argument: who lets the time pass calls `pass_time`. A request does so before it is answered.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Unpack

from sandbox.wechat_pay import orders
from sandbox.wechat_pay.automation import NOTHING, Automation
from sandbox.wechat_pay.notifier import Notifier, NotifierOptions
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.schedule import Schedule, Task
from sandbox.wechat_pay.verbs import CommandError, verb
from sandbox.wechat_pay.wanted_states import COMPLETED

EXPIRY = 30 * 86_400.0  # seconds in which a customer must confirm (doc 4012587166)
_ACTS = ("confirm", "pay", "deduct", "settle")  # tasks of an automation

EVERY_ORDER = "*"


class Life(Notifier):
    """A ledger whose orders change by themselves, and whose changes are told to the merchants."""

    def __init__(self, **options: Unpack[NotifierOptions]) -> None:
        """Start as a notifier; what was due while the process was down happens at the first look at the clock."""
        super().__init__(**options)
        acts = {"confirm": self._confirm, "pay": self._pay, "deduct": self._deduct, "settle": self._settle}
        handlers = {kind: self._at_its_time(act) for kind, act in {**acts, "expire": self._expire}.items()}
        self._schedule = Schedule(self._state, handlers, lambda: self.wake())  # noqa: PLW0108  `wake` is set later

    @property
    def next_due(self) -> float | None:
        """When something happens by itself next; None where nothing will."""
        return min((at for at in (self._schedule.next_due, self.outbox.next_due) if at is not None), default=None)

    def pass_time(self) -> None:
        """Execute what is due by the clock, each thing at its own time."""
        with self._lock:
            self._schedule.run_due(self._clock())

    @verb()
    def automate(
        self,
        mchid: str = "",
        out_order_no: str = "",
        *,
        confirm_after: float | None = None,
        pay_after: float | None = None,
        deduct_after: float | None = None,
        deducting_for: float = 0.0,
        failures: int = 0,
        retry_after: float = 1800.0,
    ) -> dict[str, Any]:
        """Let an order be confirmed, paid and deducted by itself, after so many seconds; or every order from now on.

        The order need not exist yet. Seconds count from the step before, or from this command where the step is past.
        The first `failures` deductions end without the money. A command without seconds ends the automation.
        """
        automation = Automation(confirm_after, pay_after, deduct_after, deducting_for, failures, retry_after)
        if bool(mchid) != bool(out_order_no):
            raise CommandError("name both mchid and out_order_no, or neither for every order", field="out_order_no")
        name = f"{mchid}/{out_order_no}" if mchid else EVERY_ORDER
        with self._state.transaction():
            self._state.put_record("automation", name, asdict(automation))
            orders_of_number = self._orders.same_number(mchid, out_order_no).values()
            for order in orders_of_number:
                self._schedule.drop(order.order_id, _ACTS)
                self._plan(order, automation)
        return asdict(automation)

    @verb(needs=COMPLETED)
    def pay(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Pay in the order page, as the customer does: NEWTON too."""
        return self.deduct(mchid, out_order_no, sub_mchid=sub_mchid)

    def _follow(self, before: SimulatedOrder | None, order: SimulatedOrder) -> None:
        """Tell the merchant, and plan what comes next by itself."""
        super()._follow(before, order)
        is_new = before is None or before.order_id != order.order_id
        if is_new and order.state == "CREATED":
            self._schedule.add(Task(self._now() + EXPIRY, "expire", _record(order)))
        if is_new or _stage(before) != _stage(order):
            self._plan(order, self._automation(order))

    def _automation(self, order: SimulatedOrder) -> Automation:
        for name in (f"{order.mchid}/{order.out_order_no}", EVERY_ORDER):
            if record := self._state.record("automation", name):
                return Automation.of(record)
        return NOTHING

    def _plan(self, order: SimulatedOrder, automation: Automation) -> None:
        now = self._now()
        steps = {"CREATED": {"confirm": automation.confirm_after}}
        steps |= {"USER_PAYING": {"pay": automation.pay_after, "deduct": automation.deduct_after}}
        for kind, seconds in steps.get(_stage(order), {}).items():
            if seconds is not None:
                record = {**_record(order), **asdict(automation)}
                self._schedule.add(Task(now + seconds, kind, record))

    def _at_its_time(self, act: Callable[[Task], None]) -> Callable[[Task], None]:
        def execute(task: Task) -> None:
            self._moment = task.due
            try:
                act(task)
            finally:
                self._moment = None

        return execute

    def _subject(self, task: Task, stage: str) -> SimulatedOrder | None:
        """Return the order of a task; None where it has been replaced or is past the stage."""
        same_number = self._orders.same_number(task.record["mchid"], task.record["out_order_no"])
        matches = [order for order in same_number.values() if order.order_id == task.record["order_id"]]
        return next((order for order in matches if _stage(order) == stage), None)

    def _confirm(self, task: Task) -> None:
        if order := self._subject(task, "CREATED"):
            self._store(orders.confirm(order, task.due), order)

    def _expire(self, task: Task) -> None:
        if order := self._subject(task, "CREATED"):
            self._store(orders.expire(order), order)

    def _pay(self, task: Task) -> None:
        if order := self._subject(task, "USER_PAYING"):
            self._store(orders.deduct(order, task.due), order)

    def _deduct(self, task: Task) -> None:
        """Begin a deduction: while it lasts, sync is refused."""
        if task.record["deducting_for"] and (order := self._subject(task, "USER_PAYING")):
            self._store(orders.alter(order, deducting=True), order)
            self._schedule.add(replace(task, due=task.due + task.record["deducting_for"], kind="settle"))
        else:
            self._settle(task)

    def _settle(self, task: Task) -> None:
        """End a deduction: with the money, or without it and to be tried again."""
        if (order := self._subject(task, "USER_PAYING")) is None:
            return
        if (failures := task.record["failures"]) > 0:
            self._store(orders.alter(order, deducting=False), order)
            record = {**task.record, "failures": failures - 1}
            self._schedule.add(Task(task.due + record["retry_after"], "deduct", record))
        else:
            self._store(orders.deduct(order, task.due), order)


def _record(order: SimulatedOrder) -> dict[str, Any]:
    return {"mchid": order.mchid, "out_order_no": order.out_order_no, "order_id": order.order_id}


def _stage(order: SimulatedOrder | None) -> str:
    """Return where an order stands in its life: its state, or USER_PAYING."""
    return (order.collection_state if order.state == "DOING" else order.state) if order else ""
