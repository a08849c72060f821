"""What WeChat Pay does by itself during a run: it deducts, before, during and after the till's report, and tells."""

import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.chaos.sales import Sale
from sandbox.chaos.workload import Workload
from sandbox.wechat_pay import Simulator

SOON = 3.0  # seconds, at most, until a deduction begins
LENGTH = 1.0  # seconds that half of the deductions take; a sync is refused in the meantime
DAY = 86_400.0  # seconds; an order that is not confirmed expires later
PAID = "PAYSCORE.USER_PAID"


@dataclass(slots=True)
class Collections:
    """The deductions of a run, in an order that the seed decides."""

    wechat_pay: Simulator
    workload: Workload
    seed: int
    _waiting: deque[Sale] = field(init=False)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311  not for secrets
        sales = self.workload.kinds["deducted meanwhile"] + self.workload.kinds["never reported"]
        self._waiting = deque(self._dice.sample(sales, len(sales)))

    def begin(self) -> None:
        """Deduct what is deducted before the reports."""
        for sale in self.workload.kinds["deducted before"]:
            self.wechat_pay.automate(sale.mchid, sale.out_order_no, deduct_after=0.0)

    @property
    def number_left(self) -> int:
        """How many deductions have not been planned yet."""
        return len(self._waiting)

    def plan(self, number: int) -> None:
        """Let the next orders be deducted within seconds; one that is synced by then is not."""
        for _ in range(min(number, len(self._waiting))):
            sale, length = self._waiting.popleft(), self._dice.choice((0.0, LENGTH))
            soon = self._dice.random() * SOON
            self.wechat_pay.automate(sale.mchid, sale.out_order_no, deduct_after=soon, deducting_for=length)

    def settle(self) -> None:
        """End the deductions that have lasted since before the first message, every second one with the money."""
        for position, sale in enumerate(self.workload.kinds["deducting"]):
            if position % 2:
                self.wechat_pay.deduct(sale.mchid, sale.out_order_no, sub_mchid=sale.sub_mchid)
            else:
                self.wechat_pay.deducting(sale.mchid, sale.out_order_no, on=False, sub_mchid=sale.sub_mchid)

    def resend(self, number: int) -> None:
        """Send some of the newest notifications once more, accepted or not."""
        for notification in self.wechat_pay.outbox.newest(limit=number):
            self.wechat_pay.resend(notification.id)

    @property
    def is_told(self) -> bool:
        """Whether every deduction has ended, and no notification waits."""
        due = self.wechat_pay.next_due
        return self.number_left == 0 and (due is None or due > time.time() + DAY)

    def accepted(self) -> set[str]:
        """Return the orders whose collection WeChat Pay has told, and was answered."""
        return set(self._accepted_keys())

    def _accepted_keys(self) -> Iterator[str]:
        keys = {(sale.mchid, sale.out_order_no): sale.key for sales in self.workload.kinds.values() for sale in sales}
        for notification in self.wechat_pay.outbox.newest(limit=1_000_000):
            if (notification.event_type, notification.delivery) == (PAID, "accepted"):
                yield keys[notification.mchid, notification.out_order_no]
