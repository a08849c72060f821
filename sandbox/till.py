"""Send what a till sends into a running sandbox, and fire triggers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, groupby
from typing import Any

from ops import items
from ops.installation import HERE
from ops.stack import Deployment
from sandbox import triggers
from sandbox.errors import SandboxError
from sandbox.till_events import FAMILIES, Dispatch, Family
from sandbox.triggers import Trigger
from sandbox.waiting import NotReachedError, until

BATCH = 10  # entries of PutEvents and of SendMessageBatch at most

type Act = Callable[..., object]
"""Executes a verb of the control port: its name, then its arguments."""


class TillError(SandboxError):
    """An event was not taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a dispatch: EventBridge's id or the message's; where it was refused, `error` says why."""

    dispatch: Dispatch
    id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Firing:
    """What a trigger has done: its order, and what its events became."""

    trigger: Trigger
    out_order_no: str
    family: Family
    receipts: tuple[Receipt, ...]

    @property
    def event_ids(self) -> tuple[str, ...]:
        """The ids of its events and messages."""
        return tuple(receipt.id for receipt in self.receipts)

    @property
    def order(self) -> str:
        """The order's arguments on a command line."""
        sub = f" --sub-mchid {self.family.sub_mchid}" if self.family.sub_mchid else ""
        return f"{self.trigger.mchid} {self.out_order_no}{sub}"


@dataclass(frozen=True, slots=True)
class Till:
    """A till of a deployed stack."""

    deployment: Deployment

    def send(self, dispatches: Iterable[Dispatch], bus: str = "") -> list[Receipt]:
        """Send texts in their sequence, unchecked, ten in a call; `bus` replaces the stack's."""
        receipts: list[Receipt] = []
        for way, same_way in groupby(dispatches, key=lambda dispatch: dispatch.way):
            for batch in batched(same_way, BATCH, strict=False):
                receipts += self._enqueue(batch) if way == "queue" else self._put(batch, bus)
        return receipts

    def send_one(self, dispatch: Dispatch, bus: str = "") -> str:
        """Send one text, unchecked; return its id. Raise TillError where it is refused."""
        [receipt] = self.send([dispatch], bus)
        if receipt.error:
            raise TillError(f"it was refused: {receipt.error}")
        return receipt.id

    def fire(self, trigger: Trigger, act: Act, out_order_no: str = "", family: Family = FAMILIES[""]) -> Firing:
        """Make an order of its own, bring it into its situation, and report it; `act` executes the steps."""
        number = out_order_no or triggers.fresh_number(trigger.name)
        for step in triggers.steps(trigger.situation, trigger.mchid, number, family):
            act(step.verb, **step.arguments)
        if trigger.after_notification:
            self._wait_for_the_item(trigger, number, family)
        if not trigger.fault and not trigger.then:
            return self._report(trigger, number, family)
        return self._report_and_wait(trigger, act, number, family)

    def _report_and_wait(self, trigger: Trigger, act: Act, number: str, family: Family) -> Firing:
        """Report while the trigger's fault is on, and let follow what follows once the order waits."""
        if trigger.fault:
            act("misbehave", name=trigger.fault)
        try:
            firing = self._report(trigger, number, family)
            self._wait_for_the_item(trigger, number, family)
        finally:
            if trigger.fault:
                act("behave")
        for step in triggers.later_steps(trigger, number, family):
            act(step.verb, **step.arguments)
        return firing

    def _report(self, trigger: Trigger, number: str, family: Family) -> Firing:
        receipts = self.send(triggers.dispatches(trigger, number, family))
        if errors := [receipt.error for receipt in receipts if receipt.error]:
            raise TillError(f"it was refused: {errors[0]}")
        return Firing(trigger, number, family, tuple(receipts))

    def _wait_for_the_item(self, trigger: Trigger, number: str, family: Family) -> None:
        key = family.key(trigger.mchid, number)
        try:
            until(lambda: items.find(self.deployment, key), state=f"an item of {number}")
        except NotReachedError as error:
            raise TillError(f"{error}; see `{HERE.sandbox} timeline {trigger.mchid} {number}`") from None

    def _put(self, dispatches: Sequence[Dispatch], bus: str) -> list[Receipt]:
        entries = [dispatch.entry(bus or self.deployment.outputs["EventBusName"]) for dispatch in dispatches]
        answers = self.deployment.client("events").put_events(Entries=entries)["Entries"]
        pairs = zip(dispatches, answers, strict=True)
        return [Receipt(one, str(answer.get("EventId", "")), _error(answer, "Error")) for one, answer in pairs]

    def _enqueue(self, dispatches: Sequence[Dispatch]) -> list[Receipt]:
        entries = [{"Id": str(number), "MessageBody": dispatch.text} for number, dispatch in enumerate(dispatches)]
        url = self.deployment.outputs["OrderQueueUrl"]
        answer = self.deployment.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        answers: dict[str, Mapping[str, Any]] = {
            one["Id"]: one for part in ("Successful", "Failed") for one in answer.get(part, [])
        }
        pairs = [(dispatch, answers[str(number)]) for number, dispatch in enumerate(dispatches)]
        return [Receipt(one, str(answer.get("MessageId", "")), _error(answer)) for one, answer in pairs]


def _error(answer: Mapping[str, Any], prefix: str = "") -> str:
    code, message = answer.get(f"{prefix}Code"), answer.get(f"{prefix}Message", "")
    return f"{code}: {message}" if code else ""


def ledger_act(simulator: Any) -> Act:  # noqa: ANN401  its verbs are methods with arguments of their own
    """Return what executes verbs on a simulator of this process."""
    return lambda verb, **arguments: getattr(simulator, verb)(**arguments)
