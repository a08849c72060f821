"""Certificates of Tenpay's authority, for merchants and for WeChat Pay itself (docs 4013053057, 4012068829)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sandbox.wechat_pay.key_ring import KeyRing, fingerprint

LIFETIME = timedelta(days=1825)  # five years
BEFORE = timedelta(days=1)  # a certificate is valid since yesterday: the clock of its reader may be slow

_NAMES: Final[Mapping[str, x509.ObjectIdentifier]] = {
    "C": NameOID.COUNTRY_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}
_TENPAY = {"C": "CN", "O": "Tenpay.com", "OU": "Tenpay.com CA Center"}
AUTHORITY = _TENPAY | {"CN": "Tenpay.com Root CA"}
PLATFORM = _TENPAY | {"CN": "Tenpay.com sign"}


def merchant_subject(mchid: str) -> dict[str, str]:
    """Return the subject of a merchant's certificate: its number is the common name."""
    return {"C": "CN", "L": "Shenzhen", "O": "微信商户系统", "OU": "PayScore sandbox", "CN": mchid}


class CertificateAuthority:
    """The root that signs every certificate; a certificate's serial is the fingerprint of its key."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def certificate(self, at: float) -> str:
        """Return the root's own certificate as PEM: what a chain check trusts."""
        root = self._ring.key("root")
        return _pem(self._builder(AUTHORITY, root, at, is_authority=True).sign(root, hashes.SHA256()))

    def issue(self, subject: Mapping[str, str], key: rsa.RSAPrivateKey, at: float) -> str:
        """Return a certificate for the key as PEM, issued at this Unix time: the same for the same time."""
        return _pem(self._builder(subject, key, at).sign(self._ring.key("root"), hashes.SHA256()))

    def _builder(
        self, subject: Mapping[str, str], key: rsa.RSAPrivateKey, at: float, *, is_authority: bool = False
    ) -> x509.CertificateBuilder:
        since = datetime.fromtimestamp(int(at), UTC)
        builder = x509.CertificateBuilder(_name(AUTHORITY), _name(subject), key.public_key())
        builder = builder.serial_number(int(fingerprint(key), 16))
        builder = builder.not_valid_before(since - BEFORE).not_valid_after(since + LIFETIME)
        return builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)


def _name(parts: Mapping[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(_NAMES[name], value) for name, value in parts.items()])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
