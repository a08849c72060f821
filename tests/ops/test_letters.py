"""The operator's commands where something is broken: an item, a letter, AWS, or the words of others."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops import dead_letters, screen
from ops.__main__ import main
from ops.stack import Deployment, OpsError, describe
from orders.items import item_of
from orders.order import Attempt, Facts, Order, Payment, Refusal, Status
from sandbox.cloud import Cloud

MERCHANT = "1230000109"
AT = "2026-01-01T04:00:00.000Z"
EVIL = "\x1b[2J\u202egnol\nops: all is well\x9b\ud800"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An AWS without a stack: these tests bring a table and two queues of their own."""
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@dataclass
class Desk:
    """Where the operator sits."""

    deployment: Deployment
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code and what it printed to stdout and stderr."""
        code = main(list(arguments))
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err

    def put(self, number: str, *, status: Status = Status.REJECTED, raw: Any = None, **fields: Any) -> str:
        """Write an order's item, then what `raw` changes of its attributes (`...` takes one out); returns its key."""
        payment = Payment(MERCHANT, number, "20260101120000")
        fields = {"facts": None} | fields
        order = Order(payment=payment, status=status, version=1, created_at=AT, updated_at=AT, **fields)
        item = {name: value for name, value in (item_of(order) | (raw or {})).items() if value is not ...}
        self.deployment.client("dynamodb").put_item(TableName=self.deployment.outputs["OrdersTableName"], Item=item)
        return str(item["pk"]["S"])

    def letter(self, body: str, **attributes: Any) -> str:
        """Put a message among the dead letters; returns its id."""
        url = self.deployment.outputs["DeadLettersUrl"]
        sent = self.deployment.client("sqs").send_message(QueueUrl=url, MessageBody=body, **attributes)
        return str(sent["MessageId"])


@pytest.fixture
def desk(cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk with an empty table and empty queues."""
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
    yield Desk(deployment, capsys)
    dynamodb.delete_table(TableName="orders")
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


def a_body(number: str, **changes: Any) -> str:
    """A payload."""
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
def test_an_item_that_cannot_be_read_is_listed_as_such(desk: Desk, raw: dict[str, Any], problem: str) -> None:
    """With its key and the reason; every other line stands as well, and the exit code is 0."""
    desk.put("A-1", reason="REVOKED")
    desk.put("A-2", raw=raw)
    desk.put("A-3", status=Status.RETRYING, reason="DEDUCTING")
    code, out, _ = desk.run("order", "list", "--attention")
    lines = {line.split("  ")[3]: line.split("  ") for line in out.splitlines()}
    assert (code, sorted(lines)) == (0, ["A-1", "A-2", "A-3"])
    assert lines["A-2"][:3] == [AT, "UNREADABLE", MERCHANT]
    assert problem in lines["A-2"][4]
    assert (lines["A-1"][4], lines["A-3"][4]) == ("REVOKED", "DEDUCTING")


@pytest.mark.parametrize(("raw", "problem"), UNREADABLE)
def test_an_item_that_cannot_be_read_is_shown_raw(desk: Desk, raw: dict[str, Any], problem: str) -> None:
    """Its attributes as DynamoDB has them, and why they make no order."""
    key = desk.put("A-1", raw={**raw, "seal": {"B": b"\x00"}})
    code, out, _ = desk.run("order", "show", MERCHANT, "A-1")
    shown = json.loads(out)
    assert (code, shown["attributes"]["pk"]) == (0, {"S": key})
    assert problem in shown["unreadable"]


@pytest.mark.parametrize(("raw", "problem"), UNREADABLE)
def test_a_letter_whose_item_cannot_be_read_is_listed_as_such(desk: Desk, raw: dict[str, Any], problem: str) -> None:
    """Among the others, which are explained as ever."""
    desk.put("A-1", reason="REVOKED", last_error=Refusal("ORDER_CANCELED", "the order is closed"))
    desk.put("A-2", raw=raw)
    for number in ("A-1", "A-2"):
        desk.letter(a_body(number))
    code, out, _ = desk.run("dead-letters", "list")
    assert code == 0
    assert f"{MERCHANT} A-1  REJECTED  REVOKED\n    ORDER_CANCELED: the order is closed" in out
    assert f"{MERCHANT} A-2  -  UNREADABLE_ITEM\n    the order's item cannot be read by this version: " in out
    assert problem in out
    assert "2 dead letter(s)" in out


def test_members_of_a_later_version_do_not_make_an_item_unreadable(desk: Desk) -> None:
    """Neither an attribute nor a member of a nested record."""
    payment = Payment(MERCHANT, "A-1", "20260101120000")
    order = Order(payment, None, Status.REJECTED, 1, AT, AT, history=(Attempt(AT, "m1", "X"),))
    history = item_of(order)["history"]
    history["L"][0]["M"]["later"] = {"S": "x"}
    desk.put("A-1", reason="REVOKED", raw={"history": history, "later": {"S": "x"}})
    code, out, _ = desk.run("order", "show", MERCHANT, "A-1")
    assert (code, json.loads(out)["reason"]) == (0, "REVOKED")
    assert "UNREADABLE" not in desk.run("order", "list", "--attention")[1]


def test_an_order_of_a_sub_merchant_is_shown_by_both_numbers(desk: Desk) -> None:
    """The key has them both, and so does the list."""
    desk.put("A-1", reason="REVOKED", raw={"pk": {"S": f"{MERCHANT}/1900000109#A-1"}})
    code, out, _ = desk.run("order", "show", MERCHANT, "A-1", "--sub-mchid", "1900000109")
    assert (code, json.loads(out)["out_order_no"]) == (0, "A-1")
    code, _, err = desk.run("order", "show", MERCHANT, "A-1")
    assert (code, "--sub-mchid" in err) == (1, True)
    assert desk.run("order", "show", MERCHANT, "A-1", "--sub-mchid", "7")[0] == 1


def test_a_letter_without_an_item_has_more_than_one_possible_cause(desk: Desk) -> None:
    """Throttled, crashed, or the table did not answer: the absence of an item does not say which."""
    desk.letter(a_body("A-1"))
    _, out, _ = desk.run("dead-letters", "list")
    assert f"{MERCHANT} A-1  -  NEVER_SETTLED" in out
    for cause in ("throttled", "crashed", "table may not have answered"):
        assert cause in out


def test_a_letter_is_judged_by_when_it_was_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the function did: a payment that lay in the future is still unreadable when that time has come."""
    tomorrow, later = (datetime.now(UTC) + timedelta(days=days) for days in (1, 3))
    desk.letter(a_body("A-1", detail={"paid_time": tomorrow.isoformat(timespec="seconds")}))
    monkeypatch.setattr("ops.dead_letters.time.time", later.timestamp)
    assert "lies in the future" in desk.run("dead-letters", "list")[1]


def test_words_of_others_are_printed_clean(desk: Desk) -> None:
    """They neither move the cursor, nor turn a line round, nor forge one, nor end in a traceback."""
    dirty = EVIL.replace("\ud800", "")  # DynamoDB takes no half character
    desk.put("A-1", reason="REVOKED", last_error=Refusal("X", dirty), facts=Facts({"attach": dirty}))
    desk.put("A-2", raw={"status": {"S": dirty}, "attach": {"S": dirty}})
    desk.letter(a_body("A-1"))
    desk.letter(a_body("A-2"))
    shown = desk.letter(a_body("A-3", note="\x7f" + dirty).replace("{", "{\n\u202e", 1))
    for arguments in (
        ("order", "list", "--attention"),
        ("order", "show", MERCHANT, "A-1"),
        ("order", "show", MERCHANT, "A-2"),
        ("dead-letters", "list"),
        ("dead-letters", "show", shown),
    ):
        code, out, _ = desk.run(*arguments)
        assert code == 0
        assert out.replace("\n", "").isprintable(), arguments
        assert not [line for line in out.splitlines() if line.startswith("ops: all is well")]
    assert json.loads(desk.run("order", "show", MERCHANT, "A-1")[1])["wechat"]["attach"] == dirty


def test_a_document_is_still_the_same_value() -> None:
    """What is escaped can be read back."""
    value = {"text": EVIL, "emoji": "\U0001f600", "tag": "\U000e0001", "list": [EVIL]}
    shown = screen.document(value)
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == value
    assert screen.escaped("单 {\n") == "单 {\\n"


ATTRIBUTES: dict[str, Any] = {
    "MessageAttributes": {
        "till": {"DataType": "String", "StringValue": "7"},
        "seal": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    },
    "MessageSystemAttributes": {
        "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}
    },
}


def test_a_letter_goes_back_with_its_attributes(desk: Desk) -> None:
    """The body, what the sender attached, and the trace; the others stay, and can be received at once."""
    ids = [desk.letter(a_body(f"A-{number}"), **ATTRIBUTES) for number in range(12)]
    code, out, _ = desk.run("dead-letters", "redrive", "--message-id", ids[5])
    assert (code, ids[5] in out) == (0, True)
    sqs = desk.deployment.client("sqs")
    [back] = sqs.receive_message(
        QueueUrl=desk.deployment.outputs["OrderQueueUrl"], AttributeNames=["All"], MessageAttributeNames=["All"]
    )["Messages"]
    assert back["Body"] == a_body("A-5")
    assert {name: value.get("StringValue") for name, value in back["MessageAttributes"].items()} == {
        "till": "7",
        "seal": None,
    }
    assert back["MessageAttributes"]["seal"]["BinaryValue"] == b"\x00\x01"
    assert back["Attributes"]["AWSTraceHeader"].startswith("Root=1-")
    assert {letter.message_id for letter in dead_letters.peek(desk.deployment)} == {*ids} - {ids[5]}


@dataclass
class Queues:
    """An SQS with letters that answers as it is told; `calls` are the operations asked of it."""

    letters: list[dict[str, Any]] = field(default_factory=list)
    refusals: dict[str, ClientError] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Make an operation."""

        def call(**arguments: Any) -> Any:
            self.calls.append(operation)
            if operation in self.refusals:
                raise self.refusals[operation]
            match operation:
                case "receive_message":
                    return {"Messages": [self.letters.pop()]} if self.letters else {}
                case "list_message_move_tasks":
                    return {"Results": self.tasks}
                case "change_message_visibility_batch":
                    return {"Failed": self.failed}
                case "send_message":
                    self.sent.append(arguments)
            return {"TaskHandle": "task-1"}

        return call


def a_refusal(operation: str, code: str, message: str) -> ClientError:
    """An error as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def a_deployment(sqs: Any) -> Deployment:
    """A stack whose clients are all this one."""
    outputs = {"DeadLettersArn": "arn", "DeadLettersUrl": "dead", "OrderQueueUrl": "orders", "OrdersTableName": "t"}
    return Deployment(lambda _: sqs, outputs, {})


A_LETTER = {
    "MessageId": "m1",
    "Body": "nonsense",
    "ReceiptHandle": "r1",
    "Attributes": {"SentTimestamp": "1767240001000", "MessageGroupId": "shop-7"},
}
IS_RUNNING = a_refusal(
    "StartMessageMoveTask",
    "AWS.SimpleQueueService.UnsupportedOperation",
    "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
)


def test_a_redrive_that_runs_already_is_told_so() -> None:
    """With AWS's own words, and how far it is."""
    tasks: list[dict[str, Any]] = [
        {"Status": "COMPLETED"},
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 3, "ApproximateNumberOfMessagesToMove": 9},
    ]
    queues = Queues(refusals={"start_message_move_task": IS_RUNNING}, tasks=tasks)
    with pytest.raises(OpsError) as caught:
        dead_letters.redrive(a_deployment(queues))
    assert "There is already a task running" in str(caught.value)
    assert "is running (3 of 9): wait for its end" in str(caught.value)
    assert "--message-id" not in str(caught.value)


@pytest.mark.parametrize("tasks", [[], [{"Status": "FAILED"}], None])
def test_a_redrive_that_aws_refuses_is_told_in_its_words(tasks: list[dict[str, Any]] | None) -> None:
    """Where no task runs, or nothing can be learnt of it, one letter at a time still works."""
    denied = a_refusal("StartMessageMoveTask", "AccessDenied", "User is not authorized\nto perform sqs:Start")
    refusals = {"start_message_move_task": denied}
    if tasks is None:
        refusals["list_message_move_tasks"] = a_refusal("ListMessageMoveTasks", "AccessDenied", "no")
    with pytest.raises(OpsError) as caught:
        dead_letters.redrive(a_deployment(Queues(refusals=refusals, tasks=tasks or [])))
    assert "StartMessageMoveTask: AccessDenied: User is not authorized to perform sqs:Start" in str(caught.value)
    assert "try --message-id" in str(caught.value)


def test_a_redrive_that_starts_returns_its_task() -> None:
    """All letters, by SQS itself."""
    assert dead_letters.redrive(a_deployment(Queues())) == "task-1"


def test_a_stale_receipt_handle_is_no_failure() -> None:
    """The letter is visible again already."""
    failed = [{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}]
    [letter] = dead_letters.peek(a_deployment(Queues([A_LETTER], failed=failed)))
    assert (letter.message_id, letter.reason, letter.key) == ("m1", "UNREADABLE", "")


def test_a_letter_that_cannot_be_taken_out_is_not_told_to_be_gone() -> None:
    """It was sent, and the operator learns that it is in both queues."""
    stale = a_refusal("DeleteMessage", "ReceiptHandleIsInvalid", "The receipt handle has expired")
    queues = Queues([A_LETTER], refusals={"delete_message": stale})
    with pytest.raises(OpsError, match=r"stays among the dead letters as well: .*has expired"):
        dead_letters.redrive_one(a_deployment(queues), "m1")
    assert queues.sent == [{"QueueUrl": "orders", "MessageBody": "nonsense", "MessageGroupId": "shop-7"}]


def test_letters_are_put_back_though_the_redrive_fails() -> None:
    """Those that were received on the way to the one that was meant."""
    other = {**A_LETTER, "MessageId": "m2"}
    queues = Queues([A_LETTER, other], refusals={"send_message": a_refusal("SendMessage", "Throttled", "slow")})
    with pytest.raises(ClientError):
        dead_letters.redrive_one(a_deployment(queues), "m1")
    assert queues.calls[-1] == "change_message_visibility_batch"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (a_refusal("GetItem", "AccessDenied", "not yours"), "GetItem: AccessDenied: not yours"),
        (a_refusal("GetItem", "X", EVIL + "x" * 9000), "GetItem: X:  [2J gnol ops: all is well"),
        (ClientError({}, "GetItem"), "GetItem: no code: no message"),  # what a proxy makes
        (EndpointConnectionError(endpoint_url="http://x"), "EndpointConnectionError: Could not connect"),
    ],
)
def test_awss_words_are_told_in_one_clean_line(error: Any, told: str) -> None:
    """The operation, the code and the message, bounded."""
    words = describe(error)
    assert words.startswith(told)
    assert words.isprintable()
    assert len(words) <= 500


def test_a_command_that_aws_refuses_ends_with_its_words(desk: Desk) -> None:
    """Exit code 1 and one line."""
    desk.deployment.client("dynamodb").delete_table(TableName="orders")
    code, out, err = desk.run("order", "show", MERCHANT, "A-1")
    assert (code, out) == (1, "")
    assert err.startswith("ops: AWS says: GetItem: ResourceNotFoundException: ")
    assert err.count("\n") == 1
    desk.deployment.client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )


def test_a_console_that_lacks_a_character_shows_its_number(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consoles in China may speak GBK, which has no emoji: no reason for a traceback."""
    desk.put("A-1", reason="REVOKED", last_error=Refusal("X", "单据 \U0001f600"))
    console = io.TextIOWrapper(io.BytesIO(), encoding="gbk")
    monkeypatch.setattr("sys.stdout", console)
    assert main(["order", "list", "--attention"]) == 0
    console.flush()
    assert "X 单据 \\U0001f600" in console.buffer.getvalue().decode("gbk")


def test_an_event_with_half_a_character_in_a_field_of_others_is_sent(desk: Desk, tmp_path: Any) -> None:
    """The function ignores that field; so does the command."""
    file = tmp_path / "mine.json"
    file.write_text(a_body("A-1", note="\ud800"))
    assert desk.run("event", "send", str(file))[0] == 0
    for text in ("[" * 100_000, "nonsense", "[]"):
        file.write_text(text)
        code, _, err = desk.run("event", "send", str(file))
        assert (code, err.startswith("ops: ")) == (1, True)
