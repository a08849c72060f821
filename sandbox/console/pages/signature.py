"""The hunt for a signature error: paste your own Authorization header and body, see what was signed, what differs."""

import time

from starlette.datastructures import UploadFile
from starlette.responses import Response

from sandbox.console.errors import ConsoleError
from sandbox.console.page import Page
from sandbox.console.visit import Visit
from sandbox.signature import HttpText, Hunt, KeyBook, hunt_answer, read_http
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.signatures import hunt_pasted, with_signature


def show(visit: Visit) -> Response:
    """Show the page."""
    return _page(visit, None)


def request(visit: Visit) -> Response:
    """Hunt for the error in a request's signature; the call that arrived with it fills what was not pasted."""
    text = read_http(_lines(visit, "authorization"))
    if not text.header("Authorization"):
        raise ConsoleError("signature.no_authorization")
    call = with_signature(map(Exchange.of, visit.desk.wechat_pay.calls), text.header("Authorization"))
    pasted = _body(visit, call.request_body if call else b"")
    return _page(visit, _hunt(visit, text, call, pasted if pasted is not None else text.body), call)


def answer(visit: Visit) -> Response:
    """Hunt for the error in an answer's or a notification's signature."""
    text = read_http(_lines(visit, "headers"))
    body = _body(visit, b"")
    book = KeyBook.of(visit.desk.wechat_pay.public_keys)
    return _page(visit, hunt_answer(text.headers, body if body is not None else text.body or b"", book, time.time()))


def _page(visit: Visit, hunt: Hunt | None, call: Exchange | None = None) -> Response:
    if visit.is_partial:
        return visit.show("signature_result.html", hunt=hunt, call=call)
    return visit.show("signature.html", hunt=hunt, call=call)


def _hunt(visit: Visit, text: HttpText, call: Exchange | None, pasted: bytes | None) -> Hunt:
    book = KeyBook.of(visit.desk.wechat_pay.public_keys)
    method, url = visit.field("method"), visit.field("url")
    return hunt_pasted(text, book, time.time(), call, method=method, url=url, pasted=pasted)


# ---- the form --------------------------------------------------------------------------------------------------------


def _lines(visit: Visit, name: str) -> bytes:
    """Return a text area's content with the line ends that were pasted: a browser sends CRLF (HTML standard, 4.10)."""
    value = visit.form.get(name, "")
    return value.replace("\r\n", "\n").encode() if isinstance(value, str) else b""


def _body(visit: Visit, received: bytes) -> bytes | None:
    """Return the body, of a file byte by byte; None if there is none. A text area cannot tell CRLF from LF."""
    upload = visit.form.get("file")
    if isinstance(upload, UploadFile) and upload.filename:
        return upload.file.read()
    text = _lines(visit, "body")
    if b"\r\n" in received:
        text = text.replace(b"\n", b"\r\n")
    return text or None


PAGE: Page[Visit] = Page("signature", "/signature", {"": show}, {"request": request, "answer": answer})
