"""Redrive thousands of dead letters on the embedded AWS, and end the program in the middle: nothing may be lost.

`python -m tools.redrive_trial` puts letters of three causes into a queue, redrives those of one cause, presses Ctrl-C,
continues, kills the program (SIGKILL), continues, and compares the bodies before and after. Then it lists a queue of
10,000, and reports seconds and peak memory. The commands are those of `bin/ops`, as processes of their own.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from orders.items import item_of
from orders.order import Order, Payment, Refusal, Status
from sandbox.cloud import REGION, Cloud
from sandbox.waiting import until

ROOT = Path(__file__).parents[1]
MERCHANT = "1230000109"
REASONS = ("NO_AUTH", "ORDER_NOT_EXIST", "REVOKED")
AT = "2026-01-01T04:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Run:
    """A command that has ended: its exit status, its output, how long it took, and its peak memory in MB."""

    status: int
    output: str
    seconds: float
    megabytes: float


@dataclass(slots=True)
class Trial:
    """A table and two queues of an embedded AWS, and commands of `bin/ops` against them."""

    cloud: Cloud
    folder: Path
    hold: int

    def create(self) -> None:
        """Create the resources."""
        self.cloud.client("dynamodb").create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        for name in ("OrderQueue", "DeadLetters"):
            self.cloud.client("sqs").create_queue(QueueName=name)

    def url(self, name: str) -> str:
        """Return the URL of a queue."""
        return str(self.cloud.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def fill(self, count: int) -> dict[str, str]:
        """Put letters of the three causes into DeadLetters, their orders into the table; return body → reason."""
        reasons: dict[str, str] = {}
        for numbers in batched(range(count), 10, strict=False):
            entries = []
            for number in numbers:
                reason, order_number = REASONS[number % len(REASONS)], f"T-{number}"
                self._put_order(order_number, reason)
                body = json.dumps(
                    {"mchid": MERCHANT, "out_order_no": order_number, "detail": {"paid_time": "20260101120000"}}
                )
                reasons[body] = reason
                entries.append({"Id": str(number), "MessageBody": body})
            self.cloud.client("sqs").send_message_batch(QueueUrl=self.url("DeadLetters"), Entries=entries)
        return reasons

    def _put_order(self, number: str, reason: str) -> None:
        payment = Payment(MERCHANT, number, "20260101120000")
        refusal = Refusal(reason, "as the trial has it")
        order = Order(payment, None, Status.REJECTED, 1, AT, AT, reason=reason, last_error=refusal, rejected_at=AT)
        self.cloud.client("dynamodb").put_item(TableName="orders", Item=item_of(order))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        options = [
            *("--endpoint-url", self.cloud.endpoint_url, "--region", REGION, "--table-name", "orders"),
            *("--dead-letters-url", self.url("DeadLetters"), "--queue-url", self.url("OrderQueue")),
        ]
        path = os.pathsep.join(str(ROOT / part) for part in ("", "functions", "layers/wechatpay/python"))
        with (self.folder / "output").open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "ops", *options, *arguments],
                cwd=self.folder,
                env=os.environ | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": path},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finish(self, process: "subprocess.Popen[str]", since: float) -> Run:
        """Wait for the end of a command."""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output = (self.folder / "output").read_text()
        return Run(process.returncode, output, time.monotonic() - since, usage.ru_maxrss / 1024)

    def run(self, *arguments: str) -> Run:
        """Run a command to its end."""
        since = time.monotonic()
        return self.finish(self.start(*arguments), since)

    def interrupt(self, number: int, at: int, *arguments: str) -> Run:
        """Start a command, and send it a signal as soon as the journal says that so many letters are deleted."""
        since = time.monotonic()
        process = self.start(*arguments)
        until(lambda: self.moved() >= at or _has_ended(process.pid), state=f"{at} letters are redriven")
        process.send_signal(number)
        return self.finish(process, since)

    def moved(self) -> int:
        """Return how many letters the journal calls deleted."""
        journal = self.folder / "redrive.json.journal"
        if not journal.exists():
            return 0
        lines = journal.read_text().splitlines()[:-1]  # the last one may be half written
        return sum(len(line["ids"]) for line in map(json.loads, lines) if line.get("step") == "deleted")

    def bodies(self, name: str) -> Iterator[str]:
        """Empty a queue, and yield its bodies."""
        sqs, url = self.cloud.client("sqs"), self.url(name)
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            entries: list[dict[str, Any]] = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            yield from (str(message["Body"]) for message in messages)

    def history_lines(self) -> Counter[int]:
        """Return how many orders have how many lines REDRIVEN."""
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName="orders")
        items = [item for page in pages for item in page["Items"]]
        return Counter(
            sum(line["M"]["outcome"]["S"] == "REDRIVEN" for line in item.get("history", {"L": []})["L"])
            for item in items
        )


def _has_ended(pid: int) -> bool:
    """Return whether a child has ended, and leave its status for `finish`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@dataclass(frozen=True, slots=True)
class Result:
    """What a selective redrive with two interruptions left: letters by where they are, and the runs."""

    selected: int
    others: int
    missing: int
    doubled: int
    strays: int
    history: dict[int, int]
    runs: tuple[Run, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost, no other letter moved, and at most the batch under way at the kill is doubled."""
        announced = "may have been sent twice" in self.runs[-1].output
        whole = self.missing == self.strays == 0 and self.runs[-1].status == 0
        lines = self.history == {0: self.others, 1: self.selected}
        return whole and lines and (self.doubled == 0 or (announced and self.doubled <= 10))


def redrive(trial: Trial, letters: int) -> Result:
    """Redrive the letters of one cause with Ctrl-C and a kill in the middle, and compare the bodies."""
    reasons = trial.fill(letters)
    plan = trial.run("dead-letters", "plan", "--reason", "ORDER_NOT_EXIST")
    (trial.folder / "redrive.json").write_text(plan.output)
    selected = Counter(body for body, reason in reasons.items() if reason == "ORDER_NOT_EXIST")
    command = ("dead-letters", "redrive", "--plan", "redrive.json", "--hold", str(trial.hold))
    stopped = trial.interrupt(signal.SIGINT, len(selected) // 4, *command)
    killed = trial.interrupt(signal.SIGKILL, len(selected) // 2, *command)
    last = trial.run(*command)
    arrived, stayed = Counter(trial.bodies("OrderQueue")), Counter(trial.bodies("DeadLetters"))
    others = Counter(body for body, reason in reasons.items() if reason != "ORDER_NOT_EXIST")
    return Result(
        selected=len(selected),
        others=len(others),
        missing=len(selected.keys() - arrived.keys()) + len(others.keys() - stayed.keys()),
        doubled=sum((arrived - selected).values()) + sum((stayed - others).values()),
        strays=len(arrived.keys() - selected.keys()) + len(stayed.keys() - others.keys()),
        history=dict(trial.history_lines()),
        runs=(plan, stopped, killed, last),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial; return 1 if a letter is lost, or doubled without being announced."""
    parser = argparse.ArgumentParser(prog="python -m tools.redrive_trial", description=__doc__)
    parser.add_argument("--letters", type=int, default=5_000, help="dead letters of three causes; default: 5000")
    parser.add_argument(
        "--listing", type=int, default=10_000, help="letters of the listing, 0 for none; default: 10000"
    )
    parser.add_argument("--hold", type=int, default=20, help="as of bin/ops; default: 20")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, Cloud.start(Path(name)) as cloud:
        trial = Trial(cloud, Path(name), options.hold)
        trial.create()
        result = redrive(trial, options.letters)
        for words, run in zip(("plan", "stopped by Ctrl-C", "killed", "last run"), result.runs, strict=True):
            first = "" if words == "plan" else f": {' / '.join(run.output.splitlines())}"
            print(f"{words}: status {run.status}, {run.seconds:.1f} s, {run.megabytes:.0f} MB{first}")
        print(
            f"{result.selected:,} of {result.selected + result.others:,} letters selected: {result.missing} missing, "
            f"{result.doubled} doubled, {result.strays} in the wrong queue; lines REDRIVEN by order: {result.history}"
        )
        if options.listing:
            trial.fill(options.listing)
            listing = trial.run("dead-letters", "list")
            rows = sum(not line.startswith(" ") for line in listing.output.splitlines()) - 1
            print(f"list of {rows:,} letters: {listing.seconds:.1f} s, {listing.megabytes:.0f} MB at the peak")
        return 0 if result.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
