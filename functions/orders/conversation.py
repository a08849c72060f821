"""The conversation with WeChat Pay about one order: a few calls, then an outcome. What an answer means: `wechat`."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import wechatpay
from orders.errors import MerchantUnavailableError, OrdersError, OutOfTimeError, UnknownMerchantError
from orders.order import NO_FLOOR, Outcome, Payment, Refusal, Status, Wait
from orders.wechat import PAYING, SOON, Action, Judgement, judge, verdict
from wechatpay.payscore import ENDPOINTS, Endpoint

KEYS_BROKEN = Wait(floor=30.0, base=60.0)  # every order of this merchant waits for the same mend: no hurry, no loss


class Profile(Protocol):
    """A merchant as the conversation needs him: a client that signs for him, and his defaults."""

    @property
    def client(self) -> wechatpay.Client:
        """Signs with the merchant's key and trusts his platform keys."""

    @property
    def appid(self) -> str | None:
        """What an event without an appid means."""

    @property
    def service_id(self) -> str | None:
        """What an event without a service_id means."""

    @property
    def endpoint(self) -> str:
        """What an event without an endpoint means."""


class Merchants(Protocol):
    """Where merchants come from."""

    def get(self, mchid: str) -> Profile:
        """Return the merchant; raises UnknownMerchantError or MerchantUnavailableError."""

    def now(self) -> float:
        """Read the clock that `refresh` compares `since` with."""

    def refresh(self, mchid: str, *, since: float) -> Profile:
        """Return the merchant from a secret fetched at `since` or later; raises as `get` does."""


class WeChatPay:
    """Settles payments with WeChat Pay; safe to use from many threads."""

    def __init__(self, merchants: Merchants, *, call_budget: float) -> None:
        self._merchants = merchants
        self._least_time = call_budget + 2.0  # seconds; the rest is for our own write and the way home

    def prepare(self, payment: Payment) -> "Prepared | None":
        """Fetch the merchant's keys and sign the sync, while it is not known yet whether it may be sent.

        None where it cannot be signed: `settle` will tell why.
        """
        with suppress(OrdersError):
            profile = self._merchants.get(payment.mchid)
            payment = _with_defaults(payment, profile)
            if not _lacking(payment):
                return Prepared(profile, payment, profile.client.payscore.prepare_sync(**_told(payment)))
        return None

    def settle(
        self,
        payment: Payment,
        *,
        query_first: bool,
        missing_before: bool,
        time_left: Callable[[], float],
        prepared: "Prepared | None" = None,
    ) -> Outcome:
        """Tell WeChat Pay of the payment, or find out that it knows; never raises for what WeChat Pay does.

        `query_first`: an earlier call may have been executed. `missing_before`: ORDER_NOT_EXIST was met already.
        `time_left`: seconds of the invocation. Raises OutOfTimeError where they do not suffice for a first call.
        `prepared`: a sync signed ahead, sent only if it is this very payment's.
        """
        started, since = time.monotonic(), self._merchants.now()
        try:
            profile = self._merchants.get(payment.mchid)
        except UnknownMerchantError as error:
            return _rejected(payment, Refusal("UNKNOWN_MERCHANT", str(error)))
        except MerchantUnavailableError as error:
            refusal = Refusal("SECRET_UNAVAILABLE", str(error))
            return _retrying(payment, "SECRET_UNAVAILABLE", KEYS_BROKEN, refusal, unknown=query_first)
        payment = _with_defaults(payment, profile)
        if lacking := _lacking(payment):
            remedy = f"{lacking} is neither in the event nor in the merchant's secret: add it to one of them"
            return _rejected(payment, Refusal(f"MISSING_{lacking.upper()}", remedy))
        ahead = prepared.send if prepared is not None and prepared.fits(profile, payment) else None
        talk = _Conversation(
            self._merchants, profile, payment, query_first, missing_before, time_left, self._least_time, ahead, since
        )
        outcome = talk.query_then_sync() if query_first else talk.sync()
        latency_ms = round((time.monotonic() - started) * 1000)
        return replace(outcome, latency_ms=latency_ms, answered=talk.answered)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sync that is signed and waits for leave to be sent; for as long as the merchant's keys stay these."""

    profile: Profile
    payment: Payment
    send: Callable[[], wechatpay.ServiceOrder | None]

    def fits(self, profile: Profile, payment: Payment) -> bool:
        """Whether it tells of this payment, signed with these keys."""
        return self.profile is profile and self.payment == payment


def _lacking(payment: Payment) -> str | None:
    return next((name for name in _endpoint(payment).required if not getattr(payment, name)), None)


def _endpoint(payment: Payment) -> Endpoint:
    return ENDPOINTS[payment.endpoint or "direct"]


def _with_defaults(payment: Payment, profile: Profile) -> Payment:
    return replace(
        payment,
        endpoint=payment.endpoint or profile.endpoint,
        appid=payment.appid or profile.appid,
        service_id=payment.service_id or profile.service_id,
    )


def _rejected(payment: Payment, refusal: Refusal, reason: str = "") -> Outcome:
    return Outcome(Status.REJECTED, payment, reason or refusal.code, refusal=refusal, request_id=refusal.request_id)


def _retrying(payment: Payment, reason: str, wait: Wait, refusal: Refusal, *, unknown: bool) -> Outcome:
    return Outcome(
        Status.RETRYING,
        payment,
        reason,
        unknown=unknown,
        refusal=refusal,
        request_id=refusal.request_id,
        wait=wait,
    )


@dataclass(slots=True)
class _Conversation:
    """One order's exchange of calls; each way out is an Outcome.

    `unknown` says that some call may have been executed without our knowing; only a verified order settles that.
    """

    merchants: Merchants
    profile: Profile
    payment: Payment
    unknown: bool
    missing_before: bool
    time_left: Callable[[], float]
    least_time: float
    ahead: Callable[[], wechatpay.ServiceOrder | None] | None
    since: float  # by the clock of `merchants`: when this conversation began
    answered: bool | None = field(default=None)
    refusal: Refusal | None = field(default=None)

    def query_then_sync(self) -> Outcome:
        """Ask first; where the order still waits for its payment, tell."""
        outcome = self.query()
        return self.sync() if outcome.reason == PAYING.reason else outcome

    def sync(self) -> Outcome:
        """Tell WeChat Pay; where the answer leaves the outcome open, ask."""
        try:
            order = self._signed(self._sync)
        except wechatpay.RefusedError as refused:
            return self._refused(refused)
        except wechatpay.UnansweredError as silence:
            return self._unanswered(silence)
        except wechatpay.WeChatPayError as error:  # a 2xx that does not verify, or verified nonsense
            return self._ask_after(Refusal(type(error).__name__, str(error)))
        except OutOfTimeError:
            return self._out_of_time()
        if order is None:  # four of five endpoints answer without the order
            return self._ask_after(None)
        return self._judged(order)

    def query(self, *, backup: bool = False) -> Outcome:
        """Ask WeChat Pay for the order; without a verified answer the outcome stays unknown."""
        try:
            return self._judged(self._signed(self._query, backup=backup))
        except wechatpay.RefusedError as refused:
            return self._query_refused(refused)
        except wechatpay.WeChatPayError as error:
            self.refusal = self.refusal or Refusal(type(error).__name__, str(error))
            return self._retry("OUTCOME_UNKNOWN")
        except OutOfTimeError:
            return self._out_of_time()

    def _refused(self, refused: wechatpay.RefusedError) -> Outcome:
        judgement = judge(refused)
        self.refusal = _in_our_words(refused)
        if judgement.action is Action.QUERY:
            return self._ask_after(self.refusal)
        if judgement.action is Action.REJECT_UNLESS_CLOSED:
            outcome = self._ask_after(self.refusal)
            stands = outcome.status is Status.RETRYING and not outcome.unknown
            return replace(outcome, status=Status.REJECTED, reason=judgement.reason) if stands else outcome
        return self._ended(judgement, self.refusal)

    def _query_refused(self, refused: wechatpay.RefusedError) -> Outcome:
        judgement = judge(refused)
        self.refusal = self.refusal or _in_our_words(refused)
        if judgement.action in {Action.QUERY, Action.REJECT_UNLESS_CLOSED}:  # we are asking already
            return self._retry("OUTCOME_UNKNOWN")
        return self._ended(judgement, _in_our_words(refused))

    def _ended(self, judgement: Judgement, refusal: Refusal) -> Outcome:
        match judgement.action:
            case Action.NOT_EXIST if not self.missing_before:
                return _retrying(self.payment, judgement.reason, SOON, refusal, unknown=self.unknown)
            case Action.REJECT | Action.NOT_EXIST:
                return _rejected(self.payment, refusal, judgement.reason)
            case Action.SIGN_AGAIN | Action.FRESH_KEYS:
                return _retrying(self.payment, judgement.reason, KEYS_BROKEN, refusal, unknown=self.unknown)
            case _:
                return _retrying(self.payment, judgement.reason, judgement.wait, refusal, unknown=self.unknown)

    def _unanswered(self, silence: wechatpay.UnansweredError) -> Outcome:
        self.refusal = Refusal("UNANSWERED", str(silence))
        if not silence.sent:
            return self._retry("UNREACHABLE")
        self.unknown = True
        return self.query(backup=True)

    def _ask_after(self, refusal: Refusal | None) -> Outcome:
        self.unknown = True
        self.refusal = refusal
        return self.query()

    def _retry(self, reason: str, wait: Wait = NO_FLOOR) -> Outcome:
        refusal = self.refusal or Refusal(reason, "")
        return _retrying(self.payment, reason, wait, refusal, unknown=self.unknown)

    def _out_of_time(self) -> Outcome:
        if self.answered is None:
            raise OutOfTimeError
        self.refusal = self.refusal or Refusal("OUT_OF_TIME", "the invocation's time did not suffice for another call")
        return self._retry("OUT_OF_TIME", SOON)

    def _judged(self, order: wechatpay.ServiceOrder) -> Outcome:
        found = verdict(order, self.payment.paid_time)
        self.unknown = False
        return Outcome(
            found.status,
            self.payment,
            found.reason,
            answer=order.raw,
            state=order.state,
            state_description=order.state_description,
            collection_state=order.collection_state,
            paid_type=order.paid_type,
            transaction_id=order.transaction_id,
            refusal=None if found.status.final else self.refusal,
            request_id=order.request_id,
            wait=found.wait,
        )

    def _signed(self, call: "Callable[[wechatpay.Client], Any]", *, backup: bool = False) -> Any:  # noqa: ANN401
        """Make the call; a 401 is answered once, with a fresh timestamp or with fresh keys."""
        try:
            return self._in_time(call, backup=backup)
        except wechatpay.RefusedError as refused:
            action = judge(refused).action
            if action is Action.FRESH_KEYS:
                self._fresh_keys(refused)
            elif action is not Action.SIGN_AGAIN:
                raise
            return self._in_time(call, backup=backup)

    def _fresh_keys(self, refused: wechatpay.RefusedError) -> None:
        try:
            self.profile = self.merchants.refresh(self.payment.mchid, since=self.since)
        except OrdersError:  # no better keys to be had: WeChat Pay's own words tell more
            raise refused from None

    def _in_time(self, call: "Callable[[wechatpay.Client], Any]", *, backup: bool) -> Any:  # noqa: ANN401
        if self.time_left() < self.least_time:
            raise OutOfTimeError
        self.answered = self.answered or False
        try:
            said = call(self.profile.client.backup if backup else self.profile.client)
        except wechatpay.WeChatPayError as error:
            self.answered |= _is_answer(error)
            raise
        self.answered = True
        return said

    def _sync(self, client: wechatpay.Client) -> wechatpay.ServiceOrder | None:
        if self.ahead is not None:
            send, self.ahead = self.ahead, None
            return send()
        return client.payscore.sync(**_told(self.payment))

    def _query(self, client: wechatpay.Client) -> wechatpay.ServiceOrder:
        told = _told(self.payment)
        return client.payscore.query(**{name: told[name] for name in told if name not in _NOT_QUERIED})


_NOT_QUERIED = frozenset({"paid_time", "seq", "paid_amount"})


def _told(payment: Payment) -> dict[str, Any]:
    """What the order's endpoint has a place for; a till may report more than that."""
    told = {name: getattr(payment, name) for name in _endpoint(payment).fields}
    known = {"out_order_no": payment.out_order_no, "endpoint": payment.endpoint or "direct"}
    return {**told, **known, "paid_time": payment.paid_time}


def _is_answer(error: wechatpay.WeChatPayError) -> bool:
    """Whether somebody at WeChat Pay is there to answer: silence and 5xx are what an outage looks like."""
    if isinstance(error, wechatpay.RefusedError):
        return error.status < 500
    return not isinstance(error, wechatpay.UnansweredError)


def _in_our_words(refused: wechatpay.RefusedError) -> Refusal:
    return Refusal(refused.code or f"HTTP_{refused.status}", refused.message, refused.status, refused.request_id or "")
