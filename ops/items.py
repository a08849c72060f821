"""Items of the orders table, including those that this version cannot read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ops.stack import Deployment, OpsError
from orders.errors import UnreadableItemError
from orders.items import document_of, order_of
from orders.order import Order
from wechatpay.text import printable


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the table (`attributes`); if it cannot be read, `order` is None and `problem` says why."""

    key: str
    attributes: Mapping[str, Any]
    order: Order | None
    problem: str = ""

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """Read an item; its content never raises."""
        key = printable(str(attributes.get("pk", {}).get("S", "")))
        try:
            return cls(key, attributes, order_of(attributes))
        except UnreadableItemError as error:
            return cls(key, attributes, None, printable(error.problem))

    @property
    def owner(self) -> str:
        """The merchant; of a sub-merchant's order `mchid/sub_mchid`."""
        return owner_and_number(self.key)[0]

    @property
    def out_order_no(self) -> str:
        """The order's number."""
        return owner_and_number(self.key)[1]

    @property
    def document(self) -> dict[str, object]:
        """The item for JSON: its attributes as plain values; of an unreadable item DynamoDB's own form."""
        if self.order is None:
            return {"unreadable": self.problem, "attributes": self.attributes}
        return {name: value for name, value in document_of(self.order).items() if value not in (None, "", ())}

    @property
    def updated_at(self) -> str:
        """The time of the last write as the item has it; `-` if it has none."""
        return printable(str(self.attributes.get("updated_at", {}).get("S", "-")), 32)


def find(deployment: Deployment, key: str) -> Item | None:
    """Return the item with this key, strongly consistent; None if there is none."""
    answer = deployment.client("dynamodb").get_item(
        TableName=deployment.outputs["OrdersTableName"], Key={"pk": {"S": key}}, ConsistentRead=True
    )
    return Item.of(answer["Item"]) if "Item" in answer else None


def require(deployment: Deployment, key: str) -> Item:
    """Return the item with this key; OpsError if there is none."""
    item = find(deployment, key)
    if item is None:
        remedy = "" if "/" in key else "; for an order of a sub-merchant give --sub-mchid"
        raise OpsError(f"no item {key}: no event of this order has been read{remedy}")
    return item


def owner_and_number(key: str) -> tuple[str, str]:
    """Split a key of the table into the merchant (with a sub-merchant, if any) and the order's number."""
    owner, _, number = key.rpartition("#")
    return owner, number
