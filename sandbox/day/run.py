"""Drive the clock through a day: the shop's calls, the customers, WeChat Pay, the notifications, and one restart."""

import heapq
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.day.plans import RETRY, Plan, draw, end_of
from sandbox.day.receiver import Receiver
from sandbox.day.shop import Shop
from sandbox.wechat_pay import times
from sandbox.wechat_pay.courier import Courier
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.service import SimulatedService

MIDNIGHT = 1_790_000_000.0  # some day; the clock is driven
HOUR, DAY = 3600, 86_400
MONTH = 31 * DAY  # after which an order that was not confirmed has expired
MCHID = "1230000109"
NOTIFY_URL = "http://127.0.0.1/notify"
CALLS_KEPT = 500  # so that the record of calls is full before memory is compared


@dataclass(slots=True)
class Figures:
    """What was counted and measured; `faults` says what is not as it must be."""

    orders: int = 0
    calls: int = 0
    restarts: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    notifications: int = 0
    resident: list[float] = field(default_factory=list)  # MB, hour by hour
    faults: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MB by which the process has grown since the second hour, when every cache is full."""
        return max(self.resident[2:]) - self.resident[2]


class Day:
    """One day of one shop at a simulated WeChat Pay."""

    def __init__(self, directory: Path, orders: int, seed: int) -> None:
        self.now = MIDNIGHT
        self.plans = [draw(number, seed) for number in range(orders)]
        self.figures = Figures(orders=orders)
        self._directory = directory
        self._service = self._open()
        self._receiver = Receiver(self._service.merchant(MCHID), random.Random(seed))  # noqa: S311  not for secrets
        self._courier = self._new_courier()
        self._shop = Shop(self._service, MCHID, NOTIFY_URL, self.clock)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._entries = iter(range(10**9))

    def clock(self) -> float:
        """Return the driven time."""
        return self.now

    def run(self) -> Figures:
        """Run the day and the month after it, and compare every order with its plan."""
        for plan in self.plans:
            self._at(MIDNIGHT + plan.created, lambda plan=plan: self._create(plan))  # type: ignore[misc]
        self._at(MIDNIGHT + DAY / 2, self._restart)
        for hour in range(25):
            self._at(MIDNIGHT + hour * HOUR, self._measure)
        for moment in self._moments():
            self.now = max(self.now, moment)
            while self._agenda and self._agenda[0][0] <= self.now:
                heapq.heappop(self._agenda)[2]()
            self._service.pass_time()
            while self._courier.deliver_due():
                pass
        self._compare()
        self._service.close()
        return self.figures

    def _moments(self) -> Iterator[float]:
        """Yield the next moment at which anything happens, until nothing will."""
        while True:
            due = self._service.next_due
            moments = [at for at in (due, self._agenda[0][0] if self._agenda else None) if at is not None]
            if not moments:
                return
            yield min(moments)

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._entries), act))

    def _create(self, plan: Plan) -> None:
        self._automate(plan)
        self._expect("create", plan, self._shop.create(plan.out_order_no))
        if plan.completed is not None:
            self._at(MIDNIGHT + plan.completed, lambda: self._complete(plan))

    def _automate(self, plan: Plan) -> None:
        """Decide what the customer and WeChat Pay will do by themselves."""
        self._service.automate(
            MCHID,
            plan.out_order_no,
            confirm_after=plan.confirm_after,
            pay_after=plan.pay_after,
            deduct_after=plan.deduct_after,
            deducting_for=plan.deducting_for,
            failures=plan.failures,
            retry_after=plan.retry_after,
        )

    def _complete(self, plan: Plan) -> None:
        if plan.behaviour == "canceled":
            self._expect("cancel", plan, self._shop.cancel(plan.out_order_no))
            return
        self._expect("complete", plan, self._shop.complete(plan.out_order_no, plan.total_amount))
        if plan.synced is not None:
            self._at(MIDNIGHT + plan.synced, lambda: self._sync(plan))

    def _sync(self, plan: Plan) -> None:
        """Sync as a till does: again three minutes later while WeChat Pay is deducting."""
        match self._shop.sync(plan.out_order_no):
            case "INVALID_REQUEST":
                self._at(self.now + RETRY, lambda: self._sync(plan))
            case "" | "ORDER_DONE":
                pass
            case code:
                self.figures.faults.append(f"{plan.out_order_no}: sync was refused with {code}")

    def _expect(self, step: str, plan: Plan, code: str) -> None:
        if code:
            self.figures.faults.append(f"{plan.out_order_no}: {step} was refused with {code}")

    def _open(self) -> SimulatedService:
        service = SimulatedService(state=self._directory, clock=self.clock)
        service.call_log.keep(CALLS_KEPT)
        service.merchant(MCHID)
        return service

    def _new_courier(self) -> Courier:
        return Courier(self._service, clock=self.clock, send=self._receiver.receive)

    def _order(self, plan: Plan) -> SimulatedOrder:
        """Return the order as it stands; one without a state where it does not exist."""
        try:
            return self._service.order(MCHID, plan.out_order_no)
        except KeyError:
            return SimulatedOrder(MCHID, plan.out_order_no, "", "", state="lost")

    def _restart(self) -> None:
        """End the simulator and start another one on the same state."""
        self._service.close()
        self._service = self._open()
        self._receiver.merchant = self._service.merchant(MCHID)
        self._shop.service, self._courier = self._service, self._new_courier()
        self.figures.restarts += 1

    def _measure(self) -> None:
        self.figures.resident.append(resident())

    def _compare(self) -> None:
        """Compare every order and every notification with the plan."""
        figures = self.figures
        figures.calls, figures.attempts = self._shop.calls, self._receiver.attempts
        figures.notifications = len(self._receiver.ids)
        balance = Counter(set(self._receiver.accepted))
        for plan in self.plans:
            end, order = end_of(plan), self._order(plan)
            paid = times.digits(MIDNIGHT + end.paid) if end.paid is not None else ""
            expected, actual = (end.state, end.paid_type, paid), (order.state, order.paid_type, order.paid_time)
            figures.ends[f"{order.state} {order.paid_type}".strip()] += 1
            if expected != actual:
                figures.faults.append(f"{plan.out_order_no} ({plan.behaviour}): expected {expected}, seen {actual}")
            balance.subtract({(plan.out_order_no, event): 1 for event in end.events})
        figures.faults += [
            f"{number}: {event} was {'not told' if count < 0 else 'told without cause'}"
            for (number, event), count in balance.items()
            if count
        ]
        if waiting := self._service.outbox.due(float("inf")):
            figures.faults.append(f"{len(waiting)} notifications still wait")


def resident() -> float:
    """Return the memory of this process in MB (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
