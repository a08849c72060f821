"""What the customer, the shop and WeChat Pay may do next with an order: asked of the simulator's own rules."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.console.errors import ConsoleError
from sandbox.wechat_pay import Simulator, control, orders
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import SimulatedRefusal

type Change = Callable[[SimulatedOrder], SimulatedOrder]


@dataclass(frozen=True, slots=True)
class OrderStep:
    """A step: who takes it, the rule that permits it, and the verb that executes it, with its further arguments.

    `amount`: it takes an amount in fen.
    """

    who: str
    rule: Change
    verb: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    amount: bool = False


def _deducting(order: SimulatedOrder, *, on: bool) -> SimulatedOrder:
    """A deduction begins on an order that can be deducted, and ends where one has begun."""
    orders.deduct(order, order.created_at)
    if order.deducting is on:
        raise ConsoleError("orders.not_now")
    return order


STEPS: Mapping[str, OrderStep] = {
    "confirm": OrderStep("customer", orders.confirm, "confirm"),
    "complete": OrderStep("shop", lambda order: orders.complete(order, 1, order.created_at), "complete", amount=True),
    "cancel": OrderStep("shop", orders.cancel, "cancel"),
    "deducting": OrderStep("wechat_pay", lambda order: _deducting(order, on=True), "deducting"),
    "not_deducting": OrderStep("wechat_pay", lambda order: _deducting(order, on=False), "deducting", {"on": False}),
    "deduct": OrderStep("wechat_pay", lambda order: orders.deduct(order, time.time()), "deduct"),
    "pay": OrderStep("customer", lambda order: orders.deduct(order, time.time()), "pay"),
    "expire": OrderStep("wechat_pay", orders.expire, "expire"),
}
"""Every step by name, in the sequence of an order's life."""


def take(wechat_pay: Simulator, name: str, order: SimulatedOrder, amount: int) -> None:
    """Take a step with an order; CommandError says which state was wanted where its own forbids it."""
    step = STEPS[name]
    values = {"mchid": order.mchid, "out_order_no": order.out_order_no, "sub_mchid": order.sub_mchid, **step.arguments}
    control.execute(wechat_pay, step.verb, values | ({"total_amount": amount} if step.amount else {}))


def allowed(order: SimulatedOrder) -> dict[str, OrderStep]:
    """Return the steps that the order's state allows."""
    return {name: step for name, step in STEPS.items() if _permits(step, order)}


def _permits(step: OrderStep, order: SimulatedOrder) -> bool:
    try:
        step.rule(order)
    except (SimulatedRefusal, ConsoleError):
        return False
    return True
