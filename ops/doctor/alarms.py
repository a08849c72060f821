"""The alarms: whether each can fire, what it notifies, and its state."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import notifications
import orders
import outcomes
from ops.doctor.mapping import ALIAS
from ops.doctor.resources import resources
from ops.findings import Finding, failed, not_checked, ok, warning
from ops.stack import Deployment, describe

OF_AWS: Mapping[str, frozenset[str]] = {
    "AWS/SQS": frozenset(
        {"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateAgeOfOldestMessage"}
    ),
    "AWS/Lambda": frozenset({"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions", "IteratorAge"}),
    "AWS/Events": frozenset(
        {"FailedInvocations", "InvocationsFailedToBeSentToDlq", "InvocationsSentToDlq", "Invocations", "MatchedEvents"}
    ),
    "AWS/DynamoDB": frozenset({"SystemErrors", "ThrottledRequests", "UserErrors", "ConditionalCheckFailedRequests"}),
}
"""Metrics of AWS that an alarm of ours may watch. `NumberOfMessagesSent` is none: it does not count what SQS moves."""

_BATCH = 50  # alarms that DescribeAlarms returns in one answer
_METRIC = re.compile(r'"([A-Z][A-Za-z]+)"')


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge each alarm of the stack that needs something, and sum up the others."""
    rows = resources(deployment)
    names = [
        row.id for row in rows.values() if row.kind in {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
    ]
    live = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.outputs["OrdersFunctionName"], Qualifier=ALIAS
    )
    variables = live.get("Environment", {}).get("Variables", {})
    own = variables.get("POWERTOOLS_METRICS_NAMESPACE", ""), variables.get("POWERTOOLS_SERVICE_NAME", "")
    ids = frozenset(part for row in rows.values() for part in (row.id, re.split(r"[|/]", row.id)[-1]))
    alarms = _alarms(deployment, names)
    yield from judge(names, alarms, own, ids)
    for topic in sorted({action for alarm in alarms if _notifies(alarm) for action in alarm["AlarmActions"]}):
        if ":sns:" in topic:
            yield _topic(deployment, topic)


def _topic(deployment: Deployment, arn: str) -> Finding:
    try:
        return judge_topic(arn, deployment.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"])
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NotFound", "NotFoundException"}:
            return failed(
                "topic", f"{arn} does not exist: the alarms notify nothing", "deploy with another AlarmTopicArn"
            )
        return not_checked("topic", f"{arn}: {describe(error)}", "needs sns:GetTopicAttributes")


def judge_topic(arn: str, attributes: Mapping[str, str]) -> Finding:
    """Judge whether a topic of the alarms has a subscription that was confirmed."""
    if int(attributes.get("SubscriptionsConfirmed", "0")):
        return ok("topic", f"{arn}: {attributes['SubscriptionsConfirmed']} subscription(s)")
    waiting = attributes.get("SubscriptionsPending", "0")
    words = f"{arn} has no confirmed subscription ({waiting} wait for confirmation): the alarms reach no operator"
    return failed("topic", words, "subscribe the operators, and confirm the mail that each of them gets")


def _alarms(deployment: Deployment, names: Sequence[str]) -> list[Mapping[str, Any]]:
    cloudwatch, alarms = deployment.client("cloudwatch"), []
    for start in range(0, len(names), _BATCH):
        answer = cloudwatch.describe_alarms(
            AlarmNames=names[start : start + _BATCH], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        alarms += answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", [])
    return alarms


@cache
def emitted() -> frozenset[str]:
    """Return the words in the functions' source that may be the name of a metric: capital letter, no blank."""
    packages = (orders, notifications, outcomes)
    paths = [path for package in packages for path in Path(next(iter(package.__path__))).glob("*.py")]
    return frozenset(word for path in paths for word in _METRIC.findall(path.read_text(encoding="utf-8")))


def judge(
    names: Sequence[str], alarms: Sequence[Mapping[str, Any]], own: tuple[str, str], ids: frozenset[str]
) -> Iterator[Finding]:
    """Judge the alarms that exist against the names of the stack's.

    Args:
        names: The names of the stack's alarms.
        alarms: The alarms that exist, as CloudWatch describes them.
        own: Namespace and service of the function's own metrics.
        ids: The names of the stack's resources, which dimensions may have.
    """
    absent = sorted(set(names) - {alarm["AlarmName"] for alarm in alarms})
    if absent or not names:
        yield failed(
            "alarms", f"deleted: {', '.join(absent)}" if absent else "there are none", "deploy the stack again"
        )
    watched = " ".join(str(alarm.get("AlarmRule", "")) for alarm in alarms)
    for alarm in alarms:
        yield from _judge_metrics(alarm, own, ids)
        if alarm.get("StateValue") == "ALARM":
            words = f"{alarm['AlarmName']} is in ALARM: {alarm.get('AlarmDescription') or alarm.get('StateReason', '')}"
            yield warning("alarms", words, "see its section in docs/operate/runbook.md")
    silent = [alarm["AlarmName"] for alarm in alarms if not _notifies(alarm) and alarm["AlarmName"] not in watched]
    if silent:
        yield _silence(silent, len(alarms))
    states = ", ".join(f"{number} {state}" for state, number in _states(alarms).items())
    yield ok("alarms", f"{len(alarms)} of {len(names)} exist: {states}")


def _silence(silent: Sequence[str], number: int) -> Finding:
    which = "no alarm notifies" if len(silent) == number else f"{', '.join(silent)} notify"
    words = (
        f"{which} an SNS topic: they appear in the console only" if len(silent) == number else f"{which} no SNS topic"
    )
    return warning("alarms", words, "deploy with AlarmTopicArn, or aws cloudwatch enable-alarm-actions")


def _notifies(alarm: Mapping[str, Any]) -> bool:
    return bool(alarm.get("ActionsEnabled") and alarm.get("AlarmActions"))


def _states(alarms: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    states: dict[str, int] = {}
    for alarm in alarms:
        states[alarm["StateValue"]] = states.get(alarm["StateValue"], 0) + 1
    return states


def _judge_metrics(alarm: Mapping[str, Any], own: tuple[str, str], ids: frozenset[str]) -> Iterator[Finding]:
    for metric in _metrics(alarm):
        if problem := _problem(metric, own, ids):
            words = f"{alarm['AlarmName']} cannot fire: {problem}"
            yield failed("alarms", words, "deploy the stack again")


def _metrics(alarm: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the metrics of an alarm, those of an expression too; a composite alarm has none."""
    if "MetricName" in alarm:
        yield alarm
    yield from (query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query)


def _problem(metric: Mapping[str, Any], own: tuple[str, str], ids: frozenset[str]) -> str:
    """Return why no value of this metric will ever arrive; empty if values may."""
    namespace, name = metric.get("Namespace", ""), metric["MetricName"]
    dimensions = {row["Name"]: row["Value"] for row in metric.get("Dimensions", [])}
    if namespace == own[0]:
        if name not in emitted():
            return f"the function emits no metric {name}"
        service = dimensions.get("service")
        return "" if service == own[1] else f"its service is {service}, the function's is {own[1]}"
    if name not in OF_AWS.get(namespace, {name}):
        return f"{namespace} {name} does not count what it is for"
    foreign = [
        f"{key} {value}"
        for key, value in dimensions.items()
        if key in {"QueueName", "FunctionName", "RuleName", "TableName"}
        and not any(one == value or one.endswith(f"/{value}") for one in ids)
    ]
    return f"{', '.join(foreign)} is not of this stack" if foreign else ""
