"""Every error of this library: one tree, each with its evidence.

WeChatPayError
├── UnansweredError      No whole answer: refused, reset, time-out or cut off. `sent`: the request may have arrived.
├── RefusedError         Any answer but 2xx, redirects included, with WeChat Pay's own `code` and `message`.
├── UntrustedError       A 2xx or a notification that does not verify. The outcome of the call is unknown.
├── MalformedError       A verified answer or notification that is not what the documentation promises.
├── UndecryptableError   A ciphertext that none of the keys decrypts.
└── InvalidKeyError      A key, serial or certificate that cannot be used. Also a ValueError.

What may have happened at WeChat Pay after each of them:

- Nothing: InvalidKeyError, and UnansweredError with `sent` False. The call may be repeated as it is.
- Anything: UnansweredError with `sent` True, UntrustedError, MalformedError, UndecryptableError. Query first.
- What `status` and `code` say: RefusedError. Only `verified` True proves that WeChat Pay sent it.

A call that is wrong in itself raises Python's own TypeError (missing or surplus names) or ValueError (bad values)
before anything is sent. No error text ever contains a key, a signature or a body; a path is shown as the caller
wrote it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

from wechatpay.text import printable

Reason = Literal["unsigned", "signature_type", "timestamp", "unknown_serial", "stale", "probe", "signature"]
"""Why an answer is not trusted.

- `unsigned`: a `Wechatpay-*` header is missing.
- `signature_type`: signed in a way that is not supported, such as `WECHATPAY2-SM2-WITH-SM3`.
- `timestamp`: the timestamp is not a number.
- `unknown_serial`: signed with a key that is not among the platform keys.
- `stale`: the timestamp lies more than 300 s from our clock.
- `probe`: a `WECHATPAY/SIGNTEST/` signature, wrong on purpose: WeChat Pay tests verification (doc 4013053249).
- `signature`: the signature is not that of these bytes.
"""


class WeChatPayError(Exception):
    """The root of the tree; `method` and `path` (without query) name the call, empty where there was none."""

    def __init__(self, text: str, *, method: str = "", path: str = "") -> None:
        super().__init__(text)
        self.method = method
        self.path = path

    def __str__(self) -> str:
        text = str(self.args[0])
        return f"{self.method} {self.path}: {text}" if self.method else text

    def __reduce__(self) -> "tuple[Callable[..., WeChatPayError], _Pickled]":
        return _restore, (type(self), self.args, self.__dict__)


_Pickled: TypeAlias = tuple[type[WeChatPayError], tuple[object, ...], dict[str, object]]


def _restore(kind: type[WeChatPayError], args: tuple[object, ...], evidence: dict[str, object]) -> WeChatPayError:
    """Rebuild a pickled error: the constructors take keywords, which pickling by `args` alone would lose."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(evidence)
    return error


class UnansweredError(WeChatPayError):
    """No whole answer arrived.

    `sent`: the request, or an earlier try of it, may have reached WeChat Pay; query before anything is repeated. False
    is a promise that it did not: the call may be repeated as it is.
    """

    def __init__(self, text: str, *, sent: bool, method: str = "", path: str = "") -> None:
        super().__init__(text, method=method, path=path)
        self.sent = sent


class RefusedError(WeChatPayError):
    """WeChat Pay answered with another status than 2xx (doc 4012081709 for the shape of the body).

    `status`, `code`, `message` and `request_id` are WeChat Pay's, empty where it sent none; `headers` are the answer's.
    `field`, `location` and `issue` are what its `detail` says about the parameter at fault. All text is cleaned and
    bounded (`wechatpay.text`); `detail` itself stays as it came and may hold the parameter's value, which no text
    repeats. `verified` is True (signed by WeChat Pay), False (the signature is wrong) or None (unsigned, as many
    errors are): only a verified refusal proves anything about the order.
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
    """Return one text of an error's `detail`, empty where there is none."""
    text = detail.get(name) if isinstance(detail, Mapping) else None
    return printable(text, 200) if isinstance(text, str) else ""


class UntrustedError(WeChatPayError):
    """A 2xx answer or a notification that does not verify: never act on its content.

    `reason` is one word (see `Reason`), `serial` the key it names, `held` the serials of the keys that are trusted.
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
    """A ciphertext that cannot be decrypted: another APIv3 key, another private key, or damaged on the way."""


class InvalidKeyError(WeChatPayError, ValueError):
    """A private key, platform key, certificate, serial or APIv3 key that cannot be used; never shows the key itself."""
