"""HTTP/1.1 with keep-alive on loopback, raw enough to lose an answer on purpose, or to deliver it byte by byte.

No browser is let in: WeChat Pay's hosts are called by programs, and so is the control port.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.browser_guard import Guard
from sandbox.wechat_pay.answers import Reply
from sandbox.wechat_pay.faults import Delivery, Interim, Wire
from sandbox.wechat_pay.gate import Request

SILENCE = 60.0  # seconds that a silent server keeps a caller waiting at most


@dataclass(frozen=True, slots=True)
class Response:
    """What goes on the wire, how much of it, and at what pace."""

    reply: Reply
    wire: Wire = "whole"
    delivery: Delivery = field(default_factory=Delivery)


type Application = Callable[[Request, str], Response]


@dataclass(slots=True)
class Host:
    """One port: a host of WeChat Pay, or the control port. It can stop listening and come back on the same port."""

    name: str
    application: Application
    port: int = 0
    address: str = "127.0.0.1"
    closing: threading.Event = field(default_factory=threading.Event)
    _server: "_Server | None" = None

    def open(self) -> None:
        """Listen; on the port of the first time."""
        if self._server is None:
            self.closing.clear()
            self._server = _Server(self)
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
    def url(self) -> str:
        """The host's address."""
        return f"http://{self.address}:{self.port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: Host) -> None:
        self.host = host
        self._open: set[socket.socket] = set()
        super().__init__((host.address, host.port), _Handler)
        self.guard = Guard(host.address, self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  as socketserver has it
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """A caller that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75
    server: _Server

    def _serve(self) -> None:
        if objection := self.server.guard.objection(self.headers.items()):
            self.close_connection = True
            self._send(_head(reply := Reply(403, f"{objection}\n".encode()), chunked=False) + reply.body)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        response = self.server.host.application(request, self.server.host.name)
        if response.wire in {"whole", "half"}:
            self._write(response.reply, response.delivery, half=response.wire == "half")
        elif response.wire == "silence":
            self.server.host.closing.wait(SILENCE)
        if response.wire != "whole":
            self._reset()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  as http.server has it

    def _write(self, reply: Reply, delivery: Delivery, *, half: bool) -> None:
        for interim in _interim_answers(delivery.interim):
            self._send(interim)
            self._wait(delivery.interim.seconds)
        body = reply.body[: len(reply.body) // 2] if half else reply.body
        self._send(_head(reply, chunked=delivery.chunked), delivery.head_pace)
        if delivery.chunked:
            for chunk in _chunks(body, 1 if delivery.body_pace else CHUNK):
                self._send(chunk)
                self._wait(delivery.body_pace)
            self._send(_last_chunk(delivery))
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
        """Let time pass; raise ConnectionAbortedError as soon as the host closes."""
        if seconds > 0 and self.server.host.closing.wait(seconds):
            raise ConnectionAbortedError

    def finish(self) -> None:
        """Close both files also where the caller left before it had read everything."""
        with suppress(OSError):
            super().finish()
        self.rfile.close()

    def _reset(self) -> None:
        """End the connection as a crash would."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: `Simulator.calls` is the log."""


CHUNK = 4096  # bytes of a chunk that is not dripped


def _head(reply: Reply, *, chunked: bool) -> bytes:
    """Status line and headers, as they stand on the wire."""
    headers = dict(reply.headers)
    if reply.status != 204:
        headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(reply.body))}
    return _lines(f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", headers)


def _interim_answers(interim: Interim) -> Iterator[bytes]:
    """The interim answers one by one; without end where that is asked for."""
    headers = {"Link": "</help>; rel=preload"} | ({"X-Padding": "x" * interim.size} if interim.size else {})
    answer = _lines(f"HTTP/1.1 {interim.status} {_phrase(interim.status)}", headers)
    sent = 0
    while interim.endless or sent < interim.count:
        sent += 1
        yield answer


def _chunks(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        part = body[start : start + size]
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"


def _last_chunk(delivery: Delivery) -> bytes:
    """The end of a chunked body, with its trailers."""
    return _lines("0", delivery.trailers)


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _phrase(status: int) -> str:
    return responses.get(status, "Unassigned")
