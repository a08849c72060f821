"""Send what a till sends into a running sandbox, and fire triggers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ops import items
from ops.stack import Deployment
from orders.order import order_key
from sandbox import triggers
from sandbox.errors import SandboxError
from sandbox.triggers import Event, Trigger
from sandbox.waiting import NotReachedError, until

type Act = Callable[..., object]
"""Executes a verb of the control port: its name, then its arguments."""


class TillError(SandboxError):
    """An event was not taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Firing:
    """What a trigger has done: its order, and the ids of its events and messages."""

    trigger: Trigger
    out_order_no: str
    event_ids: tuple[str, ...]

    @property
    def order(self) -> str:
        """The order's arguments on a command line."""
        return f"{self.trigger.mchid} {self.out_order_no}"


@dataclass(frozen=True, slots=True)
class Till:
    """A till of a deployed stack."""

    deployment: Deployment

    def send(self, event: Event, payload: Mapping[str, object], bus: str = "") -> str:
        """Send one event by its way, unchecked; return its id. `bus` replaces the stack's."""
        if event.way == "queue":
            return self.send_text(json.dumps(payload, ensure_ascii=False))
        return self.send_detail(event, json.dumps(payload, ensure_ascii=False), bus)

    def send_detail(self, event: Event, detail: str, bus: str = "") -> str:
        """Put an event on the bus with this text as its detail; return its id."""
        entry = event.entry(bus or self.deployment.outputs["EventBusName"], detail)
        [answer] = self.deployment.client("events").put_events(Entries=[entry])["Entries"]
        if "ErrorCode" in answer:
            raise TillError(f"EventBridge refused it: {answer['ErrorCode']}: {answer.get('ErrorMessage', '')}")
        return str(answer["EventId"])

    def send_text(self, body: str) -> str:
        """Send a message to the order queue, whatever it holds; return its id."""
        queue = self.deployment.outputs["OrderQueueUrl"]
        return str(self.deployment.client("sqs").send_message(QueueUrl=queue, MessageBody=body)["MessageId"])

    def fire(self, trigger: Trigger, act: Act, out_order_no: str = "") -> Firing:
        """Make an order of its own, bring it into its situation, and report it; `act` executes the steps."""
        number = out_order_no or triggers.fresh_number(trigger.name)
        for step in triggers.steps(trigger, number):
            act(step.verb, **step.arguments)
        if trigger.after_notification:
            self._wait_for_the_item(trigger, number)
        if not trigger.fault and not trigger.then:
            return self._report(trigger, number)
        return self._report_and_wait(trigger, act, number)

    def _report_and_wait(self, trigger: Trigger, act: Act, number: str) -> Firing:
        """Report while the trigger's fault is on, and let follow what follows once the order waits."""
        if trigger.fault:
            act("misbehave", name=trigger.fault)
        try:
            firing = self._report(trigger, number)
            self._wait_for_the_item(trigger, number)
        finally:
            if trigger.fault:
                act("behave")
        for step in triggers.later_steps(trigger, number):
            act(step.verb, **step.arguments)
        return firing

    def _report(self, trigger: Trigger, number: str) -> Firing:
        ids = [self.send(event, payload) for event, payload in triggers.events(trigger, number)]
        return Firing(trigger, number, tuple(ids))

    def _wait_for_the_item(self, trigger: Trigger, number: str) -> None:
        key = order_key(trigger.mchid, number, None, None)
        try:
            until(lambda: items.find(self.deployment, key), state=f"an item of {number}")
        except NotReachedError as error:
            raise TillError(f"{error}; see `python -m sandbox timeline {trigger.mchid} {number}`") from None


def ledger_act(simulator: Any) -> Act:  # noqa: ANN401  its verbs are methods with arguments of their own
    """Return what executes verbs on a simulator of this process."""
    return lambda verb, **arguments: getattr(simulator, verb)(**arguments)
