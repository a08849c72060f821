"""The rules of one order, rule by rule."""

from dataclasses import replace
from typing import Any

import pytest

from orders.order import UNKNOWN, Attempt, Facts, Order, Outcome, Payment, Receipt, Refusal, Reporter, Status, instant
from orders.rules import (
    HISTORY_LENGTH,
    MESSAGES_KEPT,
    RETRIES_EXHAUSTED,
    Step,
    payment_to_send,
    plan,
    record,
    same_write,
    used_retry,
)

NOW = 1_767_240_000.0  # 2026-01-01T04:00:00Z
PAYMENT = Payment("1230000109", "A1", "20260101110000", appid="wx1", service_id="500001", endpoint="direct")
TILL = Reporter("m1", "e1", "pos.till")
FINAL = [Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE]
OPEN = [Status.RETRYING, Status.REJECTED]


def an_order(status: Status, *attempts: Attempt, **changes: object) -> Order:
    """An order as an earlier attempt left it."""
    order = Order(PAYMENT, None, status, 1, instant(NOW), instant(NOW), history=attempts)
    return replace(order, **changes)  # type: ignore[arg-type]


def an_attempt(message_id: str, outcome: str, code: str = "") -> Attempt:
    """A line of history."""
    return Attempt(instant(NOW), message_id, outcome, code)


def written(order: Order | None) -> Order:
    """The order that was to be written; fails where nothing was."""
    assert order is not None
    return order


def received(message_id: str = "m1", receive_count: int = 1, **facts: Any) -> Reporter:
    """A delivery of a message."""
    return Reporter(message_id, "e1", "pos.till", receive_count, **facts)


@pytest.mark.parametrize("step", Step)
def test_a_step_tells_whether_it_calls(step: Step) -> None:
    """Two of the four do."""
    assert step.calls is (step in {Step.SYNC, Step.QUERY_FIRST})


class TestPlan:
    """What to do with a message."""

    @pytest.mark.parametrize("status", FINAL)
    @pytest.mark.parametrize("receive_count", [1, 7])
    def test_a_final_order_asks_for_no_call(self, status: Status, receive_count: int) -> None:
        """Whichever message reports it, however often."""
        assert plan(an_order(status), PAYMENT, received("another", receive_count)) is Step.DONE

    @pytest.mark.parametrize("receive_count", [1, 2, 12])
    def test_the_message_that_was_rejected_fails_again_without_a_call(self, receive_count: int) -> None:
        """Otherwise each receive on its way to the dead letters would cost a call."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.FAIL_AGAIN

    def test_a_redriven_message_gets_a_new_attempt(self) -> None:
        """Its message id is new, so the old rejection does not bind it."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert plan(order, PAYMENT, received("m2")) is Step.SYNC

    def test_a_rejection_of_mine_binds_even_under_a_newer_attempt_of_another_message(self) -> None:
        """A slow receive of the old message must not undo what a redrive has begun."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(1, rejected=True), "m2": Receipt(1)})
        assert plan(order, PAYMENT, received("m1", 3)) is Step.FAIL_AGAIN

    def test_any_message_received_before_fails_with_the_payment_that_was_rejected(self) -> None:
        """The item may have forgotten its messages; the verdict on the payment it has not."""
        assert plan(an_order(Status.REJECTED), PAYMENT, received("m9", 2)) is Step.FAIL_AGAIN
        assert plan(an_order(Status.REJECTED), replace(PAYMENT, appid=None), received("m9", 2)) is Step.FAIL_AGAIN

    @pytest.mark.parametrize(
        "correction",
        [{"paid_time": "20260101120000"}, {"service_id": "9"}, {"sub_mchid": "1"}, {"paid_amount": 7}, {"seq": 2}],
    )
    def test_a_corrected_event_is_another_payment(self, correction: dict[str, Any]) -> None:
        """Whatever it corrects, it gets its own attempt, on a later receive as well."""
        corrected = replace(PAYMENT, **correction)
        assert plan(an_order(Status.REJECTED), corrected, received("m2")) is Step.SYNC
        assert plan(an_order(Status.REJECTED), corrected, received("m2", 2)) is Step.QUERY_FIRST

    def test_a_redriven_message_whose_first_receive_came_to_nothing_still_has_its_attempt(self) -> None:
        """The circuit was open, or the table down; it was sent after the verdict, so the verdict is not on it."""
        order = an_order(Status.REJECTED, rejected_at=instant(NOW))
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW + 3600)) is Step.QUERY_FIRST
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW - 1)) is Step.FAIL_AGAIN
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW + 60)) is Step.FAIL_AGAIN, "clocks differ"

    def test_exhausted_retries_of_one_message_do_not_bind_another(self) -> None:
        """They are no verdict on the payment."""
        order = an_order(Status.REJECTED, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(12, rejected=True)})
        assert plan(order, PAYMENT, received("m1", 13)) is Step.FAIL_AGAIN
        assert plan(order, PAYMENT, received("m2", 3)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("status", OPEN)
    def test_an_unknown_outcome_is_asked_for_first(self, status: Status) -> None:
        """By the same message and by any other, a redriven one included."""
        order = an_order(status, outcome_unknown=True, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(1)})
        assert plan(order, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST
        assert plan(order, PAYMENT, received("m2")) is Step.QUERY_FIRST

    @pytest.mark.parametrize(("recorded", "receive_count"), [(0, 2), (1, 3), (2, 4), (5, 12)])
    def test_a_receive_that_is_not_recorded_asks_first(self, recorded: int, receive_count: int) -> None:
        """The environment may have ended between WeChat Pay's answer and our write, at any attempt."""
        messages = {"m1": Receipt(recorded)} if recorded else {}
        order = an_order(Status.RETRYING, messages=messages)
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.QUERY_FIRST

    def test_without_an_item_only_a_first_receive_syncs(self) -> None:
        """The usual case, and the one after a crash."""
        assert plan(None, PAYMENT, received()) is Step.SYNC
        assert plan(None, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("receive_count", [2, 5, 12])
    def test_a_message_whose_last_receive_is_recorded_syncs(self, receive_count: int) -> None:
        """Its last attempt is known to have changed nothing."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(receive_count - 1)})
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.SYNC

    def test_history_decides_nothing(self) -> None:
        """It is cut off, and for people: with any history the steps are the same."""
        lines = tuple(an_attempt(message, outcome) for message in ("m1", "m2") for outcome in ("REJECTED", UNKNOWN))
        for order in (an_order(Status.RETRYING), an_order(Status.REJECTED), an_order(Status.RETRYING, attempts=3)):
            for reporter in (received(), received("m1", 2), received("m2", 5)):
                assert plan(order, PAYMENT, reporter) is plan(replace(order, history=lines), PAYMENT, reporter)


class TestPaymentToSend:
    """Which time of payment is told."""

    def test_the_first_time_told_stands_while_the_outcome_is_unknown(self) -> None:
        """WeChat Pay may hold it already: another one would contradict ourselves."""
        order = an_order(Status.RETRYING, outcome_unknown=True)
        assert payment_to_send(order, replace(PAYMENT, paid_time="20260101120000")).paid_time == "20260101110000"

    @pytest.mark.parametrize("status", OPEN)
    def test_a_corrected_event_starts_with_its_own_time(self, status: Status) -> None:
        """After a rejection, and after a retry that is known to have changed nothing."""
        order = an_order(status, an_attempt("m1", status))
        corrected = replace(PAYMENT, paid_time="20260101120000")
        assert payment_to_send(order, corrected) == corrected


class TestRecord:
    """What the order becomes."""

    def test_a_first_outcome_makes_the_item(self) -> None:
        """Every fact of the message, of the payment and of WeChat Pay's answer is on it."""
        outcome = Outcome(
            Status.SYNCED,
            PAYMENT,
            facts=Facts({"state": "DONE"}, "DONE", collection_state="USER_PAID", paid_type="MCH"),
            request_id="08F5-0",
            latency_ms=41,
        )
        order = written(record(None, outcome, [TILL], NOW))
        assert (order.status, order.version, order.attempts) == (Status.SYNCED, 1, 1)
        assert (order.created_at, order.updated_at, order.synced_at) == (instant(NOW),) * 3
        assert (order.event_id, order.message_id, order.source) == ("e1", "m1", "pos.till")
        assert (order.payment, order.facts) == (PAYMENT, outcome.facts)
        assert order.history == (Attempt(instant(NOW), "m1", "SYNCED", request_id="08F5-0", latency_ms=41),)
        assert (order.messages, order.outcome_unknown, order.rejected_at) == ({}, False, None)

    def test_a_later_attempt_without_an_answer_keeps_the_answer_before_it(self) -> None:
        """What WeChat Pay said once, verified, is not forgotten because of a timeout."""
        order = an_order(Status.RETRYING, facts=Facts({"state": "DOING"}, "DOING"))
        refusal = Refusal("UNANSWERED", "silence")
        after = written(record(order, Outcome(Status.RETRYING, PAYMENT, refusal=refusal), [TILL], NOW + 60))
        assert after.facts == Facts({"state": "DOING"}, "DOING")
        assert (after.last_error, after.version, after.attempts) == (refusal, 2, 1)
        assert (after.created_at, after.updated_at) == (instant(NOW), instant(NOW + 60))

    def test_success_clears_the_last_error(self) -> None:
        """An operator who looks at a synced order sees no old trouble but in the history."""
        order = an_order(Status.REJECTED, last_error=Refusal("NO_AUTH", "…"), reason="NO_AUTH")
        after = written(record(order, Outcome(Status.SYNCED, PAYMENT, facts=Facts({})), [TILL], NOW))
        assert (after.last_error, after.reason) == (None, "")

    def test_an_unknown_outcome_is_written_into_the_history(self) -> None:
        """And into the field that the next message decides by."""
        after = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        assert after.history[-1].outcome == UNKNOWN
        assert after.outcome_unknown

    @pytest.mark.parametrize("status", Status)
    def test_only_a_synced_order_has_a_moment_of_it(self, status: Status) -> None:
        """Whoever looks for what was synced when must not find the rest."""
        after = written(record(None, Outcome(status, PAYMENT), [TILL], NOW))
        assert after.synced_at == (instant(NOW) if status is Status.SYNCED else None)

    def test_attempts_and_versions_are_counted(self) -> None:
        """One each time, wherever they stand."""
        order = an_order(Status.RETRYING, attempts=2, version=5)
        after = written(record(order, Outcome(Status.RETRYING, PAYMENT), [TILL], NOW))
        assert (after.attempts, after.version) == (3, 6)

    def test_a_contradiction_is_counted_and_kept_short_as_well(self) -> None:
        """The newest twenty, the next version."""
        old = tuple(an_attempt(str(number), "RETRYING") for number in range(HISTORY_LENGTH))
        before = an_order(Status.SYNCED, *old, version=3)
        after = written(record(before, Outcome(Status.PAID_BY_WECHAT, PAYMENT), [TILL], NOW))
        assert (after.version, len(after.history), after.history[0].message_id) == (4, HISTORY_LENGTH, "1")

    def test_all_messages_that_one_call_answered_for_are_in_the_history(self) -> None:
        """Two events of one order in a batch cost one call; both are rejected by it."""
        twin = Reporter("m2", "e2", "sqs")
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), [TILL, twin], NOW))
        assert [attempt.message_id for attempt in after.history] == ["m1", "m2"]
        assert (after.message_id, after.event_id, after.source) == ("m1", "e1", "pos.till")
        assert after.attempts == 1

    def test_the_history_keeps_the_newest_twenty(self) -> None:
        """An order retried for four hours stays small."""
        old = tuple(an_attempt(str(number), "RETRYING") for number in range(HISTORY_LENGTH))
        after = written(record(an_order(Status.RETRYING, *old), Outcome(Status.RETRYING, PAYMENT), [TILL], NOW))
        assert len(after.history) == HISTORY_LENGTH
        assert (after.history[0].message_id, after.history[-1].message_id) == ("1", "m1")

    @pytest.mark.parametrize("final", FINAL)
    @pytest.mark.parametrize("later", list(Status))
    def test_a_final_status_never_changes(self, final: Status, later: Status) -> None:
        """Whatever a late attempt brings; another final verdict is kept in the history, the rest is no news."""
        before = an_order(final, facts=Facts({"state": "DONE"}))
        after = record(before, Outcome(later, PAYMENT, facts=Facts({"state": "?"})), [TILL], NOW)
        if later in FINAL and later is not final:
            kept = written(after)
            assert (kept.status, kept.facts, kept.history[-1].outcome) == (final, before.facts, later)
            assert kept.version == before.version + 1
        else:
            assert after is None


class TestRememberedMessages:
    """What an open order remembers for the next decision."""

    def test_an_outcome_without_an_answer_closes_no_unknown_outcome(self) -> None:
        """A racing THROTTLED on top hides nothing, and the first time that was told stays."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        other = replace(PAYMENT, paid_time="20260101120000")
        after = written(record(unknown, Outcome(Status.RETRYING, other, "THROTTLED"), [received("m2")], NOW))
        assert (after.outcome_unknown, after.payment.paid_time, after.reason) == (True, PAYMENT.paid_time, "THROTTLED")

    def test_a_verified_answer_closes_it_unless_it_raced(self) -> None:
        """An answer that may be older than the unknown outcome proves nothing about it."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        answered = Outcome(Status.RETRYING, PAYMENT, "USER_PAYING", facts=Facts({"state": "DOING"}))
        assert not written(record(unknown, answered, [TILL], NOW)).outcome_unknown
        assert written(record(unknown, answered, [TILL], NOW, raced=True)).outcome_unknown

    def test_a_message_is_remembered_with_its_receives_and_its_verdict(self) -> None:
        """All messages that one call answered for."""
        twin = received("m2", 3)
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), [TILL, twin], NOW))
        assert after.messages == {"m1": Receipt(1, rejected=True), "m2": Receipt(3, rejected=True)}
        assert after.rejected_at == instant(NOW)

    def test_the_newest_messages_are_kept(self) -> None:
        """An item stays small whatever a till sends."""
        reporters = [received(f"m{number}") for number in range(MESSAGES_KEPT + 1)]
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), reporters, NOW))
        assert list(after.messages) == [f"m{number}" for number in range(1, MESSAGES_KEPT + 1)]
        assert plan(after, PAYMENT, received("m0", 2)) is Step.FAIL_AGAIN

    def test_a_delayed_retry_is_had_once_by_each_message(self) -> None:
        """Whatever comes between."""
        once = Outcome(Status.RETRYING, PAYMENT, "ORDER_NOT_EXIST", once=True)
        after = written(record(None, once, [TILL], NOW))
        assert (used_retry(after, "m1"), used_retry(after, "m2"), used_retry(None, "m1")) == ("ORDER_NOT_EXIST", "", "")
        later = written(record(after, Outcome(Status.RETRYING, PAYMENT, "THROTTLED"), [received("m1", 2)], NOW))
        assert (used_retry(later, "m1"), later.messages["m1"].receives) == ("ORDER_NOT_EXIST", 2)

    @pytest.mark.parametrize("unknown", [True, False])
    def test_a_message_that_sqs_gives_up_leaves_its_reason(self, unknown: bool) -> None:
        """REJECTED, with what it last met, and an unknown outcome still remembered, so that a redrive asks first."""
        refusal = Refusal("FREQUENCY_LIMITED", "频率超限", http_status=429)
        outcome = Outcome(Status.RETRYING, PAYMENT, "THROTTLED", unknown=unknown, refusal=refusal)
        before = written(record(None, outcome, [TILL], NOW))
        after = written(record(before, outcome, [received("m1", 12, last=True), received("m2", 3)], NOW))
        assert (after.status, after.reason, after.last_error) == (Status.REJECTED, RETRIES_EXHAUSTED, refusal)
        assert after.outcome_unknown is unknown
        assert {one: receipt.rejected for one, receipt in after.messages.items()} == {"m1": True, "m2": False}
        step = Step.QUERY_FIRST if unknown else Step.SYNC
        assert plan(after, PAYMENT, received("redriven")) is step
        assert plan(after, PAYMENT, received("m2", 4)) is step

    def test_a_reason_of_ours_becomes_the_last_error_of_a_message_given_up(self) -> None:
        """Where WeChat Pay said nothing, the reason itself is what is known."""
        outcome = Outcome(Status.RETRYING, PAYMENT, "USER_CONFIRM", facts=Facts({}))
        after = written(record(None, outcome, [received("m1", 12, last=True)], NOW))
        assert after.last_error == Refusal("USER_CONFIRM", "")

    def test_what_a_later_version_wrote_is_kept(self) -> None:
        """On the order and on what it remembers of a message."""
        before = an_order(
            Status.RETRYING, rest={"colour": {"S": "red"}}, messages={"m1": Receipt(1, rest={"x": {"N": "1"}})}
        )
        after = written(record(before, Outcome(Status.RETRYING, PAYMENT), [received("m1", 2)], NOW))
        assert (after.rest, after.messages["m1"].rest) == (before.rest, {"x": {"N": "1"}})

    def test_our_own_write_is_known_again(self) -> None:
        """Not by its key alone: another environment's write at the same version is not ours."""
        ours = written(record(None, Outcome(Status.SYNCED, PAYMENT), [TILL], NOW))
        theirs = written(record(None, Outcome(Status.SYNCED, PAYMENT), [received("m2")], NOW))
        assert same_write(ours, replace(ours))
        assert not same_write(ours, theirs)
