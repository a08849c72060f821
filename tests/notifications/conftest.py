"""The second function's parts in this process: real keys, signatures, secrets and rules; a table in memory."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import wechatpay
from notifications.endings import Ending, Received
from notifications.lookups import Lookups
from notifications.receiver import Receiver
from orders.merchants import Merchants
from orders.order import Order
from sandbox.notifications_front import event_of
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.wechat_pay import Simulator
from tests.orders.inprocess import MemoryTable, Wire, session_with

PAID = "PAYSCORE.USER_PAID"


@dataclass
class SimulatedSecrets:
    """Secrets Manager in memory; `fetches` has the name of each secret that was asked for."""

    secrets: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    fetches: list[str] = field(default_factory=list)
    fault: str = ""

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803  as boto3 has it
        """Return the secret's text, or fail as Secrets Manager does."""
        self.fetches.append(SecretId)
        code = self.fault or ("" if SecretId in self.secrets else "ResourceNotFoundException")
        if code:
            raise ClientError(
                {"Error": {"Code": code, "Message": "can't find the specified secret."}}, "GetSecretValue"
            )
        return {"SecretString": json.dumps(self.secrets[SecretId])}


@dataclass
class Doorway:
    """WeChat Pay, the second function, its table and secrets; `now` is the time of all of them."""

    wechat_pay: Simulator
    table: MemoryTable
    secrets: SimulatedSecrets
    receiver: Receiver
    clock: "Clock"

    def notification(self, number: str, event_type: str = PAID, *, serial: str = "") -> tuple[dict[str, str], bytes]:
        """Return the signed call of WeChat Pay about an order."""
        return self.wechat_pay.notification(MERCHANT, number, event_type, serial=serial)

    def deliver(self, headers: Mapping[str, str], body: bytes, mchid: str = MERCHANT, time_left: float = 5.0) -> Ending:
        """Hand a request to the function as the front does."""
        event = event_of("POST", f"/{mchid}", headers.items(), body, self.clock.now)
        return self.receiver.receive(event, lambda: time_left)

    def notify(self, number: str, event_type: str = PAID) -> Ending:
        """Have WeChat Pay tell of an order."""
        return self.deliver(*self.notification(number, event_type))

    def effect(self, number: str, event_type: str = PAID) -> str:
        """Have WeChat Pay tell of an order; return what that has changed."""
        ending = self.notify(number, event_type)
        assert isinstance(ending, Received), ending
        return str(ending.effect)

    def item(self, number: str, owner: str = MERCHANT) -> Order | None:
        """Return the order's item."""
        return self.table.items.get(f"{owner}#{number}")

    def collected(self, number: str) -> str:
        """Have WeChat Pay collect for an order; return its number."""
        self.wechat_pay.ready_to_sync(MERCHANT, number)
        self.wechat_pay.deduct(MERCHANT, number)
        return number


@dataclass
class Clock:
    """A time that a test sets."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


@pytest.fixture
def doorway(key_ring: Path) -> Iterator[Doorway]:
    """A merchant whose secret has all its keys."""
    clock, secrets, table = Clock(), SimulatedSecrets(), MemoryTable()
    wechat_pay = Simulator(clock=clock, keys=key_ring)  # without a port: called in this process
    secret = wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
    secrets.secrets[f"wechatpay/{MERCHANT}"] = secret
    with session_with(Wire(wechat_pay)) as session:
        factory = partial(
            wechatpay.Client, base_url="http://main", backup_url="http://backup", session=session, clock=clock
        )
        merchants = Merchants(secrets, "wechatpay", factory, clock=clock, wall_clock=clock)  # type: ignore[arg-type]
        lookups = Lookups(merchants, clock=clock)
        receiver = Receiver(table, lookups, days=14, within=5.0, call_limit=2.25, clock=clock)
        yield Doorway(wechat_pay, table, secrets, receiver, clock)
