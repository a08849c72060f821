"""What a program asks the proxy for: the name of one of WeChat Pay's hosts, or a refusal in one line. Pure."""

import re
from dataclasses import dataclass

from sandbox.wechat_pay.proxy_authority import NAMES

HEAD_LIMIT = 16_384  # bytes of a request's head
HTTPS = 443
SERVED = f"{', '.join(NAMES)} on port {HTTPS}"

_FIRST_LINE = re.compile(r"([A-Z]{1,20}) (\S{1,2000}) HTTP/1\.[01]")


@dataclass(frozen=True, slots=True)
class ProxyRefusal:
    """An answer of the proxy itself: one line that names the cause and the remedy."""

    status: int
    phrase: str
    line: str

    def encode(self) -> bytes:
        """Return the answer's bytes; the line is the reason phrase too, which many clients print and no body."""
        body = f"{self.line}\n".encode()
        head = f"HTTP/1.1 {self.status} {self.phrase}: {self.line}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def forbidden(line: str) -> ProxyRefusal:
    """Make a 403."""
    return ProxyRefusal(403, "Forbidden", line)


def unavailable(line: str) -> ProxyRefusal:
    """Make a 503."""
    return ProxyRefusal(503, "Service Unavailable", line)


NOT_HTTP = ProxyRefusal(400, "Bad Request", f"this is an HTTP proxy: send CONNECT for {SERVED}")
TOO_LONG = ProxyRefusal(431, "Request Header Fields Too Large", f"send a head of at most {HEAD_LIMIT} bytes")


def read_name(head: bytes) -> str | ProxyRefusal:
    """Return the host name that a CONNECT asks for, or why the request is refused."""
    first = _FIRST_LINE.fullmatch(head.partition(b"\r\n")[0].decode("ascii", "replace"))
    if first is None:
        return NOT_HTTP
    method, target = first[1], _printable(first[2])
    if method != "CONNECT":
        return forbidden(
            f"this proxy serves CONNECT for {SERVED} only, not {method} {target}: "
            "set HTTPS_PROXY and not HTTP_PROXY, and let the client open a tunnel"
        )
    name, _, port = first[2].lower().rpartition(":")
    if name not in NAMES or port != str(HTTPS):
        return forbidden(f"this proxy serves {SERVED} only, not {target}: name other hosts in NO_PROXY")
    return name


def _printable(target: str) -> str:
    """Return a target as it may stand in a header: printable ASCII, without a query, 80 characters at most."""
    return re.sub(r"[^!-~]", "?", target.partition("?")[0])[:80]
