"""Service orders overseas, which have no `modify` (docs 4014096411, 4014096438)."""

from sandbox.wechat_pay import operations
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.routes import operation

_FAMILY = "oversea"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"


@operation("POST", _ORDERS, _FAMILY)
def create(exchange: Exchange) -> Executed:
    """Create an order."""
    return operations.create(exchange)


@operation("GET", _ORDERS, _FAMILY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order."""
    return operations.query(exchange)


@operation("POST", f"{_ORDER}/complete", _FAMILY)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money."""
    return operations.complete(exchange)


@operation("POST", f"{_ORDER}/cancel", _FAMILY)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order."""
    return operations.cancel(exchange)


@operation("POST", f"{_ORDER}/sync", _FAMILY)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere."""
    return operations.sync(exchange)
