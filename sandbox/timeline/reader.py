"""Read the facts of a sandbox: its journal, the function's log, the table, the rules, and the simulated WeChat Pay."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from ops import items, log_lines
from ops.items import Item
from ops.log_lines import LogLine, Span
from ops.stack import Deployment, OpsError, describe
from sandbox.control_client import ControlClient
from sandbox.journal import Journal, JournalEntry
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.facts import Facts
from sandbox.timeline.identity import identity_of
from sandbox.timeline.letters import letters_of
from sandbox.timeline.rules import Rule
from sandbox.timeline.trail import Subject, follow
from sandbox.wechat_pay import Simulator

LOOK_BACK = timedelta(days=2)  # the function's log is read for so long; a sandbox lives for hours
ROLES = {"orders": "OrderQueueUrl", "dead letters": "DeadLettersUrl", "undelivered": "UndeliveredEventsUrl"}


class WeChatPay(Protocol):
    """The simulated WeChat Pay, in this process or another."""

    def exchanges(self, out_order_no: str) -> list[Exchange]:
        """Return the calls about an order, oldest first."""
        ...

    def ledger(self) -> Sequence[Mapping[str, object]]:
        """Return every order."""
        ...


@dataclass(frozen=True, slots=True)
class NearWeChatPay:
    """The simulator of this process."""

    simulator: Simulator

    def exchanges(self, out_order_no: str) -> list[Exchange]:
        """Return the calls about an order, oldest first."""
        return [Exchange.of(call) for call in self.simulator.calls if call.out_order_no == out_order_no]

    def ledger(self) -> Sequence[Mapping[str, object]]:
        """Return every order."""
        return self.simulator.ledger()


@dataclass(frozen=True, slots=True)
class FarWeChatPay:
    """The simulator of another process, by its control port."""

    control: ControlClient

    def exchanges(self, out_order_no: str) -> list[Exchange]:
        """Return the calls about an order, oldest first."""
        calls = self.control.view("calls", out_order_no=out_order_no, detail="true")
        return [Exchange.read(call) for call in calls if call["out_order_no"] == out_order_no]

    def ledger(self) -> Sequence[Mapping[str, object]]:
        """Return every order."""
        orders: Sequence[Mapping[str, object]] = self.control.view("ledger")
        return orders


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the facts about one subject; `clock` is Unix seconds."""

    deployment: Deployment
    journal: Journal
    wechat_pay: WeChatPay
    clock: Callable[[], float] = time.time

    def read(self, subject: Subject, entries: Sequence[JournalEntry] | None = None) -> Facts:
        """Read everything that may be about the subject; `entries` is the journal, where it has been read already."""
        entries = self.journal.entries() if entries is None else entries
        unread: list[str] = []
        order = follow(subject, entries).subject
        lines: Sequence[LogLine] = self._or(unread, "the function's log", lambda: self._lines(order), [])
        order = self._complete(order, lines)
        stored: Sequence[Item] = self._or(unread, "the table", lambda: self._items(order, entries), [])
        by_key, now = {item.key: item for item in stored}, self.clock()
        queues = self.queues
        return Facts(
            now,
            entries=entries,
            lines=lines,
            exchanges=self.wechat_pay.exchanges(order.out_order_no) if order.out_order_no else [],
            items=stored,
            letters=list(letters_of(entries, queues["dead letters"], by_key, now)),
            ledger=self.wechat_pay.ledger(),
            rules=self._or(unread, "the rules", self.rules, []),
            queues=queues,
            visibility_timeout=self._or(unread, "the queue's timeout", self._visibility_timeout, 360.0),
            unread=unread,
        )

    @property
    def queues(self) -> dict[str, str]:
        """The names of the queues by their role."""
        return {role: self.deployment.outputs[output].rpartition("/")[2] for role, output in ROLES.items()}

    def rules(self) -> list[Rule]:
        """Return the rules of every bus."""
        events = self.deployment.client("events")
        names = dict.fromkeys([self.deployment.outputs["EventBusName"].rpartition("/")[2], "default"])
        names |= dict.fromkeys(bus["Name"] for bus in events.list_event_buses().get("EventBuses", []))
        return [
            Rule(rule["Name"], bus, json.loads(rule["EventPattern"]))
            for bus in names
            for rule in events.list_rules(EventBusName=bus)["Rules"]
            if rule.get("EventPattern") and rule.get("State", "ENABLED") == "ENABLED"
        ]

    def _or[T](self, unread: list[str], place: str, read: Callable[[], T], otherwise: T) -> T:
        """Return what is read; where AWS does not answer, note it and return something else."""
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            unread.append(f"{place}: {describe(error)}")
        except OpsError as error:
            unread.append(f"{place}: {error}")
        return otherwise

    def _lines(self, subject: Subject) -> list[LogLine]:
        until = datetime.fromtimestamp(self.clock(), UTC) + timedelta(minutes=1)
        term = subject.out_order_no or subject.event_id
        steps = log_lines.find(self.deployment, Span(until - LOOK_BACK, until), term, lambda _: True)
        return [step for step in steps if isinstance(step, LogLine)]

    def _complete(self, order: Subject, lines: Iterable[LogLine]) -> Subject:
        """Return the order that a log line names, where the journal does not tell it."""
        for line in lines if not order.out_order_no else ():
            if order.event_id in (line.fields.get("event_id"), line.fields.get("message_id")):
                identity = identity_of(dict(line.fields))
                return Subject(identity.mchid, identity.out_order_no, identity.sub_mchid, order.event_id)
        return order

    def _items(self, order: Subject, entries: Sequence[JournalEntry]) -> list[Item]:
        """Return the item of the order, under its own key, and under those that the journal has for its number."""
        if not order.out_order_no:
            return []
        written = (str(entry.fields.get("pk", "")) for entry in entries if entry.kind == "item_written")
        mine = [key for key in written if key.endswith(f"#{order.out_order_no}")]
        keys = dict.fromkeys([order.key, f"{order.mchid}#{order.out_order_no}", *mine])
        return [item for key in keys if (item := items.find(self.deployment, key)) is not None]

    def _visibility_timeout(self) -> float:
        answer = self.deployment.client("sqs").get_queue_attributes(
            QueueUrl=self.deployment.outputs["OrderQueueUrl"], AttributeNames=["VisibilityTimeout"]
        )
        return float(answer["Attributes"]["VisibilityTimeout"])
