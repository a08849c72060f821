"""The merchant that signs: its number, its serial and its private key, which nothing that prints ever shows."""

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from wechatpay import cipher
from wechatpay.certificate import load_certificate, read_common_name, read_public_key, read_serial
from wechatpay.errors import InvalidKeyError
from wechatpay.pem import Block, find_block

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PADDING = padding.PKCS1v15()
SHA256 = hashes.SHA256()

_MCHID = re.compile(r"[0-9]{1,32}")
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,40}")
SERIAL_DIGITS = 40  # hexadecimal, of every certificate that WeChat Pay issues


class Merchant:
    """A merchant number, the serial of its API certificate, and the private key of that certificate.

    `serial_no` is hexadecimal; lower case becomes upper case, as WeChat Pay writes it.
    `private_key` is the content of `apiclient_key.pem` (see `wechatpay.pem`) or a key object of `cryptography`.
    RSA with 2048 bits only, as WeChat Pay issues it (doc 4013053057). The key is loaded without the slow test of its
    primes (47 ms); one signature is made and verified at once instead. Raise InvalidKeyError, which never shows it.
    """

    __slots__ = ("_key", "mchid", "serial_no")

    def __init__(self, *, mchid: str, serial_no: str, private_key: "str | bytes | rsa.RSAPrivateKey") -> None:
        if not isinstance(mchid, str) or not _MCHID.fullmatch(mchid):
            raise InvalidKeyError("mchid must be 1 to 32 digits")
        self.mchid = mchid
        self.serial_no = merchant_serial(serial_no)
        self._key = private_key if isinstance(private_key, rsa.RSAPrivateKey) else load_private_key(private_key)
        check_private_key(self._key)

    def sign(self, message: bytes) -> str:
        """Return the base64 signature of these bytes (RSASSA-PKCS1-v1_5, SHA-256)."""
        return base64.b64encode(self._key.sign(message, PADDING, SHA256)).decode()

    def decrypt(self, ciphertext: str) -> str:
        """Decrypt one sensitive field of an answer (RSA-OAEP); raise UndecryptableError where it is for another key."""
        return cipher.decrypt(ciphertext, self._key)

    def check(self, certificate: str | bytes | None = None) -> None:
        """Check the key, and that `certificate` (apiclient_cert.pem), where there is one, belongs to this merchant.

        Without a call. Raise InvalidKeyError naming what does not fit: the pair of keys, the serial, or the mchid.
        """
        check_private_key(self._key)
        if certificate is not None:
            self._check_certificate(load_certificate(certificate, "certificate"))

    def _check_certificate(self, certificate: "Certificate") -> None:
        if read_public_key(certificate, "certificate").public_numbers() != self.public_key.public_numbers():
            raise InvalidKeyError("certificate does not belong to private_key: they were not made together")
        if (serial := read_serial(certificate)) != self.serial_no:
            raise InvalidKeyError(f"serial_no is {self.serial_no}, the certificate's is {serial}")
        if (name := read_common_name(certificate, "certificate")) != self.mchid:
            raise InvalidKeyError(f"mchid is {self.mchid}, the certificate was issued to {name[:64]!r}")

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The public half of the merchant's key."""
        return self._key.public_key()

    def __repr__(self) -> str:
        return f"Merchant(mchid={self.mchid!r}, serial_no={self.serial_no!r})"


def load_private_key(pem: str | bytes) -> rsa.RSAPrivateKey:
    """Load a private key from PEM, PKCS#1 or PKCS#8 (see `wechatpay.pem`).

    Raise InvalidKeyError naming what it is instead: a certificate, a public key, encrypted, not RSA, damaged.
    """
    block = find_block(pem, "private_key", "PRIVATE KEY")
    _refuse_label(block)
    try:
        key = load_der_private_key(block.der, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError("private_key is damaged or not a private key: paste apiclient_key.pem whole") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidKeyError("private_key is not an RSA key: WeChat Pay's scheme takes RSA with 2048 bits only")
    return key


def _refuse_label(block: Block) -> None:
    if block.label == "ENCRYPTED PRIVATE KEY" or block.encrypted:
        raise InvalidKeyError("private_key is encrypted: remove its passphrase with `openssl pkcs8 -topk8 -nocrypt`")
    if "CERTIFICATE" in block.label:
        raise InvalidKeyError("private_key is a certificate (apiclient_cert.pem): give apiclient_key.pem")
    if "PUBLIC" in block.label:
        raise InvalidKeyError("private_key is a public key: give apiclient_key.pem")


def refuse_own_keys(
    serial_no: str, own: rsa.RSAPublicKey, platform_keys: Mapping[str, rsa.RSAPublicKey], field: str = "platform_keys"
) -> None:
    """Raise InvalidKeyError if the merchant's own key or serial is among those of WeChat Pay."""
    if serial_no in {name.upper() for name in platform_keys}:
        raise InvalidKeyError(f"serial_no is among {field}: the one is the merchant's, the others WeChat Pay's")
    for name, key in platform_keys.items():
        if key == own:
            raise InvalidKeyError(
                f"{field}[{name!r}] is the merchant's own key: give WeChat Pay's, pub_key.pem or a platform certificate"
            )


def merchant_serial(serial_no: str) -> str:
    """Return the serial of a merchant's certificate in upper case; raise InvalidKeyError for what is certainly none.

    A serial has 40 digits. Shorter ones, as tests and simulators use them, are accepted, but not what 40 digits become
    in a program that treats them as a number: decimal, with `0x`, or without their leading zeros.
    """
    if isinstance(serial_no, str) and serial_no.upper().startswith("PUB_KEY_ID_"):
        raise InvalidKeyError("serial_no is WeChat Pay's key id: give the serial of the merchant's own API certificate")
    if not isinstance(serial_no, str) or not _SERIAL.fullmatch(serial_no):
        raise InvalidKeyError(
            f"serial_no {_describe(serial_no)}: give the serial of the merchant's API certificate, "
            f"{SERIAL_DIGITS} hexadecimal digits"
        )
    if 32 < len(serial_no) < SERIAL_DIGITS:
        raise InvalidKeyError(cut_serial(serial_no))
    return serial_no.upper()


def cut_serial(serial_no: str) -> str:
    """Return what is wrong with a serial that is too short."""
    return (
        f"serial_no has {len(serial_no)} of {SERIAL_DIGITS} hexadecimal digits: a copy was cut off, or a spreadsheet "
        "dropped leading zeros"
    )


def _describe(serial_no: object) -> str:
    """Return what a text looks like that is not a serial."""
    if not isinstance(serial_no, str):
        return f"is not text but {type(serial_no).__name__}"
    if serial_no[:2] in {"0x", "0X"}:
        return "begins with 0x"
    if serial_no.isascii() and serial_no.isdigit():
        return "is decimal"
    return "has other characters, or too many" if serial_no else "is empty"


def check_private_key(key: rsa.RSAPrivateKey) -> None:
    """Raise InvalidKeyError unless the key has 2048 bits and signs what its public half verifies.

    This finds what the skipped test of its primes would have found, in a fortieth of the time.
    """
    if key.key_size != 2048:
        raise InvalidKeyError(f"private_key has {key.key_size} bits: WeChat Pay takes RSA with 2048 bits only")
    message = b"wechatpay"
    try:
        key.public_key().verify(key.sign(message, PADDING, SHA256), message, PADDING, SHA256)
    except (InvalidSignature, InternalError, ValueError):
        raise InvalidKeyError("private_key is damaged: it does not sign what its public half verifies") from None
