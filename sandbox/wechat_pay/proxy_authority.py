"""The proxy's own certificate authority: it can speak for WeChat Pay's three host names and for nothing else.

Its key exists only while it signs the certificates of the three hosts, and is in no file: no further certificate can be
made with it. Name constraints (RFC 5280, 4.2.1.10) say the same; OpenSSL, Node.js and Go read them, Java does not read
those of a trusted authority. What is stored is the hosts' own key, in files that their owner alone can read.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES: Mapping[str, str] = {
    "api.mch.weixin.qq.com": "main",
    "api2.mch.weixin.qq.com": "backup",
    "apihk.mch.weixin.qq.com": "overseas",
}
"""WeChat Pay's host names (docs 4012075113, 4014096438), and the simulated host behind each."""

CERTIFICATE = "proxy_ca.pem"  # the file that a program has to trust
LIFETIME = timedelta(days=800)  # Apple's systems refuse a server's certificate of more than 825 days
LEAST = timedelta(days=30)  # validity that a stored one must have left
BEFORE = timedelta(days=1)  # valid since yesterday: the clock of a container may be slow

_NO_ADDRESS = [x509.IPAddress(ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
_SERVERS_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@dataclass(frozen=True, slots=True)
class ProxyAuthority:
    """The authority's certificate as PEM, and for each host name its key and certificate in one PEM."""

    certificate: str
    identities: Mapping[str, str] = field(repr=False)

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Make an authority and sign the hosts' certificates; its key is gone afterwards."""
        authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _root(authority, now)
        key = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return cls(_pem(root), {name: key + _pem(_leaf(name, server, root, authority, now)) for name in NAMES})

    @classmethod
    def of(cls, directory: Path | None, now: datetime | None = None) -> Self:
        """Return the authority of this folder; make and store one where there is none that is still valid for a month.

        Without a folder it lives as long as the process.
        """
        at = now or datetime.now(UTC)
        if directory is None:
            return cls.create(at)
        with suppress(OSError, ValueError, InvalidSignature):  # absent, damaged, or of two authorities
            authority = cls(*_read(directory))
            _require_fit(authority, at)
            return authority
        authority = cls.create(at)
        for name, text in {**_files(authority.identities), CERTIFICATE: authority.certificate}.items():
            write_private(directory / name, text.encode())
        return authority


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, whole or not at all; make the folder where there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _files(identities: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}.pem": text for name, text in identities.items()}


def _read(directory: Path) -> tuple[str, dict[str, str]]:
    identities = {name: (directory / f"{name}.pem").read_text(encoding="ascii") for name in NAMES}
    return (directory / CERTIFICATE).read_text(encoding="ascii"), identities


def _require_fit(authority: ProxyAuthority, now: datetime) -> None:
    """Raise ValueError or InvalidSignature unless the authority has signed every host's certificate for long enough."""
    root = x509.load_pem_x509_certificate(authority.certificate.encode())
    for identity in authority.identities.values():
        leaf = x509.load_pem_x509_certificate(identity.encode())
        leaf.verify_directly_issued_by(root)
        if leaf.not_valid_after_utc < now + LEAST or leaf.not_valid_before_utc > now:
            raise ValueError("the certificate ends soon, or begins later")


def _root(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("WeChat Pay sandbox: proxy on this machine")
    constraints = x509.NameConstraints([x509.DNSName(name) for name in NAMES], _NO_ADDRESS)
    builder = _builder(name, name, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def _leaf(
    host: str,
    server: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    builder = _builder(root.subject, _name(host), server.public_key(), now)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return builder.add_extension(issuer, critical=False).sign(key, hashes.SHA256())


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - BEFORE, now + LIFETIME)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.add_extension(_SERVERS_ONLY, critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
