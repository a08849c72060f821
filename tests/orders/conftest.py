"""The function's parts in this process, put together as the handler does; WeChat Pay and AWS are the sandbox's."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitTransition

from orders.bootstrap import bootstrap
from orders.event import Message
from orders.order import Facts, Order
from orders.relay import Relay
from orders.results import Result
from orders.settings import Settings
from orders.table import OrdersTable
from sandbox.cloud import Cloud
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator

PAID_TIME = "20260101120000"
LIMITS = (10.0, 30.0)  # seconds to connect and to wait for an answer: both fit into a batch of 60
CALL_BUDGET = 50.0  # seconds of one call with these limits; a batch has 60
LONG_AGO = 1_764_547_200.0  # 2025-12-01, before the payments


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An AWS without a stack, with a table and a queue for these tests."""
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.client("dynamodb").create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        cloud.client("sqs").create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "60"})
        yield cloud


@dataclass
class Shop:
    """A till, the function's parts, WeChat Pay and AWS."""

    cloud: Cloud
    wechat_pay: Simulator
    table: OrdersTable
    relay: Relay
    transitions: list[CircuitTransition] = field(default_factory=list)

    def order_no(self, *, ready: bool = True) -> str:
        """The number of a new order, which waits for its money at WeChat Pay unless `ready` is False."""
        number = f"N{time.monotonic_ns()}"
        if ready:
            self.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
        return number

    def run(self, *messages: Message, time_left: float = 60.0) -> list[Result]:
        """Run a batch."""
        return self.relay.run(messages, lambda: time_left)

    def item(self, number: str, mchid: str = MERCHANT) -> Order:
        """The order's item by `mchid` or `mchid/sub_mchid`; fails if there is none that can be read."""
        order = self.table.load([f"{mchid}#{number}"])[f"{mchid}#{number}"]
        assert isinstance(order, Order)
        return order

    def facts(self, number: str, mchid: str = MERCHANT) -> Facts:
        """The facts of the last verified answer about the order; fails if there are none."""
        facts = self.item(number, mchid).facts
        assert facts is not None
        return facts

    def calls(self, number: str) -> list[str]:
        """The operations that were called for the order."""
        return [call.operation for call in self.wechat_pay.calls if call.out_order_no == number]


def a_message(number: str, message_id: str = "m1", receive_count: int = 1, **changes: Any) -> Message:
    """A till's report of a payment, as SQS delivers it; `changes` are fields of the payload."""
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": PAID_TIME}, **changes}
    return Message(message_id, json.dumps(payload), receive_count)


@pytest.fixture
def shop(cloud: Cloud, wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop with one merchant, whose secret has the appid and the service_id.

    New orders of a batch are written together, however slow the machine is.
    """
    monkeypatch.setattr("orders.recorder.GATHERING", PATIENCE)
    prefix = f"shop-{time.monotonic_ns()}"
    secret = wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
    cloud.put_secret(f"{prefix}/{MERCHANT}", secret)
    settings = Settings.from_env(
        {
            "ORDERS_TABLE": "orders",
            "ORDER_QUEUE_URL": cloud.client("sqs").get_queue_url(QueueName="orders")["QueueUrl"],
            "MERCHANT_SECRET_PREFIX": prefix,
            "WECHATPAY_BASE_URL": wechat_pay.base_url,
            "WECHATPAY_BACKUP_URL": wechat_pay.backup_url,
            "WECHATPAY_TIMEOUT": ",".join(map(str, LIMITS)),
        }
    )
    transitions: list[CircuitTransition] = []
    with ThreadPoolExecutor(8) as pool:
        relay = bootstrap(
            settings,
            on_transition=transitions.append,
            aws=cloud,
            executor=pool,
            jitter=lambda: 1.0,
            circuit=f"CIRCUIT#{prefix}",
        )
        assert isinstance(relay.table, OrdersTable)
        yield Shop(cloud, wechat_pay, relay.table, relay, transitions=transitions)
