"""The entry point: puts the parts together once, takes what Lambda hands in, logs in one line how a message ended."""

import gc

gc.disable()  # what is imported below is no garbage: looking for some costs a cold start 5 % of its time

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState, CircuitTransition

import wechatpay
from orders.aws import Aws
from orders.circuit import Circuit
from orders.conversation import WeChatPay
from orders.errors import MalformedEventError, NotSyncedError, UnsupportedEventError  # noqa: F401  raised from here
from orders.event import Message
from orders.merchants import Merchants
from orders.order import Outcome, Status
from orders.queue import OrderQueue
from orders.records import Bare, Batch, read_records
from orders.relay import SECOND_REPORT, UNREADABLE_ITEM, Relay, Result
from orders.rules import contradicts
from orders.settings import Settings
from orders.table import OrdersTable
from orders.wechat import KEY_REASONS
from wechatpay import times

THREADS = 100  # conversations at a time, as many as a batch ever has: they wait for the network, a core serves them all

logger = Logger(location=None, timestamp=None)  # the message says where; CloudWatch Logs has the time of every line
logger.remove_keys(["service"])  # as its log group does
metrics = Metrics()
counts: Counter[str] = Counter()  # of this invocation, for the metrics
attempts: list[int] = []  # of this invocation: 1 for each that failed, 0 for each that settled its order

PATIENCE = frozenset({"CREATED", "USER_CONFIRM", "USER_PAYING", "DEDUCTING", SECOND_REPORT})
"""Reasons that pass by themselves or when the shop completes the order: no alarm counts them as failing."""


class LambdaContext(Protocol):
    """What the function needs of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def bootstrap(settings: Settings) -> Relay:
    """Put the real things together, once per execution environment: one AWS session, one pool of each kind."""
    aws = Aws(wechatpay.tls_context(settings.aws_ca_bundle), connections=THREADS)
    client_factory = partial(
        wechatpay.Client,
        base_url=settings.wechatpay_base_url,
        backup_url=settings.wechatpay_backup_url,
        timeout=(settings.connect_timeout, settings.read_timeout),
        session=wechatpay.Session(),
    )
    dynamodb = aws.client("dynamodb")
    merchants = Merchants(aws.client("secretsmanager"), settings.merchant_secret_prefix, client_factory)
    return Relay(
        table=OrdersTable(dynamodb, settings.orders_table),
        wechat_pay=WeChatPay(merchants, call_budget=settings.call_budget),
        queue=OrderQueue(partial(aws.client, "sqs"), settings.order_queue_url),
        circuit=Circuit(dynamodb, settings.orders_table, on_transition=_tell_transition, scale=settings.retry_scale),
        executor=ThreadPoolExecutor(THREADS, thread_name_prefix="conversation"),
        cap=settings.backoff_cap,
        scale=settings.retry_scale,
        max_receives=settings.max_receive_count,
    )


def _tell_transition(transition: CircuitTransition) -> None:
    """Opened: an alarm. Half-open and closed: a line."""
    if transition.to_state is CircuitState.OPEN:
        _count("CircuitOpened")
        logger.error("the circuit is open: WeChat Pay does not answer, orders wait")
    else:
        logger.warning("the circuit moves", extra={"circuit": str(transition.to_state)})


relay = bootstrap(Settings.from_env())
gc.freeze()  # nor will it be later
gc.enable()


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Handle an SQS batch (partial batch response) or a bare EventBridge event (its outcome; raises if not final)."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    try:
        match read_records(event, context.aws_request_id):
            case Batch() as batch:
                return _batch(batch, time_left)
            case Bare(message):
                return _bare(message, time_left)
    finally:
        _flush()


def _batch(batch: Batch, time_left: Callable[[], float]) -> dict[str, Any]:
    results = relay.run(batch.messages, time_left)
    for result in results:
        _tell(result)
    for error in batch.unreadable:
        _tell_unreadable_record(error)
    failed = dict.fromkeys(result.message.message_id for result in results if result.failed)  # each id once
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _tell_unreadable_record(error: MalformedEventError) -> None:
    """One log line and the counts of a record that no message can be made of."""
    _count("Received")
    _count("Unreadable")
    logger.error("unreadable record, not from SQS", extra={"problem": str(error), "field": error.field})


def _bare(message: Message, time_left: Callable[[], float]) -> dict[str, Any]:
    [result] = relay.run([message], time_left)
    _tell(result)
    story = _story(result)
    if result.failed:
        raise NotSyncedError(" ".join(f"{name}={value}" for name, value in story.items()))
    return story


def _story(result: Result) -> dict[str, Any]:
    """What may be known outside the table: identifiers, words and numbers; no body, no header, no openid."""
    story: dict[str, Any] = {"message_id": result.message.message_id, "receive_count": result.message.receive_count}
    story |= _brief(result)
    if result.order is not None:
        story |= {"status": result.order.status, "reason": result.order.reason, "attempts": result.order.attempts}
    if result.outcome is not None:
        story |= {"request_id": result.outcome.request_id, "latency_ms": result.outcome.latency_ms}
        if (refusal := result.outcome.refusal) is not None:
            story |= {"code": refusal.code, "said": refusal.message, "field": refusal.field, "issue": refusal.issue}
    story |= {"problem": result.problem, "wait": result.wait, "visibility": result.visibility}
    if result.event is None:
        story |= {"event_id": result.event_id, "field": result.field}
    return {name: value for name, value in story.items() if value not in (None, "")}


def _flush() -> None:
    """Write the invocation's metrics, one log line."""
    for name, number in counts.items():
        metrics.add_metric(name, MetricUnit.Count, number)
    for failed in attempts:  # one value each: the alarm's statistic is their average
        metrics.add_metric("Failing", MetricUnit.Count, failed)
    counts.clear()
    attempts.clear()
    metrics.flush_metrics()


def _tell(result: Result) -> None:
    """One log line and the counts of one message; of one that fails again on its way to the dead letters none.

    SQS hands a rejected message out until its receives are used up: it is told and counted when it is judged.
    """
    _count("Received")
    if result.visibility:
        _count("VisibilityRefused")
    story = _brief(result) if _went_well(result) else _story(result)
    if result.event is None:
        _tell_unreadable(result, story)
    elif result.given_up:
        _count("Rejected")
        logger.error("retries exhausted, to the dead letters", extra=story)
    elif result.outcome is None:
        _tell_without_conversation(result, story)
    elif result.order is not None and contradicts(result.order, result.outcome):
        _count("PaidByWeChat")
        logger.error("verdicts contradict each other, see the order's history", extra=story)
    else:
        _tell_outcome(result, result.outcome, story)


def _went_well(result: Result) -> bool:
    """Whether the message leaves the queue with nothing to tell but which order it was about."""
    outcome, order = result.outcome, result.order
    if result.failed or order is None:
        return False
    return outcome is None or (outcome.status is order.status is Status.SYNCED and not outcome.reason)


def _tell_unreadable(result: Result, story: dict[str, Any]) -> None:
    if result.message.receive_count > 1:
        logger.debug("unreadable, told before", extra=story)
        return
    _count("Unreadable")
    logger.error("unreadable, to the dead letters", extra=story)


def _tell_without_conversation(result: Result, story: dict[str, Any]) -> None:
    if not result.failed:
        logger.info("already settled", extra=story)
    elif result.problem:
        _count("Deferred")
        _count_failing(result.reason)
        if result.reason == UNREADABLE_ITEM:
            _count("UnreadableItem")
        logger.warning("deferred", extra=story)
    else:
        logger.debug("rejected before, told then", extra=story)


def _tell_outcome(result: Result, outcome: Outcome, story: dict[str, Any]) -> None:
    metrics.add_metric("SyncLatency", MetricUnit.Milliseconds, outcome.latency_ms)
    if outcome.status.final:
        attempts.append(0)
    match outcome.status:
        case Status.SYNCED:
            _count("Synced")
            metrics.add_metric("PaidToSynced", MetricUnit.Seconds, _age(outcome.payment.paid_time))
            logger.info("synced", extra=story)
        case Status.PAID_BY_WECHAT:
            _count("PaidByWeChat")
            logger.error("the customer has paid twice: refund", extra=story)
        case Status.NOTHING_DUE:
            _count("NothingDue")
            logger.info("nothing was due", extra=story)
        case Status.REJECTED:
            _count("Rejected")
            logger.error("rejected, to the dead letters", extra=story)
        case Status.RETRYING:
            _count("Retrying")
            _count_reason(outcome)
            logger.warning("not yet", extra=story)


def _brief(result: Result) -> dict[str, Any]:
    """Which order, and the till's name for the event: the item has the rest, for longer than a log is kept."""
    if result.event is None:
        return {}
    payment, reporter = result.event.payment, result.event.reporter
    brief = {"event_id": reporter.event_id, "mchid": payment.mchid, "out_order_no": payment.out_order_no}
    return brief | {"sub_mchid": payment.sub_mchid} if payment.sub_mchid else brief


def _count_reason(outcome: Outcome) -> None:
    if not outcome.once:  # the one delayed retry of an order that may be seconds old
        _count_failing(outcome.reason)
    if outcome.reason in KEY_REASONS:
        _count("SignatureRefused")
    elif outcome.reason == "UNKNOWN_STATE":
        _count("UnknownWord")


def _count_failing(reason: str) -> None:
    if reason not in PATIENCE:
        attempts.append(1)


def _count(name: str) -> None:
    counts[name] += 1


def _age(paid_time: str) -> int:
    """Seconds since the customer paid; the 8-digit form counts from that day's midnight in Beijing."""
    paid = times.read(paid_time)
    return 0 if paid is None else max(0, round(relay.clock() - paid.timestamp()))
