"""What a signature itself tells: which key made it, over which digest, by which algorithm.

The RSA operation of the public key gives the digest back (RFC 8017, 8.2.2), so one look at a signature names its key,
whatever text was signed; texts are then compared by their digests.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.signature.key_book import OwnedKey

# DigestInfo (RFC 8017, appendix A.2.4): what precedes the digest.
_PREFIXES = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "md5": bytes.fromhex("3020300c06082a864886f70d020505000410"),
}
ALGORITHMS = {"sha256": "SHA-256", "sha1": "SHA-1", "sha512": "SHA-512", "sha384": "SHA-384", "md5": "MD5"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A signature as bytes; `mistake` says how its text is not the base64 that WeChat Pay reads."""

    value: bytes
    mistake: str = ""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A signature that this key made: the digest in it, and the hash (as hashlib names it) that made the digest."""

    key: OwnedKey
    algorithm: str
    digest: bytes

    def covers(self, text: bytes) -> bool:
        """Return whether the text was signed."""
        return hashlib.new(self.algorithm, text, usedforsecurity=False).digest() == self.digest


def decode(signature: str) -> Decoded | None:
    """Read a signature: as base64, as the URL-safe kind, as hexadecimal digits; None if it is none of them."""
    text = "".join(signature.split())
    blanks = "it has blanks or line breaks (a base64 of 76 columns)" if text != signature else ""
    if re.fullmatch(r"([0-9a-fA-F]{2})+", text) and len(text) == 512:
        return Decoded(bytes.fromhex(text), "it is written in hexadecimal digits")
    if re.search(r"[-_]", text):
        text, blanks = text.replace("-", "+").replace("_", "/"), "it is written in URL-safe base64 (- and _)"
    padded = text + "=" * (-len(text) % 4)
    try:
        value = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Decoded(value, blanks or ("its base64 lacks the = at the end" if padded != text else ""))


def recover(signature: bytes, keys: Iterable[OwnedKey]) -> Recovered | None:
    """Return which of the keys made the signature by RSASSA-PKCS1-v1_5; None if none did."""
    for key in keys:
        try:
            info = key.key.recover_data_from_signature(signature, padding.PKCS1v15(), None)
        except (InvalidSignature, ValueError):
            continue
        for algorithm, prefix in _PREFIXES.items():
            if info.startswith(prefix):
                return Recovered(key, algorithm, info[len(prefix) :])
    return None


def is_pss(key: rsa.RSAPublicKey, signature: bytes, text: bytes) -> bool:
    """Return whether the key signed the text by RSASSA-PSS with SHA-256, which WeChat Pay does not verify."""
    try:
        key.verify(signature, text, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
