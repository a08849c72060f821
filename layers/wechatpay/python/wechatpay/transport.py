"""HTTP: keep-alive that survives a frozen environment, and the exact rules for sending a call a second time.

WeChat Pay closes an idle connection after 8 s. A Lambda environment that was frozen in between does not notice, so a
connection idle for 7 s of wall clock is not used again. A call is sent a second time only where that is harmless:
newly signed, once after a *reused* connection died before any byte of an answer, once on the backup host where
connecting failed. Never after a read timeout or a byte of an answer (docs 4012075113, 4012081717).
"""

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NoReturn

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from wechatpay.errors import UnansweredError

IDLE_LIMIT = 7.0
"""Seconds of wall clock after which an idle connection is not used again; WeChat Pay closes it at 8 s."""

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer that are read at most; a service order has some 2 KB."""

POOL_SIZE = 100  # connections kept per host: as many as a batch of orders has calls at a time

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class _Trial:
    """What is known about one try of a call; `watched` only through connections of our own."""

    clock: Callable[[], float]
    fresh: bool = False  # use no connection that has served before
    watched: bool = False
    reused: bool = False
    sent: bool = False
    answered: bool = False


class _Current(threading.local):
    """The trial that this thread is in; the connections of urllib3 have no other way to know."""

    trial = _Trial(time.time)


_current = _Current()


class _FirstByte(HTTPResponse):
    """Notes that an answer has begun: from then on nothing is sent a second time."""

    def begin(self) -> None:
        _current.trial.answered = bool(self.fp.peek(1))
        super().begin()


class _Watched(HTTPConnection):
    """A connection that knows whether it has served before, and since when it idles."""

    response_class = _FirstByte
    _idle_since: float | None = None

    @property
    def is_connected(self) -> bool:
        trial = _current.trial
        idle = 0.0 if self._idle_since is None else trial.clock() - self._idle_since
        spoilt = self._idle_since is not None and (trial.fresh or not 0 <= idle < IDLE_LIMIT)
        return super().is_connected and not spoilt

    def connect(self) -> None:
        _current.trial.watched = True
        super().connect()

    def close(self) -> None:
        self._idle_since = None
        super().close()

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as urllib3 has it
        trial = _current.trial
        trial.watched = True
        if self.sock is None:
            self.connect()
        trial.reused, trial.sent = self._idle_since is not None, True
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:  # noqa: ANN401  as urllib3 has it
        response = super().getresponse()
        self._idle_since = _current.trial.clock()
        return response


class _WatchedTLS(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


_parsed: dict[str, ssl.SSLContext] = {}
_parsing = threading.Lock()


def tls_context(bundle: str | None = None) -> ssl.SSLContext:
    """Return the process's one TLS context for a bundle of certificate authorities, a file or a hashed directory.

    Parsing a bundle takes 15 to 40 ms of processor; whoever shares the context with other clients saves them theirs.
    Without `bundle` it is the environment's (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`) or certifi's.
    """
    bundle = bundle or _bundle()
    with _parsing:  # the first calls of a batch come together
        if bundle not in _parsed:
            file, directory = (None, bundle) if Path(bundle).is_dir() else (bundle, None)
            _parsed[bundle] = ssl.create_default_context(cafile=file, capath=directory)
        return _parsed[bundle]


def _bundle() -> str:
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    return next(filter(None, named), certifi.where())


class _Adapter(HTTPAdapter):
    """Pools of watched connections that share one TLS context."""

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=POOL_SIZE)

    @cached_property
    def _bundle(self) -> str:
        return _bundle()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as requests has it
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:  # noqa: ANN401  as requests has it
        return _watch(super().proxy_manager_for(*args, **kwargs))

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[Any, Any]:
        verify = self._known(verify)
        host, attributes = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https" and verify is True:
            attributes["ssl_context"] = tls_context(self._bundle)
        return host, attributes

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401  as requests has it
        if self._known(verify) is not True or cert:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def _known(self, verify: bool | str) -> bool | str:
        """Take the environment's bundle for what it is: already in the shared context."""
        return True if verify == self._bundle else verify

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:  # noqa: ANN401  as requests has it
        response = requests.Response()  # without the cookies and the guess at an encoding that nobody here asks for
        response.status_code, response.reason = resp.status, resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.url, response.request, response.raw = str(req.url), req, resp
        return response


def _watch(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager


class Session(requests.Session):
    """Connections to WeChat Pay; one may serve many clients and threads.

    It honours the proxies and CA bundles of the environment, which it reads once for each host; it follows no redirect,
    stores no cookie and calls no hook: a request goes straight to its adapter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())  # a sandbox, or a test
        self._settings: dict[str, Any] = {}

    def merge_environment_settings(self, url: Any, *given: Any) -> Any:  # noqa: ANN401  as requests has it
        """Read the environment for a host once; for every call it would be a sixth of the call's processor time."""
        host = "/".join(url.split("/", 3)[:3])
        if host not in self._settings:
            self._settings[host] = super().merge_environment_settings(url, *given)
        return self._settings[host]

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # noqa: ANN401  as requests has it
        """Hand the request to its host's adapter, and return the answer unread."""
        settings.pop("allow_redirects", None)
        return self.get_adapter(str(request.url)).send(request, **settings)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Never: what was signed for one host and path is not sent to another."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came, not verified yet."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


def exchange(
    session: requests.Session,
    prepare: Callable[[str], requests.PreparedRequest],
    hosts: tuple[str, str],
    timeout: tuple[float, float],
    clock: Callable[[], float],
) -> Reply:
    """Send a call and read its whole answer.

    `prepare` makes the newly signed request for a host; `hosts` are main and backup; `timeout` is seconds to connect
    and seconds for the answer. Raises UnansweredError.
    """
    host, sent, resent = hosts[0], False, False
    while True:
        request = prepare(host)
        trial = _current.trial = _Trial(clock, fresh=resent)
        try:
            return _once(session, request, timeout)
        except (requests.RequestException, HTTPError, OSError) as error:
            never_sent = not trial.sent if trial.watched else _never_connected(error)
            sent = sent or not never_sent
            if never_sent and host != hosts[1]:
                host = hosts[1]
            elif trial.reused and not trial.answered and not resent and not _timed_out(error):
                resent = True
            else:
                _give_up(request, error, sent=sent)


def _once(session: requests.Session, request: requests.PreparedRequest, timeout: tuple[float, float]) -> Reply:
    until = time.monotonic() + sum(timeout)
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    response = session.send(request, timeout=timeout, allow_redirects=False, **settings)
    try:
        content = b"" if response.status_code in _REDIRECTS else _content(response, until)
    except BaseException:
        response.close()
        raise
    return Reply(response.status_code, response.headers, content)


def _content(response: requests.Response, until: float) -> bytes:
    """Read the body within its bounds of size and time; raises requests.Timeout or requests.RequestException."""
    chunks, size = [], 0
    while chunk := response.raw.read1(65_536, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise requests.RequestException(f"the answer is longer than {ANSWER_LIMIT} bytes")
        if time.monotonic() > until:
            raise requests.Timeout("the answer did not end in time")
    return b"".join(chunks)


def _never_connected(error: BaseException) -> bool:
    """Judge by the error alone, for a session whose connections are not ours."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | ssl.SSLError)


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, requests.Timeout | TimeoutError)


def _give_up(request: requests.PreparedRequest, error: Exception, *, sent: bool) -> NoReturn:
    story = "the request may have arrived" if sent else "nothing was sent"
    path = request.path_url.partition("?")[0]
    text = f"no whole answer ({type(error).__name__}), {story}"
    raise UnansweredError(text, sent=sent, method=str(request.method), path=path) from error
