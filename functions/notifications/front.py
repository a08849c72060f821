"""What a front hands over: an HTTP API and a Function URL send the same event, payload format 2.0. Pure.

docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html and
docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html. The merchant is the path, so that the keys are known before
anything of the body is read.
"""

import base64
import re
from collections.abc import Mapping
from typing import NamedTuple

from notifications.endings import Reason, Refused
from wechatpay.verification import WINDOW

BODY_LIMIT = 65_536  # bytes; a notification has some 3,000
SIGNED_BY = ("wechatpay-serial", "wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature")
"""Headers without which nothing is verified (doc 4013053249)."""

_PATH = re.compile(r"/([0-9]{1,32})")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Request(NamedTuple):
    """A request as the front received it: header names in lower case, the body's raw bytes.

    `arrived_at` is Unix seconds by the front's clock; None if it does not say.
    """

    mchid: str
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float | None = None


def read(event: object) -> Request | Refused:
    """Return the request in a front's event, or why it is refused; nothing is trusted yet."""
    if not isinstance(event, Mapping):
        return Refused(Reason.UNREADABLE_REQUEST)
    context = _mapping(event.get("requestContext"))
    http = _mapping(context.get("http"))
    path = _PATH.fullmatch(_text(event.get("rawPath")))
    if not http:
        return Refused(Reason.UNREADABLE_REQUEST)
    if path is None:
        return Refused(Reason.WRONG_PATH)
    if http.get("method") != "POST":
        return Refused(Reason.WRONG_METHOD, path[1])
    body = _body(event)
    if isinstance(body, Reason):
        return Refused(body, path[1])
    return Request(path[1], _headers(event.get("headers")), body, _seconds(context.get("timeEpoch")))


def objection(request: Request, now: float) -> Reason | None:
    """Return why a request cannot verify, whatever the keys are; so that no key is fetched for it."""
    if any(name not in request.headers for name in SIGNED_BY) or not request.body:
        return Reason.UNSIGNED
    timestamp = request.headers["wechatpay-timestamp"]
    if not _SECONDS.fullmatch(timestamp):
        return Reason.UNSIGNED
    return Reason.STALE if abs(now - int(timestamp)) > WINDOW else None


def _body(event: Mapping[str, object]) -> bytes | Reason:
    """Return the raw bytes of the body; both fronts send base64 if it is not text, an HTTP API also for text."""
    text = _text(event.get("body"))
    is_base64 = event.get("isBase64Encoded") is True
    if len(text) > (BODY_LIMIT * 4 // 3 + 4 if is_base64 else BODY_LIMIT):
        return Reason.BODY_TOO_LARGE
    try:
        body = base64.b64decode(text, validate=True) if is_base64 else text.encode()
    except ValueError:  # not base64, or a lone surrogate
        return Reason.UNREADABLE_REQUEST
    return Reason.BODY_TOO_LARGE if len(body) > BODY_LIMIT else body


def _headers(value: object) -> Mapping[str, str]:
    return {str(name).lower(): _text(text) for name, text in _mapping(value).items() if _text(text)}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(milliseconds: object) -> float | None:
    if not isinstance(milliseconds, int) or not 0 < milliseconds < 10**15:
        return None
    return milliseconds / 1000
