"""Service orders of a sub-merchant: by its service provider, by its acquiring bank, and overseas.

Overseas there is no `modify`, and the host is apihk.mch.weixin.qq.com.
"""

from sandbox.wechat_pay import sub_merchant_orders
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import acquiringbank, oversea, partner
from sandbox.wechat_pay.routes import operation

_PARTNER, _BANK, _OVERSEA = (ENDPOINTS[name] for name in ("partner", "acquiringbank", "oversea"))
_NUMBER = "/{out_order_no}"


@operation("POST", _PARTNER, "partner", fields=partner.CREATE)
@operation("POST", _BANK, "acquiringbank", fields=acquiringbank.CREATE)
@operation("POST", _OVERSEA, "oversea", fields=oversea.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order.

    Pages: wiki chapter 6_2_1; doc partner 4013194023; doc global 4014096395.
    """
    return sub_merchant_orders.create(exchange)


@operation("GET", _PARTNER, "partner", fields=partner.QUERY)
@operation("GET", _BANK, "acquiringbank", fields=acquiringbank.QUERY)
@operation("GET", _OVERSEA, "oversea", fields=oversea.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order.

    Pages: doc partner 4013138559; doc partner 4013194035; doc global 4014096411.
    """
    return sub_merchant_orders.query(exchange)


@operation("POST", f"{_PARTNER}{_NUMBER}/complete", "partner", fields=partner.COMPLETE)
@operation("POST", f"{_BANK}{_NUMBER}/complete", "acquiringbank", fields=acquiringbank.COMPLETE)
@operation("POST", f"{_OVERSEA}{_NUMBER}/complete", "oversea", fields=oversea.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money.

    Pages: doc partner 4013138598; doc partner 4013194080; doc global 4014096431.
    """
    return sub_merchant_orders.complete(exchange)


@operation("POST", f"{_PARTNER}{_NUMBER}/modify", "partner", fields=partner.MODIFY)
@operation("POST", f"{_BANK}{_NUMBER}/modify", "acquiringbank", fields=acquiringbank.MODIFY)
def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for.

    Pages: doc partner 4013138819; doc partner 4013194282.
    """
    return sub_merchant_orders.modify(exchange)


@operation("POST", f"{_PARTNER}{_NUMBER}/cancel", "partner", fields=partner.CANCEL)
@operation("POST", f"{_BANK}{_NUMBER}/cancel", "acquiringbank", fields=acquiringbank.CANCEL)
@operation("POST", f"{_OVERSEA}{_NUMBER}/cancel", "oversea", fields=oversea.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order.

    Pages: doc partner 4012458758; doc partner 4013194058; doc global 4014096416.
    """
    return sub_merchant_orders.cancel(exchange)


@operation("POST", f"{_PARTNER}{_NUMBER}/sync", "partner", fields=partner.SYNC)
@operation("POST", f"{_BANK}{_NUMBER}/sync", "acquiringbank", fields=acquiringbank.SYNC)
@operation("POST", f"{_OVERSEA}{_NUMBER}/sync", "oversea", fields=oversea.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere.

    Pages: doc partner 4013138975; doc partner 4013194292; doc global 4014096438.
    """
    return sub_merchant_orders.sync(exchange)
