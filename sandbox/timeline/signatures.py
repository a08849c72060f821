"""The hunt for the error in a signature, with the call that has arrived with it: its own report has what was read."""

from collections.abc import Iterable

from sandbox.signature import HttpText, Hunt, KeyBook, hunt_request
from sandbox.signature.header import parse_header
from sandbox.timeline.exchange import Exchange


def hunt_call(call: Exchange, book: KeyBook) -> Hunt:
    """Hunt in a call as it arrived; one that WeChat Pay has verified is judged by the key of that time."""
    authorization = call.header("Authorization")
    own_book = book.at_serial(parse_header(authorization).part("serial_no")) if call.is_verified else book
    hosts = tuple(filter(None, (call.header("Host"),)))
    return hunt_request(
        authorization, own_book, call.at, method=call.method, target=call.target, body=call.request_body, hosts=hosts
    )


def hunt_pasted(
    text: HttpText,
    book: KeyBook,
    now: float,
    call: Exchange | None,
    *,
    method: str = "",
    url: str = "",
    pasted: bytes | None = None,
) -> Hunt:
    """Hunt in a request that a person has; the call that arrived with its signature fills in what is not there."""
    return hunt_request(
        text.header("Authorization"),
        book,
        call.at if call else now,
        method=call.method if call else text.method or method,
        target=call.target if call else text.target or url,
        body=call.request_body if call else text.body,
        pasted=pasted,
        hosts=tuple(filter(None, (text.header("Host"), call.header("Host") if call else ""))),
    )


def with_signature(calls: Iterable[Exchange], authorization: str) -> Exchange | None:
    """Return the newest call with the signature of this header; None if none has it."""
    signature = parse_header(authorization).part("signature")
    same = [
        call
        for call in calls
        if signature and parse_header(call.header("Authorization")).part("signature") == signature
    ]
    return same[-1] if same else None
