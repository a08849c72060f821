"""Service orders of an acquiring bank's sub-merchant, and the deductions that the bank registers for them."""

from sandbox.wechat_pay import deductions, refusals, sub_merchant_orders
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import acquiringbank as fields
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.routes import operation

_FAMILY = "acquiringbank"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"


@operation("POST", _ORDERS, _FAMILY, fields=fields.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order (doc partner 4013194023)."""
    return sub_merchant_orders.create(exchange)


@operation("GET", _ORDERS, _FAMILY, fields=fields.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order (doc partner 4013194035)."""
    return sub_merchant_orders.query(exchange)


@operation("POST", f"{_ORDER}/complete", _FAMILY, fields=fields.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money (doc partner 4013194080)."""
    return sub_merchant_orders.complete(exchange)


@operation("POST", f"{_ORDER}/modify", _FAMILY, fields=fields.MODIFY)
def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for (doc partner 4013194282)."""
    return sub_merchant_orders.modify(exchange)


@operation("POST", f"{_ORDER}/cancel", _FAMILY, fields=fields.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order (doc partner 4013194058)."""
    return sub_merchant_orders.cancel(exchange)


@operation("POST", f"{_ORDER}/sync", _FAMILY, fields=fields.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere (doc partner 4013194292)."""
    return sub_merchant_orders.sync(exchange)


@operation("POST", f"{_ORDER}/registerdeductinfo", _FAMILY, fields=fields.REGISTER_DEDUCTION)
def register_deduction(exchange: Exchange) -> Executed:
    """Register the deduction that the bank will ask the clearing house for; it is valid for 24 hours."""
    order = sub_merchant_orders.owned_order(exchange)
    registered = deductions.register(order, exchange.parameters["out_trade_no"], exchange.at)
    return Executed(ok({"description": order.service_introduction}), registered)


@operation("GET", f"{_ORDERS}/deduction", _FAMILY, fields=fields.QUERY_DEDUCTION)
def query_deduction(exchange: Exchange) -> Executed:
    """Answer with the deduction that was registered last."""
    order = sub_merchant_orders.owned_order(exchange)
    if not order.deduction:
        raise refusals.NOT_EXIST
    return Executed(ok({"description": order.service_introduction, "out_trade_no": order.deduction}), order)
