"""RSA keys by name, and what WeChat Pay does with them: sign, encrypt, write as PEM."""

import base64
import os
import re
import threading
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

SCHEME = "WECHATPAY2-SHA256-RSA2048"

# WeChat Pay's RSA-OAEP is the one with SHA-1.
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303


class KeyRing:
    """Keys by name, stored in `directory` where there is one, so that they are the same after a restart."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._lock = threading.Lock()

    def key(self, name: str) -> rsa.RSAPrivateKey:
        """Return the key of this name, RSA with 2048 bits; make it on first use."""
        with self._lock:
            if name not in self._keys:
                self._keys[name] = self._stored(name) or self._new(name)
            return self._keys[name]

    def _stored(self, name: str) -> rsa.RSAPrivateKey | None:
        path = self._path(name)
        if path is None or not path.exists():
            return None
        key = load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        return key if isinstance(key, rsa.RSAPrivateKey) else None

    def _new(self, name: str) -> rsa.RSAPrivateKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if path := self._path(name):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")  # renamed once it is whole: a kill leaves no half of a key
            draft.touch(mode=0o600)
            draft.write_bytes(private_pem(key).encode())
            draft.replace(path)
        return key

    def _path(self, name: str) -> Path | None:
        if not re.fullmatch(r"[a-z0-9-]+", name):  # it becomes the name of a file
            raise ValueError(f"{name!r} names no key")
        return self._directory / f"{name}.pem" if self._directory else None


def sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """Sign by RSASSA-PKCS1-v1_5 with SHA-256, in base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def encrypt(key: rsa.RSAPublicKey, plain: str) -> str:
    """Encrypt a sensitive field for the owner of the key, base64."""
    return base64.b64encode(key.encrypt(plain.encode(), OAEP)).decode()


def decrypt(key: rsa.RSAPrivateKey, ciphertext: str) -> str:
    """Read a sensitive field that was encrypted for this key; ValueError where it was not."""
    return key.decrypt(base64.b64decode(ciphertext, validate=True), OAEP).decode()


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Write the key as PKCS#8 in PEM, as WeChat Pay's tool does."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Write the public part as SubjectPublicKeyInfo in PEM, as `pub_key.pem` has it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(key: rsa.RSAPrivateKey) -> str:
    """Forty digits that belong to this key alone; a certificate's serial is at most 20 bytes, and positive."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return f"5{digest.finalize().hex().upper()[:39]}"
