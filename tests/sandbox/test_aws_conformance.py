"""What the project relies on in AWS, each behaviour with the page that documents it, asked of the embedded AWS.

`CONFORMANCE=aws` asks AWS itself, with the credentials and the region of the environment: everything that is created
has a name of its own and is deleted. The mapping's tests then need `CONFORMANCE_ROLE`, the ARN of a role for a function
that may use these queues and write logs.
"""

import io
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.testbed import Testbed
from sandbox.waiting import until

ON_AWS = os.environ.get("CONFORMANCE") == "aws"
ROLE = os.environ.get("CONFORMANCE_ROLE", "" if ON_AWS else "arn:aws:iam::000000000000:role/any")
PREFIX = f"conformance-{uuid.uuid4().hex[:8]}"

needs_role = pytest.mark.skipif(not ROLE, reason="CONFORMANCE_ROLE is not set: AWS runs no function without a role")


@dataclass
class Aws:
    """An AWS: its clients, and what a test has created in it."""

    client: Callable[[str], Any]
    undo: ExitStack = field(default_factory=ExitStack)
    count: int = 0

    def name(self) -> str:
        """Return a name that nothing else has."""
        self.count += 1
        return f"{PREFIX}-{self.count}"

    def queue(self, **attributes: str) -> "AQueue":
        """Create a queue."""
        sqs, name = self.client("sqs"), self.name()
        url = str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
        self.undo.callback(sqs.delete_queue, QueueUrl=url)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return AQueue(sqs, url, arn)

    def pair(self, most: int = 1) -> tuple["AQueue", "AQueue"]:
        """Create a queue and its dead-letter queue."""
        dead = self.queue()
        policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": most})
        return self.queue(RedrivePolicy=policy), dead

    def bus(self, pattern: dict[str, Any]) -> tuple[str, "AQueue"]:
        """Create an event bus with a rule whose target is a queue; return both."""
        events, name, queue = self.client("events"), self.name(), self.queue()
        events.create_event_bus(Name=name)
        self.undo.callback(events.delete_event_bus, Name=name)
        rule = events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps(pattern))["RuleArn"]
        self.undo.callback(events.delete_rule, Name=name, EventBusName=name)
        queue.allow("events.amazonaws.com", rule)
        events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "1", "Arn": queue.arn}])
        self.undo.callback(events.remove_targets, Rule=name, EventBusName=name, Ids=["1"])
        return name, queue

    def publish(self, bus: str, *entries: dict[str, Any]) -> dict[str, Any]:
        """Publish entries to a bus; fields that an entry does not have are valid ones."""
        whole = [
            {"EventBusName": bus, "Source": "pos.mine", "DetailType": "Paid", "Detail": "{}", **one} for one in entries
        ]
        return dict(self.client("events").put_events(Entries=whole))

    def table(self, stream: str = "") -> str:
        """Create a table with a sparse index; return its name."""
        dynamodb, name = self.client("dynamodb"), self.name()
        index = {
            "IndexName": "attention",
            "KeySchema": [{"AttributeName": "attention", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        streams = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": stream}} if stream else {}
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "attention")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[index],
            **streams,
        )
        dynamodb.get_waiter("table_exists").wait(TableName=name)
        self.undo.callback(dynamodb.delete_table, TableName=name)
        return name

    def function(self, code: str, variables: dict[str, str]) -> str:
        """Create a function from the text of its module; return its name."""
        name, archive = self.name(), io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code)
        functions = self.client("lambda")
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=30,
            Environment={"Variables": variables},
        )
        self.undo.callback(functions.delete_function, FunctionName=name)
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return name


@dataclass(frozen=True)
class AQueue:
    """A queue of a test."""

    sqs: Any
    url: str
    arn: str

    def send(self, body: str, **options: Any) -> str:
        """Send a message and return its id."""
        return str(self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **options)["MessageId"])

    def receive(self, hold: int = 30, wait: int = 10) -> dict[str, Any]:
        """Receive one message with all attributes."""
        [message] = self.sqs.receive_message(
            QueueUrl=self.url,
            VisibilityTimeout=hold,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )["Messages"]
        return dict(message)

    def is_empty(self) -> bool:
        """Return whether nothing can be received now."""
        return "Messages" not in self.sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=1 if ON_AWS else 0)

    def allow(self, service: str, source: str) -> None:
        """Let a service send on behalf of a resource."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest) -> Iterator[Aws]:
    """The AWS that is asked."""
    if ON_AWS:
        make: Any = boto3.client  # whose overloads want literals
        aws = Aws(make)
    else:
        world: Testbed = request.getfixturevalue("world")
        aws = Aws(world.cloud.client)
    with aws.undo:
        yield aws


@pytest.fixture
def aws(whole: Aws) -> Aws:
    """The AWS that is asked, for one test."""
    return whole


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """Return the code and the text with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_hold_of_zero_makes_a_message_visible_at_once(aws: Aws) -> None:
    """A message whose visibility is set to 0 is received again at once, and its receive count goes up by one.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
    """
    queue = aws.queue()
    queue.send("a")
    first = queue.receive()
    queue.sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    second = queue.receive()
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in (first, second)] == ["1", "2"]
    assert first["MessageId"] == second["MessageId"]


def test_a_message_that_was_received_too_often_becomes_a_dead_letter(aws: Aws) -> None:
    """SQS moves a message to the dead letters with its id, body, attributes, sending time, count and origin.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """
    queue, dead = aws.pair(most=2)
    colour = {"Colour": {"DataType": "String", "StringValue": "red"}}
    message_id = queue.send("a", MessageAttributes=colour)
    last = [queue.receive(hold=0), queue.receive(hold=0)][-1]
    until(queue.is_empty, state="the queue is empty")
    letter = dead.receive()
    assert (letter["MessageId"], letter["Body"], letter["MessageAttributes"]) == (message_id, "a", colour)
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == queue.arn
    assert letter["Attributes"]["SentTimestamp"] == last["Attributes"]["SentTimestamp"]
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"


def test_a_message_keeps_what_was_sent_with_it(aws: Aws) -> None:
    """A message is received with its text, numeric and binary attributes, its trace header and when it was sent.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """
    queue = aws.queue()
    attributes = {
        "Text": {"DataType": "String", "StringValue": "支付"},
        "Number": {"DataType": "Number", "StringValue": "1.50"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    queue.send("支付 😀", MessageAttributes=attributes, MessageSystemAttributes=header)
    message = queue.receive()
    assert (message["Body"], message["MessageAttributes"]) == ("支付 😀", attributes)
    assert message["Attributes"]["AWSTraceHeader"] == trace
    assert int(message["Attributes"]["SentTimestamp"]) <= int(message["Attributes"]["ApproximateFirstReceiveTimestamp"])


def test_a_long_poll_waits_for_a_delayed_message(aws: Aws) -> None:
    """A delayed message is not received before its time, and a receive that waits gets it.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
    """
    queue = aws.queue()
    queue.send("a", DelaySeconds=1)
    assert queue.is_empty() or ON_AWS
    assert queue.receive(wait=20)["Body"] == "a"


def test_a_batch_of_holds_fails_by_entry(aws: Aws) -> None:
    """In a batch of visibility changes an invalid handle fails alone.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
    """
    queue = aws.queue()
    queue.send("a")
    handles = {"good": queue.receive()["ReceiptHandle"], "bad": "none"}
    entries = [{"Id": name, "ReceiptHandle": handle, "VisibilityTimeout": 0} for name, handle in handles.items()]
    answer = queue.sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [
        ("bad", "ReceiptHandleIsInvalid", True)
    ]


def test_a_batch_of_deletions_fails_by_entry(aws: Aws) -> None:
    """In a batch of deletions an invalid handle fails alone, and the others are deleted.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
    """
    queue = aws.queue()
    queue.send("a")
    handles = {"good": queue.receive(hold=0)["ReceiptHandle"], "bad": "none"}
    entries = [{"Id": name, "ReceiptHandle": handle} for name, handle in handles.items()]
    answer = queue.sqs.delete_message_batch(QueueUrl=queue.url, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [one["Code"] for one in answer["Failed"]] == ["ReceiptHandleIsInvalid"]
    assert queue.is_empty()


def test_a_batch_has_at_most_ten_entries_with_ids_of_their_own(aws: Aws) -> None:
    """A batch of no entry, of eleven, or with an id twice is refused as a whole.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
    """
    queue = aws.queue()

    def send(*ids: str) -> str:
        entries = [{"Id": one, "MessageBody": "a"} for one in ids]
        return refused(queue.sqs.send_message_batch, QueueUrl=queue.url, Entries=entries)[0].rpartition(".")[2]

    assert send() == "EmptyBatchRequest"
    assert send(*map(str, range(11))) == "TooManyEntriesInBatchRequest"
    assert send("1", "1") == "BatchEntryIdsNotDistinct"
    assert queue.is_empty()


def test_a_body_holds_only_characters_of_xml(aws: Aws) -> None:
    """A body with a control character or a lone half of a pair is refused; ten messages at most are received at once.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    queue = aws.queue()
    sent = refused(queue.sqs.send_message, QueueUrl=queue.url, MessageBody="a\x00")
    assert sent[0].rpartition(".")[2] == "InvalidMessageContents"
    received = refused(queue.sqs.receive_message, QueueUrl=queue.url, MaxNumberOfMessages=11)
    assert received[0] in {"InvalidParameterValue", "ReadCountOutOfRange"}


def test_a_queue_that_is_not_there_is_named_so(aws: Aws) -> None:
    """A queue that does not exist is refused with the code that older SDKs know.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html
    """
    code, _ = refused(aws.client("sqs").get_queue_url, QueueName=f"{PREFIX}-none")
    assert code == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(aws.client("sqs").exceptions.QueueDoesNotExist):
        aws.client("sqs").get_queue_url(QueueName=f"{PREFIX}-none")


def test_a_redriven_message_is_a_new_one(aws: Aws) -> None:
    """A move task sends dead letters back as new messages, whose receives are counted from the start.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    """
    queue, dead = aws.pair()
    message_id = queue.send("a")
    queue.receive(hold=0)
    until(queue.is_empty, state="the queue is empty")
    queue.sqs.start_message_move_task(SourceArn=dead.arn)
    back = queue.receive(wait=20)
    assert (back["Body"], back["Attributes"]["ApproximateReceiveCount"]) == ("a", "1")
    assert back["MessageId"] != message_id


def test_a_target_receives_the_whole_event(aws: Aws) -> None:
    """A queue behind a rule receives the event's envelope, whose id is the one that PutEvents answered with.

    https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    """
    bus, queue = aws.bus({"source": [{"prefix": "pos."}]})
    detail = {"mchid": "1230000109", "text": "支付", "number": 1.5}
    event_id = aws.publish(bus, {"Detail": json.dumps(detail), "Resources": ["r"]})["Entries"][0]["EventId"]
    event = json.loads(queue.receive(wait=20)["Body"])
    assert set(event) == {
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    }
    assert (event["id"], event["source"], event["detail-type"]) == (event_id, "pos.mine", "Paid")
    assert (event["version"], event["resources"], event["detail"]) == ("0", ["r"], detail)
    assert event["time"].endswith("Z")


@pytest.mark.parametrize(
    ("pattern", "source", "matches"),
    [
        ({"source": [{"prefix": "pos."}]}, "pos.mine", True),
        ({"source": [{"prefix": "pos."}]}, "POS.mine", False),
        ({"source": [{"anything-but": ["other"]}]}, "pos.mine", True),
        ({"source": [{"anything-but": {"prefix": "pos."}}]}, "pos.mine", False),
        ({"source": ["pos.mine"], "detail-type": [{"prefix": "Order"}]}, "pos.mine", True),
        ({"detail": {"mchid": [{"exists": True}]}}, "pos.mine", True),
        ({"detail": {"mchid": [{"exists": False}]}}, "pos.mine", False),
        ({"detail": {"amount": [{"numeric": [">", 0, "<=", 5]}]}}, "pos.mine", True),
    ],
)
def test_a_pattern_matches_as_documented(aws: Aws, pattern: dict[str, Any], source: str, matches: bool) -> None:
    """Prefix, anything-but, exists and numeric match by value and case.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    event = {
        "id": "1",
        "account": "1",
        "source": source,
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "Order_Paid",
        "detail": {"mchid": "1", "amount": 5},
    }
    answer = aws.client("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
    assert answer["Result"] is matches


def test_events_are_refused_one_by_one(aws: Aws) -> None:
    """In a request to publish, an entry with a broken detail, without a source, or in AWS's name fails alone.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """
    bus, queue = aws.bus({"source": ["pos.mine"]})
    bad: list[dict[str, str]] = [{"Detail": "{"}, {"Source": ""}, {"Source": "aws.mine"}]
    answer = aws.publish(bus, *bad, {"Detail": json.dumps({"good": 1})})
    codes = [one.get("ErrorCode", "") for one in answer["Entries"]]
    assert (answer["FailedEntryCount"], codes) == (
        3,
        ["MalformedDetail", "InvalidArgument", "NotAuthorizedForSourceException", ""],
    )
    assert json.loads(queue.receive(wait=20)["Body"])["detail"] == {"good": 1}
    assert queue.is_empty()


def test_an_event_without_a_rule_is_accepted(aws: Aws) -> None:
    """An event that no rule matches has an id and no error; eleven events at once are refused.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """
    bus, queue = aws.bus({"source": ["other"]})
    answer = aws.publish(bus, {})
    assert (answer["FailedEntryCount"], list(answer["Entries"][0])) == (0, ["EventId"])
    assert queue.is_empty()
    whole = [{"Source": "pos.mine", "DetailType": "Paid", "Detail": "{}"}] * 11
    assert refused(aws.client("events").put_events, Entries=whole)[0] == "ValidationException"


def an_item(pk: str, **attributes: str) -> dict[str, Any]:
    """Return an item as DynamoDB has it; values are texts."""
    return {"pk": {"S": pk}} | {name: {"S": text} for name, text in attributes.items()}


def test_a_failed_condition_returns_the_item(aws: Aws) -> None:
    """A write whose condition is false is refused, with the item as it stands where that is asked for.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    put = {"TableName": table, "Item": an_item("a", status="NEW"), "ConditionExpression": "attribute_not_exists(pk)"}
    dynamodb.put_item(**put)
    with pytest.raises(ClientError) as caught:
        dynamodb.put_item(**put, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert caught.value.response["Item"] == an_item("a", status="NEW")  # type: ignore[typeddict-item]


def test_statements_fail_one_by_one(aws: Aws) -> None:
    """In a batch of statements each that is refused has its own error, and the others are executed.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    dynamodb.put_item(TableName=table, Item=an_item("a", status="NEW"))
    texts = [
        f"INSERT INTO \"{table}\" VALUE {{'pk': 'a'}}",
        f"INSERT INTO \"{table}\" VALUE {{'pk': 'b'}}",
        f"UPDATE \"{table}\" SET status = 'OLD' WHERE pk = 'a' AND status = 'OTHER'",  # noqa: S608  a name of ours
        f"UPDATE \"{table}\" SET status = 'OLD' WHERE pk = 'c'",  # noqa: S608
    ]
    answer = dynamodb.batch_execute_statement(Statements=[{"Statement": text} for text in texts])
    codes = [one.get("Error", {}).get("Code", "") for one in answer["Responses"]]
    assert codes == ["DuplicateItem", "", "ConditionalCheckFailed", "ConditionalCheckFailed"]
    assert "Item" in dynamodb.get_item(TableName=table, Key=an_item("b"), ConsistentRead=True)


def test_a_statement_returns_the_item_that_failed_it(aws: Aws) -> None:
    """A statement of a batch whose condition is false returns the item as it stands where that is asked for.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    dynamodb.put_item(TableName=table, Item=an_item("a", status="NEW"))
    statement = {
        "Statement": f'UPDATE "{table}" SET status = ? WHERE pk = ? AND status = ?',  # noqa: S608
        "Parameters": [{"S": "OLD"}, {"S": "a"}, {"S": "OTHER"}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    [answer] = dynamodb.batch_execute_statement(Statements=[statement])["Responses"]
    assert answer["Error"]["Item"] == an_item("a", status="NEW")


def test_keys_are_read_together_once_each(aws: Aws) -> None:
    """A consistent read of several keys returns the items that exist; a key twice is refused.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    dynamodb.put_item(TableName=table, Item=an_item("a"))

    def request(*keys: str) -> dict[str, Any]:
        return {table: {"Keys": [an_item(key) for key in keys], "ConsistentRead": True}}

    answer = dynamodb.batch_get_item(RequestItems=request("a", "none"))
    assert (answer["Responses"], answer["UnprocessedKeys"]) == ({table: [an_item("a")]}, {})
    code, text = refused(dynamodb.batch_get_item, RequestItems=request("a", "a"))
    assert (code, "duplicates" in text) == ("ValidationException", True)


def test_an_index_holds_only_items_with_its_key(aws: Aws) -> None:
    """An item without the index's key is not in the index, and leaves it when the key is removed.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    dynamodb.put_item(TableName=table, Item=an_item("a", attention="1"))
    dynamodb.put_item(TableName=table, Item=an_item("b"))

    def keys() -> list[str]:
        answer = dynamodb.query(
            TableName=table,
            IndexName="attention",
            KeyConditionExpression="attention = :a",
            ExpressionAttributeValues={":a": {"S": "1"}},
        )
        return [item["pk"]["S"] for item in answer["Items"]]

    until(lambda: keys() == ["a"], state="the item is in the index", instead=keys)
    dynamodb.update_item(TableName=table, Key=an_item("a"), UpdateExpression="REMOVE attention")
    until(lambda: keys() == [], state="the item has left the index", instead=keys)


def test_numbers_keep_their_digits_and_items_their_limit(aws: Aws) -> None:
    """A number of 38 digits is read as it was written; an item above 400 KB is refused.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    number = {"N": "12345678901234567890123456789012345678"}
    dynamodb.put_item(TableName=table, Item=an_item("a") | {"number": number})
    assert dynamodb.get_item(TableName=table, Key=an_item("a"), ConsistentRead=True)["Item"]["number"] == number
    code, text = refused(dynamodb.put_item, TableName=table, Item=an_item("b", text="x" * 410_000))
    assert (code, "size" in text) == ("ValidationException", True)


def test_a_transaction_names_what_failed_it(aws: Aws) -> None:
    """A transaction is executed whole or not at all, and names the reason of each member.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table()
    put = {"TableName": table, "ConditionExpression": "attribute_exists(pk)"}
    members = [{"Put": {"TableName": table, "Item": an_item("a")}}, {"Put": put | {"Item": an_item("b")}}]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=members)
    reasons = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert "Item" not in dynamodb.get_item(TableName=table, Key=an_item("a"), ConsistentRead=True)


def test_a_stream_has_every_change(aws: Aws) -> None:
    """A table's stream has each change with the item before and after it, statements of PartiQL included.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
    """
    dynamodb, table = aws.client("dynamodb"), aws.table(stream="NEW_AND_OLD_IMAGES")
    statement = f"INSERT INTO \"{table}\" VALUE {{'pk': 'a'}}"
    dynamodb.batch_execute_statement(Statements=[{"Statement": statement}])
    dynamodb.put_item(TableName=table, Item=an_item("a", status="NEW"))
    dynamodb.put_item(TableName=table, Item=an_item("a", status="NEW"))  # changes nothing
    dynamodb.delete_item(TableName=table, Key=an_item("a"))
    streams, arn = aws.client("dynamodbstreams"), dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    changes: list[tuple[str, Any, Any]] = []

    def are_read() -> bool:
        nonlocal iterator
        answer = streams.get_records(ShardIterator=iterator)
        iterator = answer["NextShardIterator"]
        for record in answer["Records"]:
            change = record["dynamodb"]
            changes.append((record["eventName"], change.get("OldImage"), change.get("NewImage")))
        return len(changes) >= 3

    until(are_read, state="three changes", instead=lambda: changes)
    new = an_item("a", status="NEW")
    assert changes == [("INSERT", None, an_item("a")), ("MODIFY", an_item("a"), new), ("REMOVE", new, None)]


def test_a_secret_that_is_not_there_is_named_so(aws: Aws) -> None:
    """A secret that does not exist is refused with ResourceNotFoundException.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    """
    code, text = refused(aws.client("secretsmanager").get_secret_value, SecretId=f"{PREFIX}-none")
    assert (code, "can't find" in text) == ("ResourceNotFoundException", True)


def test_a_new_value_of_a_secret_keeps_the_former_one(aws: Aws) -> None:
    """A new value is the current one, and the value before it can be read as the previous one.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    secrets, name = aws.client("secretsmanager"), aws.name()
    secrets.create_secret(Name=name, SecretString="one")
    aws.undo.callback(secrets.delete_secret, SecretId=name, ForceDeleteWithoutRecovery=True)
    secrets.put_secret_value(SecretId=name, SecretString="two")
    stages = {stage: secrets.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"] for stage in STAGES}
    assert stages == {"AWSCURRENT": "two", "AWSPREVIOUS": "one"}
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "two"


STAGES = ("AWSCURRENT", "AWSPREVIOUS")


def test_log_events_are_read_in_order(aws: Aws) -> None:
    """Log events are read in the order of their times; a group that does not exist is named so.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    logs, name = aws.client("logs"), aws.name()
    logs.create_log_group(logGroupName=name)
    aws.undo.callback(logs.delete_log_group, logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    now = int(uuid.uuid1().time / 10_000) - 12_219_292_800_000  # milliseconds since 1970
    lines = [{"timestamp": now + number, "message": f"line {number}"} for number in range(3)]
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=lines)

    def read() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName=name)["events"]]

    until(lambda: len(read()) == 3, state="three log events", instead=read)
    assert read() == ["line 0", "line 1", "line 2"]
    code, _ = refused(logs.filter_log_events, logGroupName=f"{PREFIX}-none")
    assert code == "ResourceNotFoundException"


CODE = """
import json, os
import boto3

SQS = boto3.client("sqs")


def handler(event, context):
    for record in event["Records"]:
        SQS.send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps(record))
        if record["body"] != "good":
            url, handle = os.environ["SOURCE"], record["receiptHandle"]
            SQS.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    bodies = {record["messageId"]: record["body"] for record in event["Records"]}
    if "raise" in bodies.values():
        raise ValueError("on purpose")
    return {"batchItemFailures": [{"itemIdentifier": one} for one, body in bodies.items() if body == "fail"]}
"""


STREAM_CODE = """
import json, os
import boto3

SQS = boto3.client("sqs")


def handler(event, context):
    for record in event["Records"]:
        SQS.send_message(QueueUrl=os.environ["SEEN"], MessageBody=record["dynamodb"]["Keys"]["pk"]["S"])
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": numbers[-1]}]}
"""


@needs_role
def test_a_record_of_a_stream_that_failed_comes_again(aws: Aws) -> None:
    """A function that names a record of a stream's batch as failed is invoked with it again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    reports, table = aws.queue(), aws.table(stream="NEW_IMAGE")
    name = aws.function(STREAM_CODE, {"SEEN": reports.url})
    functions, dynamodb = aws.client("lambda"), aws.client("dynamodb")
    uuid_ = functions.create_event_source_mapping(
        EventSourceArn=dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"],
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )["UUID"]
    aws.undo.callback(functions.delete_event_source_mapping, UUID=uuid_)
    dynamodb.put_item(TableName=table, Item=an_item("a"))
    keys: list[str] = []

    def is_seen_twice() -> bool:
        messages = reports.sqs.receive_message(QueueUrl=reports.url).get("Messages", [])
        keys.extend(message["Body"] for message in messages)
        for message in messages:
            reports.sqs.delete_message(QueueUrl=reports.url, ReceiptHandle=message["ReceiptHandle"])
        return keys.count("a") >= 2

    until(is_seen_twice, state="the record comes again", instead=lambda: keys)


@dataclass(frozen=True)
class Mapping:
    """A queue that a function reads, and the queue to which it reports what it saw."""

    queue: AQueue
    dead: AQueue
    reports: AQueue

    def record(self) -> dict[str, Any]:
        """Return the next record that the function saw."""
        report = self.reports.receive(wait=20)
        with suppress(ClientError):
            self.reports.sqs.delete_message(QueueUrl=self.reports.url, ReceiptHandle=report["ReceiptHandle"])
        return dict(json.loads(report["Body"]))


@pytest.fixture(scope="module")
def mapping(whole: Aws) -> Mapping:
    """A function behind a queue, with ReportBatchItemFailures; a message is received twice at most."""
    reports, dead = whole.queue(), whole.queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue = whole.queue(RedrivePolicy=policy, VisibilityTimeout="180")
    name = whole.function(CODE, {"SEEN": reports.url, "SOURCE": queue.url})
    functions = whole.client("lambda")
    uuid_ = functions.create_event_source_mapping(
        EventSourceArn=queue.arn,
        FunctionName=name,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
    )["UUID"]
    whole.undo.callback(functions.delete_event_source_mapping, UUID=uuid_)
    return Mapping(queue, dead, reports)


@needs_role
def test_a_record_has_what_the_message_has(mapping: Mapping) -> None:
    """A function receives each message as a record in small letters, attributes as texts, bytes in base64.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    attributes = {"Text": {"DataType": "String", "StringValue": "支付"}}
    message_id = mapping.queue.send("good", MessageAttributes=attributes)
    record = mapping.record()
    assert record["messageId"] == message_id
    assert (record["body"], record["eventSource"], record["eventSourceARN"]) == ("good", "aws:sqs", mapping.queue.arn)
    assert set(record) >= {"receiptHandle", "attributes", "messageAttributes", "md5OfBody", "awsRegion"}
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {type(value) for value in record["attributes"].values()} == {str}
    assert set(record["attributes"]) >= {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"}
    text = record["messageAttributes"]["Text"]
    assert (text["stringValue"], text["dataType"]) == ("支付", "String")


@needs_role
def test_only_the_records_that_are_reported_stay(mapping: Mapping) -> None:
    """Of a batch the records that the function reports are received again, then become dead letters; the rest is gone.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    entries = [{"Id": body, "MessageBody": body} for body in ("good", "fail")]
    mapping.queue.sqs.send_message_batch(QueueUrl=mapping.queue.url, Entries=entries)
    records = [mapping.record() for _ in range(3)]
    assert sorted(record["body"] for record in records) == ["fail", "fail", "good"]
    fails = [record for record in records if record["body"] == "fail"]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in fails] == ["1", "2"]
    letter = mapping.dead.receive(wait=20)
    assert (letter["Body"], letter["MessageId"]) == ("fail", fails[0]["messageId"])
    mapping.dead.sqs.delete_message(QueueUrl=mapping.dead.url, ReceiptHandle=letter["ReceiptHandle"])


@needs_role
def test_a_function_that_raises_keeps_its_batch(mapping: Mapping) -> None:
    """A message whose invocation raises stays, is received again, and becomes a dead letter.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    message_id = mapping.queue.send("raise")
    counts = [mapping.record()["attributes"]["ApproximateReceiveCount"] for _ in range(2)]
    assert counts == ["1", "2"]
    assert mapping.dead.receive(wait=20)["MessageId"] == message_id


def test_every_behaviour_names_its_page() -> None:
    """Each test of this file cites a page of AWS."""
    behaviours = {name: value for name, value in globals().items() if name.startswith("test_")}
    behaviours.pop("test_every_behaviour_names_its_page")
    assert [name for name, test in behaviours.items() if "https://docs.aws.amazon.com/" not in test.__doc__] == []
    assert len(behaviours) >= 25
