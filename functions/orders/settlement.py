"""The rule of one conversation: what to ask WeChat Pay next, and how the conversation ends. Pure.

A generator in the manner of httpx's `auth_flow`: it yields an ask, is sent the reply as a value, and returns the
outcome. It has no clock, network or key, so the test of a rule is a list of replies.

    keys ──▶ outcome unknown? ── no ──────────────────▶ sync ── outcome unknown ──▶ query ──▶ outcome
                    └── yes ──▶ query ── to be paid ──▶──┘ └── verified or refused ──────────▶ outcome

SYNCED, PAID_BY_WECHAT and NOTHING_DUE rest on a `Verified` order alone.
"""

from typing import NamedTuple

from orders.dialogue import (
    CLOSED_REASONS,
    PAYING,
    UNKNOWN_STATE,
    Acknowledged,
    Action,
    Ask,
    AskReply,
    Dialogue,
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
    Verified,
)
from orders.order import Outcome, Payment, Refusal, Status
from orders.waits import CLOCK_APART, KEYS_BROKEN, NO_FLOOR, SOON, Wait

PAID_TIME_AHEAD = "PAID_TIME_AHEAD"
KEY_REASONS = frozenset({"SIGN_ERROR", "CLOCK", "WECHATPAY_SERIAL", "UNTRUSTED_ANSWER", "SECRET_UNAVAILABLE"})
"""Reasons that lie in a merchant's keys, its own or WeChat Pay's: every order of the merchant meets them."""


def settle(payment: Payment, *, query_first: bool, retried: str) -> Dialogue[Outcome]:
    """Sync the payment, or find out what became of it; return the outcome.

    What would be REJECTED for something that the secret decides is tried once more if a fresh secret has other keys:
    the cause may have been repaired since the secret was read.

    Args:
        payment: as the event reports it; the reply `Keys` has it with the defaults of the secret.
        query_first: an earlier call may have been executed.
        retried: the reason for which the message has used its one delayed retry; empty if it has not.
    """
    keys = yield from _fetch_keys()
    outcome = yield from _attempt(_Progress(payment, retried, unknown=query_first), keys)
    if outcome.status is not Status.REJECTED or outcome.reason in CLOSED_REASONS:
        return outcome
    keys = yield from _fetch_keys(fresh=True)
    if isinstance(keys, Keys) and keys.changed:
        return (yield from _attempt(_Progress(payment, retried, unknown=outcome.unknown), keys))
    return outcome


class _Progress(NamedTuple):
    """How far the conversation has come.

    `unknown`: a call may have been executed, and no verified answer says so. `refusal`: the failure that led here.
    """

    payment: Payment
    retried: str
    unknown: bool = False
    refusal: Refusal | None = None

    def after(self, refusal: Refusal) -> "_Progress":
        return self._replace(refusal=refusal)

    def in_doubt(self, refusal: Refusal | None = None) -> "_Progress":
        return self._replace(refusal=refusal, unknown=True)

    def conclude(self, reply: Verified) -> Outcome:
        """Follow the verdict; a state that this version has no word for is queried again, not synced again."""
        verdict = reply.verdict
        return Outcome(
            verdict.status,
            self.payment,
            verdict.reason,
            unknown=verdict.reason == UNKNOWN_STATE.reason,
            facts=reply.facts,
            refusal=None if verdict.status.final else self.refusal,
            request_id=reply.request_id,
            wait=verdict.wait,
        )

    def follow(self, judgement: Judgement) -> Outcome:
        """Follow a judgement that needs no further call."""
        match judgement.action:
            case Action.NOT_EXIST if self.retried != judgement.reason:
                return self.retry(judgement.reason, SOON)._replace(once=True)
            case Action.REJECT | Action.REJECT_UNLESS_CLOSED | Action.NOT_EXIST:
                return self.reject(judgement.reason)
            case Action.SIGN_AGAIN | Action.FRESH_KEYS:
                return self.retry(judgement.reason, KEYS_BROKEN)
            case _:
                return self.retry(judgement.reason, judgement.wait)

    def reject(self, reason: str) -> Outcome:
        return self._failed(Status.REJECTED, reason, NO_FLOOR)

    def retry(self, reason: str, wait: Wait = NO_FLOOR) -> Outcome:
        return self._failed(Status.RETRYING, reason, wait)

    def out_of_time(self) -> Outcome:
        refusal = Refusal("OUT_OF_TIME", "the invocation's time did not suffice for another call")
        return self.after(self.refusal or refusal).retry("OUT_OF_TIME", SOON)

    def _failed(self, status: Status, reason: str, wait: Wait) -> Outcome:
        refusal = self.refusal or Refusal(reason)
        return Outcome(
            status, self.payment, reason, self.unknown, refusal=refusal, request_id=refusal.request_id, wait=wait
        )


def _attempt(progress: _Progress, keys: KeysReply) -> Dialogue[Outcome]:
    """Settle the payment with these keys: query first if its outcome is unknown, then sync if it is to be paid."""
    match keys:
        case UnknownMerchant(problem):
            return progress.after(Refusal("UNKNOWN_MERCHANT", problem)).reject("UNKNOWN_MERCHANT")
        case SecretUnavailable(problem):
            return progress.after(Refusal("SECRET_UNAVAILABLE", problem)).retry("SECRET_UNAVAILABLE", KEYS_BROKEN)
        case Keys(payment, missing):
            progress = progress._replace(payment=payment)
    if missing:
        refusal = _missing(missing)
        return progress.after(refusal).reject(refusal.code)
    if progress.unknown:
        outcome = yield from _query(progress)
        if outcome.reason != PAYING.reason:
            return outcome
    return (yield from _sync(progress._replace(unknown=False)))


def _missing(names: tuple[str, ...]) -> Refusal:
    """Name all missing fields at once; the code names the first."""
    fields = ", ".join(names)
    problem = f"{fields} in neither the event nor the merchant's secret: add to one of them"
    return Refusal(f"MISSING_{names[0].upper()}", problem, field=fields)


def _sync(progress: _Progress) -> Dialogue[Outcome]:  # noqa: PLR0911  one return for each row of the table
    """Report the payment; if the reply leaves the outcome unknown, query."""
    match (yield from _ask(Ask("sync", progress.payment))):
        case Verified() as reply:
            return progress.conclude(reply)
        case Acknowledged():
            return (yield from _query(progress.in_doubt()))
        case Refused(Judgement(Action.QUERY), refusal):
            return (yield from _query(progress.in_doubt(refusal)))
        case Refused(Judgement(Action.REJECT_UNLESS_CLOSED), refusal) as reply:
            return _unless_closed(progress, reply, (yield from _query(progress.in_doubt(refusal))))
        case Refused(judgement, refusal):
            return progress.after(refusal).follow(judgement)
        case Silence(refusal, sent=False):
            return progress.after(refusal).retry("UNREACHABLE")
        case Silence(refusal):
            return (yield from _query(progress.in_doubt(refusal), backup=True))
        case Untrusted(refusal, about_keys):
            if about_keys:
                yield from _fetch_keys(fresh=True)
            return (yield from _query(progress.in_doubt(refusal)))
        case OutOfTime():
            return progress.out_of_time()


def _unless_closed(progress: _Progress, reply: Refused, outcome: Outcome) -> Outcome:
    """If the order is still to be paid, the refusal counts; a `paid_time` ahead gets one delayed retry.

    Any other state explains the refusal by itself.
    """
    if outcome.reason != PAYING.reason:
        return outcome
    if reply.ahead and progress.retried != PAID_TIME_AHEAD:
        return outcome._replace(reason=PAID_TIME_AHEAD, wait=CLOCK_APART, once=True)
    return outcome._replace(status=Status.REJECTED, reason=reply.judgement.reason)


def _query(progress: _Progress, *, backup: bool = False) -> Dialogue[Outcome]:
    """Query the order; without a verified answer the outcome stays unknown.

    If the platform keys in use do not verify the answer and the secret has others, query once more with those.
    """
    ask = Ask("query", progress.payment, backup)
    reply = yield from _ask(ask)
    if isinstance(reply, Untrusted) and reply.about_keys:
        keys = yield from _fetch_keys(fresh=True)
        if isinstance(keys, Keys) and keys.changed:
            reply = yield from _ask(ask)
    match reply:
        case Verified():
            return progress.conclude(reply)
        case Refused(judgement, refusal) if not _leaves_open(judgement):
            return progress.after(refusal).follow(judgement)
        case Untrusted(refusal, about_keys=True):
            return progress.after(refusal).retry("UNTRUSTED_ANSWER", KEYS_BROKEN)
        case Refused(refusal=refusal) | Untrusted(refusal) | Silence(refusal):
            return progress.after(progress.refusal or refusal).retry("OUTCOME_UNKNOWN")
        case Acknowledged():  # no order in it, so it proves nothing
            return progress.retry("OUTCOME_UNKNOWN")
        case OutOfTime():
            return progress.out_of_time()


def _leaves_open(judgement: Judgement) -> bool:
    """Whether the refusal of a query says nothing about the order; PARAM_ERROR is about the query's own fields."""
    if judgement.action is Action.REJECT_UNLESS_CLOSED:
        return judgement.reason != "PARAM_ERROR"
    return judgement.action is Action.QUERY


def _ask(ask: Ask) -> Dialogue[AskReply]:
    """Make the call; after a 401 once more, newly signed or with fresh keys."""
    reply = yield from _ask_once(ask)
    match reply:
        case Refused(Judgement(Action.SIGN_AGAIN)):
            return (yield from _ask_once(ask))
        case Refused(Judgement(Action.FRESH_KEYS)):
            keys = yield from _fetch_keys(fresh=True)
            return (yield from _ask_once(ask)) if isinstance(keys, Keys) else reply
        case _:
            return reply


def _ask_once(ask: Ask) -> Dialogue[AskReply]:
    reply = yield ask
    if not isinstance(reply, AskReply):
        raise TypeError(f"{type(reply).__name__} is no reply to an ask")
    return reply


def _fetch_keys(*, fresh: bool = False) -> Dialogue[KeysReply]:
    reply = yield FetchKeys(fresh)
    if not isinstance(reply, KeysReply):
        raise TypeError(f"{type(reply).__name__} is no reply to a fetch of keys")
    return reply
