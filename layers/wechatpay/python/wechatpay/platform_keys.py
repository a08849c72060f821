"""WeChat Pay's keys: who may have signed an answer. One name, one key; a merchant in migration holds both kinds."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from wechatpay.errors import InvalidKeyError
from wechatpay.pem import Block, find_block

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PUBLIC_KEY_ID = "PUB_KEY_ID_"
"""How the serial of a WeChat Pay public key begins (doc 4012154180); a certificate's is hexadecimal."""

_SERIAL = re.compile(r"[0-9A-Za-z_]{1,128}")


class PlatformKeys(Mapping[str, rsa.RSAPublicKey]):
    """WeChat Pay's public keys by what `Wechatpay-Serial` calls them: `PUB_KEY_ID_…` or a certificate's serial.

    Values are PEM (a public key, or a platform certificate whose serial must equal its name) or key objects.
    Serials are opaque text. Raises InvalidKeyError naming the entry, for all but RSA with 2048 bits.
    """

    __slots__ = ("_expiries", "_keys")

    def __init__(self, keys: "Mapping[str, str | bytes | rsa.RSAPublicKey]") -> None:
        if not isinstance(keys, Mapping):
            raise InvalidKeyError(f"platform_keys must map serials to keys, not be {type(keys).__name__}")
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._expiries: dict[str, datetime] = {}
        for serial, given in keys.items():
            self._add(serial, given)

    @classmethod
    def of(cls, keys: "Mapping[str, str | bytes | rsa.RSAPublicKey]") -> "PlatformKeys":
        """Return the keys themselves where they have been parsed before, otherwise parse them."""
        return keys if isinstance(keys, cls) else cls(keys)

    def _add(self, serial: str, given: "str | bytes | rsa.RSAPublicKey") -> None:
        if not isinstance(serial, str) or not _SERIAL.fullmatch(serial):  # not repeated: it may be a key, pasted here
            raise InvalidKeyError("platform_keys: a name must be PUB_KEY_ID_… or the serial of a platform certificate")
        field = f"platform_keys[{serial!r}]"
        if isinstance(given, rsa.RSAPublicKey):
            key = given
        elif "CERTIFICATE" in (block := find_block(given, field)).label:
            certificate = load_certificate(block, field)
            key, serial = certificate_key(certificate, field), _own_serial(certificate, serial, field)
            self._expiries[serial] = certificate.not_valid_after_utc
        else:
            key = _public(block, field)
        if key.key_size != 2048:
            raise InvalidKeyError(f"{field} has {key.key_size} bits: WeChat Pay's keys are RSA with 2048 bits")
        self._keys[serial] = key

    @property
    def public_key_id(self) -> str | None:
        """The `PUB_KEY_ID_…` to ask for in the request header `Wechatpay-Serial`; None in pure certificate mode."""
        return next((serial for serial in self._keys if serial.startswith(PUBLIC_KEY_ID)), None)

    @property
    def encryption_serial(self) -> str | None:
        """The key to encrypt sensitive fields with: the public key, otherwise the certificate that lasts longest."""
        newest = max(self._expiries, key=self._expiries.__getitem__, default=None)
        return self.public_key_id or newest or next(iter(self._keys), None)

    def __getitem__(self, serial: str) -> rsa.RSAPublicKey:
        return self._keys[serial]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"PlatformKeys({', '.join(self._keys)})"


def load_certificate(block: Block, field: str) -> "Certificate":
    """Read an X.509 certificate; InvalidKeyError where it is none."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415  36 ms that public-key mode never needs

    try:
        return load_der_x509_certificate(block.der)
    except (ValueError, TypeError):
        raise InvalidKeyError(f"{field} is damaged or not a certificate") from None


def certificate_key(certificate: "Certificate", field: str) -> rsa.RSAPublicKey:
    """Return the certificate's RSA key; InvalidKeyError where it is of another kind."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError(f"{field} has a public key that cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidKeyError(f"{field} is not a certificate for an RSA key")
    return key


def int_serial(certificate: "Certificate") -> str:
    """Return the serial as WeChat Pay writes it: upper-case hexadecimal, whole bytes."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def _own_serial(certificate: "Certificate", name: str, field: str) -> str:
    """Return the certificate's serial as answers will write it; InvalidKeyError where the entry's name is another."""
    serial = int_serial(certificate)
    if serial != name.upper():
        raise InvalidKeyError(f"{field} holds the certificate {serial}: use that as its name")
    return serial


def _public(block: Block, field: str) -> rsa.RSAPublicKey:
    if "PRIVATE" in block.label:
        raise InvalidKeyError(f"{field} is a private key: give WeChat Pay's public key (pub_key.pem)")
    try:
        key = load_der_public_key(block.der)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError(f"{field} is damaged or not a public key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidKeyError(f"{field} is not an RSA key")
    return key
