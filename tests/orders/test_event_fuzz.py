"""Any bytes, any JSON and every near miss of a good event: a plan, or an error that names field and remedy.

A short form runs with every `make test`; `make fuzz` tries a hundred thousand examples.
"""

import json
import os
from copy import replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orders.errors import MalformedEventError
from orders.event import Message, OrderPaid, read
from orders.rules import Step, plan

NOW = 1_790_000_000.0
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
AT_LENGTH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(["20260101120000", "20260101", "2026-01-01T12:00:00+08:00", "99991231235959", "1" * 33, "😀"])
)
_ANY = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
_GOOD: dict[str, Any] = {
    "mchid": st.from_regex(r"[0-9]{1,32}", fullmatch=True),
    "out_order_no": st.from_regex(r"[0-9A-Za-z_\-|*]{1,32}", fullmatch=True),
    "detail": st.fixed_dictionaries({"paid_time": st.just("20260101120000")}),
}
_OTHERS = [
    "appid",
    "service_id",
    "type",
    "endpoint",
    "sub_mchid",
    "channel_id",
    "event_id",
    "source",
    "detail-type",
    "id",
]
_NEAR = st.fixed_dictionaries(
    {name: good | _ANY for name, good in _GOOD.items()}, optional=dict.fromkeys(_OTHERS, _ANY)
)
_ENVELOPES = st.fixed_dictionaries(
    {"detail-type": st.just("Order_Paid") | _ANY, "detail": _NEAR | _ANY},
    optional={"id": _ANY, "source": _ANY, "time": _ANY, "version": _ANY},
)
_SNS = st.fixed_dictionaries(
    {
        "Type": st.sampled_from(["Notification", "Notification", "SubscriptionConfirmation"]) | _ANY,
        "Message": _NEAR.map(json.dumps) | _ENVELOPES.map(json.dumps) | _ANY,
    },
    optional={"MessageId": _ANY, "TopicArn": _ANY, "Subject": _ANY},
)
_MISTAKES = ["Records", "requestContext", "body", "Body", "Detail", "DetailType", "TopicArn", "Event", "detail-type"]
_OF_ANOTHER_KIND = st.fixed_dictionaries({}, optional=dict.fromkeys(_MISTAKES, _ANY))
_BODIES = (
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | _ANY.map(json.dumps)
    | _NEAR.map(json.dumps)
    | _ENVELOPES.map(json.dumps)
    | _NEAR.map(lambda value: json.dumps(value, ensure_ascii=False))
    | _SNS.map(json.dumps)
    | _OF_ANOTHER_KIND.map(json.dumps)
    | _NEAR.map(json.dumps).map(json.dumps)
    | st.integers(1, 3000).map(lambda depth: "[" * depth)
)


@AT_LENGTH
@given(_BODIES, st.integers(1, 20))
def test_any_message_is_read_or_refused_by_field(body: str, receive_count: int) -> None:
    """Any message is read and planned, or is a MalformedEventError that fits into one line."""
    event_or_error = _read(Message("m1", body, receive_count))
    if isinstance(event_or_error, MalformedEventError):
        event(f"refused: {event_or_error.field[:20]}")
        assert event_or_error.field
        assert event_or_error.remedy
        assert str(event_or_error).isprintable()
        assert len(str(event_or_error)) < 400
        assert event_or_error.event_id.isprintable()
    else:
        event("read")
        assert f"{event_or_error.reporter.event_id}{event_or_error.reporter.source}".isprintable()
        assert event_or_error.payment.paid_time.isdigit()
        reporter = replace(event_or_error.reporter, receive_count=receive_count)
        assert plan(None, event_or_error.payment, reporter) in {Step.SYNC, Step.QUERY_FIRST}


def _read(message: Message) -> OrderPaid | MalformedEventError:
    try:
        return read(message, NOW)
    except MalformedEventError as error:
        return error
