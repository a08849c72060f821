"""Service orders of a sub-merchant, by its service provider."""

from sandbox.wechat_pay import sub_merchant_orders
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import partner as fields
from sandbox.wechat_pay.routes import operation

_FAMILY = "partner"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"


@operation("POST", _ORDERS, _FAMILY, fields=fields.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order (wiki chapter 6_2_1)."""
    return sub_merchant_orders.create(exchange)


@operation("GET", _ORDERS, _FAMILY, fields=fields.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order (doc partner 4013138559)."""
    return sub_merchant_orders.query(exchange)


@operation("POST", f"{_ORDER}/complete", _FAMILY, fields=fields.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money (doc partner 4013138598)."""
    return sub_merchant_orders.complete(exchange)


@operation("POST", f"{_ORDER}/modify", _FAMILY, fields=fields.MODIFY)
def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for (doc partner 4013138819)."""
    return sub_merchant_orders.modify(exchange)


@operation("POST", f"{_ORDER}/cancel", _FAMILY, fields=fields.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order (doc partner 4012458758)."""
    return sub_merchant_orders.cancel(exchange)


@operation("POST", f"{_ORDER}/sync", _FAMILY, fields=fields.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere (doc partner 4013138975)."""
    return sub_merchant_orders.sync(exchange)
