"""The queues: redrive, policies and encryption as the template has them, and what waits in them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ops.findings import Finding, failed, ok, warning
from ops.stack import Deployment

IN_FLIGHT = 120_000  # messages; SQS's quota of a standard queue
IN_FLIGHT_WARNING = 90_000  # messages; InFlightAlarm's threshold

REDEPLOY = "deploy the stack again"

type Attributes = Mapping[str, str]
"""Attributes of a queue as SQS answers them: numbers and JSON as text."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the three queues."""
    orders, letters, undelivered = (
        _attributes(deployment, output) for output in ("OrderQueueUrl", "DeadLettersUrl", "UndeliveredEventsUrl")
    )
    yield judge_redrive(orders, letters, deployment.parameters.get("MaxReceiveCount", ""))
    for name, attributes in {"OrderQueue": orders, "UndeliveredEvents": undelivered}.items():
        yield judge_policy(name, attributes, rule_sends=True)
    yield judge_policy("DeadLetters", letters, rule_sends=False)
    key = deployment.parameters.get("KmsKeyArn", "")
    yield judge_encryption({"OrderQueue": orders, "DeadLetters": letters, "UndeliveredEvents": undelivered}, key)
    yield judge_backlog(orders)
    yield judge_in_flight(orders)
    yield judge_letters(letters)
    yield judge_undelivered(undelivered)


def _attributes(deployment: Deployment, output: str) -> Attributes:
    answer = deployment.client("sqs").get_queue_attributes(QueueUrl=deployment.outputs[output], AttributeNames=["All"])
    attributes: Attributes = answer["Attributes"]
    return attributes


def judge_redrive(orders: Attributes, letters: Attributes, receives: str) -> Finding:
    """Judge whether SQS moves messages from OrderQueue to DeadLetters, and may move them back."""
    policy = _json(orders, "RedrivePolicy")
    if policy.get("deadLetterTargetArn") != letters["QueueArn"]:
        return failed(
            "redrive", "OrderQueue's redrive policy does not name DeadLetters: a bad message circles", REDEPLOY
        )
    allowed = _json(letters, "RedriveAllowPolicy")
    sources = allowed.get("sourceQueueArns", [])
    if allowed.get("redrivePermission") == "denyAll" or (sources and orders["QueueArn"] not in sources):
        return failed("redrive", "DeadLetters does not allow OrderQueue as its source", REDEPLOY)
    count = str(policy.get("maxReceiveCount"))
    if receives and count != receives:
        words = f"OrderQueue gives a message up after {count} receives, the function expects MaxReceiveCount {receives}"
        return failed("redrive", words, REDEPLOY)
    return ok("redrive", f"to DeadLetters after {count} receives, and back to OrderQueue")


def judge_policy(name: str, attributes: Attributes, *, rule_sends: bool) -> Finding:
    """Judge whether EventBridge may send where it must, and plain HTTP is denied."""
    statements = _json(attributes, "Policy").get("Statement", [])
    if rule_sends and not any(map(_lets_the_rule_send, statements)):
        return failed(f"{name} policy", "EventBridge may not send: its events are lost or undelivered", REDEPLOY)
    if not any(_denies_plain_http(statement) for statement in statements):
        return warning(f"{name} policy", "plain HTTP is not denied", REDEPLOY)
    words = "the rule may send, plain HTTP is denied" if rule_sends else "plain HTTP is denied"
    return ok(f"{name} policy", words)


def _lets_the_rule_send(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    services = principal.get("Service") if isinstance(principal, dict) else None
    return (
        statement.get("Effect") == "Allow"
        and "events.amazonaws.com" in _list(services)
        and bool({"sqs:SendMessage", "sqs:*", "SQS:SendMessage"} & set(_list(statement.get("Action"))))
    )


def _denies_plain_http(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement.get("Effect") == "Deny" and str(condition.get("aws:SecureTransport")).lower() == "false"


def judge_encryption(queues: Mapping[str, Attributes], key: str) -> Finding:
    """Judge whether each queue is encrypted with the stack's KMS key, or by SQS."""
    wrong = [name for name, attributes in queues.items() if attributes.get("KmsMasterKeyId", "") != key]
    if wrong:
        expected = f"KmsKeyArn {key}" if key else "SQS's own key"
        return failed("encryption", f"{', '.join(wrong)} not encrypted with {expected}", REDEPLOY)
    plain = [
        name for name, attributes in queues.items() if not key and attributes.get("SqsManagedSseEnabled") != "true"
    ]
    if plain:
        return warning("encryption", f"{', '.join(plain)} not encrypted", REDEPLOY)
    return ok("encryption", f"all queues, with {key or 'SQS-managed keys'}")


# ---- what waits ------------------------------------------------------------------------------------------------------


def judge_backlog(orders: Attributes) -> Finding:
    """Judge the messages that are not received yet."""
    count = _count(orders, "ApproximateNumberOfMessages")
    words = f"{count} message(s) of OrderQueue wait for their first or next receive"
    if count > 1_000:  # twenty full rounds of the default concurrency: more than a moment's burst
        return warning("backlog", words, "see OrderAgeAlarm and docs/operate/scaling.md: raise MaximumConcurrency")
    return ok("backlog", words)


def judge_in_flight(orders: Attributes) -> Finding:
    """Judge the messages that wait for a retry against SQS's quota."""
    count = _count(orders, "ApproximateNumberOfMessagesNotVisible")
    words = f"{count} of at most {IN_FLIGHT} message(s) are in flight, most of them waiting for a retry"
    remedy = "bin/ops order list --attention shows the reasons; or request a higher quota of SQS messages in flight"
    if count >= IN_FLIGHT:
        return failed("in flight", f"{words}: SQS delivers no more", remedy)
    if count >= IN_FLIGHT_WARNING:
        return warning("in flight", words, remedy)
    return ok("in flight", words)


def judge_letters(letters: Attributes) -> Finding:
    """Judge the messages in DeadLetters."""
    count = _count(letters, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    if count:
        return warning("dead letters", f"{count} message(s) need an operator", "bin/ops dead-letters list")
    return ok("dead letters", "none")


def judge_undelivered(undelivered: Attributes) -> Finding:
    """Judge the messages in UndeliveredEvents."""
    count = _count(undelivered, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    if count:
        remedy = "bin/ops undelivered list; mend the rule, the policy or the KMS key, then send them"
        return warning("undelivered", f"EventBridge could not deliver {count} event(s)", remedy)
    return ok("undelivered", "none")


def _count(attributes: Attributes, *names: str) -> int:
    return sum(int(attributes.get(name, "0")) for name in names)


def _json(attributes: Attributes, name: str) -> dict[str, Any]:
    value = json.loads(attributes.get(name) or "{}")
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
