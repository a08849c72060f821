"""Connections to WeChat Pay over a requests.Session: kept alive, limited in time and bytes, of one process only.

Each override names the source of requests 2.34.2 that it was read from; `tests/wechatpay/test_overrides.py` fails where
the installed one differs.
"""

import math
import socket
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from weakref import WeakSet, WeakValueDictionary

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from wechatpay import forks, redaction
from wechatpay.connection_pools import Pending, Pool, TLSPool, use_pools
from wechatpay.heads import PlainHeads, fields_of
from wechatpay.hosts import Failover
from wechatpay.limits import Try, current, trying
from wechatpay.tls import ca_bundle, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests.adapters import _HostParams, _PoolKwargs
    from requests.sessions import _Settings
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager
    from urllib3.connectionpool import ConnectionPool

    class _Pickled(Protocol):
        """What the stubs leave out of HTTPAdapter."""

        def __getstate__(self) -> object: ...
        def __setstate__(self, state: object) -> None: ...


HOSTS = 4  # main and backup, each for the mainland and for Hong Kong
POOL_SIZE = 100  # idle connections kept per host: as many as a batch of orders has calls at a time

_adapters: "WeakSet[_Adapter]" = WeakSet()
_plain_sessions: WeakSet[requests.Session] = WeakSet()
_inherited: "list[tuple[PoolManager, Mapping[str, PoolManager]]]" = []
"""The parent's pools in its child: kept, because closing them takes locks that a thread of the parent may hold."""


class _Adapter(HTTPAdapter):
    """Pools of limited connections that share one TLS context."""

    def __init__(self) -> None:
        """Make empty pools. requests 2.34.2, adapters.py, HTTPAdapter.__init__."""
        self._pools: WeakValueDictionary[_Way, Pool | TLSPool] = WeakValueDictionary()  # the managers hold them
        super().__init__(pool_connections=HOSTS, pool_maxsize=POOL_SIZE)
        _adapters.add(self)

    @cached_property
    def _bundle(self) -> str:
        return ca_bundle()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: object) -> None:
        """Let the manager make limited pools. requests 2.34.2, adapters.py, HTTPAdapter.__init__ calls this."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        use_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: object) -> "PoolManager":
        """Let a proxy's manager make limited pools, with the shared TLS context.

        requests 2.34.2, adapters.py, HTTPAdapter.get_connection_with_tls_context calls this.
        """
        manager: PoolManager = super().proxy_manager_for(
            proxy, proxy_ssl_context=tls_context(self._bundle), **proxy_kwargs
        )
        use_pools(manager)
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401  passed on
        """Send within the limits of this thread's try, or of `timeout` where there is none.

        A try uses a kept connection without the rest of requests and urllib3, which then would take half of its CPU
        time. A new connection is made by them, and so is everything for a session's other users.

        requests 2.34.2, adapters.py, HTTPAdapter.send.
        """
        attempt = current()
        if attempt is None:
            with trying(Try(time.time, *_seconds(kwargs.get("timeout")))):
                return super().send(request, *args, **kwargs)
        attempt.observed = True
        if (pending := self.begin(request, **kwargs)) is not None:
            return self.build_response(request, pending.answer())
        return super().send(request, *args, **kwargs)

    def begin(self, request: requests.PreparedRequest, **settings: Any) -> "Pending | None":  # noqa: ANN401  passed on
        """Send a request over a kept connection; None, and nothing sent, where none stands.

        None as well where another program has put a function of its own in the place of `HTTPAdapter.send`, as
        instruments and mocks do: that is to see every request.
        """
        if HTTPAdapter.send is not _SENDS[2]:
            return None
        pool = self._pools.get(_way(request, **settings))
        connection = None if pool is None else pool.take()
        return None if pool is None or connection is None else pool.begin(connection, request)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: "Mapping[str, str] | None" = None,
        cert: str | tuple[str, str] | None = None,
    ) -> "ConnectionPool":
        """Remember the pool of a way, unless its requests name the whole URL, as those to an HTTP proxy do.

        requests 2.34.2, adapters.py, HTTPAdapter.send calls this.
        """
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        if isinstance(pool, Pool | TLSPool) and (pool.proxy is None or pool.scheme == "https"):
            self._pools[_way(request, verify=verify, proxies=proxies, cert=cert)] = pool
        return pool

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> "tuple[_HostParams, _PoolKwargs]":
        """Give every pool the shared TLS context.

        requests 2.34.2, adapters.py, HTTPAdapter.get_connection_with_tls_context calls this for each request.
        """
        verify = self._shared(verify)
        host, attributes = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https" and verify is True:
            attributes["ssl_context"] = tls_context(self._bundle)
        return host, attributes

    def cert_verify(
        self,
        conn: "HTTPConnectionPool",
        url: str,
        verify: bool | str,
        cert: str | tuple[str, str] | None,
    ) -> None:
        """Leave a pool alone whose bundle is in the shared context.

        requests 2.34.2, adapters.py, HTTPAdapter.send calls this for each request.
        """
        if self._shared(verify) is not True or cert:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def _shared(self, verify: bool | str) -> bool | str:
        """Return True for the environment's bundle: it is in the shared context already."""
        return True if verify == self._bundle else verify

    def build_response(self, req: requests.PreparedRequest, resp: "BaseHTTPResponse") -> requests.Response:
        """Make a response without cookies and without a guess at its encoding, which no call here needs.

        requests 2.34.2, adapters.py, HTTPAdapter.send calls this.
        """
        response = requests.Response()
        response.status_code, response.reason = resp.status, str(resp.reason)
        response.headers = headers_of(resp)
        response.url, response.request, response.raw = str(req.url), req, resp
        return response

    def renew(self) -> None:
        """Start with empty pools; the locks of the old ones may be held."""
        self.proxy_manager, self._pools = {}, WeakValueDictionary()
        self.init_poolmanager(HOSTS, POOL_SIZE)


_Way = tuple[str, object, object, object]


def _way(
    request: requests.PreparedRequest,
    *,
    verify: object = True,
    proxies: "Mapping[str, str] | None" = None,
    cert: object = None,
    **_: object,
) -> _Way:
    """Return what a pool depends on: scheme, host and port, the authorities, the certificate, the proxies."""
    origin = "/".join(str(request.url).split("/", 3)[:3])
    return origin, verify, cert, tuple(proxies.items()) if proxies else ()


def headers_of(answer: "BaseHTTPResponse | PlainHeads") -> "CaseInsensitiveDict[str]":
    """Return an answer's headers: the values of a repeated one in one, as urllib3 has it, a folded one as one line."""
    fields = answer.fields if isinstance(answer, PlainHeads) else fields_of(answer.headers.items())
    return CaseInsensitiveDict(fields.values())


def _seconds(timeout: object) -> tuple[float, float]:
    """Return the two limits that a `timeout` of requests stands for."""
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return (
        float(connect) if isinstance(connect, int | float) else math.inf,
        float(read) if isinstance(read, int | float) else math.inf,
    )


class Begun(NamedTuple):
    """A request that was sent: the socket on which its answer comes, and what reads its head, within the same try."""

    socket: socket.socket
    answer: "Callable[[], BaseHTTPResponse]"


class FinalRequest(requests.PreparedRequest):
    """A request that was signed as it stands; `target` is its path with the query."""

    target: str

    @property
    def path_url(self) -> str:
        """Return the target. requests 2.34.2, models.py, RequestEncodingMixin.path_url: parses the URL each time."""
        return self.target


class Session(requests.Session):
    """Connections to WeChat Pay; one may serve many clients and threads, which share the outages of hosts.

    It honours the proxies and CA bundles of the environment, which it reads once for each host; it follows no redirect,
    stores no cookie and calls no hook: a request goes straight to its adapter. A forked process starts with connections
    of its own.
    """

    def __init__(self) -> None:
        """Mount the adapters. requests 2.34.2, sessions.py, Session.__init__."""
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())  # a sandbox, or a test
        self.failover = Failover()
        self._settings: dict[str, _Settings] = {}

    def merge_environment_settings(self, url: str | bytes | None, *args: Any) -> "_Settings":  # noqa: ANN401  passed on
        """Read the environment for a host once; for every call it would be a sixth of the call's CPU time.

        requests 2.34.2, sessions.py, Session.request and `wechatpay.transport` call this.
        """
        host = "/".join(str(url).split("/", 3)[:3])
        if host not in self._settings:
            self._settings[host] = super().merge_environment_settings(url, *args)
        return self._settings[host]

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # noqa: ANN401  passed on
        """Hand the request to its host's adapter, and return the answer unread, a redirect included.

        requests 2.34.2, sessions.py, Session.send: follows redirects, although what was signed for one host and path
        must not be sent to another.
        """
        settings.pop("allow_redirects", None)
        return self.get_adapter(str(request.url)).send(request, **settings)


_SENDS = Session.send, _Adapter.send, HTTPAdapter.send  # as they are before something replaces them


def _is(method: object, function: object) -> bool:
    return getattr(method, "__func__", None) is function


def begin(session: Session, request: requests.PreparedRequest, attempt: Try) -> Begun | None:
    """Send a request over a connection that stands, within a try; None, and nothing sent, where none does.

    None as well where a user has mounted an adapter, or put a `send` in the place of ours, which sees every request.
    """
    adapter = session.get_adapter(str(request.url))
    if not isinstance(adapter, _Adapter) or not (_is(session.send, _SENDS[0]) and _is(adapter.send, _SENDS[1])):
        return None
    attempt.observed = True
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    pending = adapter.begin(request, **settings)
    if pending is None:
        return None
    return Begun(pending.connection.sock, pending.answer)


def keep_in_one_process(session: requests.Session) -> None:
    """Let a forked process begin with connections of its own over a session that is not `Session`."""
    _plain_sessions.add(session)


def _renew_plain(adapter: HTTPAdapter) -> None:
    """Give an adapter empty pools, as if it had been pickled.

    requests 2.34.2, adapters.py, HTTPAdapter.__getstate__ and __setstate__.
    """
    _inherited.append((adapter.poolmanager, adapter.proxy_manager))
    pickled = cast("_Pickled", adapter)
    pickled.__setstate__(pickled.__getstate__())


def _renew_pools() -> None:
    for adapter in list(_adapters):
        adapter.renew()
    for session in list(_plain_sessions):
        for plain in session.adapters.values():
            if isinstance(plain, HTTPAdapter) and not isinstance(plain, _Adapter):
                _renew_plain(plain)


forks.in_child(_renew_pools)
redaction.install()
