"""A listing at the size of an incident: every letter once, none lost, whatever SQS and DynamoDB do meanwhile."""

from typing import Any

import pytest

from ops.letters import browse
from ops.letters.queue import Queue
from ops.letters.reading import HOLD, Position, Reading, hold_for
from ops.letters.reasons import Letter
from tests.ops.simulated_queues import Bench, a_body, refusal


def a_reading(bench: Bench, **arguments: Any) -> Reading:
    """Return a reading of the dead letters by the bench's clock."""
    return Reading(Queue(bench.sqs, "dead", clock=bench.clock), clock=bench.clock, **arguments)


def read(bench: Bench, reading: Reading) -> list[tuple[float, Letter]]:
    """Read all letters; return each with the time at which it arrived."""
    with reading:
        steps = browse.letters(reading, bench.deployment.table, wall_clock=bench.clock)
        return [(bench.clock.now, step) for step in steps if isinstance(step, Letter)]


def test_letters_of_slow_services_are_all_listed_and_put_back() -> None:
    """320 letters at 100 ms for each call of AWS are listed once each, the first of them early, and stay visible."""
    bench = Bench.of(seconds=0.1)
    ids = {bench.sqs.put(a_body(f"A-{number}")) for number in range(320)}
    start = bench.clock.now
    letters = read(bench, a_reading(bench))
    assert sorted(letter.message_id for _, letter in letters) == sorted(ids)
    assert letters[0][0] - start < 2  # of the simulated clock: ten receives and one read
    assert (bench.sqs.in_flight(), len(bench.sqs.bodies("dead"))) == (0, 320)


def test_ten_thousand_letters_cost_a_read_for_every_hundred() -> None:
    """Of 10,000 letters at 100 ms a call each is listed once; DynamoDB is asked a hundred times."""
    bench = Bench.of(seconds=0.1)
    for number in range(10_000):
        bench.sqs.put(a_body(f"A-{number}"))
    letters = read(bench, a_reading(bench))
    assert len({letter.message_id for _, letter in letters}) == len(letters) == 10_000
    assert bench.table.reads == [100] * 100
    assert bench.sqs.calls["receive_message"] == 1_001
    assert bench.sqs.in_flight() == 0


def test_a_hold_is_extended_before_it_ends() -> None:
    """If calls become slower than at first, holds are extended in time: no letter is delivered twice."""
    bench = Bench.of(seconds=0.01)
    for number in range(2_000):
        bench.sqs.put(a_body(f"A-{number}"))

    def become_slow(_: str, number: int, is_after: bool) -> None:
        bench.sqs.seconds = 1.0 if number > 50 and not is_after else bench.sqs.seconds

    bench.sqs.strike = become_slow
    letters = read(bench, a_reading(bench))
    extensions = bench.sqs.calls["change_message_visibility_batch"] - 200
    assert (len(letters), max(message.receives for message in bench.sqs.queues["dead"].messages.values())) == (2_000, 1)
    assert extensions > 0


def test_a_hold_grows_with_the_queue_and_the_duration_of_a_call() -> None:
    """The hold is four times the time in which all messages can be received, 120 s at least and 12 hours at most."""
    assert hold_for(320, 0.1) == HOLD == 120
    assert hold_for(10_000, 0.1) == 400
    assert hold_for(10**9, 1.0) == 43_200


def test_a_hold_that_ends_too_early_repeats_no_letter_and_ends() -> None:
    """Letters that are delivered again, because their hold is over, are listed once, and the listing ends."""
    bench = Bench.of(seconds=50.0)
    for number in range(30):
        bench.sqs.put(a_body(f"A-{number}"))
    bench.sqs.refused_entries["change_message_visibility_batch"] = "ReceiptHandleIsInvalid"
    letters = read(bench, a_reading(bench, hold=1))
    assert len({letter.message_id for _, letter in letters}) == len(letters) == 30


def test_a_poll_without_a_message_does_not_end_a_queue_that_has_some() -> None:
    """An empty answer ends the listing only if SQS counts no visible message; each receive is a long poll."""
    bench = Bench.of()
    bench.sqs.put(a_body("A-1"))
    bench.sqs.is_short_of_messages = 2
    assert len(read(bench, a_reading(bench))) == 1
    waits = {arguments["WaitTimeSeconds"] for name, arguments in bench.sqs.arguments if name == "receive_message"}
    assert waits == {1}


def test_a_queue_that_counts_what_it_does_not_deliver_ends_after_three_polls() -> None:
    """A listing ends after three empty polls in a row, although SQS counts visible messages."""
    bench = Bench.of()
    bench.sqs.put(a_body("A-1"))
    bench.sqs.is_short_of_messages = 1_000
    assert read(bench, a_reading(bench)) == []
    assert bench.sqs.calls["receive_message"] == 3


@pytest.mark.parametrize(("code", "count"), [("ReceiptHandleIsInvalid", 0), ("InternalError", 1)])
def test_a_stale_receipt_handle_is_no_failure(code: str, count: int) -> None:
    """A letter whose receipt handle is stale is visible already; another failure to put it back is reported."""
    bench = Bench.of()
    for number in range(3):
        bench.sqs.put(a_body(f"A-{number}"))
    bench.sqs.refused_entries["change_message_visibility_batch"] = code
    reading = a_reading(bench)
    assert len(read(bench, reading)) == 3
    assert list(reading.put_back_failures.values()) == [code] * count


def test_results_come_before_what_can_fail() -> None:
    """If SQS refuses to put letters back, all of them have been listed, and the codes are reported."""
    bench = Bench.of()
    for number in range(12):
        bench.sqs.put(a_body(f"A-{number}"))

    def refuse(operation: str, _: int, is_after: bool) -> None:
        if operation == "change_message_visibility_batch" and not is_after:
            raise refusal("ChangeMessageVisibilityBatch", "AccessDenied")

    bench.sqs.strike = refuse
    reading = a_reading(bench)
    assert len(read(bench, reading)) == 12
    assert set(reading.put_back_failures.values()) == {"AccessDenied"}


def test_a_table_that_does_not_answer_costs_the_reasons_only() -> None:
    """Letters are listed with the reason TABLE_SILENT and DynamoDB's error if the table does not answer."""
    bench = Bench.of()
    bench.sqs.put(a_body("A-1"))
    bench.sqs.put("nonsense")
    bench.table.error = refusal("BatchGetItem", "InternalServerError", "busy")
    reasons = {letter.reason: letter.explanation for _, letter in read(bench, a_reading(bench))}
    assert reasons.keys() == {"TABLE_SILENT", "UNREADABLE"}
    assert "InternalServerError" in reasons["TABLE_SILENT"]


def test_a_reader_that_ends_early_puts_the_letters_back() -> None:
    """A listing that is closed after its first letters makes those that it holds visible at once."""
    bench = Bench.of()
    for number in range(300):
        bench.sqs.put(a_body(f"A-{number}"))
    with a_reading(bench) as reading:
        steps = browse.letters(reading, bench.deployment.table)
        positions = [next(steps) for _ in range(10)]
        assert [str(position) for position in positions[:2]] == ["10 of 300", "20 of 300"]
        assert bench.sqs.in_flight() == 100
    assert bench.sqs.in_flight() == 0
    assert str(Position(1_000, 10_000)) == "1,000 of 10,000"
