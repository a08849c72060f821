"""Make calls for one merchant: write, sign, send, verify. The typed layers and the client stand on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

from requests import PreparedRequest

from wechatpay.answer import Answer
from wechatpay.chain import Call
from wechatpay.cipher import encrypt
from wechatpay.merchant import Merchant
from wechatpay.notification import Notification
from wechatpay.platform_keys import PlatformKeys
from wechatpay.pool import ThreadPool
from wechatpay.sender import Sender, UnsignedRequest, deadline
from wechatpay.signed_call import SIGNATURE_LIFE, SignedCall
from wechatpay.transport import Started
from wechatpay.trust import Trust

T = TypeVar("T")


class TypedCall(NamedTuple, Generic[T]):
    """A call, and the function that reads its verified answer or raises MalformedError."""

    call: Call
    read: Callable[[Answer], T]


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """One merchant's way to WeChat Pay; safe to use from many threads.

    `call` and all that is made of it raise TypeError or ValueError before anything is sent, afterwards UnansweredError,
    RefusedError or UntrustedError.
    """

    merchant: Merchant
    sender: Sender
    trust: Trust
    pool: ThreadPool

    @property
    def backup(self) -> "Caller":
        """The same caller with the backup host first."""
        return replace(self, sender=self.sender.backup)

    @property
    def oversea(self) -> "Caller":
        """The same caller at Hong Kong's host; the caller itself where hosts were overridden."""
        sender = self.sender.oversea
        return self if sender is self.sender else replace(self, sender=sender)

    def call(self, call: Call) -> Answer:
        """Make the call and return its verified answer."""
        return self._send(self.sender.write(call))

    async def call_async(self, call: Call) -> Answer:
        """Make the call on a thread of the pool."""
        return await self.pool.run(self.call, call)

    def run(self, typed: TypedCall[T]) -> T:
        """Make the call and return what its answer is read as."""
        return typed.read(self.call(typed.call))

    async def run_async(self, typed: TypedCall[T]) -> T:
        """Do the same on a thread of the pool."""
        return typed.read(await self.call_async(typed.call))

    def sign(self, typed: TypedCall[T]) -> SignedCall[T]:
        """Sign the call, to be sent later."""
        request = self.sender.write(typed.call)
        signed, clock = self.sender.sign(request), self.sender.clock

        def exchange(first: PreparedRequest | None, started: Started | None) -> T:
            return typed.read(self._send(request, first, started))

        def start(first: PreparedRequest) -> Started | None:
            return self.sender.start(request, first) if self.trust.keys else None

        return SignedCall(signed, exchange, start, clock() + SIGNATURE_LIFE, clock)

    def _send(
        self, request: UnsignedRequest, signed: PreparedRequest | None = None, started: Started | None = None
    ) -> Answer:
        end = request.deadline() if started is None else started.route.end
        self.trust.require_keys(end)
        return self.trust.accept(request, self.sender.exchange(request, end, signed, started), end)

    def require_keys(self) -> PlatformKeys:
        """Return the keys to trust, after the first download of certificates where there is no key yet."""
        return self.trust.require_keys(deadline(self.sender.timeout))

    def encrypt(self, text: str, serial: str | None) -> str:
        """Encrypt a field with the key of this serial, or the default one; raise ValueError where it is not held."""
        keys, name = self.require_keys(), serial or self.encryption_serial()
        if name not in keys:
            raise ValueError(f"no key {name[:64]!r} is among platform_keys")
        return encrypt(text, keys[name])

    def open_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify and open a notification; raise ValueError where there is no APIv3 key to open it with."""
        end = deadline(self.sender.timeout)
        self.trust.require_keys(end)
        return self.trust.open_notification(headers, body, end)

    def encryption_serial(self) -> str:
        """Return the serial of the key to encrypt with; raise ValueError where there is none."""
        serial = self.require_keys().encryption_serial
        if serial is None:
            raise ValueError("platform_keys holds nothing to encrypt with")
        return serial
