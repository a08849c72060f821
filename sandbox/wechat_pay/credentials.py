"""A merchant's credentials as files, as WeChat Pay's merchant platform names them (doc 4013053057)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, PrivateFormat, pkcs12

from sandbox.wechat_pay.keys import Mode, SimulatedMerchant
from sandbox.wechat_pay.proxy_authority import CERTIFICATE, write_private

PRIVATE_KEY: Final = "apiclient_key.pem"
MERCHANT_CERTIFICATE: Final = "apiclient_cert.pem"
P12: Final = "apiclient_cert.p12"  # its password is the mchid
PUBLIC_KEY: Final = "pub_key.pem"
PUBLIC_KEY_ID: Final = "pub_key_id.txt"
APIV3_KEY: Final = "apiv3_key.txt"
TRUST_STORE: Final = "proxy_ca.p12"  # the proxy's authority for Java
TRUST_STORE_PASSWORD: Final = "changeit"  # noqa: S105  Java's own default; the store holds no key

_OURS = re.compile(
    rf"{PRIVATE_KEY}|{MERCHANT_CERTIFICATE}|{P12}|{PUBLIC_KEY}|{PUBLIC_KEY_ID}|{APIV3_KEY}"
    rf"|{CERTIFICATE}|{TRUST_STORE}|wechatpay_[0-9A-F]{{40}}\.pem"
)

type Files = Mapping[str, bytes]


def merchant_files(merchant: SimulatedMerchant, mode: Mode | None = None) -> Files:
    """Return the merchant's files by name: its own, and WeChat Pay's public key, its certificates, or both.

    Without `mode` they are what the merchant's kind has.
    """
    texts = {PRIVATE_KEY: merchant.private_key, MERCHANT_CERTIFICATE: merchant.certificate}
    if merchant.apiv3_key:
        texts[APIV3_KEY] = merchant.apiv3_key
    for serial, pem in merchant.platform_keys(mode or merchant.kind).items():
        texts |= _platform_files(serial, pem)
    return {name: text.encode() for name, text in texts.items()} | {P12: _p12(merchant)}


def authority_files(certificate: str) -> Files:
    """Return the proxy's authority as PEM, and as a trust store for Java."""
    authority = pkcs12.PKCS12Certificate(x509.load_pem_x509_certificate(certificate.encode()), b"wechat-pay-sandbox")
    store = pkcs12.serialize_java_truststore([authority], _encryption(TRUST_STORE_PASSWORD))
    return {CERTIFICATE: certificate.encode(), TRUST_STORE: store}


class ForeignCredentialsError(Exception):
    """The folder has credentials that the sandbox has not written: perhaps a key that nothing can restore."""


def write(directory: Path, files: Files) -> None:
    """Write the files, each whole and for its owner alone; remove those of an earlier writing that are out of date.

    Raise ForeignCredentialsError where there are such files already, without the proxy's authority among them.
    """
    if names := [name for name in files if not _OURS.fullmatch(name)]:
        raise ValueError(f"{names[0]!r} is no file of a merchant's credentials")
    before = _written(directory)
    if before and CERTIFICATE not in before:
        raise ForeignCredentialsError(f"{directory} has credentials that are not the sandbox's ({min(before)})")
    for name, content in sorted(files.items(), key=lambda file: file[0] != CERTIFICATE):  # the mark of a folder first
        write_private(directory / name, content)
    for name in before - files.keys():
        (directory / name).unlink()


def _written(directory: Path) -> set[str]:
    """Return the names in a folder that credentials have."""
    return {path.name for path in directory.iterdir() if _OURS.fullmatch(path.name)} if directory.exists() else set()


def _platform_files(serial: str, pem: str) -> dict[str, str]:
    if serial.startswith("PUB_KEY_ID_"):
        return {PUBLIC_KEY: pem, PUBLIC_KEY_ID: f"{serial}\n"}
    return {f"wechatpay_{serial}.pem": pem}


def _p12(merchant: SimulatedMerchant) -> bytes:
    certificate = x509.load_pem_x509_certificate(merchant.certificate.encode())
    encryption = _encryption(merchant.mchid)
    return pkcs12.serialize_key_and_certificates(b"Tenpay Certificate", merchant.key, certificate, None, encryption)


def _encryption(password: str) -> KeySerializationEncryption:
    """Encrypt as the merchant platform's tool does: Triple DES and SHA-1, which every PKCS#12 reader knows."""
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    return builder.hmac_hash(hashes.SHA1()).build(password.encode())  # noqa: S303
