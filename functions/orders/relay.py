"""The way of a batch: read, load, plan, converse, record, requeue. Each stage returns values to the next.

A stage never takes the others down: one bad record, one unreadable item, one bad answer costs one order.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from orders.errors import (
    CircuitOpenError,
    MalformedEventError,
    OrdersError,
    OutOfTimeError,
    TableUnavailableError,
    UnreadableItemError,
    VersionConflictError,
)
from orders.event import Message, OrderPaid, read
from orders.order import Contact, Order, Outcome, Payment, Refusal, Reporter, Status
from orders.recorder import Recorder, Table
from orders.rules import RETRIES_EXHAUSTED, Step, payment_to_send, plan, record, used_retry
from orders.waits import BACKOFF_CAP, NO_FLOOR, Wait, backoff, deferral

DEFERRED = "CIRCUIT_OPEN"
TABLE_UNAVAILABLE = "TABLE_UNAVAILABLE"
UNREADABLE_ITEM = "UNREADABLE_ITEM"
UNEXPECTED = "UNEXPECTED"
OUT_OF_TIME = "OUT_OF_TIME"
SECOND_REPORT = "SECOND_REPORT"
GATHERING = 0.05  # seconds that a first write waits for others to share its call, at most


class WeChatPay(Protocol):
    """Who settles a payment."""

    def now(self) -> float:
        """Return the clock of `since`."""

    def identify(self, payment: Payment) -> Payment:
        """Fill in what decides the order's key."""

    def prepare(self, payment: Payment) -> Any:  # noqa: ANN401  its own business
        """Do ahead what telling of this payment will need, and send nothing; what it returns belongs to `settle`."""

    def settle(
        self,
        payment: Payment,
        *,
        query_first: bool,
        retried: str,
        since: float,
        time_left: Callable[[], float],
        prepared: Any = None,  # noqa: ANN401  as above
    ) -> Outcome:
        """Have one conversation about one order."""


class Circuit(Protocol):
    """Whether WeChat Pay may be asked at all."""

    def look(self) -> None:
        """Read how it stands, so that `guard` knows."""

    def guard[T](self, work: Callable[[], tuple[T, Contact]]) -> T:
        """Run the batch's conversations; raises CircuitOpenError instead while the circuit is open."""


class Queue(Protocol):
    """Where failed messages wait."""

    def make_visible(self, after: Mapping[str, int]) -> Mapping[str, str]:
        """Let messages (receipt handle → seconds) be received again then; return the error codes of those refused."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one message ended. `wait` is seconds until it is received again; None: it is done and leaves the queue.

    `order` is the item as it now stands; `outcome` the conversation, where there was one. `problem` says why there was
    none, `reason` in one word; `field` which field cannot be read, `event_id` the name of the event it is in.
    `visibility` is SQS's error code where it did not take the wait: the message comes back when its visibility ends.
    """

    message: Message
    event: OrderPaid | None = None
    order: Order | None = None
    outcome: Outcome | None = None
    wait: int | None = None
    problem: str = ""
    reason: str = ""
    field: str = ""
    event_id: str = ""
    visibility: str = ""

    @property
    def failed(self) -> bool:
        """Whether SQS must keep the message."""
        return self.wait is not None

    @property
    def given_up(self) -> bool:
        """Whether this was the last receive: SQS moves the message to the dead letters, and the item says so."""
        last = self.failed and self.event is not None and self.event.reporter.last
        return last and self.order is not None and self.order.reason == RETRIES_EXHAUSTED


@dataclass(frozen=True, slots=True)
class _Report:
    """A readable message."""

    message: Message
    event: OrderPaid


@dataclass(slots=True)
class _Group:
    """Reports of one batch about the same order that take the same step: one conversation answers all."""

    step: Step
    order: Order | None
    prepared: "Future[Any]"
    reports: list[_Report] = field(default_factory=list)

    @property
    def lead(self) -> OrderPaid:
        """The event that is told to WeChat Pay."""
        return self.reports[0].event

    @property
    def reporters(self) -> list[Reporter]:
        """All who reported."""
        return [report.event.reporter for report in self.reports]


@dataclass(frozen=True, slots=True)
class _Settled:
    """A conversation that has ended, for whom, and the order that it makes; `written`: the table has it already."""

    outcome: Outcome
    reporters: Sequence[Reporter]
    order: Order | None
    written: bool


@dataclass(frozen=True, slots=True)
class Relay:
    """Takes a batch from the till to the table.

    `executor` runs the conversations; `cap` is the most that growing waits reach, in seconds; `scale` multiplies every
    wait, below 1 only in a sandbox; `max_receives` is the queue's maxReceiveCount.
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
    jitter: Callable[[], float] = random.SystemRandom().random  # a restored snapshot would repeat a seeded one

    def run(self, messages: Sequence[Message], time_left: Callable[[], float]) -> list[Result]:
        """Handle a batch, one result per message, in order; `time_left` is the invocation's remaining seconds."""
        since = self.wechat_pay.now()
        reports, results = self._read(messages)
        if reports:
            results |= {result.message: result for result in self._handle(reports, since, time_left)}
        return self._requeue([results[message] for message in messages])

    # ---- read --------------------------------------------------------------------------------------------------------

    def _read(self, messages: Sequence[Message]) -> tuple[list[_Report], dict[Message, Result]]:
        """Read each message; one that cannot be read ends here."""
        reports: list[_Report] = []
        unreadable: dict[Message, Result] = {}
        for message in messages:
            try:
                event = read(message, self.clock())
            except MalformedEventError as error:
                unreadable[message] = Result(
                    message, wait=0, problem=str(error), field=error.field, event_id=error.event_id
                )
            else:
                reports.append(_Report(message, replace(event, reporter=self._reporter(message, event.reporter))))
        return self._identified(reports), unreadable

    def _reporter(self, message: Message, reporter: Reporter) -> Reporter:
        last = message.receive_count >= self.max_receives
        return replace(reporter, receive_count=message.receive_count, sent_at=message.sent_at, last=last)

    def _identified(self, reports: list[_Report]) -> list[_Report]:
        """Complete the order's key where the merchant's secret has a say in it."""
        if not any(report.event.payment.key_is_open for report in reports):
            return reports
        payments = self.executor.map(self.wechat_pay.identify, [report.event.payment for report in reports])
        return [
            replace(report, event=replace(report.event, payment=payment))
            for report, payment in zip(reports, payments, strict=True)
        ]

    # ---- load and plan -----------------------------------------------------------------------------------------------

    def _handle(self, reports: Sequence[_Report], since: float, time_left: Callable[[], float]) -> list[Result]:
        looking = self.executor.submit(self.circuit.look)
        prepared = self._prepared(reports)
        try:
            orders = self.table.load(report.event.payment.key for report in reports)
        except TableUnavailableError as error:
            return [self._postponed(report, TABLE_UNAVAILABLE, str(error)) for report in reports]
        groups, results = self._plan(reports, orders, prepared)
        if not groups:
            return results
        with suppress(Exception):  # a circuit that cannot be read counts as closed
            looking.result()
        try:
            return results + self.circuit.guard(lambda: self._converse(groups, since, time_left))
        except CircuitOpenError as circuit:
            return results + self._deferred(groups, circuit.seconds)

    def _prepared(self, reports: Sequence[_Report]) -> "dict[str, Future[Any]]":
        """Fetch keys and sign while the table is read: most orders are new, and signing takes as long as reading."""
        payments: dict[str, Payment] = {}
        for report in reports:
            payments.setdefault(report.event.payment.key, report.event.payment)
        return {key: self.executor.submit(self.wechat_pay.prepare, payment) for key, payment in payments.items()}

    def _plan(
        self,
        reports: Sequence[_Report],
        orders: Mapping[str, Order | UnreadableItemError],
        prepared: "Mapping[str, Future[Any]]",
    ) -> tuple[list[_Group], list[Result]]:
        """Sort the reports: those that need a conversation, by order, and the results of those that need none."""
        groups: dict[str, _Group] = {}
        results: list[Result] = []
        for report in reports:
            payment, order = report.event.payment, orders.get(report.event.payment.key)
            if isinstance(order, UnreadableItemError):
                results.append(self._postponed(report, UNREADABLE_ITEM, str(order)))
                continue
            step = plan(order, payment, report.event.reporter)
            if not step.calls:
                wait = 0 if step is Step.FAIL_AGAIN else None
                results.append(Result(report.message, report.event, order, wait=wait))
                continue
            group = groups.setdefault(payment.key, _Group(step, order, prepared[payment.key]))
            if step is Step.QUERY_FIRST:
                group.step = step
            group.reports.append(report)
        return list(groups.values()), results

    # ---- converse and record -----------------------------------------------------------------------------------------

    def _converse(
        self, groups: Sequence[_Group], since: float, time_left: Callable[[], float]
    ) -> tuple[list[Result], Contact]:
        """All conversations of the batch, in parallel; those that end together are written together."""
        results: list[Result] = []
        pending = {self.executor.submit(self._settle, group, since, time_left): group for group in groups}
        while pending:
            wait(pending, return_when=FIRST_COMPLETED)
            done, _ = wait(pending, timeout=GATHERING)
            ended = [future for future in pending if future in done]  # in the order of the batch
            for group, future in self._created([(pending.pop(future), future) for future in ended]):
                results += self._results(group, future)
        return results, _contact(results)

    def _settle(self, group: _Group, since: float, time_left: Callable[[], float]) -> _Settled:
        """One conversation, on a thread of the pool; its write as well, where the order has been written before."""
        event = group.lead
        outcome = self.wechat_pay.settle(
            payment_to_send(group.order, event.payment),
            query_first=group.step is Step.QUERY_FIRST,
            retried=used_retry(group.order, event.reporter.message_id),
            since=since,
            time_left=time_left,
            prepared=group.prepared.result(),
        )
        reporters = [report.event.reporter for report in group.reports if _same_report(report.event, event, outcome)]
        if group.order is None:
            return _Settled(outcome, reporters, record(None, outcome, reporters, self.clock()), written=False)
        return _Settled(outcome, reporters, self._recorder.record(group.order, outcome, reporters), written=True)

    @property
    def _recorder(self) -> Recorder:
        return Recorder(self.table, self.clock)

    def _created(self, ended: "Sequence[tuple[_Group, Future[_Settled]]]") -> "list[tuple[_Group, Future[_Settled]]]":
        """Write the new orders among those whose conversations have ended together, in one call.

        Returns each with a future that tells what stands in the table: those that the table refused fail by
        themselves, and races over those that it has already are settled side by side.
        """
        new = {
            one.order.key: one.order
            for _, future in ended
            if future.exception() is None and not (one := future.result()).written and one.order is not None
        }
        errors: Mapping[str, Exception]
        try:
            errors = self.table.create(list(new.values())) if new else {}
        except Exception as error:  # noqa: BLE001  the edge of these orders: a bug here must not cost the batch
            errors = dict.fromkeys(new, error)
        return [(group, self._standing(future, errors)) for group, future in ended]

    def _standing(self, future: "Future[_Settled]", errors: Mapping[str, Exception]) -> "Future[_Settled]":
        """Return a future of what stands after the write; where that failed, one that raises or settles the race."""
        if future.exception() is not None:
            return future
        settled = future.result()
        if settled.written or settled.order is None or (error := errors.get(settled.order.key)) is None:
            return future
        return self.executor.submit(self._after_failure, settled, settled.order, error)

    def _after_failure(self, settled: _Settled, order: Order, error: Exception) -> _Settled:
        if not isinstance(error, VersionConflictError):
            raise error
        stands = self._recorder.record(None, settled.outcome, settled.reporters, lost=order)
        return replace(settled, order=stands, written=True)

    def _results(self, group: _Group, future: "Future[_Settled]") -> list[Result]:
        """How each message of a group ended."""
        try:
            settled = future.result()
        except OutOfTimeError:
            order = self._given_up(group, OUT_OF_TIME, "the invocation's time did not suffice for a call")
            return [
                Result(one.message, one.event, order, wait=0, problem=OUT_OF_TIME, reason=OUT_OF_TIME)
                for one in group.reports
            ]
        except TableUnavailableError as error:
            reason, problem, order = TABLE_UNAVAILABLE, str(error), group.order
        except UnreadableItemError as error:
            reason, problem, order = UNREADABLE_ITEM, str(error), None
        except Exception as error:  # noqa: BLE001  the edge of one order: a bug here must not cost the batch
            reason, problem = UNEXPECTED, f"unexpected {type(error).__name__}"
            order = self._given_up(group, reason, problem)
        else:
            return [self._result(one, group.lead, settled.outcome, settled.order) for one in group.reports]
        return [self._postponed(report, reason, problem, order) for report in group.reports]

    def _result(self, report: _Report, lead: OrderPaid, outcome: Outcome, order: Order | None) -> Result:
        message, event = report.message, report.event
        if order is not None and order.status.final:
            return Result(message, event, order, outcome)
        if not _same_report(event, lead, outcome):
            return self._postponed(report, SECOND_REPORT, "another event of the same order went first")
        if outcome.status is Status.REJECTED:
            return Result(message, event, order, outcome, wait=0)
        return Result(message, event, order, outcome, wait=self._backoff(report, outcome.wait))

    # ---- what ends without a conversation ----------------------------------------------------------------------------

    def _deferred(self, groups: Sequence[_Group], seconds: float) -> list[Result]:
        """Circuit open: delay each message until the next probe; the delay doubles with its receive count."""
        return [
            Result(one.message, one.event, order, wait=self._deferral(one, seconds), problem=DEFERRED, reason=DEFERRED)
            for order, group in zip(self.executor.map(self._note, groups), groups, strict=True)
            for one in group.reports
        ]

    def _note(self, group: _Group) -> Order | None:
        """Say on the item, once, that WeChat Pay is not asked at present: a dead letter must have its reason.

        A verdict and its reason stay.
        """
        order, last = group.order, any(reporter.last for reporter in group.reporters)
        if order is not None and (order.status is Status.REJECTED or (order.reason == DEFERRED and not last)):
            return order
        return self._noted(group, DEFERRED, order.last_error if order else None)

    def _given_up(self, group: _Group, reason: str, problem: str) -> Order | None:
        """Where SQS gives a message up that had no conversation, say why on the item; return how it stands."""
        if any(reporter.last for reporter in group.reporters):
            return self._noted(group, reason, Refusal(reason, problem))
        return group.order

    def _noted(self, group: _Group, reason: str, refusal: Refusal | None) -> Order | None:
        """Write a reason of ours on the item, if the table takes it; return how it stands."""
        payment = payment_to_send(group.order, group.lead.payment)
        unknown = group.step is Step.QUERY_FIRST or reason == UNEXPECTED
        outcome = Outcome(Status.RETRYING, payment, reason, unknown=unknown, refusal=refusal)
        with suppress(OrdersError):
            return self._recorder.record(group.order, outcome, group.reporters)
        return group.order

    def _postponed(self, report: _Report, reason: str, problem: str, order: Order | None = None) -> Result:
        wait = self._backoff(report, NO_FLOOR)
        return Result(report.message, report.event, order, wait=wait, problem=problem, reason=reason)

    # ---- requeue -----------------------------------------------------------------------------------------------------

    def _backoff(self, report: _Report, wait: Wait) -> int:
        if report.event.reporter.last:  # SQS moves it when it is received next
            return 0
        count = report.message.receive_count
        return backoff(count, wait, jitter=self.jitter(), cap=self.cap, scale=self.scale)

    def _deferral(self, report: _Report, seconds: float) -> int:
        if report.event.reporter.last:
            return 0
        return deferral(report.message.receive_count, seconds, jitter=self.jitter(), scale=self.scale)

    def _requeue(self, results: list[Result]) -> list[Result]:
        """Have SQS hand out what failed when it is due."""
        waits = {
            result.message.receipt_handle: result.wait
            for result in results
            if result.wait is not None and result.message.receipt_handle
        }
        refused = self.queue.make_visible(waits) if waits else {}
        if not refused:
            return results
        return [replace(result, visibility=refused.get(result.message.receipt_handle or "", "")) for result in results]


def _same_report(event: OrderPaid, lead: OrderPaid, outcome: Outcome) -> bool:
    """Whether a message follows the leading one's outcome: it told the same facts, or the outcome is final."""
    return outcome.status.final or event.payment == lead.payment


def _contact(results: Sequence[Result]) -> Contact:
    """What the batch's calls say about WeChat Pay; a message that made no call says nothing."""
    asked = [
        (result.outcome.payment.key, result.outcome.answered)
        for result in results
        if result.outcome is not None and result.outcome.answered is not None
    ]
    return Contact(
        answered=any(answered for _, answered in asked),
        silent=frozenset(key for key, answered in asked if not answered),
    )
