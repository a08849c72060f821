"""What verification makes of a reply: the platform keys of one merchant's WeChat Pay, and their renewal."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from wechatpay.answer import Answer, decode_json
from wechatpay.chain import Call
from wechatpay.cipher import Cipher
from wechatpay.errors import RefusedError, UntrustedError
from wechatpay.notification import Notification
from wechatpay.platform_certificates import CertificateStore, PlatformCertificates
from wechatpay.platform_keys import PlatformKeys
from wechatpay.sender import Sender, UnsignedRequest
from wechatpay.transport import Reply
from wechatpay.verification import verify

T = TypeVar("T")

_CERTIFICATES = Call("GET", "v3/certificates", {})  # doc 4012551764


class Trust:
    """The keys that may sign answers: those that the merchant gave, and certificates downloaded since.

    Certificates are downloaded where there is an `apiv3_key` to open them and the keys are not WeChat Pay's public key
    alone. Every `deadline` is a moment of `time.monotonic`. Safe to use from many threads. Raises ValueError where
    there is neither a key nor a way to download one.
    """

    def __init__(
        self,
        keys: PlatformKeys,
        sender: Sender,
        *,
        apiv3_key: str | Sequence[str] | None,
        store: CertificateStore | None,
        clock: Callable[[], float],
    ) -> None:
        cipher = None if apiv3_key is None else Cipher(apiv3_key)
        if not keys and cipher is None:
            raise ValueError("platform_keys is empty: without a key of WeChat Pay no answer can be verified")
        self._apiv3_key = apiv3_key
        self._keys = keys
        self._sender = sender
        self._clock = clock
        self._certificates: PlatformCertificates | None = None
        if cipher is not None and keys.certificates:
            self._certificates = PlatformCertificates(keys, self._download, cipher, store=store, clock=clock)

    @property
    def keys(self) -> PlatformKeys:
        """The keys as they stand, without a call."""
        return self._certificates.held if self._certificates else self._keys

    def require_keys(self, deadline: float) -> PlatformKeys:
        """Return the keys, after the first download of certificates where there is no key yet; raise what it raises."""
        if self._certificates:
            self._certificates.prepare(deadline)
        return self.keys

    def accept(self, request: UnsignedRequest, reply: Reply, deadline: float) -> Answer:
        """Return the verified answer; raise RefusedError for all but 2xx, UntrustedError for what does not verify."""
        self._require_success(request, reply)
        try:
            serial = self._verify(lambda keys: self._signer(reply, keys), deadline)
        except UntrustedError as error:
            error.method, error.path = request.method, request.path
            raise
        request_id = reply.headers.get("Request-ID", "")
        return Answer(reply.status, reply.headers, reply.content, request_id, serial, request.method, request.path)

    def open_notification(self, headers: Mapping[str, str], body: bytes, deadline: float) -> Notification:
        """Verify and open a notification; raise ValueError without an APIv3 key, and what `Notification.open` does."""
        if (key := self._apiv3_key) is None:
            raise ValueError("apiv3_key is missing: notifications are encrypted with it")
        return self._verify(
            lambda keys: Notification.open(headers, body, platform_keys=keys, apiv3_key=key, clock=self._clock),
            deadline,
        )

    def _verify(self, check: Callable[[PlatformKeys], T], deadline: float) -> T:
        """Return what the check returns; where it lacks a certificate, run it once more after a download."""
        try:
            return check(self.keys)
        except UntrustedError as error:
            if self._certificates is None or error.reason != "unknown_serial":
                raise
            serial = error.serial
        return check(self._certificates.keys_for(serial, deadline))

    def _download(self, until: float) -> Reply:
        """Fetch the certificates by `until`: the deadline of the call that waits for them, if any does."""
        request = self._sender.write(_CERTIFICATES)
        reply = self._sender.exchange(request, min(until, request.deadline()))
        try:
            self._require_success(request, reply)
        except RefusedError as error:
            if error.status in {403, 404}:  # a merchant without certificates gets either
                error.add_note("There are no platform certificates: give WeChat Pay's public key (PUB_KEY_ID_…).")
            raise
        return reply

    def _require_success(self, request: UnsignedRequest, reply: Reply) -> None:
        if 200 <= reply.status < 300:
            return
        words = _read_refusal(reply.content)
        raise RefusedError(
            status=reply.status,
            code=_text(words.get("code")),
            message=_text(words.get("message")),
            detail=words.get("detail"),
            request_id=reply.headers.get("Request-ID", ""),
            headers=reply.headers,
            verified=self._is_signed(reply),
            method=request.method,
            path=request.path,
        )

    def _is_signed(self, reply: Reply) -> bool | None:
        """Whether WeChat Pay signed a refusal; None for an unsigned one, as many are."""
        if "Wechatpay-Signature" not in reply.headers:
            return None
        try:
            self._signer(reply, self.keys)
        except UntrustedError:
            return False
        return True

    def _signer(self, reply: Reply, keys: PlatformKeys) -> str:
        """Return the serial of the key that signed a reply; raise UntrustedError."""
        return verify(dict(reply.headers.lower_items()), reply.content, keys, self._clock())


def _read_refusal(content: bytes) -> Mapping[str, object]:
    """Return the fields of an error's body; none where it is no JSON object, such as a gateway's HTML."""
    try:
        words = decode_json(content)
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
