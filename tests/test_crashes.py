"""Killed, timed out, refused: each point at which an attempt can end, and what the next delivery makes of it.

The built function runs in a process of its own. A gate stands between it and AWS, and does at the chosen request what
is to happen there; `kill -9` is a real one. docs/crashes.md has the table.
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
from orders.order import Order, Status
from orders.table import OrdersTable
from sandbox.aws_proxy import AwsProxy, Deed
from sandbox.cloud import Cloud
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator
from sandbox.world import APPID, MERCHANT, SERVICE_ID

from .gate import held
from .lambda_runtime import PATH, Function, a_function

LONG_AGO = 1_764_547_200.0


@dataclass
class Gate:
    """What is to happen at which operation, so many times; a cut kills the function."""

    function: Function | None = None
    plan: dict[str, tuple[Deed, int]] = field(default_factory=dict)
    struck: threading.Event = field(default_factory=threading.Event)

    def decide(self, operation: str) -> Deed:
        """The deed for this request."""
        deed, times = self.plan.get(operation, ("pass", 0))
        if times <= 0:
            return "pass"
        self.plan[operation] = deed, times - 1
        return deed

    def kill(self) -> None:
        """End the process, as the kernel would."""
        assert self.function is not None
        self.function.kill()
        self.struck.set()


@dataclass
class Scene:
    """The function, the gate, and both worlds behind them."""

    function: Function
    gate: Gate
    wechat_pay: Simulator
    table: OrdersTable

    def deliver(self, number: str, message_id: str, receive_count: int) -> list[str]:
        """Hand a message over; returns the ids of those that stay in the queue."""
        return self.deliver_batch(_batch((number, message_id, receive_count)))

    def deliver_batch(self, batch: dict[str, Any]) -> list[str]:
        """Hand messages over together."""
        kind, answer = self.function.api.invoke(batch)
        assert kind == "response", answer
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def deliver_and_crash(self, *messages: tuple[str, str, int]) -> None:
        """Hand messages over to a process that will not live to answer."""
        self.function.api.events.put(_batch(*messages))
        assert self.gate.struck.wait(PATIENCE), "nothing was struck"

    def item(self, number: str) -> Order | None:
        """The order's item."""
        key = f"{MERCHANT}#{number}"
        found = self.table.load([key]).get(key)
        assert not isinstance(found, UnreadableItemError)
        return found

    def calls(self, number: str) -> list[str]:
        """What WeChat Pay was asked about the order."""
        return [call.operation for call in self.wechat_pay.calls if call.out_order_no == number]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, key_ring: Path) -> Iterator[Scene]:
    """One world for the whole matrix; the function is started anew after each crash."""
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
        gate = Gate()
        hosts = {"WECHATPAY_BASE_URL": wechat_pay.base_url, "WECHATPAY_BACKUP_URL": wechat_pay.backup_url}
        (directory / "gathering.py").write_text(GATHERING)
        path = os.pathsep.join([PATH, str(directory)])
        with AwsProxy(cloud.endpoint_url, gate.decide, gate.kill) as proxy:
            hosts["PYTHONPATH"] = path
            changes = {"AWS_ENDPOINT_URL": proxy.url, "WECHATPAY_TIMEOUT": "60,300", "RETRY_SCALE": "0.01", **hosts}
            with a_function(directory / "output", **changes) as function:
                gate.function = function
                yield Scene(function, gate, wechat_pay, OrdersTable(cloud.client("dynamodb"), "orders"))


@pytest.fixture(autouse=True)
def _alive(scene: Scene) -> None:
    """Each row begins with a running function and honest neighbours."""
    scene.gate.plan.clear()
    scene.gate.struck.clear()
    scene.wechat_pay.behave()
    if scene.function.process is None:
        scene.function.start()


# The built function, which waits for all orders of a batch before it writes one: on a machine that is slow enough they
# end more than its 50 ms apart, and each would be written by itself.
GATHERING = """
from orders import recorder

recorder.GATHERING = 300.0

from orders.handler import lambda_handler
"""

REDELIVERIES = {"the same message": ("m1", 2), "another report of it": ("m2", 1), "redriven": ("m3", 1)}

# where it ends → the calls of both attempts, by redelivery: the same message asks first, since it may have told already
KILLS: dict[str, tuple[str, Deed, dict[str, list[str]]]] = {
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
    """The next delivery ends right, with the fewest calls that its knowledge allows."""
    number = f"K{time.monotonic_ns()}"
    operation, deed, calls = KILLS[point]
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.gate.plan[operation] = deed, 1
    scene.deliver_and_crash((number, "m1", 1))
    scene.function.start()
    message_id, receive_count = REDELIVERIES[redelivery]
    assert scene.deliver(number, message_id, receive_count) == []
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    assert scene.wechat_pay.order(MERCHANT, number).syncs == 1
    assert scene.calls(number) == calls.get(redelivery, calls[""])
    _tell(f"| killed {point} | {redelivery} | {', '.join(scene.calls(number))} | {item.status} |")


def test_a_process_killed_in_the_middle_of_a_call(scene: Scene) -> None:
    """WeChat Pay has executed it, nobody was there to hear: the same message asks first."""
    number = f"C{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    with held(scene.wechat_pay):
        scene.function.api.events.put(_batch((number, "m1", 1)))
        until(lambda: scene.calls(number) == ["sync"], state="the call has arrived")
        scene.function.kill()
    scene.function.start()
    assert scene.deliver(number, "m1", 2) == []
    assert scene.calls(number) == ["sync", "query"]
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    _tell(f"| killed (or timed out) in the call | the same message | sync, query | {item.status} |")


@pytest.mark.parametrize(("deed", "outcome"), [("cut before", "sync, query"), ("cut after", "sync")])
def test_a_process_killed_around_the_write_that_orders_share(scene: Scene, deed: Deed, outcome: str) -> None:
    """Three orders ended together: all of them are written, or none is, and then each asks first."""
    scene.function.kill()
    scene.function.start("gathering")
    numbers = [f"S{time.monotonic_ns()}-{each}" for each in range(3)]
    for number in numbers:
        scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.gate.plan["BatchExecuteStatement"] = deed, 1
    scene.deliver_and_crash(*((number, f"m-{number}", 1) for number in numbers))
    scene.function.start()
    assert scene.deliver_batch(_batch(*((number, f"m-{number}", 2) for number in numbers))) == []
    for number in numbers:
        item = scene.item(number)
        assert item is not None
        assert (item.status, scene.wechat_pay.order(MERCHANT, number).syncs) == (Status.SYNCED, 1)
        assert ", ".join(scene.calls(number)) == outcome
    _tell(f"| killed at a write that three orders share ({deed}) | the same messages | {outcome} | SYNCED |")


def test_an_order_does_not_wait_for_a_slow_neighbour_to_be_written(scene: Scene) -> None:
    """Its write waits for others for a moment, not for the neighbour's call: killed in that, it is in the table."""
    quick, slow = f"Q{time.monotonic_ns()}", f"L{time.monotonic_ns()}"
    for number in (quick, slow):
        scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    with held(scene.wechat_pay, holds=lambda request: slow in request.target):
        scene.function.api.events.put(_batch((quick, "m1", 1), (slow, "m2", 1)))
        until(lambda: scene.item(quick), state="the quick order is in the table")
        assert scene.item(slow) is None
        until(lambda: scene.calls(slow) == ["sync"], state="the neighbour's call has arrived")
        scene.function.kill()
    scene.function.start()
    assert scene.deliver_batch(_batch((quick, "m1", 2), (slow, "m2", 2))) == []
    assert (scene.calls(quick), scene.calls(slow)) == (["sync"], ["sync", "query"])
    _tell("| killed in the call of a slow neighbour | the same messages | sync (the neighbour: sync, query) | SYNCED |")


@pytest.mark.parametrize(("deed", "times"), [("throttle", 3), ("fail", 3)])
def test_a_write_that_is_refused_comes_back(scene: Scene, deed: Deed, times: int) -> None:
    """Nothing is permanent while DynamoDB does not take it: the message stays, and asks first."""
    number = f"W{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.gate.plan["BatchExecuteStatement"] = deed, times
    assert scene.deliver(number, "m1", 1) == ["m1"]
    assert scene.item(number) is None
    assert scene.deliver(number, "m1", 2) == []
    item = scene.item(number)
    assert item is not None
    assert item.status is Status.SYNCED
    assert scene.calls(number) == ["sync", "query"]
    _tell(f"| write refused ({deed}) | the same message | sync, query | {item.status} |")


def test_a_write_that_lost_a_race_is_settled_in_the_same_attempt(scene: Scene) -> None:
    """Read again, written on top."""
    number = f"R{time.monotonic_ns()}"
    scene.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    scene.gate.plan["BatchExecuteStatement"] = "conflict", 1
    assert scene.deliver(number, "m1", 1) == []
    item = scene.item(number)
    assert item is not None
    assert (item.status, scene.calls(number)) == (Status.SYNCED, ["sync"])
    _tell(f"| write lost a race | none needed | sync | {item.status} |")


def _tell(row: str) -> None:
    """Print a row, which the page of the matrix has as well."""
    print(row)
    assert row in (Path(__file__).parents[1] / "docs/crashes.md").read_text(encoding="utf-8")


def _batch(*messages: tuple[str, str, int]) -> dict[str, Any]:
    """Records as SQS hands them over: the order's number, the message's id, its receive count."""
    return {"Records": [_record(*message) for message in messages]}


def _record(number: str, message_id: str, receive_count: int) -> dict[str, Any]:
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    attributes = {"ApproximateReceiveCount": str(receive_count)}
    return {"messageId": message_id, "body": json.dumps(payload), "attributes": attributes}
