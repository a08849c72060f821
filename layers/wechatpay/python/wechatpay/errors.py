"""Every error of this library, one family, named by what happened to the conversation with WeChat Pay.

WeChatPayError                  root: `except WeChatPayError` catches all of them
├── UnansweredError             no whole answer: refused, reset, silent or cut off; `sent` says whether to ask first
├── RefusedError                any answer but 2xx, redirects included: WeChat Pay's own words are on it
├── UntrustedError              a 2xx or a notification that does not verify: the outcome is unknown
├── MalformedError              verified, but not what the documentation promises
├── UndecryptableError          a ciphertext that none of our keys opens
└── InvalidKeyError             a key, serial or certificate that cannot be used (a ValueError as well)

A call that is wrong in itself raises Python's own TypeError (missing or surplus names) or ValueError (bad values)
before anything is sent. No error text ever holds a key, a signature or a body; a path is shown as the caller wrote it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from wechatpay.text import printable

Reason = Literal["unsigned", "signature_type", "timestamp", "unknown_serial", "stale", "probe", "signature"]
"""Why an answer is not trusted.

- `unsigned`: a `Wechatpay-*` header is missing.
- `signature_type`: signed in a way we do not verify, such as `WECHATPAY2-SM2-WITH-SM3`.
- `timestamp`: the timestamp is not a number.
- `unknown_serial`: signed with a key that we do not hold.
- `stale`: the timestamp lies more than 300 s from our clock.
- `probe`: a `WECHATPAY/SIGNTEST/` signature, wrong on purpose; WeChat Pay tests whether we look (doc 4013053249).
- `signature`: the signature is not that of these bytes.
"""


class WeChatPayError(Exception):
    """Root of the family; `method` and `path` (without query) tell the call, where there was one."""

    def __init__(self, text: str, *, method: str = "", path: str = "") -> None:
        super().__init__(text)
        self.method = method
        self.path = path

    def __str__(self) -> str:
        text = str(self.args[0])
        return f"{self.method} {self.path}: {text}" if self.method else text

    def __reduce__(self) -> tuple[Callable[..., "WeChatPayError"], tuple[Any, ...]]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[WeChatPayError], args: tuple[Any, ...], evidence: dict[str, Any]) -> WeChatPayError:
    """Rebuild a pickled error: the constructors take keywords, which pickling by `args` alone would lose."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(evidence)
    return error


class UnansweredError(WeChatPayError):
    """No whole answer arrived.

    `sent`: whether the request, or an earlier try of it, may have reached WeChat Pay. False is a promise: it did not,
    and the call may be repeated as it is. True asks for a query before anything is repeated.
    """

    def __init__(self, text: str, *, sent: bool, method: str = "", path: str = "") -> None:
        super().__init__(text, method=method, path=path)
        self.sent = sent


class RefusedError(WeChatPayError):
    """WeChat Pay answered with something else than 2xx (doc 4012081709 for the shape of the body).

    `status`, `code`, `message` and `request_id` are WeChat Pay's, empty where it sent none; `headers` are the answer's.
    `field`, `location` and `issue` are what its `detail` says about the parameter at fault. All text is cleaned and
    bounded (`wechatpay.text`); `detail` itself stays as it came and holds the parameter's value, which no text repeats.
    `verified` is True (signed by WeChat Pay), False (the signature is wrong) or None (unsigned, as many errors are):
    only a verified refusal proves anything about the order.
    """

    def __init__(  # noqa: PLR0913  the whole answer is evidence
        self,
        *,
        status: int,
        code: str = "",
        message: str = "",
        detail: object = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        verified: bool | None = None,
        method: str = "",
        path: str = "",
    ) -> None:
        self.status = status
        self.code = printable(code, 64)
        self.message = printable(message)
        self.detail = detail
        self.field = _detail(detail, "field")
        self.location = _detail(detail, "location")
        self.issue = _detail(detail, "issue")
        self.request_id = printable(request_id, 128)
        self.headers: Mapping[str, str] = headers if headers is not None else {}
        self.verified = verified
        words = " ".join(word for word in (str(status), self.code, self.message) if word)
        cause = ": ".join(word for word in (self.field, self.issue) if word)
        text = f"{words} ({cause})" if cause else words
        super().__init__(f"{text} (Request-ID {self.request_id or 'absent'})", method=method, path=path)

    @property
    def sub_code(self) -> str | None:
        """The number after the last `-` of `Request-ID`, WeChat Pay's internal cause; a hint, None where absent."""
        number = self.request_id.rpartition("-")[2] if "-" in self.request_id else ""
        return number if number.isascii() and number.isdigit() else None


def _detail(detail: object, name: str) -> str:
    """Return one word of an error's `detail`, empty where there is none."""
    word = detail.get(name) if isinstance(detail, Mapping) else None
    return printable(word, 200) if isinstance(word, str) else ""


class UntrustedError(WeChatPayError):
    """A 2xx answer or a notification that does not verify: never act on its content.

    `reason` is one word (see `Reason`), `serial` the key it names, `held` the serials of the keys we hold.
    """

    def __init__(
        self,
        text: str,
        *,
        reason: Reason,
        serial: str = "",
        held: Iterable[str] = (),
        request_id: str = "",
        method: str = "",
        path: str = "",
    ) -> None:
        super().__init__(text, method=method, path=path)
        self.reason: Reason = reason
        self.serial = serial
        self.held = tuple(held)
        self.request_id = request_id


class MalformedError(WeChatPayError):
    """A verified answer or notification that is not what it should be, such as a body that is not JSON."""


class UndecryptableError(WeChatPayError):
    """A ciphertext that cannot be opened: another APIv3 key, another private key, or damaged on the way."""


class InvalidKeyError(WeChatPayError, ValueError):
    """A private key, platform key, certificate, serial or APIv3 key that cannot be used; never shows the key itself."""
