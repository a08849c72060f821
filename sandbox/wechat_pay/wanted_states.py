"""What to do about a verb that an order's state forbids: which state was wanted, and which steps lead there."""

from collections.abc import Sequence

from sandbox.wechat_pay.orders import SimulatedOrder

CREATED, CONFIRMED, COMPLETED = "CREATED", "DOING/USER_CONFIRM", "DOING/MCH_COMPLETE"
OPEN = f"{CREATED} or DOING"

_STEPS: Sequence[tuple[str, str]] = ((CREATED, "confirm"), (CONFIRMED, "complete"), (COMPLETED, ""))
"""The states of an order in their order, each with the verb that leads to the next."""


def state_of(order: SimulatedOrder) -> str:
    """Return an order's state as the pages write it, with how it ended."""
    if order.state == "DOING":
        return f"DOING/{order.state_description}"
    return f"{order.state}, paid by {order.paid_type}" if order.paid_type else order.state


def objection(verb: str, needs: str, order: SimulatedOrder) -> str:
    """Return why a verb cannot be executed on this order, and what to do first."""
    return f"{verb} needs {needs}; {order.out_order_no} is {state_of(order)}: {_remedy(needs, order)}"


def _remedy(needs: str, order: SimulatedOrder) -> str:
    states = [state for state, _ in _STEPS]
    if order.deducting and needs in {*states, OPEN}:
        return "WeChat Pay is deducting: deducting with on false ends it without the money, deduct with it"
    if needs not in states or state_of(order) not in states:
        return "this state never changes again; open another order"
    position, target = states.index(state_of(order)), states.index(needs)
    if position >= target:
        return "it has passed that state; open another order"
    steps = [step for _, step in _STEPS[position:target]]
    return f"{' and '.join(steps)} it first"
