"""Decrypting what WeChat Pay encrypts, and encrypting what it must read.

Notifications and certificates are encrypted with the APIv3 key (AES-256-GCM, doc 4012071382); sensitive fields such as
a name or a card number with RSA-OAEP, in both directions (doc 4013053257).
"""

import base64
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay.errors import InvalidKeyError, UndecryptableError

ALGORITHM = "AEAD_AES_256_GCM"

# WeChat Pay's OAEP is the one with SHA-1, which is not broken in this use.
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303


class Cipher:
    """Decrypts resources with the APIv3 key, or with one of the previous ones.

    A changed APIv3 key has no period of overlap (doc 4013053274): keep the previous one in the list for some days.
    Raise InvalidKeyError unless each key has 32 bytes.
    """

    __slots__ = ("_keys",)

    def __init__(self, apiv3_key: str | Sequence[str]) -> None:
        keys = [apiv3_key] if isinstance(apiv3_key, str) else list(apiv3_key)
        if not keys:
            raise InvalidKeyError("apiv3_key is missing")
        self._keys = tuple(AESGCM(_key_bytes(key)) for key in keys)

    def open(self, *, ciphertext: str, nonce: str, associated_data: str = "") -> bytes:
        """Return the plaintext of a base64 ciphertext with its tag; raise UndecryptableError if no key decrypts it."""
        try:
            content = base64.b64decode(ciphertext, validate=True)
        except ValueError:
            raise UndecryptableError("the ciphertext is not base64") from None
        for key in self._keys:
            try:
                return key.decrypt(nonce.encode(), content, associated_data.encode())
            except (InvalidTag, ValueError):  # ValueError: a nonce of impossible length
                continue
        raise UndecryptableError(f"none of our {len(self._keys)} APIv3 keys opens it: was the key changed?")

    def __repr__(self) -> str:
        return f"Cipher({len(self._keys)} keys)"


def _key_bytes(key: str) -> bytes:
    if not isinstance(key, str) or len(content := key.encode(errors="replace")) != 32:
        raise InvalidKeyError("apiv3_key must have exactly 32 bytes: it is set in the merchant console, not the v2 key")
    return content


def encrypt(text: str, key: rsa.RSAPublicKey) -> str:
    """Encrypt one sensitive field for the holder of `key`; raise ValueError above 214 bytes of UTF-8."""
    return base64.b64encode(key.encrypt(text.encode(), _OAEP)).decode()


def decrypt(ciphertext: str, key: rsa.RSAPrivateKey) -> str:
    """Decrypt one sensitive field of an answer; raise UndecryptableError if it was not encrypted for `key`."""
    try:
        return key.decrypt(base64.b64decode(ciphertext, validate=True), _OAEP).decode()
    except ValueError:
        raise UndecryptableError("the field was not encrypted for this merchant's key") from None
