"""The files that WeChat Pay's merchant platform gives, made of real keys."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


def certificate_of(  # the subject is the mchid, as in WeChat Pay's certificates
    key: rsa.RSAPrivateKey, serial_no: str, subject: str, begin: timedelta = -100 * DAY, end: timedelta = 1725 * DAY
) -> x509.Certificate:
    """Return a certificate for a key, valid from and until these times from now."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), int(serial_no, 16), now + begin, now + end)
    return builder.sign(key, hashes.SHA256())


@dataclass(frozen=True)
class MerchantFiles:
    """A folder with the files of one merchant; `write` replaces one of them."""

    folder: Path
    mchid: str
    key: rsa.RSAPrivateKey
    serial_no: str

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_key()
        self.write_certificate(certificate_of(self.key, self.serial_no, self.mchid))

    def write_key(self, key: rsa.RSAPrivateKey | None = None, password: str = "") -> None:
        """Write apiclient_key.pem, encrypted if there is a password."""
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pem = (key or self.key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (self.folder / "apiclient_key.pem").write_bytes(pem)

    def write_certificate(self, certificate: x509.Certificate) -> None:
        """Write apiclient_cert.pem."""
        (self.folder / "apiclient_cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))

    def write_p12(self, password: str = "") -> Path:
        """Write apiclient_cert.p12 as the merchant platform does: three-key Triple DES, the mchid as the password."""
        path = self.folder / "apiclient_cert.p12"
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2048)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())  # noqa: S303  what the merchant platform's tool uses
            .build((password or self.mchid).encode())
        )
        certificate = certificate_of(self.key, self.serial_no, self.mchid)
        path.write_bytes(pkcs12.serialize_key_and_certificates(b"Tenpay", self.key, certificate, None, encryption))
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the folder, and return its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def pair(self) -> tuple[str, ...]:
        """The options that name the key and the certificate."""
        return (
            *("--private-key", str(self.folder / "apiclient_key.pem")),
            *("--certificate", str(self.folder / "apiclient_cert.pem")),
        )

    def public_key(self, keys: dict[str, str]) -> tuple[str, ...]:
        """Write pub_key.pem of WeChat Pay's keys by id; return the options that name it."""
        [(name, pem)] = keys.items()
        return ("--public-key", str(self.write_text("pub_key.pem", pem)), "--public-key-id", name)
