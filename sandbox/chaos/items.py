"""Raw items of the orders table, and those that another program has written: of a later version, or unreadable."""

from collections.abc import Mapping

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from sandbox.audit import RawItem
from sandbox.chaos.reports import PAID_TIME
from sandbox.chaos.sales import Sale
from sandbox.testbed import Testbed

_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize

UNREADABLE_STATUS: tuple[Mapping[str, object], ...] = ({"status": "REFUNDED"}, {"status": 7}, {})
"""The status of items that cannot be read: an operator's word, a number, none."""


def later_version_item(sale: Sale) -> RawItem:
    """Return the item that an earlier attempt of a later version wrote: readable, with unknown members."""
    at = "2026-01-01T04:00:01.000Z"
    entry = {"at": at, "message_id": "earlier", "outcome": "RETRYING", "code": "UNREACHABLE", "region": "cn-north-1"}
    return {
        "pk": sale.key,
        "mchid": sale.mchid,
        "out_order_no": sale.out_order_no,
        "endpoint": sale.endpoint,
        **({"sub_mchid": sale.sub_mchid} if sale.sub_mchid else {}),
        "status": "RETRYING",
        "attention": "RETRYING",
        "reason": "UNREACHABLE",
        "paid_time": PAID_TIME,
        "attempts": 1,
        "version": 1,
        "created_at": at,
        "updated_at": at,
        "history": [entry],
        "last_error": {"code": "UNREACHABLE", "message": "no host", "severity": 3},
        "ticket": {"system": "desk", "number": 4711},
    }


def unreadable_item(sale: Sale, position: int) -> RawItem:
    """Return the same with a status that no version of the function has written."""
    item = {name: value for name, value in later_version_item(sale).items() if name not in {"status", "attention"}}
    return item | dict(UNREADABLE_STATUS[position % len(UNREADABLE_STATUS)])


def read_items(testbed: Testbed) -> dict[str, RawItem]:
    """Return every order's item by its key, as it stands."""
    pages = (
        testbed.cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=testbed.stack.outputs["OrdersTableName"], ConsistentRead=True)
    )
    items = [{name: _deserialize(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    return {item["pk"]: item for item in items if "out_order_no" in item}


def put_item(testbed: Testbed, item: RawItem) -> None:
    """Write an item to the orders table as it is."""
    serialized = {name: _serialize(value) for name, value in item.items()}
    testbed.cloud.client("dynamodb").put_item(TableName=testbed.stack.outputs["OrdersTableName"], Item=serialized)


def make_unreadable(testbed: Testbed, sale: Sale) -> RawItem:
    """Edit an order's item as an operator might: an unknown status, the version one more; return the item."""
    values = {":status": "REFUNDED", ":none": 0, ":one": 1, ":mchid": sale.mchid, ":number": sale.out_order_no}
    attributes = testbed.cloud.client("dynamodb").update_item(
        TableName=testbed.stack.outputs["OrdersTableName"],
        Key={"pk": {"S": sale.key}},
        UpdateExpression="SET #status = :status, #version = if_not_exists(#version, :none) + :one, "
        "mchid = :mchid, out_order_no = :number",
        ExpressionAttributeNames={"#status": "status", "#version": "version"},
        ExpressionAttributeValues={name: _serialize(value) for name, value in values.items()},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    return {name: _deserialize(value) for name, value in attributes.items()}
