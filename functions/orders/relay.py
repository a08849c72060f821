"""The way of a batch: read, load, plan, converse, record, requeue. Each stage returns values to the next.

A stage never takes the others down: one bad record, one unreadable item, one bad answer costs one order.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from itertools import batched, chain
from typing import NamedTuple

from orders import batch
from orders.cases import Case, Delivery, Failure
from orders.conversations import Conversations
from orders.errors import OrdersError, TableUnavailableError
from orders.event import Message
from orders.order import Order, Outcome, Payment
from orders.ports import Circuit, CircuitOpen, Conversation, Exchange, Queue, Ran, Table, WeChatPay
from orders.recorder import Draft, Entry, Recorded, Recorder
from orders.results import Done, Result, Schedule
from orders.waits import BACKOFF_CAP

SIGNED_TOGETHER = 10  # orders of one merchant that one thread signs
JITTER = random.SystemRandom().random  # a restored snapshot would repeat a seeded one


class Relay(NamedTuple):
    """Takes a batch from the POS to the table.

    `executor` runs the conversations. `cap` is the longest backoff, in seconds; `scale` multiplies every wait, below 1
    only in a sandbox; `max_receives` is the queue's maxReceiveCount.
    """

    table: Table
    wechat_pay: WeChatPay
    queue: Queue
    circuit: Circuit
    executor: Executor
    cap: float = BACKOFF_CAP
    scale: float = 1.0
    max_receives: int = 1 << 31  # more than any message gets
    clock: Callable[[], float] = time.time
    jitter: Callable[[], float] = JITTER

    def run(self, messages: Sequence[Message], time_left: Callable[[], float]) -> list[Result]:
        """Handle a batch, one result per message, in order; `time_left` is the invocation's remaining seconds."""
        since = self.wechat_pay.now()
        deliveries, unreadable = self._read(messages)
        if not deliveries:
            return self._requeue(unreadable)
        ahead = self._begin(deliveries)
        cases, planned = batch.plan(deliveries, self._load(deliveries), self._schedule)
        results = self._remember([case for case in cases if case.is_remembered])
        results += self._converse([case for case in cases if not case.is_remembered], ahead, since, time_left)
        return self._requeue(batch.in_order(messages, unreadable + planned + results))

    def _read(self, messages: Sequence[Message]) -> tuple[list[Delivery], list[Result]]:
        """Read the messages; complete the order's key if it depends on the merchant's secret."""
        deliveries, unreadable = batch.read(messages, self.clock(), self.max_receives)
        if any(delivery.payment.key_is_open for delivery in deliveries):
            payments = self.executor.map(self.wechat_pay.identify, [delivery.payment for delivery in deliveries])
            deliveries = [one.with_payment(payment) for one, payment in zip(deliveries, payments, strict=True)]
        return deliveries, unreadable

    def _begin(self, deliveries: Sequence[Delivery]) -> "_Ahead":
        """Start in the background what the conversations need: signing takes as long as reading the table."""
        payments = {delivery.key: delivery.payment for delivery in reversed(deliveries)}  # of each key the first
        look = self.executor.submit(self.circuit.look)
        conversations: dict[str, Future[Conversation]] = {key: Future() for key in reversed(payments)}
        for merchant in _by_merchant([payments[key] for key in conversations]):
            for together in batched(merchant, SIGNED_TOGETHER, strict=False):
                self.executor.submit(self._prepare, together, conversations)
        return _Ahead(look, conversations)

    def _prepare(self, payments: Sequence[Payment], conversations: Mapping[str, Future[Conversation]]) -> None:
        """Begin conversations one after the other: a thread for each would cost more than it signs."""
        for payment in payments:
            future = conversations[payment.key]
            try:
                future.set_result(self.wechat_pay.prepare(payment))
            except BaseException as error:  # noqa: BLE001  the edge of one order
                future.set_exception(error)

    def _load(self, deliveries: Sequence[Delivery]) -> Mapping[str, Order | OrdersError]:
        """Load the orders of the batch; an order that cannot be had is an error among the values."""
        keys = [delivery.key for delivery in deliveries]
        try:
            return self.table.load(keys)
        except TableUnavailableError as error:
            return dict.fromkeys(keys, error)

    def _remember(self, cases: Sequence[Case]) -> list[Result]:
        """Record the cases that their items answer, in parallel: no call is made, so the circuit does not matter."""

        def record(case: Case) -> Recorded | Exception:
            try:
                return self._recorder.record(Entry(case.order, case.remembered, case.reporters()))
            except Exception as error:  # noqa: BLE001  the edge of one order
                return error

        endings = list(self.executor.map(record, cases)) if cases else []
        return [result for case, ending in zip(cases, endings, strict=True) for result in self._results(case, ending)]

    def _converse(
        self, cases: Sequence[Case], ahead: "_Ahead", since: float, time_left: Callable[[], float]
    ) -> list[Result]:
        """Have one conversation per case, in parallel, unless the circuit is open."""
        if not cases:
            return []

        def preparation(case: Case) -> Future[Conversation]:
            return ahead.conversations[case.lead.key]

        def begin(case: Case, conversation: Conversation) -> Exchange:
            return conversation.start(
                case.payment, query_first=case.query_first, retried=case.retried, since=since, time_left=time_left
            )

        def note(case: Case, outcome: Outcome) -> Draft | Recorded:
            entry = Entry(case.order, outcome, case.reporters(outcome))
            return self._recorder.draft(entry) if case.order is None else self._recorder.record(entry)

        def settle_all() -> Ran[list[Result]]:
            results: list[Result] = []
            for group in Conversations(self.executor, preparation, begin, note).settle(cases):
                endings = self._recorder.create([one.ending for one in group])
                for one, ending in zip(group, endings, strict=True):
                    results += self._results(one.case, ending)
            return Ran(results, batch.contacts(results))

        wait([ahead.look])  # a circuit that cannot be read counts as closed
        ran = self.circuit.run(settle_all)
        if isinstance(ran, CircuitOpen):
            return list(chain.from_iterable(self.executor.map(lambda case: self._results(case, ran), cases)))
        return ran.value

    def _results(self, case: Case, ending: Recorded | Failure) -> list[Result]:
        """Return how each message of the case ends; a failure costs this case alone."""
        if isinstance(ending, Recorded):
            return case.ends(ending.outcome, ending.order, self._schedule)
        note = self._recorder.note(case.order, case.note(ending), case.reporters())
        if note.settlement is not None:
            return case.ends(note.settlement.outcome, note.order, self._schedule)
        return case.fails(ending, note.order, self._schedule)

    def _requeue(self, results: list[Result]) -> list[Result]:
        """Set when SQS hands the failed messages out again."""
        waits = {
            result.message.receipt_handle: result.ending.seconds
            for result in results
            if not isinstance(result.ending, Done) and result.message.receipt_handle
        }
        refused = self.queue.make_visible(waits) if waits else {}
        if not refused:
            return results
        return [result._replace(visibility=refused.get(result.message.receipt_handle or "", "")) for result in results]

    @property
    def _schedule(self) -> Schedule:
        return Schedule(self.cap, self.scale, self.jitter)

    @property
    def _recorder(self) -> Recorder:
        return Recorder(self.table, self.executor, self.clock)


class _Ahead(NamedTuple):
    """What is under way while the table is read: a look at the circuit, and the beginnings of the conversations."""

    look: Future[None]
    conversations: Mapping[str, Future[Conversation]]


def _by_merchant(payments: Sequence[Payment]) -> Iterable[Sequence[Payment]]:
    """Return the payments of each merchant: its secret may have to be fetched, for which no other one waits."""
    merchants: dict[str, list[Payment]] = {}
    for payment in payments:
        merchants.setdefault(payment.mchid, []).append(payment)
    return merchants.values()
