"""Connections to WeChat Pay: kept alive, bounded in time and bytes at the socket, each in one process only.

WeChat Pay closes an idle connection after 8 s. A Lambda environment that was frozen in between does not notice, so a
connection idle for 7 s of wall clock is not used again.

Everything here leans on the insides of http.client (CPython 3.13), urllib3 2.8.0 and requests 2.34.2; each override
says on what. `tests/wechatpay/test_connections.py` fails where the installed ones differ there.
"""

import io
import logging
import math
import os
import re
import socket
import ssl
import time
from collections import deque
from functools import cached_property
from http.client import HTTPResponse
from queue import Empty, LifoQueue
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from wechatpay import addresses
from wechatpay.hosts import Failover
from wechatpay.limits import ANSWER_LIMIT, LATE_LIMIT, TooLongError, Try, current, trying
from wechatpay.tls import ca_bundle, tls_context

IDLE_LIMIT = 7.0
"""Seconds of wall clock after which an idle connection is not used again; WeChat Pay closes it at 8 s."""

HOSTS = 4  # main and backup, each for the mainland and for Hong Kong
POOL_SIZE = 100  # idle connections kept per host: as many as a batch of orders has calls at a time

_SWITCHING_PROTOCOLS = 101
_LINE = 65_536


def _attempt() -> Try:
    return current() or Try(time.time)  # without a try there is no limit


# ---- log lines ----

_URL = re.compile(r"(\w+://[^\s/?'\"]*)[/?][^\s'\"),]*")
_TARGET = re.compile(r"(?<![\w./:])/[^\s'\"),]*")
_ANSWER = re.compile(r"unparsed data: .*", re.DOTALL)


def discreet(text: str) -> str:
    """Return a text of urllib3's without paths, queries and pieces of an answer; a URL keeps its scheme and host."""
    return _ANSWER.sub("…", _TARGET.sub("/…", _URL.sub(r"\1/…", text)))


class _Discretion(logging.Filter):
    """Cuts the URL out of what urllib3 logs during a call: its path and query hold order numbers and openids."""

    def filter(self, record: logging.LogRecord) -> bool:
        if current() is not None:
            record.msg, record.args = discreet(record.getMessage()), ()
            record.exc_info = record.exc_text = None
        return True


for _name in ("connection", "connectionpool", "response", "util.retry"):  # those that log in urllib3 2.8.0
    logging.getLogger(f"urllib3.{_name}").addFilter(_Discretion())


# ---- the socket ----


class _Wire(io.RawIOBase):
    """What comes over a connection, within the limits of a try.

    Each read waits for no longer than what is left, and every byte counts: of CONNECT's answer, interim answers,
    headers, body, chunk sizes and trailers.
    """

    def __init__(self, connection: Any, attempt: Try) -> None:  # noqa: ANN401  socket, SSLSocket or urllib3's SSLTransport
        super().__init__()
        self._socket = connection
        self._attempt = attempt
        self._late = LATE_LIMIT
        self._reference = connection.makefile("rb", 0)  # keeps the socket open while the answer is read

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Be the socket that `HTTPResponse.__init__` asks for a file."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  a buffer
        attempt = self._attempt
        patience = attempt.patience()
        if patience == 0.0 and self._late <= 0:
            raise attempt.overdue()
        try:
            self._socket.settimeout(patience)
            count: int = self._socket.recv_into(buffer)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise attempt.overdue() from None
        if patience == 0.0:
            self._late -= count
        attempt.received += count
        if attempt.received > attempt.allowed:
            raise TooLongError(f"the answer is longer than {attempt.allowed} bytes")
        return count

    def close(self) -> None:
        if not self.closed:
            self._reference.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer that is read from a `_Wire`, after all interim ones.

    http.client (3.13) skips 100 alone, in `begin`; 103 and the others would be taken for the answer.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as http.client has it
        self._attempt = _attempt()
        super().__init__(_Wire(sock, self._attempt), *args, **kwargs)  # type: ignore[arg-type]

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(_LINE).strip(b"\r\n"):
                pass

    def begin(self) -> None:
        super().begin()
        self._attempt.allowed += ANSWER_LIMIT
        if self.status == _SWITCHING_PROTOCOLS:
            self.will_close = True  # what follows is no HTTP


class _Bounded:
    """A TLS connection to a proxy: urllib3's `SSLTransport` speaks TLS through it, many small operations at a time."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  an SSLSocket
        self.__dict__["_inner"] = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever a socket has
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401  `_io_refs`
        setattr(self._inner, name, value)

    def recv(self, size: int) -> bytes:
        self._inner.settimeout(_attempt().left())
        data: bytes = self._inner.recv(size)
        return data

    def sendall(self, data: Any) -> None:  # noqa: ANN401  a buffer
        _send(self._inner, data, _attempt())


def _send(connection: Any, data: Any, attempt: Try) -> None:  # noqa: ANN401  a socket and a buffer
    """Send all of it within what is left; over TLS `sendall` would give each piece a limit of its own."""
    view = memoryview(data)
    try:
        while view:
            connection.settimeout(attempt.left())
            view = view[connection.send(view) :]
    except TimeoutError:
        raise attempt.overdue() from None


# ---- connections ----


class _Connection(HTTPConnection):
    """A connection that keeps the limits of a try, and knows whether it has served before and since when it idles."""

    response_class = _Answer
    _idle_since: float | None = None
    _outgoing: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Asked by `HTTPConnectionPool._get_conn` before an idle connection is used."""
        attempt = _attempt()
        idle = 0.0 if self._idle_since is None else attempt.clock() - self._idle_since
        spoilt = self._idle_since is not None and (attempt.fresh or not 0 <= idle < IDLE_LIMIT)
        return not spoilt and super().is_connected

    def connect(self) -> None:
        """Connect within the limit; called by `_prepare_proxy`, `_validate_conn` and `request`."""
        attempt = _attempt()
        attempt.begin_connecting()
        try:
            super().connect()
        except TimeoutError:  # in words of ours: `ssl` says in which line of its source
            raise attempt.overdue() from None
        _sockets.add(self.sock)

    def _new_conn(self) -> socket.socket:
        """Do what `HTTPConnection._new_conn` does, which knows a time-out for each address and none for the name."""
        attempt = _attempt()
        try:
            connected = addresses.connect(
                self._dns_host.strip("[]"),
                int(self.port or self.default_port),
                attempt.left,
                family=allowed_gai_family(),
                source_address=self.source_address,
                options=self.socket_options or (),
            )
            connected.settimeout(attempt.left())  # a TLS handshake may follow
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError:
            raise ConnectTimeoutError(self, "timed out") from attempt.overdue()
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        except UnicodeError:
            raise LocationParseError(self.host) from None
        return connected

    def _tunnel(self) -> None:
        """Let http.client ask the proxy; `send` and `_Answer` keep the limit, and then a TLS handshake follows."""
        super()._tunnel()
        self.sock.settimeout(_attempt().left())

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as urllib3 has it
        """Send a request in one piece: urllib3 hands headers and body to `send` one after the other."""
        if self.sock is None:
            self.connect()
        self._outgoing = []
        try:
            super().request(*args, **kwargs)
            outgoing = b"".join(self._outgoing)
        finally:
            self._outgoing = None
        attempt = _attempt()
        attempt.begin_talking(reused=self._idle_since is not None)
        _send(self.sock, outgoing, attempt)

    def send(self, data: Any) -> None:  # noqa: ANN401  as http.client has it; bytes from here
        """Collect what `request` is to send, or send within the limit, as `_tunnel` does."""
        if self._outgoing is None:
            _send(self.sock, data, _attempt())
        else:
            self._outgoing.append(data)

    def getresponse(self) -> Any:  # noqa: ANN401  as urllib3 has it
        response = super().getresponse()
        self._idle_since = _attempt().clock()
        return response

    def close(self) -> None:
        self._idle_since = None
        super().close()


class _TLSConnection(_Connection, HTTPSConnection):
    """The same over TLS, whose handshake `SSLSocket` limits as a whole."""

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as urllib3 has it
        connected = super()._connect_tls_proxy(*args, **kwargs)
        return _Bounded(connected) if self.proxy_is_tunneling else connected


class _Idle(LifoQueue[Any]):
    """Idle connections, the last one used first: urllib3's `QueueCls`.

    Without the locks of `LifoQueue`, so that a process may fork at any moment; without a warning when it is full, and
    without the places that urllib3 fills with None.
    """

    def __init__(self, maxsize: int = 0) -> None:  # not `LifoQueue.__init__`, which makes locks
        self.maxsize = maxsize
        self._connections: deque[Any] = deque()

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401
        if connection is None:
            return
        if len(self._connections) < self.maxsize:
            self._connections.append(connection)
        else:
            connection.close()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401
        try:
            return self._connections.pop()
        except IndexError:
            raise Empty from None

    def qsize(self) -> int:
        return len(self._connections)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _Idle


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    QueueCls = _Idle


# ---- requests ----


class _Adapter(HTTPAdapter):
    """Pools of bounded connections that share one TLS context."""

    def __init__(self) -> None:
        super().__init__(pool_connections=HOSTS, pool_maxsize=POOL_SIZE)
        _adapters.add(self)

    @cached_property
    def _bundle(self) -> str:
        return ca_bundle()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as requests has it
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:  # noqa: ANN401  as requests has it
        return _bound(super().proxy_manager_for(*args, proxy_ssl_context=tls_context(self._bundle), **kwargs))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send within the limits of this thread's try, or of `timeout` where there is none."""
        attempt = current()
        if attempt is None:
            with trying(Try(time.time, *_seconds(kwargs.get("timeout")))):
                return super().send(request, *args, **kwargs)
        attempt.observed = True
        return super().send(request, *args, **kwargs)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[Any, Any]:
        verify = self._shared(verify)
        host, attributes = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https" and verify is True:
            attributes["ssl_context"] = tls_context(self._bundle)
        return host, attributes

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401  as requests has it
        if self._shared(verify) is not True or cert:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def _shared(self, verify: bool | str) -> bool | str:
        """Return True for the environment's bundle: it is in the shared context already."""
        return True if verify == self._bundle else verify

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:  # noqa: ANN401  as requests has it
        response = requests.Response()  # without cookies and the guess at an encoding, which no call here needs
        response.status_code, response.reason = resp.status, resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.url, response.request, response.raw = str(req.url), req, resp
        return response

    def renew(self) -> None:
        """Start with empty pools; the locks of the old ones may be held."""
        self.proxy_manager = {}
        self.init_poolmanager(HOSTS, POOL_SIZE)


def _bound(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager


def _seconds(timeout: Any) -> tuple[float, float]:  # noqa: ANN401  whatever requests takes
    """Return the two limits that requests' `timeout` stands for."""
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return (
        float(connect) if isinstance(connect, int | float) else math.inf,
        float(read) if isinstance(read, int | float) else math.inf,
    )


class Session(requests.Session):
    """Connections to WeChat Pay; one may serve many clients and threads, which share what is known of a dead host.

    It honours the proxies and CA bundles of the environment, which it reads once for each host; it follows no redirect,
    stores no cookie and calls no hook: a request goes straight to its adapter. A forked process starts with connections
    of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())  # a sandbox, or a test
        self.failover = Failover()
        self._settings: dict[str, Any] = {}

    def merge_environment_settings(self, url: Any, *args: Any) -> Any:  # noqa: ANN401  as requests has it
        """Read the environment for a host once; for every call it would be a sixth of the call's CPU time."""
        host = "/".join(url.split("/", 3)[:3])
        if host not in self._settings:
            self._settings[host] = super().merge_environment_settings(url, *args)
        return self._settings[host]

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # noqa: ANN401  as requests has it
        """Hand the request to its host's adapter, and return the answer unread."""
        settings.pop("allow_redirects", None)
        return self.get_adapter(str(request.url)).send(request, **settings)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: what was signed for one host and path is not sent to another."""


# ---- fork ----

_adapters: WeakSet[_Adapter] = WeakSet()
_sockets: WeakSet[Any] = WeakSet()
_plain_sessions: WeakSet[requests.Session] = WeakSet()
_inherited: list[Any] = []


def keep_in_one_process(session: requests.Session) -> None:
    """Let a forked process begin with connections of its own over a session that is not `Session`."""
    _plain_sessions.add(session)


def _renew(adapter: Any) -> None:  # noqa: ANN401  an HTTPAdapter, whose stubs leave these out
    """Give an adapter empty pools, as if it had been pickled."""
    adapter.__setstate__(adapter.__getstate__())


def _after_fork() -> None:
    """Leave the parent's connections to the parent: close their descriptors here, without a word of TLS."""
    for connection in list(_sockets):
        descriptor = getattr(connection, "socket", connection).detach()
        if descriptor >= 0:
            os.close(descriptor)
    _sockets.clear()
    for adapter in list(_adapters):
        adapter.renew()
    for session in list(_plain_sessions):
        for plain in session.adapters.values():
            if isinstance(plain, HTTPAdapter) and not isinstance(plain, _Adapter):
                _inherited.append((plain.poolmanager, plain.proxy_manager))  # kept: closing takes locks, held perhaps
                _renew(plain)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
