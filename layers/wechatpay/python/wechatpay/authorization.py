"""Sign a prepared request: its own bytes, its own path, at the moment it leaves."""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable

from requests import PreparedRequest
from requests.auth import AuthBase

from wechatpay import message
from wechatpay.merchant import Merchant

logger = logging.getLogger("wechatpay")


def random_nonce() -> str:
    """Return 32 random hexadecimal digits."""
    return secrets.token_hex(16).upper()


class Authorization(AuthBase):
    """Puts the `Authorization` header on a request (doc 4012365336); works with any `requests.Session`.

    Calling it again signs again, with a fresh timestamp and nonce. At level DEBUG it logs what it signed, to be
    compared with the input of WeChat Pay's signature tool: of target and body the length and the SHA-256 alone.
    """

    def __init__(
        self, merchant: Merchant, *, clock: Callable[[], float] = time.time, nonce: Callable[[], str] = random_nonce
    ) -> None:
        self._merchant = merchant
        self._clock = clock
        self._nonce = nonce

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign the request's method, path with query, and body as they stand; a body of unknown bytes is refused."""
        method, target, body = str(request.method), request.path_url, _body(request)
        timestamp, nonce = str(int(self._clock())), self._nonce()
        signature = self._merchant.sign(message.request_message(method, target, timestamp, nonce, body))
        request.headers["Authorization"] = message.authorization(
            self._merchant.mchid, self._merchant.serial_no, timestamp, nonce, signature
        )
        if logger.isEnabledFor(logging.DEBUG):
            lines = method, _digest(target.encode()), timestamp, nonce, _digest(body)
            logger.debug("%r signed: method %s; target %s; timestamp %s; nonce %s; body %s", self._merchant, *lines)
        return request

    def __repr__(self) -> str:
        return f"Authorization({self._merchant!r})"


def _body(request: PreparedRequest) -> bytes:
    body = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, bytes):
        raise TypeError("only a body of bytes can be signed, not a stream")
    return body


def _digest(line: bytes) -> str:
    return f"of {len(line)} bytes, sha256 {hashlib.sha256(line).hexdigest()}"
