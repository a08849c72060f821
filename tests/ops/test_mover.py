"""Redrive and delete: what is selected moves, the rest stays, and an end at any point loses nothing."""

import json
import os
import signal
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops.letters import runs
from ops.letters.keep import Keep
from ops.letters.ledger import Ledger, Step
from ops.letters.mover import Clocks, Mover, interruptible
from ops.letters.plan import Entry, Plan, Selection
from ops.letters.queue import BYTES_PER_CALL, Received, batches
from ops.letters.reasons import digest_of
from ops.stack import OpsError
from orders.order import Attempt
from tests.ops.simulated_queues import Bench, Killed, a_body, refusal

CHOSEN = range(0, 36, 2)  # every second letter of 36


def fill(bench: Bench) -> Plan:
    """Put 36 letters with orders into the queue; return a plan of every second one."""
    entries = []
    for number in range(36):
        body = a_body(f"A-{number}")
        message_id = bench.sqs.put(body)
        order = bench.table.put(f"A-{number}", reason="NO_AUTH")
        if number in CHOSEN:
            entries.append(Entry(message_id, digest_of(body), "NO_AUTH", order.key, bench.clock.now))
    return Plan.of("dead", "orders", Selection(reasons=("NO_AUTH",)), entries, bench.clock.now)


def clocks(bench: Bench) -> Clocks:
    """Return the bench's clock in all its functions."""
    return Clocks(bench.clock, bench.clock, bench.clock.sleep)


def redrive(bench: Bench, plan: Plan, path: Path, **arguments: Any) -> Mover:
    """Run a plan; return the mover, which has the tally."""
    with runs.redrive(bench.deployment, plan, path, clocks=clocks(bench), **arguments) as mover:
        for _ in mover.run():
            pass
    return mover


def numbers(bodies: list[str]) -> list[int]:
    """Return the numbers of the orders in these bodies, sorted."""
    return sorted(int(json.loads(body)["out_order_no"].removeprefix("A-")) for body in bodies)


def test_only_the_letters_of_the_plan_move(tmp_path: Path) -> None:
    """The letters of a plan are in OrderQueue, each once and unchanged; the others are in DeadLetters and visible."""
    bench = Bench.of()
    plan = fill(bench)
    tally = redrive(bench, plan, tmp_path / "plan.json").tally
    assert (tally.done, tally.errors, tally.missing, tally.is_cancelled) == (18, {}, set(), False)
    assert numbers(bench.sqs.bodies("orders")) == list(CHOSEN)
    assert numbers(bench.sqs.bodies("dead")) == [number for number in range(36) if number not in CHOSEN]
    assert bench.sqs.in_flight() == 0


def test_a_letter_keeps_its_attributes_its_group_and_its_trace(tmp_path: Path) -> None:
    """A redriven letter has the message attributes, the message group, the trace and the body that it had."""
    bench = Bench.of()
    attributes = {"till": {"DataType": "String", "StringValue": "7"}, "n": {"DataType": "Number", "StringValue": "1"}}
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    message_id = bench.sqs.put("nonsense", MessageAttributes=attributes, MessageGroupId="shop-7", trace=trace)
    entry = Entry(message_id, digest_of("nonsense"), "UNREADABLE", "", 0.0)
    redrive(bench, Plan.of("dead", "orders", Selection(), [entry], 0.0), tmp_path / "plan.json")
    [message] = bench.sqs.queues["orders"].messages.values()
    assert message.entry["MessageAttributes"] == attributes
    assert message.entry["MessageGroupId"] == "shop-7"
    assert message.entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"] == trace


def test_each_order_has_a_line_in_its_history(tmp_path: Path) -> None:
    """The history of a redriven order has one line REDRIVEN, with message and operator; the rest is unchanged."""
    bench = Bench.of()
    plan = fill(bench)
    before = dict(bench.table.items)
    redrive(bench, plan, tmp_path / "plan.json")
    assert bench.table.history("A-0") == [(next(iter(plan.entries)), "REDRIVEN")]
    assert bench.table.history("A-1") == []
    for key, item in bench.table.items.items():
        changes = {name for name in item if item[name] != before[key].get(name)}
        assert changes <= {"history", "version"}
    line = bench.table.items["1230000109#A-0"]["history"]["L"][0]["M"]
    assert line["by"] == {"S": runs.operator()}


def test_a_history_that_the_function_writes_meanwhile_gets_its_line_all_the_same(tmp_path: Path) -> None:
    """A conflict of versions is resolved by another read; both the function's line and the operator's are there."""
    bench = Bench.of()
    plan = fill(bench)
    races = iter([True])

    def write_first(key: str) -> None:
        if key.endswith("A-0") and next(races, False):
            bench.table.put("A-0", version=2, history=(Attempt("2026-01-02T00:00:00.000Z", "m", "RETRYING"),))

    bench.table.before_update = write_first
    redrive(bench, plan, tmp_path / "plan.json")
    assert [outcome for _, outcome in bench.table.history("A-0")] == ["RETRYING", "REDRIVEN"]


@pytest.mark.parametrize("outage", ["read", "write", "conflict"])
def test_without_a_history_no_letter_moves(outage: str, tmp_path: Path) -> None:
    """If the orders table refuses the line, the error says so, no letter has moved, and all are visible."""
    bench = Bench.of()
    plan = fill(bench)

    def refuse(_: str) -> None:
        code = "ConditionalCheckFailedException" if outage == "conflict" else "AccessDenied"
        raise refusal("UpdateItem", code)

    if outage == "read":
        bench.table.error = refusal("BatchGetItem", "InternalServerError")
    else:
        bench.table.before_update = refuse
    with pytest.raises(OpsError, match="moved"):
        redrive(bench, plan, tmp_path / "plan.json")
    assert (bench.sqs.bodies("orders"), bench.sqs.in_flight(), len(bench.sqs.bodies("dead"))) == ([], 0, 36)


def test_a_rate_is_kept(tmp_path: Path) -> None:
    """With a rate of two a second, 18 letters take eight seconds, two letters at a time."""
    bench = Bench.of()
    redrive(bench, fill(bench), tmp_path / "plan.json", rate=2.0)
    sizes = [len(arguments["Entries"]) for name, arguments in bench.sqs.arguments if name == "send_message_batch"]
    assert sizes == [2] * 9
    assert sum(bench.clock.waits) == pytest.approx(8)


def test_a_run_that_is_stopped_is_continued_by_the_same_plan(tmp_path: Path) -> None:
    """Ctrl-C stops between two batches; the rest stays visible, and the same plan moves it, nothing twice."""
    bench = Bench.of()
    plan, path = fill(bench), tmp_path / "plan.json"
    with runs.redrive(bench.deployment, plan, path, clocks=clocks(bench)) as mover:
        for position in mover.run():
            if position.count:
                os.kill(os.getpid(), signal.SIGINT)
    assert (mover.tally.is_cancelled, mover.tally.done) == (True, 10)
    assert bench.sqs.in_flight() == 0
    tally = redrive(bench, plan, path).tally
    assert (tally.done, tally.repeated) == (8, set())
    assert numbers(bench.sqs.bodies("orders")) == list(CHOSEN)


def test_a_second_interrupt_ends_the_program() -> None:
    """A second Ctrl-C interrupts at once; after the block the earlier behaviour is back."""
    with interruptible() as is_requested:
        os.kill(os.getpid(), signal.SIGINT)
        assert is_requested()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def strike_at(bench: Bench, path: Path, at: int, *, after: bool) -> Callable[[], bool]:
    """Kill the program at its call of SQS of this number, before or after SQS has executed it.

    What the program writes afterwards is undone, as it would not be written. Return whether it was killed.
    """
    journal = Ledger.next_to(path).path
    state: list[bytes] = []

    def strike(_: str, number: int, is_after: bool) -> None:
        if state or (number == at and is_after is after):
            if not state:
                state.append(journal.read_bytes() if journal.exists() else b"")
            raise Killed

    bench.sqs.strike = strike

    def was_killed() -> bool:
        bench.sqs.strike = lambda *_: None
        if state:
            journal.write_bytes(state[0])
        return bool(state)

    return was_killed


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_anywhere_loses_nothing(after: bool, tmp_path: Path) -> None:
    """Killed at any call, before or after SQS executed it, and continued: nothing is lost, and no other letter moves.

    Nothing is doubled either, but for the one batch that SQS was taking at that moment, and the run says so.
    """
    doubles = 0
    for at in range(1, 100):
        bench = Bench.of()
        plan, path = fill(bench), tmp_path / f"plan-{after}-{at}.json"
        was_killed = strike_at(bench, path, at, after=after)
        with suppress(Killed):
            redrive(bench, plan, path)
        if not was_killed():
            break
        tally = redrive(bench, plan, path).tally
        copies = Counter(numbers(bench.sqs.bodies("orders")))
        assert set(copies) == set(CHOSEN), at
        assert numbers(bench.sqs.bodies("dead")) == [number for number in range(36) if number not in CHOSEN], at
        twice = sum(count > 1 for count in copies.values())
        assert max(copies.values()) <= 2
        assert twice <= min(10, len(tally.repeated)), at
        doubles += bool(twice)
        assert all(len(bench.table.history(f"A-{number}")) == 1 for number in CHOSEN), at
        assert (tally.errors, tally.missing) == ({}, set()), at
    else:
        pytest.fail("the run has more than 99 calls")
    assert doubles == (2 if after else 0)  # killed after SQS took one of the two batches, before its answer was noted


def test_a_continued_run_waits_for_what_the_killed_one_holds(tmp_path: Path) -> None:
    """Letters that a killed run holds are received when its hold ends: the continued run polls until then."""
    bench = Bench.of()
    plan, path = fill(bench), tmp_path / "plan.json"
    was_killed = strike_at(bench, path, 4, after=False)  # before the first batch is sent
    with pytest.raises(Killed):
        redrive(bench, plan, path)
    assert was_killed()
    start = bench.clock.now
    assert bench.sqs.in_flight() > 0
    redrive(bench, plan, path)
    assert numbers(bench.sqs.bodies("orders")) == list(CHOSEN)
    assert 100 < bench.clock.now - start < 130


def test_a_letter_that_is_sent_and_not_deleted_is_deleted_only(tmp_path: Path) -> None:
    """A letter that was sent and that SQS refuses to delete is reported; the next run deletes it, and sends nothing."""
    bench = Bench.of()
    plan, path = fill(bench), tmp_path / "plan.json"
    bench.sqs.refused_entries["delete_message_batch"] = "InternalError"
    mover = redrive(bench, plan, path)
    assert set(mover.tally.errors.values()) == {"was not deleted: InternalError"}
    bench.sqs.refused_entries.clear()
    tally = redrive(bench, plan, path).tally
    assert (tally.done, tally.errors) == (2, {})
    assert numbers(bench.sqs.bodies("orders")) == list(CHOSEN)


def test_a_letter_that_sqs_refuses_stays(tmp_path: Path) -> None:
    """A letter that SQS does not take stays in DeadLetters with SQS's error in the report; the others move."""
    bench = Bench.of()
    plan, path = fill(bench), tmp_path / "plan.json"
    bench.sqs.refused_entries["send_message_batch"] = "InvalidMessageContents"
    tally = redrive(bench, plan, path).tally
    assert set(tally.errors.values()) == {"InvalidMessageContents: refused"}
    assert (tally.done, len(bench.sqs.bodies("dead")), bench.sqs.in_flight()) == (16, 20, 0)
    bench.sqs.refused_entries.clear()
    assert redrive(bench, plan, path).tally.done == 2


@pytest.mark.parametrize(
    ("error", "steps", "repeated"),
    [
        (refusal("SendMessageBatch", "AccessDenied"), {Step.REFUSED}, 0),
        (EndpointConnectionError(endpoint_url="http://x"), {Step.SENDING}, 10),
    ],
)
def test_an_error_of_aws_ends_the_run_and_loses_nothing(
    error: Exception, steps: set[Step], repeated: int, tmp_path: Path
) -> None:
    """A refused call was not executed; a call without an answer may have been, and the next run says so."""
    bench = Bench.of()
    plan, path = fill(bench), tmp_path / "plan.json"

    def fail(operation: str, _: int, is_after: bool) -> None:
        if operation == "send_message_batch" and not is_after:
            raise error

    bench.sqs.strike = fail
    with pytest.raises((ClientError, EndpointConnectionError)):
        redrive(bench, plan, path)
    assert (bench.sqs.in_flight(), len(bench.sqs.bodies("dead"))) == (0, 36)
    with Ledger.next_to(path) as ledger:
        assert set(ledger.steps.values()) == steps
    bench.sqs.strike = lambda *_: None
    tally = redrive(bench, plan, path).tally
    assert (tally.done, len(tally.repeated)) == (18, repeated)


def test_a_letter_that_is_gone_is_reported(tmp_path: Path) -> None:
    """A letter of the plan that the queue does not deliver is reported as missing; the others move."""
    bench = Bench.of()
    plan = fill(bench)
    first = next(iter(plan.entries))
    del bench.sqs.queues["dead"].messages[first]
    tally = redrive(bench, plan, tmp_path / "plan.json").tally
    assert (tally.done, tally.missing) == (17, {first})


def test_a_letter_with_another_body_than_planned_stays(tmp_path: Path) -> None:
    """A message whose body is not the one of the plan is not moved."""
    bench = Bench.of()
    message_id = bench.sqs.put("one")
    entry = Entry(message_id, digest_of("another"), "UNREADABLE", "", 0.0)
    tally = redrive(bench, Plan.of("dead", "orders", Selection(), [entry], 0.0), tmp_path / "plan.json").tally
    assert tally.errors == {message_id: "its body is not the one of the plan"}
    assert bench.sqs.bodies("dead") == ["one"]


def test_a_plan_of_other_queues_is_refused(tmp_path: Path) -> None:
    """A plan of another queue, or to another one, is refused before anything is received."""
    bench = Bench.of()
    for queues in (("elsewhere", "orders"), ("dead", "elsewhere")):
        with pytest.raises(OpsError, match="elsewhere"):
            redrive(bench, Plan.of(*queues, Selection(), [], 0.0), tmp_path / "plan.json")
    assert not bench.sqs.calls["receive_message"]


def test_two_runs_of_a_plan_do_not_meet(tmp_path: Path) -> None:
    """While a run executes a plan, another run of it is refused; after it, the journal is free."""
    path = tmp_path / "plan.json"
    with Ledger.next_to(path), pytest.raises(OpsError, match="another run executes this plan"), Ledger.next_to(path):
        pass
    with Ledger.next_to(path):
        pass


def test_a_journal_whose_last_line_is_cut_off_is_read(tmp_path: Path) -> None:
    """A line that was cut off when the machine stopped is ignored; the lines before it count."""
    path = tmp_path / "plan.json"
    with Ledger.next_to(path) as ledger:
        ledger.write(Step.SENT, ["m1"], until=7.0, new_ids={"m1": "n1"})
    with ledger.path.open("a") as file:
        file.write('{"step": "deleted", "ids": ["m1"')
    with Ledger.next_to(path) as ledger:
        assert (ledger.steps, ledger.new_ids, ledger.hold_until) == ({"m1": Step.SENT}, {"m1": "n1"}, 7.0)


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A folder that does not exist is named, with the remedy, before anything moves."""
    with pytest.raises(OpsError, match="the run needs its journal"), Ledger.next_to(tmp_path / "no" / "plan.json"):
        pass


def test_a_batch_is_at_most_as_large_as_sqs_takes() -> None:
    """Large bodies are sent in several calls, and ten messages at most in one."""
    large = [Received(str(number), "x" * 100_000, "h", 0.0) for number in range(5)]
    assert [len(batch) for batch in batches(large)] == [2, 2, 1]
    small = [Received(str(number), "x", "h", 0.0) for number in range(25)]
    assert [len(batch) for batch in batches(small)] == [10, 10, 5]
    assert all(sum(message.size for message in batch) <= BYTES_PER_CALL for batch in batches(large))


# ---- delete ----------------------------------------------------------------------------------------------------------


def test_deleted_letters_are_kept_in_a_file_of_the_operator(tmp_path: Path) -> None:
    """Deleted letters are in a file of mode 0600, whole and with reasons; the histories have a line DELETED."""
    bench = Bench.of()
    plan, keep = fill(bench), tmp_path / "kept.jsonl"
    seal = {"seal": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    message_id = bench.sqs.put("nonsense", MessageAttributes=seal)
    entries = [*plan.entries.values(), Entry(message_id, digest_of("nonsense"), "UNREADABLE", "", 0.0)]
    plan = Plan.of("dead", "orders", Selection(), entries, 0.0)
    with runs.delete(bench.deployment, plan, keep, clocks=clocks(bench)) as mover:
        for _ in mover.run():
            pass
    letters = {line["message_id"]: line for line in map(json.loads, keep.read_text().splitlines())}
    assert (mover.tally.done, letters.keys()) == (19, plan.entries.keys())
    assert stat.S_IMODE(keep.stat().st_mode) == 0o600
    assert letters[message_id]["attributes"] == {"seal": {"DataType": "Binary", "BinaryValue": "AAE="}}
    assert (letters[message_id]["body"], letters[message_id]["reason"]) == ("nonsense", "UNREADABLE")
    assert bench.sqs.bodies("orders") == []
    assert [outcome for _, outcome in bench.table.history("A-0")] == ["DELETED"]


def test_a_file_is_not_overwritten_and_none_is_left_empty(tmp_path: Path) -> None:
    """A file that exists is refused before a letter is deleted; a run without a letter leaves no file."""
    path = tmp_path / "kept.jsonl"
    with Keep(path):
        assert path.exists()
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(OpsError, match="no letter was deleted"), Keep(path):
        pass
    assert path.read_text() == "mine"
