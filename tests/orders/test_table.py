"""The orders table: what is written comes back, and nobody overwrites what he has not read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields, replace
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
    """The table, as the function sees it."""
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
    """The order of this key; fails where it cannot be read."""
    found = table.load([key])[key]
    assert isinstance(found, Order)
    return found


def test_an_order_comes_back_as_it_was_written(table: OrdersTable) -> None:
    """Every attribute, the whole answer of WeChat Pay included; money stays an integer."""
    order = an_order("T1")
    for one, empty in ((order, {"rest"}), (order.payment, set()), (order.facts, {"omitted"})):
        values = {field.name: getattr(one, field.name) for field in fields(one)}  # type: ignore[arg-type]
        assert {name for name, value in values.items() if value in (None, "", (), {})} == empty
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
    facts = Facts(answer, "DONE", collection_state="USER_PAID", paid_type="MCH")
    outcome = Outcome(Status.SYNCED, payment, facts=facts, request_id="R" * 46, latency_ms=52)
    order = record(None, outcome, [Reporter("m" * 36, "e" * 36, "pos.payments")], 1_767_240_000)
    assert order is not None
    # PutItem and GetItem of the same item: neither double tells the units of a batch, which costs the same.
    key: Any = {"TableName": "table-tests", "Key": {"pk": {"S": order.key}}, "ConsistentRead": True}
    written = dynamodb.put_item(TableName="table-tests", Item=item_of(order), ReturnConsumedCapacity="TOTAL")
    asked = dynamodb.get_item(**key, ReturnConsumedCapacity="TOTAL")
    assert [said["ConsumedCapacity"]["CapacityUnits"] for said in (written, asked)] == [1.0, 1.0]


def test_orders_that_are_created_together_fail_one_by_one(table: OrdersTable) -> None:
    """Sixty of them, more than one call takes; those that somebody has written before keep what he wrote."""
    orders = [an_order(f"TOGETHER-{number}") for number in range(60)]
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
        (orders[2].key, "DynamoDB write failed: ThrottlingError (slow down)")
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
    assert loaded(table, order.key).status is Status.SYNCED


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


@pytest.mark.parametrize("number", [10**38 - 1, -(10**38) + 1, 10**38, 0, -1, 0.5, 1e300, -1e300, 1e-300, 1e124])
def test_a_number_is_kept_to_the_last_digit(table: OrdersTable, number: float) -> None:
    """DynamoDB has 38 digits and exponents up to 125; what is beyond is kept as text."""
    order = an_order(f"N{number}", answer={"n": number})
    table.save(order)
    facts = loaded(table, order.key).facts
    assert facts is not None
    assert facts.answer is not None
    kept = facts.answer["n"]
    assert float(kept) == float(number)
    assert isinstance(number, float) or str(kept) == str(number)


DEEP: dict[str, Any] = {"a": 1}
for _ in range(40):  # DynamoDB nests 32 levels
    DEEP = {"a": DEEP}


@pytest.mark.parametrize("answer", [{"attach": "x" * 410_000}, DEEP], ids=["over 400 KB", "40 levels deep"])
@pytest.mark.parametrize("version", [1, 2])
def test_an_answer_that_an_item_cannot_hold_is_left_out(
    table: OrdersTable, dynamodb: Any, answer: dict[str, Any], version: int
) -> None:
    """The verdict is written all the same, and says so; its neighbours are written as they are."""
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
    kept = loaded(table, orders[1].key)
    assert kept.status is Status.SYNCED
    assert kept.facts is not None
    if kept.facts.answer != answer:  # the embedded AWS takes some of what DynamoDB refuses
        assert (kept.facts.answer, kept.facts.omitted[:8]) == (None, "wechat: ")


def test_an_answer_is_left_out_where_dynamodb_refuses_it() -> None:
    """However many times: without the answer the item is small and flat. Another fault stays a fault."""

    class Strict:
        """Takes no answer at all."""

        def __init__(self, code: str) -> None:
            self.code, self.items = code, []  # type: ignore[var-annotated]

        def batch_execute_statement(self, Statements: Any) -> Any:  # noqa: N803  boto3's word
            """Refuse those that hold an answer."""
            refused = ["'wechat'" in one["Statement"] for one in Statements]
            self.items += [one for one, no in zip(Statements, refused, strict=True) if not no]
            return {"Responses": [{"Error": {"Code": self.code, "Message": "no\x1b"}} if no else {} for no in refused]}

        def put_item(self, Item: Any, **_: Any) -> None:  # noqa: N803  boto3's word
            """The same."""
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
        with pytest.raises(TableUnavailableError, match=code):
            table.save(an_order("X1", version=version))


@pytest.mark.parametrize("status", Status)
def test_the_attention_index_is_sparse(status: Status) -> None:
    """Only orders that somebody should look at carry the attribute."""
    item = item_of(an_order("A1", status=status))
    expected = {"S": status.value} if status in {Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT} else None
    assert item.get("attention") == expected


def test_attributes_of_a_later_version_are_left_alone(table: OrdersTable, dynamodb: Any) -> None:
    """An older function reads a newer item, nested records included, and writes back what it does not know."""
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
def test_an_item_that_cannot_be_read_is_named_and_costs_itself(
    table: OrdersTable, dynamodb: Any, name: str, attribute: Any
) -> None:
    """An operator's edit, or a later version: its neighbours are read, and it is not overwritten."""
    good, bad = an_order("G1", answer=None), an_order("BAD", answer=None)
    item = item_of(bad)
    item.pop(name, None)
    if attribute:
        item[name] = attribute
    dynamodb.put_item(TableName="table-tests", Item=item_of(good))
    dynamodb.put_item(TableName="table-tests", Item=item)
    found = table.load([good.key, bad.key])
    unreadable = found[bad.key]
    assert found[good.key] == good
    assert isinstance(unreadable, UnreadableItemError)
    assert (unreadable.key, name in unreadable.problem) == (bad.key, True)
    assert isinstance(table.create([bad])[bad.key], VersionConflictError)
    with pytest.raises(UnreadableItemError, match=bad.key):
        order_of(item)
