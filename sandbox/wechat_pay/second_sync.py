"""How the sync of an order is answered that was synced before: the pages do not say it, switches do."""

from collections.abc import Mapping

from sandbox.wechat_pay import operations, refusals
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.orders import SimulatedOrder, moment
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.routes import Operation

_REFUSALS: Mapping[str, SimulatedRefusal] = {
    "ORDER_DONE": refusals.DONE,
    "INVALID_ORDER_STATE": refusals.INVALID_STATE,
    "INVALID_REQUEST": SimulatedRefusal(400, "INVALID_REQUEST", "当前订单状态不合法", "271302262"),
}


def execute(operation: Operation, exchange: Exchange) -> Executed:
    """Execute the operation; a sync of an order that was synced before is answered as the switches say."""
    try:
        return operation.execute(exchange)
    except SimulatedRefusal as refusal:
        if refusal is refusals.DONE and exchange.operation == "sync" and _was_synced(exchange.order):
            return _answer(exchange)
        raise


def _was_synced(order: SimulatedOrder | None) -> bool:
    return order is not None and order.paid_type == "MCH"


def _answer(exchange: Exchange) -> Executed:
    """Answer a second sync, or raise its refusal."""
    order, switches = operations.owned_order(exchange), exchange.switches
    choice = switches.second_sync if _is_same(order, exchange) else switches.second_sync_other_time
    if choice == "200":
        return Executed(operations.synced_reply(order))
    raise _REFUSALS[choice]


def _is_same(order: SimulatedOrder, exchange: Exchange) -> bool:
    """Return whether the time of payment is that of the first sync."""
    detail = exchange.parameters.get("detail")
    paid_time = detail.get("paid_time") if isinstance(detail, dict) else None
    try:
        return isinstance(paid_time, str) and moment(paid_time) == moment(order.paid_time)
    except SimulatedRefusal:
        return False
