"""Refunds of what WeChat Pay has collected (docs 4012587971, 4012587976; partner 4013163605)."""

from sandbox.wechat_pay import refunds
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.fields import refunds as fields
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.refunds import SimulatedRefund
from sandbox.wechat_pay.routes import operation

_REFUNDS = "/v3/refund/domestic/refunds"


@operation("POST", _REFUNDS, fields=fields.APPLY)
def apply_refund(exchange: Exchange) -> Executed:
    """Accept a refund of a payment, whole or in part."""
    ledger, parameters = exchange.ledger, exchange.parameters
    if refund := ledger.refunds.get(exchange.mchid, parameters["out_refund_no"]):
        return Executed(ok(refunds.answer(refunds.repeat(_as_it_stands(exchange, refund), parameters))))
    payment = refunds.find(parameters, ledger.payments(exchange.mchid))
    earlier = ledger.refunds.of_payment(payment)
    refund = ledger.refunds.store(refunds.apply(parameters, payment, earlier, exchange.at))
    return Executed(ok(refunds.answer(refund)))


@operation("GET", _REFUNDS + "/{out_refund_no}", fields=fields.QUERY)
def query_refund(exchange: Exchange) -> Executed:
    """Answer with the refund as it stands."""
    refund = exchange.ledger.refunds.of_number(exchange.mchid, exchange.path["out_refund_no"])
    if refund.parameters.get("sub_mchid", "") != exchange.parameters.get("sub_mchid", ""):
        raise refunds.OTHER_SHOP
    return Executed(ok(refunds.answer(_as_it_stands(exchange, refund))))


def _as_it_stands(exchange: Exchange, refund: SimulatedRefund) -> SimulatedRefund:
    return exchange.ledger.refunds.store(refunds.as_of(refund, exchange.at, exchange.switches.refund_seconds))
