"""The entry point: takes a batch of the table's stream and publishes what became of its orders."""

import gc

from orders.lean_requests import import_requests

gc.disable()  # imports leave no garbage; collections during them take 5 % of a cold start
import_requests()

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

import wechatpay
from orders.aws import Aws
from outcomes.announcement import Announcement, announce
from outcomes.bus import Bus
from outcomes.changes import UnreadableChange, read_changes
from outcomes.settings import Settings

logger = Logger(location=None, timestamp=None)
logger.remove_keys(["service"])
metrics = Metrics()
settings = Settings.from_env()
bus = Bus(Aws(wechatpay.tls_context(settings.aws_ca_bundle), connections=1).client("events"), settings.event_bus_name)
gc.freeze()  # later collections skip all that exists now
gc.enable()


def lambda_handler(event: Mapping[str, Any], _: object) -> dict[str, Any]:
    """Publish the outcomes of a batch of stream records.

    Returns:
        `batchItemFailures` with the first record whose event was not taken: Lambda repeats the batch from there, so
        an event may come twice, and no order's events are out of order for good.
    """
    sequence_numbers, announcements = [], []
    for change in read_changes(event):
        if isinstance(change, UnreadableChange):
            _report_unreadable(change)
        elif announcement := announce(change.before, change.after):
            sequence_numbers.append(change.sequence_number)
            announcements.append(announcement)
    problems = bus.publish(announcements)
    _report(announcements, problems)
    failed = [number for number, problem in zip(sequence_numbers, problems, strict=True) if problem]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed[:1]]}


def _report_unreadable(change: UnreadableChange) -> None:
    metrics.add_metric("OutcomeUnreadable", MetricUnit.Count, 1)
    logger.error("no outcome event: unreadable item", extra={"key": change.key, "problem": change.problem})


def _report(announcements: Sequence[Announcement], problems: Sequence[str]) -> None:
    for announcement, problem in zip(announcements, problems, strict=True):
        fields = {"key": announcement.key, "version": announcement.version, "outcome": announcement.detail_type.value}
        if problem:
            logger.error("outcome event not taken, comes again", extra={**fields, "problem": problem})
        else:
            logger.info("outcome event published", extra=fields)
    metrics.add_metric("OutcomesPublished", MetricUnit.Count, problems.count(""))
    metrics.add_metric("OutcomesRefused", MetricUnit.Count, len(problems) - problems.count(""))
    metrics.flush_metrics()
