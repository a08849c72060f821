"""Hunt for the error in a request's signature (docs 4012365336, 4012072670)."""

from ops.findings import ok
from sandbox.signature.difference import first_difference
from sandbox.signature.explanation import Hunt, Texts, combine, explain
from sandbox.signature.header import Header, examine_parts, parse_header
from sandbox.signature.key_book import KeyBook
from sandbox.signature.layouts import Layout, layouts, right
from sandbox.signature.mistakes import bodies, methods, targets, timestamps


def hunt_request(
    authorization: str,
    book: KeyBook,
    now: float,
    *,
    method: str = "",
    target: str = "",
    body: bytes | None = None,
    pasted: bytes | None = None,
    hosts: tuple[str, ...] = (),
) -> Hunt:
    """Return what is wrong with a request's signature.

    Args:
        authorization: the header's value, as the client sent it.
        book: the keys that may have signed.
        now: Unix seconds when the request arrived.
        method: the method of the request line; empty if it is not known.
        target: path and query, or the whole URL; empty if it is not known.
        body: the body that arrived; by default the pasted one.
        pasted: the body that the client's developer means to have signed.
        hosts: host names that the client may have put into the URL.
    """
    header = parse_header(authorization)
    received = body if body is not None else pasted if pasted is not None else b""
    method = method.upper() or ("POST" if received else "GET")
    target, host = _on_the_wire(target)
    texts = _texts(header, method, target, received, pasted, (*hosts, host) if host else hosts) if target else None
    form = header.defects or (ok("header", "all parts are there, in the right form"),)
    explanation = explain(header.part("signature"), book.present(header.part("mchid")), book, texts)
    return Hunt(
        (*form, *examine_parts(header, book, now), *explanation.findings),
        text_of(header, method, target, received),
        explanation.signed_text,
        first_difference(received, pasted) if pasted is not None else None,
    )


def text_of(header: Header, method: str, target: str, body: bytes) -> bytes:
    """Return the text that should have been signed: method, path and query, timestamp, nonce, body."""
    lines = (method, target, header.part("timestamp"), header.part("nonce_str"))
    return right((*(line.encode() for line in lines), body))


def _on_the_wire(url: str) -> tuple[str, str]:
    """Return path and query of a URL without its fragment, and its host; empty if it names none."""
    if "://" not in url:
        return url, ""
    host, slash, path = url.partition("://")[2].partition("/")
    return f"{slash}{path.partition('#')[0]}" or "/", host


def _texts(
    header: Header, method: str, target: str, received: bytes, pasted: bytes | None, hosts: tuple[str, ...]
) -> Texts:
    nonce = header.part("nonce_str").encode()

    def write(layout: Layout, method: str, target: str, timestamp: str, body: bytes) -> bytes:
        return layout((method.encode(), target.encode("utf-8", "replace"), timestamp.encode(), nonce, body))

    parts = (
        list(layouts(received)),
        list(methods(method)),
        list(targets(target, hosts)),
        list(timestamps(header.part("timestamp"))),
        list(bodies(received, pasted)),
    )
    return combine(parts, write)
