"""Reads a merchant's secret, however it was stored. All faults are reported at once, by field, never with a value."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from orders.errors import MerchantUnavailableError
from wechatpay import InvalidKeyError, PlatformKeys
from wechatpay.cipher import Cipher
from wechatpay.endpoints import ENDPOINTS
from wechatpay.merchant import (
    SERIAL_DIGITS,
    check_private_key,
    cut_serial,
    load_private_key,
    merchant_serial,
    refuse_own_keys,
)
from wechatpay.platform_keys import PUBLIC_KEY_ID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

FIELDS = ("mchid", "serial_no", "private_key", "platform_keys", "apiv3_key", "appid", "service_id", "endpoint")
"""What a secret may hold; everything else in it is ignored."""

_BLANKS = " \t\r\n\v\f\u00a0\u3000\u200b\ufeff"  # characters that come along when text is pasted
_IDENTIFIER = re.compile(r"[0-9A-Za-z_\-]{1,32}")
_PUBLIC_KEY_ID = re.compile(rf"{PUBLIC_KEY_ID}[0-9]+")
_REMEDIES = {
    "serial_no": "add the serial of the merchant's API certificate, 40 hexadecimal digits",
    "private_key": "add the content of apiclient_key.pem",
    "platform_keys": 'add WeChat Pay\'s public key under its id, {"PUB_KEY_ID_…": "content of pub_key.pem"}',
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without a fault, its keys loaded; `repr` shows none of them."""

    serial_no: str
    private_key: "RSAPrivateKey" = field(repr=False)
    platform_keys: PlatformKeys
    apiv3_key: str | None = field(repr=False)
    appid: str | None
    service_id: str | None
    endpoint: str


def read(text: str, mchid: str, now: datetime) -> Secret:
    """Read the text of the secret of this merchant; `now` (aware) judges certificates.

    Raises:
        MerchantUnavailableError: its `faults` say for each field what is wrong with it, and the remedy.
    """
    reader = _Reader(parse(text, mchid), mchid, now)
    secret = reader.secret()
    if secret is None:
        faults = reader.faults
        names = dict.fromkeys(place.partition("[")[0] for place in faults)
        problem = f"the secret cannot be used: {'; '.join(faults.values())}"
        raise MerchantUnavailableError(mchid, problem, list(names), faults)
    return secret


def parse(text: str, mchid: str) -> Mapping[str, object]:
    """Return the text of a secret as an object, its fields unread; raise MerchantUnavailableError if it is none."""
    try:
        value = _json(text)
        if isinstance(value, str):  # JSON in JSON: the object was serialised twice
            value = _json(value)
    except json.JSONDecodeError as error:
        place = f"{error.msg}, line {error.lineno} column {error.colno}"
        raise MerchantUnavailableError(mchid, f"the secret is not JSON ({place}): store one JSON object") from None
    except (ValueError, RecursionError):  # a number of 5,000 digits, lists in lists in lists
        raise MerchantUnavailableError(mchid, "the secret is not JSON: store one JSON object") from None
    if not isinstance(value, dict):
        raise MerchantUnavailableError(mchid, f"the secret is not a JSON object but {_kind(value)}: store one")
    return value


def _json(text: str) -> object:
    """Decode JSON; editors leave a BOM around a secret and real line breaks within its strings."""
    value: object = json.loads(text.strip(_BLANKS), strict=False)
    return value


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "null"


@dataclass(slots=True, repr=False)
class _Reader:
    """Reads one secret field by field; `faults` has a sentence for each fault, by its place in the secret."""

    values: Mapping[str, object]
    mchid: str
    now: datetime
    faults: dict[str, str] = field(default_factory=dict)

    def secret(self) -> Secret | None:
        """Return the secret, or None if it has a fault."""
        self._check_mchid()
        serial_no, private_key, platform_keys = self._serial_no(), self._private_key(), self._platform_keys()
        apiv3_key = self._apiv3_key()
        appid, service_id, endpoint = self._identifier("appid"), self._identifier("service_id"), self._endpoint()
        if serial_no and private_key and platform_keys:
            self._try("platform_keys", refuse_own_keys, serial_no, private_key.public_key(), platform_keys)
        if self.faults and private_key:
            self._try("private_key", check_private_key, private_key)  # without a fault the client checks it, once
        if self.faults or not (serial_no and private_key and platform_keys):  # what is missing is a fault
            return None
        return Secret(serial_no, private_key, platform_keys, apiv3_key, appid, service_id, endpoint)

    def _check_mchid(self) -> None:
        mchid = self._text("mchid")
        if mchid is not None and mchid != self.mchid:
            self._fault("mchid", "is not the merchant number that the secret is named by: one of the two is wrong")

    def _serial_no(self) -> str | None:
        text = self._text("serial_no", required=True)
        if text is None:
            return None
        serial = self._try("serial_no", merchant_serial, text)
        if serial is not None and len(serial) != SERIAL_DIGITS:
            self.faults["serial_no"] = cut_serial(serial)
        return serial

    def _private_key(self) -> "RSAPrivateKey | None":
        text = self._text("private_key", required=True)
        return None if text is None else self._try("private_key", load_private_key, text)

    def _platform_keys(self) -> PlatformKeys:
        keys = PlatformKeys({})
        for number, (name, value) in enumerate(self._entries(), 1):
            entry = self._platform_key(f"platform_keys[{number}]", name.strip(_BLANKS).upper(), value)
            keys = keys | entry if entry else keys
        return keys

    def _entries(self) -> Iterator[tuple[str, object]]:
        """Yield the entries of `platform_keys`: an object, or its JSON as text, as the console's editor stores it."""
        value = self.values.get("platform_keys")
        if isinstance(value, str) and value.strip(_BLANKS):
            try:
                value = _json(value)
            except (ValueError, RecursionError):
                self._fault("platform_keys", f"is text that is not JSON: {_REMEDIES['platform_keys']}")
                return
        if isinstance(value, dict) and value:
            yield from value.items()
        elif value in (None, {}) or (isinstance(value, str) and not value.strip(_BLANKS)):
            self._absent("platform_keys")
        else:
            self._fault("platform_keys", f"is {_kind(value)}, not an object: {_REMEDIES['platform_keys']}")

    def _platform_key(self, place: str, name: str, value: object) -> PlatformKeys | None:
        if not isinstance(value, str):
            self.faults[place] = f"platform_keys has an entry that is {_kind(value)}: store the PEM file as text"
            return None
        keys = self._try(place, PlatformKeys, {name: value})
        if keys is None:
            return None
        for begin, end in keys.validities.values():
            self._check_validity(place, name, begin, end)
        if not keys.validities and not _PUBLIC_KEY_ID.fullmatch(name):
            self.faults[place] = (
                f"platform_keys has a public key whose name is not its id: name it {PUBLIC_KEY_ID} and digits, as the "
                "merchant console shows it"
            )
        return keys

    def _check_validity(self, place: str, name: str, begin: datetime, end: datetime) -> None:
        if end <= self.now:
            self.faults[place] = (
                f"platform_keys[{name!r}] is a certificate that ended on {end:%Y-%m-%d}: take it out, and add the one "
                "that WeChat Pay signs with now, or its public key"
            )
        elif begin > self.now:
            self.faults[place] = (
                f"platform_keys[{name!r}] is a certificate that begins on {begin:%Y-%m-%d}: add it when it is valid"
            )

    def _apiv3_key(self) -> str | None:
        key = self._text("apiv3_key")
        if key is not None:
            self._try("apiv3_key", Cipher, key)
        return key

    def _identifier(self, name: str) -> str | None:
        text = self._text(name)
        if text is not None and not _IDENTIFIER.fullmatch(text):
            problem = (
                "is longer than 32 characters" if len(text) > 32 else "has characters that WeChat Pay does not take"
            )
            self._fault(name, f"{problem}: store it as WeChat Pay has it, in letters, digits, _ and -")
        return text

    def _endpoint(self) -> str:
        text = (self._text("endpoint") or "direct").lower()
        if text not in ENDPOINTS:
            self._fault("endpoint", f"is not one of the endpoints: store {' or '.join(ENDPOINTS)}, or leave it out")
        return text

    def _text(self, name: str, *, required: bool = False) -> str | None:
        """Return the text of a field, trimmed; None if there is none, which is a fault of a required field."""
        value = self.values.get(name)
        if isinstance(value, str) and (text := value.strip(_BLANKS)):
            return text
        if value not in (None, "") and not isinstance(value, str):
            warning = ": numbers lose digits" if _kind(value) == "a number" else ""
            self._fault(name, f"is {_kind(value)}: store it as text, in quotation marks{warning}")
        elif required:
            self._absent(name)
        return None

    def _absent(self, name: str) -> None:
        state = "is missing" if name not in self.values else "is null" if self.values[name] is None else "is empty"
        self._fault(name, f"{state}: {_REMEDIES[name]}")

    def _fault(self, name: str, problem: str) -> None:
        self.faults[name] = f"{name} {problem}"

    def _try[*Arguments, T](self, place: str, check: Callable[[*Arguments], T], *arguments: *Arguments) -> T | None:
        """Return what a check of the library returns, or None if it raises; its error text names the field already."""
        try:
            return check(*arguments)
        except InvalidKeyError as error:
            self.faults.setdefault(place, str(error))
            return None
