"""A server that does exactly what its script says, byte by byte."""

import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sandbox.waiting import PATIENCE

type Behaviour = Callable[[socket.socket], bool]  # what a server does with a request; True keeps its connection


def say(data: bytes) -> Behaviour:
    """Answer with these bytes and keep the connection."""

    def behaviour(connection: socket.socket) -> bool:
        connection.sendall(data)
        return True

    return behaviour


OK = say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
MOVED = say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno")


def hang_up(connection: socket.socket) -> bool:
    """Close without a byte of an answer."""
    return False


def reset(connection: socket.socket) -> bool:
    """Reset the connection without a byte of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def begin_and_hang_up(connection: socket.socket) -> bool:
    """Send a part of the status line, then close."""
    connection.sendall(b"HTT")
    return False


def early_hints_and_hang_up(connection: socket.socket) -> bool:
    """Send an interim answer, then close."""
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    return False


def cut_off(connection: socket.socket) -> bool:
    """Close in the middle of the body."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    return False


def tunnel_to(target: "Server") -> Behaviour:
    """Be a proxy: answer CONNECT, then pass bytes on in both directions until one side closes."""

    def behaviour(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(target.address) as inner:
            peers = {connection: inner, inner: connection}
            while True:
                pending = isinstance(connection, ssl.SSLSocket) and connection.pending()
                for source in [connection] if pending else select.select([*peers], [], [], PATIENCE)[0]:
                    data = source.recv(65_536)
                    if not data:
                        return False
                    peers[source].sendall(data)

    return behaviour


def stay_silent(connection: socket.socket) -> bool:
    """Send nothing until the client has given up."""
    connection.settimeout(PATIENCE)
    with suppress(OSError):
        connection.recv(1)
    return False


class Drip:
    """Send `head`, then piece after piece, each in time, the whole in a minute; end when the client closes."""

    PIECES = 1200

    def __init__(self, head: bytes, piece: bytes = b".", *, pause: float = 0.05) -> None:
        self.head, self.piece, self.pause = head, piece, pause
        self.sent = 0
        self.client_has_closed = threading.Event()

    def __call__(self, connection: socket.socket) -> bool:
        """Drip over a connection."""
        try:
            connection.sendall(self.head)
            for _ in range(self.PIECES):
                connection.sendall(self.piece)
                self.sent += 1
                time.sleep(self.pause)  # a drip is slow by nature
        except OSError:
            self.client_has_closed.set()
        return False

    @property
    def was_cut_short(self) -> bool:
        """Whether the client has closed long before the end."""
        return self.client_has_closed.wait(PATIENCE) and self.sent < self.PIECES / 2


class Server:
    """One listener; each request it reads is answered by the next behaviour of the script."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.script: list[Behaviour] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.address[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            served = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            self.connections += 1
            with served:
                while request := _request(served):
                    self.requests.append(request)
                    if not self.script.pop(0)(served):
                        return

    def close(self) -> None:
        """Refuse from now on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    """Read one request, its body as long as its Content-Length says; empty where the client has closed."""
    request = b""
    while True:
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return request
        part = connection.recv(65_536)
        if not part:
            return b""
        request += part


def loopback_certificate(directory: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    path = directory / "host.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    return path
