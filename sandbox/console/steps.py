"""What the customer, the shop and WeChat Pay may do next with an order: asked of the simulator's own rules. Pure."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.console.errors import ConsoleError
from sandbox.wechat_pay import Simulator, orders
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import SimulatedRefusal

type Change = Callable[[SimulatedOrder], SimulatedOrder]
type Execute = Callable[[Simulator, SimulatedOrder, int], SimulatedOrder]


@dataclass(frozen=True, slots=True)
class OrderStep:
    """A step: who takes it, the rule that permits it, and how the simulator executes it.

    `amount`: it takes an amount in fen.
    """

    who: str
    rule: Change
    execute: Execute
    amount: bool = False


def _deducting(order: SimulatedOrder, *, on: bool) -> SimulatedOrder:
    """A deduction begins on an order that can be deducted, and ends where one has begun."""
    orders.deduct(order, order.created_at)
    if order.deducting is on:
        raise ConsoleError("orders.not_now")
    return order


def _call(name: str, **options: bool) -> Execute:
    def execute(wechat_pay: Simulator, order: SimulatedOrder, _: int) -> SimulatedOrder:
        verb: Callable[..., SimulatedOrder] = getattr(wechat_pay, name)
        return verb(order.mchid, order.out_order_no, sub_mchid=order.sub_mchid, **options)

    return execute


def _complete(wechat_pay: Simulator, order: SimulatedOrder, amount: int) -> SimulatedOrder:
    return wechat_pay.complete(order.mchid, order.out_order_no, total_amount=amount, sub_mchid=order.sub_mchid)


STEPS: Mapping[str, OrderStep] = {
    "confirm": OrderStep("customer", orders.confirm, _call("confirm")),
    "complete": OrderStep("shop", lambda order: orders.complete(order, 1, order.created_at), _complete, amount=True),
    "cancel": OrderStep("shop", orders.cancel, _call("cancel")),
    "deducting": OrderStep("wechat_pay", lambda order: _deducting(order, on=True), _call("deducting", on=True)),
    "not_deducting": OrderStep("wechat_pay", lambda order: _deducting(order, on=False), _call("deducting", on=False)),
    "deduct": OrderStep("wechat_pay", lambda order: orders.deduct(order, time.time()), _call("deduct")),
    "expire": OrderStep("wechat_pay", orders.expire, _call("expire")),
}
"""Every step by name, in the sequence of an order's life."""


def allowed(order: SimulatedOrder) -> dict[str, OrderStep]:
    """Return the steps that the order's state allows."""
    return {name: step for name, step in STEPS.items() if _permits(step, order)}


def _permits(step: OrderStep, order: SimulatedOrder) -> bool:
    try:
        step.rule(order)
    except (SimulatedRefusal, ConsoleError):
        return False
    return True
