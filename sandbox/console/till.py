"""The till of the console: fires triggers and sends what a person types, and remembers what became of each event."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ops.stack import Deployment
from sandbox import triggers
from sandbox.console.errors import ConsoleError
from sandbox.console.jobs import Step
from sandbox.till import BATCH, Receipt, Till, ledger_act
from sandbox.till_events import FAMILIES, Family, Way, key_of, own_dispatch
from sandbox.triggers import TRIGGERS, Trigger
from sandbox.wechat_pay import Simulator

REMEMBERED = 30  # events that the page lists
HUNDRED = 100
USUAL = TRIGGERS["paid-offline"]


@dataclass(frozen=True, slots=True)
class Report:
    """An event that was sent: its trigger's name, `own` or `hundred`.

    `key` is its order's, empty where that cannot be read.
    """

    at: float
    name: str
    key: str
    receipt: Receipt

    @property
    def title(self) -> str:
        """What the trigger is, in English; empty for an event of no trigger."""
        return TRIGGERS[self.name].title if self.name in TRIGGERS else ""


class ConsoleTill:
    """Sends events to one deployment; orders that they report are made at the simulated WeChat Pay first."""

    def __init__(self, deployment: Deployment, wechat_pay: Simulator) -> None:
        self._till = Till(deployment)
        self._wechat_pay = wechat_pay
        self._reports: deque[Report] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    @property
    def newest_first(self) -> Sequence[Report]:
        """The events that were sent last."""
        with self._lock:
            return tuple(reversed(self._reports))

    def fire(self, trigger: Trigger, out_order_no: str = "", family: Family = FAMILIES[""]) -> str:
        """Fire a trigger about an order, or a new one, and return the order's key; one that exists stays as it is."""
        if out_order_no and self._has_order(trigger.mchid, out_order_no, family):
            trigger = replace(trigger, situation="absent")
        firing = self._till.fire(trigger, ledger_act(self._wechat_pay), out_order_no, family)
        key = family.key(trigger.mchid, firing.out_order_no)
        self._remember(trigger.name, [(key, receipt) for receipt in firing.receipts])
        return key

    def send_own(self, text: str, way: Way) -> str:
        """Send what a person has typed; return the key of its order, empty where that cannot be read."""
        receipts = self._till.send([own_dispatch(text, way)])
        self._remember("own", [(key_of(text), receipt) for receipt in receipts])
        _require(receipts)
        return key_of(text)

    def send_hundred(self, family: Family) -> Iterator[Step]:
        """Report a hundred new orders, and yield how far it is."""
        act = ledger_act(self._wechat_pay)
        for start in range(0, HUNDRED, BATCH):
            numbers = [triggers.fresh_number("hundred") for _ in range(BATCH)]
            for number in numbers:
                for step in triggers.steps(USUAL.situation, USUAL.mchid, number, family):
                    act(step.verb, **step.arguments)
            dispatches = [one for number in numbers for one in triggers.dispatches(USUAL, number, family)]
            receipts = self._till.send(dispatches)
            keys = [family.key(USUAL.mchid, number) for number in numbers]
            self._remember("hundred", list(zip(keys, receipts, strict=True)))
            _require(receipts)
            yield Step(start + BATCH, HUNDRED)

    def _has_order(self, mchid: str, out_order_no: str, family: Family) -> bool:
        try:
            self._wechat_pay.order(mchid, out_order_no, sub_mchid=family.sub_mchid)
        except KeyError:
            return False
        return True

    def _remember(self, name: str, receipts: Sequence[tuple[str, Receipt]]) -> None:
        now = time.time()
        with self._lock:
            self._reports.extend(Report(now, name, key, receipt) for key, receipt in receipts)


def _require(receipts: Sequence[Receipt]) -> None:
    """Raise ConsoleError where an event was refused."""
    if errors := [receipt.error for receipt in receipts if receipt.error]:
        raise ConsoleError("till.refused", error=errors[0])
