"""Send an event as a POS does, after the function's own parser has read it."""

import json
import time
from typing import Any

from ops.stack import Deployment, OpsError
from orders.errors import MalformedEventError
from orders.event import Message, read
from wechatpay.text import printable


def send(deployment: Deployment, payload: dict[str, Any], *, source: str | None) -> str:
    """Send a payload to the bus with this source, or to the queue if it is None; return the event's or message's id.

    Raises OpsError, which names the field, if the function could not read the payload.
    """
    body = json.dumps(payload)  # ASCII: a lone surrogate in a field of others has no UTF-8
    try:
        read(Message("check", body), time.time())
    except MalformedEventError as error:
        raise OpsError(f"the function could not read this: {error}") from error
    return _put(deployment, source, body) if source else _enqueue(deployment, body)


def _put(deployment: Deployment, source: str, detail: str) -> str:
    entry = {"Source": source, "DetailType": "Order_Paid", "Detail": detail}
    entry["EventBusName"] = deployment.outputs["EventBusName"]
    [answer] = deployment.client("events").put_events(Entries=[entry])["Entries"]
    if "ErrorCode" in answer:
        words = f"{answer['ErrorCode']}: {answer.get('ErrorMessage', 'no message')}"
        raise OpsError(f"EventBridge refused it: {printable(words)}")
    return str(answer["EventId"])


def _enqueue(deployment: Deployment, body: str) -> str:
    sqs = deployment.client("sqs")
    return str(sqs.send_message(QueueUrl=deployment.outputs["OrderQueueUrl"], MessageBody=body)["MessageId"])
