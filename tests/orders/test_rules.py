"""The rules of an order, rule by rule."""

from copy import replace
from typing import Any

import pytest

from orders.order import UNKNOWN, Attempt, Facts, Order, Outcome, Receipt, Refusal, Reporter, Status, instant
from orders.rules import (
    HISTORY_LENGTH,
    MESSAGES_KEPT,
    RETRIES_EXHAUSTED,
    Step,
    payment_to_send,
    plan,
    raised_alarm,
    record,
    same_write,
    used_retry,
)

from .values import FINAL, NOW, OPEN, PAYMENT, TILL, an_attempt, an_order


def written(order: Order | None) -> Order:
    """The order to be written; fails if there is nothing to write."""
    assert order is not None
    return order


def received(message_id: str = "m1", receive_count: int = 1, **facts: Any) -> Reporter:
    """A delivery of a message."""
    return Reporter(message_id, "e1", "pos.till", receive_count, **facts)


@pytest.mark.parametrize("step", Step)
def test_two_steps_call_wechat_pay(step: Step) -> None:
    """Two of the four steps call WeChat Pay."""
    assert step.calls is (step in {Step.SYNC, Step.QUERY_FIRST})


class TestPlan:
    """The step for a message."""

    @pytest.mark.parametrize("status", FINAL)
    @pytest.mark.parametrize("receive_count", [1, 7])
    def test_a_final_order_needs_no_call(self, status: Status, receive_count: int) -> None:
        """A final order needs no call, whichever message reports it, at whatever receive."""
        assert plan(an_order(status), PAYMENT, received("another", receive_count)) is Step.DONE

    @pytest.mark.parametrize("receive_count", [1, 2, 12])
    def test_a_rejected_message_fails_again_without_a_call(self, receive_count: int) -> None:
        """A rejected message makes no call at its later receives, on its way to the dead letters."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.FAIL_AGAIN

    def test_a_redriven_message_gets_a_new_attempt(self) -> None:
        """A message with a new id makes an attempt of its own after another message was rejected."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert plan(order, PAYMENT, received("m2")) is Step.SYNC

    def test_a_rejected_message_fails_again_after_a_newer_attempt_of_another(self) -> None:
        """A late receive of a rejected message fails again, although a redriven message has reopened the order."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(1, rejected=True), "m2": Receipt(1)})
        assert plan(order, PAYMENT, received("m1", 3)) is Step.FAIL_AGAIN

    def test_a_message_received_before_fails_with_the_rejected_payment(self) -> None:
        """A message received before fails again if it reports the rejected payment, remembered by the item or not."""
        assert plan(an_order(Status.REJECTED), PAYMENT, received("m9", 2)) is Step.FAIL_AGAIN
        assert plan(an_order(Status.REJECTED), replace(PAYMENT, appid=None), received("m9", 2)) is Step.FAIL_AGAIN

    @pytest.mark.parametrize(
        "correction",
        [{"paid_time": "20260101120000"}, {"service_id": "9"}, {"sub_mchid": "1"}, {"paid_amount": 7}, {"seq": 2}],
    )
    def test_a_corrected_event_is_another_payment(self, correction: dict[str, Any]) -> None:
        """An event that corrects any field makes an attempt of its own, at its later receives as well."""
        corrected = replace(PAYMENT, **correction)
        assert plan(an_order(Status.REJECTED), corrected, received("m2")) is Step.SYNC
        assert plan(an_order(Status.REJECTED), corrected, received("m2", 2)) is Step.QUERY_FIRST

    def test_a_message_sent_after_the_rejection_makes_its_attempt(self) -> None:
        """A message sent after the rejection makes its attempt, even if its first receive could not (circuit open)."""
        order = an_order(Status.REJECTED, rejected_at=instant(NOW))
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW + 3600)) is Step.QUERY_FIRST
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW - 1)) is Step.FAIL_AGAIN
        assert plan(order, PAYMENT, received("m2", 2, sent_at=NOW + 60)) is Step.FAIL_AGAIN, "clocks differ"

    def test_exhausted_retries_reject_the_message_alone(self) -> None:
        """RETRIES_EXHAUSTED rejects a message, not the payment: another message makes its own attempt."""
        order = an_order(Status.REJECTED, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(12, rejected=True)})
        assert plan(order, PAYMENT, received("m1", 13)) is Step.FAIL_AGAIN
        assert plan(order, PAYMENT, received("m2", 3)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("status", OPEN)
    def test_an_unknown_outcome_is_queried_first(self, status: Status) -> None:
        """Every message of an order with an unknown outcome queries first, a redriven one included."""
        order = an_order(status, outcome_unknown=True, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(1)})
        assert plan(order, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST
        assert plan(order, PAYMENT, received("m2")) is Step.QUERY_FIRST

    @pytest.mark.parametrize(("recorded", "receive_count"), [(0, 2), (1, 3), (2, 4), (5, 12)])
    def test_a_message_with_an_unrecorded_receive_queries_first(self, recorded: int, receive_count: int) -> None:
        """A message queries first if an earlier receive is not recorded: its environment may have ended too early."""
        messages = {"m1": Receipt(recorded)} if recorded else {}
        order = an_order(Status.RETRYING, messages=messages)
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.QUERY_FIRST

    def test_without_an_item_only_a_first_receive_syncs(self) -> None:
        """Without an item a first receive syncs, and a later one queries first."""
        assert plan(None, PAYMENT, received()) is Step.SYNC
        assert plan(None, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("receive_count", [2, 5, 12])
    def test_a_message_whose_last_receive_is_recorded_syncs(self, receive_count: int) -> None:
        """A message whose last attempt is recorded, with a known outcome, syncs."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(receive_count - 1)})
        assert plan(order, PAYMENT, received("m1", receive_count)) is Step.SYNC

    def test_history_decides_nothing(self) -> None:
        """The steps are the same with any history, because it is cut off and meant for operators."""
        lines = tuple(an_attempt(message, outcome) for message in ("m1", "m2") for outcome in ("REJECTED", UNKNOWN))
        for order in (an_order(Status.RETRYING), an_order(Status.REJECTED), an_order(Status.RETRYING, attempts=3)):
            for reporter in (received(), received("m1", 2), received("m2", 5)):
                assert plan(order, PAYMENT, reporter) is plan(replace(order, history=lines), PAYMENT, reporter)


class TestPaymentToSend:
    """The time of payment that is sent."""

    def test_the_first_time_is_sent_while_the_outcome_is_unknown(self) -> None:
        """While the outcome is unknown the first `paid_time` is sent again, because WeChat Pay may have it already."""
        order = an_order(Status.RETRYING, outcome_unknown=True)
        assert payment_to_send(order, replace(PAYMENT, paid_time="20260101120000")).paid_time == "20260101110000"

    @pytest.mark.parametrize("status", OPEN)
    def test_a_corrected_event_starts_with_its_own_time(self, status: Status) -> None:
        """Once the outcome is known, a corrected event is sent with its own `paid_time`."""
        order = an_order(status, an_attempt("m1", status))
        corrected = replace(PAYMENT, paid_time="20260101120000")
        assert payment_to_send(order, corrected) == corrected


class TestRecord:
    """The order after an outcome."""

    def test_a_first_outcome_makes_the_item(self) -> None:
        """A new order holds the message, the payment and the facts of WeChat Pay's answer."""
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
        """An attempt without a verified answer keeps the facts of the earlier one."""
        order = an_order(Status.RETRYING, facts=Facts({"state": "DOING"}, "DOING"))
        refusal = Refusal("UNANSWERED", "silence")
        after = written(record(order, Outcome(Status.RETRYING, PAYMENT, refusal=refusal), [TILL], NOW + 60))
        assert after.facts == Facts({"state": "DOING"}, "DOING")
        assert (after.last_error, after.version, after.attempts) == (refusal, 2, 1)
        assert (after.created_at, after.updated_at) == (instant(NOW), instant(NOW + 60))

    def test_success_clears_the_last_error(self) -> None:
        """A synced order has no last error and no reason."""
        order = an_order(Status.REJECTED, last_error=Refusal("NO_AUTH", "…"), reason="NO_AUTH")
        after = written(record(order, Outcome(Status.SYNCED, PAYMENT, facts=Facts({})), [TILL], NOW))
        assert (after.last_error, after.reason) == (None, "")

    def test_an_unknown_outcome_is_written_into_the_history(self) -> None:
        """An unknown outcome is UNKNOWN in the history, and a field of the order for the next message."""
        after = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        assert after.history[-1].outcome == UNKNOWN
        assert after.outcome_unknown

    @pytest.mark.parametrize("status", Status)
    def test_only_a_synced_order_has_synced_at(self, status: Status) -> None:
        """Only a SYNCED order has `synced_at`."""
        after = written(record(None, Outcome(status, PAYMENT), [TILL], NOW))
        assert after.synced_at == (instant(NOW) if status is Status.SYNCED else None)

    def test_attempts_and_versions_are_counted(self) -> None:
        """Each record adds one to the attempts and one to the version."""
        order = an_order(Status.RETRYING, attempts=2, version=5)
        after = written(record(order, Outcome(Status.RETRYING, PAYMENT), [TILL], NOW))
        assert (after.attempts, after.version) == (3, 6)

    def test_a_contradiction_keeps_the_history_short(self) -> None:
        """A contradiction adds to the version and keeps the history at its newest twenty attempts."""
        old = tuple(an_attempt(str(number), "RETRYING") for number in range(HISTORY_LENGTH))
        before = an_order(Status.SYNCED, *old, version=3)
        after = written(record(before, Outcome(Status.PAID_BY_WECHAT, PAYMENT), [TILL], NOW))
        assert (after.version, len(after.history), after.history[0].message_id) == (4, HISTORY_LENGTH, "1")

    def test_all_messages_of_a_conversation_are_in_the_history(self) -> None:
        """Two messages of one conversation have a line each in the history and count as one attempt."""
        twin = Reporter("m2", "e2", "sqs")
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), [TILL, twin], NOW))
        assert [attempt.message_id for attempt in after.history] == ["m1", "m2"]
        assert (after.message_id, after.event_id, after.source) == ("m1", "e1", "pos.till")
        assert after.attempts == 1

    def test_the_history_keeps_the_newest_twenty(self) -> None:
        """The history keeps the newest twenty attempts."""
        old = tuple(an_attempt(str(number), "RETRYING") for number in range(HISTORY_LENGTH))
        after = written(record(an_order(Status.RETRYING, *old), Outcome(Status.RETRYING, PAYMENT), [TILL], NOW))
        assert len(after.history) == HISTORY_LENGTH
        assert (after.history[0].message_id, after.history[-1].message_id) == ("1", "m1")

    @pytest.mark.parametrize("final", FINAL)
    @pytest.mark.parametrize("later", list(Status))
    def test_a_final_status_never_changes(self, final: Status, later: Status) -> None:
        """A later outcome never changes a final status; a contradicting one is added to the history."""
        before = an_order(final, facts=Facts({"state": "DONE"}))
        after = record(before, Outcome(later, PAYMENT, facts=Facts({"state": "?"})), [TILL], NOW)
        if later in FINAL and later is not final:
            order = written(after)
            assert (order.status, order.facts, order.history[-1].outcome) == (final, before.facts, later)
            assert order.version == before.version + 1
        else:
            assert after is None


class TestRememberedMessages:
    """What an open order remembers of its messages."""

    def test_an_outcome_without_an_answer_closes_no_unknown_outcome(self) -> None:
        """A later outcome without a verified answer leaves an unknown outcome open, with its first `paid_time`."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        other = replace(PAYMENT, paid_time="20260101120000")
        after = written(record(unknown, Outcome(Status.RETRYING, other, "THROTTLED"), [received("m2")], NOW))
        assert (after.outcome_unknown, after.payment.paid_time, after.reason) == (True, PAYMENT.paid_time, "THROTTLED")

    def test_a_verified_answer_closes_it_unless_it_raced(self) -> None:
        """A verified answer closes an unknown outcome, unless the order was written during the conversation."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        answered = Outcome(Status.RETRYING, PAYMENT, "USER_PAYING", facts=Facts({"state": "DOING"}))
        assert not written(record(unknown, answered, [TILL], NOW)).outcome_unknown
        assert written(record(unknown, answered, [TILL], NOW, raced=True)).outcome_unknown

    def test_a_message_is_remembered_with_its_receives_and_its_rejection(self) -> None:
        """Each message of a conversation is remembered with its receive count and whether it was rejected."""
        twin = received("m2", 3)
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), [TILL, twin], NOW))
        assert after.messages == {"m1": Receipt(1, rejected=True), "m2": Receipt(3, rejected=True)}
        assert after.rejected_at == instant(NOW)

    def test_the_newest_messages_are_kept(self) -> None:
        """An order remembers its newest twenty messages."""
        reporters = [received(f"m{number}") for number in range(MESSAGES_KEPT + 1)]
        after = written(record(None, Outcome(Status.REJECTED, PAYMENT, "NO_AUTH"), reporters, NOW))
        assert list(after.messages) == [f"m{number}" for number in range(1, MESSAGES_KEPT + 1)]
        assert plan(after, PAYMENT, received("m0", 2)) is Step.FAIL_AGAIN

    def test_each_message_has_one_delayed_retry(self) -> None:
        """A message remembers the reason of its one delayed retry through later attempts."""
        once = Outcome(Status.RETRYING, PAYMENT, "ORDER_NOT_EXIST", once=True)
        after = written(record(None, once, [TILL], NOW))
        assert (used_retry(after, "m1"), used_retry(after, "m2"), used_retry(None, "m1")) == ("ORDER_NOT_EXIST", "", "")
        later = written(record(after, Outcome(Status.RETRYING, PAYMENT, "THROTTLED"), [received("m1", 2)], NOW))
        assert (used_retry(later, "m1"), later.messages["m1"].receives) == ("ORDER_NOT_EXIST", 2)

    @pytest.mark.parametrize("unknown", [True, False])
    def test_a_message_that_sqs_gives_up_rejects_the_order(self, unknown: bool) -> None:
        """A message that SQS gives up rejects the order with its last error; an unknown outcome stays unknown."""
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

    def test_a_reason_becomes_the_last_error_of_a_message_that_sqs_gives_up(self) -> None:
        """Without a refusal by WeChat Pay the reason itself is the last error of a message that SQS gives up."""
        outcome = Outcome(Status.RETRYING, PAYMENT, "USER_CONFIRM", facts=Facts({}))
        after = written(record(None, outcome, [received("m1", 12, last=True)], NOW))
        assert after.last_error == Refusal("USER_CONFIRM", "")

    def test_what_a_later_version_wrote_is_kept(self) -> None:
        """Unknown members of the order and of its receipts are kept."""
        before = an_order(
            Status.RETRYING, rest={"colour": {"S": "red"}}, messages={"m1": Receipt(1, rest={"x": {"N": "1"}})}
        )
        after = written(record(before, Outcome(Status.RETRYING, PAYMENT), [received("m1", 2)], NOW))
        assert (after.rest, after.messages["m1"].rest) == (before.rest, {"x": {"N": "1"}})

    def test_the_own_write_is_recognised(self) -> None:
        """A write of another environment at the same version is told apart from the own write."""
        ours = written(record(None, Outcome(Status.SYNCED, PAYMENT), [TILL], NOW))
        theirs = written(record(None, Outcome(Status.SYNCED, PAYMENT), [received("m2")], NOW))
        assert same_write(ours, replace(ours))
        assert not same_write(ours, theirs)


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        (Status.PAID_BY_WECHAT, [("m1", "PAID_BY_WECHAT")], True),
        (Status.PAID_BY_WECHAT, [("m1", "RETRYING"), ("n1", "PAID_BY_WECHAT")], False),
        (Status.PAID_BY_WECHAT, [("m1", "COLLECTED"), ("m2", "PAID_BY_WECHAT")], False),
        (Status.PAID_BY_WECHAT, [("m2", "PAID_BY_WECHAT"), ("m1", "SYNCED")], True),
        (Status.SYNCED, [("m2", "SYNCED"), ("m1", "PAID_BY_WECHAT")], True),
        (Status.SYNCED, [("m1", "UNKNOWN"), ("m1", "SYNCED")], False),
        (Status.NOTHING_DUE, [("m1", "NOTHING_DUE")], False),
        (Status.SYNCED, [], False),
    ],
)
def test_an_alarm_is_raised_again_for_the_message_that_raised_it(
    status: Status, lines: list[tuple[str, str]], expected: bool
) -> None:
    """A message that brought the double payment or the contradiction, and no other, raises the alarm again."""
    order = an_order(status, *(an_attempt(*line) for line in lines))
    assert raised_alarm(order, "m1") is expected
