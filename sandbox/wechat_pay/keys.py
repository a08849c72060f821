"""Real keys, made on first use: the merchants', and WeChat Pay's own, as public key and as platform certificate."""

import base64
import re
import threading
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

SCHEME = "WECHATPAY2-SHA256-RSA2048"

# WeChat Pay's RSA-OAEP is the one with SHA-1.
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303

Mode = Literal["public_key", "certificate", "both"]


class KeyRing:
    """Keys by name, stored in `directory` where there is one, so that they are the same after a restart."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._keys: dict[str, rsa.RSAPrivateKey] = {}

    def key(self, name: str) -> rsa.RSAPrivateKey:
        """Return the key of this name, RSA with 2048 bits; make it on first use."""
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
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(private_pem(key).encode())
        return key

    def _path(self, name: str) -> Path | None:
        if not re.fullmatch(r"[a-z0-9-]+", name):  # it becomes the name of a file
            raise ValueError(f"{name!r} names no key")
        return self._directory / f"{name}.pem" if self._directory else None


class SimulatedPlatform:
    """WeChat Pay's side: one public key, and platform certificates, the newest of which signs."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._certificates: dict[str, x509.Certificate] = {}
        self._names: dict[str, str] = {}
        self._issuing = threading.Lock()

    @cached_property
    def public_key_id(self) -> str:
        """The serial of the public key."""
        return f"PUB_KEY_ID_01{int(_fingerprint(self._ring.key('platform')), 16) % 10**32:032}"  # digits, as real ones

    @property
    def certificates(self) -> dict[str, str]:
        """Every platform certificate as PEM, by serial, the oldest first."""
        self._issue_first()
        return {
            serial: certificate.public_bytes(Encoding.PEM).decode()
            for serial, certificate in self._certificates.items()
        }

    @property
    def certificate_serial(self) -> str:
        """The serial of the newest platform certificate, 40 hexadecimal digits."""
        self._issue_first()
        return next(reversed(self._certificates))

    def issue_certificate(self) -> str:
        """Sign with a new platform certificate from now on; the old ones are still handed out. Returns its serial."""
        key_name = f"platform-certificate-{len(self._certificates)}"
        key = self._ring.key(key_name)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), int(_fingerprint(key), 16))
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1825))
        serial = _fingerprint(key)
        self._certificates[serial], self._names[serial] = builder.sign(key, hashes.SHA256()), key_name
        return serial

    def _issue_first(self) -> None:
        with self._issuing:
            if not self._certificates:
                self.issue_certificate()

    def sign(self, serial: str, message: bytes) -> str:
        """Sign as the owner of this serial; any other serial gets a key that no merchant trusts."""
        return sign(self._key(serial, "foreign"), message)

    def decrypt(self, serial: str, ciphertext: str) -> str:
        """Read a sensitive field that was encrypted for this serial; ValueError where it was not."""
        plain = self._key(serial, "foreign").decrypt(base64.b64decode(ciphertext, validate=True), _OAEP)
        return plain.decode()

    def _key(self, serial: str, otherwise: str) -> rsa.RSAPrivateKey:
        self._issue_first()
        name = "platform" if serial == self.public_key_id else self._names.get(serial, otherwise)
        return self._ring.key(name)

    def keys(self, mode: Mode) -> dict[str, str]:
        """Return the keys that a merchant verifies with, by serial."""
        public = public_pem(self._ring.key("platform").public_key())
        entries = {} if mode == "certificate" else {self.public_key_id: public}
        if mode != "public_key":
            entries |= self.certificates
        return entries


class SimulatedMerchant:
    """A merchant of WeChat Pay, with the key material of both sides."""

    def __init__(self, mchid: str, ring: KeyRing, platform: SimulatedPlatform) -> None:
        if not isinstance(mchid, str) or not re.fullmatch(r"[0-9]{1,32}", mchid):
            raise ValueError(f"mchid must be 1 to 32 digits, not {mchid!r}")
        self.mchid = mchid
        self.apiv3_key = _apiv3_key(mchid)
        self._ring = ring
        self._platform = platform
        self._generation = 0

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The merchant's present key."""
        return self._ring.key(f"{self.mchid}-{self._generation}")

    @property
    def public_keys(self) -> dict[str, str]:
        """The public keys that the merchant has had as PEM, by their serials; the present one last."""
        keys = [self._ring.key(f"{self.mchid}-{generation}") for generation in range(self._generation + 1)]
        return {_fingerprint(key): public_pem(key.public_key()) for key in keys}

    @property
    def private_key(self) -> str:
        """The merchant's present key as PEM: `apiclient_key.pem`."""
        return private_pem(self.key)

    @property
    def serial_no(self) -> str:
        """The serial of the merchant's API certificate."""
        return _fingerprint(self.key)

    def rotate_key(self) -> None:
        """Give the merchant a new key and serial; the old one is refused from now on."""
        self._generation += 1

    def platform_keys(self, mode: Mode = "public_key") -> dict[str, str]:
        """Return WeChat Pay's keys as the merchant holds them."""
        return self._platform.keys(mode)

    def secret(self, mode: Mode = "public_key") -> dict[str, Any]:
        """Return the merchant's secret as the adapter reads it."""
        return {
            "mchid": self.mchid,
            "serial_no": self.serial_no,
            "private_key": self.private_key,
            "platform_keys": self.platform_keys(mode),
            "apiv3_key": self.apiv3_key,
        }


def sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """Sign by RSASSA-PKCS1-v1_5 with SHA-256, in base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def encrypt(key: rsa.RSAPublicKey, plain: str) -> str:
    """Encrypt a sensitive field for the owner of the key, base64."""
    return base64.b64encode(key.encrypt(plain.encode(), _OAEP)).decode()


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Write the key as PKCS#8 in PEM, as WeChat Pay's tool does."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPublicKey) -> str:
    """Write a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _fingerprint(key: rsa.RSAPrivateKey) -> str:
    """Forty digits that belong to this key alone; a certificate's serial is at most 20 bytes, and positive."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return f"5{digest.finalize().hex().upper()[:39]}"


def _apiv3_key(mchid: str) -> str:
    return (mchid + "0123456789abcdefghijklmnopqrstuv")[:32]
