"""Real keys of both sides, made once per session, and WeChat Pay's way of signing."""

import base64
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from wechatpay.merchant import Merchant
from wechatpay.platform_keys import PlatformKeys

from .wire import Server

PUBLIC_KEY_ID = "PUB_KEY_ID_0112300001092024110110039720000001"
CERTIFICATE_SERIAL = "7132D72A03E93CDDF8C03BBD1F37EEDF00A1B2C3"
NOW = 1_800_000_000


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@pytest.fixture(scope="session")
def merchant_key() -> rsa.RSAPrivateKey:
    """The private key of the merchant's API certificate."""
    return rsa_key()


@pytest.fixture(scope="session")
def merchant_pem(merchant_key: rsa.RSAPrivateKey) -> str:
    """The text of apiclient_key.pem."""
    return merchant_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="session")
def merchant(merchant_pem: str) -> Merchant:
    """The merchant that signs."""
    return Merchant(mchid="1230000109", serial_no="3775B6A45ACD588826D15E583A95F5DD00000001", private_key=merchant_pem)


@pytest.fixture(scope="session")
def platform_key() -> rsa.RSAPrivateKey:
    """The private half of WeChat Pay's public key."""
    return rsa_key()


@pytest.fixture(scope="session")
def platform_pem(platform_key: rsa.RSAPrivateKey) -> str:
    """The text of pub_key.pem."""
    return public_pem(platform_key)


@pytest.fixture(scope="session")
def certificate_key() -> rsa.RSAPrivateKey:
    """The private key of WeChat Pay's platform certificate."""
    return rsa_key()


@pytest.fixture(scope="session")
def foreign_key() -> rsa.RSAPrivateKey:
    """A key that belongs to neither side."""
    return rsa_key()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Return the public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate_pem(key: rsa.RSAPrivateKey, serial: str, *, days: int = 1825) -> str:
    """Return a certificate for the key, as WeChat Pay issues them: five years, hexadecimal serial."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    begin = datetime.fromtimestamp(NOW, UTC) - timedelta(days=100)
    builder = x509.CertificateBuilder(name, name, key.public_key(), int(serial, 16), begin, begin + timedelta(days))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="session")
def certificate(certificate_key: rsa.RSAPrivateKey) -> str:
    """A platform certificate."""
    return certificate_pem(certificate_key, CERTIFICATE_SERIAL)


@pytest.fixture(scope="session")
def platform_keys(platform_pem: str, certificate: str) -> PlatformKeys:
    """The keys of a merchant in migration: WeChat Pay's public key and a platform certificate."""
    return PlatformKeys({PUBLIC_KEY_ID: platform_pem, CERTIFICATE_SERIAL: certificate})


type Sign = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def signed(platform_key: rsa.RSAPrivateKey) -> Sign:
    """A function that signs a body as WeChat Pay does and returns the headers of its answer."""

    def sign(
        body: bytes,
        *,
        key: rsa.RSAPrivateKey = platform_key,
        serial: str = PUBLIC_KEY_ID,
        at: int = NOW,
        nonce: str = "d824f2e086d3c1df967785d13fcd22ef",
    ) -> dict[str, str]:
        signature = key.sign(f"{at}\n{nonce}\n".encode() + body + b"\n", padding.PKCS1v15(), hashes.SHA256())
        return {
            "Wechatpay-Timestamp": str(at),
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Request-ID": "08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-0",
        }

    return sign


@pytest.fixture(scope="session")
def openssl() -> Path:
    """The command `openssl`, which shares no code with this library."""
    path = shutil.which("openssl")
    if path is None:
        pytest.skip("the command openssl is not installed: nothing independent to compare signatures with")
    return Path(path)


@pytest.fixture
def main() -> Iterator[Server]:
    """The main host, which answers by its script."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def backup() -> Iterator[Server]:
    """The backup host, which answers by its script."""
    server = Server()
    yield server
    server.close()
