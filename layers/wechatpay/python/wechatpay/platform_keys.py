"""WeChat Pay's keys by serial: public keys and platform certificates; a merchant in migration has both kinds."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from wechatpay.certificate import choose_certificate, read_public_key, read_serial
from wechatpay.errors import InvalidKeyError
from wechatpay.pem import Block, find_blocks

PUBLIC_KEY_ID = "PUB_KEY_ID_"
"""The prefix of a WeChat Pay public key's serial (doc 4012154180); a certificate's serial is hexadecimal."""

_SERIAL = re.compile(r"[0-9A-Za-z_]{1,128}")
_SHOWN = re.compile(r"PUB_KEY_ID_\w*|[0-9A-F]{40}", re.ASCII | re.IGNORECASE)  # what cannot be an APIv3 key


class PlatformKeys(Mapping[str, rsa.RSAPublicKey]):
    """WeChat Pay's public keys by the serial in `Wechatpay-Serial`: `PUB_KEY_ID_…` or that of a certificate.

    Values are PEM (a public key under its `PUB_KEY_ID_…`, or a platform certificate under its own serial) or key
    objects. Names become upper case, as answers write them, and are opaque text otherwise. Raise InvalidKeyError
    naming the entry, for all but RSA with 2048 bits.
    """

    __slots__ = ("_keys", "_validities")

    def __init__(self, keys: "Mapping[str, str | bytes | rsa.RSAPublicKey]") -> None:
        if not isinstance(keys, Mapping):
            raise InvalidKeyError(f"platform_keys must map serials to keys, not be {type(keys).__name__}")
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._validities: dict[str, tuple[datetime, datetime]] = {}
        for serial, source in keys.items():
            self._add(serial, source)

    @classmethod
    def of(cls, keys: "Mapping[str, str | bytes | rsa.RSAPublicKey]") -> "PlatformKeys":
        """Return `keys` as they are where they have been parsed before, otherwise parse them."""
        return keys if isinstance(keys, cls) else cls(keys)

    def _add(self, serial: str, source: "str | bytes | rsa.RSAPublicKey") -> None:
        if not isinstance(serial, str) or not _SERIAL.fullmatch(serial):  # not repeated: it may be a key
            raise InvalidKeyError("platform_keys: a name must be PUB_KEY_ID_… or the serial of a platform certificate")
        field = f"platform_keys[{serial!r}]" if _SHOWN.fullmatch(serial) else "platform_keys: an entry"
        serial = serial.upper()
        if isinstance(source, rsa.RSAPublicKey):
            key = source
        elif "CERTIFICATE" in (blocks := _find_blocks(source, serial, field))[0].label:
            certificate = choose_certificate(blocks, serial, field)
            _require_own_serial(read_serial(certificate), serial, field)
            key = read_public_key(certificate, field)
            self._validities[serial] = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        else:
            key = _load_public_key(blocks[0], field)
            if not serial.startswith(PUBLIC_KEY_ID):
                raise InvalidKeyError(
                    f"{field} is a public key, not a certificate: its name must be its id, {PUBLIC_KEY_ID}…"
                )
        if key.key_size != 2048:
            raise InvalidKeyError(f"{field} has {key.key_size} bits: WeChat Pay's keys are RSA with 2048 bits")
        self._keys[serial] = key

    @property
    def public_key_id(self) -> str | None:
        """The `PUB_KEY_ID_…` to send as the request header `Wechatpay-Serial`; None in pure certificate mode."""
        return next((serial for serial in self._keys if serial.startswith(PUBLIC_KEY_ID)), None)

    @property
    def certificates(self) -> bool:
        """Whether platform certificates are in use: one is among the keys, or there is no key and they are fetched."""
        return not self._keys or not all(serial.startswith(PUBLIC_KEY_ID) for serial in self._keys)

    @property
    def encryption_serial(self) -> str | None:
        """The key to encrypt sensitive fields with: the public key, otherwise the certificate that lasts longest."""
        newest = max(self._validities, key=lambda serial: self._validities[serial][1], default=None)
        return self.public_key_id or newest or next(iter(self._keys), None)

    @property
    def validities(self) -> Mapping[str, tuple[datetime, datetime]]:
        """First and last moment of each certificate among the keys by its own X.509, UTC; by serial."""
        return self._validities

    def valid_at(self, now: datetime) -> "PlatformKeys":
        """Return the keys without the certificates that have expired by `now`, by their own X.509."""
        subset = PlatformKeys({})
        subset._validities = {serial: span for serial, span in self._validities.items() if span[1] > now}
        expired = self._validities.keys() - subset._validities.keys()
        subset._keys = {serial: key for serial, key in self._keys.items() if serial not in expired}
        return subset

    def __or__(self, other: "PlatformKeys") -> "PlatformKeys":
        """Return the union; where both have a serial, the key of `other` counts."""
        union = PlatformKeys({})
        union._keys = self._keys | other._keys
        union._validities = self._validities | other._validities
        return union

    def __getitem__(self, serial: str) -> rsa.RSAPublicKey:
        return self._keys[serial]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"PlatformKeys({', '.join(self._keys)})"


def _find_blocks(pem: str | bytes, serial: str, field: str) -> list[Block]:
    """Return the blocks of the kind that the serial promises, where the file has one of that kind."""
    kind = "PUBLIC KEY" if serial.startswith(PUBLIC_KEY_ID) else "CERTIFICATE"
    return find_blocks(pem, field, kind)


def _require_own_serial(serial: str, name: str, field: str) -> None:
    if serial != name:
        raise InvalidKeyError(f"{field} holds the certificate {serial}: use that as its name")


def _load_public_key(block: Block, field: str) -> rsa.RSAPublicKey:
    if "PRIVATE" in block.label:
        raise InvalidKeyError(f"{field} is a private key: give WeChat Pay's public key (pub_key.pem)")
    try:
        key = load_der_public_key(block.der)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError(f"{field} is damaged or not a public key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidKeyError(f"{field} is not an RSA key")
    return key
