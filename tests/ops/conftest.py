"""An operator next to the deployed template that all tests share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from ops.__main__ import main
from ops.stack import Deployment
from orders.items import item_of
from orders.order import Order, Payment, Status
from sandbox.testbed import MERCHANT, Testbed

AT = "2026-01-01T04:00:00.000Z"


@dataclass(frozen=True)
class Operator:
    """An operator, who runs commands against the stack of a sandbox."""

    world: Testbed
    capsys: pytest.CaptureFixture[str]

    @property
    def table(self) -> str:
        """The name of the orders table."""
        return self.world.stack.outputs["OrdersTableName"]

    def put(
        self, number: str, status: Status, *, raw: Mapping[str, Any] | None = None, at: str = AT, **fields: Any
    ) -> str:
        """Write an order's item with the changes of `raw` to its attributes; return its key."""
        fields = {"facts": None, "payment": Payment(MERCHANT, number, "20260101120000")} | fields
        order = Order(status=status, version=fields.pop("version", 1), created_at=at, updated_at=at, **fields)
        item = {**item_of(order), **(raw or {})}
        self.world.cloud.client("dynamodb").put_item(TableName=self.table, Item=item)
        return order.key

    def item(self, key: str) -> dict[str, Any]:
        """Return the attributes of an item as they stand."""
        dynamodb = self.world.cloud.client("dynamodb")
        item: dict[str, Any] = dynamodb.get_item(TableName=self.table, Key={"pk": {"S": key}})["Item"]
        return item

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit status, stdout and stderr."""
        try:
            code = main(["--stack", "sandbox", "--endpoint-url", self.world.cloud.endpoint_url, *arguments])
        except SystemExit as end:  # of a wrong command line
            code = int(end.code or 0)
        output = self.capsys.readouterr()
        return code, output.out, output.err


@pytest.fixture(scope="session")
def deployment(world: Testbed) -> Deployment:
    """The shared sandbox's stack, looked up once: making clients takes longer than most commands."""
    return Deployment.find("sandbox", endpoint_url=world.cloud.endpoint_url, session=world.cloud.session)


@pytest.fixture
def operator(
    world: Testbed, deployment: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Operator:
    """An operator of the shared sandbox; modules with a sandbox of their own have another one."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    return Operator(world, capsys)
