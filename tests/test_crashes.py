"""Crashes: each point at which an attempt can end, and the outcome of the next delivery.

The built function runs in a process of its own. A proxy between it and AWS kills it with SIGKILL, or answers with an
error, at a chosen request. docs/evidence/crashes.md has the table.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orders.errors import UnreadableItemError
from orders.items import item_of
from orders.order import Order, Payment, Status, instant
from orders.table import OrdersTable
from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.cloud import Cloud
from sandbox.notifications_front import event_of
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator

from .gate import hold_answers
from .lambda_runtime import ENVIRONMENT, PATH, Function, a_function

LONG_AGO = 1_764_547_200.0
BUS = ENVIRONMENT["EVENT_BUS_NAME"]


@dataclass
class FaultPlan:
    """The faults of the proxy by operation, each with a number of times; a cut kills the function."""

    function: Function | None = None
    plan: dict[str, tuple[ProxyAction, int]] = field(default_factory=dict)
    has_killed: threading.Event = field(default_factory=threading.Event)

    def decide(self, operation: str) -> ProxyAction:
        """Return what the proxy does with a request for this operation."""
        action, times = self.plan.get(operation, ("pass", 0))
        if times <= 0:
            return "pass"
        self.plan[operation] = action, times - 1
        return action

    def kill(self) -> None:
        """Kill the function's process."""
        assert self.function is not None
        self.function.kill()
        self.has_killed.set()


@dataclass
class Scene:
    """The function, the faults of its proxy, the simulated WeChat Pay and the orders table."""

    function: Function
    faults: FaultPlan
    wechat_pay: Simulator
    table: OrdersTable
    cloud: Cloud

    def deliver(self, number: str, message_id: str, receive_count: int) -> list[str]:
        """Deliver a message; return the ids of the messages that stay in the queue."""
        return self.deliver_batch(_batch((number, message_id, receive_count)))

    def deliver_batch(self, batch: dict[str, Any]) -> list[str]:
        """Deliver messages in one batch; return the ids of those that stay in the queue."""
        kind, answer = self.function.api.invoke(batch)
        assert kind == "response", answer
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def deliver_and_crash(self, *messages: tuple[str, str, int]) -> None:
        """Deliver messages to a process that is killed before it answers."""
        self.function.api.events.put(_batch(*messages))
        assert self.faults.has_killed.wait(PATIENCE), "the process was not killed"

    def tell(self, event: dict[str, Any]) -> int:
        """Hand a notification to the second function; return the status of its answer."""
        kind, answer = self.function.api.invoke(event)
        assert kind == "response", answer
        return int(answer["statusCode"])

    def item(self, number: str) -> Order | None:
        """Return the order's item."""
        key = f"{MERCHANT}#{number}"
        order = self.table.load([key]).get(key)
        assert not isinstance(order, UnreadableItemError)
        return order

    def counted(self, number: str) -> list[dict[str, Any]]:
        """Return the log lines about a double payment of the order; each comes with the metric of the alarm."""
        lines = self.function.log_lines()
        return [line for line in lines if line.get("out_order_no") == number and line.get("level") == "ERROR"]

    def calls(self, number: str) -> list[str]:
        """Return the calls that WeChat Pay received for the order."""
        return [call.operation for call in self.wechat_pay.calls if call.out_order_no == number]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, key_ring: Path) -> Iterator[Scene]:
    """One scene for all tests; the function is started again after each crash."""
    directory = tmp_path_factory.mktemp("crashes")
    with Cloud.start(directory / "cloud") as cloud, Simulator(keys=key_ring) as wechat_pay:
        cloud.client("dynamodb").create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        secret = wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        cloud.put_secret(f"wechatpay/{MERCHANT}", secret)
        faults = FaultPlan()
        hosts = {"WECHATPAY_BASE_URL": wechat_pay.base_url, "WECHATPAY_BACKUP_URL": wechat_pay.backup_url}
        (directory / "gathering.py").write_text(GATHERING)
        path = os.pathsep.join([PATH, str(directory)])
        with AwsProxy(cloud.endpoint_url, faults.decide, faults.kill) as proxy:
            hosts["PYTHONPATH"] = path
            changes = {"AWS_ENDPOINT_URL": proxy.url, "WECHATPAY_TIMEOUT": "60,300", "RETRY_SCALE": "0.01", **hosts}
            changes["ANSWER_WITHIN"] = "300"  # seconds: on a slow machine no notification is late
            with a_function(directory / "output", **changes) as function:
                faults.function = function
                yield Scene(function, faults, wechat_pay, OrdersTable(cloud.client("dynamodb"), "orders"), cloud)


@pytest.fixture(autouse=True)
def _reset(scene: Scene) -> None:
    """Start each test with a running function, and without faults."""
    scene.faults.plan.clear()
    scene.faults.has_killed.clear()
    scene.wechat_pay.behave()
    if scene.function.process is None:
        scene.function.start()


# The built function, changed to wait for all orders of a batch before it writes: on a slow machine their calls may end
# more than its 50 ms apart, and each order would be written by itself.
GATHERING = """
from orders import recorder

recorder.GATHERING = 300.0

from orders.handler import lambda_handler
"""

REDELIVERIES = {"the same message": ("m1", 2), "another report of it": ("m2", 1), "redriven": ("m3", 1)}

# point of the crash → the calls of both attempts, by redelivery: the same message queries first, because its first
# attempt may have synced already
KILLS: dict[str, tuple[str, ProxyAction, dict[str, list[str]]]] = {
    "before the call": ("BatchGetItem", "cut after", {"the same message": ["query", "sync"], "": ["sync"]}),
    "after the call, before the write": (
        "BatchExecuteStatement",
        "cut before",
        {"the same message": ["sync", "query"], "": ["sync", "sync", "query"]},
    ),
    "after the write": ("BatchExecuteStatement", "cut after", {"": ["sync"]}),
}


@pytest.mark.parametrize("redelivery", REDELIVERIES)
@pytest.mark.parametrize("point", KILLS)
def test_a_killed_process_costs_nothing_but_time(scene: Scene, point: str, redelivery: str) -> None:
    """After a SIGKILL the next delivery syncs the order, with as few calls as the item allows."""
    number = f"K{time.monotonic_ns()}"
    operation, action, calls = KILLS[point]
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.faults.plan[operation] = action, 1
    scene.deliver_and_crash((number, "m1", 1))
    scene.function.start()
    message_id, receive_count = REDELIVERIES[redelivery]
    assert scene.deliver(number, message_id, receive_count) == []
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    assert scene.wechat_pay.order(MERCHANT, number).syncs == 1
    assert scene.calls(number) == calls.get(redelivery, calls[""])
    _check_row(f"| killed {point} | {redelivery} | {', '.join(scene.calls(number))} | {item.status} |")


def test_a_process_killed_in_the_middle_of_a_call(scene: Scene) -> None:
    """If the process is killed during a call that WeChat Pay executes, the same message queries first."""
    number = f"C{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    with hold_answers(scene.wechat_pay):
        scene.function.api.events.put(_batch((number, "m1", 1)))
        until(lambda: scene.calls(number) == ["sync"], state="the call has arrived")
        scene.function.kill()
    scene.function.start()
    assert scene.deliver(number, "m1", 2) == []
    assert scene.calls(number) == ["sync", "query"]
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    _check_row(f"| killed (or timed out) in the call | the same message | sync, query | {item.status} |")


@pytest.mark.parametrize(("action", "outcome"), [("cut before", "sync, query"), ("cut after", "sync")])
def test_a_process_killed_around_the_write_that_orders_share(scene: Scene, action: ProxyAction, outcome: str) -> None:
    """One write for three orders stores all or none; if none, the next delivery of each queries first."""
    scene.function.kill()
    scene.function.start("gathering")
    numbers = [f"S{time.monotonic_ns()}-{each}" for each in range(3)]
    for number in numbers:
        scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.faults.plan["BatchExecuteStatement"] = action, 1
    scene.deliver_and_crash(*((number, f"m-{number}", 1) for number in numbers))
    scene.function.start()
    assert scene.deliver_batch(_batch(*((number, f"m-{number}", 2) for number in numbers))) == []
    for number in numbers:
        item = scene.item(number)
        assert item is not None
        assert (item.status, scene.wechat_pay.order(MERCHANT, number).syncs) == (Status.SYNCED, 1)
        assert ", ".join(scene.calls(number)) == outcome
    _check_row(f"| killed at a write that three orders share ({action}) | the same messages | {outcome} | SYNCED |")


def test_an_order_does_not_wait_for_a_slow_neighbour_to_be_written(scene: Scene) -> None:
    """A settled order is in the table even if the process is killed during the call of another order of its batch."""
    quick, slow = f"Q{time.monotonic_ns()}", f"L{time.monotonic_ns()}"
    for number in (quick, slow):
        scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    with hold_answers(scene.wechat_pay, holds=lambda request: slow in request.target):
        scene.function.api.events.put(_batch((quick, "m1", 1), (slow, "m2", 1)))
        until(lambda: scene.item(quick), state="the quick order is in the table")
        assert scene.item(slow) is None
        until(lambda: scene.calls(slow) == ["sync"], state="the other order's call has arrived")
        scene.function.kill()
    scene.function.start()
    assert scene.deliver_batch(_batch((quick, "m1", 2), (slow, "m2", 2))) == []
    assert (scene.calls(quick), scene.calls(slow)) == (["sync"], ["sync", "query"])
    _check_row(
        "| killed in the call of a slow neighbour | the same messages | sync (the neighbour: sync, query) | SYNCED |"
    )


@pytest.mark.parametrize(("action", "times"), [("throttle", 3), ("fail", 3)])
def test_a_message_whose_write_is_refused_stays_in_the_queue(scene: Scene, action: ProxyAction, times: int) -> None:
    """While DynamoDB refuses the write, the message stays in the queue, and its next delivery queries first."""
    number = f"W{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.faults.plan["BatchExecuteStatement"] = action, times
    assert scene.deliver(number, "m1", 1) == ["m1"]
    assert scene.item(number) is None
    assert scene.deliver(number, "m1", 2) == []
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    assert scene.calls(number) == ["sync", "query"]
    _check_row(f"| write refused ({action}) | the same message | sync, query | {item.status} |")


def test_a_write_that_lost_a_race_is_repeated_in_the_same_attempt(scene: Scene) -> None:
    """A conflict of the conditional write is settled in the same attempt: the item is read and written again."""
    number = f"R{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.faults.plan["BatchExecuteStatement"] = "conflict", 1
    assert scene.deliver(number, "m1", 1) == []
    item = scene.item(number)
    assert item is not None
    assert (item.status, scene.calls(number)) == (Status.SYNCED, ["sync"])
    _check_row(f"| write lost a race | none needed | sync | {item.status} |")


def test_a_double_payment_is_counted_though_the_first_report_of_it_was_lost(scene: Scene) -> None:
    """Killed after the write of a double payment and before its metric, the message counts it when it comes again."""
    number = _collected(scene)
    scene.faults.plan["BatchExecuteStatement"] = "cut after", 1
    scene.deliver_and_crash((number, "m1", 1))
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.PAID_BY_WECHAT
    assert scene.counted(number) == []
    scene.function.start()
    assert scene.deliver(number, "m1", 2) == []
    lines = until(lambda: scene.counted(number), state="the double payment is reported")
    assert [line["message"] for line in lines] == ["a double payment, delivered again: refund"]
    assert scene.calls(number) == ["sync", "query"]
    _check_row(
        f"| killed after the write of a double payment | the same message | sync, query | {item.status}, counted |"
    )


# ---- notifications: killed at every call, and sent again -------------------------------------------------------------

WRITES = {"no report": "BatchExecuteStatement", "a report that is retried": "PutItem"}
# what the table has → the status after WeChat Pay has sent the notification again
TOLD = {"no report": Status.COLLECTED, "a report that is retried": Status.PAID_BY_WECHAT}
CALLS: list[tuple[str, ProxyAction]] = [
    ("GetSecretValue", "cut before"),
    ("GetSecretValue", "cut after"),
    ("BatchGetItem", "cut before"),
    ("BatchGetItem", "cut after"),
    ("the write", "cut before"),
    ("the write", "cut after"),
]


@pytest.fixture
def second(scene: Scene) -> Iterator[Scene]:
    """The second function in the place of the first, for one test."""
    scene.function.kill()
    scene.function.start("notifications.handler")
    yield scene
    scene.function.kill()


@pytest.mark.parametrize("before", TOLD)
@pytest.mark.parametrize(("call", "action"), CALLS)
def test_a_notification_survives_a_kill_at_every_call(
    second: Scene, call: str, action: ProxyAction, before: str
) -> None:
    """Wherever the process is killed, the notification that WeChat Pay sends again ends as the first would have."""
    number = _collected(second)
    if before == "a report that is retried":
        second.table.save(_retried(number))
    event = _notification(second, number)
    second.faults.plan[WRITES[before] if call == "the write" else call] = action, 1
    second.function.api.events.put(event)
    assert second.faults.has_killed.wait(PATIENCE), "the process was not killed"
    second.function.start("notifications.handler")
    assert second.tell(event) == 204
    item = second.item(number)
    assert item is not None
    assert (item.status, second.calls(number)) == (TOLD[before], [])
    assert (item.status is Status.COLLECTED) is (item.expires_at is not None)
    point = f"{'before' if action == 'cut before' else 'after'} {call}"
    _check_row(f"| {before} | killed {point} | sent again | {item.status} |")


@pytest.mark.parametrize("action", ["throttle", "fail"])
def test_a_notification_that_the_table_refuses_is_sent_again(second: Scene, action: ProxyAction) -> None:
    """While DynamoDB refuses the write, WeChat Pay is asked to send the notification again."""
    number = _collected(second)
    second.table.save(_retried(number))
    second.faults.plan["PutItem"] = action, 1
    event = _notification(second, number)
    assert [second.tell(event), second.tell(event)] == [503, 204]
    item = second.item(number)
    assert item is not None
    assert item.status is Status.PAID_BY_WECHAT
    _check_row(f"| a report that is retried | the write refused ({action}) | 503, sent again | {item.status} |")


def test_a_notification_that_lost_a_race_is_written_in_the_same_invocation(second: Scene) -> None:
    """A conflict of the conditional write is settled at once: the item is read and written again."""
    number = _collected(second)
    second.table.save(_retried(number))
    second.faults.plan["PutItem"] = "conflict", 1
    assert second.tell(_notification(second, number)) == 204
    item = second.item(number)
    assert item is not None
    assert item.status is Status.PAID_BY_WECHAT
    _check_row(f"| a report that is retried | the write lost a race | none needed | {item.status} |")


@pytest.mark.parametrize("action", ["cut before", "cut after"])
def test_a_report_of_a_collected_order_survives_a_kill(second: Scene, action: ProxyAction) -> None:
    """A report that is answered from the item, and killed at its write, is so again: no call is ever made."""
    number = _collected(second)
    assert second.tell(_notification(second, number)) == 204
    second.function.kill()
    second.function.start()
    second.faults.plan["PutItem"] = action, 1
    second.deliver_and_crash((number, "m1", 1))
    second.function.start()
    assert second.deliver(number, "m1", 2) == []
    item = second.item(number)
    assert item is not None
    assert (item.status, item.expires_at, second.calls(number)) == (Status.PAID_BY_WECHAT, None, [])
    point = f"{'before' if action == 'cut before' else 'after'} the write"
    _check_row(f"| COLLECTED, then a report | killed {point} of the report | the same message | {item.status} |")


# ---- outcome events: the stream's batch is repeated until EventBridge has taken each ---------------------------------


@dataclass
class Consumer:
    """The third function in the place of the first, the mapping that feeds it, and a queue behind the bus."""

    scene: Scene
    sqs: Any
    queue: str

    def feed(self, records: list[dict[str, Any]]) -> None:
        """Deliver records of the stream as Lambda does, from the first that failed, until none fails."""
        while records:
            kind, answer = self.scene.function.api.invoke({"Records": records})
            assert kind == "response", answer
            failed = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
            numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
            records = records[numbers.index(failed[0]) :] if failed else []

    def feed_and_crash(self, records: list[dict[str, Any]]) -> None:
        """Deliver records to a process that is killed before it answers; Lambda then delivers the batch again."""
        self.scene.function.api.events.put({"Records": records})
        assert self.scene.faults.has_killed.wait(PATIENCE), "the process was not killed"
        self.scene.function.start("outcomes.handler")
        self.feed(records)

    def received(self, number: str, last: str) -> list[str]:
        """Return the events of the orders of a test in their sequence, once the last one is there."""
        events: list[str] = []

        def has_last() -> bool:
            answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                event = json.loads(message["Body"])
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                if event["detail"]["out_order_no"].startswith(number):
                    events.append(f"{event['detail']['out_order_no'].removeprefix(number)} {event['detail-type']}")
            return last in events

        until(has_last, state=f"{last} has arrived")
        return events


@pytest.fixture
def third(scene: Scene) -> Iterator[Consumer]:
    """The outcomes function in the place of the first, for one test."""
    events, sqs = (scene.cloud.client(service) for service in ("events", "sqs"))
    queue = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    if BUS not in {bus["Name"] for bus in events.list_event_buses()["EventBuses"]}:
        events.create_event_bus(Name=BUS)
        pattern = json.dumps({"source": ["payscore.orders"]})
        events.put_rule(Name="all", EventBusName=BUS, EventPattern=pattern, State="ENABLED")
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "consumer", "Arn": arn}])
    scene.function.kill()
    scene.function.start("outcomes.handler")
    yield Consumer(scene, sqs, queue)
    scene.function.kill()


A_REJECTED, B, A_RECOVERED = "A OrderRejected", "B OrderSynced", "A OrderRecovered"


@pytest.mark.parametrize(
    ("action", "times", "events"),
    [
        ("cut before", 1, [A_REJECTED, B, A_RECOVERED]),
        ("cut after", 1, [A_REJECTED, B, A_REJECTED, B, A_RECOVERED]),
        ("throttle", 3, [A_REJECTED, B, A_RECOVERED]),
        ("fail", 3, [A_REJECTED, B, A_RECOVERED]),
        ("part", 1, [A_REJECTED, B, A_RECOVERED]),
    ],
)
def test_no_outcome_event_is_lost_or_overtaken(
    third: Consumer, action: ProxyAction, times: int, events: list[str]
) -> None:
    """Whatever happens to PutEvents, each event arrives, and those of an order in their sequence."""
    number = f"O{time.monotonic_ns()}"
    third.scene.faults.plan["PutEvents"] = action, times
    if action.startswith("cut"):
        third.feed_and_crash(_changes(number))
    else:
        third.feed(_changes(number))
    assert third.received(number, A_RECOVERED) == events
    _check_row(f"| {EVENT_FAULTS[action]} | {', '.join(events)} |")


def test_a_stream_record_that_is_repeated_is_an_event_that_is_repeated(third: Consumer) -> None:
    """Lambda may deliver a batch twice: its events come again with the same order and version."""
    number = f"O{time.monotonic_ns()}"
    third.feed(_changes(number))
    third.received(number, A_RECOVERED)
    third.feed(_changes(number))
    events = third.received(number, A_RECOVERED)
    assert events == [A_REJECTED, B, A_RECOVERED]
    _check_row(f"| the batch is delivered a second time | the same again: {', '.join(events)} |")


EVENT_FAULTS: dict[ProxyAction, str] = {
    "cut before": "killed before PutEvents",
    "cut after": "killed after PutEvents",
    "throttle": "PutEvents throttled, the SDK's three attempts",
    "fail": "PutEvents fails, the SDK's three attempts",
    "part": "PutEvents takes the first entry only",
}


def _changes(number: str) -> list[dict[str, Any]]:
    """Return the stream's records of order A, which is rejected and then settled, and of order B in between."""
    at = instant(LONG_AGO)
    orders = [
        Order(Payment(MERCHANT, f"{number}{name}", "20260101120000"), None, status, version, at, at, attempts=version)
        for name, status, version in [("A", Status.REJECTED, 1), ("B", Status.SYNCED, 1), ("A", Status.SYNCED, 2)]
    ]
    images: list[dict[str, Any]] = [{"NewImage": item_of(order)} for order in orders]
    images[2]["OldImage"] = images[0]["NewImage"]
    return [
        {"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": str(place), **each}}
        for place, each in enumerate(images, 1)
    ]


def _collected(scene: Scene) -> str:
    """Return the number of an order that WeChat Pay has collected."""
    number = f"N{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.wechat_pay.deduct(MERCHANT, number)
    return number


def _retried(number: str) -> Order:
    """Return an order that a till has reported, and that is retried."""
    payment = Payment(MERCHANT, number, "20260101120000")
    return Order(payment, None, Status.RETRYING, 1, instant(LONG_AGO), instant(LONG_AGO), outcome_unknown=True)


def _notification(scene: Scene, number: str) -> dict[str, Any]:
    """Return the event of a notification, as a front hands it over."""
    headers, body = scene.wechat_pay.notification(MERCHANT, number)
    return event_of("POST", f"/{MERCHANT}", headers.items(), body, time.time())


def _check_row(row: str) -> None:
    """Print a row of the table, which docs/evidence/crashes.md must contain."""
    print(row)
    assert row in (Path(__file__).parents[1] / "docs/evidence/crashes.md").read_text(encoding="utf-8")


def _batch(*messages: tuple[str, str, int]) -> dict[str, Any]:
    """Return records as SQS delivers them, from the order's number, the message's id and its receive count."""
    return {"Records": [_record(*message) for message in messages]}


def _record(number: str, message_id: str, receive_count: int) -> dict[str, Any]:
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    attributes = {"ApproximateReceiveCount": str(receive_count)}
    return {"messageId": message_id, "body": json.dumps(payload), "attributes": attributes}
