"""The corridor: read all, load all, decide each, settle in parallel, write what ends together, put back what failed.

A stage never takes the others down: one bad record costs one record.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from orders import order as law
from orders.errors import (
    MalformedEventError,
    OrdersError,
    OutOfTimeError,
    TableUnavailableError,
    VersionConflictError,
)
from orders.event import Message, OrderPaid, read
from orders.order import NO_FLOOR, Order, Outcome, Payment, Status, Step, Wait

DEFERRED = "CIRCUIT_OPEN"
SAVE_ROUNDS = 5  # races over one order that a write settles before it leaves the rest to redelivery
GATHERING = 0.05  # seconds that a first write waits for others to share its call, at most


class Table(Protocol):
    """Where orders are kept."""

    def load(self, keys: Iterable[str]) -> dict[str, Order]:
        """Read the orders that exist."""

    def create(self, orders: Sequence[Order]) -> Mapping[str, OrdersError]:
        """Write orders that nobody has written before; return what went wrong, by key."""

    def save(self, order: Order) -> None:
        """Write one order on top of the version before it."""


class WeChatPay(Protocol):
    """Who settles a payment."""

    def prepare(self, payment: Payment) -> Any:  # noqa: ANN401  its own business
        """Do ahead what telling of this payment will need, and send nothing; what it returns belongs to `settle`."""

    def settle(
        self,
        payment: Payment,
        *,
        query_first: bool,
        missing_before: bool,
        time_left: Callable[[], float],
        prepared: Any = None,  # noqa: ANN401  as above
    ) -> Outcome:
        """Have one conversation about one order."""


class Circuit(Protocol):
    """Whether WeChat Pay may be asked at all."""

    def look(self) -> None:
        """Read how it stands, so that `guard` knows."""

    def guard(self, work: Callable[[], bool | None]) -> float | None:
        """Run the batch's conversations, or return the seconds until somebody may."""


class Queue(Protocol):
    """Where failed messages wait."""

    def make_visible(self, after: Mapping[str, int]) -> list[str]:
        """Let messages be received again after so many seconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one message ended. `wait` is seconds until it is received again; None: it is done and leaves the queue.

    `order` is the item as it now stands; `outcome` the conversation, where there was one; `problem` why there was none.
    """

    message: Message
    event: OrderPaid | None = None
    order: Order | None = None
    outcome: Outcome | None = None
    wait: int | None = None
    problem: str = ""
    field: str = ""

    @property
    def failed(self) -> bool:
        """Whether SQS must keep the message."""
        return self.wait is not None


@dataclass(slots=True)
class _Group:
    """Messages of one batch that report the same payment and take the same step: one conversation answers all."""

    step: Step
    order: Order | None
    prepared: "Future[Any]"
    members: list[tuple[Message, OrderPaid]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Settled:
    """A conversation that has ended, for whom, and the order that it makes; `written`: the table has it already."""

    outcome: Outcome
    reporters: Sequence[law.Reporter]
    order: Order | None
    written: bool


@dataclass(frozen=True, slots=True)
class Relay:
    """Takes a batch from the till to the table.

    `executor` runs the conversations; `cap` is the most that growing waits reach, in seconds; `scale` multiplies every
    wait, below 1 only in a sandbox.
    """

    table: Table
    wechat_pay: WeChatPay
    queue: Queue
    circuit: Circuit
    executor: Executor
    cap: float = law.BACKOFF_CAP
    scale: float = 1.0
    clock: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random

    def run(self, messages: Sequence[Message], time_left: Callable[[], float]) -> list[Result]:
        """Handle a batch, one result per message, in order; `time_left` is the invocation's remaining seconds."""
        results: dict[Message, Result] = {}
        if events := list(self._read(messages, results)):
            self._handle(events, results, time_left)
        self._put_back(results.values())
        return [results[message] for message in messages]

    def _handle(
        self,
        events: Sequence[tuple[Message, OrderPaid]],
        results: dict[Message, Result],
        time_left: Callable[[], float],
    ) -> None:
        """What can be read: load, decide, and let those talk who may."""
        looking = self.executor.submit(self.circuit.look)
        prepared = self._prepared(events)
        try:
            orders = self.table.load(event.payment.key for _, event in events)
        except TableUnavailableError as error:
            results |= {message: self._postponed(message, event, str(error)) for message, event in events}
            return
        groups = self._decide(events, orders, prepared, results)
        if groups:
            looking.result()
            if closed_for := self.circuit.guard(lambda: self._talk(groups, results, time_left)):
                results |= self._deferred(groups, closed_for)

    def _read(self, messages: Sequence[Message], results: dict[Message, Result]) -> Iterable[tuple[Message, OrderPaid]]:
        for message in messages:
            try:
                yield message, read(message, self.clock())
            except MalformedEventError as error:
                results[message] = Result(message, wait=0, problem=str(error), field=error.field)

    def _prepared(self, events: Sequence[tuple[Message, OrderPaid]]) -> "dict[str, Future[Any]]":
        """Fetch keys and sign while the table is read: most orders are new, and signing takes as long as reading."""
        payments: dict[str, Payment] = {}
        for _, event in events:
            payments.setdefault(event.payment.key, event.payment)
        return {key: self.executor.submit(self.wechat_pay.prepare, payment) for key, payment in payments.items()}

    def _decide(
        self,
        events: Sequence[tuple[Message, OrderPaid]],
        orders: Mapping[str, Order],
        prepared: "Mapping[str, Future[Any]]",
        results: dict[Message, Result],
    ) -> list[_Group]:
        groups: dict[str, _Group] = {}
        for message, event in events:
            order = orders.get(event.payment.key)
            step = law.decide(order, message.message_id, message.receive_count)
            if not step.calls:
                wait = 0 if step is Step.FAIL_AGAIN else None
                results[message] = Result(message, event, order, wait=wait)
                continue
            group = groups.setdefault(event.payment.key, _Group(step, order, prepared[event.payment.key]))
            if step is Step.QUERY_FIRST:
                group.step = step
            group.members.append((message, event))
        return list(groups.values())

    def _talk(
        self, groups: Iterable[_Group], results: dict[Message, Result], time_left: Callable[[], float]
    ) -> bool | None:
        """All conversations of the batch, in parallel; returns whether WeChat Pay answered any of them."""
        answered: bool | None = None
        pending = {self.executor.submit(self._settle, group, time_left): group for group in groups}
        while pending:
            wait(pending, return_when=FIRST_COMPLETED)
            done, _ = wait(pending, timeout=GATHERING)
            for ended in self._recorded([(pending.pop(one), one) for one in done]):
                for result in ended.values():
                    if result.outcome is not None and result.outcome.answered is not None:
                        answered = answered or result.outcome.answered
                results |= ended
        return answered

    def _deferred(self, groups: Sequence[_Group], seconds: float) -> dict[Message, Result]:
        """Nobody calls now: each message waits for the next try at least, and longer the more often it has come."""
        return {
            message: Result(message, event, order, wait=self._deferral(message, seconds), problem=DEFERRED)
            for order, group in zip(self.executor.map(self._note, groups), groups, strict=True)
            for message, event in group.members
        }

    def _note(self, group: _Group) -> Order | None:
        """Say on the item, once, that WeChat Pay is not asked at present: a dead letter must have its reason."""
        if group.order is not None and group.order.reason == DEFERRED:
            return group.order
        payment = law.standing(group.order, group.members[0][1].payment)
        outcome = Outcome(Status.RETRYING, payment, DEFERRED, unknown=group.step is Step.QUERY_FIRST)
        try:
            return self._write(group.order, outcome, [event.reporter for _, event in group.members])
        except TableUnavailableError:
            return group.order

    def _settle(self, group: _Group, time_left: Callable[[], float]) -> _Settled:
        """One conversation, on a thread of the pool; its write as well, where the order has been written before."""
        lead, event = group.members[0]
        outcome = self.wechat_pay.settle(
            law.standing(group.order, event.payment),
            query_first=group.step is Step.QUERY_FIRST,
            missing_before=law.missing_before(group.order, lead.message_id),
            time_left=time_left,
            prepared=group.prepared.result(),
        )
        reporters = [other.reporter for _, other in group.members if _same_report(other, event, outcome)]
        if group.order is None:
            return _Settled(outcome, reporters, law.record(None, outcome, reporters, self.clock()), written=False)
        return _Settled(outcome, reporters, self._write(group.order, outcome, reporters), written=True)

    def _recorded(self, ended: Sequence[tuple[_Group, "Future[_Settled]"]]) -> Iterable[dict[Message, Result]]:
        """Write the new ones among the orders whose conversations have ended together, in one call."""
        settled = [one.result() for _, one in ended if one.exception() is None]
        new = [one.order for one in settled if one.order is not None and not one.written]
        errors: Mapping[str, Exception]
        try:
            errors = self.table.create(new)
        except Exception as error:  # noqa: BLE001  the edge of these orders: a bug here must not cost the batch
            errors = {order.key: error for order in new}
        for group, one in ended:
            yield self._gather(group, one, errors)

    def _write(self, order: Order | None, outcome: Outcome, reporters: Sequence[law.Reporter]) -> Order | None:
        """Record the outcome; where somebody wrote first, settle the race on top of what he wrote."""
        for _ in range(SAVE_ROUNDS):
            after = law.record(order, outcome, reporters, self.clock())
            if after is None:
                return order
            try:
                self.table.save(after)
            except VersionConflictError:
                order = self.table.load([after.key]).get(after.key)
            else:
                return after
        raise TableUnavailableError("write", "lost every race")

    def _stands(self, settled: _Settled, errors: Mapping[str, Exception]) -> Order | None:
        """Return the order as it stands in the table now; where somebody else had created it, settle that race."""
        order = settled.order
        if order is None or settled.written or (error := errors.get(order.key)) is None:
            return order
        if not isinstance(error, VersionConflictError):
            raise error
        return self._write(self.table.load([order.key]).get(order.key), settled.outcome, settled.reporters)

    def _gather(
        self, group: _Group, future: "Future[_Settled]", errors: Mapping[str, Exception]
    ) -> dict[Message, Result]:
        try:
            settled = future.result()
            outcome, order = settled.outcome, self._stands(settled, errors)
        except OutOfTimeError:
            return {m: Result(m, e, group.order, wait=0, problem="OUT_OF_TIME") for m, e in group.members}
        except TableUnavailableError as error:
            return {m: self._postponed(m, e, str(error)) for m, e in group.members}
        except Exception as error:  # noqa: BLE001  the edge of one order: a bug here must not cost the batch
            problem = f"unexpected {type(error).__name__}"
            return {m: self._postponed(m, e, problem) for m, e in group.members}
        lead = group.members[0][1]
        return {m: self._result(m, e, lead, outcome, order) for m, e in group.members}

    def _result(
        self, message: Message, event: OrderPaid, lead: OrderPaid, outcome: Outcome, order: Order | None
    ) -> Result:
        if order is not None and order.status.final:
            return Result(message, event, order, outcome)
        if not _same_report(event, lead, outcome):
            return self._postponed(message, event, "another event of the same order went first")
        if outcome.status is Status.REJECTED:
            return Result(message, event, order, outcome, wait=0)
        return Result(message, event, order, outcome, wait=self._backoff(message, outcome.wait))

    def _postponed(self, message: Message, event: OrderPaid, problem: str) -> Result:
        return Result(message, event, wait=self._backoff(message, NO_FLOOR), problem=problem)

    def _backoff(self, message: Message, wait: Wait) -> int:
        return law.backoff(message.receive_count, wait, jitter=self.jitter(), cap=self.cap, scale=self.scale)

    def _deferral(self, message: Message, seconds: float) -> int:
        return law.deferral(message.receive_count, seconds, jitter=self.jitter(), scale=self.scale)

    def _put_back(self, results: Iterable[Result]) -> None:
        waits = {
            result.message.receipt_handle: result.wait
            for result in results
            if result.wait is not None and result.message.receipt_handle
        }
        if waits:
            self.queue.make_visible(waits)


def _same_report(event: OrderPaid, lead: OrderPaid, outcome: Outcome) -> bool:
    """Whether a message follows the leading one's outcome: it told the same facts, or the outcome is final."""
    return outcome.status.final or event.payment == lead.payment
