"""The journal of the embedded AWS: what happened to events, messages, functions and items, in order."""

import json
from collections.abc import Callable

import pytest
import requests

from sandbox.journal import Journal, JournalEntry, JournalError
from sandbox.testbed import MERCHANT, Testbed
from sandbox.waiting import until

WAY = (
    "event_published",
    "message_sent",
    "message_received",
    "item_written",
    "invoked",
    "message_deleted",
)


@pytest.fixture
def journal(world: Testbed) -> Journal:
    """The journal of the shared world."""
    return Journal(world.cloud.endpoint_url)


@pytest.fixture
def since(journal: Journal) -> Callable[[], list[JournalEntry]]:
    """What has been written since the test began."""
    before = max((entry.n for entry in journal.entries()), default=0)
    return lambda: journal.entries(before)


def publish(world: Testbed, **changes: str) -> dict[str, str]:
    """Publish one event and return EventBridge's answer."""
    entry = {
        "Source": "pos.mine",
        "DetailType": "Order_Paid",
        "Detail": "{}",
        "EventBusName": world.stack.outputs["EventBusName"],
        **changes,
    }
    answer: dict[str, str] = world.cloud.client("events").put_events(Entries=[entry])["Entries"][0]
    return answer


def test_the_way_of_an_event_is_told_whole(world: Testbed, since: Callable[[], list[JournalEntry]]) -> None:
    """One paid order is in the journal as event, message, receive, item, invocation and deletion, in this order."""
    world.ready("JOURNAL-1")
    detail = {"mchid": MERCHANT, "out_order_no": "JOURNAL-1", "detail": {"paid_time": "20260101120000"}}
    event_id = publish(world, Detail=json.dumps(detail))["EventId"]

    def look() -> list[JournalEntry] | None:
        entries = since()
        mine = {entry.fields["message_id"] for entry in entries if "JOURNAL-1" in str(entry.fields.get("body"))}
        story = [entry for entry in entries if is_about(entry, event_id, mine)]
        return story if any(entry.kind == "message_deleted" for entry in story) else None

    entries = until(look, state="the message is deleted", instead=since)
    assert list(dict.fromkeys(entry.kind for entry in entries)) == list(WAY)
    first = {entry.kind: entry.fields for entry in reversed(entries)}
    assert first["event_published"]["detail"] == detail
    assert first["event_published"]["rules"]
    assert first["message_sent"]["by"] == f"rule {first['event_published']['rules'][0]}"  # type: ignore[index]
    assert {**first["message_received"], "message_id": ""} == {
        "queue": first["message_sent"]["queue"],
        "message_id": "",
        "receive_count": 1,
        "by": "mapping",
    }
    assert first["invoked"]["function"] == world.function
    assert first["invoked"]["error"] == ""
    written = [entry.fields for entry in entries if entry.kind == "item_written"]
    assert written[-1]["status"] == "SYNCED"
    assert isinstance(written[-1]["version"], int)


def is_about(entry: JournalEntry, event_id: str, messages: set[object]) -> bool:
    """Return whether the entry belongs to this event, one of these messages or their order."""
    fields = entry.fields
    if entry.kind == "event_published":
        return fields["event_id"] == event_id
    if entry.kind == "item_written":
        return str(fields["pk"]).endswith("JOURNAL-1")
    return fields.get("message_id") in messages or bool(messages & set(fields.get("message_ids", [])))  # type: ignore[call-overload]


def test_an_event_that_no_rule_matches_says_so(world: Testbed, since: Callable[[], list[JournalEntry]]) -> None:
    """An event that no rule matches is in the journal without rules and without an error."""
    event_id = publish(world, Source="unknown.source", DetailType="Nothing")["EventId"]
    [entry] = [entry for entry in since() if entry.fields.get("event_id") == event_id]
    assert entry.fields["rules"] == []
    assert entry.fields["error"] == ""


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Detail": "{"}, "MalformedDetail: Detail is malformed."),
        ({"Source": ""}, "InvalidArgument: Parameter Source is not valid. Reason: Source is a required argument."),
    ],
)
def test_a_refused_event_says_why(
    world: Testbed, since: Callable[[], list[JournalEntry]], changes: dict[str, str], error: str
) -> None:
    """An event that PutEvents refuses is in the journal with EventBridge's own words."""
    answer = publish(world, **changes)
    assert f"{answer['ErrorCode']}: {answer['ErrorMessage']}" == error
    assert [entry.fields["error"] for entry in since() if entry.kind == "event_published"] == [error]


def test_every_change_of_a_message_is_told(world: Testbed, since: Callable[[], list[JournalEntry]]) -> None:
    """A message's sending, receives, visibility, move to the dead letters and deletion are in the journal."""
    sqs = world.cloud.client("sqs")
    dead = sqs.create_queue(QueueName="journal-dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:journal-dead", "maxReceiveCount": 1}
    url = sqs.create_queue(QueueName="journal", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a body")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}]
    )
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    [message] = sqs.receive_message(QueueUrl=dead)["Messages"]
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    story = [(entry.kind, dict(entry.fields)) for entry in since() if entry.fields.get("message_id")]
    story = [(kind, fields) for kind, fields in story if fields.pop("message_id") == message["MessageId"]]
    assert story == [
        ("message_sent", {"queue": "journal", "body": "a body", "by": "SendMessage"}),
        ("message_received", {"queue": "journal", "receive_count": 1, "by": "ReceiveMessage"}),
        ("visibility_changed", {"queue": "journal", "seconds": 0}),
        ("message_dead", {"queue": "journal", "dead_letter_queue": "journal-dead", "receive_count": 1}),
        ("message_received", {"queue": "journal-dead", "receive_count": 2, "by": "ReceiveMessage"}),
        ("message_deleted", {"queue": "journal-dead"}),
    ]
    sqs.send_message(QueueUrl=url, MessageBody="another")
    sqs.purge_queue(QueueUrl=url)
    assert since()[-1].kind == "message_deleted"


def test_a_reader_may_wait(world: Testbed, journal: Journal) -> None:
    """A reader that waits gets the next entry; one that waits for nothing gets nothing."""
    last = max((entry.n for entry in journal.entries()), default=0)
    assert journal.entries(last + 1_000_000, wait=0.05) == []
    publish(world, Source="unknown.source")
    assert journal.entries(last, wait=20)


def test_a_wrong_request_names_the_remedy(world: Testbed, journal: Journal) -> None:
    """A wrong number is refused in one line, an unknown path too, and a page's request as everywhere."""
    base = world.cloud.endpoint_url + "/__sandbox__/"
    assert "number" in requests.get(f"{base}journal?after=x", timeout=60).json()["error"]
    assert "journal?after" in requests.get(f"{base}diary", timeout=60).json()["error"]
    assert requests.get(f"{base}journal", headers={"Origin": "http://evil.example"}, timeout=60).status_code == 403
    with pytest.raises(JournalError, match="is the sandbox running"):
        Journal("http://127.0.0.1:9").entries()
