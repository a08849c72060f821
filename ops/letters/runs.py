"""Runs of a plan against a deployment: its file and journal, the queues, and who is recorded for it."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ops.letters.browse import source
from ops.letters.history import DELETED, REDRIVEN, History
from ops.letters.keep import Keep, create
from ops.letters.ledger import Ledger
from ops.letters.mover import REAL, Clocks, Mover, Redrive, Removal, interruptible
from ops.letters.plan import Plan, read_plan
from ops.letters.queue import Queue
from ops.letters.reading import HOLD
from ops.stack import Deployment, OpsError


def orders(deployment: Deployment) -> Queue:
    """Return OrderQueue."""
    return Queue(deployment.client("sqs"), deployment.outputs["OrderQueueUrl"])


def operator() -> str:
    """Return the name of this user, for the journal; empty if the machine has none for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def load(path: Path) -> Plan:
    """Read a plan's file; OpsError names what is wrong."""
    try:
        return read_plan(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(
            f"{path}: {getattr(error, 'strerror', None) or error}; write a plan with `plan > FILE`"
        ) from error


def save(plan: Plan, noun: str, now: float) -> Path:
    """Write a plan to a new file in this folder, so that an interrupted run can be continued by it."""
    path = Path(f"{noun}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S%fZ}.json")
    try:
        with create(path) as file:
            json.dump(plan.document(), file, indent=1)
    except OSError as error:
        raise OpsError(
            f"{path}: {error.strerror}: nothing was moved; run it in a folder that you may write to"
        ) from error
    return path


def require_same_queues(plan: Plan, queue: str, destination: str) -> None:
    """Raise OpsError if a plan is of other queues than these."""
    if plan.queue != queue:
        raise OpsError(f"the plan is of {plan.queue}, not of {queue}: give its --stack, or write another plan")
    if plan.destination != destination:
        raise OpsError(f"the plan sends to {plan.destination}, not to {destination}: give its --stack or --queue-url")


@contextmanager
def redrive(
    deployment: Deployment,
    plan: Plan,
    path: Path,
    *,
    rate: float | None = None,
    clocks: Clocks = REAL,
    hold: int = HOLD,
) -> Iterator[Mover]:
    """Open the journal next to the plan's file; the block's value redrives what is left of the plan."""
    queue, destination = source(deployment), orders(deployment)
    require_same_queues(plan, queue.url, destination.url)
    history = History(deployment, REDRIVEN, by=operator())
    with Ledger.next_to(path) as ledger, interruptible() as is_cancelled:
        work = Redrive(destination, ledger, history, wall_clock=clocks.wall_clock)
        yield Mover(plan, queue, work, rate=rate, is_cancelled=is_cancelled, clocks=clocks, hold=hold)


@contextmanager
def delete(deployment: Deployment, plan: Plan, keep: Path, *, clocks: Clocks = REAL) -> Iterator[Mover]:
    """Create the file that keeps the letters; the block's value deletes those of the plan."""
    queue = source(deployment)
    require_same_queues(plan, queue.url, plan.destination)
    reasons = {entry.message_id: entry.reason for entry in plan.entries.values()}
    history = History(deployment, DELETED, by=operator())
    with Keep(keep) as file, interruptible() as is_cancelled:
        work = Removal(file, history, reasons, wall_clock=clocks.wall_clock)
        yield Mover(plan, queue, work, is_cancelled=is_cancelled, clocks=clocks)


def has_begun(path: Path) -> bool:
    """Return whether a run of the plan in this file has a journal already."""
    return Ledger.next_to(path).path.exists()
