"""Notifications, which WeChat Pay sends by itself: verified first, then opened (docs 4012587960, 4012071382)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from wechatpay.answer import JsonObject, decode_json
from wechatpay.cipher import ALGORITHM, Cipher
from wechatpay.errors import MalformedError, UndecryptableError
from wechatpay.platform_keys import PlatformKeys
from wechatpay.read_order import read_resource
from wechatpay.service_order import ServiceOrder
from wechatpay.verification import verify


@dataclass(frozen=True, slots=True)
class Notification:
    """A verified notification with its decrypted resource.

    WeChat Pay may send the same one more than once, with the same `id`. `event_type` is such as `PAYSCORE.USER_PAID`;
    unknown ones pass. `resource` is the decrypted object, whole; `original_type` names its kind. `create_time` is
    aware; `serial` names the key that signed. `repr` does not show the resource: it names people.
    """

    id: str
    event_type: str
    resource_type: str
    summary: str
    create_time: datetime
    original_type: str
    resource: JsonObject = field(repr=False, hash=False)
    serial: str

    def service_order(self) -> ServiceOrder:
        """Return the order that a PayScore notification is about, as `payscore.query` returns it.

        Nothing compares it with an order of yours: its `mchid` and `out_order_no` say whose it is. Raise MalformedError
        where the resource is no service order, such as that of an authorization.
        """
        return read_resource(self.resource)

    @classmethod
    def open(
        cls,
        headers: Mapping[str, str],
        body: bytes,
        *,
        platform_keys: Mapping[str, str | bytes | rsa.RSAPublicKey],
        apiv3_key: str | Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> "Notification":
        """Verify the request's raw bytes and open them; answer WeChat Pay with 204 within 5 s, otherwise with 4xx/5xx.

        Args:
            headers: the request's headers; names ignore case.
            body: the request's raw bytes, never decoded and encoded again.
            platform_keys: WeChat Pay's keys by serial, see `PlatformKeys`.
            apiv3_key: 32 characters, or a sequence that holds previous ones too.
            clock: returns Unix seconds; a notification signed more than 300 s away from it is refused.

        Returns:
            The notification (docs 4012587960, 4012071382).

        Raises:
            UntrustedError: the signature does not verify, by its `reason`.
            UndecryptableError: none of the APIv3 keys opens the resource.
            MalformedError: verified, but not a notification.
            InvalidKeyError: one of the keys given cannot be used.
            TypeError: the body is not bytes.
        """
        if not isinstance(body, bytes):
            raise TypeError(f"body must be the raw bytes of the request, not {type(body).__name__}")
        cipher = Cipher(apiv3_key)
        serial = verify(headers, body, PlatformKeys.of(platform_keys), clock())
        envelope = _object(body, "the notification")
        resource = envelope.get("resource")
        if not isinstance(resource, dict):
            raise MalformedError("the notification has no resource")
        return cls(
            id=_text(envelope, "id"),
            event_type=_text(envelope, "event_type"),
            resource_type=_text(envelope, "resource_type", ""),
            summary=_text(envelope, "summary", ""),
            create_time=_time(_text(envelope, "create_time")),
            original_type=_text(resource, "original_type", ""),
            resource=_object(_decrypt(cipher, resource), "the notification's resource"),
            serial=serial,
        )


def _decrypt(cipher: Cipher, resource: Mapping[str, object]) -> bytes:
    if (algorithm := _text(resource, "algorithm")) != ALGORITHM:
        raise UndecryptableError(f"the resource is encrypted with {algorithm[:64]!r}, only {ALGORITHM} is opened")
    return cipher.open(
        ciphertext=_text(resource, "ciphertext"),
        nonce=_text(resource, "nonce"),
        associated_data=_text(resource, "associated_data", ""),
    )


def _object(content: bytes, what: str) -> JsonObject:
    try:
        value: object = decode_json(content)
    except ValueError as error:
        raise MalformedError(f"{what} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return value


def _text(fields: Mapping[str, object], name: str, default: str | None = None) -> str:
    """Return a field; where it is absent or null, the default, without which the field is required."""
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise MalformedError(f"the notification's {name} is {'missing' if value is None else 'not text'}")
    return value


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedError("the notification's create_time is not RFC 3339") from None
    if moment.tzinfo is None:
        raise MalformedError("the notification's create_time has no offset")
    return moment
