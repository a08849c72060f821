"""Socket operations within the limits of a try: each waits only for what remains, and every received byte counts.

http.client and urllib3 give each single operation a time-out. A server that sends one byte at a time could hold a call
for ever that way, and so could one that never stops sending.
"""

import io
import socket
import ssl
from typing import TYPE_CHECKING, Any

from wechatpay.limits import LATE_LIMIT, Try, current_or_unlimited

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class LimitedReader(io.RawIOBase):
    """The bytes of one answer, read from a connection within the limits of a try.

    `connection` is a socket, an SSLSocket or urllib3's SSLTransport. Counted are the bytes of CONNECT's answer, interim
    answers, headers, body, chunk sizes and trailers. Reading raises OverdueError or TooLongError.
    """

    def __init__(self, connection: socket.socket, attempt: Try) -> None:
        super().__init__()
        self._connection = connection
        self._attempt = attempt
        self._late = LATE_LIMIT
        self._reference = connection.makefile("rb", 0)  # keeps the socket open while the answer is read

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that `http.client.HTTPResponse.__init__` asks its socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True, which `io.BufferedReader` requires."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Receive into `buffer`, and count; for this `io.BufferedReader` calls."""
        attempt = self._attempt
        timeout = attempt.remaining_to_read()
        if timeout == 0.0 and self._late <= 0:
            raise attempt.overdue()
        try:
            self._connection.settimeout(timeout)
            size = self._connection.recv_into(buffer)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise attempt.overdue() from None
        if timeout == 0.0:
            self._late -= size
        attempt.count(size)
        return size

    def close(self) -> None:
        """Let go of the socket."""
        if not self.closed:
            self._reference.close()
        super().close()


class ProxySocket:
    """A TLS connection to a proxy, as urllib3's SSLTransport uses it: TLS in TLS takes many small operations.

    urllib3 2.8.0, util/ssltransport.py, SSLTransport._ssl_io_loop calls `recv` and `sendall`, neither of them with a
    time-out.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.__dict__["_inner"] = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  any method of a socket
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: object) -> None:  # SSLTransport.makefile counts in `_io_refs`
        setattr(self._inner, name, value)

    def recv(self, size: int) -> bytes:
        """Receive within what remains."""
        self._inner.settimeout(current_or_unlimited().remaining())
        data: bytes = self._inner.recv(size)
        return data

    def sendall(self, data: "ReadableBuffer") -> None:
        """Send within what remains."""
        send_all(self._inner, data, current_or_unlimited())


def send_all(connection: socket.socket, data: "ReadableBuffer", attempt: Try) -> None:
    """Send all of `data` within what remains; raise OverdueError otherwise.

    `SSLSocket.sendall` would give each piece the whole time-out.
    """
    view = memoryview(data)
    try:
        while view:
            connection.settimeout(attempt.remaining())
            view = view[connection.send(view) :]
    except TimeoutError:
        raise attempt.overdue() from None
