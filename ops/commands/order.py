"""`order`: show an order, list those that need attention."""

import argparse
from collections.abc import Iterator

from ops import attention, items, screen
from ops.commands.parser import Nouns
from ops.items import Item
from ops.output import Output, Report, Row, Stream
from ops.stack import Deployment, OpsError
from orders.items import document_of
from orders.order import Status


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    order = nouns.noun("order", "show orders")
    show = order.command("show", _show, "show everything about one order")
    show.add_argument("mchid")
    show.add_argument("out_order_no")
    show.add_argument("--sub-mchid", help="sub-merchant of the order (endpoints partner, acquiringbank, oversea)")
    listing = order.command("list", _list, "list the orders that need attention")
    listing.add_argument("--attention", action="store_true", required=True, help="list the index of this name")
    statuses = [status.value for status in attention.STATUSES]
    listing.add_argument("--status", action="append", choices=statuses, help="only this status; may be repeated")


def _show(deployment: Deployment, options: argparse.Namespace) -> Output:
    owner = f"{options.mchid}/{options.sub_mchid}" if options.sub_mchid else options.mchid
    key = f"{owner}#{options.out_order_no}"
    item = items.find(deployment, key)
    if item is None:
        advice = "" if options.sub_mchid else "; for an order of a sub-merchant give --sub-mchid"
        raise OpsError(f"no item {key}: no event of this order has been read{advice}")
    document = _document(item)
    return Report(tuple(screen.document(document).splitlines()), document)


def _document(item: Item) -> dict[str, object]:
    if item.order is None:
        return {"unreadable": item.problem, "attributes": item.attributes}
    return {name: value for name, value in document_of(item.order).items() if value not in (None, "", ())}


def _list(deployment: Deployment, options: argparse.Namespace) -> Output:
    statuses = [Status(word) for word in options.status or attention.STATUSES]
    columns = ("updated", "status", "merchant", "order", "reason", "refusal", "transaction")
    return Stream(columns, _rows(deployment, statuses))


def _rows(deployment: Deployment, statuses: list[Status]) -> Iterator[Row]:
    for item in attention.items(deployment, statuses):
        yield Row(_cells(item), _document(item))


def _cells(item: Item) -> tuple[object, ...]:
    order = item.order
    if order is None:
        return (item.updated_at, "UNREADABLE", *items.owner_and_number(item.key), item.problem, "", "")
    refusal = f"{order.last_error.code} {order.last_error.message}" if order.last_error else ""
    transaction_id = order.facts.transaction_id if order.facts else None
    parts = (*items.owner_and_number(item.key), order.reason, refusal, transaction_id)
    return (order.updated_at, order.status, *parts)
