"""HTTP/1.1 with keep-alive on loopback, low enough to lose an answer on purpose, or to deliver it byte by byte.

Requests of browsers are refused: WeChat Pay's hosts are called by programs, and so is the control port.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.browser_guard import Guard
from sandbox.wechat_pay import encoding, incoming
from sandbox.wechat_pay.draft import Delivery, Response
from sandbox.wechat_pay.message import Framing, Request, SimulatedReply, joined

SILENCE = 60.0  # seconds that a silent server keeps a caller waiting at most
_PATIENCE = 5.0  # seconds without a further byte of a body that was refused
_DISCARDED = 64 << 20  # bytes of such a body that are read at most


type Application = Callable[[Request, str], Response]
type _Socket = socket.socket | tuple[bytes, socket.socket]  # as socketserver has it


@dataclass(slots=True)
class Host:
    """One port: a host of WeChat Pay, or the control port. It can stop listening and come back on the same port."""

    name: str
    application: Application
    port: int = 0
    address: str = "127.0.0.1"
    closing: threading.Event = field(default_factory=threading.Event)
    _server: "_HostServer | None" = None

    def open(self) -> None:
        """Listen, on the same port as the first time."""
        if self._server is None:
            self.closing.clear()
            self._server = _HostServer(self)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and reset those that are open."""
        server, self._server = self._server, None
        if server is not None:
            self.closing.set()
            server.shutdown()
            server.server_close()
            server.drop_connections()

    @property
    def is_open(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None

    def serve(self, connection: socket.socket, client_address: object, guard: Guard) -> None:
        """Answer the requests of a connection that another listener has accepted, as on one of the host's own.

        `guard` knows the name under which the connection was made. Returns when either side has ended it.
        """
        if (server := self._server) is not None:
            server.serve(connection, client_address, guard)

    @property
    def url(self) -> str:
        """The host's address."""
        return f"http://{self.address}:{self.port}"


class _HostServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: Host) -> None:
        self.host = host
        self._open: set[_Socket] = set()
        super().__init__((host.address, host.port), _HostHandler)
        self.guard = Guard(host.address, self.server_address[1])

    def process_request(self, request: _Socket, client_address: object) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Socket) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def serve(self, connection: socket.socket, client_address: object, guard: Guard) -> None:
        self._open.add(connection)
        try:
            _HostHandler(connection, client_address, self, guard)
        finally:
            self._open.discard(connection)

    def drop_connections(self) -> None:
        for connection in list(self._open):
            if isinstance(connection, socket.socket):
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # below TLS, where there is any

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a caller may close its connection."""


class _HostHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75
    server: _HostServer

    def __init__(
        self, connection: _Socket, client_address: object, server: _HostServer, guard: Guard | None = None
    ) -> None:
        self._guard = guard or server.guard
        super().__init__(connection, client_address, server)  # answers every request of the connection

    def _serve(self) -> None:
        if objection := self._guard.objection(self.headers.items()):
            self.close_connection = True
            reply = SimulatedReply(403, f"{objection}\n".encode())
            self._send(encoding.head(reply, chunked=False) + reply.body)
            return
        request = self._request()
        response = self.server.host.application(request, self.server.host.name)
        self._wait(response.delivery.delay)
        if response.wire in {"whole", "half"}:
            self._write(self._as_sent(response.reply), response.delivery, half=response.wire == "half")
        elif response.wire == "silence":
            self.server.host.closing.wait(SILENCE)
        if response.wire != "whole":
            self._reset()
        elif request.framing != "right":
            self._discard()

    def _request(self) -> Request:
        """Read the request with its body; the connection ends after one whose body does not end by itself."""
        headers, body = joined(self.headers.items()), b""
        framing: Framing = "right"
        try:
            frame = incoming.framing(self.headers.items())
            self.close_connection |= not frame.stated and self.command not in {"GET", "HEAD"}
            self._continue()
            body = incoming.read_body(self.rfile, frame)
        except incoming.UnreadableError as error:
            self.close_connection = True
            framing = "too large" if isinstance(error, incoming.TooLargeError) else "wrong"
        return Request(self.command, self.path, headers, body, framing)

    def _as_sent(self, reply: SimulatedReply) -> SimulatedReply:
        """Return the reply as this connection sends it: to HEAD without its body, before its end with a notice."""
        reply = replace(reply, body=b"") if self.command == "HEAD" else reply
        return reply.with_headers(Connection="close") if self.close_connection else reply

    def _discard(self) -> None:
        """Read the rest of a body that was refused: a connection that ends with unread bytes loses its answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_PATIENCE)
            unread = _DISCARDED
            while unread > 0 and (data := self.connection.recv(65_536)):
                unread -= len(data)

    def handle_expect_100(self) -> bool:
        """Wait with the interim answer until the body is going to be read."""
        return True

    def _continue(self) -> None:
        """Ask for the body of a caller that waits for it (RFC 9110, 10.1.1)."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method, `do_GET` as well as `do_TRACE`: WeChat Pay itself says which a path has."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _write(self, reply: SimulatedReply, delivery: Delivery, *, half: bool) -> None:
        for interim in encoding.interim_answers(delivery.interim):
            self._send(interim)
            self._wait(delivery.interim.seconds)
        body = reply.body[: len(reply.body) // 2] if half else reply.body
        self._send(encoding.head(reply, chunked=delivery.chunked), delivery.head_pace)
        if delivery.chunked:
            for chunk in encoding.chunks(body, 1 if delivery.body_pace else encoding.CHUNK):
                self._send(chunk)
                self._wait(delivery.body_pace)
            self._send(encoding.last_chunk(delivery))
        else:
            self._send(body, delivery.body_pace)

    def _send(self, data: bytes, pace: float = 0.0) -> None:
        """Write all at once, or one byte each `pace` seconds."""
        if not pace:
            self.wfile.write(data)
            self.wfile.flush()
            return
        for position in range(len(data)):
            self.wfile.write(data[position : position + 1])
            self.wfile.flush()
            self._wait(pace)

    def _wait(self, seconds: float) -> None:
        """Wait; raise ConnectionAbortedError as soon as the host closes."""
        if seconds > 0 and self.server.host.closing.wait(seconds):
            raise ConnectionAbortedError

    def finish(self) -> None:
        """Close both files, also where the caller closed the connection before it had read everything."""
        with suppress(OSError):
            super().finish()
        self.rfile.close()

    def _reset(self) -> None:
        """Reset the connection, as a crash does."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `Simulator.calls` is the log."""
