"""What happens to one order, drawn by a seed, and how it must end: computed without the simulator."""

import random
from dataclasses import dataclass
from typing import Literal

Behaviour = Literal["till", "deducted", "race", "order page", "canceled", "unconfirmed", "nothing due"]

SHARES: dict[Behaviour, int] = {
    "till": 30,
    "race": 25,
    "deducted": 15,
    "order page": 10,
    "canceled": 8,
    "unconfirmed": 7,
    "nothing due": 5,
}
"""Percent of the orders."""

ARRIVALS = 20 * 3600  # seconds of the day in which orders are created; the rest is for those that take long
RETRY = 180  # seconds until the till tries again while WeChat Pay is deducting (doc 4012587962)


@dataclass(frozen=True, slots=True)
class Plan:
    """One order's day; times are seconds since midnight, None where a step does not happen."""

    out_order_no: str
    behaviour: Behaviour
    created: int
    confirm_after: int | None
    completed: int | None
    total_amount: int
    synced: int | None
    pay_after: int | None
    deduct_after: int | None
    deducting_for: int
    failures: int
    retry_after: int


@dataclass(frozen=True, slots=True)
class End:
    """How an order ends: its state, how it was paid and when, and which notifications were told."""

    state: str
    paid_type: str = ""
    paid: int | None = None
    events: tuple[str, ...] = ()


def draw(number: int, seed: int) -> Plan:
    """Draw the plan of one order: the same for the same seed."""
    dice = random.Random(f"{seed}/{number}")  # noqa: S311  not for secrets
    behaviour = dice.choices(list(SHARES), list(SHARES.values()))[0]
    created = dice.randrange(ARRIVALS)
    confirm = None if behaviour == "unconfirmed" else dice.randrange(5, 300)
    completed = created + (confirm or 0) + dice.randrange(60, 7200) if confirm else None
    deducts, sums = behaviour in {"deducted", "race"}, behaviour == "nothing due"
    deduct_after = dice.randrange(30, 1200) if deducts else None
    syncs = behaviour in {"till", "race"} and completed is not None
    return Plan(
        out_order_no=f"DAY-{number}",
        behaviour=behaviour,
        created=created,
        confirm_after=confirm,
        completed=completed,
        total_amount=0 if sums else dice.randrange(100, 9900),
        synced=completed + dice.randrange(1, 1500) if syncs and completed is not None else None,
        pay_after=dice.randrange(30, 3600) if behaviour == "order page" else None,
        deduct_after=deduct_after,
        deducting_for=dice.choice((0, 3, 40, 120)) if deducts else 0,
        failures=dice.choice((0, 0, 0, 1, 2)) if deducts else 0,
        retry_after=dice.randrange(600, 1800),
    )


def end_of(plan: Plan) -> End:
    """Return how the order must end."""
    confirmed = ("PAYSCORE.USER_CONFIRM",)
    match plan.behaviour:
        case "unconfirmed":
            return End("EXPIRED")
        case "canceled":
            return End("REVOKED", events=confirmed)
        case "nothing due":
            return End("DONE", events=confirmed)
    paid_by_wechat, synced = _collected(plan), _first_sync(plan)
    if synced is not None and (paid_by_wechat is None or synced < paid_by_wechat):
        return End("DONE", "MCH", synced, confirmed)
    return End("DONE", "NEWTON", paid_by_wechat, (*confirmed, "PAYSCORE.USER_PAID"))


def _collected(plan: Plan) -> int | None:
    """Return when WeChat Pay has the money, unless the till is earlier."""
    if plan.completed is None:
        return None
    if plan.pay_after is not None:
        return plan.completed + plan.pay_after
    return None if plan.deduct_after is None else _deductions(plan)[-1][1]


def _deductions(plan: Plan) -> list[tuple[int, int]]:
    """Return the deductions, each from and to; the last one ends with the money."""
    first = (plan.completed or 0) + (plan.deduct_after or 0)
    starts = [first + number * (plan.deducting_for + plan.retry_after) for number in range(plan.failures + 1)]
    return [(start, start + plan.deducting_for) for start in starts]


def _first_sync(plan: Plan) -> int | None:
    """Return when the till's sync is accepted: the first attempt outside every deduction."""
    if plan.synced is None:
        return None
    windows = _deductions(plan) if plan.deduct_after is not None else []
    at = plan.synced
    while any(start <= at < end for start, end in windows):
        at += RETRY
    return at
