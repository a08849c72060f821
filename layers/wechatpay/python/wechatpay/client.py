"""The client: signs, sends, verifies. One object per merchant, safe to use from many threads."""

import copy
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import check_header_validity

from wechatpay import message
from wechatpay.answer import Answer, decoded
from wechatpay.authorization import Authorization, random_nonce
from wechatpay.chain import Call, Node, Timeout, expand
from wechatpay.cipher import Cipher, encrypt
from wechatpay.connections import Session, keep_in_one_process
from wechatpay.errors import RefusedError, UntrustedError
from wechatpay.hosts import Failover
from wechatpay.merchant import Merchant, refuse_own_keys
from wechatpay.notification import Notification
from wechatpay.payscore import PayScore
from wechatpay.platform_certificates import CertificateStore, PlatformCertificates
from wechatpay.platform_keys import PlatformKeys
from wechatpay.security import Security
from wechatpay.signed_call import FRESH, SignedCall
from wechatpay.transport import Reply, Route, exchange
from wechatpay.verification import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAIN = "https://api.mch.weixin.qq.com"
BACKUP = "https://api2.mch.weixin.qq.com"
OVERSEA = "https://apihk.mch.weixin.qq.com"

_USER_AGENT = f"wechatpay-python/0.1.0 Python/{platform.python_version()} requests/{requests.__version__}"
_ASYNC_THREADS = 32  # calls that await at a time; more wait for a thread


T = TypeVar("T")


class Client:
    """A merchant's line to WeChat Pay: `client.v3.payscore.serviceorder._out_order_no_.sync.post(...)`.

    `mchid`, `serial_no`, `private_key`: see `Merchant`. `platform_keys`: see `PlatformKeys`; may be empty where an
    `apiv3_key` is given: then certificates are downloaded before the first call. `apiv3_key` (one, or a sequence with
    previous ones) opens notifications and downloaded certificates; these are renewed in the background and kept in
    `certificate_store`, memory by default. With WeChat Pay's public key alone nothing is downloaded.
    `base_url` and `backup_url` override the host of every endpoint; another `base_url` alone has no backup. `timeout`
    is seconds to connect to a host and seconds from the first byte sent to the last of the answer; a call takes no
    longer than twice the one plus the other, whatever it repeats. `session` may be shared, and what is known of a dead
    host with it; a `requests.Session` of your own works, but only `wechatpay.Session` keeps these limits and can tell
    that a reused connection died unheard. `clock` gives Unix seconds, `nonce` what no call has used before. Raises
    InvalidKeyError or ValueError naming the argument.
    """

    def __init__(  # noqa: PLR0913  the contract
        self,
        *,
        mchid: str,
        serial_no: str,
        private_key: "str | bytes | RSAPrivateKey",
        platform_keys: "Mapping[str, str | bytes | RSAPublicKey]",
        apiv3_key: "str | Sequence[str] | None" = None,
        base_url: str = MAIN,
        backup_url: str | None = None,
        timeout: Timeout = (3.0, 8.0),
        session: requests.Session | None = None,
        certificate_store: CertificateStore | None = None,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = random_nonce,
    ) -> None:
        self._merchant = Merchant(mchid=mchid, serial_no=serial_no, private_key=private_key)
        self._apiv3_key = apiv3_key
        self._clock = clock
        self._given_keys = PlatformKeys.of(platform_keys)
        self._certificates = self._downloads(certificate_store)
        self._limit = _Limit()
        if not self._given_keys and not self._certificates:
            raise ValueError("platform_keys is empty: without a key of WeChat Pay no answer can be verified")
        refuse_own_keys(self._merchant.serial_no, self._merchant.public_key, self._given_keys)
        official = base_url.rstrip("/") == MAIN
        # A client of a sandbox must not end up at the real WeChat Pay when a call fails.
        backup = backup_url or (BACKUP if official else base_url)
        hosts = _host("base_url", base_url), _host("backup_url", backup)
        self._official = hosts == (MAIN, BACKUP)
        self._timeout = _pair(timeout)
        self._session = Session() if session is None else session
        if isinstance(self._session, Session):
            self._failover = self._session.failover
        else:
            keep_in_one_process(self._session)
            self._failover = Failover()
        self._hosts, self._backup_first = self._failover.hosts(*hosts), False
        self._authorization = Authorization(self._merchant, clock=clock, nonce=nonce)
        self._executor = _Threads()

    @property
    def mchid(self) -> str:
        """The merchant number that signs."""
        return self._merchant.mchid

    @property
    def merchant(self) -> Merchant:
        """Who signs."""
        return self._merchant

    @property
    def platform_keys(self) -> PlatformKeys:
        """The keys that are trusted as things stand: those given, and certificates downloaded since."""
        return self._certificates.held if self._certificates else self._given_keys

    @property
    def encryption_serial(self) -> str:
        """The key that `encrypt` uses; send it as the header `Wechatpay-Serial` with every encrypted field."""
        serial = self._trusted(_end(self._timeout)).encryption_serial
        if serial is None:
            raise ValueError("platform_keys holds nothing to encrypt with")
        return serial

    def encrypt(self, text: str, *, serial: str | None = None) -> str:
        """Encrypt one sensitive field, such as a name, for WeChat Pay (RSA-OAEP, doc 4013053257).

        `serial` names the key, `encryption_serial` by default. ValueError above 214 bytes, or for a serial not held.
        """
        keys, name = self._trusted(_end(self._timeout)), serial or self.encryption_serial
        if name not in keys:
            raise ValueError(f"no key {name[:64]!r} is among platform_keys")
        return encrypt(text, keys[name])

    def decrypt(self, ciphertext: str) -> str:
        """Decrypt one sensitive field of an answer; UndecryptableError where it was not encrypted for this merchant."""
        return self._merchant.decrypt(ciphertext)

    @cached_property
    def security(self) -> Security:
        """The harmless live check: `client.security.echo()`."""
        return Security(self)

    @cached_property
    def payscore(self) -> PayScore:
        """PayScore with types: `sync` and `query` of a service order, on all five endpoints."""
        return PayScore(self)

    @property
    def backup(self) -> Self:
        """The same client, asking the backup host first; for a query when the main host is silent."""
        other = self._copied()
        other._backup_first = not self._backup_first
        return other

    @property
    def oversea(self) -> Self:
        """The same client, asking Hong Kong's host; where hosts were overridden, it is this very client."""
        if not self._official:
            return self
        other = self._copied()
        other._hosts = self._failover.hosts(OVERSEA, OVERSEA)
        return other

    def _copied(self) -> Self:
        other = copy.copy(self)
        for bound in ("payscore", "security"):
            other.__dict__.pop(bound, None)
        return other

    def _order(self) -> tuple[str, str]:
        """Return both hosts, the one to ask first before the other."""
        if self._backup_first:
            return self._hosts.backup, self._hosts.main
        return self._hosts.order(self._clock())

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
        """Make a call and return the verified answer; what the verbs of a path end in.

        Raises UnansweredError, RefusedError or UntrustedError.
        """
        return self._send(self._written(call))

    def sign(self, call: Call) -> SignedCall[Answer]:
        """Sign a call that is sent later; `send` does and raises what `call` does.

        Raises TypeError or ValueError for what cannot be sent.
        """
        return self._sign(call, lambda answer: answer)

    def _sign(self, call: Call, read: Callable[[Answer], T]) -> SignedCall[T]:
        written = self._written(call)
        return SignedCall(
            self._signed(written),
            lambda request: read(self._send(written, request)),
            self._clock() + FRESH,
            self._clock,
        )

    def _send(self, written: "_Written", signed: requests.PreparedRequest | None = None) -> Answer:
        end = _end(written.timeout)
        self._trusted(end)
        return self._answer(self._exchanged(written, signed, end), written, end)

    def _signed(self, written: "_Written") -> requests.PreparedRequest:
        request = requests.PreparedRequest()  # filled in, not prepared: what was written down needs no mending
        request.method, request.url = written.method, self._hosts.main + written.target
        request.headers, request.body = written.headers.copy(), written.body or None
        return self._authorization(request)

    def _trusted(self, end: float) -> PlatformKeys:
        """The keys to trust: in certificate mode there may be none before the first download."""
        if self._certificates:
            self._limit.end = end
            self._certificates.prepare(end)
        return self.platform_keys

    def _written(self, call: Call) -> "_Written":
        """Write the call down as it will be signed and sent; TypeError or ValueError for what cannot be."""
        body = b"" if call.json is None else message.json_bytes(call.json)
        headers = self._headers(call.headers or {}, call.method, body)
        timeout = self._timeout if call.timeout is None else _pair(call.timeout)
        repeatable = call.repeatable or call.method == "GET"
        return _Written(call.method, _target(call), body, headers, timeout, repeatable)

    def _exchanged(self, written: "_Written", signed: requests.PreparedRequest | None, end: float) -> Reply:
        """Send the signed request, or sign one; return the answer, not verified yet. Raises for all but 2xx."""
        unsent = [] if signed is None else [signed]

        def prepare(host: str) -> requests.PreparedRequest:
            request = unsent.pop() if unsent else self._signed(written)
            request.url = host + written.target  # which the signature does not cover: it begins with the path
            return request

        route = Route(self._session, self._hosts, self._order(), written.timeout, end, self._clock)
        reply = exchange(route, prepare, repeatable=written.repeatable)
        if not 200 <= reply.status < 300:
            raise self._refusal(reply, written)
        return reply

    async def call_async(self, call: Call) -> Answer:
        """Make the call on a thread of this client. Cancelling stops the waiting, not the call: its outcome is open."""
        import asyncio  # noqa: PLC0415  10 ms that a caller who awaits nothing never needs

        return await asyncio.get_running_loop().run_in_executor(self._executor.pool, self.call, call)

    async def notification_async(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """`notification`, to be awaited: it may have to download a certificate first."""
        import asyncio  # noqa: PLC0415  as above

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor.pool, self.notification, headers, body)

    def notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Open a notification with this merchant's keys; see `Notification.open`. ValueError without an APIv3 key."""
        if (apiv3_key := self._apiv3_key) is None:
            raise ValueError("apiv3_key is missing: notifications are encrypted with it")
        end = _end(self._timeout)
        self._trusted(end)

        def opened(keys: PlatformKeys) -> Notification:
            return Notification.open(headers, body, platform_keys=keys, apiv3_key=apiv3_key, clock=self._clock)

        return self._verified(opened, end)

    def _verified(self, verified: Callable[[PlatformKeys], T], end: float) -> T:
        """Verify with the keys held; for a certificate that is not among them, once more after a download."""
        try:
            return verified(self.platform_keys)
        except UntrustedError as error:
            if self._certificates is None or error.reason != "unknown_serial":
                raise
            serial = error.serial
        self._limit.end = end
        return verified(self._certificates.keys_for(serial, end))

    def _downloads(self, store: CertificateStore | None) -> PlatformCertificates | None:
        """Certificates need the APIv3 key to be opened; with WeChat Pay's public key alone there are none."""
        if self._apiv3_key is None:
            return None
        cipher = Cipher(self._apiv3_key)
        if not self._given_keys.certificates:
            return None
        return PlatformCertificates(self._given_keys, self._download, cipher, store=store, clock=self._clock)

    def _download(self) -> Reply:
        """Fetch the certificates: within the call that waits for them, or on a thread of its own."""
        written = self._written(Call("GET", "v3/certificates", {}))
        try:
            return self._exchanged(written, None, min(self._limit.end, _end(written.timeout)))
        except RefusedError as error:
            if error.status in {403, 404}:  # a merchant without certificates gets either
                error.add_note("There are no platform certificates: give WeChat Pay's public key (PUB_KEY_ID_…).")
            raise

    def _headers(self, given: Mapping[str, str], method: str, body: bytes) -> CaseInsensitiveDict[str]:
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(
            {name: _header(value) for name, value in self._session.headers.items()}
        )
        headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": _USER_AGENT})
        if body:
            headers["Content-Type"] = "application/json"
        if body or method != "GET":
            headers["Content-Length"] = str(len(body))
        if self._given_keys.public_key_id:  # decides which key signs while both kinds are valid (doc 4012154180)
            headers["Wechatpay-Serial"] = self._given_keys.public_key_id
        for name, value in given.items():
            check_header_validity((name, value))
            headers[name] = value
        return headers

    def _answer(self, reply: Reply, written: "_Written", end: float) -> Answer:
        try:
            serial = self._verified(lambda keys: verify(reply.headers, reply.content, keys, self._clock()), end)
        except UntrustedError as error:
            error.method, error.path = written.method, written.path
            raise
        request_id = reply.headers.get("Request-ID", "")
        return Answer(reply.status, reply.headers, reply.content, request_id, serial, written.method, written.path)

    def _refusal(self, reply: Reply, written: "_Written") -> RefusedError:
        words = _words(reply.content)
        return RefusedError(
            status=reply.status,
            code=_text(words.get("code")),
            message=_text(words.get("message")),
            detail=words.get("detail"),
            request_id=reply.headers.get("Request-ID", ""),
            headers=reply.headers,
            verified=self._is_signed(reply),
            method=written.method,
            path=written.path,
        )

    def _is_signed(self, reply: Reply) -> bool | None:
        """Whether a refusal is WeChat Pay's own: many are not signed, which is no proof against them."""
        if "Wechatpay-Signature" not in reply.headers:
            return None
        try:
            verify(reply.headers, reply.content, self.platform_keys, self._clock())
        except UntrustedError:
            return False
        return True

    def __repr__(self) -> str:
        host = self._hosts.backup if self._backup_first else self._hosts.main
        return f"Client({self._merchant!r}, {self.platform_keys!r}, host={host!r})"


@dataclass(frozen=True, slots=True)
class _Written:
    """A call, written down."""

    method: str
    target: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: CaseInsensitiveDict[str] = field(repr=False)
    timeout: tuple[float, float]
    repeatable: bool

    @property
    def path(self) -> str:
        """The target without its query, which may hold what no log should."""
        return self.target.partition("?")[0]


class _Limit(threading.local):
    """When the call that this thread makes ends (`time.monotonic`), downloads of certificates included."""

    end: float = math.inf


class _Threads:
    """A pool that is made when the first call is awaited; copies of a client share it, a forked process does not."""

    def __init__(self) -> None:
        self._pools: dict[int, ThreadPoolExecutor] = {}

    @property
    def pool(self) -> ThreadPoolExecutor:
        process = os.getpid()
        if process not in self._pools:  # a parent's threads do not exist in its child
            fresh = ThreadPoolExecutor(_ASYNC_THREADS, thread_name_prefix="wechatpay")  # starts no thread yet
            self._pools.setdefault(process, fresh)
        return self._pools[process]


def _target(call: Call) -> str:
    query = message.query_string(call.params) if call.params else ""
    return expand(call.template, call.values) + (f"?{query}" if query else "")


def _words(content: bytes) -> Mapping[str, object]:
    """What an error's body says; a gateway's HTML says nothing."""
    try:
        words = decoded(content)
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}


def _header(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _host(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{name} must be the URL of a host, such as {MAIN}")
    if parts.path not in {"", "/"}:
        raise ValueError(f"{name} must have no path: the signature covers the path that WeChat Pay sees")
    return url.rstrip("/")


def _end(timeout: tuple[float, float]) -> float:
    """When a call that begins now ends: after connecting to both hosts and reading one answer (`time.monotonic`)."""
    connect, read = timeout
    return time.monotonic() + 2 * connect + read


def _pair(timeout: Timeout) -> tuple[float, float]:
    connect, read = timeout if isinstance(timeout, tuple | list) else (timeout, timeout)
    if not (connect > 0 and read > 0):
        raise ValueError("timeout must be seconds above zero, (connect, read): without one a call may hang for ever")
    return float(connect), float(read)
