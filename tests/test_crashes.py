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
from orders.order import Order, Payment, Status, instant
from orders.table import OrdersTable
from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.cloud import Cloud
from sandbox.notifications_front import event_of
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator

from .gate import hold_answers
from .lambda_runtime import PATH, Function, a_function

LONG_AGO = 1_764_547_200.0


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
                yield Scene(function, faults, wechat_pay, OrdersTable(cloud.client("dynamodb"), "orders"))


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
