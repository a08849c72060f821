"""The deductions that an acquiring bank registers for the orders of its sub-merchants."""

from sandbox.wechat_pay import deductions, refusals
from sandbox.wechat_pay.endpoints.sub_merchant import owned_order
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import acquiringbank as fields
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.routes import operation

_FAMILY = "acquiringbank"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"


@operation("POST", f"{_ORDER}/registerdeductinfo", _FAMILY, fields=fields.REGISTER_DEDUCTION)
def register_deduction(exchange: Exchange) -> Executed:
    """Register the deduction that the bank will ask the clearing house for; it is valid for 24 hours."""
    order = owned_order(exchange)
    registered = deductions.register(order, exchange.parameters["out_trade_no"], exchange.at)
    return Executed(ok({"description": order.service_introduction}), registered)


@operation("GET", f"{_ORDERS}/deduction", _FAMILY, fields=fields.QUERY_DEDUCTION)
def query_deduction(exchange: Exchange) -> Executed:
    """Answer with the deduction that was registered last."""
    order = owned_order(exchange)
    if not order.deduction:
        raise refusals.NOT_EXIST
    return Executed(ok({"description": order.service_introduction, "out_trade_no": order.deduction}), order)
