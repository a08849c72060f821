"""Service orders overseas, which have no `modify`; the host is apihk.mch.weixin.qq.com."""

from sandbox.wechat_pay import sub_merchant_orders
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import oversea as fields
from sandbox.wechat_pay.routes import operation

_FAMILY = "oversea"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"


@operation("POST", _ORDERS, _FAMILY, fields=fields.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order (doc global 4014096395)."""
    return sub_merchant_orders.create(exchange)


@operation("GET", _ORDERS, _FAMILY, fields=fields.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order (doc global 4014096411)."""
    return sub_merchant_orders.query(exchange)


@operation("POST", f"{_ORDER}/complete", _FAMILY, fields=fields.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money (doc global 4014096431)."""
    return sub_merchant_orders.complete(exchange)


@operation("POST", f"{_ORDER}/cancel", _FAMILY, fields=fields.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order (doc global 4014096416)."""
    return sub_merchant_orders.cancel(exchange)


@operation("POST", f"{_ORDER}/sync", _FAMILY, fields=fields.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere (doc global 4014096438)."""
    return sub_merchant_orders.sync(exchange)
