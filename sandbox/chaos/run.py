"""One chaos run: send everything while everything fails, repair the causes, redrive once, and audit."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from rich.console import Console

from sandbox.audit import Auditor, Doorways, Findings, order_key
from sandbox.aws_proxy import AwsProxy
from sandbox.chaos.collections import Collections
from sandbox.chaos.disturbances import Disturbances
from sandbox.chaos.front import FrontFaults
from sandbox.chaos.items import later_version_item, put_item, read_items, unreadable_item
from sandbox.chaos.outcomes import OutcomeQueue
from sandbox.chaos.queues import ChaosQueues
from sandbox.chaos.sales import KEYLESS_MERCHANT
from sandbox.chaos.workload import Workload
from sandbox.notifications_front import SimulatedFront
from sandbox.testbed import BEFORE_THE_EVENTS, MERCHANT, OTHER_MERCHANT, Testbed
from sandbox.wechat_pay import SimulatedCall

NEEDS_REPAIR = ("deducting", "not completed yet", "unreadable item", "unreadable later")
"""The kinds of orders whose messages keep coming back until the causes are repaired."""

REST = 10  # times as long as a look took, until the next one: looking takes CPU from what is looked at


@dataclass(slots=True)
class ChaosRun:
    """A deployed testbed, its faults, its workload, and the auditor that compares."""

    testbed: Testbed
    proxy: AwsProxy
    front: SimulatedFront
    front_faults: FrontFaults
    workload: Workload
    seed: int
    console: Console
    auditor: Auditor = field(init=False)
    disturbances: Disturbances = field(init=False)
    collections: Collections = field(init=False)
    outcomes: OutcomeQueue = field(init=False)
    _queues: ChaosQueues = field(init=False)
    _unrepaired: int = field(init=False)  # messages about orders that need a repair
    _began: float = 0.0

    def __post_init__(self) -> None:
        self.auditor = Auditor(lambda: read_items(self.testbed))
        self.collections = Collections(self.testbed.wechat_pay, self.workload, self.seed)
        self.disturbances = Disturbances(
            self.testbed, self.workload, self.auditor, self.collections, self.front, self.seed
        )
        self.outcomes = OutcomeQueue(self.testbed)
        self._queues = ChaosQueues(self.testbed)
        keys = {sale.key for kind in NEEDS_REPAIR for sale in self.workload.kinds[kind]}
        self._unrepaired = sum(report.key in keys for report in self.workload.reports if report.readable)

    def run(self) -> Findings:
        """Send everything under faults, repair, redrive once, audit."""
        self._began = time.monotonic()
        reports = self.workload.reports
        self.outcomes.open()
        self._insert_items()
        self.disturbances.start()
        self.collections.begin()
        self._queues.send(reports)
        self._say(f"{len(reports):,} messages sent")
        self._wait("under faults", self._only_unrepaired_orders_wait, 60 + 0.2 * len(reports))
        self.disturbances.stop()
        self._repair()
        self._wait("after the repair", self._everything_is_told, 120 + 0.2 * len(reports))
        self._say(f"{len(self._queues.dead_letters()):,} dead letters, redriven once")
        self._queues.redrive()
        self._wait("after the redrive", self._queue_is_empty, 120 + 0.1 * len(reports))
        self._wait("until outcomes are announced", self._outcomes_are_announced, 60 + 0.05 * len(reports))
        self.outcomes.close()
        findings = self._compare()
        self._say("audited")
        return findings

    def _compare(self) -> Findings:
        return self.auditor.compare(
            self.workload.reports,
            self.testbed.wechat_pay.ledger(),
            self._calls(),
            self._queues.dead_letters(),
            self._queues.depth(),
            Doorways(self.collections.accepted(), list(self.outcomes.events)),
        )

    def _insert_items(self) -> None:
        """Before the first message: items that cannot be read, and items with unknown members."""
        for position, sale in enumerate(self.workload.kinds["unreadable item"]):
            item = unreadable_item(sale, position)
            put_item(self.testbed, item)
            self.auditor.expect_untouched(item, since=0.0)
        for sale in self.workload.kinds["item of a later version"]:
            put_item(self.testbed, later_version_item(sale))

    def _repair(self) -> None:
        """End every fault, and do what the shops and the administrator have left undone."""
        wechat_pay, kinds = self.testbed.wechat_pay, self.workload.kinds
        wechat_pay.random_faults = None
        wechat_pay.behave()
        self.proxy.decide = lambda _: "pass"
        self.front_faults.are_over = True
        self.collections.settle()
        self.collections.plan(self.collections.number_left)
        for sale in kinds["not completed yet"]:
            wechat_pay.complete(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS)
        for sale in kinds["not created yet"]:
            wechat_pay.ready_to_sync(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS, sub_mchid=sale.sub_mchid)
        for mchid in (MERCHANT, OTHER_MERCHANT, KEYLESS_MERCHANT):
            self.testbed.put_secret(mchid)

    def _wait(self, phase: str, is_over: Callable[[], bool], seconds: float) -> None:
        """Wait for the end of a phase, for so many seconds at most; show now and then what the table says."""
        end, next_look, began = time.monotonic() + seconds, 0.0, time.monotonic()
        while not is_over() and began < end:  # minutes, which the caller chooses
            time.sleep(max(0.5, REST * (time.monotonic() - began)))  # a queue is polled
            began = time.monotonic()
            if began > next_look:
                items = self.auditor.look()
                next_look = time.monotonic() + max(10.0, REST * (time.monotonic() - began))
                counts = Counter(str(item.get("status", "no status")) for item in items.values())
                statuses = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
                line = f"          {phase}: {statuses}; {self._queues.depth():,} waiting"
                self.console.print(line, style="dim", highlight=False, soft_wrap=True)
                began = time.monotonic()

    def _only_unrepaired_orders_wait(self) -> bool:
        """Return whether nothing more will happen under faults than messages of orders that need a repair returning."""
        return self._queues.depth() <= self._unrepaired

    def _everything_is_told(self) -> bool:
        return self._queue_is_empty() and self.collections.is_told

    def _outcomes_are_announced(self) -> bool:
        """Return whether every item's outcome has an event, and no further one has come for a while."""
        return not self._compare().missing_events

    def _queue_is_empty(self) -> bool:
        return self._queues.depth() == 0

    def _calls(self) -> Iterator[tuple[str, float]]:
        for call in self.testbed.wechat_pay.calls:
            yield order_key(call.mchid, call.out_order_no, _sub_mchid(call)), call.at

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self.console.print(f"{seconds:6.0f} s  {text}", highlight=False, soft_wrap=True)


def _sub_mchid(call: SimulatedCall) -> str:
    """Return the owner of the order that a call is about, from its body or its query."""
    query = parse_qs(call.target.partition("?")[2])
    fields = json.loads(call.body) if call.body else {name: values[0] for name, values in query.items()}
    return str(fields.get("sub_mchid", ""))
