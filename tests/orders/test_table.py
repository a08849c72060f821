"""The orders table: a written order is read unchanged, and no write replaces a version that it has not read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orders.errors import TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.items import item_of, order_of
from orders.order import Attempt, Facts, Order, Outcome, Payment, Receipt, Refusal, Reporter, Status, instant
from orders.rules import record
from orders.table import OrdersTable
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
    """The table, over both doubles of DynamoDB."""
    return OrdersTable(dynamodb, "table-tests")


PAYMENT = Payment("1230000109", "", "20260101120000", "wx1", "500001", "partner", "1900000109", "c1", 1, 0)
ANSWER = {"state": "DOING", "total_amount": 3900, "rate": 0.5, "list": [{"a": True, "b": ""}], "none": None}


def an_order(number: str, *, answer: Any = ANSWER, **changes: Any) -> Order:
    """An order with every attribute set."""
    order = Order(
        replace(PAYMENT, out_order_no=number),
        Facts(answer, "DOING", "MCH_COMPLETE", "USER_PAYING", "MCH", "4200"),
        Status.RETRYING,
        version=1,
        created_at=NOW,
        updated_at=NOW,
        reason="DEDUCTING",
        event_id="e1",
        message_id="m1",
        source="pos.till",
        attempts=3,
        history=(
            Attempt(NOW, "m1", "RETRYING", "DEDUCTING", "INVALID_REQUEST", "08F5-0", 41),
            Attempt(NOW, "m1", "UNKNOWN"),
        ),
        outcome_unknown=True,
        messages={"m1": Receipt(2, retried="ORDER_NOT_EXIST"), "m2": Receipt(1, rejected=True)},
        rejected_at=NOW,
        last_error=Refusal("INVALID_REQUEST", "单据正在扣款中，请稍后再试", "f", "body", "i", 400, "08F5-271316754"),
        synced_at=NOW,
    )
    return replace(order, **changes)


def loaded(table: OrdersTable, key: str) -> Order:
    """The order of this key; fails if it cannot be read."""
    order = table.load([key])[key]
    assert isinstance(order, Order)
    return order


def test_an_order_is_read_as_it_was_written(table: OrdersTable) -> None:
    """Every attribute is read as it was written, WeChat Pay's whole answer included."""
    order = an_order("T1")
    for one, empty in ((order, {"rest", "expires_at"}), (order.payment, set()), (order.facts, {"omitted"})):
        assert one is not None
        values = one._asdict()
        assert {name for name, value in values.items() if value in (None, "", (), {})} == empty
    table.save(order)
    assert table.load([order.key]) == {order.key: order}


def test_a_batch_is_read_in_few_calls(table: OrdersTable) -> None:
    """More than a hundred keys are read, repeated ones once; an order without an item is left out."""
    orders = [an_order(f"B{number}") for number in range(3)]
    for order in orders:
        table.save(order)
    keys = [order.key for order in orders]
    absent = [f"1230000109#absent-{number}" for number in range(120)]
    assert table.load(keys + absent + keys) == {order.key: order for order in orders}
    assert table.load([]) == {}


def test_an_order_is_created_once(table: OrdersTable) -> None:
    """A second first write of an order is a version conflict."""
    table.save(an_order("C1"))
    with pytest.raises(VersionConflictError):
        table.save(an_order("C1"))


def test_a_settled_order_costs_one_unit_of_each_kind(table: OrdersTable, dynamodb: Any) -> None:
    """A settled order, whose answer has some 400 bytes, costs one read unit and one write unit."""
    part = {"seq": 1, "amount": 40_000, "paid_type": "MCH", "paid_time": "20260101120000"}
    collected = {"state": "USER_PAID", "total_amount": 40_000, "paying_amount": 0, "paid_amount": 40_000}
    identity = {"mchid": "1230000109", "appid": "wxd678efh567hg6787", "service_id": "500001", "state": "DONE"}
    answer = {**identity, "order_id": "1" * 20, "openid": "o" * 28, "collection": {**collected, "details": [part]}}
    payment = Payment("1230000109", "1234323JKHDFE1243252", "20260101120000", "wxd678efh567hg6787", "500001", "direct")
    facts = Facts(answer, "DONE", collection_state="USER_PAID", paid_type="MCH")
    outcome = Outcome(Status.SYNCED, payment, facts=facts, request_id="R" * 46, latency_ms=52)
    order = record(None, outcome, [Reporter("m" * 36, "e" * 36, "pos.payments")], 1_767_240_000)
    assert order is not None
    # PutItem and GetItem of the same item: neither double reports the units of a batch, which costs the same.
    key: Any = {"TableName": "table-tests", "Key": {"pk": {"S": order.key}}, "ConsistentRead": True}
    written = dynamodb.put_item(TableName="table-tests", Item=item_of(order), ReturnConsumedCapacity="TOTAL")
    read = dynamodb.get_item(**key, ReturnConsumedCapacity="TOTAL")
    assert [answer["ConsumedCapacity"]["CapacityUnits"] for answer in (written, read)] == [1.0, 1.0]


def test_orders_created_together_fail_one_by_one(table: OrdersTable) -> None:
    """Of sixty orders created together, those that exist already are conflicts and the others are written."""
    orders = [an_order(f"TOGETHER-{number}") for number in range(60)]
    existing = [replace(orders[number], message_id="earlier") for number in (3, 30, 59)]
    assert table.create(existing) == {}
    errors = table.create(orders)
    assert {key: type(error) for key, error in errors.items()} == dict.fromkeys(
        (order.key for order in existing), VersionConflictError
    )
    written = {order.key: order for order in orders} | {order.key: order for order in existing}
    assert table.load(written) == written


def test_a_throttled_statement_is_tried_again() -> None:
    """A throttled statement is tried three times, without those that have succeeded."""
    orders = [an_order(f"S{number}") for number in range(3)]

    class Busy:
        """A DynamoDB that takes a statement at its second try, and one of them never."""

        def __init__(self) -> None:
            self.seen: list[list[str]] = []

        def batch_execute_statement(self, **request: Any) -> Any:
            """Refuse new statements, and S2 always."""
            numbers = [statement["Parameters"][2]["S"] for statement in request["Statements"]]
            before = [number for batch in self.seen for number in batch]
            self.seen.append(numbers)
            refused = {"Error": {"Code": "ThrottlingError", "Message": "slow down"}}
            return {"Responses": [{} if n in before and n != "S2" else refused for n in numbers]}

    busy = Busy()
    failed = OrdersTable(busy, "orders").create(orders)  # type: ignore[arg-type]
    assert busy.seen == [["S0", "S1", "S2"], ["S0", "S1", "S2"], ["S2"]]
    assert [(key, str(error)) for key, error in failed.items()] == [
        (orders[2].key, "DynamoDB write failed: ThrottlingError (slow down)")
    ]


def test_a_later_failure_hides_no_earlier_one() -> None:
    """The error of an earlier call is kept if a later call of the same chunk fails as a whole."""
    orders = [an_order(f"P{number}") for number in range(3)]

    class Fickle:
        """A DynamoDB that refuses the second call as a whole, and one order in any call."""

        def __init__(self) -> None:
            self.calls = 0

        def batch_execute_statement(self, **request: Any) -> Any:
            """Answer by the number of the call."""
            self.calls += 1
            refused = ClientError({"Error": {"Code": "ValidationException"}}, "BatchExecuteStatement")
            if self.calls == 1:
                return {
                    "Responses": [{"Error": {"Code": code}} for code in ("DuplicateItem", *["ThrottlingError"] * 2)]
                }
            if len(request["Statements"]) > 1 or request["Statements"][0]["Parameters"][2]["S"] == "P2":
                raise refused
            return {"Responses": [{}]}

    failed = OrdersTable(Fickle(), "orders").create(orders)  # type: ignore[arg-type]
    assert {key: type(error) for key, error in failed.items()} == {
        orders[0].key: VersionConflictError,
        orders[2].key: TableUnavailableError,
    }


def test_an_order_is_written_on_top_of_what_was_read(table: OrdersTable) -> None:
    """A save needs the version before it; any other is a version conflict."""
    order = an_order("V1")
    table.save(order)
    table.save(replace(order, version=2, status=Status.SYNCED))
    for stale in (2, 4):
        with pytest.raises(VersionConflictError):
            table.save(replace(order, version=stale))
    assert loaded(table, order.key).status is Status.SYNCED


def test_of_concurrent_writes_exactly_one_succeeds(table: OrdersTable) -> None:
    """Of eight concurrent writes of one version exactly one succeeds."""
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
    """The attention index sorts by `updated_at`, and a settled order leaves it."""
    for number, at in (("I2", 2), ("I1", 1), ("I3", 3)):
        table.save(an_order(number, status=Status.REJECTED, updated_at=instant(1_767_240_000 + at)))
    table.save(an_order("I1", status=Status.SYNCED, version=2))
    rejected = dynamodb.query(
        TableName="table-tests",
        IndexName="attention",
        KeyConditionExpression="attention = :status",
        ExpressionAttributeValues={":status": {"S": "REJECTED"}},
    )["Items"]
    assert [item["out_order_no"]["S"] for item in rejected] == ["I2", "I3"]


@pytest.mark.parametrize("number", [10**38 - 1, -(10**38) + 1, 10**38, 0, -1, 0.5, 1e300, -1e300, 1e-300, 1e124])
def test_a_number_is_kept_to_the_last_digit(table: OrdersTable, number: float) -> None:
    """A number beyond DynamoDB's 38 digits or exponents is stored as text, any other to the last digit."""
    order = an_order(f"N{number}", answer={"n": number})
    table.save(order)
    facts = loaded(table, order.key).facts
    assert facts is not None
    assert facts.answer is not None
    stored = facts.answer["n"]
    assert float(stored) == float(number)
    assert isinstance(number, float) or str(stored) == str(number)


DEEP: dict[str, Any] = {"a": 1}
for _ in range(40):  # DynamoDB nests 32 levels
    DEEP = {"a": DEEP}


@pytest.mark.parametrize("answer", [{"attach": "x" * 410_000}, DEEP], ids=["over 400 KB", "40 levels deep"])
@pytest.mark.parametrize("version", [1, 2])
def test_an_answer_that_an_item_cannot_hold_is_left_out(
    table: OrdersTable, dynamodb: Any, answer: dict[str, Any], version: int
) -> None:
    """An order whose answer does not fit is written without it; the others of the call are written whole."""
    number = f"L{version}{len(str(answer))}"
    for one in (f"{number}a", f"{number}b"):
        table.save(an_order(one))
        dynamodb.delete_item(TableName="table-tests", Key={"pk": {"S": an_order(one).key}})
    orders = [an_order(f"{number}a"), an_order(number, answer=answer, status=Status.SYNCED), an_order(f"{number}b")]
    if version == 1:
        assert table.create(orders) == {}
    else:
        table.save(an_order(number))
        table.save(replace(orders[1], version=2))
    order = loaded(table, orders[1].key)
    assert order.status is Status.SYNCED
    assert order.facts is not None
    if order.facts.answer != answer:  # the embedded AWS takes some of what DynamoDB refuses
        assert (order.facts.answer, order.facts.omitted[:8]) == (None, "wechat: ")


def test_only_a_validation_error_leaves_the_answer_out() -> None:
    """Only a validation error leaves the answer out; any other error stays an error."""

    class Strict:
        """A DynamoDB that refuses every item with an answer."""

        def __init__(self, code: str) -> None:
            self.code, self.items = code, []  # type: ignore[var-annotated]

        def batch_execute_statement(self, Statements: Any) -> Any:  # noqa: N803  boto3's word
            """Refuse the items with an answer."""
            refused = ["'wechat'" in one["Statement"] for one in Statements]
            self.items += [one for one, no in zip(Statements, refused, strict=True) if not no]
            return {"Responses": [{"Error": {"Code": self.code, "Message": "no\x1b"}} if no else {} for no in refused]}

        def put_item(self, Item: Any, **_: Any) -> None:  # noqa: N803  boto3's word
            """Refuse an item with an answer."""
            if "wechat" in Item:
                raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "PutItem")
            self.items.append(Item)

    strict = Strict("ValidationError")
    table = OrdersTable(strict, "orders")  # type: ignore[arg-type]
    assert table.create([an_order("S1"), an_order("S2", answer=None)]) == {}
    table.save(an_order("S3", version=2))
    assert len(strict.items) == 3
    assert strict.items[-1]["omitted"] == {"S": "wechat: the item cannot hold it (ValidationError)"}
    failed = OrdersTable(Strict("AccessDenied"), "orders").create([an_order("S1")])  # type: ignore[arg-type]
    with pytest.raises(TableUnavailableError, match=r"AccessDenied \(no \)"):
        raise failed[an_order("S1").key]


def test_unprocessed_keys_are_read_again() -> None:
    """Unprocessed keys are read again, in three calls at most."""
    order = an_order("U1")
    unprocessed = {"orders": {"Keys": [{"pk": {"S": order.key}}]}}

    class Busy:
        """A DynamoDB under load, which answers the n-th call."""

        def __init__(self, answers_at: int) -> None:
            self.answers_at, self.calls = answers_at, 0

        def batch_get_item(self, **_: Any) -> Any:
            """Leave the key unprocessed until the n-th call."""
            self.calls += 1
            if self.calls < self.answers_at:
                return {"Responses": {}, "UnprocessedKeys": unprocessed}
            return {"Responses": {"orders": [item_of(order)]}, "UnprocessedKeys": {}}

    assert OrdersTable(Busy(2), "orders").load([order.key]) == {order.key: order}  # type: ignore[arg-type]
    with pytest.raises(TableUnavailableError, match="UnprocessedKeys"):
        OrdersTable(Busy(4), "orders").load([order.key])  # type: ignore[arg-type]


def test_an_unavailable_table_is_an_error_with_its_code(dynamodb: Any) -> None:
    """A table that cannot be reached raises an error with DynamoDB's own code."""
    table = OrdersTable(dynamodb, "no-such-table")
    with pytest.raises(TableUnavailableError, match="ResourceNotFoundException"):
        table.load(["1#2"])
    for version, code in ((1, "ResourceNotFound"), (2, "ResourceNotFoundException")):  # a statement's, and a call's
        with pytest.raises(TableUnavailableError, match=code):
            table.save(an_order("X1", version=version))


@pytest.mark.parametrize("status", Status)
def test_the_attention_index_is_sparse(status: Status) -> None:
    """Only an order that needs attention has the attribute `attention`."""
    item = item_of(an_order("A1", status=status))
    expected = {"S": status.value} if status in {Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT} else None
    assert item.get("attention") == expected


def test_attributes_of_a_later_version_are_kept(table: OrdersTable, dynamodb: Any) -> None:
    """Unknown attributes and unknown members of nested records are written back unchanged."""
    order = an_order("L1")
    item: dict[str, Any] = dict(item_of(order))
    strange = {"M": {"by": {"S": "ops"}, "tags": {"SS": ["a", "b"]}}}
    item["refund"] = strange
    for nested in (item["history"]["L"][0]["M"], item["last_error"]["M"], item["messages"]["M"]["m1"]["M"]):
        nested["colour"] = strange
    dynamodb.put_item(TableName="table-tests", Item=item)
    read = loaded(table, order.key)
    assert (read.status, read.history[0].message_id, read.rest) == (order.status, "m1", {"refund": strange})
    table.save(replace(read, version=2, status=Status.SYNCED))
    written = dynamodb.get_item(TableName="table-tests", Key={"pk": {"S": order.key}})["Item"]
    assert written["refund"] == strange
    assert written["history"]["L"][0]["M"]["colour"] == strange
    assert written["last_error"]["M"]["colour"] == strange
    assert written["messages"]["M"]["m1"]["M"]["colour"] == strange


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("status", {"S": "REFUNDED"}),
        ("status", {"N": "1"}),
        ("status", None),
        ("version", {"S": "1"}),
        ("version", None),
        ("history", {"S": "none"}),
        ("history", {"L": [{"S": "a line"}]}),
        ("last_error", {"L": []}),
        ("messages", {"M": {"m1": {"S": "x"}}}),
        ("wechat", {"S": "{}"}),
        ("outcome_unknown", {"S": "true"}),
        ("paid_amount", {"N": "1.5"}),
        ("mchid", {"NULL": True}),
    ],
)
def test_an_unreadable_item_costs_its_own_order(table: OrdersTable, dynamodb: Any, name: str, attribute: Any) -> None:
    """An unreadable item is an error of its own order, and is not overwritten."""
    good, bad = an_order("G1", answer=None), an_order("BAD", answer=None)
    item = item_of(bad)
    item.pop(name, None)
    if attribute:
        item[name] = attribute
    dynamodb.put_item(TableName="table-tests", Item=item_of(good))
    dynamodb.put_item(TableName="table-tests", Item=item)
    orders = table.load([good.key, bad.key])
    unreadable = orders[bad.key]
    assert orders[good.key] == good
    assert isinstance(unreadable, UnreadableItemError)
    assert (unreadable.key, name in unreadable.problem) == (bad.key, True)
    assert isinstance(table.create([bad])[bad.key], VersionConflictError)
    with pytest.raises(UnreadableItemError, match=bad.key):
        order_of(item)
