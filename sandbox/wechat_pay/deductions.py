"""Deductions that an acquiring bank registers for an order (docs partner 4013194058, 4013194282, 4013194292).

WeChat Pay does not deduct for a bank: the bank registers a number and asks the clearing house. While a registered
deduction is valid the order cannot be canceled, modified or synced; the pages print no code for that.
"""

from sandbox.wechat_pay import orders, refusals
from sandbox.wechat_pay.orders import SimulatedOrder

VALID = 24 * 3600  # seconds


def register(order: SimulatedOrder, out_trade_no: str, at: float) -> SimulatedOrder:
    """Register a deduction of an order that waits for its money; a number is used once."""
    orders.require_modifiable(order)
    if order.deduction == out_trade_no:
        raise refusals.OTHER_PARAMETERS
    require_none(order, at)
    return orders.alter(order, deduction=out_trade_no, deduction_at=at)


def require_none(order: SimulatedOrder, at: float) -> None:
    """Refuse while a registered deduction is valid, as while WeChat Pay itself deducts."""
    if order.deduction and order.state == "DOING" and at - order.deduction_at < VALID:
        raise refusals.DEDUCTING
