"""Send an event as a POS does, after the function's own parser has read it as it will arrive."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ops.stack import Deployment, OpsError
from orders.errors import MalformedEventError
from orders.event import Message, OrderPaid, read
from wechatpay.text import printable

DETAIL_TYPE = "Order_Paid"


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that the function can read: `body` is what is sent, `event` what the function reads in it.

    `source` is None for the queue; otherwise `body` is the detail of an EventBridge event with this source.
    """

    body: str = field(repr=False)
    source: str | None
    event: OrderPaid

    @classmethod
    def of(cls, value: Mapping[str, Any], *, source: str | None, prefix: str, now: float) -> Self:
        """Check a payload, or a whole EventBridge event; with a source, its payload is sent through EventBridge.

        Args:
            value: the payload or the event.
            source: the source of the EventBridge event; None to send to the queue what `value` is.
            prefix: the prefix of the sources that the stack's rule takes; empty if it is not known.
            now: Unix seconds.

        Raises:
            OpsError: the function could not read it; the text names the field. Or the rule would not take it.
        """
        if source is None:
            body = json.dumps(value)  # ASCII: a lone surrogate in a field of others has no UTF-8
            return cls(body, None, _read(body, now))
        _require_prefix(source, prefix)
        body = json.dumps(_payload(value))
        _read(body, now)  # a field has the path that it has in the payload
        arrival = json.dumps({"detail-type": DETAIL_TYPE, "source": source, "detail": json.loads(body)})
        return cls(body, source, _read(arrival, now))

    @property
    def document(self) -> dict[str, object]:
        """What the function reads, for JSON; the body as it is sent."""
        payment = self.event.payment
        fields = ("mchid", "sub_mchid", "out_order_no", "paid_time", "endpoint", "appid", "service_id", "paid_amount")
        values = {name: value for name in fields if (value := getattr(payment, name)) is not None}
        return values | {"by": "the event bus" if self.source else "the queue", "source": self.event.reporter.source}


def send(deployment: Deployment, value: Mapping[str, Any], *, source: str | None) -> str:
    """Check an event and send it; return EventBridge's id of it, or the message's id. Raises OpsError."""
    return dispatch(deployment, draft(deployment, value, source=source))


def draft(deployment: Deployment, value: Mapping[str, Any], *, source: str | None) -> Draft:
    """Check an event against the function's parser and the stack's rule; send nothing."""
    prefix = deployment.parameters.get("EventSourcePrefix", "")
    return Draft.of(value, source=source, prefix=prefix, now=time.time())


def dispatch(deployment: Deployment, draft: Draft) -> str:
    """Send what was checked; return EventBridge's id of it, or the message's id."""
    return _put(deployment, draft) if draft.source else _enqueue(deployment, draft.body)


def _read(body: str, now: float) -> OrderPaid:
    try:
        return read(Message("check", body), now)
    except MalformedEventError as error:
        raise OpsError(f"the function could not read this: {error}") from error


def _require_prefix(source: str, prefix: str) -> None:
    if not source.startswith(prefix):
        problem = f"--source {source}: the rule of this stack takes sources that start with {prefix}"
        raise OpsError(f"{problem} (parameter EventSourcePrefix), and no other: give --source {prefix}till")
    if not source:
        raise OpsError("--source must not be empty: EventBridge takes no such event")


def _payload(value: Mapping[str, Any]) -> object:
    """Return the payload of a whole EventBridge event; otherwise the value itself."""
    is_event = "detail-type" in value and "mchid" not in value
    return value.get("detail") if is_event else value


def _put(deployment: Deployment, draft: Draft) -> str:
    entry = {"Source": draft.source, "DetailType": DETAIL_TYPE, "Detail": draft.body}
    entry["EventBusName"] = deployment.outputs["EventBusName"]
    [answer] = deployment.client("events").put_events(Entries=[entry])["Entries"]
    if "ErrorCode" in answer:
        words = f"{answer['ErrorCode']}: {answer.get('ErrorMessage', 'no message')}"
        raise OpsError(f"EventBridge refused it: {printable(words)}")
    return str(answer["EventId"])


def _enqueue(deployment: Deployment, body: str) -> str:
    sqs = deployment.client("sqs")
    return str(sqs.send_message(QueueUrl=deployment.outputs["OrderQueueUrl"], MessageBody=body)["MessageId"])
