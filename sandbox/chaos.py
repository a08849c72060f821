"""`python -m sandbox chaos`: the whole under load with every fault on; then mended, redriven once, and audited.

Seeded: what is sent, which call meets which fault, and which request to AWS is refused follow from the seed. How calls
interleave is the machine's own, so two runs agree in what must hold, not in every line.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from rich.console import Console
from rich.table import Table as Grid

from sandbox.audit import WITH_SUB_MERCHANT, Auditor, Findings, Report, order_key
from sandbox.aws_proxy import AwsProxy, Deed
from sandbox.cloud import Cloud
from sandbox.wechat_pay import Call, Simulator
from sandbox.wechat_pay.fate import Fate
from sandbox.world import BEFORE_THE_EVENTS, BUILD, MERCHANT, OTHER_MERCHANT, World

_serialize, _plain = TypeSerializer().serialize, TypeDeserializer().deserialize

PAID_TIME, LATER_TIME = "20260101120000", "20260101120500"
UNKEYED = "1999000109"  # a merchant whose secret is created only when the causes are mended
SUB_MERCHANT, OTHER_SUB_MERCHANT, CHANNEL = "1900000555", "1900000777", "CHANNEL-1"
WECHAT_PAY_FAULTS = 0.10  # of all calls
AWS_FAULTS = 0.01  # of the function's requests to DynamoDB, Secrets Manager and SQS
CIRCUIT_FAULTS = 0.5  # of its writes of the circuit's own item: they must never stop a call
CALLS_BETWEEN = {"kills": 300, "weathers": 150}  # so that a slow machine has as hard a time as a fast one
CRASHED_FOR = 15  # seconds that a message stays invisible after a crash; six minutes in production
PLANTED_AT_ONCE = 2  # items that become unreadable with each change of weather

# kinds of orders, and of how many in a hundred
KINDS = {
    "ready": 68,
    "won by WeChat Pay": 6,
    "nothing due": 3,
    "deducting": 3,
    "not completed yet": 3,
    "not created yet": 3,
    "canceled": 2,
    "unkeyed merchant": 2,
    "unreadable item": 2,  # it stands in the table before the first message
    "unreadable later": 2,  # it becomes unreadable while messages run
    "strange item": 2,  # of an earlier attempt, with members that this version does not know: readable
    "poison": 4,
}
# at which endpoint an order is, and of how many in a hundred
ENDPOINTS = {"direct": 80, "partner": 6, "acquiringbank": 5, "payafter": 4, "oversea": 5}
WITHOUT_PAYAFTER = {"nothing due"}  # how payafter calls an order without anything due is not documented
SHARED_NUMBERS = 0.5  # of the sub-merchants' orders whose number another sub-merchant's order has too
# how a report is wrapped, and how many in a hundred
WRAPPINGS = {"bare": 88, "bus event": 4, "SNS": 5, "SNS around a bus event": 3}
REPORTED_THREE_TIMES, REPORTED_WITH_ANOTHER_TIME = 0.1, 0.03  # of the orders

_DETAIL = '"detail":{"paid_time":"20260101120000"}'
POISON = (
    "nonsense",
    "",
    "null",
    "[]",
    "7",
    '"text"',
    '{"mchid":null}',
    '{"mchid":"1230000109","out_order_no":"x","detail":{"paid_time":"later"}}',
    '{"mchid":"1230000109","out_order_no":"x","detail":null}',
    '{"mchid":"1230000109","out_order_no":"\\ud800",' + _DETAIL + "}",
    '{"mchid":"1230000109","out_order_no":"\N{BATTERY}",' + _DETAIL + "}",
    '{"mchid":"1230000109","out_order_no":"a b",' + _DETAIL + "}",
    '{"Type":"Notification"}',
    '{"Type":"Notification","Message":"nonsense"}',
    '{"Type":"Notification","Message":{"mchid":"1230000109"}}',
    '{"Records":[{"eventSource":"aws:s3","s3":{"bucket":{"name":"receipts"}}}]}',
    '{"detail-type":"Order_Paid","source":"pos.chaos","detail":"text"}',
    '{"detail-type":"Order_Refunded","source":"pos.chaos","detail":{}}',
    '{"mchid":"1230000109","out_order_no":"x","attach":"' + "x" * 70_000 + '",' + _DETAIL + "}",
    "[" * 5_000,
)
UNREADABLE: tuple[Mapping[str, Any], ...] = ({"status": "REFUNDED"}, {"status": 7}, {})
"""The status of items that cannot be read: an operator's word, a number, none."""


@dataclass(frozen=True, slots=True)
class Sale:
    """An order at WeChat Pay that a till will report."""

    mchid: str
    out_order_no: str
    endpoint: str = "direct"
    sub_mchid: str = ""

    @property
    def key(self) -> str:
        """Its key in the table."""
        return order_key(self.mchid, self.out_order_no, self.sub_mchid)

    def payload(self, paid_time: str) -> dict[str, Any]:
        """What the till reports."""
        more = {"endpoint": self.endpoint} if self.endpoint != "direct" else {}
        more |= {"sub_mchid": self.sub_mchid} if self.sub_mchid else {}
        more |= {"channel_id": CHANNEL} if self.endpoint == "acquiringbank" else {}
        return {"mchid": self.mchid, "out_order_no": self.out_order_no, **more, "detail": {"paid_time": paid_time}}


@dataclass(slots=True)
class Plan:
    """What will be sent, and which orders need which mending."""

    reports: list[Report] = field(default_factory=list)
    kinds: dict[str, list[Sale]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def plan(orders: int, seed: int, wechat_pay: Simulator) -> Plan:
    """Open the orders at WeChat Pay as shops would, and write down what the tills will say."""
    dice = random.Random(seed)  # noqa: S311  a game
    made = Plan()
    for position in range(orders):
        kind = _drawn(dice, KINDS)
        if kind == "poison":
            made.reports.append(Report(dice.choice(POISON) + " " * dice.randrange(1, 4)))
            continue
        for sale in _sales(dice, kind, f"CHAOS-{position:06}"):
            made.kinds[kind].append(sale)
            _open(wechat_pay, kind, sale)
            made.reports += _reports(dice, sale)
    dice.shuffle(made.reports)
    return made


def _drawn(dice: random.Random, shares: Mapping[str, int]) -> str:
    return dice.choices(list(shares), list(shares.values()))[0]


def _sales(dice: random.Random, kind: str, number: str) -> list[Sale]:
    """One order; two where another sub-merchant's order has the same number."""
    mchid = UNKEYED if kind == "unkeyed merchant" else dice.choice((MERCHANT, OTHER_MERCHANT))
    endpoint = _drawn(dice, ENDPOINTS)
    if endpoint == "payafter" and kind in WITHOUT_PAYAFTER:
        endpoint = "direct"
    if endpoint not in WITH_SUB_MERCHANT:
        return [Sale(mchid, number, endpoint)]
    shared = kind == "ready" and dice.random() < SHARED_NUMBERS
    owners = (SUB_MERCHANT, OTHER_SUB_MERCHANT) if shared else (SUB_MERCHANT,)
    return [Sale(mchid, number, endpoint, owner) for owner in owners]


def _reports(dice: random.Random, sale: Sale) -> list[Report]:
    """What the tills send of an order: some of it several times, some of it with another time."""
    reports = [_report(dice, sale, PAID_TIME)] * (3 if dice.random() < REPORTED_THREE_TIMES else 1)
    if dice.random() < REPORTED_WITH_ANOTHER_TIME:
        reports.append(_report(dice, sale, LATER_TIME))
    return reports


def _report(dice: random.Random, sale: Sale, paid_time: str) -> Report:
    wrapping = _drawn(dice, WRAPPINGS)
    body = json.dumps(sale.payload(paid_time))
    if "bus event" in wrapping:
        event = {"id": f"event-{sale.out_order_no}", "source": "pos.chaos", "detail-type": "Order_Paid"}
        body = json.dumps(event | {"detail": sale.payload(paid_time)})
    if "SNS" in wrapping:
        envelope = {"Type": "Notification", "MessageId": f"sns-{sale.out_order_no}", "TopicArn": "arn:aws:sns:::tills"}
        body = json.dumps(envelope | {"Message": body})
    return Report(body, sale.mchid, sale.out_order_no, paid_time, sale.sub_mchid, by_bus=wrapping == "bare")


def _open(wechat_pay: Simulator, kind: str, sale: Sale) -> None:
    match kind:
        case "not created yet":
            return
        case "not completed yet":
            wechat_pay.open(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS - 3600, sub_mchid=sale.sub_mchid)
            wechat_pay.confirm(sale.mchid, sale.out_order_no)
            return
        case "nothing due":
            wechat_pay.ready_to_sync(
                sale.mchid, sale.out_order_no, total_amount=0, at=BEFORE_THE_EVENTS, sub_mchid=sale.sub_mchid
            )
        case _:
            wechat_pay.ready_to_sync(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS, sub_mchid=sale.sub_mchid)
    match kind:
        case "won by WeChat Pay":
            wechat_pay.deduct(sale.mchid, sale.out_order_no)
        case "deducting":
            wechat_pay.deducting(sale.mchid, sale.out_order_no)
        case "canceled":
            wechat_pay.cancel(sale.mchid, sale.out_order_no)


def an_earlier_item(sale: Sale) -> dict[str, Any]:
    """An item that an earlier attempt left, by a later version: with members that this one does not know."""
    at = "2026-01-01T04:00:01.000Z"
    entry = {"at": at, "message_id": "earlier", "outcome": "RETRYING", "code": "UNREACHABLE", "region": "cn-north-1"}
    return {
        "pk": sale.key,
        "mchid": sale.mchid,
        "out_order_no": sale.out_order_no,
        "endpoint": sale.endpoint,
        **({"sub_mchid": sale.sub_mchid} if sale.sub_mchid else {}),
        "status": "RETRYING",
        "attention": "RETRYING",
        "reason": "UNREACHABLE",
        "paid_time": PAID_TIME,
        "attempts": 1,
        "version": 1,
        "created_at": at,
        "updated_at": at,
        "history": [entry],
        "last_error": {"code": "UNREACHABLE", "message": "no host", "severity": 3},
        "ticket": {"system": "desk", "number": 4711},
    }


def an_unreadable_item(sale: Sale, position: int) -> dict[str, Any]:
    """The same with a status that no version of the function has written."""
    item = {name: value for name, value in an_earlier_item(sale).items() if name not in {"status", "attention"}}
    return item | dict(UNREADABLE[position % len(UNREADABLE)])


@dataclass(slots=True)
class Chaos:
    """One run: the world, its faults, and who looks."""

    world: World
    proxy: AwsProxy
    plan: Plan
    seed: int
    console: Console
    killed: int = 0
    auditor: Auditor = field(init=False)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Findings:
        """Send everything into the storm, mend, redrive once, audit."""
        self.auditor = auditor = Auditor(self.world.cloud, self.world.stack)
        began = time.monotonic()
        self._plant()
        storms = [threading.Thread(target=storm, daemon=True) for storm in (self._kill_workers, self._weather)]
        for storm in storms:
            storm.start()
        self._send()
        self._say(f"{len(self.plan.reports):,} messages sent", began)
        self._wait(auditor, "in the storm", self._only_the_hopeless_wait, 60 + 0.2 * self._size)
        self.over.set()
        for storm in storms:
            storm.join()
        self._mend()
        self._wait(auditor, "after the storm", self._empty, 120 + 0.2 * self._size)
        self._say(f"{len(self._letters()):,} dead letters, redriven once", began)
        self._redrive()
        self._wait(auditor, "after the redrive", self._empty, 120 + 0.1 * self._size)
        findings = auditor.compare(
            self.plan.reports,
            self.world.wechat_pay.ledger(),
            self._calls(),
            self._letters(),
            self._depth("OrderQueueUrl"),
        )
        self._say("audited", began)
        return findings

    @property
    def _size(self) -> int:
        return len(self.plan.reports)

    # ---- load --------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Half through EventBridge, half straight to the queue, and so what a bus does not carry."""
        for number, chunk in enumerate(batched(self.plan.reports, 10, strict=False)):
            by_bus = [report for report in chunk if report.by_bus and number % 2 == 0]
            self._send_to_queue([report for report in chunk if report not in by_bus])
            self._put_on_bus(by_bus)

    def _send_to_queue(self, reports: Sequence[Report]) -> None:
        if reports:
            entries: Any = [{"Id": str(place), "MessageBody": report.body} for place, report in enumerate(reports)]
            answer = self.world.cloud.client("sqs").send_message_batch(
                QueueUrl=self.world.stack.outputs["OrderQueueUrl"], Entries=entries
            )
            assert not answer.get("Failed"), answer  # noqa: S101  the sandbox's own queue

    def _put_on_bus(self, reports: Sequence[Report]) -> None:
        if reports:
            bus = self.world.stack.outputs["EventBusName"]
            kind = {"Source": "pos.chaos", "DetailType": "Order_Paid", "EventBusName": bus}
            self.world.cloud.client("events").put_events(
                Entries=[{**kind, "Detail": report.body} for report in reports]
            )

    # ---- what stands in the table by another hand --------------------------------------------------------------------

    def _plant(self) -> None:
        """Before the first message: items that cannot be read, and items with members that are not known."""
        for position, sale in enumerate(self.plan.kinds["unreadable item"]):
            item = an_unreadable_item(sale, position)
            self._put_item(item)
            self.auditor.plant(item, at=0.0)
        for sale in self.plan.kinds["strange item"]:
            self._put_item(an_earlier_item(sale))

    def _put_item(self, item: Mapping[str, Any]) -> None:
        serialized = {name: _serialize(value) for name, value in item.items()}
        self.world.cloud.client("dynamodb").put_item(TableName=self._table, Item=serialized)

    def _spoil(self, sale: Sale) -> None:
        """An operator's edit: the status becomes a word that is not the function's, the version one more."""
        values = {":status": "REFUNDED", ":none": 0, ":one": 1, ":mchid": sale.mchid, ":number": sale.out_order_no}
        changed = self.world.cloud.client("dynamodb").update_item(
            TableName=self._table,
            Key={"pk": {"S": sale.key}},
            UpdateExpression="SET #status = :status, #version = if_not_exists(#version, :none) + :one, "
            "mchid = :mchid, out_order_no = :number",
            ExpressionAttributeNames={"#status": "status", "#version": "version"},
            ExpressionAttributeValues={name: _serialize(value) for name, value in values.items()},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        self.auditor.plant({name: _plain(value) for name, value in changed.items()}, at=time.time())

    @property
    def _table(self) -> str:
        return self.world.stack.outputs["OrdersTableName"]

    # ---- storms ------------------------------------------------------------------------------------------------------

    def _kill_workers(self) -> None:
        dice = random.Random(self.seed)  # noqa: S311  a game
        while self._goes_on(CALLS_BETWEEN["kills"]):
            if workers := self.world.cloud.workers:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    self.killed += 1

    def _weather(self) -> None:
        """One thing after the other, again and again: an operator's edits, an outage, new keys, a clock that jumps."""
        wechat_pay = self.world.wechat_pay
        still_readable = list(self.plan.kinds["unreadable later"])
        while self._goes_on(CALLS_BETWEEN["weathers"]):
            for sale in still_readable[:PLANTED_AT_ONCE]:
                self._spoil(sale)
            del still_readable[:PLANTED_AT_ONCE]
            wechat_pay.misbehave("connection_refused")
            self.over.wait(2.0)  # the length of an outage
            wechat_pay.behave()
            if not self._goes_on(CALLS_BETWEEN["weathers"]):
                break
            wechat_pay.merchant(MERCHANT).rotate_key()  # refused from now on until the secret follows
            self.over.wait(1.0)  # the time until the new key is stored
            self.world.put_secret(MERCHANT)
            if not self._goes_on(CALLS_BETWEEN["weathers"]):
                break
            wechat_pay.misbehave("stale_timestamp", seconds=-400)
            self.over.wait(1.0)  # the length of a wrong clock
            wechat_pay.behave()

    def _goes_on(self, calls: int) -> bool:
        """Wait until so many further calls were made, whatever the machine's pace; False once the storm is over."""
        until = len(self.world.wechat_pay.calls) + calls
        while len(self.world.wechat_pay.calls) < until:
            if self.over.wait(0.2):  # calls are polled
                return False
        return True

    # ---- mending -----------------------------------------------------------------------------------------------------

    def _mend(self) -> None:
        """End every fault, and do what the shops and the administrator have left undone."""
        wechat_pay = self.world.wechat_pay
        wechat_pay.fate = None
        wechat_pay.behave()
        self.proxy.decide = lambda _: "pass"
        for sale in self.plan.kinds["deducting"]:
            wechat_pay.deducting(sale.mchid, sale.out_order_no, on=False)
        for sale in self.plan.kinds["not completed yet"]:
            wechat_pay.complete(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS)
        for sale in self.plan.kinds["not created yet"]:
            wechat_pay.ready_to_sync(sale.mchid, sale.out_order_no, at=BEFORE_THE_EVENTS, sub_mchid=sale.sub_mchid)
        for mchid in (MERCHANT, OTHER_MERCHANT, UNKEYED):
            self.world.put_secret(mchid)

    def _redrive(self) -> None:
        """Receive, send, delete: MiniStack has no message-move API; bodies stay, ids are new, as with the console."""
        sqs, outputs = self.world.cloud.client("sqs"), self.world.stack.outputs
        while messages := sqs.receive_message(
            QueueUrl=outputs["DeadLettersUrl"], MaxNumberOfMessages=10, VisibilityTimeout=60
        ).get("Messages"):
            moved: Any = [{"Id": str(n), "MessageBody": message["Body"]} for n, message in enumerate(messages)]
            sqs.send_message_batch(QueueUrl=outputs["OrderQueueUrl"], Entries=moved)
            gone: Any = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=outputs["DeadLettersUrl"], Entries=gone)

    # ---- looking -----------------------------------------------------------------------------------------------------

    def _wait(self, auditor: Auditor, what: str, done: Callable[[], bool], seconds: float) -> None:
        end, next_look = time.monotonic() + seconds, 0.0
        while not done() and time.monotonic() < end:  # minutes, which the caller chooses
            if time.monotonic() > next_look:
                items = auditor.look()
                next_look = time.monotonic() + max(10.0, len(items) / 400)  # a scan costs more the more there is
                counts = Counter(str(item.get("status", "no status")) for item in items.values())
                told = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
                line = f"          {what}: {told}; {self._depth('OrderQueueUrl'):,} waiting"
                self.console.print(line, style="dim", highlight=False, soft_wrap=True)
            time.sleep(0.5)  # a queue is polled

    def _only_the_hopeless_wait(self) -> bool:
        """Nothing more will happen in the storm than messages of orders that need mending coming back."""
        kinds = ("deducting", "not completed yet", "unreadable item", "unreadable later")
        hopeless = {sale.key for kind in kinds for sale in self.plan.kinds[kind]}
        copies = sum(report.key in hopeless for report in self.plan.reports if report.readable)
        return self._depth("OrderQueueUrl") <= copies

    def _empty(self) -> bool:
        return self._depth("OrderQueueUrl") == 0

    def _depth(self, queue: str) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.world.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.world.stack.outputs[queue], AttributeNames=names
        )
        return sum(int(answer["Attributes"][name]) for name in names)

    def _letters(self) -> list[str]:
        """The bodies of all dead letters; they come back into sight when the listing is over."""
        sqs, queue = self.world.cloud.client("sqs"), self.world.stack.outputs["DeadLettersUrl"]
        found: dict[str, str] = {}
        handles: list[str] = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=120).get(
            "Messages"
        ):
            found |= {message["MessageId"]: message["Body"] for message in messages}
            handles += [message["ReceiptHandle"] for message in messages]
        for handle in handles:
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
        return list(found.values())

    def _calls(self) -> Iterator[tuple[str, float]]:
        for call in self.world.wechat_pay.calls:
            yield order_key(call.mchid, call.out_order_no, _sub_mchid(call)), call.at

    def _say(self, what: str, began: float) -> None:
        self.console.print(f"{time.monotonic() - began:6.0f} s  {what}", highlight=False, soft_wrap=True)


def _sub_mchid(call: Call) -> str:
    """Whose order a call is about, as its body or its query says."""
    asked = parse_qs(call.target.partition("?")[2])
    named = json.loads(call.body) if call.body else {name: values[0] for name, values in asked.items()}
    return str(named.get("sub_mchid", ""))


@contextmanager
def storm(orders: int, seed: int, console: Console) -> Iterator[Chaos]:
    """Set the world up: the template with short waits, behind a proxy that refuses now and then."""
    dice = random.Random(seed)  # noqa: S311  a game
    wishes: list[Deed] = ["throttle", "throttle", "fail", "cut before", "cut after"]

    about = threading.local()  # the request that this thread of the proxy has at hand

    def hear(_: str, body: bytes) -> None:
        about.circuit = b"CIRCUIT#" in body

    def decide(operation: str) -> Deed:
        rate = CIRCUIT_FAULTS if about.circuit and operation != "GetItem" else AWS_FAULTS
        return dice.choice(wishes) if operation and dice.random() < rate else "pass"

    with (
        tempfile.TemporaryDirectory() as directory,
        Simulator() as wechat_pay,
        Cloud.start(Path(directory)) as cloud,
        AwsProxy(cloud.endpoint_url, decide, hear=hear) as proxy,
    ):
        parameters = {
            "AwsEndpointUrl": proxy.url,
            "WeChatPayBaseUrl": wechat_pay.base_url,
            "WeChatPayBackupUrl": wechat_pay.backup_url,
            "RetryScale": "0.005",
            "MaxReceiveCount": "10",  # some twenty seconds: what cannot succeed is given up within the storm
            "MaximumConcurrency": "2",  # at a kill MiniStack throws all starting workers away; few start at once
            "HttpConnectTimeout": "0.5",  # silences are many, and each is waited for
            "HttpReadTimeout": "1",  # an answer that is late counts as one more silence
        }
        world = World(cloud, cloud.deploy(parameters, build=BUILD), wechat_pay)
        cloud.client("sqs").set_queue_attributes(
            QueueUrl=world.stack.outputs["OrderQueueUrl"], Attributes={"VisibilityTimeout": str(CRASHED_FOR)}
        )
        for mchid in (MERCHANT, OTHER_MERCHANT):
            world.put_secret(mchid)
        made = plan(orders, seed, wechat_pay)
        wechat_pay.fate = Fate(seed, WECHAT_PAY_FAULTS)
        yield Chaos(world, proxy, made, seed, console)


def main(arguments: Sequence[str] = ()) -> int:
    """Run it and print the ledger; 0 only if the audit found nothing and every order ended."""
    parser = argparse.ArgumentParser(prog="python -m sandbox chaos", description="Everything at once, then the audit.")
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    console = Console()
    with storm(given.orders, given.seed, console) as chaos:
        fate = chaos.world.wechat_pay.fate
        findings = chaos.run()
        drawn = fate.drawn if fate else Counter()
        _print(console, findings, drawn, chaos)
    return 1 if findings.faults or any(status not in _END for _, status in findings.ledger) else 0


_END = {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE", "REJECTED", "unreadable"}


def _print(console: Console, findings: Findings, drawn: Counter[str], chaos: Chaos) -> None:
    grid = Grid(title=f"{findings.orders:,} orders", box=None, title_justify="left")
    for name in ("WeChat Pay's ledger", "in the table"):
        grid.add_column(name)
    grid.add_column("orders", justify="right")
    for (truth, status), count in sorted(findings.ledger.items()):
        grid.add_row(truth, status, f"{count:,}")
    console.print(grid)
    refused = Counter(dict.fromkeys(("throttle", "fail", "cut before", "cut after"), 0))
    for (_, deed), count in chaos.proxy.deeds.items():
        refused[deed] += count
    refused.pop("pass", None)
    calls = len(chaos.world.wechat_pay.calls)
    console.print(
        f"Calls to WeChat Pay: {calls:,}; struck by a fault: {drawn.total():,} ({len(drawn)} kinds).", soft_wrap=True
    )
    console.print(f"Requests to AWS struck: {dict(refused)}; workers killed: {chaos.killed}.", soft_wrap=True)
    console.print(f"Dead letters that stay: {dict(findings.dead)}.", soft_wrap=True)
    console.print(f"Not final, each with its reason: {dict(findings.open)}.", soft_wrap=True)
    for fault in findings.examples:
        console.print(f"[red]{fault}[/red]", highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {what}" for what, count in findings.counts.items())
    console.print(f"{counts}.", highlight=False, soft_wrap=True)
