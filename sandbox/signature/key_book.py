"""Public keys by serial and owner: those of the merchants, present and former, and those of WeChat Pay."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

WECHAT_PAY = "WeChat Pay"


@dataclass(frozen=True, slots=True)
class OwnedKey:
    """A public key: its owner (an mchid, or WeChat Pay), its serial, and whether it is the one in use."""

    owner: str
    serial: str
    key: rsa.RSAPublicKey
    is_present: bool = True

    def __str__(self) -> str:
        """Return the key in words."""
        whose = WECHAT_PAY if self.owner == WECHAT_PAY else f"merchant {self.owner}"
        return f"the {'key' if self.is_present else 'former key'} {self.serial} of {whose}"


@dataclass(frozen=True, slots=True)
class KeyBook:
    """Every key that a signature may have been made with."""

    keys: tuple[OwnedKey, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read the view `public_keys` of the control port: PEM by serial, by owner, the key in use last."""
        pairs = [(owner, list(keys.items())) for owner, keys in document.items()]
        return cls(
            tuple(
                OwnedKey(owner, serial, public_key(pem), owner == WECHAT_PAY or (serial, pem) == keys[-1])
                for owner, keys in pairs
                for serial, pem in keys
            )
        )

    def of_owner(self, owner: str) -> list[OwnedKey]:
        """Return the owner's keys, the one in use first."""
        return sorted((key for key in self.keys if key.owner == owner), key=lambda key: not key.is_present)

    def present(self, owner: str) -> OwnedKey | None:
        """Return the key that the owner signs with; None if the owner is not known."""
        return next((key for key in self.of_owner(owner) if key.is_present), None)

    def of_serial(self, serial: str) -> OwnedKey | None:
        """Return the key with this serial, in whichever case it is written."""
        return next((key for key in self.keys if key.serial.upper() == serial.upper()), None)

    def at_serial(self, serial: str) -> "KeyBook":
        """Return the book as it was while the key of this serial was its owner's: for a call that was verified then."""
        owner = self.of_serial(serial)
        if owner is None or owner.owner == WECHAT_PAY:
            return self
        others = (replace(key, is_present=key is owner) if key.owner == owner.owner else key for key in self.keys)
        return KeyBook(tuple(others))

    def with_keys(self, keys: Iterable[OwnedKey]) -> "KeyBook":
        """Return the book with further keys in front."""
        return KeyBook((*keys, *self.keys))


def public_key(pem: str) -> rsa.RSAPublicKey:
    """Return the RSA key of a PEM: a public key, a certificate, or a private key; ValueError for anything else."""
    data = pem.encode()
    if "CERTIFICATE" in pem:
        key: object = x509.load_pem_x509_certificate(data).public_key()
    elif "PRIVATE KEY" in pem:
        key = load_pem_private_key(data, None).public_key()
    else:
        key = load_pem_public_key(data)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("it is no RSA key")  # noqa: TRY004  as the readers of PEM raise it
    return key


def serial_of(pem: str) -> str:
    """Return the serial of a certificate as 40 hexadecimal digits; empty for another PEM."""
    if "CERTIFICATE" not in pem:
        return ""
    return f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:040X}"
