"""`find`: from the id of an event to log lines, item, dead letter and undelivered event."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops import log_lines, traces
from ops.__main__ import main
from ops.log_lines import Span
from ops.stack import Deployment
from ops.traces import Search, Trace, Unsearched
from orders.order import Status
from sandbox.testbed import MERCHANT, until
from tests.ops.conftest import Operator
from tests.ops.test_orders import becomes

EVIL = "\x1b[2J\u202egnol"


@pytest.fixture(autouse=True)
def _one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded SQS is one server, which a short poll asks whole."""
    monkeypatch.setattr("ops.letters.queue.WAIT", 0)


def body(number: str, **changes: Any) -> str:
    """Return a payload as JSON."""
    return json.dumps({"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}} | changes)


def put(operator: Operator, output: str, text: str) -> str:
    """Send a message to a queue of the stack; return its id."""
    url = operator.world.stack.outputs[output]
    return str(operator.world.cloud.client("sqs").send_message(QueueUrl=url, MessageBody=text)["MessageId"])


def test_an_event_is_found_from_the_log_to_the_item(operator: Operator) -> None:
    """The POS's own id of a synced event leads to its log line, and from there to the item by one read."""
    operator.world.ready("FIND-1")
    put(operator, "OrderQueueUrl", body("FIND-1", event_id="pos-0001"))
    becomes(operator.world, "FIND-1", Status.SYNCED)

    def finds() -> list[dict[str, Any]] | None:
        code, out, _ = operator.run("find", "pos-0001", "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        return rows if code == 0 and len(rows) == 2 else None

    rows = until(finds, state="its log line and item", instead=lambda: operator.run("find", "pos-0001"))
    assert rows is not None
    log_line, item = rows
    assert (log_line["place"], log_line["message"], log_line["out_order_no"]) == ("log", "synced", "FIND-1")
    assert (item["place"], item["status"], item["event_id"]) == ("order", "SYNCED", "pos-0001")
    _, out, _ = operator.run("find", "pos-0001")
    assert f"order show {MERCHANT} FIND-1" in out


def test_a_message_is_found_in_its_queue_and_stays_there(operator: Operator) -> None:
    """An event in DeadLetters or UndeliveredEvents is found by its own id and by its message's, again and again."""
    first = put(operator, "DeadLettersUrl", body("FIND-2", event_id="pos-0002"))
    envelope = {"id": "eb-1", "detail-type": "Order_Paid", "source": "pos.x", "detail": json.loads(body("FIND-3"))}
    second = put(operator, "UndeliveredEventsUrl", json.dumps(envelope))
    unreadable = put(operator, "DeadLettersUrl", json.dumps({"event_id": "pos-0004", "note": EVIL}))
    for word in ("pos-0002", first):
        code, out, _ = operator.run("find", word)
        assert (code, f"dead letter  {MERCHANT}  FIND-2  message {first}" in out) == (0, True)
    code, out, _ = operator.run("find", "eb-1")
    assert (code, f"undelivered event  {MERCHANT}  FIND-3  message {second}" in out) == (0, True)
    code, out, _ = operator.run("find", "pos-0004")
    assert (code, f"UNREADABLE  message {unreadable}\n    mchid: is missing" in out) == (0, True)
    assert "\x1b" not in out


def test_a_search_that_is_interrupted_leaves_the_messages_visible(operator: Operator, deployment: Deployment) -> None:
    """A search that ends in the middle of a queue puts back at once what it has received."""
    message_id = put(operator, "UndeliveredEventsUrl", body("FIND-9", event_id="pos-0009"))
    search = Search(deployment, "pos-0009", Span(*_minute())).run()
    assert isinstance(next(step for step in search if isinstance(step, Trace)), Trace)
    search.close()
    url = operator.world.stack.outputs["UndeliveredEventsUrl"]
    answer = deployment.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    assert message_id in [message["MessageId"] for message in answer["Messages"]]


def test_an_event_without_a_log_line_is_found_by_its_item(operator: Operator) -> None:
    """Without a log line the index is searched, and with --scan the whole table; unreadable items do not stop it."""
    operator.put("FIND-5", Status.REJECTED, reason="REVOKED", event_id="pos-0005", message_id="m-0005")
    operator.put("FIND-6", Status.SYNCED, event_id="pos-0006", version=2)
    operator.put("FIND-7", Status.REJECTED, raw={"status": {"S": "REFUNDED"}})
    code, out, _ = operator.run("find", "m-0005")
    assert (code, "FIND-5  REJECTED  REVOKED" in out) == (0, True)
    code, out, _ = operator.run("find", "pos-0006")
    assert (code, out.splitlines()[0]) == (
        1,
        "pos-0006 is nowhere: search further back with --since, or the whole table with --scan",
    )
    assert "OrderQueue has " in out
    code, out, _ = operator.run("find", "pos-0006", "--scan")
    assert (code, "FIND-6  SYNCED" in out) == (0, True)


class Refusing:
    """A client of AWS that refuses everything."""

    def __getattr__(self, name: str) -> Any:
        """Return a call that is refused."""

        def call(*_: Any, **__: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

        return call


@pytest.mark.parametrize("service", ["logs", "dynamodb", "sqs"])
def test_a_place_that_cannot_be_searched_does_not_end_the_search(operator: Operator, service: str) -> None:
    """A place that AWS refuses is reported with the remedy, and the others are searched."""
    world = operator.world.deployment

    def client(name: str) -> Any:
        return Refusing() if name == service else operator.world.cloud.client(name)

    deployment = Deployment(client, world.outputs, {})
    steps = list(Search(deployment, "nowhere", Span(*_minute())).run())
    places = {"logs": ["log"], "dynamodb": ["order"], "sqs": ["dead letter", "undelivered event"]}[service]
    problems = [step for step in steps if isinstance(step, Unsearched)]
    assert [step.place for step in problems] == places
    assert all("AccessDeniedException: no; these credentials may not do it" in step.problem for step in problems)
    assert bool(traces.waiting(deployment)) == (service != "sqs")


FIND_8 = ("find", "pos-0008")


def test_a_deleted_stack_is_searched_where_it_left_something(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the names of kept resources alone, places without one are reported with the option that names them."""
    monkeypatch.undo()  # a stack that is looked up has every name
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    operator.put("FIND-8", Status.REJECTED, reason="REVOKED", event_id="pos-0008")
    assert main(["--endpoint-url", operator.world.cloud.endpoint_url, "--table-name", operator.table, *FIND_8]) == 0
    out = operator.capsys.readouterr().out
    assert "log  NOT SEARCHED  this command needs OrdersFunctionName of a stack: name its stack with --stack" in out
    assert "dead letter  NOT SEARCHED  this command needs DeadLettersUrl of a stack: give --dead-letters-url" in out
    assert "FIND-8  REJECTED  REVOKED" in out


def _minute() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(minutes=1), now


def test_the_log_is_searched_for_what_each_line_must_contain() -> None:
    """The pattern for CloudWatch Logs is quoted; characters that a log line may escape are left out of it."""
    assert log_lines._pattern("A|1*-_") == '"A|1*-_"'
    assert log_lines._pattern('say "pos-0001" twice') == '"pos-0001"'
    assert log_lines._pattern("订单-0001") == '"-0001"'
    assert log_lines._pattern("订单") == ""
