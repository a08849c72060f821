"""The entry point: takes what Lambda hands in, has the relay handle it, and answers what SQS or the invoker needs."""

import gc

from orders.lean_requests import import_requests

gc.disable()  # imports leave no garbage; collections during them take 5 % of a cold start
import_requests()

import logging
import sys
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from aws_lambda_powertools import Logger, Metrics

from orders.bootstrap import bootstrap
from orders.errors import NotSyncedError, UnsupportedEventError  # noqa: F401  raised from here
from orders.event import Message
from orders.records import Bare, Batch, SelfTest, read_records
from orders.report import Report, report_transition, story
from orders.settings import Settings


class LambdaContext(Protocol):
    """What the function needs of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


# What no line of this log has is not looked up for each of them (docs.python.org/3/howto/logging.html#optimization).
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # the stubs lack one
logger = Logger(location=None, timestamp=None)  # the message is unique; CloudWatch Logs has the time of every line
logger.remove_keys(["service"])  # as its log group does
metrics = Metrics()
settings = Settings.from_env()
key_ends: deque[datetime] = deque(maxlen=100)  # of the secrets fetched since the last report; threads append
relay = bootstrap(
    settings,
    on_transition=partial(report_transition, logger=logger, metrics=metrics),
    on_key_end=key_ends.append,
)
gc.freeze()  # later collections skip all that exists now
gc.set_threshold(20_000)  # a batch leaves few cycles; with Python's own 2,000 its collections take 2 % of the time
gc.enable()
# No thread computes for longer than ten signatures before it waits: to interrupt it every 5 ms, as Python would, takes
# 5 % of the CPU time.
sys.setswitchinterval(0.1)


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Handle an SQS batch or a bare EventBridge event, or test this version (`{"self_test": true}`).

    Returns:
        For a batch, the ids of the messages that failed (`batchItemFailures`); for a bare event, how it ended; for a
        self-test, what passed.

    Raises:
        UnsupportedEventError: the event is none of them.
        NotSyncedError: a bare event has not reached a final status.
    """

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    report = Report(logger, metrics, relay.clock, settings.function_version, key_ends)
    try:
        match read_records(event, context.aws_request_id):
            case Batch() as batch:
                return _batch(batch, time_left, report)
            case Bare(message):
                return _bare(message, time_left, report)
            case SelfTest():
                from orders import self_test  # noqa: PLC0415  a deployment alone needs it

                return self_test.run()
    finally:
        report.flush()


def _batch(batch: Batch, time_left: Callable[[], float], report: Report) -> dict[str, Any]:
    results = relay.run(batch.messages, time_left)
    for result in results:
        report.add(result)
    for error in batch.unreadable:
        report.add_record(error)
    failed = dict.fromkeys(result.message.message_id for result in results if result.failed)  # each id once
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _bare(message: Message, time_left: Callable[[], float], report: Report) -> dict[str, Any]:
    [result] = relay.run([message], time_left)
    report.add(result)
    fields = story(result)
    if result.failed:
        raise NotSyncedError(" ".join(f"{name}={value}" for name, value in fields.items()))
    return dict(fields)
