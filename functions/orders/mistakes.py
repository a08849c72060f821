"""What is sent by mistake in place of a payload: names it, so that a refusal says what to send instead.

Of the values nothing is repeated but the name of an AWS service.
"""

import re
from collections.abc import Mapping

# A member by which the mistake is recognised, what the object is, and what to send. The first that fits counts.
_MISTAKES = (
    ("requestPayload", "is Lambda's record of a failed invocation", "send its requestPayload"),
    ("requestContext", "is an HTTP request (API Gateway, Function URL)", "send its body alone, decoded"),
    ("httpMethod", "is an HTTP request (API Gateway)", "send its body alone, decoded"),
    ("Records", "is a list of Records", "send the body of each SQS record as a message of its own"),
    ("detail-type", "is an EventBridge event inside another", "put the payload into detail, once"),
    ("DetailType", "is an entry of PutEvents", "put it on the event bus, or send its Detail alone"),
    ("Entries", "is a request of PutEvents", "put it on the event bus, or send each Detail alone"),
    ("TopicArn", "is an SNS envelope", "publish the payload once, or use raw message delivery"),
    ("MessageBody", "is a request of SendMessage", "send its MessageBody alone"),
    ("Body", "is an SQS message inside a message", "send its Body alone"),
    ("body", "is a message inside a message", "send its body alone"),
    ("specversion", "is a CloudEvent", "send its data alone"),
    ("s3:TestEvent", "is Amazon S3's test event", "remove the bucket's notification to this queue"),
)
_SOURCES = re.compile(r"aws:[a-z0-9-]{1,32}")


def mistaken_for(values: Mapping[str, object]) -> tuple[str, str] | None:
    """Return what a JSON object without a payload's fields is, and what to send instead; None if it is not listed."""
    mistake = next((one for one in _MISTAKES if one[0] in values or one[0] == values.get("Event")), None)
    if mistake is None:
        return None
    records = values.get("Records")
    if source := foreign_source(records[0]) if isinstance(records, list) and records else None:
        return f"is a list of Records of {source}", "send the payload alone: this function reads payments only"
    _, problem, remedy = mistake
    return problem, remedy


def foreign_source(record: object) -> str | None:
    """Return the service that a record names as its source; None for SQS, and if it names none."""
    if not isinstance(record, Mapping):
        return None
    source = record.get("eventSource", record.get("EventSource", "aws:sqs"))
    if source == "aws:sqs":
        return None
    return source if isinstance(source, str) and _SOURCES.fullmatch(source) else "an unknown source"
