"""The bytes of an HTTP/1.1 answer: head, interim answers, chunks and trailers (RFC 9112)."""

from collections.abc import Iterator, Mapping
from http.client import responses

from sandbox.wechat_pay.draft import Delivery, Interim
from sandbox.wechat_pay.message import SimulatedReply

CHUNK = 4096  # bytes of a chunk that is not dripped


def head(reply: SimulatedReply, *, chunked: bool) -> bytes:
    """Return status line and headers, as they stand on the wire."""
    headers = dict(reply.headers)
    if reply.status != 204:
        headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(reply.body))}
    return _lines(f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", headers)


def interim_answers(interim: Interim) -> Iterator[bytes]:
    """Yield the interim answers one by one; without end where the fault says so."""
    headers = {"Link": "</help>; rel=preload"} | ({"X-Padding": "x" * interim.size} if interim.size else {})
    answer = _lines(f"HTTP/1.1 {interim.status} {_phrase(interim.status)}", headers)
    sent = 0
    while interim.endless or sent < interim.count:
        sent += 1
        yield answer


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    """Yield a body as chunks of so many bytes."""
    for start in range(0, len(body), size):
        part = body[start : start + size]
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"


def last_chunk(delivery: Delivery) -> bytes:
    """Return the end of a chunked body, with its trailers."""
    return _lines("0", delivery.trailers)


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _phrase(status: int) -> str:
    return responses.get(status, "Unassigned")
