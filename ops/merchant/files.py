"""Read the files that WeChat Pay's merchant platform gives; an error names the option, the file and the remedy.

No error, and no `repr`, shows a key or a password.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509 import Certificate

from ops.stack import OpsError
from wechatpay import InvalidKeyError, PlatformKeys
from wechatpay.certificate import load_certificate, read_serial
from wechatpay.merchant import load_private_key

LIMIT = 64 * 1024  # bytes; a file of the merchant platform has at most 4 KB, a secret may have 64

FILES = {
    "--private-key": "apiclient_key.pem",
    "--certificate": "apiclient_cert.pem",
    "--p12": "apiclient_cert.p12",
    "--public-key": "pub_key.pem",
    "--platform-certificate": "a platform certificate (wechatpay_….pem)",
    "--apiv3-key-file": "a file that contains the APIv3 key and nothing else",
}
"""The files by option, under the names that the merchant platform gives them."""

_PKCS12 = b"\x30"  # the first byte of DER: a sequence


@dataclass(frozen=True, slots=True)
class Credentials:
    """A merchant's API certificate and its private key; nothing says yet that they belong together."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: Certificate = field(repr=False)

    @property
    def serial_no(self) -> str:
        """The certificate's serial as WeChat Pay writes it."""
        return read_serial(self.certificate)

    @property
    def private_key_pem(self) -> str:
        """The private key as PEM (PKCS#8), as apiclient_key.pem has it."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def certificate_pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def read_bytes(option: str, path: Path) -> bytes:
    """Return the content of a file; OpsError if it is absent, a directory, unreadable, empty or too large."""
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise _error(option, path, f"there is no such file: give the path of {FILES[option]}") from None
    except IsADirectoryError:
        raise _error(option, path, f"it is a directory: give the path of {FILES[option]} in it") from None
    except PermissionError:
        raise _error(option, path, "it may not be read: run this as the owner of the file") from None
    except (OSError, ValueError) as error:
        raise _error(option, path, f"it cannot be read ({error}): copy it again") from None
    if not content.strip():
        raise _error(option, path, f"it is empty: give {FILES[option]} as it was downloaded")
    if len(content) > LIMIT:
        raise _error(option, path, f"it has more than {LIMIT // 1024} KB: give {FILES[option]}")
    return content


def read_pair(key: Path, certificate: Path) -> Credentials:
    """Read apiclient_key.pem and apiclient_cert.pem."""
    private_key = _load("--private-key", key, load_private_key)
    return Credentials(private_key, _load("--certificate", certificate, _certificate))


def read_p12(path: Path, password: str) -> Credentials:
    """Read apiclient_cert.p12; its password is the mchid, unless it was exported again."""
    option, content = "--p12", read_bytes("--p12", path)
    if not content.startswith(_PKCS12):
        raise _error(option, path, f"it is not a PKCS#12 file: give {FILES[option]}, or the two PEM files")
    try:
        private_key, certificate, _ = load_key_and_certificates(content, password.encode())
    except (ValueError, TypeError):
        remedy = "the merchant platform makes it the mchid; give another one with --p12-password"
        raise _error(option, path, f"its password is wrong, or the file is damaged: {remedy}") from None
    if not isinstance(private_key, rsa.RSAPrivateKey) or certificate is None:
        raise _error(option, path, f"it has no RSA key with a certificate: give {FILES[option]}, or the two PEM files")
    return Credentials(private_key, certificate)


def read_public_key(path: Path, key_id: str) -> dict[str, str]:
    """Read WeChat Pay's public key; return it as PEM under its id, as a secret has it."""
    name = key_id.strip().upper()
    keys = _load("--public-key", path, lambda content: PlatformKeys({name: content}))
    pem = keys[name].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {name: pem.decode()}


def read_platform_certificate(path: Path) -> dict[str, str]:
    """Read a platform certificate; return it as PEM under its serial, as a secret has it."""
    certificate = _load("--platform-certificate", path, _certificate)
    return {read_serial(certificate): certificate.public_bytes(Encoding.PEM).decode()}


def read_apiv3_key(path: Path) -> str:
    """Read a file that contains the APIv3 key; blanks and line ends around it do not count."""
    return apiv3_key(read_bytes("--apiv3-key-file", path), str(path))


def apiv3_key(content: bytes, source: str) -> str:
    """Return the APIv3 key in this content; the function's own rules judge it later."""
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise OpsError(f"--apiv3-key-file {source}: it is not text: give {FILES['--apiv3-key-file']}") from None


def _certificate(content: bytes) -> Certificate:
    return load_certificate(content, "it")


def _load[T](option: str, path: Path, load: Callable[[bytes], T]) -> T:
    """Return what the library reads in a file; its error says what the file is instead."""
    try:
        return load(read_bytes(option, path))
    except InvalidKeyError as error:
        raise _error(option, path, f"{error} (expected: {FILES[option]})") from None


def _error(option: str, path: Path, problem: str) -> OpsError:
    return OpsError(f"{option} {path}: {problem}")
