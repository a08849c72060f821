"""Reading an X.509 certificate: its RSA key, its serial as WeChat Pay writes it, its common name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from wechatpay.errors import InvalidKeyError
from wechatpay.pem import Block, find_block

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def load_certificate(source: "str | bytes | Block", field: str) -> "Certificate":
    """Load a certificate from PEM (see `wechatpay.pem`); raise InvalidKeyError naming `field` where it is none."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415  36 ms that public-key mode never needs

    block = source if isinstance(source, Block) else find_block(source, field, "CERTIFICATE")
    try:
        return load_der_x509_certificate(block.der)
    except (ValueError, TypeError):
        raise InvalidKeyError(f"{field} is damaged or not a certificate") from None


def choose_certificate(blocks: Sequence[Block], name: str, field: str) -> "Certificate":
    """Return the certificate of a chain whose serial is `name`, otherwise the first; raise as `load_certificate`."""
    chain = [load_certificate(block, field) for block in blocks]
    return next((certificate for certificate in chain if read_serial(certificate) == name.upper()), chain[0])


def read_public_key(certificate: "Certificate", field: str) -> rsa.RSAPublicKey:
    """Return the certificate's RSA key; raise InvalidKeyError where it has another kind of key."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise InvalidKeyError(f"{field} has a public key that cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidKeyError(f"{field} is not a certificate for an RSA key")
    return key


def read_serial(certificate: "Certificate") -> str:
    """Return the serial as WeChat Pay writes it: upper-case hexadecimal, whole bytes."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def read_common_name(certificate: "Certificate", field: str) -> str:
    """Return the subject's common name, which is the mchid in a merchant's certificate; raise InvalidKeyError."""
    from cryptography.x509.oid import NameOID  # noqa: PLC0415  as above

    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        raise InvalidKeyError(f"{field} has a subject that cannot be read") from None
    return str(names[0].value) if names else ""
