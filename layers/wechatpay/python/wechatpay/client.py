"""The client of one merchant: what applications hold, and where its parts are put together."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Self

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay.answer import Answer
from wechatpay.authorization import Authorization, random_nonce
from wechatpay.base_urls import MAIN, choose_hosts
from wechatpay.caller import Caller, TypedCall
from wechatpay.chain import Call, Node, Timeout
from wechatpay.connections import Session
from wechatpay.echo import Security
from wechatpay.merchant import Merchant, refuse_own_keys
from wechatpay.notification import Notification
from wechatpay.payscore import PayScore
from wechatpay.platform_certificates import CertificateStore
from wechatpay.platform_keys import PlatformKeys
from wechatpay.pool import ThreadPool
from wechatpay.sender import Sender, session_hosts, timeout_pair
from wechatpay.signed_call import SignedCall
from wechatpay.trust import Trust


class Client:
    """A merchant's client of WeChat Pay APIv3; safe to use from many threads. Making one calls nothing.

    `client.v3.payscore.serviceorder._out_order_no_.sync.post(out_order_no="1234", json={…})` calls any path.

    Args:
        mchid: the merchant number, 1 to 32 digits.
        serial_no: the serial of the merchant's API certificate, hexadecimal (see `Merchant`).
        private_key: the private key of that certificate (`apiclient_key.pem`), RSA with 2048 bits.
        platform_keys: WeChat Pay's public key by its `PUB_KEY_ID_…`, platform certificates by serial, or both (see
            `PlatformKeys`). Empty only with an `apiv3_key`: then certificates are downloaded before the first call.
        apiv3_key: 32 characters, or a sequence that holds previous ones too; opens notifications and certificates.
        base_url: the host of every endpoint. Another one without a `backup_url` has no backup.
        backup_url: the host that is called once where connecting to the main host fails (doc 4012075113).
        timeout: seconds to connect to a host and seconds from the first byte sent to the last byte of the answer. A
            call takes no longer than twice the one plus the other, with all that it repeats.
        session: connections to share with other clients. Only `wechatpay.Session` keeps these limits and reports
            whether a reused connection had died; any other `requests.Session` limits each single operation.
        certificate_store: keeps downloaded certificates; memory by default.
        clock, nonce: return Unix seconds, and a text that no call has used before.
        async_threads: the number of `…_async` calls that run at the same time. Further ones wait for a thread, without
            a limit: their `timeout` begins when they get one.

    Raises:
        ValueError: an argument cannot be used, named; InvalidKeyError, a ValueError too, for keys and serials.
    """

    def __init__(  # noqa: PLR0913  the contract
        self,
        *,
        mchid: str,
        serial_no: str,
        private_key: str | bytes | RSAPrivateKey,
        platform_keys: Mapping[str, str | bytes | RSAPublicKey],
        apiv3_key: str | Sequence[str] | None = None,
        base_url: str = MAIN,
        backup_url: str | None = None,
        timeout: Timeout = (3.0, 8.0),
        session: requests.Session | None = None,
        certificate_store: CertificateStore | None = None,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = random_nonce,
        async_threads: int = 32,
    ) -> None:
        merchant = Merchant(mchid=mchid, serial_no=serial_no, private_key=private_key)
        keys = PlatformKeys.of(platform_keys)
        refuse_own_keys(merchant.serial_no, merchant.public_key, keys)
        session = Session() if session is None else session
        hosts = session_hosts(session, *choose_hosts(base_url, backup_url))
        authorization = Authorization(merchant, clock=clock, nonce=nonce)
        sender = Sender(authorization, session, hosts, timeout_pair(timeout), clock, keys.public_key_id)
        trust = Trust(keys, sender, apiv3_key=apiv3_key, store=certificate_store, clock=clock)
        self._caller = Caller(merchant, sender, trust, ThreadPool(async_threads))

    @property
    def mchid(self) -> str:
        """The merchant number that signs."""
        return self.merchant.mchid

    @property
    def merchant(self) -> Merchant:
        """The merchant that signs."""
        return self._caller.merchant

    @property
    def platform_keys(self) -> PlatformKeys:
        """The keys trusted at this moment: those of the constructor, and certificates downloaded since."""
        return self._caller.trust.keys

    @property
    def encryption_serial(self) -> str:
        """The key that `encrypt` uses; send it as the header `Wechatpay-Serial` with every encrypted field."""
        return self._caller.encryption_serial()

    def encrypt(self, text: str, *, serial: str | None = None) -> str:
        """Encrypt one sensitive field (doc 4013053257); ValueError above 214 bytes, or for a `serial` not held."""
        return self._caller.encrypt(text, serial)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypt one sensitive field of an answer; UndecryptableError where it was not encrypted for this merchant."""
        return self.merchant.decrypt(ciphertext)

    @cached_property
    def security(self) -> Security:
        """The self-test that touches no money: `client.security.echo()`."""
        return Security(self._caller)

    @cached_property
    def payscore(self) -> PayScore:
        """PayScore with types: `sync` and `query` of a service order, on all five endpoints."""
        return PayScore(self._caller)

    @property
    def backup(self) -> Self:
        """The same client, asking the backup host first; for a query when the main host is silent."""
        return self._view(self._caller.backup)

    @property
    def oversea(self) -> Self:
        """The same client, asking Hong Kong's host; where hosts were overridden, it is this very client."""
        caller = self._caller.oversea
        return self if caller is self._caller else self._view(caller)

    def _view(self, caller: Caller) -> Self:
        view = copy.copy(self)
        view._caller = caller
        for part in ("payscore", "security"):
            view.__dict__.pop(part, None)
        return view

    def chain(self, path: str) -> Node:
        """Begin a path by a literal, which may hold `{name}` placeholders: `client.chain("v3/certificates")`."""
        return Node(self, "").chain(path)

    def __getitem__(self, path: str) -> Node:
        return self.chain(path)

    __iter__ = None  # else `__getitem__` would make the client look like a sequence
    __contains__ = None

    def __getattr__(self, name: str) -> Node:
        if name.startswith("_"):  # a path begins with a letter; `copy` and `pickle` probe for the rest
            raise AttributeError(name)
        node: Node = getattr(Node(self, ""), name)
        return node

    def call(self, call: Call) -> Answer:
        """Make a call; every verb of a path ends here.

        Returns:
            The verified answer: a 2xx signed by WeChat Pay over exactly these bytes.

        Raises:
            TypeError, ValueError: the call cannot be sent; nothing was.
            UnansweredError: no whole answer; `sent` says whether the call may have been executed.
            RefusedError: any answer but 2xx.
            UntrustedError: a 2xx that does not verify.
        """
        return self._caller.call(call)

    async def call_async(self, call: Call) -> Answer:
        """Make the call on a thread of this client. Cancelling stops the waiting, not the call: its outcome is open."""
        return await self._caller.pool.run(self.call, call)

    def sign(self, call: Call) -> SignedCall[Answer]:
        """Sign a call that is sent later; TypeError or ValueError here, the rest by `send`, as of `call`."""
        return self._caller.sign(TypedCall(call, lambda answer: answer))

    def notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify and open a notification with this merchant's keys (docs 4012587960, 4012071382).

        Args:
            headers: the request's headers; names ignore case.
            body: the request's raw bytes, never decoded and encoded again.

        Returns:
            The notification, verified and decrypted.

        Raises:
            ValueError: the client has no APIv3 key.
            UntrustedError, UndecryptableError, MalformedError: as `Notification.open` raises them.
        """
        return self._caller.open_notification(headers, body)

    async def notification_async(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Do what `notification` does, on a thread of this client: it may have to download a certificate first."""
        return await self._caller.pool.run(self.notification, headers, body)

    def __repr__(self) -> str:
        return f"Client({self.merchant!r}, {self.platform_keys!r}, host={self._caller.sender.first_host!r})"
