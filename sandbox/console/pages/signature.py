"""The hunt for a signature error: paste your own Authorization header and body, see what was signed, what differs."""

import json
import time
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError
from starlette.datastructures import UploadFile
from starlette.responses import Response

from sandbox.console.errors import ConsoleError
from sandbox.console.page import Page
from sandbox.console.visit import Visit
from sandbox.signature import HttpText, Hunt, KeyBook, hunt_answer, read_http
from sandbox.signature.key_book import WECHAT_PAY
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.signatures import hunt_pasted, with_signature

KEYS = "keys"  # topic: keys of merchants, or their secrets

SecretState = Literal["same", "other", "none"]
"""Whether a merchant's secret has its present key, an earlier one, or does not exist."""


@dataclass(frozen=True, slots=True)
class MerchantKeys:
    """A merchant: the serial of its present key at WeChat Pay, and what its secret holds."""

    mchid: str
    serial: str
    state: SecretState


def show(visit: Visit) -> Response:
    """Show the page."""
    return _page(visit, None)


def keys(visit: Visit) -> Response:
    """Show the merchants' keys alone."""
    return visit.show("signature_keys.html", merchants=_merchants(visit))


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


def rotate(visit: Visit) -> Response:
    """Give a merchant a new key at WeChat Pay; its secret keeps the old one."""
    merchant = visit.desk.wechat_pay.merchant(_mchid(visit))
    merchant.rotate_key()
    return visit.done("signature.rotated", topics=[KEYS], mchid=merchant.mchid, serial=merchant.serial_no)


def store(visit: Visit) -> Response:
    """Store a merchant's present key in its secret."""
    mchid = _mchid(visit)
    visit.desk.testbed.put_secret(mchid)
    return visit.done("signature.stored", topics=[KEYS], mchid=mchid)


def _page(visit: Visit, hunt: Hunt | None, call: Exchange | None = None) -> Response:
    if visit.is_partial:
        return visit.show("signature_result.html", hunt=hunt, call=call)
    return visit.show("signature.html", hunt=hunt, call=call, merchants=_merchants(visit), topics=(KEYS,))


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


def _mchid(visit: Visit) -> str:
    mchid = visit.field("mchid")
    if mchid not in visit.desk.wechat_pay.public_keys or mchid == WECHAT_PAY:
        raise ConsoleError("signature.no_merchant", mchid=mchid[:32])
    return mchid


def _merchants(visit: Visit) -> list[MerchantKeys]:
    owners = visit.desk.wechat_pay.public_keys
    return [
        MerchantKeys(mchid, serial := next(reversed(serials)), _state(visit, mchid, serial))
        for mchid, serials in owners.items()
        if mchid != WECHAT_PAY
    ]


def _state(visit: Visit, mchid: str, serial: str) -> SecretState:
    secrets = visit.desk.testbed.cloud.client("secretsmanager")
    try:
        secret = json.loads(secrets.get_secret_value(SecretId=f"wechatpay/{mchid}")["SecretString"])
    except ClientError:
        return "none"
    return "same" if secret.get("serial_no") == serial else "other"


PAGE = Page(
    "signature",
    "/signature",
    {"": show, "keys.html": keys},
    {"request": request, "answer": answer, "rotate": rotate, "store": store},
)
