"""Conversations with WeChat Pay: the driver of `settlement`. It fetches keys, makes calls, and watches the time."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import wechatpay
from orders import settlement
from orders.dialogue import (
    Acknowledged,
    Ask,
    AskReply,
    Dialogue,
    FetchKeys,
    Keys,
    KeysReply,
    OutOfTime,
    SecretUnavailable,
    UnknownMerchant,
)
from orders.errors import MerchantUnavailableError, OrdersError, OutOfTimeError, UnknownMerchantError
from orders.order import Contact, Outcome, Payment
from orders.wechat import replies, requests

RESERVE = 2.0  # seconds of the invocation that no call may use: for the write to the table and the answer to Lambda


class Profile(requests.Defaults, Protocol):
    """A merchant: a client that signs for it, and what its events may leave out."""

    @property
    def client(self) -> wechatpay.Client:
        """Signs with the merchant's key and trusts its platform keys."""


class Merchants(Protocol):
    """The merchants' secrets."""

    def now(self) -> float:
        """Return the time on the clock of `refresh`, in seconds."""

    def get(self, mchid: str) -> Profile:
        """Return the merchant; raise UnknownMerchantError or MerchantUnavailableError."""

    def refresh(self, mchid: str, *, since: float) -> Profile:
        """Return the merchant of a secret that was fetched at `since` or later; raise as `get` does."""


class WeChatPay(NamedTuple):
    """WeChat Pay, as the relay talks to it; safe to use from many threads.

    `call_budget` is the seconds that one call takes at most; `clock` is Unix seconds.
    """

    merchants: Merchants
    call_budget: float
    clock: Callable[[], float] = time.time

    def now(self) -> float:
        """Return the time on the clock of the merchants' secrets; a batch takes its `since` from it."""
        return self.merchants.now()

    def identify(self, payment: Payment) -> Payment:
        """Fill in the endpoint, if the order's key depends on the default in the merchant's secret.

        If the secret cannot be had, the payment stays as it is; the conversation then says why.
        """
        if payment.key_is_open:
            with suppress(OrdersError):
                return payment._replace(endpoint=self.merchants.get(payment.mchid).endpoint)
        return payment

    def prepare(self, event: Payment) -> "Conversation":
        """Begin a conversation: fetch the merchant's keys and sign the sync. Nothing is sent.

        If the sync cannot be signed, the conversation begins without it, and says why.
        """
        with suppress(OrdersError):
            profile = self.merchants.get(event.mchid)
            payment = requests.with_defaults(event, profile)
            if not requests.missing_fields(payment):
                call = profile.client.payscore.sign_sync(**requests.sync_payment(payment))
                return Conversation(self, SignedSync(profile, event, payment, call))
        return Conversation(self)


class SignedSync(NamedTuple):
    """A sync that is signed ahead with the keys of this profile: the payment of the event, with its defaults."""

    profile: Profile
    event: Payment
    payment: Payment
    call: wechatpay.SignedCall[wechatpay.ServiceOrder | None]


class Conversation(NamedTuple):
    """A conversation about one order, with its first call signed ahead where that was possible."""

    wechat_pay: WeChatPay
    signed: SignedSync | None = None

    def start(
        self, payment: Payment, *, query_first: bool, retried: str, since: float, time_left: Callable[[], float]
    ) -> "Exchange":
        """Begin to sync the payment, or to find out what became of it; wait for nothing.

        If the sync that is signed ahead is the first call, and a connection stands, it is sent now.

        Args:
            payment: what to report; the sync that is signed ahead is sent only if it is of this very payment.
            query_first: an earlier call may have been executed.
            retried: the reason for which the message has used its one delayed retry; empty if it has not.
            since: when the batch began, by `WeChatPay.now`; a secret that was fetched later is a fresh one.
            time_left: returns the remaining seconds of the invocation.

        Raises:
            OutOfTimeError: the time does not suffice for a first call.
        """
        dialogue = settlement.settle(payment, query_first=query_first, retried=retried)
        exchange = Exchange(self.wechat_pay, payment, dialogue, since, time_left, self.signed)
        exchange.start()
        return exchange


@dataclass(slots=True)
class Exchange:
    """One conversation under way: the keys in use, the call that is out, and whether WeChat Pay answered."""

    wechat_pay: WeChatPay
    event: Payment
    dialogue: Dialogue[Outcome]
    since: float
    time_left: Callable[[], float]
    signed: SignedSync | None
    profile: Profile | None = None
    contact: Contact = field(default=Contact.NONE)
    _began: float = field(default_factory=time.monotonic)
    _ask: FetchKeys | Ask | None = None  # without a reply yet; None before the first
    _out: wechatpay.StartedCall[wechatpay.ServiceOrder | None] | None = None

    @property
    def socket(self) -> socket.socket | None:
        """Where the answer to the first call comes; None where there is nothing to wait for."""
        return None if self._out is None else self._out.socket

    @property
    def until(self) -> float:
        """When the answer to the first call is overdue (`time.monotonic`)."""
        return 0.0 if self._out is None else self._out.until

    def start(self) -> None:
        """Send the sync that is signed ahead, if it is what the dialogue asks for first."""
        if self.signed is None:
            return
        self._ask = next(self.dialogue)
        if isinstance(self._ask, FetchKeys):
            self._ask = self.dialogue.send(self._use(self.signed.profile))
        if isinstance(self._ask, Ask) and self._is_signed(self._ask):
            if not self._has_time():
                raise OutOfTimeError
            signed, self.signed = self.signed, None
            self._out = signed.call.start()

    def answer(self) -> Outcome | None:
        """Read the answer to the first call; return the outcome, or None where more is to be done."""
        return self._go_on() if self._out is not None and self._out.receive() else None

    def _go_on(self) -> Outcome | None:
        """Reply to one ask; return the outcome at the end of the dialogue."""
        try:
            self._reply()
        except StopIteration as end:
            return self._finished(end.value)
        return None

    def finish(self) -> Outcome:
        """Reply to each ask of the dialogue until it returns; never raises for what WeChat Pay does.

        Raises:
            OutOfTimeError: the time does not suffice for a first call.
        """
        while True:
            if (outcome := self._go_on()) is not None:
                return outcome

    def _reply(self) -> None:
        """Go on to the next ask; raise StopIteration at the end of the dialogue."""
        if self._ask is None:
            self._ask = next(self.dialogue)
        reply = self._fetch(self._ask) if isinstance(self._ask, FetchKeys) else self._make(self._ask)
        self._ask = self.dialogue.send(reply)

    def _finished(self, outcome: Outcome) -> Outcome:
        latency_ms = round((time.monotonic() - self._began) * 1000)
        return outcome._replace(latency_ms=latency_ms, contact=self.contact)

    def _fetch(self, ask: FetchKeys) -> KeysReply:
        """Use the merchant's keys; if they cannot be had, those in use stay."""
        merchants, mchid = self.wechat_pay.merchants, self.event.mchid
        try:
            return self._use(merchants.refresh(mchid, since=self.since) if ask.fresh else merchants.get(mchid))
        except UnknownMerchantError as error:
            return UnknownMerchant(str(error))
        except MerchantUnavailableError as error:
            return SecretUnavailable(str(error))

    def _use(self, profile: Profile) -> Keys:
        changed, self.profile = profile is not self.profile, profile
        if (signed := self.signed) is not None and signed.profile is profile and signed.event == self.event:
            return Keys(signed.payment, (), changed)
        payment = requests.with_defaults(self.event, profile)
        return Keys(payment, requests.missing_fields(payment), changed)

    def _make(self, ask: Ask) -> AskReply:
        """Make one call, unless the invocation could end before it."""
        if self._out is None and not self._has_time():
            if self.contact is Contact.NONE:
                raise OutOfTimeError
            return OutOfTime()
        try:
            order = self._send(ask)
        except wechatpay.WeChatPayError as error:
            if replies.is_answer(error):
                self.contact = Contact.ANSWER
            elif self.contact is Contact.NONE:
                self.contact = Contact.SILENCE
            return replies.error_reply(error, ask.payment, self.wechat_pay.clock())
        self.contact = Contact.ANSWER
        return Acknowledged() if order is None else replies.order_reply(order, ask.payment)

    def _send(self, ask: Ask) -> wechatpay.ServiceOrder | None:
        out, self._out = self._out, None
        if out is not None:
            return out.result()
        if self.profile is None:
            raise RuntimeError("a call was asked for before its keys")
        client = self.profile.client.backup if ask.backup else self.profile.client
        if ask.operation == "query":
            return client.payscore.query(**requests.order_query(ask.payment))
        signed = self.signed if self._is_signed(ask) else None
        self.signed = None
        return client.payscore.sync(**requests.sync_payment(ask.payment)) if signed is None else signed.call.send()

    def _is_signed(self, ask: Ask) -> bool:
        """Whether an ask is the sync that is signed ahead, with the keys in use."""
        signed = self.signed
        if signed is None or ask.operation != "sync" or ask.backup:
            return False
        return signed.profile is self.profile and signed.payment == ask.payment

    def _has_time(self) -> bool:
        return self.time_left() >= self.wechat_pay.call_budget + RESERVE
