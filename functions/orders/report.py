"""What an invocation reports: one log line for each message, and the metrics that the alarms of template.yaml watch."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState, CircuitTransition

from orders.cases import SECOND_REPORT, UNEXPECTED, UNREADABLE_ITEM
from orders.errors import MalformedEventError
from orders.order import Outcome, Status
from orders.results import Done, Result
from orders.rules import contradicts, raised_alarm
from orders.settlement import KEY_REASONS
from wechatpay import times

NOT_FAILING = frozenset({"CREATED", "USER_CONFIRM", "USER_PAYING", "DEDUCTING", SECOND_REPORT})
"""Reasons that pass by themselves or when the shop completes the order: no alarm counts them as failing."""

FAULTS = KEY_REASONS | {"UNKNOWN_STATE", "PARAM_ERROR", "INVALID_REQUEST", UNREADABLE_ITEM, UNEXPECTED}
"""Reasons that a wrong version of this function would cause: it signs, reads or asks wrongly. An unreadable message
counts as well; an outage, a throttle, an unknown order or merchant does not."""

VALUE_UNITS = {
    "SyncLatency": MetricUnit.Milliseconds,
    "PaidToSynced": MetricUnit.Seconds,
    "Failing": MetricUnit.Count,  # 1 for an attempt that failed, 0 for one that settled its order: an alarm averages
}
VALUES = 100  # of one metric in a line, as CloudWatch takes them
DAY = 86_400  # seconds

type Fields = Mapping[str, str | int]
"""The fields of a log line."""


@dataclass(slots=True)
class Report:
    """The log lines and the metrics of one invocation; `clock` is Unix seconds.

    `version` is the function's published version; empty outside Lambda. `key_ends` has the ends of the platform keys
    that were fetched since the last report. `values` has those of each metric that has one for each order. `faulty` is
    the number of messages with a fault of `FAULTS`.
    """

    logger: Logger
    metrics: Metrics
    clock: Callable[[], float] = time.time
    version: str = ""
    key_ends: deque[datetime] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faulty: int = 0

    def add(self, result: Result) -> None:
        """Log and count one message, unless it fails again on its way to the dead letters.

        SQS hands out a rejected message until its receives are used up: it is reported when it is rejected.
        """
        self._count("Received")
        if result.visibility:
            self._count("VisibilityRefused")
        fields = identity(result) if _went_well(result) else story(result)
        if result.event is None:
            self._add_unreadable(result, fields)
        elif result.given_up:
            self._count("Rejected")
            self._count("DeadLetter")
            self.logger.error("retries exhausted, to the dead letters", extra=fields)
        elif result.outcome is None:
            self._add_without_conversation(result, fields)
        elif result.order is not None and contradicts(result.order, result.outcome):
            self._count("PaidByWeChat")
            self.logger.error("verdicts contradict each other, see the order's history", extra=fields)
        elif not result.failed and not result.outcome.status.final:
            self._add_overtaken(result, result.outcome, fields)
        else:
            self._add_outcome(result.outcome, fields)

    def add_record(self, error: MalformedEventError) -> None:
        """Log and count a record of which no message can be made."""
        self._count("Received")
        self._count("Unreadable")
        self.logger.error("unreadable record, not from SQS", extra={"problem": str(error), "field": error.field})

    def flush(self) -> None:
        """Write the metrics, one log line; a second one, with the version as dimension, only if there was a fault."""
        while self.key_ends:
            days = (self.key_ends.popleft().timestamp() - self.clock()) / DAY
            self.metrics.add_metric("KeyDaysLeft", MetricUnit.Count, round(days, 1))
        for name, number in self.counts.items():
            self.metrics.add_metric(name, MetricUnit.Count, number)
        for name, values in self.values.items():
            self._add_values(name, values)
        if self.counts or self.metrics.metric_set:
            self.metrics.flush_metrics()
        if self.faulty and self.version:
            with single_metric("Faulty", MetricUnit.Count, self.faulty) as metric:
                metric.add_dimension("service", str(self.metrics.service))
                metric.add_dimension("version", self.version)

    def _add_values(self, name: str, values: Sequence[float]) -> None:
        """Add all values of a metric. Powertools writes those it has into its debug log at each one that is added."""
        for number, together in enumerate(batched(values, VALUES, strict=False)):
            if number:
                self.metrics.flush_metrics()
            self.metrics.add_metric(name, VALUE_UNITS[name], together[0])
            self.metrics.metric_set[name]["Value"].extend(map(float, together[1:]))

    def _add_unreadable(self, result: Result, fields: Fields) -> None:
        if result.message.receive_count > 1:
            self.logger.debug("unreadable, reported before", extra=fields)
            return
        self._count("Unreadable")
        self._count("DeadLetter")
        self.faulty += 1
        self.logger.error("unreadable, to the dead letters", extra=fields)

    def _add_without_conversation(self, result: Result, fields: Fields) -> None:
        if not result.failed:
            self._add_settled(result, fields)
        elif result.problem:
            self._count("Deferred")
            if result.event is not None and result.event.reporter.last:
                self._count("DeadLetter")
            self.faulty += result.reason in FAULTS
            self._count_failing(result.reason)
            if result.reason == UNREADABLE_ITEM:
                self._count("UnreadableItem")
            self.logger.warning("deferred", extra=fields)
        else:
            self.logger.debug("rejected, reported before", extra=fields)

    def _add_settled(self, result: Result, fields: Fields) -> None:
        """Report a message of a settled order; a second time if its first report may have been lost by a crash."""
        if result.order is not None and raised_alarm(result.order, result.message.message_id):
            self._count("PaidByWeChat")
            self.logger.error("a double payment, delivered again: refund", extra=story(result))
        else:
            self.logger.info("already settled", extra=fields)

    def _add_overtaken(self, result: Result, outcome: Outcome, fields: Fields) -> None:
        """Report a conversation that settled nothing, about an order that another environment settled meanwhile."""
        self.faulty += outcome.reason in FAULTS
        self._count_reason(outcome)
        self._add_settled(result, fields)

    def _add_outcome(self, outcome: Outcome, fields: Fields) -> None:
        self.faulty += outcome.reason in FAULTS
        if outcome.remembered:
            self._count("RememberedCollection")
        else:
            self._add_metric("SyncLatency", outcome.latency_ms)
        if outcome.status.final:
            self._add_metric("Failing", 0)
        match outcome.status:
            case Status.SYNCED:
                self._count("Synced")
                self._add_metric("PaidToSynced", _age(outcome.payment.paid_time, self.clock()))
                self.logger.info("synced", extra=fields)
            case Status.PAID_BY_WECHAT:
                self._count("PaidByWeChat")
                source = {"remembered": "a notification"} if outcome.remembered else {}
                self.logger.error("the customer has paid twice: refund", extra={**fields, **source})
            case Status.NOTHING_DUE:
                self._count("NothingDue")
                self.logger.info("nothing was due", extra=fields)
            case Status.REJECTED:
                self._count("Rejected")
                self._count("DeadLetter")
                self.logger.error("rejected, to the dead letters", extra=fields)
            case Status.RETRYING:
                self._count("Retrying")
                self._count_reason(outcome)
                self.logger.warning("retrying", extra=fields)

    def _count_reason(self, outcome: Outcome) -> None:
        if not outcome.once:  # the one delayed retry of an order that may be seconds old
            self._count_failing(outcome.reason)
        if outcome.reason in KEY_REASONS:
            self._count("SignatureRefused")
        elif outcome.reason == "UNKNOWN_STATE":
            self._count("UnknownWord")

    def _count_failing(self, reason: str) -> None:
        if reason not in NOT_FAILING:
            self._add_metric("Failing", 1)

    def _add_metric(self, name: str, value: float) -> None:
        self.values[name].append(value)

    def _count(self, name: str) -> None:
        self.counts[name] += 1


def report_transition(transition: CircuitTransition, logger: Logger, metrics: Metrics) -> None:
    """Log a transition of the circuit; count it for the alarm if the circuit opens (`Report.flush` writes that)."""
    if transition.to_state is CircuitState.OPEN:
        metrics.add_metric("CircuitOpened", MetricUnit.Count, 1)
        logger.error("circuit open: WeChat Pay does not answer, messages are delayed")
    else:
        logger.warning("circuit state changed", extra={"circuit": str(transition.to_state)})


def story(result: Result) -> dict[str, str | int]:
    """Return what may leave the table about a message: identifiers, words, numbers; no body, header or openid."""
    order, outcome = result.order, result.outcome
    fields: dict[str, str | int | None] = {
        "message_id": result.message.message_id,
        "receive_count": result.message.receive_count,
        **identity(result),
        "reason": result.reason,
    }
    if order is not None:
        fields |= {"status": order.status, "reason": order.reason, "attempts": order.attempts}
    if outcome is not None:
        fields |= {"request_id": outcome.request_id, "latency_ms": outcome.latency_ms}
        if (refusal := outcome.refusal) is not None:
            fields |= {
                "http_status": refusal.http_status,
                "code": refusal.code,
                "said": refusal.message,
                "field": refusal.field,
                "issue": refusal.issue,
            }
    wait = None if isinstance(result.ending, Done) else result.ending.seconds
    fields |= {"problem": result.problem, "wait": wait, "visibility": result.visibility}
    if result.event is None:
        fields |= {"event_id": result.event_id, "field": result.field}
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def identity(result: Result) -> dict[str, str | int]:
    """Return which order a message is about, and the till's id of the event: the item has the rest."""
    if result.event is None:
        return {}
    payment, reporter = result.event.payment, result.event.reporter
    fields: dict[str, str | int] = {
        "event_id": reporter.event_id,
        "mchid": payment.mchid,
        "out_order_no": payment.out_order_no,
    }
    if payment.sub_mchid:
        fields["sub_mchid"] = payment.sub_mchid
    return fields


def _went_well(result: Result) -> bool:
    """Whether the message leaves the queue and its order's identity is all that there is to say."""
    outcome, order = result.outcome, result.order
    if result.failed or order is None:
        return False
    return outcome is None or (outcome.status is order.status is Status.SYNCED and not outcome.reason)


def _age(paid_time: str, now: float) -> int:
    """Return the seconds since the customer paid; the 8-digit form counts from that day's midnight in Beijing."""
    paid = times.read(paid_time)
    return 0 if paid is None else max(0, round(now - paid.timestamp()))
