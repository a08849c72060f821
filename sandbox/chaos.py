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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from ops import dead_letters
from sandbox.audit import Auditor, Findings, Report
from sandbox.aws_proxy import AwsProxy, Deed
from sandbox.cloud import Cloud
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.fate import Fate
from sandbox.world import BEFORE_THE_EVENTS, BUILD, MERCHANT, OTHER_MERCHANT, World

PAID_TIME = "20260101120000"
UNKEYED = "1999000109"  # a merchant whose secret is created only when the causes are mended
SUB_MERCHANT = "1900000555"
WECHAT_PAY_FAULTS = 0.10  # of all calls
AWS_FAULTS = 0.01  # of the function's requests to DynamoDB, Secrets Manager and SQS
CALLS_BETWEEN = {"kills": 300, "weathers": 150}  # so that a slow machine has as hard a time as a fast one
CRASHED_FOR = 15  # seconds that a message stays invisible after a crash; six minutes in production

# kinds of orders, and of how many in a hundred
KINDS = {
    "ready": 70,
    "partner": 6,  # by the endpoint that answers without the order
    "won by WeChat Pay": 6,
    "nothing due": 3,
    "deducting": 3,
    "not completed yet": 3,
    "not created yet": 3,
    "canceled": 2,
    "unkeyed merchant": 2,
    "poison": 2,
}
POISON = (
    "nonsense",
    "[]",
    '{"mchid":null}',
    '{"mchid":"1230000109","out_order_no":"x","detail":{"paid_time":"later"}}',
)


@dataclass(slots=True)
class Plan:
    """What will be sent, and which orders need which mending."""

    reports: list[Report] = field(default_factory=list)
    kinds: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def plan(orders: int, seed: int, wechat_pay: Simulator) -> Plan:
    """Open the orders at WeChat Pay as shops would, and write down what the tills will say."""
    dice = random.Random(seed)  # noqa: S311  a game
    made = Plan(kinds={kind: [] for kind in KINDS})
    for position in range(orders):
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "poison":
            made.reports.append(Report(dice.choice(POISON)[:-1] + " " * dice.randrange(3) + "}"))
            continue
        mchid = {"unkeyed merchant": UNKEYED}.get(kind, dice.choice((MERCHANT, OTHER_MERCHANT)))
        number = f"CHAOS-{position:06}"
        made.kinds[kind].append((mchid, number))
        _open(wechat_pay, kind, mchid, number)
        more = {"endpoint": "partner", "sub_mchid": SUB_MERCHANT} if kind == "partner" else {}
        payload = {"mchid": mchid, "out_order_no": number, **more, "detail": {"paid_time": PAID_TIME}}
        report = Report(json.dumps(payload), mchid, number, PAID_TIME)
        made.reports += [report] * (3 if dice.random() < 0.1 else 1)
    dice.shuffle(made.reports)
    return made


def _open(wechat_pay: Simulator, kind: str, mchid: str, number: str) -> None:
    match kind:
        case "not created yet":
            return
        case "not completed yet":
            wechat_pay.open(mchid, number, at=BEFORE_THE_EVENTS - 3600)
            wechat_pay.confirm(mchid, number)
            return
        case "nothing due":
            wechat_pay.ready_to_sync(mchid, number, total_amount=0, at=BEFORE_THE_EVENTS)
        case "partner":
            wechat_pay.ready_to_sync(mchid, number, at=BEFORE_THE_EVENTS, sub_mchid=SUB_MERCHANT)
        case _:
            wechat_pay.ready_to_sync(mchid, number, at=BEFORE_THE_EVENTS)
    match kind:
        case "won by WeChat Pay":
            wechat_pay.deduct(mchid, number)
        case "deducting":
            wechat_pay.deducting(mchid, number)
        case "canceled":
            wechat_pay.cancel(mchid, number)


@dataclass(slots=True)
class Chaos:
    """One run: the world, its faults, and who looks."""

    world: World
    proxy: AwsProxy
    plan: Plan
    seed: int
    console: Console
    killed: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Findings:
        """Send everything into the storm, mend, redrive once, audit."""
        auditor = Auditor(self.world.cloud, self.world.stack)
        began = time.monotonic()
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
        letters = [letter.body for letter in dead_letters.peek(self.world.deployment)]
        self._say(f"{len(letters):,} dead letters, redriven once", began)
        self._redrive()
        self._wait(auditor, "after the redrive", self._empty, 120 + 0.1 * self._size)
        findings = auditor.reckon(
            self.plan.reports,
            self.world.wechat_pay.ledger(),
            self._calls(),
            [letter.body for letter in dead_letters.peek(self.world.deployment)],
            self._depth("OrderQueueUrl"),
        )
        self._say("audited", began)
        return findings

    @property
    def _size(self) -> int:
        return len(self.plan.reports)

    # ---- load --------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Half through EventBridge, half straight to the queue."""
        sqs, events = self.world.cloud.client("sqs"), self.world.cloud.client("events")
        for number, chunk in enumerate(batched(self.plan.reports, 10, strict=False)):
            if number % 2 or not all(report.readable for report in chunk):
                entries: Any = [{"Id": str(place), "MessageBody": report.body} for place, report in enumerate(chunk)]
                sqs.send_message_batch(QueueUrl=self.world.stack.outputs["OrderQueueUrl"], Entries=entries)
            else:
                bus = self.world.stack.outputs["EventBusName"]
                kind = {"Source": "pos.chaos", "DetailType": "Order_Paid", "EventBusName": bus}
                events.put_events(Entries=[{**kind, "Detail": report.body} for report in chunk])

    # ---- storms ------------------------------------------------------------------------------------------------------

    def _kill_workers(self) -> None:
        dice = random.Random(self.seed)  # noqa: S311  a game
        while self._goes_on(CALLS_BETWEEN["kills"]):
            if workers := self.world.cloud.workers:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    self.killed += 1

    def _weather(self) -> None:
        """One thing after the other, again and again: an outage, new keys, a clock that jumps."""
        wechat_pay = self.world.wechat_pay
        while self._goes_on(CALLS_BETWEEN["weathers"]):
            wechat_pay.misbehave("connection_refused")
            self.over.wait(2.0)
            wechat_pay.behave()
            if not self._goes_on(CALLS_BETWEEN["weathers"]):
                break
            wechat_pay.merchant(MERCHANT).rotate_key()  # refused from now on until the secret follows
            self.over.wait(1.0)
            self.world.put_secret(MERCHANT)
            if not self._goes_on(CALLS_BETWEEN["weathers"]):
                break
            wechat_pay.misbehave("stale_timestamp", seconds=-400)
            self.over.wait(1.0)
            wechat_pay.behave()

    def _goes_on(self, calls: int) -> bool:
        """Wait until so many further calls were made, whatever the machine's pace; False once the storm is over."""
        until = len(self.world.wechat_pay.calls) + calls
        while len(self.world.wechat_pay.calls) < until:
            if self.over.wait(0.2):
                return False
        return True

    # ---- mending -----------------------------------------------------------------------------------------------------

    def _mend(self) -> None:
        """End every fault, and do what the shops and the administrator have left undone."""
        wechat_pay = self.world.wechat_pay
        wechat_pay.fate = None
        wechat_pay.behave()
        self.proxy.decide = lambda _: "pass"
        for mchid, number in self.plan.kinds["deducting"]:
            wechat_pay.deducting(mchid, number, on=False)
        for mchid, number in self.plan.kinds["not completed yet"]:
            wechat_pay.complete(mchid, number, at=BEFORE_THE_EVENTS)
        for mchid, number in self.plan.kinds["not created yet"]:
            wechat_pay.ready_to_sync(mchid, number, at=BEFORE_THE_EVENTS)
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
        while not done() and time.monotonic() < end:
            if time.monotonic() > next_look:
                items = auditor.look()
                next_look = time.monotonic() + max(10.0, len(items) / 400)  # a scan costs more the more there is
                counts = Counter(item["status"] for item in items.values())
                told = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
                line = f"          {what}: {told}; {self._depth('OrderQueueUrl'):,} waiting"
                self.console.print(line, style="dim", highlight=False, soft_wrap=True)
            time.sleep(0.5)

    def _only_the_hopeless_wait(self) -> bool:
        """Nothing more will happen in the storm than messages of orders that need mending coming back."""
        hopeless = {order for kind in ("deducting", "not completed yet") for order in self.plan.kinds[kind]}
        copies = sum((report.mchid, report.out_order_no) in hopeless for report in self.plan.reports)
        return self._depth("OrderQueueUrl") <= copies

    def _empty(self) -> bool:
        return self._depth("OrderQueueUrl") == 0

    def _depth(self, queue: str) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.world.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.world.stack.outputs[queue], AttributeNames=names
        )
        return sum(int(answer["Attributes"][name]) for name in names)

    def _calls(self) -> Iterator[tuple[str, float]]:
        for call in self.world.wechat_pay.calls:
            yield f"{call.mchid}#{call.out_order_no}", call.at

    def _say(self, what: str, began: float) -> None:
        self.console.print(f"{time.monotonic() - began:6.0f} s  {what}", highlight=False, soft_wrap=True)


@contextmanager
def storm(orders: int, seed: int, console: Console) -> Iterator[Chaos]:
    """Set the world up: the template with short waits, behind a proxy that refuses now and then."""
    dice = random.Random(seed)  # noqa: S311  a game
    wishes: list[Deed] = ["throttle", "throttle", "fail", "cut before", "cut after"]

    def decide(operation: str) -> Deed:
        return dice.choice(wishes) if operation and dice.random() < AWS_FAULTS else "pass"

    with (
        tempfile.TemporaryDirectory() as directory,
        Simulator() as wechat_pay,
        Cloud.start(Path(directory)) as cloud,
        AwsProxy(cloud.endpoint_url, decide) as proxy,
    ):
        parameters = {
            "AwsEndpointUrl": proxy.url,
            "WeChatPayBaseUrl": wechat_pay.base_url,
            "WeChatPayBackupUrl": wechat_pay.backup_url,
            "RetryScale": "0.005",
            "MaximumConcurrency": "2",  # at a kill MiniStack throws all starting workers away; few start at once
            "HttpConnectTimeout": "0.5",
            "HttpReadTimeout": "1",
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
    """Run it and print the ledger; 0 only if nothing was lost, wrong, changed, untrue or unexplained."""
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


_END = {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE", "REJECTED"}


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
    for fault in findings.faults[:20]:
        console.print(f"[red]{fault}[/red]", highlight=False, soft_wrap=True)
    counts = (
        f"{len(findings.lost)} lost, {len(findings.wrongly_final)} wrongly final, {len(findings.changed)} changed, "
    )
    counts += f"{len(findings.untrue)} untrue, {len(findings.called_when_final)} calls for a final order, "
    console.print(
        f"{counts}{len(findings.unexplained)} dead letters without a reason.", highlight=False, soft_wrap=True
    )
