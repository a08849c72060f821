"""The conversation with WeChat Pay about one order: a few calls, then an outcome. What an answer means: `wechat`."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import wechatpay
from orders.errors import MerchantUnavailableError, OrdersError, OutOfTimeError, UnknownMerchantError
from orders.order import Facts, Outcome, Payment, Refusal, Status
from orders.waits import CLOCK_APART, KEYS_BROKEN, NO_FLOOR, SOON, Wait
from orders.wechat import (
    CLOSED,
    PAYING,
    UNKNOWN_STATE,
    Action,
    Judgement,
    in_our_words,
    is_ahead,
    judge,
    verdict,
)
from wechatpay.payscore import ENDPOINTS, Endpoint

AHEAD = "PAID_TIME_AHEAD"
UNTRUSTED = "UNTRUSTED_ANSWER"


class Profile(Protocol):
    """A merchant as the conversation needs it: a client that signs for it, and its defaults."""

    @property
    def client(self) -> wechatpay.Client:
        """Signs with the merchant's key and trusts its platform keys."""

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

    def now(self) -> float:
        """Return the clock that `refresh` goes by."""

    def get(self, mchid: str) -> Profile:
        """Return the merchant; raises UnknownMerchantError or MerchantUnavailableError."""

    def refresh(self, mchid: str, *, since: float) -> Profile:
        """Return the merchant of a secret fetched at `since` or later: one fetch for all who ask; raises as `get`."""


class WeChatPay:
    """Settles payments with WeChat Pay; safe to use from many threads.

    `call_budget` is the seconds that one call takes at most; `clock` is Unix seconds.
    """

    def __init__(self, merchants: Merchants, *, call_budget: float, clock: Callable[[], float] = time.time) -> None:
        self._merchants = merchants
        self._least_time = call_budget + 2.0  # seconds; the rest is for our own write and the way home
        self._clock = clock

    def now(self) -> float:
        """Return the clock of the merchants' secrets; a batch takes its `since` from it."""
        return self._merchants.now()

    def identify(self, payment: Payment) -> Payment:
        """Fill in the endpoint, which decides the order's key, where the merchant's secret has the default.

        Where the secret cannot be had the payment stays as it is: `settle` will tell why.
        """
        if payment.key_is_open:
            with suppress(OrdersError):
                return replace(payment, endpoint=self._merchants.get(payment.mchid).endpoint)
        return payment

    def prepare(self, payment: Payment) -> "Prepared | None":
        """Fetch the merchant's keys and sign the sync, while it is not known yet whether it may be sent.

        None where it cannot be signed: `settle` will tell why.
        """
        with suppress(OrdersError):
            profile = self._merchants.get(payment.mchid)
            payment = _with_defaults(payment, profile)
            if not _lacking(payment):
                return Prepared(profile, payment, profile.client.payscore.sign_sync(**_request(payment)))
        return None

    def settle(
        self,
        payment: Payment,
        *,
        query_first: bool,
        retried: str,
        since: float,
        time_left: Callable[[], float],
        prepared: "Prepared | None" = None,
    ) -> Outcome:
        """Tell WeChat Pay of the payment, or find out that it knows; never raises for what WeChat Pay does.

        `query_first`: an earlier call may have been executed. `retried`: the reason whose one delayed retry this is.
        `since`: when the batch began, by `now`: a secret that was fetched later is a fresh one. `time_left`: seconds of
        the invocation. Raises OutOfTimeError where they do not suffice for a first call. `prepared`: a sync signed
        ahead, sent only if it is this very payment's.

        What would be REJECTED for something that the merchant's secret decides is tried once more with a fresh secret:
        the cause may have been repaired since the secret was read.
        """
        started = time.monotonic()
        conversation = _Conversation(
            self._merchants, since, self._clock, payment, query_first, retried, time_left, self._least_time, prepared
        )
        outcome = conversation.run(lambda: self._merchants.get(payment.mchid))
        if outcome.status is Status.REJECTED and outcome.reason not in CLOSED and conversation.has_fresh_secret():
            outcome = conversation.run(lambda: self._merchants.refresh(payment.mchid, since=since))
        latency_ms = round((time.monotonic() - started) * 1000)
        return replace(outcome, latency_ms=latency_ms, answered=conversation.answered)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sync that is signed and waits for leave to be sent; for as long as the merchant's keys stay these."""

    profile: Profile
    payment: Payment
    call: wechatpay.SignedCall[wechatpay.ServiceOrder | None]

    def fits(self, profile: Profile, payment: Payment) -> bool:
        """Whether it tells of this payment, signed with these keys."""
        return self.profile is profile and self.payment == payment


def _lacking(payment: Payment) -> list[str]:
    return [name for name in _endpoint(payment).required if not getattr(payment, name)]


def _endpoint(payment: Payment) -> Endpoint:
    return ENDPOINTS[payment.endpoint or "direct"]


def _with_defaults(payment: Payment, profile: Profile) -> Payment:
    return replace(
        payment,
        endpoint=payment.endpoint or profile.endpoint,
        appid=payment.appid or profile.appid,
        service_id=payment.service_id or profile.service_id,
    )


def _missing(names: list[str]) -> Refusal:
    """All missing fields at once; the reason names the first."""
    listed = ", ".join(names)
    return Refusal(
        f"MISSING_{names[0].upper()}",
        f"{listed} in neither the event nor the merchant's secret: add to one of them",
        field=listed,
    )


@dataclass(slots=True)
class _Conversation:
    """One order's exchange of calls; each way out is an Outcome.

    `unknown` says that some call may have been executed without our knowing; only a verified order settles that.
    """

    merchants: Merchants
    since: float
    clock: Callable[[], float]
    event: Payment
    unknown: bool
    retried: str
    time_left: Callable[[], float]
    least_time: float
    prepared: Prepared | None
    payment: Payment = field(init=False)
    profile: Profile | None = None
    answered: bool | None = None
    refusal: Refusal | None = None

    def __post_init__(self) -> None:
        self.payment = self.event

    def run(self, merchant: Callable[[], Profile]) -> Outcome:
        """Talk with the keys and defaults of this merchant."""
        try:
            self.profile = merchant()
        except UnknownMerchantError as error:
            return self._rejected(Refusal("UNKNOWN_MERCHANT", str(error)))
        except MerchantUnavailableError as error:
            self.refusal = Refusal("SECRET_UNAVAILABLE", str(error))
            return self._retry("SECRET_UNAVAILABLE", KEYS_BROKEN)
        self.payment, self.refusal = _with_defaults(self.event, self.profile), None
        if lacking := _lacking(self.payment):
            return self._rejected(_missing(lacking))
        return self.query_then_sync() if self.unknown else self.sync()

    def has_fresh_secret(self) -> bool:
        """Whether a fresh secret is another one than that which led here."""
        try:
            return self.merchants.refresh(self.event.mchid, since=self.since) is not self.profile
        except OrdersError:
            return False

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
        except wechatpay.WeChatPayError as error:  # a 2xx that does not verify, or is no answer to this call
            if _is_about_keys(error):
                self._refresh()
            return self._ask_after(_in_words(error))
        except OutOfTimeError:
            return self._out_of_time()
        if order is None:  # four of five endpoints answer without the order
            return self._ask_after(None)
        return self._judged(order)

    def query(self, *, backup: bool = False) -> Outcome:
        """Ask WeChat Pay for the order; without a verified answer the outcome stays unknown."""
        try:
            return self._judged(self._trusted_query(backup=backup))
        except wechatpay.RefusedError as refused:
            return self._query_refused(refused)
        except wechatpay.WeChatPayError as error:
            if _is_about_keys(error):
                self.refusal = _in_words(error)
                return self._retry(UNTRUSTED, KEYS_BROKEN)
            self.refusal = self.refusal or _in_words(error)
            return self._retry("OUTCOME_UNKNOWN")
        except OutOfTimeError:
            return self._out_of_time()

    def _trusted_query(self, *, backup: bool) -> wechatpay.ServiceOrder:
        """Ask; where the platform keys held do not verify the answer and the secret has others, ask once more."""
        used = self.profile
        try:
            order: wechatpay.ServiceOrder = self._signed(self._query, backup=backup)
        except wechatpay.UntrustedError as error:
            if not _is_about_keys(error) or not self._refresh() or self.profile is used:
                raise
            order = self._signed(self._query, backup=backup)
        return order

    def _refused(self, refused: wechatpay.RefusedError) -> Outcome:
        judgement = judge(refused)
        self.refusal = in_our_words(refused)
        if judgement.action is Action.QUERY:
            return self._ask_after(self.refusal)
        if judgement.action is Action.REJECT_UNLESS_CLOSED:
            return self._stands(refused, judgement, self._ask_after(self.refusal))
        return self._ended(judgement, self.refusal)

    def _stands(self, refused: wechatpay.RefusedError, judgement: Judgement, outcome: Outcome) -> Outcome:
        """Where the order waits for its payment, the refusal counts; a `paid_time` ahead gets one delayed retry.

        Any other state explains the refusal by itself.
        """
        if outcome.reason != PAYING.reason:
            return outcome
        if is_ahead(refused, self.payment, self.clock()) and self.retried != AHEAD:
            return replace(outcome, reason=AHEAD, wait=CLOCK_APART, once=True)
        return replace(outcome, status=Status.REJECTED, reason=judgement.reason)

    def _query_refused(self, refused: wechatpay.RefusedError) -> Outcome:
        judgement, refusal = judge(refused), in_our_words(refused)
        own_code = judgement.action is Action.REJECT_UNLESS_CLOSED and judgement.reason == "PARAM_ERROR"
        if judgement.action in {Action.QUERY, Action.REJECT_UNLESS_CLOSED} and not own_code:  # asking already
            self.refusal = self.refusal or refusal
            return self._retry("OUTCOME_UNKNOWN")
        return self._ended(judgement, refusal)

    def _ended(self, judgement: Judgement, refusal: Refusal) -> Outcome:
        self.refusal = refusal
        match judgement.action:
            case Action.NOT_EXIST if self.retried != judgement.reason:
                return replace(self._retry(judgement.reason, SOON), once=True)
            case Action.REJECT | Action.REJECT_UNLESS_CLOSED | Action.NOT_EXIST:
                return self._rejected(refusal, judgement.reason)
            case Action.SIGN_AGAIN | Action.FRESH_KEYS:
                return self._retry(judgement.reason, KEYS_BROKEN)
            case _:
                return self._retry(judgement.reason, judgement.wait)

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

    def _rejected(self, refusal: Refusal, reason: str = "") -> Outcome:
        return Outcome(
            Status.REJECTED,
            self.payment,
            reason or refusal.code,
            unknown=self.unknown,
            refusal=refusal,
            request_id=refusal.request_id,
        )

    def _retry(self, reason: str, wait: Wait = NO_FLOOR) -> Outcome:
        refusal = self.refusal or Refusal(reason, "")
        return Outcome(
            Status.RETRYING,
            self.payment,
            reason,
            unknown=self.unknown,
            refusal=refusal,
            request_id=refusal.request_id,
            wait=wait,
        )

    def _out_of_time(self) -> Outcome:
        if self.answered is None:
            raise OutOfTimeError
        self.refusal = self.refusal or Refusal("OUT_OF_TIME", "the invocation's time did not suffice for another call")
        return self._retry("OUT_OF_TIME", SOON)

    def _judged(self, order: wechatpay.ServiceOrder) -> Outcome:
        found = verdict(order, self.payment)
        self.unknown = found.reason == UNKNOWN_STATE.reason  # asked for again, not told again
        return Outcome(
            found.status,
            self.payment,
            found.reason,
            unknown=self.unknown,
            facts=Facts(
                answer=order.raw,
                state=order.state,
                state_description=order.state_description,
                collection_state=order.collection_state,
                paid_type=order.paid_type,
                transaction_id=order.transaction_id,
            ),
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
            if action not in {Action.SIGN_AGAIN, Action.FRESH_KEYS}:
                raise
            if action is Action.FRESH_KEYS and not self._refresh():
                raise
            return self._in_time(call, backup=backup)

    def _refresh(self) -> bool:
        """Fetch the secret once; False where it cannot be had: WeChat Pay's own words tell more than that."""
        try:
            self.profile = self.merchants.refresh(self.event.mchid, since=self.since)
        except OrdersError:
            return False
        return True

    def _in_time(self, call: "Callable[[wechatpay.Client], Any]", *, backup: bool) -> Any:  # noqa: ANN401
        if self.time_left() < self.least_time or self.profile is None:
            raise OutOfTimeError
        self.answered = self.answered or False
        try:
            answer = call(self.profile.client.backup if backup else self.profile.client)
        except wechatpay.WeChatPayError as error:
            self.answered |= _is_answer(error)
            raise
        self.answered = True
        return answer

    def _sync(self, client: wechatpay.Client) -> wechatpay.ServiceOrder | None:
        prepared, self.prepared = self.prepared, None
        if prepared is not None and self.profile is not None and prepared.fits(self.profile, self.payment):
            return prepared.call.send()
        return client.payscore.sync(**_request(self.payment))

    def _query(self, client: wechatpay.Client) -> wechatpay.ServiceOrder:
        request = _request(self.payment)
        return client.payscore.query(**{name: request[name] for name in request if name not in _NOT_QUERIED})


_NOT_QUERIED = frozenset({"paid_time", "seq", "paid_amount"})


def _request(payment: Payment) -> dict[str, Any]:
    """What the order's endpoint has a place for; a till may report more than that."""
    known = {name: getattr(payment, name) for name in _endpoint(payment).fields}
    identity = {"out_order_no": payment.out_order_no, "endpoint": payment.endpoint or "direct"}
    return {**known, **identity, "paid_time": payment.paid_time}


def _is_answer(error: wechatpay.WeChatPayError) -> bool:
    """Whether WeChat Pay is there to answer: silence, 5xx and a gateway's own pages are what an outage looks like."""
    if isinstance(error, wechatpay.RefusedError):
        return error.status < 500 and bool(error.code)
    return not isinstance(error, wechatpay.UnansweredError)


def _is_about_keys(error: wechatpay.WeChatPayError) -> bool:
    """Whether the platform keys held do not fit; a probe or a stale answer says nothing about them."""
    return isinstance(error, wechatpay.UntrustedError) and error.reason in {"unknown_serial", "signature"}


def _in_words(error: wechatpay.WeChatPayError) -> Refusal:
    return Refusal(type(error).__name__, str(error), request_id=getattr(error, "request_id", ""))
