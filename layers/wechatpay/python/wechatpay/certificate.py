"""One X.509 certificate: its key, its serial as WeChat Pay writes it, whose it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from wechatpay.errors import InvalidKeyError
from wechatpay.pem import Block, find_block

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def load_certificate(given: "str | bytes | Block", field: str) -> "Certificate":
    """Read a certificate from PEM in any form people paste it; InvalidKeyError naming `field` where it is none."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415  36 ms that public-key mode never needs

    block = given if isinstance(given, Block) else find_block(given, field, "CERTIFICATE")
    try:
        return load_der_x509_certificate(block.der)
    except (ValueError, TypeError):
        raise InvalidKeyError(f"{field} is damaged or not a certificate") from None


def choose_certificate(blocks: Sequence[Block], name: str, field: str) -> "Certificate":
    """Return the certificate of a chain that has this serial, otherwise the first; InvalidKeyError as above."""
    chain = [load_certificate(block, field) for block in blocks]
    return next((certificate for certificate in chain if serial(certificate) == name.upper()), chain[0])


def public_key(certificate: "Certificate", field: str) -> rsa.RSAPublicKey:
    """Return the certificate's RSA key; InvalidKeyError where it is of another kind."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError(f"{field} has a public key that cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidKeyError(f"{field} is not a certificate for an RSA key")
    return key


def serial(certificate: "Certificate") -> str:
    """Return the serial as WeChat Pay writes it: upper-case hexadecimal, whole bytes."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def common_name(certificate: "Certificate", field: str) -> str:
    """Return the subject's common name: of a merchant's certificate, the mchid. InvalidKeyError if unreadable."""
    from cryptography.x509.oid import NameOID  # noqa: PLC0415  as above

    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        raise InvalidKeyError(f"{field} has a subject that cannot be read") from None
    return str(names[0].value) if names else ""
