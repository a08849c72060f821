"""The rule of one conversation, without network, clock or keys: replies in, asks and the outcome out."""

from collections.abc import Sequence
from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.dialogue import (
    PAYING,
    UNKNOWN_STATE,
    Acknowledged,
    Action,
    Ask,
    AskReply,
    FetchKeys,
    Judgement,
    Keys,
    KeysReply,
    OutOfTime,
    Refused,
    SecretUnavailable,
    Silence,
    UnknownMerchant,
    Untrusted,
    Verdict,
    Verified,
)
from orders.order import Facts, Outcome, Payment, Refusal, Status
from orders.settlement import settle
from orders.waits import CLOCK_APART, DEDUCTING, KEYS_BROKEN, NO_FLOOR, NOT_COMPLETED, SOON, THROTTLED, Wait

EVENT = Payment("1230000109", "A1", "20260101120000")
SENT = replace(EVENT, appid="wx1", service_id="500001", endpoint="direct")
SYNC, QUERY, BACKUP_QUERY = Ask("sync", SENT), Ask("query", SENT), Ask("query", SENT, backup=True)
KEYS, FRESH = FetchKeys(), FetchKeys(fresh=True)
HAVE_KEYS, SAME_KEYS, OTHER_KEYS = Keys(SENT), Keys(SENT, changed=False), Keys(SENT)
MOST_ASKS = 38  # two attempts: keys, a query and a sync with its query, each call renewed once


def verified(status: Status, reason: str = "", wait: Wait = NO_FLOOR) -> Verified:
    """An order that WeChat Pay has signed."""
    return Verified(Verdict(status, reason, wait), Facts(answer={"state": "?"}, state="?"), "08F5-1")


SYNCED = verified(Status.SYNCED)
NEWTON = verified(Status.PAID_BY_WECHAT, "NEWTON")
FREE = verified(Status.NOTHING_DUE)
TO_BE_PAID = Verified(PAYING, Facts(answer={"state": "DOING"}, state="DOING"), "08F5-2")
CREATED = verified(Status.RETRYING, "CREATED", NOT_COMPLETED)
REVOKED = verified(Status.REJECTED, "REVOKED")
STRANGE = Verified(UNKNOWN_STATE, Facts(answer={"state": "PAUSED"}, state="PAUSED"))


def refused(action: Action, code: str, wait: Wait = NO_FLOOR, *, ahead: bool = False) -> Refused:
    """A refusal under WeChat Pay's code."""
    return Refused(Judgement(action, code, wait), Refusal(code, "no", request_id="08F5-3"), ahead)


ORDER_DONE = refused(Action.QUERY, "ORDER_DONE")
PARAM_ERROR = refused(Action.REJECT_UNLESS_CLOSED, "PARAM_ERROR")
AHEAD = refused(Action.REJECT_UNLESS_CLOSED, "PARAM_ERROR", ahead=True)
TEAPOT = refused(Action.REJECT_UNLESS_CLOSED, "TEAPOT")
NO_AUTH = refused(Action.REJECT, "NO_AUTH")
NOT_EXIST = refused(Action.NOT_EXIST, "ORDER_NOT_EXIST")
IN_DEDUCTION = refused(Action.WAIT, "DEDUCTING", DEDUCTING)
THROTTLE = refused(Action.WAIT, "THROTTLED", THROTTLED)
WRONG_CLOCK = refused(Action.SIGN_AGAIN, "CLOCK")
WRONG_KEY = refused(Action.FRESH_KEYS, "SIGN_ERROR")
NO_CONNECTION = Silence(Refusal("UNANSWERED", "refused"), sent=False)
TIME_OUT = Silence(Refusal("UNANSWERED", "silence"), sent=True)
STALE = Untrusted(Refusal("UntrustedError", "stale"))
FORGED = Untrusted(Refusal("UntrustedError", "signature"), about_keys=True)


def converse(
    replies: Sequence[KeysReply | AskReply], *, query_first: bool = False, retried: str = ""
) -> tuple[list[FetchKeys | Ask], Outcome]:
    """Send the replies one by one; return what was asked, and the outcome. Fails if they are too few or too many."""
    dialogue = settle(EVENT, query_first=query_first, retried=retried)
    asks = [next(dialogue)]
    for place, reply in enumerate(replies, start=1):
        try:
            asks.append(dialogue.send(reply))
        except StopIteration as end:
            outcome: Outcome = end.value
            assert place == len(replies), f"{len(replies) - place} replies are left"
            return asks, outcome
    raise AssertionError(f"the conversation goes on with {asks[-1]}")


type Exchange = list[FetchKeys | Ask | KeysReply | AskReply]
"""Asks and replies in turn."""

type Row = tuple[Exchange, Status, str]
"""An exchange, and the status and the reason that it ends in."""


def _asks(exchange: Exchange) -> list[FetchKeys | Ask]:
    return [one for one in exchange if isinstance(one, FetchKeys | Ask)]


def _replies(exchange: Exchange) -> list[KeysReply | AskReply]:
    return [one for one in exchange if not isinstance(one, FetchKeys | Ask)]


FIRST_SYNC: dict[str, Row] = {
    "verified": ([SYNC, SYNCED], Status.SYNCED, ""),
    "verified, paid by WeChat Pay": ([SYNC, NEWTON], Status.PAID_BY_WECHAT, "NEWTON"),
    "verified, nothing due": ([SYNC, FREE], Status.NOTHING_DUE, ""),
    "verified, still to be paid": ([SYNC, TO_BE_PAID], Status.RETRYING, "USER_PAYING"),
    "verified, not completed": ([SYNC, CREATED], Status.RETRYING, "CREATED"),
    "verified, closed": ([SYNC, REVOKED], Status.REJECTED, "REVOKED"),
    "verified, unknown state": ([SYNC, STRANGE], Status.RETRYING, "UNKNOWN_STATE"),
    "acknowledged": ([SYNC, Acknowledged(), QUERY, SYNCED], Status.SYNCED, ""),
    "business refusal": ([SYNC, ORDER_DONE, QUERY, NEWTON], Status.PAID_BY_WECHAT, "NEWTON"),
    "business refusal, still to be paid": ([SYNC, ORDER_DONE, QUERY, TO_BE_PAID], Status.RETRYING, "USER_PAYING"),
    "business refusal, query unanswered": ([SYNC, ORDER_DONE, QUERY, TIME_OUT], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "read time-out": ([SYNC, TIME_OUT, BACKUP_QUERY, SYNCED], Status.SYNCED, ""),
    "read time-out on both hosts": ([SYNC, TIME_OUT, BACKUP_QUERY, TIME_OUT], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "no connection": ([SYNC, NO_CONNECTION], Status.RETRYING, "UNREACHABLE"),
    "deducting": ([SYNC, IN_DEDUCTION], Status.RETRYING, "DEDUCTING"),
    "throttled": ([SYNC, THROTTLE], Status.RETRYING, "THROTTLED"),
    "stale answer": ([SYNC, STALE, QUERY, SYNCED], Status.SYNCED, ""),
    "stale answers": ([SYNC, STALE, QUERY, STALE], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "forged answer": ([SYNC, FORGED, FRESH, OTHER_KEYS, QUERY, SYNCED], Status.SYNCED, ""),
    "forged answer, no other keys": ([SYNC, FORGED, FRESH, SAME_KEYS, QUERY, SYNCED], Status.SYNCED, ""),
    "forged answers": (
        [SYNC, FORGED, FRESH, OTHER_KEYS, QUERY, FORGED, FRESH, SAME_KEYS],
        Status.RETRYING,
        "UNTRUSTED_ANSWER",
    ),
    "query verified by other keys": (
        [SYNC, TIME_OUT, BACKUP_QUERY, FORGED, FRESH, OTHER_KEYS, BACKUP_QUERY, SYNCED],
        Status.SYNCED,
        "",
    ),
    "clock": ([SYNC, WRONG_CLOCK, SYNC, SYNCED], Status.SYNCED, ""),
    "clock twice": ([SYNC, WRONG_CLOCK, SYNC, WRONG_CLOCK], Status.RETRYING, "CLOCK"),
    "wrong key": ([SYNC, WRONG_KEY, FRESH, OTHER_KEYS, SYNC, SYNCED], Status.SYNCED, ""),
    "wrong key, no other": ([SYNC, WRONG_KEY, FRESH, SAME_KEYS, SYNC, WRONG_KEY], Status.RETRYING, "SIGN_ERROR"),
    "wrong key, no secret": ([SYNC, WRONG_KEY, FRESH, SecretUnavailable("down")], Status.RETRYING, "SIGN_ERROR"),
    "wrong key in the query": (
        [SYNC, TIME_OUT, BACKUP_QUERY, WRONG_KEY, FRESH, OTHER_KEYS, BACKUP_QUERY, SYNCED],
        Status.SYNCED,
        "",
    ),
    "rejected": ([SYNC, NO_AUTH, FRESH, SAME_KEYS], Status.REJECTED, "NO_AUTH"),
    "rejected, secret unavailable": ([SYNC, NO_AUTH, FRESH, SecretUnavailable("x")], Status.REJECTED, "NO_AUTH"),
    "rejected, then other keys": ([SYNC, NO_AUTH, FRESH, OTHER_KEYS, SYNC, SYNCED], Status.SYNCED, ""),
    "rejected with both keys": (
        [SYNC, NO_AUTH, FRESH, OTHER_KEYS, SYNC, NO_AUTH],
        Status.REJECTED,
        "NO_AUTH",
    ),
    "order not there": ([SYNC, NOT_EXIST], Status.RETRYING, "ORDER_NOT_EXIST"),
    "parameter, order open": (
        [SYNC, PARAM_ERROR, QUERY, TO_BE_PAID, FRESH, SAME_KEYS],
        Status.REJECTED,
        "PARAM_ERROR",
    ),
    "parameter, order paid": ([SYNC, PARAM_ERROR, QUERY, NEWTON], Status.PAID_BY_WECHAT, "NEWTON"),
    "parameter, order closed": ([SYNC, PARAM_ERROR, QUERY, REVOKED], Status.REJECTED, "REVOKED"),
    "parameter, query refused for the same": (
        [
            SYNC,
            PARAM_ERROR,
            QUERY,
            PARAM_ERROR,
            FRESH,
            SAME_KEYS,
        ],
        Status.REJECTED,
        "PARAM_ERROR",
    ),
    "unknown refusal, query refused": ([SYNC, TEAPOT, QUERY, TEAPOT], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "paid_time ahead": ([SYNC, AHEAD, QUERY, TO_BE_PAID], Status.RETRYING, "PAID_TIME_AHEAD"),
    "out of time after a 401": ([SYNC, WRONG_CLOCK, SYNC, OutOfTime()], Status.RETRYING, "OUT_OF_TIME"),
    "out of time before the query": ([SYNC, TIME_OUT, BACKUP_QUERY, OutOfTime()], Status.RETRYING, "OUT_OF_TIME"),
}
QUERY_FIRST: dict[str, Row] = {
    "settled before": ([QUERY, SYNCED], Status.SYNCED, ""),
    "still to be paid": ([QUERY, TO_BE_PAID, SYNC, SYNCED], Status.SYNCED, ""),
    "still to be paid, then refused": (
        [QUERY, TO_BE_PAID, SYNC, NO_AUTH, FRESH, SAME_KEYS],
        Status.REJECTED,
        "NO_AUTH",
    ),
    "not completed": ([QUERY, CREATED], Status.RETRYING, "CREATED"),
    "unknown state": ([QUERY, STRANGE], Status.RETRYING, "UNKNOWN_STATE"),
    "unanswered": ([QUERY, TIME_OUT], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "no connection": ([QUERY, NO_CONNECTION], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "business refusal": ([QUERY, ORDER_DONE], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "acknowledged": ([QUERY, Acknowledged()], Status.RETRYING, "OUTCOME_UNKNOWN"),
    "throttled": ([QUERY, THROTTLE], Status.RETRYING, "THROTTLED"),
    "order not there": ([QUERY, NOT_EXIST], Status.RETRYING, "ORDER_NOT_EXIST"),
    "rejected, then other keys": ([QUERY, NO_AUTH, FRESH, OTHER_KEYS, QUERY, SYNCED], Status.SYNCED, ""),
    "forged answer, no other keys": ([QUERY, FORGED, FRESH, SAME_KEYS], Status.RETRYING, "UNTRUSTED_ANSWER"),
    "forged answers of both keys": (
        [QUERY, FORGED, FRESH, OTHER_KEYS, QUERY, FORGED],
        Status.RETRYING,
        "UNTRUSTED_ANSWER",
    ),
}


@pytest.mark.parametrize(("exchange", "status", "reason"), FIRST_SYNC.values(), ids=FIRST_SYNC)
def test_a_payment_is_synced_and_queried_only_where_the_reply_leaves_it_open(
    exchange: Exchange, status: Status, reason: str
) -> None:
    """Each row is a script of asks and replies that begins with a sync, and the outcome that it ends in."""
    asks, outcome = converse([HAVE_KEYS, *_replies(exchange)])
    assert asks == [KEYS, *_asks(exchange)]
    assert (outcome.status, outcome.reason, outcome.payment) == (status, reason, SENT)


@pytest.mark.parametrize(("exchange", "status", "reason"), QUERY_FIRST.values(), ids=QUERY_FIRST)
def test_an_unknown_outcome_is_queried_before_anything_is_synced(
    exchange: Exchange, status: Status, reason: str
) -> None:
    """Each row begins with a query, because an earlier call may have been executed."""
    asks, outcome = converse([HAVE_KEYS, *_replies(exchange)], query_first=True)
    assert asks == [KEYS, *_asks(exchange)]
    assert (outcome.status, outcome.reason, outcome.payment) == (status, reason, SENT)


@pytest.mark.parametrize(
    ("replies", "unknown"),
    [
        ([NO_CONNECTION], False),
        ([IN_DEDUCTION], False),
        ([NOT_EXIST], False),
        ([TIME_OUT, TIME_OUT], True),
        ([TIME_OUT, OutOfTime()], True),
        ([Acknowledged(), STALE], True),
        ([ORDER_DONE, THROTTLE], True),
        ([TIME_OUT, TO_BE_PAID], False),
        ([STRANGE], True),
        ([WRONG_CLOCK, OutOfTime()], False),
    ],
)
def test_an_outcome_is_unknown_if_a_call_may_have_been_executed_and_no_order_shows_it(
    replies: list[AskReply], unknown: bool
) -> None:
    """The next attempt then queries first; a state without a word is queried again, too."""
    _, outcome = converse([HAVE_KEYS, *replies])
    assert outcome.unknown is unknown


@pytest.mark.parametrize(
    ("replies", "wait"),
    [
        ([NO_CONNECTION], NO_FLOOR),
        ([IN_DEDUCTION], DEDUCTING),
        ([THROTTLE], THROTTLED),
        ([NOT_EXIST], SOON),
        ([CREATED], NOT_COMPLETED),
        ([STRANGE], UNKNOWN_STATE.wait),
        ([AHEAD, TO_BE_PAID], CLOCK_APART),
        ([WRONG_CLOCK, WRONG_CLOCK], KEYS_BROKEN),
        ([FORGED, SAME_KEYS, FORGED, SAME_KEYS], KEYS_BROKEN),
        ([TIME_OUT, OutOfTime()], SOON),
    ],
)
def test_a_retry_waits_as_long_as_its_cause_takes(replies: list[KeysReply | AskReply], wait: Wait) -> None:
    """The wait is at least that of the last judgement or verdict."""
    _, outcome = converse([HAVE_KEYS, *replies])
    assert (outcome.status, outcome.wait) == (Status.RETRYING, wait)


def test_an_order_that_does_not_exist_gets_one_short_retry() -> None:
    """It may be seconds old; the second time it is rejected."""
    _, first = converse([HAVE_KEYS, NOT_EXIST])
    _, second = converse([HAVE_KEYS, NOT_EXIST, SAME_KEYS], retried="ORDER_NOT_EXIST")
    assert (first.status, first.once) == (Status.RETRYING, True)
    assert (second.status, second.reason, second.once) == (Status.REJECTED, "ORDER_NOT_EXIST", False)


def test_a_paid_time_ahead_of_the_clock_gets_one_delayed_retry() -> None:
    """The second refusal is a rejection."""
    _, first = converse([HAVE_KEYS, AHEAD, TO_BE_PAID])
    _, second = converse([HAVE_KEYS, AHEAD, TO_BE_PAID, SAME_KEYS], retried="PAID_TIME_AHEAD")
    assert (first.status, first.once) == (Status.RETRYING, True)
    assert (second.status, second.reason) == (Status.REJECTED, "PARAM_ERROR")


def test_the_first_failure_stays_the_last_error_while_the_outcome_is_unknown() -> None:
    """An operator sees why a query was needed, not that the query failed as well; a final status has no error."""
    _, silent = converse([HAVE_KEYS, ORDER_DONE, TIME_OUT])
    _, synced = converse([HAVE_KEYS, ORDER_DONE, SYNCED])
    _, open_order = converse([HAVE_KEYS, ORDER_DONE, TO_BE_PAID])
    assert silent.refusal == open_order.refusal == ORDER_DONE.refusal
    assert (silent.request_id, open_order.request_id) == ("08F5-3", "08F5-2")
    assert (synced.refusal, synced.request_id, synced.facts) == (None, "08F5-1", SYNCED.facts)


def test_a_merchant_without_a_secret_is_rejected_until_a_secret_is_there() -> None:
    """The fresh secret is tried at once; the event's payment is recorded as it came."""
    asks, outcome = converse([UnknownMerchant("create it"), UnknownMerchant("create it")])
    assert (asks, outcome.status, outcome.reason) == ([KEYS, FRESH], Status.REJECTED, "UNKNOWN_MERCHANT")
    assert (outcome.payment, outcome.refusal) == (EVENT, Refusal("UNKNOWN_MERCHANT", "create it"))
    asks, outcome = converse([UnknownMerchant("create it"), OTHER_KEYS, SYNCED])
    assert (asks, outcome.status) == ([KEYS, FRESH, SYNC], Status.SYNCED)


def test_a_secret_that_cannot_be_had_makes_the_message_wait() -> None:
    """Its merchant's orders all wait for the same repair; no call is made."""
    asks, outcome = converse([SecretUnavailable("throttled")], query_first=True)
    assert (asks, outcome.status, outcome.reason) == ([KEYS], Status.RETRYING, "SECRET_UNAVAILABLE")
    assert (outcome.wait, outcome.unknown) == (KEYS_BROKEN, True)


def test_missing_fields_are_rejected_all_at_once_and_tried_again_with_a_fresh_secret() -> None:
    """The reason names the first, the last error all of them."""
    lacking = Keys(SENT, missing=("service_id", "appid"))
    asks, outcome = converse([lacking, SAME_KEYS])
    assert (asks, outcome.status, outcome.reason) == ([KEYS, FRESH], Status.REJECTED, "MISSING_SERVICE_ID")
    assert outcome.refusal is not None
    assert outcome.refusal.field == "service_id, appid"
    asks, outcome = converse([lacking, OTHER_KEYS, SYNCED])
    assert (asks, outcome.status) == ([KEYS, FRESH, SYNC], Status.SYNCED)


def test_a_rejection_that_follows_an_unknown_outcome_queries_first_with_the_fresh_keys() -> None:
    """What may have been executed is never forgotten between the two attempts."""
    asks, outcome = converse([HAVE_KEYS, TIME_OUT, NO_AUTH, OTHER_KEYS, SYNCED])
    assert (asks, outcome.status) == ([KEYS, SYNC, BACKUP_QUERY, FRESH, QUERY], Status.SYNCED)


def test_a_reply_of_the_wrong_kind_is_an_error_of_the_driver() -> None:
    """Keys do not answer a call, nor does an order answer a fetch of keys."""
    with pytest.raises(TypeError, match="Verified is no reply to a fetch of keys"):
        converse([SYNCED])
    with pytest.raises(TypeError, match="Keys is no reply to an ask"):
        converse([HAVE_KEYS, HAVE_KEYS])


_KEYS_REPLIES: st.SearchStrategy[KeysReply | AskReply] = st.sampled_from(
    [HAVE_KEYS, SAME_KEYS, OTHER_KEYS, UnknownMerchant("create it"), SecretUnavailable("throttled")]
)
_REPLIES: st.SearchStrategy[KeysReply | AskReply] = st.sampled_from(
    [
        *(ORDER_DONE, PARAM_ERROR, AHEAD, TEAPOT, NO_AUTH, NOT_EXIST, IN_DEDUCTION, THROTTLE, WRONG_CLOCK, WRONG_KEY),
        *(NO_CONNECTION, TIME_OUT, STALE, FORGED, Acknowledged(), OutOfTime()),
        *(SYNCED, NEWTON, FREE, TO_BE_PAID, CREATED, REVOKED, STRANGE),
    ]
)


@given(st.data(), st.booleans(), st.sampled_from(["", "ORDER_NOT_EXIST", "PAID_TIME_AHEAD"]))
def test_any_sequence_of_replies_ends_soon_and_a_final_status_rests_on_a_verified_order(
    data: st.DataObject, query_first: bool, retried: str
) -> None:
    """SYNCED, PAID_BY_WECHAT and NOTHING_DUE are the verdict of the last reply; nothing else is final."""
    dialogue = settle(EVENT, query_first=query_first, retried=retried)
    ask = next(dialogue)
    reply: KeysReply | AskReply
    for _ in range(MOST_ASKS):
        reply = data.draw(_KEYS_REPLIES if isinstance(ask, FetchKeys) else _REPLIES)
        try:
            ask = dialogue.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            break
    else:
        raise AssertionError(f"still asking after {MOST_ASKS} replies")
    if outcome.status.final:
        assert isinstance(reply, Verified)
        assert (outcome.status, outcome.facts) == (reply.verdict.status, reply.facts)
        assert not outcome.unknown
