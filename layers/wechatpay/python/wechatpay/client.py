"""The client: signs, sends, verifies. One object per merchant, safe to use from many threads."""

import asyncio
import copy
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from wechatpay import message
from wechatpay.answer import Answer, decoded
from wechatpay.authorization import Authorization, random_nonce
from wechatpay.chain import Call, Node, Timeout, expand
from wechatpay.cipher import Cipher
from wechatpay.errors import RefusedError, UntrustedError
from wechatpay.merchant import Merchant
from wechatpay.notification import Notification
from wechatpay.payscore import PayScore
from wechatpay.platform_keys import PlatformKeys
from wechatpay.transport import Reply, Session, exchange
from wechatpay.verification import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAIN = "https://api.mch.weixin.qq.com"
BACKUP = "https://api2.mch.weixin.qq.com"
OVERSEA = "https://apihk.mch.weixin.qq.com"

_USER_AGENT = f"wechatpay-python/0.1.0 Python/{platform.python_version()} requests/{requests.__version__}"
_ASYNC_THREADS = 32  # calls that await at a time; more wait for a thread


class Client:
    """A merchant's line to WeChat Pay: `client.v3.payscore.serviceorder._out_order_no_.sync.post(...)`.

    `mchid`, `serial_no`, `private_key`: see `Merchant`. `platform_keys`: see `PlatformKeys`; at least one.
    `apiv3_key` (one, or a sequence with previous ones) opens notifications. `base_url` and `backup_url` override the
    host of every endpoint; another `base_url` alone has no backup. `timeout` is seconds to connect and seconds for the
    answer. `session` may be shared; a `requests.Session` of your own works, but only `wechatpay.Session` can tell that
    a reused connection died unheard. `clock` gives Unix seconds, `nonce` what no call has used before.
    Raises InvalidKeyError or ValueError naming the argument.
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
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = random_nonce,
    ) -> None:
        self._merchant = Merchant(mchid=mchid, serial_no=serial_no, private_key=private_key)
        self._platform_keys = platform_keys if isinstance(platform_keys, PlatformKeys) else PlatformKeys(platform_keys)
        if not self._platform_keys:
            raise ValueError("platform_keys is empty: without a key of WeChat Pay no answer can be verified")
        self._apiv3_key = apiv3_key
        if apiv3_key is not None:
            Cipher(apiv3_key)
        official = base_url.rstrip("/") == MAIN
        # Whoever points us at a sandbox does not want a failing call to end up at the real WeChat Pay.
        backup = backup_url or (BACKUP if official else base_url)
        self._hosts = _host("base_url", base_url), _host("backup_url", backup)
        self._official = self._hosts == (MAIN, BACKUP)
        self._timeout = _pair(timeout)
        self._session = Session() if session is None else session
        self._clock = clock
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
        """Whose signatures are trusted."""
        return self._platform_keys

    @cached_property
    def payscore(self) -> PayScore:
        """PayScore with types: `sync` and `query` of a service order, on all five endpoints."""
        return PayScore(self)

    @property
    def backup(self) -> Self:
        """The same client, asking the backup host first; for a query when the main host is silent."""
        return self._towards(self._hosts[1], self._hosts[0])

    @property
    def oversea(self) -> Self:
        """The same client, asking Hong Kong's host; where hosts were overridden, it is this very client."""
        return self._towards(OVERSEA, OVERSEA) if self._official else self

    def _towards(self, main: str, backup: str) -> Self:
        other = copy.copy(self)
        other.__dict__.pop("payscore", None)
        other._hosts = main, backup
        return other

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
        target = _target(call)
        body = b"" if call.json is None else message.json_bytes(call.json)
        headers = self._headers(call.headers or {}, has_body=bool(body))

        def prepare(host: str) -> requests.PreparedRequest:
            request = requests.PreparedRequest()
            request.prepare(method=call.method, url=host + target, headers=headers, data=body or None)
            return self._authorization(request)

        timeout = self._timeout if call.timeout is None else _pair(call.timeout)
        reply = exchange(self._session, prepare, self._hosts, timeout, self._clock)
        path = target.partition("?")[0]
        if not 200 <= reply.status < 300:
            raise self._refusal(reply, call.method, path)
        return self._answer(reply, call.method, path)

    async def call_async(self, call: Call) -> Answer:
        """Make the call on a thread of this client. Cancelling stops the waiting, not the call: its outcome is open."""
        return await asyncio.get_running_loop().run_in_executor(self._executor.pool, self.call, call)

    def notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Open a notification with this merchant's keys; see `Notification.open`. ValueError without an APIv3 key."""
        if self._apiv3_key is None:
            raise ValueError("apiv3_key is missing: notifications are encrypted with it")
        return Notification.open(
            headers, body, platform_keys=self._platform_keys, apiv3_key=self._apiv3_key, clock=self._clock
        )

    def _headers(self, given: Mapping[str, str], *, has_body: bool) -> CaseInsensitiveDict[str]:
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(
            {name: _header(value) for name, value in self._session.headers.items()}
        )
        headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": _USER_AGENT})
        if has_body:
            headers["Content-Type"] = "application/json"
        if self._platform_keys.public_key_id:  # decides which key signs while both kinds are valid (doc 4012154180)
            headers["Wechatpay-Serial"] = self._platform_keys.public_key_id
        headers.update(given)
        return headers

    def _answer(self, reply: Reply, method: str, path: str) -> Answer:
        try:
            serial = verify(reply.headers, reply.content, self._platform_keys, self._clock())
        except UntrustedError as error:
            error.method, error.path = method, path
            raise
        request_id = reply.headers.get("Request-ID", "")
        return Answer(reply.status, reply.headers, reply.content, request_id, serial, method, path)

    def _refusal(self, reply: Reply, method: str, path: str) -> RefusedError:
        words = _words(reply.content)
        return RefusedError(
            status=reply.status,
            code=_text(words.get("code")),
            message=_text(words.get("message")),
            detail=words.get("detail"),
            request_id=reply.headers.get("Request-ID", ""),
            headers=reply.headers,
            verified=self._verified(reply),
            method=method,
            path=path,
        )

    def _verified(self, reply: Reply) -> bool | None:
        """Whether a refusal is WeChat Pay's own: many are not signed, which is no proof against them."""
        if "Wechatpay-Signature" not in reply.headers:
            return None
        try:
            verify(reply.headers, reply.content, self._platform_keys, self._clock())
        except UntrustedError:
            return False
        return True

    def __repr__(self) -> str:
        return f"Client({self._merchant!r}, {self._platform_keys!r}, host={self._hosts[0]!r})"


class _Threads:
    """A pool that is made when the first call is awaited; copies of a client share it."""

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_ASYNC_THREADS, thread_name_prefix="wechatpay")


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


def _pair(timeout: Timeout) -> tuple[float, float]:
    connect, read = timeout if isinstance(timeout, tuple | list) else (timeout, timeout)
    if not (connect > 0 and read > 0):
        raise ValueError("timeout must be seconds above zero, (connect, read): without one a call may hang for ever")
    return float(connect), float(read)
