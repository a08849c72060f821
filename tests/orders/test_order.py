"""The law of one order, rule by rule."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.order import (
    ENDPOINTS,
    HAVE_SUB_MCHID,
    HISTORY_LENGTH,
    MESSAGES_KEPT,
    RETRIES_EXHAUSTED,
    UNKNOWN,
    VISIBILITY_LIMIT,
    Attempt,
    Order,
    Outcome,
    Payment,
    Receipt,
    Refusal,
    Reporter,
    Status,
    Step,
    Wait,
    backoff,
    decide,
    deferral,
    instant,
    record,
    retried,
    same_write,
    standing,
)
from wechatpay import payscore

NOW = 1_767_240_000.0  # 2026-01-01T04:00:00Z
PAYMENT = Payment("1230000109", "A1", "20260101110000", appid="wx1", service_id="500001", endpoint="direct")
TILL = Reporter("m1", "e1", "pos.till")
FINAL = [Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE]
OPEN = [Status.RETRYING, Status.REJECTED]


def an_order(status: Status, *attempts: Attempt, **facts: object) -> Order:
    """An order as an earlier attempt left it."""
    order = Order("1230000109", "A1", status, "20260101110000", 1, instant(NOW), instant(NOW), history=attempts)
    order = replace(order, appid="wx1", service_id="500001", endpoint="direct")
    return replace(order, **facts)  # type: ignore[arg-type]


def an_attempt(message_id: str, outcome: str, code: str = "") -> Attempt:
    """A line of history."""
    return Attempt(instant(NOW), message_id, outcome, code)


def written(order: Order | None) -> Order:
    """The order that was to be written; fails where nothing was."""
    assert order is not None
    return order


class TestValues:
    """What passes between threads: facts, which nobody changes."""

    @pytest.mark.parametrize(
        "value",
        [
            PAYMENT,
            TILL,
            Wait(),
            an_attempt("m1", "RETRYING"),
            Refusal("A", "b"),
            an_order(Status.SYNCED),
            Outcome(Status.SYNCED, PAYMENT),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_value_does_not_change(self, value: object) -> None:
        """Nor does it carry more than its fields."""
        assert not hasattr(value, "__dict__")
        with pytest.raises(FrozenInstanceError):
            setattr(value, value.__slots__[0], None)  # type: ignore[attr-defined]

    def test_what_is_not_told_is_nothing(self) -> None:
        """No wait below the usual, no time taken."""
        assert (Wait().floor, Wait().base) == (0.0, 15.0)
        assert Attempt("at", "m1", "RETRYING").latency_ms == Outcome(Status.SYNCED, PAYMENT).latency_ms == 0

    def test_the_limits_are_those_of_the_contract(self) -> None:
        """Twenty attempts, twelve hours."""
        assert (HISTORY_LENGTH, VISIBILITY_LIMIT) == (20, 43_200)

    @pytest.mark.parametrize("status", Status)
    def test_a_status_tells_whether_it_is_final(self, status: Status) -> None:
        """And whether somebody should look: a customer who paid twice is final and needs attention."""
        assert status.final is (status in FINAL)
        assert status.needs_attention is (status in {*OPEN, Status.PAID_BY_WECHAT})

    def test_a_key_is_merchant_and_number(self) -> None:
        """Of a payment and of the order it is about, the same."""
        assert PAYMENT.key == an_order(Status.SYNCED).key == "1230000109#A1"

    @pytest.mark.parametrize("step", Step)
    def test_a_step_tells_whether_it_calls(self, step: Step) -> None:
        """Two of the four do."""
        assert step.calls is (step in {Step.SYNC, Step.QUERY_FIRST})

    @pytest.mark.parametrize(
        ("endpoint", "sub_mchid", "key"),
        [
            ("partner", "1900000109", "1230000109/1900000109#A1"),
            ("acquiringbank", "1900000109", "1230000109/1900000109#A1"),
            ("oversea", "1900000109", "1230000109/1900000109#A1"),
            ("direct", "1900000109", "1230000109#A1"),
            ("payafter", "1900000109", "1230000109#A1"),
            ("partner", None, "1230000109#A1"),
            (None, None, "1230000109#A1"),
            (None, "1900000109", "1230000109/1900000109#A1"),
        ],
    )
    def test_a_sub_merchants_order_has_a_key_of_its_own(
        self, endpoint: str | None, sub_mchid: str | None, key: str
    ) -> None:
        """Where the endpoint has a sub-merchant; the order made from a payment has the payment's key."""
        payment = replace(PAYMENT, endpoint=endpoint, sub_mchid=sub_mchid)
        assert payment.key == key
        assert written(record(None, Outcome(Status.RETRYING, payment), [TILL], NOW)).key == key
        assert payment.key_is_open is (endpoint is None and sub_mchid is not None)

    def test_the_endpoints_are_those_of_the_library(self) -> None:
        """One table of endpoints decides; what the law repeats of it is compared here."""
        assert tuple(payscore.ENDPOINTS) == ENDPOINTS
        assert {name for name, one in payscore.ENDPOINTS.items() if "sub_mchid" in one.fields} == HAVE_SUB_MCHID


def received(message_id: str = "m1", receive_count: int = 1, **facts: Any) -> Reporter:
    """A delivery of a message."""
    return Reporter(message_id, "e1", "pos.till", receive_count, **facts)


class TestDecide:
    """What to do with a message."""

    @pytest.mark.parametrize("status", FINAL)
    @pytest.mark.parametrize("receive_count", [1, 7])
    def test_a_final_order_asks_for_no_call(self, status: Status, receive_count: int) -> None:
        """Whichever message reports it, however often."""
        assert decide(an_order(status), PAYMENT, received("another", receive_count)) is Step.DONE

    @pytest.mark.parametrize("receive_count", [1, 2, 12])
    def test_the_message_that_was_rejected_fails_again_without_a_call(self, receive_count: int) -> None:
        """Otherwise each receive on its way to the dead letters would cost a call."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert decide(order, PAYMENT, received("m1", receive_count)) is Step.FAIL_AGAIN

    def test_a_redriven_message_gets_a_new_attempt(self) -> None:
        """Its message id is new, so the old rejection does not bind it."""
        order = an_order(Status.REJECTED, messages={"m1": Receipt(1, rejected=True)})
        assert decide(order, PAYMENT, received("m2")) is Step.SYNC

    def test_a_rejection_of_mine_binds_even_under_a_newer_attempt_of_another_message(self) -> None:
        """A slow receive of the old message must not undo what a redrive has begun."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(1, rejected=True), "m2": Receipt(1)})
        assert decide(order, PAYMENT, received("m1", 3)) is Step.FAIL_AGAIN

    def test_any_message_received_before_fails_with_the_payment_that_was_rejected(self) -> None:
        """The item may have forgotten its messages; the verdict on the payment it has not."""
        assert decide(an_order(Status.REJECTED), PAYMENT, received("m9", 2)) is Step.FAIL_AGAIN
        assert decide(an_order(Status.REJECTED), replace(PAYMENT, appid=None), received("m9", 2)) is Step.FAIL_AGAIN

    @pytest.mark.parametrize(
        "correction",
        [{"paid_time": "20260101120000"}, {"service_id": "9"}, {"sub_mchid": "1"}, {"paid_amount": 7}, {"seq": 2}],
    )
    def test_a_corrected_event_is_another_payment(self, correction: dict[str, Any]) -> None:
        """Whatever it corrects, it gets its own attempt, on a later receive as well."""
        corrected = replace(PAYMENT, **correction)
        assert decide(an_order(Status.REJECTED), corrected, received("m2")) is Step.SYNC
        assert decide(an_order(Status.REJECTED), corrected, received("m2", 2)) is Step.QUERY_FIRST

    def test_a_redriven_message_whose_first_receive_came_to_nothing_still_has_its_attempt(self) -> None:
        """The circuit was open, or the table down; it was sent after the verdict, so the verdict is not on it."""
        order = an_order(Status.REJECTED, rejected_at=instant(NOW))
        assert decide(order, PAYMENT, received("m2", 2, sent_at=NOW + 3600)) is Step.QUERY_FIRST
        assert decide(order, PAYMENT, received("m2", 2, sent_at=NOW - 1)) is Step.FAIL_AGAIN
        assert decide(order, PAYMENT, received("m2", 2, sent_at=NOW + 60)) is Step.FAIL_AGAIN, "clocks differ"

    def test_exhausted_retries_of_one_message_do_not_bind_another(self) -> None:
        """They are no verdict on the payment."""
        order = an_order(Status.REJECTED, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(12, rejected=True)})
        assert decide(order, PAYMENT, received("m1", 13)) is Step.FAIL_AGAIN
        assert decide(order, PAYMENT, received("m2", 3)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("status", OPEN)
    def test_an_unknown_outcome_is_asked_for_first(self, status: Status) -> None:
        """By the same message and by any other, a redriven one included."""
        order = an_order(status, outcome_unknown=True, reason=RETRIES_EXHAUSTED, messages={"m1": Receipt(1)})
        assert decide(order, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST
        assert decide(order, PAYMENT, received("m2")) is Step.QUERY_FIRST

    @pytest.mark.parametrize(("recorded", "receive_count"), [(0, 2), (1, 3), (2, 4), (5, 12)])
    def test_a_receive_that_is_not_recorded_asks_first(self, recorded: int, receive_count: int) -> None:
        """The environment may have ended between WeChat Pay's answer and our write, at any attempt."""
        messages = {"m1": Receipt(recorded)} if recorded else {}
        order = an_order(Status.RETRYING, messages=messages)
        assert decide(order, PAYMENT, received("m1", receive_count)) is Step.QUERY_FIRST

    def test_without_an_item_only_a_first_receive_syncs(self) -> None:
        """The usual case, and the one after a crash."""
        assert decide(None, PAYMENT, received()) is Step.SYNC
        assert decide(None, PAYMENT, received("m1", 2)) is Step.QUERY_FIRST

    @pytest.mark.parametrize("receive_count", [2, 5, 12])
    def test_a_message_whose_last_receive_is_recorded_syncs(self, receive_count: int) -> None:
        """Its last attempt is known to have changed nothing."""
        order = an_order(Status.RETRYING, messages={"m1": Receipt(receive_count - 1)})
        assert decide(order, PAYMENT, received("m1", receive_count)) is Step.SYNC

    def test_history_decides_nothing(self) -> None:
        """It is cut off, and for people: with any history the steps are the same."""
        lines = tuple(an_attempt(message, outcome) for message in ("m1", "m2") for outcome in ("REJECTED", UNKNOWN))
        for order in (an_order(Status.RETRYING), an_order(Status.REJECTED), an_order(Status.RETRYING, attempts=3)):
            for reporter in (received(), received("m1", 2), received("m2", 5)):
                assert decide(order, PAYMENT, reporter) is decide(replace(order, history=lines), PAYMENT, reporter)


class TestStanding:
    """Which time of payment is told."""

    def test_the_first_time_told_stands_while_the_outcome_is_unknown(self) -> None:
        """WeChat Pay may hold it already: another one would contradict ourselves."""
        order = an_order(Status.RETRYING, outcome_unknown=True)
        assert standing(order, replace(PAYMENT, paid_time="20260101120000")).paid_time == "20260101110000"

    @pytest.mark.parametrize("status", OPEN)
    def test_a_corrected_event_starts_with_its_own_time(self, status: Status) -> None:
        """After a rejection, and after a retry that is known to have changed nothing."""
        order = an_order(status, an_attempt("m1", status))
        corrected = replace(PAYMENT, paid_time="20260101120000")
        assert standing(order, corrected) == corrected


class TestRecord:
    """What the order becomes."""

    def test_a_first_outcome_makes_the_item(self) -> None:
        """Every fact of the message, of the payment and of WeChat Pay's answer is on it."""
        outcome = Outcome(
            Status.SYNCED,
            PAYMENT,
            answer={"state": "DONE"},
            state="DONE",
            collection_state="USER_PAID",
            paid_type="MCH",
            request_id="08F5-0",
            latency_ms=41,
        )
        order = written(record(None, outcome, [TILL], NOW))
        assert (order.status, order.version, order.attempts) == (Status.SYNCED, 1, 1)
        assert (order.created_at, order.updated_at, order.synced_at) == (instant(NOW),) * 3
        assert (order.event_id, order.message_id, order.source) == ("e1", "m1", "pos.till")
        assert (order.appid, order.service_id, order.endpoint) == ("wx1", "500001", "direct")
        assert (order.state, order.collection_state, order.paid_type) == ("DONE", "USER_PAID", "MCH")
        assert order.wechat == {"state": "DONE"}
        assert order.history == (Attempt(instant(NOW), "m1", "SYNCED", request_id="08F5-0", latency_ms=41),)
        assert (order.messages, order.outcome_unknown, order.rejected_at) == ({}, False, None)

    def test_a_later_attempt_without_an_answer_keeps_the_answer_before_it(self) -> None:
        """What WeChat Pay said once, verified, is not forgotten because of a timeout."""
        order = an_order(Status.RETRYING, wechat={"state": "DOING"}, state="DOING")
        refusal = Refusal("UNANSWERED", "silence")
        after = written(record(order, Outcome(Status.RETRYING, PAYMENT, refusal=refusal), [TILL], NOW + 60))
        assert (after.wechat, after.state) == ({"state": "DOING"}, "DOING")
        assert (after.last_error, after.version, after.attempts) == (refusal, 2, 1)
        assert (after.created_at, after.updated_at) == (instant(NOW), instant(NOW + 60))

    def test_success_clears_the_last_error(self) -> None:
        """An operator who looks at a synced order sees no old trouble but in the history."""
        order = an_order(Status.REJECTED, last_error=Refusal("NO_AUTH", "…"), reason="NO_AUTH")
        after = written(record(order, Outcome(Status.SYNCED, PAYMENT, answer={}), [TILL], NOW))
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
        before = an_order(final, wechat={"state": "DONE"})
        after = record(before, Outcome(later, PAYMENT, answer={"state": "?"}), [TILL], NOW)
        if later in FINAL and later is not final:
            kept = written(after)
            assert (kept.status, kept.wechat, kept.history[-1].outcome) == (final, {"state": "DONE"}, later)
            assert kept.version == before.version + 1
        else:
            assert after is None


class TestRemembering:
    """What an open order remembers for the next decision."""

    def test_an_outcome_without_an_answer_closes_no_unknown_outcome(self) -> None:
        """A racing THROTTLED on top hides nothing, and the first time that was told stays."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        other = replace(PAYMENT, paid_time="20260101120000")
        after = written(record(unknown, Outcome(Status.RETRYING, other, "THROTTLED"), [received("m2")], NOW))
        assert (after.outcome_unknown, after.paid_time, after.reason) == (True, PAYMENT.paid_time, "THROTTLED")

    def test_a_verified_answer_closes_it_unless_it_raced(self) -> None:
        """An answer that may be older than the unknown outcome proves nothing about it."""
        unknown = written(record(None, Outcome(Status.RETRYING, PAYMENT, unknown=True), [TILL], NOW))
        answered = Outcome(Status.RETRYING, PAYMENT, "USER_PAYING", answer={"state": "DOING"})
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
        assert decide(after, PAYMENT, received("m0", 2)) is Step.FAIL_AGAIN

    def test_a_delayed_retry_is_had_once_by_each_message(self) -> None:
        """Whatever comes between."""
        once = Outcome(Status.RETRYING, PAYMENT, "ORDER_NOT_EXIST", once=True)
        after = written(record(None, once, [TILL], NOW))
        assert (retried(after, "m1"), retried(after, "m2"), retried(None, "m1")) == ("ORDER_NOT_EXIST", "", "")
        later = written(record(after, Outcome(Status.RETRYING, PAYMENT, "THROTTLED"), [received("m1", 2)], NOW))
        assert (retried(later, "m1"), later.messages["m1"].receives) == ("ORDER_NOT_EXIST", 2)

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
        assert decide(after, PAYMENT, received("redriven")) is step
        assert decide(after, PAYMENT, received("m2", 4)) is step

    def test_a_reason_of_ours_becomes_the_last_error_of_a_message_given_up(self) -> None:
        """Where WeChat Pay said nothing, the reason itself is what is known."""
        outcome = Outcome(Status.RETRYING, PAYMENT, "USER_CONFIRM", answer={})
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


class TestBackoff:
    """How long a failed message waits."""

    @pytest.mark.parametrize(
        ("receive_count", "seconds"), [(1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600), (12, 3600), (1000, 3600)]
    )
    def test_it_doubles_up_to_an_hour(self, receive_count: int, seconds: int) -> None:
        """With the jitter at its most."""
        assert backoff(receive_count, Wait(), jitter=1.0) == seconds

    @given(st.integers(1, 1000), st.floats(0, 43_200), st.floats(0, 1), st.floats(0.001, 1))
    def test_it_keeps_every_bound(self, receive_count: int, floor: float, jitter: float, scale: float) -> None:
        """An integer that SQS takes, never below what the judgement asked for."""
        seconds = backoff(receive_count, Wait(floor=floor), jitter=jitter, scale=scale)
        assert 1 <= seconds <= 43_200
        assert seconds >= min(floor * scale, 43_200)
        assert seconds <= max(3600, floor) + 1

    @given(st.integers(1, 1000), st.floats(0, 43_200), st.floats(0, 1), st.floats(0.001, 1))
    def test_a_deferral_keeps_every_bound(
        self, receive_count: int, closed_for: float, jitter: float, scale: float
    ) -> None:
        """Until somebody may ask at least; grown to half an hour at most, never to less than half of that."""
        seconds = deferral(receive_count, closed_for, jitter=jitter, scale=scale)
        growing = min(1800, 60 * 2 ** min(receive_count - 1, 10)) * scale
        assert 1 <= seconds <= 43_200
        assert max(closed_for, growing / 2) <= seconds <= max(closed_for, growing) + 1

    @pytest.mark.parametrize(
        ("receive_count", "jitter", "seconds"),
        [(1, 1.0, 60), (1, 0.0, 30), (1, 0.5, 45), (2, 0.75, 105), (5, 1.0, 960), (6, 1.0, 1800), (99, 0.0, 900)],
    )
    def test_a_deferral_doubles_up_to_half_an_hour(self, receive_count: int, jitter: float, seconds: int) -> None:
        """From a minute, its upper half jittered."""
        assert deferral(receive_count, 0.0, jitter=jitter) == seconds

    def test_waits_end_at_what_sqs_takes(self) -> None:
        """Twelve hours, to the second."""
        assert backoff(1, Wait(floor=1e9), jitter=0.0) == deferral(1, 1e9, jitter=0.0) == 43_200
        assert deferral(1, 0.3, jitter=0.011) == 31, "a part of a second is a second"

    def test_deducting_waits_three_minutes_at_least(self) -> None:
        """WeChat Pay's own advice, whatever the jitter."""
        assert backoff(1, Wait(floor=180.0), jitter=0.0) == 180


def test_an_instant_is_iso_8601_in_utc() -> None:
    """Sortable as text, which the index relies on."""
    assert instant(NOW) == "2026-01-01T04:00:00.000Z"
