"""The operator's commands with unreadable items, hostile text, stale receipt handles, and errors of AWS."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops import dead_letters, screen
from ops.__main__ import main
from ops.stack import Deployment, describe
from orders.items import item_of
from orders.order import Attempt, Facts, Order, Payment, Refusal, Status
from sandbox.cloud import Cloud

MERCHANT = "1230000109"
AT = "2026-01-01T04:00:00.000Z"
EVIL = "\x1b[2J\u202egnol\nops: all is well\x9b\ud800"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An embedded AWS without a stack; these tests create a table and two queues of their own."""
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@dataclass
class Operator:
    """An operator, who runs commands against a table and two sqs."""

    deployment: Deployment
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit status, stdout and stderr."""
        code = main(list(arguments))
        output = self.capsys.readouterr()
        return code, output.out, output.err

    def put(self, number: str, *, status: Status = Status.REJECTED, raw: Any = None, **fields: Any) -> str:
        """Write an order's item with the changes of `raw` to its attributes (`...` removes one); return its key."""
        payment = Payment(MERCHANT, number, "20260101120000")
        fields = {"facts": None} | fields
        order = Order(payment=payment, status=status, version=1, created_at=AT, updated_at=AT, **fields)
        item = {name: value for name, value in (item_of(order) | (raw or {})).items() if value is not ...}
        self.deployment.client("dynamodb").put_item(TableName=self.deployment.outputs["OrdersTableName"], Item=item)
        return str(item["pk"]["S"])

    def letter(self, body: str, **attributes: Any) -> str:
        """Send a message to the dead-letter queue; return its id."""
        url = self.deployment.outputs["DeadLettersUrl"]
        message = self.deployment.client("sqs").send_message(QueueUrl=url, MessageBody=body, **attributes)
        return str(message["MessageId"])


@pytest.fixture
def operator(cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """An operator of an empty table and empty sqs."""
    dynamodb, sqs = cloud.client("dynamodb"), cloud.client("sqs")
    names = ("pk", "attention", "updated_at")
    dynamodb.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "attention",
                "KeySchema": [
                    {"AttributeName": "attention", "KeyType": "HASH"},
                    {"AttributeName": "updated_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("OrderQueue", "DeadLetters")}
    outputs = {
        "OrdersTableName": "orders",
        "OrderQueueUrl": urls["OrderQueue"],
        "DeadLettersUrl": urls["DeadLetters"],
        "DeadLettersArn": "arn:aws:sqs:us-east-1:000000000000:DeadLetters",
        "EventBusName": "default",
    }
    deployment = Deployment(cloud.client, outputs, {})
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    monkeypatch.setattr("ops.letters.queue.WAIT", 0)  # the embedded SQS misses no message
    yield Operator(deployment, capsys)
    dynamodb.delete_table(TableName="orders")
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


def a_body(number: str, **changes: Any) -> str:
    """Return a payload as JSON."""
    return json.dumps({"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}} | changes)


UNREADABLE: list[tuple[dict[str, Any], str]] = [
    ({"status": {"S": "REFUNDED"}}, "REFUNDED"),
    ({"status": ...}, "status"),
    ({"version": {"S": "one"}}, "version"),
    ({"paid_time": {"L": []}}, "paid_time"),
    ({"history": {"S": "a log"}}, ""),
    ({"out_order_no": ...}, "out_order_no"),
]


@pytest.mark.parametrize(("raw", "problem"), UNREADABLE)
def test_an_item_that_cannot_be_read_is_listed_as_such(operator: Operator, raw: dict[str, Any], problem: str) -> None:
    """An unreadable item is listed with its key and the problem; the other items are listed as usual, status 0."""
    operator.put("A-1", reason="REVOKED")
    operator.put("A-2", raw=raw)
    operator.put("A-3", status=Status.RETRYING, reason="DEDUCTING")
    code, out, _ = operator.run("order", "list", "--attention")
    lines = {line.split("  ")[3]: line.split("  ") for line in out.splitlines()}
    assert (code, sorted(lines)) == (0, ["A-1", "A-2", "A-3"])
    assert lines["A-2"][:3] == [AT, "UNREADABLE", MERCHANT]
    assert problem in lines["A-2"][4]
    assert (lines["A-1"][4], lines["A-3"][4]) == ("REVOKED", "DEDUCTING")


@pytest.mark.parametrize(("raw", "problem"), UNREADABLE)
def test_an_item_that_cannot_be_read_is_shown_raw(operator: Operator, raw: dict[str, Any], problem: str) -> None:
    """`order show` prints the attributes of an unreadable item as DynamoDB has them, and the problem."""
    key = operator.put("A-1", raw={**raw, "seal": {"B": b"\x00"}})
    code, out, _ = operator.run("order", "show", MERCHANT, "A-1", "--json")
    document = json.loads(out)
    assert (code, document["attributes"]["pk"]) == (0, {"S": key})
    assert problem in document["unreadable"]


@pytest.mark.parametrize(("raw", "problem"), UNREADABLE)
def test_a_letter_whose_item_cannot_be_read_is_listed_as_such(
    operator: Operator, raw: dict[str, Any], problem: str
) -> None:
    """A message whose item cannot be read is listed with UNREADABLE_ITEM; the others keep their reasons."""
    operator.put("A-1", reason="REVOKED", last_error=Refusal("ORDER_CANCELED", "the order is closed"))
    operator.put("A-2", raw=raw)
    for number in ("A-1", "A-2"):
        operator.letter(a_body(number))
    code, out, _ = operator.run("dead-letters", "list")
    assert code == 0
    assert f"{MERCHANT} A-1  REJECTED  REVOKED\n    ORDER_CANCELED: the order is closed" in out
    assert f"{MERCHANT} A-2  -  UNREADABLE_ITEM\n    the order's item cannot be read by this version: " in out
    assert problem in out
    assert "2 dead letter(s)" in out


def test_members_of_a_later_version_do_not_make_an_item_unreadable(operator: Operator) -> None:
    """Unknown attributes and unknown members of nested records do not make an item unreadable."""
    payment = Payment(MERCHANT, "A-1", "20260101120000")
    order = Order(payment, None, Status.REJECTED, 1, AT, AT, history=(Attempt(AT, "m1", "X"),))
    history = item_of(order)["history"]
    history["L"][0]["M"]["later"] = {"S": "x"}
    operator.put("A-1", reason="REVOKED", raw={"history": history, "later": {"S": "x"}})
    code, out, _ = operator.run("order", "show", MERCHANT, "A-1", "--json")
    assert (code, json.loads(out)["reason"]) == (0, "REVOKED")
    assert "UNREADABLE" not in operator.run("order", "list", "--attention")[1]


def test_an_order_of_a_sub_merchant_is_shown_by_both_numbers(operator: Operator) -> None:
    """An order of a sub-merchant is shown with --sub-mchid only; without it the error names the option."""
    operator.put("A-1", reason="REVOKED", raw={"pk": {"S": f"{MERCHANT}/1900000109#A-1"}})
    code, out, _ = operator.run("order", "show", MERCHANT, "A-1", "--sub-mchid", "1900000109", "--json")
    assert (code, json.loads(out)["out_order_no"]) == (0, "A-1")
    code, _, err = operator.run("order", "show", MERCHANT, "A-1")
    assert (code, "--sub-mchid" in err) == (1, True)
    assert operator.run("order", "show", MERCHANT, "A-1", "--sub-mchid", "7")[0] == 1


def test_a_letter_without_an_item_has_more_than_one_possible_cause(operator: Operator) -> None:
    """A message without an item is listed with its possible causes: throttling, a crash, no answer of the table."""
    operator.letter(a_body("A-1"))
    _, out, _ = operator.run("dead-letters", "list")
    assert f"{MERCHANT} A-1  -  NEVER_SETTLED" in out
    for cause in ("throttled", "crashed", "table may not have answered"):
        assert cause in out


def test_a_letter_is_parsed_as_of_the_time_it_was_sent(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment time that was in the future when the message was sent is still unreadable after that time."""
    tomorrow, later = (datetime.now(UTC) + timedelta(days=days) for days in (1, 3))
    operator.letter(a_body("A-1", detail={"paid_time": tomorrow.isoformat(timespec="seconds")}))
    monkeypatch.setattr("ops.commands.dead_letters.time.time", later.timestamp)
    assert "lies in the future" in operator.run("dead-letters", "list")[1]


def test_text_from_outside_is_printed_without_control_characters(operator: Operator) -> None:
    """Text from outside cannot move the cursor, reverse a line, forge a line, or cause a traceback."""
    dirty = EVIL.replace("\ud800", "")  # DynamoDB refuses a lone surrogate
    operator.put("A-1", reason="REVOKED", last_error=Refusal("X", dirty), facts=Facts({"attach": dirty}))
    operator.put("A-2", raw={"status": {"S": dirty}, "attach": {"S": dirty}})
    operator.letter(a_body("A-1"))
    operator.letter(a_body("A-2"))
    message_id = operator.letter(a_body("A-3", note="\x7f" + dirty).replace("{", "{\n\u202e", 1))
    for arguments in (
        ("order", "list", "--attention"),
        ("order", "show", MERCHANT, "A-1"),
        ("order", "show", MERCHANT, "A-2"),
        ("dead-letters", "list"),
        ("dead-letters", "show", message_id),
    ):
        code, out, _ = operator.run(*arguments)
        assert code == 0
        assert out.replace("\n", "").isprintable(), arguments
        assert not [line for line in out.splitlines() if line.startswith("ops: all is well")]
    assert json.loads(operator.run("order", "show", MERCHANT, "A-1", "--json")[1])["wechat"]["attach"] == dirty


def test_a_printed_document_parses_to_the_same_value() -> None:
    """A printed document has no unprintable character, and parses to the value that was printed."""
    value = {"text": EVIL, "emoji": "\U0001f600", "tag": "\U000e0001", "list": [EVIL]}
    text = screen.document(value)
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value
    assert screen.escaped("单 {\n") == "单 {\\n"


ATTRIBUTES: dict[str, Any] = {
    "MessageAttributes": {
        "till": {"DataType": "String", "StringValue": "7"},
        "seal": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    },
}


def test_a_letter_goes_back_with_its_attributes(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redriven message keeps body and attributes; the others stay and are visible at once."""
    ids = [operator.letter(a_body(f"A-{number}"), **ATTRIBUTES) for number in range(12)]
    monkeypatch.chdir(tmp_path)
    code, out, _ = operator.run("dead-letters", "redrive", "--message-id", ids[5])
    assert (code, "1 message(s) are back in OrderQueue" in out) == (0, True)
    sqs = operator.deployment.client("sqs")
    [back] = sqs.receive_message(
        QueueUrl=operator.deployment.outputs["OrderQueueUrl"], AttributeNames=["All"], MessageAttributeNames=["All"]
    )["Messages"]
    assert back["Body"] == a_body("A-5")
    assert {name: value.get("StringValue") for name, value in back["MessageAttributes"].items()} == {
        "till": "7",
        "seal": None,
    }
    assert back["MessageAttributes"]["seal"]["BinaryValue"] == b"\x00\x01"
    assert {letter.message_id for letter in dead_letters.peek(operator.deployment)} == {*ids} - {ids[5]}


def a_refusal(operation: str, code: str, message: str) -> ClientError:
    """Return an error as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (a_refusal("GetItem", "AccessDenied", "not yours"), "GetItem: AccessDenied: not yours"),
        (a_refusal("GetItem", "X", EVIL + "x" * 9000), "GetItem: X:  [2J gnol ops: all is well"),
        (ClientError({}, "GetItem"), "GetItem: no code: no message"),  # from a proxy
        (EndpointConnectionError(endpoint_url="http://x"), "EndpointConnectionError: Could not connect"),
    ],
)
def test_an_error_of_aws_is_one_printable_line(error: Any, text: str) -> None:
    """An error of AWS is printed as operation, code and message, at most 500 characters."""
    line = describe(error)
    assert line.startswith(text)
    assert line.isprintable()
    assert len(line) <= 500


def test_a_command_that_aws_refuses_prints_its_error(operator: Operator) -> None:
    """An error of AWS ends a command with status 1 and one line on stderr."""
    operator.deployment.client("dynamodb").delete_table(TableName="orders")
    code, out, err = operator.run("order", "show", MERCHANT, "A-1")
    assert (code, out) == (1, "")
    assert err.startswith("ops: AWS says: GetItem: ResourceNotFoundException: ")
    assert err.count("\n") == 1
    operator.deployment.client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )


def test_a_character_that_the_console_lacks_is_escaped(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A console with the encoding GBK, which has no emoji, prints an escape instead of raising."""
    operator.put("A-1", reason="REVOKED", last_error=Refusal("X", "单据 \U0001f600"))
    console = io.TextIOWrapper(io.BytesIO(), encoding="gbk")
    monkeypatch.setattr("sys.stdout", console)
    assert main(["order", "list", "--attention"]) == 0
    console.flush()
    assert "X 单据 \\U0001f600" in console.buffer.getvalue().decode("gbk")


def test_an_event_with_a_lone_surrogate_in_an_unknown_field_is_sent(operator: Operator, tmp_path: Any) -> None:
    """`event send` accepts what the function accepts, and refuses a file that is not a JSON object."""
    file = tmp_path / "mine.json"
    file.write_text(a_body("A-1", note="\ud800"))
    assert operator.run("event", "send", str(file))[0] == 0
    for text in ("[" * 100_000, "nonsense", "[]"):
        file.write_text(text)
        code, _, err = operator.run("event", "send", str(file))
        assert (code, err.startswith("ops: ")) == (1, True)
