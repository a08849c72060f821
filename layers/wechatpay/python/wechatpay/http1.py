"""One HTTP/1.1 connection of urllib3's within the limits of a try, and the answer that is read from it.

An answer within a try is read by http.client alone. urllib3's response around it takes as much CPU time again, and is
made where it is needed: for a session's other users, and for a body that is not simply as long as its one length says.

Each override names the source that it was read from: urllib3 2.8.0, and http.client of CPython 3.11 to 3.14.
`tests/wechatpay/test_overrides.py` fails where the installed sources differ.
"""

import socket
from http import client
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPHeaderDict
from urllib3 import HTTPResponse as Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from wechatpay import addresses, forks
from wechatpay.heads import PlainHeads
from wechatpay.limits import ANSWER_LIMIT, current_or_unlimited
from wechatpay.sockets import LimitedReader, ProxySocket, send_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLSocket

    from _typeshed import ReadableBuffer
    from urllib3 import HTTPConnectionPool

IDLE_LIMIT = 7.0
"""Seconds of wall clock after which an idle connection is not used again.

WeChat Pay closes it at 8 s, and a Lambda environment that was frozen in between does not notice.
"""

_SWITCHING_PROTOCOLS = 101
_LINE = 65_536  # bytes of a header line that are read at a time
_ENCODINGS = frozenset({"content-encoding", "transfer-encoding"})


class Answer(PlainHeads):
    """An answer that is read within the limits of a try, after all interim ones.

    `_pool` and `_connection` are where the connection goes at the end of the body, as those of urllib3's response.
    """

    _pool: "HTTPConnectionPool | None" = None
    """urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._make_request: sets it, `_connection` and `retries`."""
    _connection: "Connection | None" = None
    retries: object = None
    version_string = "HTTP/1.1"
    """urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._make_request: logs it."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        """Read from a `LimitedReader`. http.client, HTTPResponse.__init__: asks `sock` for `makefile("rb")` alone."""
        self._attempt = current_or_unlimited()
        super().__init__(LimitedReader(sock, self._attempt), debuglevel, method, url)  # type: ignore[arg-type]

    def _read_status(self) -> tuple[str, int, str]:
        """Skip every interim answer. http.client, HTTPResponse.begin: skips 100 alone and takes 103 for the answer."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # the stubs leave it out
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(_LINE).strip(b"\r\n"):
                pass

    def begin(self) -> None:
        """Read the head, then allow a body. http.client, HTTPResponse.begin: what follows a 101 is no HTTP."""
        super().begin()
        self._attempt.allowed += ANSWER_LIMIT
        if self.status == _SWITCHING_PROTOCOLS:
            self.will_close = True

    @property
    def is_plain(self) -> bool:
        """Whether the body is as long as its one `Content-Length` says, and neither encoded nor in chunks."""
        length = self.fields.get("content-length")
        is_counted = length is not None and length.value.isdecimal()  # two lengths in one text are no number
        return is_counted and self.fields.keys().isdisjoint(_ENCODINGS)

    @property
    def length_remaining(self) -> int | None:
        """Return the bytes that remain. urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._make_request: logs it."""
        return self.length

    def close(self) -> None:
        """Let go of the answer; one that was not read to its end takes its connection along.

        http.client, HTTPResponse.close.
        """
        if not self.isclosed() and self._connection is not None:
            self._connection.close()
        super().close()

    def _close_conn(self) -> None:
        """Hand the connection back. http.client, HTTPResponse.read and close: call this at the end of the body."""
        super()._close_conn()  # type: ignore[misc]  # the stubs leave it out
        pool, self._pool = self._pool, None
        if pool is not None:
            pool._put_conn(self._connection)


class Connection(HTTPConnection):
    """A connection that keeps the limits of a try, and records whether it has served before and since when it idles."""

    response_class = Answer
    """http.client, HTTPConnection.getresponse and _tunnel: make the answer."""

    _idle_since: float | None = None
    _outgoing: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Return False for a connection that idled too long, or where a fresh one is asked for.

        urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._get_conn: asks before it uses an idle connection.
        """
        attempt = current_or_unlimited()
        if self._idle_since is not None:
            idle = attempt.clock() - self._idle_since
            if attempt.fresh or not 0 <= idle < IDLE_LIMIT:
                return False
        return super().is_connected

    def connect(self) -> None:
        """Connect within the limit.

        urllib3 2.8.0, connection.py, HTTPConnection.connect and HTTPSConnection.connect: called by `request`, and for
        TLS and proxies by connectionpool.py, HTTPSConnectionPool._validate_conn and _prepare_proxy.
        """
        attempt = current_or_unlimited()
        attempt.begin_connecting()
        try:
            super().connect()
        except TimeoutError:  # the text of `ssl` names a line of its source
            raise attempt.overdue() from None
        forks.leave_to_parent(getattr(self.sock, "socket", self.sock))  # SSLTransport holds a socket

    def _new_conn(self) -> socket.socket:
        """Connect a socket within the limit.

        urllib3 2.8.0, connection.py, HTTPConnection._new_conn: has a time-out for each address and none for the name.
        """
        attempt = current_or_unlimited()
        try:
            connection = addresses.connect(
                self._dns_host.strip("[]"),
                int(self.port or self.default_port),
                attempt.remaining,
                family=allowed_gai_family(),
                source_address=self.source_address,
                options=self.socket_options or (),
            )
            connection.settimeout(attempt.remaining())  # a TLS handshake may follow
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError:
            raise ConnectTimeoutError(self, "timed out") from attempt.overdue()
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        except UnicodeError:
            raise LocationParseError(self.host) from None
        return connection

    def _tunnel(self) -> None:
        """Ask a proxy to connect, and limit the TLS handshake that follows.

        http.client, HTTPConnection._tunnel: calls `send` and makes a `response_class`, which keep the limit.
        """
        super()._tunnel()
        self.sock.settimeout(current_or_unlimited().remaining())

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed on as urllib3 calls it
        """Send a request in one piece: one system call, one packet, one TLS record.

        urllib3 2.8.0, connection.py, HTTPConnection.request: hands headers and body to `send` one after the other.
        """
        if self.sock is None:
            self.connect()
        self._outgoing = []
        try:
            super().request(*args, **kwargs)
        finally:
            outgoing, self._outgoing = self._outgoing, None
        self._send_in_one_piece(outgoing)

    def write(self, method: str, target: str, headers: "Mapping[str, str]", body: bytes | None) -> None:
        """Send a request whose headers are complete, as `request` does; http.client alone writes it.

        What urllib3 adds, for bodies that are no bytes and for headers to be left out, takes as long again.
        """
        http: client.HTTPConnection = super(HTTPConnection, self)  # type: ignore[assignment]
        self._outgoing = []
        try:
            http.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                http.putheader(name, value)
            http.endheaders(body)
        finally:
            outgoing, self._outgoing = self._outgoing, None
        self._send_in_one_piece(outgoing)

    def _send_in_one_piece(self, outgoing: list[bytes]) -> None:
        attempt = current_or_unlimited()
        attempt.begin_exchange(reused=self._idle_since is not None)
        send_all(self.sock, b"".join(outgoing), attempt)

    def send(self, data: "ReadableBuffer") -> None:  # type: ignore[override]  # http.client takes files too
        """Collect what `request` is to send; send what `_tunnel` asks for.

        http.client, HTTPConnection.send: the one place where http.client and urllib3 write to the socket.
        """
        if self._outgoing is None:
            send_all(self.sock, data, current_or_unlimited())
        else:
            self._outgoing.append(bytes(data))

    def getresponse(self) -> Response:  # type: ignore[override]  # as urllib3 has it
        """Read the head of the answer; the connection idles from here on, as far as can be seen.

        urllib3 2.8.0, connection.py, HTTPConnection.getresponse: makes a response of its own, which can decode.
        """
        attempt = current_or_unlimited()
        if attempt.observed:
            self._response_options = None
            answer: Answer = super(HTTPConnection, self).getresponse()  # type: ignore[assignment]  # `response_class`
            response: Answer | Response = answer if answer.is_plain else _decoding(answer)
        else:
            response = super().getresponse()
        self._idle_since = attempt.clock()
        return response  # type: ignore[return-value]  # an `Answer` has all that is asked of it

    def close(self) -> None:
        """Close; what is connected next has not served before. urllib3 2.8.0, connection.py, HTTPConnection.close."""
        self._idle_since = None
        super().close()


def _decoding(answer: HTTPResponse) -> Response:
    """Return urllib3's response around an answer, which finds the end of the body and decodes it."""
    return Response(
        answer,
        HTTPHeaderDict(answer.headers.items()),
        answer.status,
        answer.version,
        reason=answer.reason,
        preload_content=False,
        original_response=answer,
    )


class TLSConnection(Connection, HTTPSConnection):
    """A connection over TLS; `SSLSocket` limits its handshake as a whole."""

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> "SSLSocket":
        """Connect to a proxy over TLS; what is tunnelled through it is limited by `ProxySocket`.

        urllib3 2.8.0, connection.py, HTTPSConnection._connect_tls_proxy.
        """
        connection = super()._connect_tls_proxy(hostname, sock)
        return ProxySocket(connection) if self.proxy_is_tunneling else connection  # type: ignore[return-value]
