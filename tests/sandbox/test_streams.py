"""The stream of a table in the embedded AWS: every kind of write is in it, as on AWS."""

from collections.abc import Iterator

import pytest

from sandbox.journal import Journal
from sandbox.testbed import Testbed

TABLE = "streamed"


@pytest.fixture
def table(world: Testbed) -> Iterator[str]:
    """A table with a stream."""
    dynamodb = world.cloud.client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    yield TABLE
    dynamodb.delete_table(TableName=TABLE)


def test_every_kind_of_write_is_in_the_stream(world: Testbed, table: str) -> None:
    """Statements of PartiQL and transactions are in the stream as PutItem is, in order; those that failed are not."""
    dynamodb, journal = world.cloud.client("dynamodb"), Journal(world.cloud.endpoint_url)
    before = max((entry.n for entry in journal.entries()), default=0)

    def batch(*statements: str) -> None:
        answer = dynamodb.batch_execute_statement(Statements=[{"Statement": text} for text in statements])
        assert not [one["Error"] for one in answer["Responses"] if "Error" in one]

    batch("INSERT INTO streamed VALUE {'pk': 'B1', 'n': 1}", "UPDATE streamed SET n = 2 WHERE pk = 'B1'")
    transaction = [{"Statement": "INSERT INTO streamed VALUE {'pk': 'B2', 'n': 1}"}]
    dynamodb.execute_transaction(TransactStatements=transaction)
    fails = [{"Statement": "INSERT INTO streamed VALUE {'pk': 'B3', 'n': 1}"}, *transaction]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.execute_transaction(TransactStatements=fails)
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": {"pk": {"S": "B4"}}}}])
    update = {"UpdateExpression": "SET price = :p", "ExpressionAttributeValues": {":p": {"N": "1"}}}
    dynamodb.update_item(TableName=table, Key={"pk": {"S": "B4"}}, **update)
    batch("DELETE FROM streamed WHERE pk = 'B1'")
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "B2"}})
    records = [entry.fields for entry in journal.entries(before) if entry.kind == "stream_record"]
    mine = [record for record in records if record["table"] == table]
    assert [(record["event_name"], record["keys"]["pk"]["S"]) for record in mine] == [  # type: ignore[index]
        ("INSERT", "B1"),
        ("MODIFY", "B1"),
        ("INSERT", "B2"),
        ("INSERT", "B4"),
        ("MODIFY", "B4"),
        ("REMOVE", "B1"),
        ("REMOVE", "B2"),
    ]
