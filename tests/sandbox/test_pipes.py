"""A table's stream and a pipe from it to an event bus, which the embedded AWS runs as AWS does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws_front.pipe_records import at_path, used_up
from sandbox.journal import Journal
from sandbox.testbed import Testbed
from sandbox.waiting import until

TEMPLATE = """
Parameters: {}
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: piped
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: piped}}
  Outcomes: {Type: AWS::SQS::Queue, Properties: {QueueName: piped-outcomes}}
  Undelivered: {Type: AWS::SQS::Queue, Properties: {QueueName: piped-undelivered}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      Name: piped
      EventBusName: !Ref Bus
      EventPattern: {source: [{prefix: "orders"}]}
      Targets: [{Id: "1", Arn: !GetAtt Outcomes.Arn}]
  Pipe:
    Type: AWS::Pipes::Pipe
    Properties:
      Name: piped
      RoleArn: arn:aws:iam::000000000000:role/piped
      Source: !GetAtt Table.StreamArn
      SourceParameters:
        FilterCriteria:
          Filters:
            - Pattern: >-
                {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"status": {"S": [{"prefix": "S"}]}}}}
        DynamoDBStreamParameters:
          StartingPosition: TRIM_HORIZON
          MaximumRetryAttempts: 1
          DeadLetterConfig: {Arn: !GetAtt Undelivered.Arn}
      Target: !GetAtt Bus.Arn
      TargetParameters:
        EventBridgeEventBusParameters: {Source: orders, DetailType: $.dynamodb.NewImage.type.S}
        InputTemplate: >-
          {"order": <$.dynamodb.Keys.pk.S>, "text": "it is <$.dynamodb.NewImage.status.S>",
          "keys": <$.dynamodb.Keys>, "by": <aws.pipes.pipe-name>, "gone": <$.dynamodb.NewImage.none.S>}
"""


class Piped:
    """The stack of the template."""

    def __init__(self, world: Testbed) -> None:
        self.dynamodb, self.sqs, self.events = map(world.cloud.client, ("dynamodb", "sqs", "events"))

    def put(self, pk: str, status: str = "SYNCED", kind: str = "Outcome") -> None:
        """Write an item by PutItem."""
        item = {"pk": {"S": pk}, "status": {"S": status}, "type": {"S": kind}}
        self.dynamodb.put_item(TableName="piped", Item=item)

    def batch(self, *statements: str) -> None:
        """Execute statements of PartiQL as one batch."""
        answer = self.dynamodb.batch_execute_statement(Statements=[{"Statement": text} for text in statements])
        assert not [one["Error"] for one in answer["Responses"] if "Error" in one]

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Receive and delete what is in a queue."""
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def create_bus(self) -> None:
        """Create the bus with its rule again."""
        self.events.create_event_bus(Name="piped")
        pattern = json.dumps({"source": [{"prefix": "orders"}]})
        self.events.put_rule(Name="piped", EventBusName="piped", EventPattern=pattern)
        arn = "arn:aws:sqs:us-east-1:000000000000:piped-outcomes"
        self.events.put_targets(Rule="piped", EventBusName="piped", Targets=[{"Id": "1", "Arn": arn}])

    def outcomes(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many outcomes, and return them."""
        events: list[dict[str, Any]] = []

        def are_there() -> bool:
            events.extend(self.receive("piped-outcomes"))
            return len(events) >= count

        until(are_there, state=f"{count} outcomes", instead=lambda: events)
        return events


@pytest.fixture(scope="module")
def piped(world: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Piped]:
    """The small template, deployed next to the real one."""
    build: Path = tmp_path_factory.mktemp("piped")
    (build / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    world.cloud.deploy({}, build, name="piped")
    yield Piped(world)
    world.cloud.client("cloudformation").delete_stack(StackName="piped")


def test_a_change_becomes_an_event(piped: Piped) -> None:
    """A change that passes the filter is published, transformed by the template; others are not."""
    piped.put("filtered out", status="RETRYING")
    piped.put("A1", kind="Outcome_Recorded")
    [event] = piped.outcomes(1)
    assert (event["source"], event["detail-type"]) == ("orders", "Outcome_Recorded")
    assert event["detail"] == {
        "order": "A1",
        "text": "it is SYNCED",
        "keys": {"pk": {"S": "A1"}},
        "by": "piped",
        "gone": "",
    }


def test_every_kind_of_write_is_in_the_stream(world: Testbed, piped: Piped) -> None:
    """Statements of PartiQL and transactions are in the stream as PutItem is, in order; those that failed are not."""
    journal = Journal(world.cloud.endpoint_url)
    before = max((entry.n for entry in journal.entries()), default=0)
    status = "'status': 'SYNCED', 'type': 'X'"
    piped.batch(
        f"INSERT INTO \"piped\" VALUE {{'pk': 'B1', {status}}}", "UPDATE \"piped\" SET type = 'Y' WHERE pk = 'B1'"
    )
    transaction = [{"Statement": f"INSERT INTO \"piped\" VALUE {{'pk': 'B2', {status}}}"}]
    piped.dynamodb.execute_transaction(TransactStatements=transaction)
    fails = [{"Statement": f"INSERT INTO \"piped\" VALUE {{'pk': 'B3', {status}}}"}, *transaction]
    with pytest.raises(piped.dynamodb.exceptions.TransactionCanceledException):
        piped.dynamodb.execute_transaction(TransactStatements=fails)
    put = {"TableName": "piped", "Item": {"pk": {"S": "B4"}, "status": {"S": "SYNCED"}}}
    piped.dynamodb.transact_write_items(TransactItems=[{"Put": put}])
    update = {"UpdateExpression": "SET price = :p", "ExpressionAttributeValues": {":p": {"N": "1"}}}
    piped.dynamodb.update_item(TableName="piped", Key={"pk": {"S": "B4"}}, **update)
    piped.batch("DELETE FROM \"piped\" WHERE pk = 'B1'")
    piped.dynamodb.delete_item(TableName="piped", Key={"pk": {"S": "B2"}})
    records = [entry.fields for entry in journal.entries(before) if entry.kind == "stream_record"]
    assert [(record["event_name"], record["keys"]["pk"]["S"]) for record in records] == [  # type: ignore[index]
        ("INSERT", "B1"),
        ("MODIFY", "B1"),
        ("INSERT", "B2"),
        ("INSERT", "B4"),
        ("MODIFY", "B4"),
        ("REMOVE", "B1"),
        ("REMOVE", "B2"),
    ]
    outcomes = [(event["detail"]["order"], event["detail-type"]) for event in piped.outcomes(5)]
    assert outcomes == [
        ("B1", "X"),
        ("B1", "Y"),
        ("B2", "X"),
        ("B4", "Event from aws:dynamodb"),
        ("B4", "Event from aws:dynamodb"),
    ]


def test_a_record_that_cannot_be_published_is_reported(world: Testbed, piped: Piped) -> None:
    """A record that uses up its attempts is reported with its place in the stream, and the next one goes on."""
    [pipe] = world.cloud.client("pipes").list_pipes(NamePrefix="piped")["Pipes"]
    piped.events.delete_event_bus(Name="piped")
    piped.put("C1")
    letters: list[dict[str, Any]] = []

    def is_reported() -> bool:
        letters.extend(piped.receive("piped-undelivered"))
        return bool(letters)

    until(is_reported, state="a report in the dead-letter queue")
    piped.create_bus()
    piped.put("C2", kind="")
    assert [event["detail"]["order"] for event in piped.outcomes(1)] == ["C2"]
    [letter] = letters
    assert letter["context"] == {"partnerResourceArn": pipe["Arn"], "condition": "RetryAttemptsExhausted"}
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
    assert letter["DDBStreamBatchInfo"]["streamArn"] == pipe["Source"]


def test_an_outage_loses_nothing_where_attempts_have_no_end(world: Testbed, piped: Piped, tmp_path: Path) -> None:
    """Without a limit of attempts, records that an outage of the bus holds up are published in order at its end."""
    template = TEMPLATE.replace("MaximumRetryAttempts: 1", "MaximumRetryAttempts: -1")
    (tmp_path / "template.yaml").write_text(template, encoding="utf-8")
    world.cloud.deploy({}, tmp_path, name="piped")
    piped.events.delete_event_bus(Name="piped")
    for number in range(3):
        piped.put(f"D{number}")
    piped.create_bus()
    assert [event["detail"]["order"] for event in piped.outcomes(3)] == ["D0", "D1", "D2"]


def test_a_record_is_given_up_by_attempts_or_age() -> None:
    """A record is tried without end by default, and given up after its attempts or at its age."""
    record = {"dynamodb": {"ApproximateCreationDateTime": 0}}
    assert used_up({}, 1000, record) == ""
    assert used_up({"MaximumRetryAttempts": 2}, 2, record) == ""
    assert used_up({"MaximumRetryAttempts": 2}, 3, record) == "RetryAttemptsExhausted"
    assert used_up({"MaximumRecordAgeInSeconds": 60}, 1, record) == "RecordAgeExceeded"


def test_a_path_reads_lists_and_misses_softly() -> None:
    """A path reads members and elements; a constant is itself, and what is not there is empty."""
    record = {"a": {"b": [{"c": "x"}]}}
    assert at_path("$.a.b[0].c", record) == "x"
    assert at_path("$.a.b[1].c", record) == ""
    assert at_path("$.a.c.d", record) == ""
    assert at_path("constant", record) == "constant"
    assert at_path(None, record) == ""
