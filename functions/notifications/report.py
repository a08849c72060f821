"""What an invocation reports: one log line, and the metrics that the alarms of template.yaml watch.

A refusal's line has a word and the merchant of the path; no line has a body, a header or an openid.
"""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from notifications.endings import Effect, Ending, Failed, Reason, Received, Refused, Trouble

NO_EVENT = "NONE"  # the dimension of what was not opened

type Fields = dict[str, str]


def report(ending: Ending, logger: Logger, metrics: Metrics) -> None:
    """Write the log line and the metrics."""
    match ending:
        case Received():
            _report_effect(ending, logger, metrics)
            _count(metrics, ending.event_type, ending.effect)
        case Refused(Reason.PROBE, mchid):
            logger.info("signature test answered", extra={"mchid": mchid})
            _count(metrics, NO_EVENT, "probe")
        case Refused(reason, mchid):
            logger.warning("notification refused", extra=_words(reason=reason, mchid=mchid))
            if reason.is_about_keys:
                metrics.add_metric("NotificationsUntrusted", MetricUnit.Count, 1)
            _count(metrics, NO_EVENT, "refused")
        case Failed(trouble, mchid):
            logger.error("notification not dealt with", extra=_words(reason=trouble, mchid=mchid))
            metrics.add_metric("NotificationsFailed", MetricUnit.Count, 1)
            if trouble is Trouble.UNREADABLE_ITEM:
                metrics.add_metric("UnreadableItem", MetricUnit.Count, 1)
            _count(metrics, NO_EVENT, "failed")
    if metrics.metric_set:
        metrics.flush_metrics()


def _report_effect(ending: Received, logger: Logger, metrics: Metrics) -> None:
    fields = _story(ending)
    match ending.effect:
        case Effect.PAID_BY_WECHAT | Effect.REPEATED:
            metrics.add_metric("PaidByWeChat", MetricUnit.Count, 1)
            metrics.add_metric("DoublePaymentNotified", MetricUnit.Count, 1)
            logger.error("the customer has paid twice: refund", extra=fields)
        case Effect.CONTRADICTION:
            metrics.add_metric("PaidByWeChat", MetricUnit.Count, 1)
            logger.error("verdicts contradict each other, see the order's history", extra=fields)
        case Effect.NOT_UNDERSTOOD:
            metrics.add_metric("UnknownWord", MetricUnit.Count, 1)
            logger.warning("a payment in words that this version does not know", extra=fields)
        case Effect.UNCHANGED | Effect.COUNTED | Effect.NOT_REPORTED:
            logger.debug("notification changes nothing", extra=fields)
        case _:
            logger.info("notification recorded", extra=fields)


def _story(ending: Received) -> Fields:
    """Return what may leave the table: identifiers and words."""
    order = ending.order
    return _words(
        event_type=ending.event_type,
        effect=ending.effect,
        mchid=ending.mchid,
        out_order_no=ending.out_order_no,
        sub_mchid=ending.sub_mchid,
        event_id=order.event_id if order else "",
        status=order.status if order else "",
        reason=order.reason if order else "",
    )


def _words(**fields: str) -> Fields:
    return {name: str(value) for name, value in fields.items() if value}


def _count(metrics: Metrics, event_type: str, outcome: str) -> None:
    with single_metric("Notifications", MetricUnit.Count, 1) as metric:
        metric.add_dimension("service", str(metrics.service))
        metric.add_dimension("event", event_type)
        metric.add_dimension("outcome", outcome)
