"""Events that invoke the function: a broken record costs itself, and an event of another kind is an error."""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orders.errors import MalformedEventError, UnsupportedEventError
from orders.event import Message, read
from orders.records import Bare, Batch, SelfTest, read_records

NOW = 1_790_000_000.0
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
AT_LENGTH = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
COUNTS: list[Any] = ["many", "", "-1", "0", "1.5", "1e9", "３", "1" * 5000, None, True, 0, -1, 1.5, [], 10**400]
TIMES: list[Any] = ["yesterday", "", "-1", "1.5", "9" * 16, None, True, -1, 1e12, [], 10**400]
BODY = json.dumps({"mchid": "1230000109", "out_order_no": "A-1", "detail": {"paid_time": "20260101120000"}})


def a_record(message_id: str = "m1", **changes: Any) -> dict[str, Any]:
    """A record of an SQS batch; `...` takes a member out."""
    record = {
        "messageId": message_id,
        "receiptHandle": f"handle of {message_id}",
        "body": BODY,
        "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1767240001250"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
        "awsRegion": "us-east-1",
    } | changes
    return {name: value for name, value in record.items() if value is not ...}


def the_batch(*records: Any) -> Batch:
    """The batch of these records; fails if they are no batch."""
    batch = read_records({"Records": list(records)}, "r1")
    assert isinstance(batch, Batch)
    return batch


GOOD = Message("m1", BODY, 3, "handle of m1", 1_767_240_001.25)


def test_a_record_becomes_a_message() -> None:
    """A message has the id, body, receive count, handle and time of its record."""
    assert the_batch(a_record()) == Batch((GOOD,))


def test_an_empty_batch_is_a_batch() -> None:
    """A batch without records has no messages."""
    assert the_batch() == Batch(())


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"body": ...}, "body", "is missing"),
        ({"body": None}, "body", "is not a string"),
        ({"body": {"mchid": "1"}}, "body", "is not a string"),
        ({"body": 7}, "body", "is not a string"),
        ({"attributes": None}, "attributes", "is not an object"),
        ({"attributes": []}, "attributes", "is not an object"),
        ({"attributes": "3"}, "attributes", "is not an object"),
        *(
            (
                {"attributes": {"ApproximateReceiveCount": count}},
                "attributes.ApproximateReceiveCount",
                "is not a number from 1",
            )
            for count in COUNTS
        ),
        ({"receiptHandle": None}, "receiptHandle", "is not a string"),
        ({"receiptHandle": 7}, "receiptHandle", "is not a string"),
        ({"eventSource": "aws:s3"}, "eventSource", "is not aws:sqs"),
        ({"eventSource": None}, "eventSource", "is not aws:sqs"),
        ({"eventSource": ..., "EventSource": "aws:sns"}, "eventSource", "is not aws:sqs"),
    ],
)
def test_a_broken_record_with_an_id_is_a_message_that_is_refused(
    changes: dict[str, Any], field: str, problem: str
) -> None:
    """SQS keeps a broken record that has an id; the other records are read."""
    batch = the_batch(a_record("m0"), a_record("m7", **changes), a_record())
    assert [message.message_id for message in batch.messages] == ["m0", "m7", "m1"]
    assert (batch.messages[2], batch.unreadable) == (GOOD, ())
    with pytest.raises(MalformedEventError) as caught:
        read(batch.messages[1], NOW)
    assert (caught.value.field, caught.value.problem) == (field, problem)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (None, "Records[1]: is not an object"),
        (7, "Records[1]: is not an object"),
        ("record", "Records[1]: is not an object"),
        ([], "Records[1]: is not an object"),
        ({}, "Records[1].messageId: is missing"),
        (a_record(messageId=...), "Records[1].messageId: is missing"),
        *(
            (a_record(messageId=message_id), "Records[1].messageId: is not an id of SQS")
            for message_id in (None, 7, "", "  ", ["m1"], "m\x1b[2J", "\ud800", "m\n", "m\u202e", "m" * 129)
        ),
    ],
)
def test_a_record_without_an_id_is_reported_and_ignored(record: Any, text: str) -> None:
    """A record without an id is an error of the batch, because an empty identifier would fail every message."""
    batch = the_batch(a_record("m0"), record, a_record())
    assert [message.message_id for message in batch.messages] == ["m0", "m1"]
    [error] = batch.unreadable
    assert str(error).startswith(text)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("changes", "receive_count", "sent_at", "handle"),
    [
        ({"attributes": ...}, 1, None, "handle of m1"),
        ({"attributes": {}}, 1, None, "handle of m1"),
        ({"attributes": {"ApproximateReceiveCount": 2}}, 2, None, "handle of m1"),
        ({"attributes": {"SentTimestamp": 1767240001250}}, 1, 1_767_240_001.25, "handle of m1"),
        ({"attributes": {"SentTimestamp": "0"}}, 1, 0.0, "handle of m1"),
        *(({"attributes": {"SentTimestamp": value}}, 1, None, "handle of m1") for value in TIMES),
        ({"receiptHandle": ...}, 3, 1_767_240_001.25, None),
        ({"receiptHandle": ""}, 3, 1_767_240_001.25, None),
        ({"eventSource": ..., "awsRegion": ...}, 3, 1_767_240_001.25, "handle of m1"),
    ],
)
def test_a_record_made_by_hand_is_read(
    changes: dict[str, Any], receive_count: int, sent_at: float | None, handle: str | None
) -> None:
    """A record with an id and a body is read, whichever other members it lacks."""
    expected = Message("m1", BODY, receive_count, handle, sent_at)
    assert the_batch(a_record(**changes)) == Batch((expected,))


def test_two_records_of_one_id_are_two_messages() -> None:
    """Each record is a message, in batches of any length."""
    records = [a_record(body=f"{number}") for number in range(12)]
    assert [message.body for message in the_batch(*records).messages] == [str(number) for number in range(12)]


@pytest.mark.parametrize(
    ("lambda_event", "text"),
    [
        (None, "the event is null"),
        ([], "the event is an empty list"),
        ([a_record()], "is a list, as EventBridge Pipes makes"),
        ("text", "the event is no object"),
        (7, "the event is no object"),
        (7.5, "the event is no object"),
        (True, "the event is no object"),
        ({}, "the event is an empty object"),
        ({"detail": {}}, "is of no kind that this function reads"),
        ({"Records": {}}, "has Records that are no list"),
        ({"Records": None}, "has Records that are no list"),
        (json.loads(BODY), "is a payload alone"),
        ({"httpMethod": "POST", "body": BODY}, "is an HTTP request"),
        ({"version": "2.0", "requestContext": {"http": {}}, "body": BODY}, "is an HTTP request"),
        ({"Type": "Notification", "TopicArn": "t", "Message": BODY}, "is an SNS envelope"),
        ({"eventSource": "aws:kafka", "records": {}}, "comes from aws:kafka"),
        ({"eventSource": "oUpF8uMuAJO", "records": {}}, "comes from an unknown source"),
        ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "Records of aws:s3 are not payments"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": BODY}}]}, "Records of aws:sns"),
        ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}] * 2}, "Records of aws:kinesis"),
        ({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}, "subscribe an SQS queue"),
        ({"Records": [a_record(eventSource="aws:s3")]}, "Records of aws:s3"),
        ({"Records": [a_record(eventSource="o\x1bUpF8u")]}, "Records of an unknown source"),
        ({"Records": [None]}, "no record has a messageId"),
        ({"Records": [{}, 7]}, "no record has a messageId"),
        ({"Records": [a_record(messageId=...)]}, "no record has a messageId"),
    ],
)
def test_any_other_event_is_refused_by_name(lambda_event: Any, text: str) -> None:
    """The error names what the event is and what to do, and of its values only an AWS service."""
    with pytest.raises(UnsupportedEventError) as caught:
        read_records(lambda_event, "r1")
    assert text in str(caught.value)
    assert str(caught.value).isprintable()
    assert "1230000109" not in str(caught.value)
    assert "UpF8u" not in str(caught.value)


@pytest.mark.parametrize(
    ("event_id", "message_id"),
    [
        ("e1", "e1"),
        (None, "r1"),
        (7, "r1"),
        ("", "r1"),
        ("e\x1b", "r1"),
        ("\ud800", "r1"),
        ("e" * 129, "r1"),
    ],
)
def test_a_bare_event_is_one_message(event_id: Any, message_id: str) -> None:
    """A bare event is a message under its own id, or the request's if its own cannot be logged."""
    bus_event = {"detail-type": "Order_Paid", "id": event_id, "detail": json.loads(BODY)}
    bare = read_records(bus_event, "r1")
    assert isinstance(bare, Bare)
    assert bare.message.message_id == message_id
    assert json.loads(bare.message.body) == bus_event
    assert bare.message.sent_at is None


def test_a_bare_event_that_json_cannot_hold_is_refused() -> None:
    """A bare event that JSON cannot hold becomes an unreadable message."""
    endless: dict[str, Any] = {"detail-type": "Order_Paid"}
    endless["detail"] = endless
    for event_ in (endless, {"detail-type": "Order_Paid", "detail": object()}):
        bare = read_records(event_, "r1")
        assert isinstance(bare, Bare)
        with pytest.raises(MalformedEventError, match=r"^body: is not JSON"):
            read(bare.message, NOW)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(BODY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = ["messageId", "body", "attributes", "receiptHandle", "eventSource", "EventSource", "Sns"]
_SOME = st.text(max_size=20) | st.just(...) | _ANY
_NEAR_RECORDS = st.fixed_dictionaries({}, optional=dict.fromkeys(_MEMBERS, _ANY)) | st.builds(
    a_record,
    st.text(max_size=20),
    body=_SOME,
    attributes=_ANY | st.fixed_dictionaries({}, optional={"ApproximateReceiveCount": _ANY, "SentTimestamp": _ANY}),
    receiptHandle=_SOME,
    eventSource=_SOME | st.just("aws:sqs"),
)
_EVENT_MEMBERS = ["detail-type", "id", "detail", "Records", "records", "eventSource", "mchid", "requestContext", "Type"]
_EVENTS = (
    _ANY
    | st.fixed_dictionaries({}, optional=dict.fromkeys(_EVENT_MEMBERS, _ANY))
    | st.fixed_dictionaries({"Records": st.lists(_NEAR_RECORDS | _ANY, max_size=4)})
)


@AT_LENGTH
@given(_EVENTS)
def test_any_event_is_read_or_refused_by_name(lambda_event: Any) -> None:
    """Any JSON is a batch, a bare event or an UnsupportedEventError whose text fits into one line."""
    records = _records_or_refusal(lambda_event)
    event(type(records).__name__)
    if isinstance(records, UnsupportedEventError):
        assert str(records).isprintable()
        assert len(str(records)) < 400
        return
    assert not isinstance(records, SelfTest)  # an event has to be exactly that, and hypothesis has no such member
    messages = records.messages if isinstance(records, Batch) else (records.message,)
    for message in messages:
        assert message.message_id.isprintable()
        assert message.message_id.strip()
        assert message.receive_count >= 1
        assert _visible_text(message).isprintable()
    for refusal in records.unreadable if isinstance(records, Batch) else ():
        assert str(refusal).isprintable()


def _records_or_refusal(lambda_event: Any) -> Batch | Bare | SelfTest | UnsupportedEventError:
    try:
        return read_records(lambda_event, "r1")
    except UnsupportedEventError as error:
        return error


def _visible_text(message: Message) -> str:
    """What is logged or stored of a message."""
    try:
        reporter = read(message, NOW).reporter
    except MalformedEventError as error:
        return f"{error} {error.field} {error.event_id}"
    return f"{reporter.event_id} {reporter.source} {reporter.message_id}"


@AT_LENGTH
@given(st.lists(_NEAR_RECORDS | _ANY, max_size=4), st.lists(_NEAR_RECORDS | _ANY, max_size=4))
def test_a_good_record_is_read_in_any_batch(before: list[Any], after: list[Any]) -> None:
    """A good record is read whatever records are in its batch."""
    batch = the_batch(*before, a_record("good"), *after)
    [good] = the_batch(a_record("good")).messages
    assert good in batch.messages
    assert len(batch.messages) + len(batch.unreadable) == len(before) + 1 + len(after)
