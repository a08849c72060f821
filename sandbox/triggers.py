"""Triggers: each makes one thing happen in a running sandbox, with an order of its own. Values and rules, no network.

The stories of `make demo` have their titles and the orders' situations from here; `python -m sandbox trigger` and the
console's till send what is declared here.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from ops.installation import HERE
from sandbox.errors import SandboxError
from sandbox.place import MERCHANT
from sandbox.till_events import FAMILIES, OTHER_MERCHANT, Dispatch, Event, Family

KEYLESS_MERCHANT = "1999999999"  # without a secret


@dataclass(frozen=True, slots=True)
class Step:
    """A verb of the control port, which brings an order into its situation."""

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


SITUATIONS: Mapping[str, Sequence[Step]] = {
    "absent": (),
    "ready": (Step("ready_to_sync"),),
    "won-by-wechat": (Step("ready_to_sync", {"notify_url": ""}), Step("deduct")),  # without a notification
    "collected-first": (Step("ready_to_sync"), Step("deduct")),
    "deducting": (Step("ready_to_sync"), Step("deducting")),
    "nothing-due": (Step("open"), Step("confirm"), Step("complete", {"total_amount": 0})),
    "confirmed": (Step("open"), Step("confirm")),
    "revoked": (Step("open"), Step("confirm"), Step("cancel")),
}
"""The state of an order at WeChat Pay before the till reports it, by the name that events/README.md has."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What one trigger does: the order's situation, the events of the till, and how it ends.

    `after_notification`: the events are sent once the table has what WeChat Pay tells. `fault` is switched on before
    the events are sent, and off again once the order waits; then come the steps `then`. `hint` is what may follow, with
    `{order}` for the order's arguments.
    """

    name: str
    title: str
    ends: str
    situation: str = "ready"
    events: tuple[Event, ...] = (Event(),)
    mchid: str = MERCHANT
    after_notification: bool = False
    fault: str = ""
    then: tuple[Step, ...] = ()
    hint: str = ""


class NoSuchTriggerError(SandboxError):
    """There is no trigger of this name; the text has the nearest one."""


TRIGGERS: Mapping[str, Trigger] = {
    trigger.name: trigger
    for trigger in (
        Trigger("paid-offline", "Paid at the till, by EventBridge", "SYNCED"),
        Trigger("paid-offline-by-queue", "Paid at the till, by SQS", "SYNCED", events=(Event("queue"),)),
        Trigger("same-event-twice", "The same event, again and again", "SYNCED", events=(Event(), Event("queue"))),
        Trigger(
            "mixed-batch",
            "A batch with one unreadable message",
            "SYNCED, and a dead letter UNREADABLE",
            events=(Event("queue"), Event("queue", changes={"detail": {}})),
        ),
        Trigger("won-by-wechat", "WeChat Pay was faster", "PAID_BY_WECHAT NEWTON", "won-by-wechat"),
        Trigger(
            "deducting",
            "WeChat Pay is deducting just now",
            "RETRYING DEDUCTING",
            "deducting",
            hint="order deducting {order} --off, or order deduct {order}",
        ),
        Trigger(
            "order-unknown",
            "An unknown order, mended, redriven",
            "REJECTED ORDER_NOT_EXIST",
            "absent",
            hint="order ready {order}, then redrive it: bin/ops dead-letters redrive",
        ),
        Trigger(
            "unknown-merchant",
            "A merchant without a secret",
            "REJECTED UNKNOWN_MERCHANT",
            "absent",
            mchid=KEYLESS_MERCHANT,
        ),
        Trigger("wrong-key", "A merchant with a wrong key", "RETRYING SIGN_ERROR", mchid=OTHER_MERCHANT),
        Trigger(
            "collected-first",
            "WeChat Pay tells before the till",
            "COLLECTED, then PAID_BY_WECHAT NEWTON without a call",
            "collected-first",
            after_notification=True,
        ),
        Trigger(
            "refund-team",
            "The refund team hears of it",
            "PAID_BY_WECHAT NEWTON, told by WeChat Pay while the order waits, and OrderPaidByWeChat on the bus",
            "deducting",
            then=(Step("deduct"),),
        ),
        Trigger("outage", "WeChat Pay is down for a while", "SYNCED", fault="connection_refused"),
        # the till's own mistakes, and orders that need no money
        Trigger("late", "Reported 50 minutes after the payment", "SYNCED", events=(Event(paid=-3000.0),)),
        Trigger(
            "broken",
            "An event without the time of payment",
            "a dead letter UNREADABLE",
            events=(Event(changes={"detail": {}}),),
        ),
        Trigger(
            "not-a-payload",
            "A message that is no payload",
            "a dead letter UNREADABLE",
            events=(Event("queue", changes={"mchid": None, "out_order_no": None, "detail": None, "type": None}),),
        ),
        Trigger(
            "in-the-future",
            "Paid in an hour: the till's clock is wrong",
            "a dead letter UNREADABLE",
            events=(Event(paid=3600.0),),
        ),
        Trigger(
            "before-completion",
            "Paid before the shop completed the order",
            "REJECTED PARAM_ERROR",
            events=(Event(paid=-7000.0),),
        ),
        Trigger(
            "wrong-source",
            "A source that no rule takes",
            "nothing: no rule matches",
            events=(Event(source="till.pos"),),
        ),
        Trigger(
            "wrong-detail-type",
            "A detail-type that no rule takes",
            "nothing: no rule matches",
            events=(Event(detail_type="order_paid"),),
        ),
        Trigger("nothing-due", "Nothing was due", "NOTHING_DUE", "nothing-due"),
        Trigger(
            "not-completed",
            "The shop has not completed the order yet",
            "RETRYING USER_CONFIRM",
            "confirmed",
            hint="order complete {order} --ago 60",
        ),
        Trigger("revoked", "The shop has cancelled the order", "REJECTED REVOKED", "revoked"),
    )
}

SHORT_NAMES: Mapping[str, str] = {
    "synced": "paid-offline",
    "duplicate": "same-event-twice",
    "race-lost": "won-by-wechat",
}
"""Other names of triggers, by what happens."""


def trigger_of(name: str) -> Trigger:
    """Return a trigger by its name or its other name; NoSuchTriggerError names the nearest."""
    names = [*TRIGGERS, *SHORT_NAMES]
    if name not in names:
        nearest = get_close_matches(name, names, n=1, cutoff=0.4)
        remedy = f"do you mean {nearest[0]}?" if nearest else f"`{HERE.sandbox} trigger --list` has all of them"
        raise NoSuchTriggerError(f"there is no trigger {name}: {remedy}")
    return TRIGGERS[SHORT_NAMES.get(name, name)]


def fresh_number(name: str) -> str:
    """Return the number of a new order, by the name of its trigger; 32 characters at most (doc 4012587900)."""
    return f"{re.sub(r'[^0-9A-Z]+', '-', name.upper())[:22]}-{secrets.token_hex(4).upper()}"


def steps(
    situation: str, mchid: str, number: str, family: Family = FAMILIES[""], at: float | None = None
) -> Iterator[Step]:
    """Yield the steps that bring an order into a situation, with all their arguments; `at` is Unix seconds."""
    return _about(SITUATIONS[situation], mchid, number, family, at)


def later_steps(trigger: Trigger, number: str, family: Family = FAMILIES[""]) -> Iterator[Step]:
    """Yield the steps that follow once the order waits."""
    return _about(trigger.then, trigger.mchid, number, family)


def _about(steps: Sequence[Step], mchid: str, number: str, family: Family, at: float | None = None) -> Iterator[Step]:
    order = {"mchid": mchid, "out_order_no": number}
    sub = {"sub_mchid": family.sub_mchid} if family.sub_mchid else {}
    for step in steps:
        own = family.fields if step.verb in {"open", "ready_to_sync"} else sub
        when = {"at": at} if at is not None and step.verb in {"open", "ready_to_sync", "complete"} else {}
        yield Step(step.verb, {**order, **own, **when, **step.arguments})


def dispatches(
    trigger: Trigger, number: str, family: Family = FAMILIES[""], now: datetime | None = None
) -> Iterator[Dispatch]:
    """Yield what a trigger's till sends."""
    now = now or datetime.now(UTC)
    return (event.dispatch(trigger.mchid, number, now, family) for event in trigger.events)
