"""The orders table: what is written comes back, and nobody overwrites what he has not read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orders.errors import TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Attempt, Order, Outcome, Payment, Refusal, Reporter, Status, instant, record
from orders.table import OrdersTable, item_of, order_of
from sandbox import dynamodb_local
from sandbox.cloud import Cloud

NOW = instant(1_767_240_000)


@pytest.fixture(scope="module", params=["ministack", "dynamodb-local"])
def dynamodb(request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[Any]:
    """A client of the embedded AWS, and of Amazon's own DynamoDB Local: the same tests for both."""
    with ExitStack() as stack:
        if request.param == "ministack":
            url = cloud.endpoint_url
        elif lacking := dynamodb_local.missing():
            pytest.skip(lacking)
        else:
            url = stack.enter_context(dynamodb_local.running())
        client = cloud.session.client("dynamodb", endpoint_url=url)
        client.create_table(
            TableName="table-tests",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "attention", "updated_at")
            ],
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
        yield client
        client.delete_table(TableName="table-tests")


@pytest.fixture
def table(dynamodb: Any) -> OrdersTable:
    """The table, as the function sees it."""
    return OrdersTable(dynamodb, "table-tests")


def an_order(number: str, **facts: Any) -> Order:
    """An order with every attribute set."""
    order = Order(
        mchid="1230000109",
        out_order_no=number,
        status=Status.RETRYING,
        paid_time="20260101120000",
        version=1,
        created_at=NOW,
        updated_at=NOW,
        reason="DEDUCTING",
        appid="wx1",
        service_id="500001",
        endpoint="partner",
        sub_mchid="1900000109",
        channel_id="c1",
        event_id="e1",
        message_id="m1",
        source="pos.till",
        attempts=3,
        history=(Attempt(NOW, "m1", "RETRYING", "DEDUCTING", "08F5-0", 41), Attempt(NOW, "m1", "UNKNOWN")),
        state="DOING",
        state_description="MCH_COMPLETE",
        collection_state="USER_PAYING",
        paid_type="MCH",
        transaction_id="4200",
        wechat={"state": "DOING", "total_amount": 3900, "rate": 0.5, "list": [{"a": True, "b": ""}], "none": None},
        last_error=Refusal("INVALID_REQUEST", "单据正在扣款中，请稍后再试", 400, "08F5-271316754"),
        synced_at=NOW,
    )
    return replace(order, **facts)


def test_an_order_comes_back_as_it_was_written(table: OrdersTable) -> None:
    """Every attribute, the whole answer of WeChat Pay included; money stays an integer."""
    order = an_order("T1")
    assert all(getattr(order, field.name) not in (None, "", ()) for field in fields(order))
    table.save(order)
    assert table.load([order.key]) == {order.key: order}


def test_a_batch_is_read_at_once_and_missing_orders_are_missing(table: OrdersTable) -> None:
    """More than a hundred keys, doubles among them, as well."""
    orders = [an_order(f"B{number}") for number in range(3)]
    for order in orders:
        table.save(order)
    keys = [order.key for order in orders]
    absent = [f"1230000109#absent-{number}" for number in range(120)]
    assert table.load(keys + absent + keys) == {order.key: order for order in orders}
    assert table.load([]) == {}


def test_an_order_is_created_once(table: OrdersTable) -> None:
    """The second who creates it has not seen the first."""
    table.save(an_order("C1"))
    with pytest.raises(VersionConflictError):
        table.save(an_order("C1"))


def test_a_settled_order_costs_one_unit_of_each_kind(table: OrdersTable, dynamodb: Any) -> None:
    """To look and to write, where WeChat Pay's answer has some 400 bytes; DynamoDB counts each KB that is begun."""
    part = {"seq": 1, "amount": 40_000, "paid_type": "MCH", "paid_time": "20260101120000"}
    collected = {"state": "USER_PAID", "total_amount": 40_000, "paying_amount": 0, "paid_amount": 40_000}
    known = {"mchid": "1230000109", "appid": "wxd678efh567hg6787", "service_id": "500001", "state": "DONE"}
    answer = {**known, "order_id": "1" * 20, "openid": "o" * 28, "collection": {**collected, "details": [part]}}
    payment = Payment("1230000109", "1234323JKHDFE1243252", "20260101120000", "wxd678efh567hg6787", "500001", "direct")
    facts: dict[str, Any] = {"state": "DONE", "collection_state": "USER_PAID", "paid_type": "MCH"}
    outcome = Outcome(Status.SYNCED, payment, answer=answer, request_id="R" * 46, latency_ms=52, **facts)
    order = record(None, outcome, [Reporter("m" * 36, "e" * 36, "pos.payments")], 1_767_240_000)
    assert order is not None
    # PutItem and GetItem of the same item: neither double tells the units of a batch, which costs the same.
    key: Any = {"TableName": "table-tests", "Key": {"pk": {"S": order.key}}, "ConsistentRead": True}
    written = dynamodb.put_item(TableName="table-tests", Item=item_of(order), ReturnConsumedCapacity="TOTAL")
    asked = dynamodb.get_item(**key, ReturnConsumedCapacity="TOTAL")
    assert [said["ConsumedCapacity"]["CapacityUnits"] for said in (written, asked)] == [1.0, 1.0]


def test_orders_that_are_created_together_fail_one_by_one(table: OrdersTable) -> None:
    """Sixty of them, more than one call takes; those that somebody has written before keep what he wrote."""
    orders = [an_order(f"G{number}") for number in range(60)]
    taken = [replace(orders[number], message_id="earlier") for number in (3, 30, 59)]
    assert table.create(taken) == {}
    failed = table.create(orders)
    assert {key: type(error) for key, error in failed.items()} == dict.fromkeys(
        (order.key for order in taken), VersionConflictError
    )
    written = {order.key: order for order in orders} | {order.key: order for order in taken}
    assert table.load(written) == written


def test_statements_that_dynamodb_is_too_busy_for_are_tried_again() -> None:
    """boto3 tries a refused call again, but not a refused statement: three times, and only what was refused."""
    orders = [an_order(f"S{number}") for number in range(3)]

    class Busy:
        """A DynamoDB that takes a statement the second time it sees it, and one of them never."""

        def __init__(self) -> None:
            self.seen: list[list[str]] = []

        def batch_execute_statement(self, **given: Any) -> Any:
            """Refuse what is new, and S2 always."""
            numbers = [statement["Parameters"][2]["S"] for statement in given["Statements"]]
            before = [number for batch in self.seen for number in batch]
            self.seen.append(numbers)
            refused = {"Error": {"Code": "ThrottlingError", "Message": "slow down"}}
            return {"Responses": [{} if n in before and n != "S2" else refused for n in numbers]}

    busy = Busy()
    failed = OrdersTable(busy, "orders").create(orders)  # type: ignore[arg-type]
    assert busy.seen == [["S0", "S1", "S2"], ["S0", "S1", "S2"], ["S2"]]
    assert [(key, str(error)) for key, error in failed.items()] == [
        (orders[2].key, "DynamoDB write failed: ThrottlingError")
    ]


def test_a_call_that_is_refused_later_hides_no_failure_before_it() -> None:
    """One was written by somebody else, two met a busy DynamoDB; of these one can be written and one never."""
    orders = [an_order(f"P{number}") for number in range(3)]

    class Fickle:
        """A DynamoDB that refuses the second call whole, and one order whatever it comes with."""

        def __init__(self) -> None:
            self.calls = 0

        def batch_execute_statement(self, **given: Any) -> Any:
            """Answer by number of the call."""
            self.calls += 1
            refused = ClientError({"Error": {"Code": "ValidationException"}}, "BatchExecuteStatement")
            if self.calls == 1:
                return {
                    "Responses": [{"Error": {"Code": code}} for code in ("DuplicateItem", *["ThrottlingError"] * 2)]
                }
            if len(given["Statements"]) > 1 or given["Statements"][0]["Parameters"][2]["S"] == "P2":
                raise refused
            return {"Responses": [{}]}

    failed = OrdersTable(Fickle(), "orders").create(orders)  # type: ignore[arg-type]
    assert {key: type(error) for key, error in failed.items()} == {
        orders[0].key: VersionConflictError,
        orders[2].key: TableUnavailableError,
    }


def test_an_order_is_written_on_top_of_what_was_read(table: OrdersTable) -> None:
    """The next version and no other."""
    order = an_order("V1")
    table.save(order)
    table.save(replace(order, version=2, status=Status.SYNCED))
    for stale in (2, 4):
        with pytest.raises(VersionConflictError):
            table.save(replace(order, version=stale))
    assert table.load([order.key])[order.key].status is Status.SYNCED


def test_of_two_who_race_exactly_one_writes(table: OrdersTable) -> None:
    """However many there are, and whatever version they read."""
    for version in (1, 2, 3):
        order = an_order("R1", version=version)

        def write(order: Order = order) -> bool:
            try:
                table.save(order)
            except VersionConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda _: write(), range(8))) == 1


def test_the_attention_index_is_sorted_by_time(table: OrdersTable, dynamodb: Any) -> None:
    """Newest last; an order that is settled leaves it."""
    for number, at in (("I2", 2), ("I1", 1), ("I3", 3)):
        table.save(an_order(number, status=Status.REJECTED, updated_at=instant(1_767_240_000 + at)))
    table.save(an_order("I1", status=Status.SYNCED, version=2))
    found = dynamodb.query(
        TableName="table-tests",
        IndexName="attention",
        KeyConditionExpression="attention = :status",
        ExpressionAttributeValues={":status": {"S": "REJECTED"}},
    )["Items"]
    assert [item["out_order_no"]["S"] for item in found] == ["I2", "I3"]


@pytest.mark.parametrize("number", [10**38 - 1, -(10**38) + 1, 10**38, 0, -1])
def test_a_number_is_kept_to_the_last_digit(table: OrdersTable, number: int) -> None:
    """DynamoDB has 38 digits; what is longer is kept as text."""
    order = an_order(f"N{number}", wechat={"n": number})
    table.save(order)
    kept = table.load([order.key])[order.key].wechat
    assert kept is not None
    assert str(kept["n"]) == str(number)


def test_an_item_that_is_too_long_is_refused(table: OrdersTable) -> None:
    """400 KB is DynamoDB's limit; nothing is permanent by it, and its neighbours are written."""
    orders = [an_order("L1"), an_order("L2", wechat={"attach": "x" * 410_000}), an_order("L3")]
    failed = table.create(orders)
    assert failed.keys() == {orders[1].key}
    with pytest.raises(TableUnavailableError, match="Validation"):
        raise failed[orders[1].key]
    assert table.load([order.key for order in orders]).keys() == {orders[0].key, orders[2].key}


def test_keys_that_dynamodb_leaves_unprocessed_are_asked_for_again() -> None:
    """Three times; then the messages wait."""
    order = an_order("U1")
    left = {"orders": {"Keys": [{"pk": {"S": order.key}}]}}

    class Busy:
        """A DynamoDB under load: it answers the second question, or none."""

        def __init__(self, answers_at: int) -> None:
            self.answers_at, self.asked = answers_at, 0

        def batch_get_item(self, **_: Any) -> Any:
            """Leave the key, until it is time."""
            self.asked += 1
            if self.asked < self.answers_at:
                return {"Responses": {}, "UnprocessedKeys": left}
            return {"Responses": {"orders": [item_of(order)]}, "UnprocessedKeys": {}}

    assert OrdersTable(Busy(2), "orders").load([order.key]) == {order.key: order}  # type: ignore[arg-type]
    with pytest.raises(TableUnavailableError, match="UnprocessedKeys"):
        OrdersTable(Busy(4), "orders").load([order.key])  # type: ignore[arg-type]


def test_a_table_that_does_not_answer_is_named(dynamodb: Any) -> None:
    """With DynamoDB's own code."""
    table = OrdersTable(dynamodb, "no-such-table")
    with pytest.raises(TableUnavailableError, match="ResourceNotFoundException"):
        table.load(["1#2"])
    for version, code in ((1, "ResourceNotFound"), (2, "ResourceNotFoundException")):  # a statement's, and a call's
        with pytest.raises(TableUnavailableError, match=f"{code}$"):
            table.save(an_order("X1", version=version))


@pytest.mark.parametrize("status", Status)
def test_the_attention_index_is_sparse(status: Status) -> None:
    """Only orders that somebody should look at carry the attribute."""
    item = item_of(an_order("A1", status=status))
    expected = {"S": status.value} if status in {Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT} else None
    assert item.get("attention") == expected


def test_attributes_of_a_later_version_are_left_alone() -> None:
    """An older function reads a newer item."""
    order = an_order("L1")
    assert order_of(item_of(order) | {"refunded_at": {"S": NOW}}) == order


def test_members_of_a_later_version_are_left_alone_in_nested_records() -> None:
    """In the history and in the last error."""
    order = an_order("L2", history=(Attempt(NOW, "m1", "RETRYING"),), last_error=Refusal("X", "y"))
    item = item_of(order)
    item["history"]["L"][0]["M"]["reason"] = {"S": "later"}
    item["last_error"]["M"]["issue"] = {"S": "later"}
    assert order_of(item) == order


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"status": {"S": "REFUNDED\x1b"}}, "REFUNDED"),
        ({"status": ...}, "status is missing"),
        ({"status": {"N": "1"}}, "1 is not a valid Status"),
        ({"mchid": ...}, "missing"),
        ({"version": {"S": "one"}}, "version is of another type"),
        ({"paid_time": {"N": "20260101"}}, "paid_time is of another type"),
        ({"history": {"S": "x"}}, ""),
        ({"history": {"L": [{"S": "x"}]}}, ""),
        ({"history": {"L": [{"M": {"at": {"S": "x"}}}]}}, "missing"),
        ({"last_error": {"S": "x"}}, ""),
        ({"updated_at": {"NULL": True}}, "updated_at is of another type"),
    ],
)
def test_an_item_that_cannot_be_read_is_named(changes: dict[str, Any], problem: str) -> None:
    """By its key and its problem; nothing else is raised."""
    order = an_order("L3")
    item = {name: value for name, value in (item_of(order) | changes).items() if value is not ...}
    with pytest.raises(UnreadableItemError) as caught:
        order_of(item)
    assert caught.value.key == order.key
    assert problem in caught.value.problem
    assert caught.value.problem.isprintable()
