"""`outcome send`: outcome events that were lost are published again from the table."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from orders.order import Facts, Payment, Status, instant
from sandbox.testbed import MERCHANT, Testbed, until
from tests.ops.conftest import Operator

FACTS = Facts({"total_amount": 3900}, "DONE", None, "USER_PAID", "NEWTON", "4200")


@pytest.fixture(scope="module")
def received(world: Testbed) -> Iterator[Callable[[int], list[dict[str, object]]]]:
    """Return so many outcome events as the refund team's queue receives them."""
    sqs, events = world.cloud.client("sqs"), world.cloud.client("events")
    queue = sqs.create_queue(QueueName="refund-team")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="refund-team", EventPattern=json.dumps({"source": ["payscore.orders"]}))
    events.put_targets(Rule="refund-team", Targets=[{"Id": "queue", "Arn": arn}])

    def receive(number: int) -> list[dict[str, object]]:
        bodies: list[dict[str, object]] = []

        def look() -> bool:
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return len(bodies) >= number

        until(look, state=f"{number} outcome events", instead=lambda: bodies)
        return bodies

    yield receive
    events.remove_targets(Rule="refund-team", Ids=["queue"])
    events.delete_rule(Name="refund-team")
    sqs.delete_queue(QueueUrl=queue)


def test_the_outcome_of_an_order_is_published_again(operator: Operator, received: Callable[[int], list[dict]]) -> None:  # type: ignore[type-arg]
    """Without --yes the outcome is shown; with it the refund team receives it, as the function would have sent it."""
    operator.put("OUTCOME-1", Status.PAID_BY_WECHAT, reason="NEWTON", facts=FACTS, attempts=2, version=3)
    code, out, _ = operator.run("outcome", "send", MERCHANT, "OUTCOME-1")
    assert (code, "OrderPaidByWeChat" in out) == (3, True)
    assert f"outcome send {MERCHANT} OUTCOME-1 --yes" in out
    assert operator.run("outcome", "send", MERCHANT, "OUTCOME-1", "--yes")[0] == 0
    [event] = received(1)
    assert (event["source"], event["detail-type"]) == ("payscore.orders", "OrderPaidByWeChat")
    assert (event["detail"]["transaction_id"], event["detail"]["version"]) == ("4200", 3)


def test_the_outcomes_of_a_time_are_published_again(operator: Operator, received: Callable[[int], list[dict]]) -> None:  # type: ignore[type-arg]
    """--since publishes each outcome written in this time; an item that cannot be read is named and left out."""
    now = instant(datetime.now(UTC).timestamp())
    numbers = [f"OUTCOME-SINCE-{number}" for number in range(12)]
    for number in numbers:
        operator.put(number, Status.SYNCED, at=now, attempts=1)
    operator.put("OUTCOME-OLD", Status.SYNCED, attempts=1)
    operator.put("OUTCOME-WAITS", Status.RETRYING, at=now, attempts=1)
    operator.put("OUTCOME-BROKEN", Status.SYNCED, at=now, raw={"history": {"S": "?"}})
    code, out, _ = operator.run("outcome", "send", "--since", "10m", "--yes", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 3  # the one that cannot be read needs action
    assert set(numbers) <= {row["out_order_no"] for row in rows}
    assert {"OUTCOME-OLD", "OUTCOME-WAITS", "OUTCOME-BROKEN"}.isdisjoint(row["out_order_no"] for row in rows)
    assert set(numbers) <= {event["detail"]["out_order_no"] for event in received(len(rows))}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["send"], 2, "give MCHID and OUT_ORDER_NO, or --since"),
        (["send", MERCHANT], 2, "give MCHID and OUT_ORDER_NO, or --since"),
        (["send", MERCHANT, "A1", "--since", "1h"], 2, "give MCHID and OUT_ORDER_NO, or --since"),
        (["send", MERCHANT, "A1", "--until", "1h"], 2, "--until goes with --since"),
        (["send", MERCHANT, "NO-OUTCOME-1"], 1, "no item"),
        (["send", MERCHANT, "NO-OUTCOME-2"], 1, "is RETRYING: it has no outcome yet"),
        (["send", MERCHANT, "NO-OUTCOME-3"], 1, "cannot be read"),
    ],
)
def test_what_cannot_be_published_is_said_in_one_line(
    operator: Operator, arguments: list[str], status: int, words: str
) -> None:
    """Arguments that do not fit, an order without an item and an order without an outcome each get one line."""
    operator.put("NO-OUTCOME-2", Status.RETRYING)
    operator.put("NO-OUTCOME-3", Status.SYNCED, raw={"history": {"S": "?"}})
    code, _, err = operator.run("outcome", *arguments)
    assert (code, words in err, err.count("\n")) == (status, True, 1)


def test_what_eventbridge_refuses_ends_the_run(
    operator: Operator, world: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where EventBridge refuses an outcome the command fails with its word, and can be run again."""
    operator.put("OUTCOME-REFUSED", Status.SYNCED, payment=Payment(MERCHANT, "OUTCOME-REFUSED", "20260101120000"))
    monkeypatch.setattr(
        "outcomes.bus.Bus.publish", lambda _, announcements: ["ThrottlingException"] * len(announcements)
    )
    code, _, err = operator.run("outcome", "send", MERCHANT, "OUTCOME-REFUSED", "--yes")
    assert (code, "ThrottlingException; run this again" in err) == (1, True)
