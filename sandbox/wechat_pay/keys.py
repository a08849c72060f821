"""Who holds which key: WeChat Pay itself, by public key and platform certificates, and each merchant, by its kind."""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.wechat_pay import key_ring
from sandbox.wechat_pay.certificate_authority import PLATFORM, CertificateAuthority, merchant_subject
from sandbox.wechat_pay.key_ring import SCHEME as SCHEME  # noqa: PLC0414  with the keys, for their callers
from sandbox.wechat_pay.key_ring import KeyRing as KeyRing  # noqa: PLC0414
from sandbox.wechat_pay.key_ring import encrypt as encrypt  # noqa: PLC0414
from sandbox.wechat_pay.key_ring import sign as sign  # noqa: PLC0414
from sandbox.wechat_pay.state import State

Mode = Literal["public_key", "certificate", "both"]
"""What verifies WeChat Pay's answers: its public key, its platform certificates, or both in a migration."""

MODES: Sequence[Mode] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class PlatformCertificate:
    """A platform certificate; a withdrawn one is no longer handed out, and signs nothing."""

    serial: str
    key_name: str
    pem: str
    withdrawn: bool = False


class SimulatedPlatform:
    """WeChat Pay's side: one public key, and platform certificates, the newest of which signs."""

    def __init__(self, ring: KeyRing, state: State) -> None:
        self._ring = ring
        self._state = state
        self._authority = CertificateAuthority(ring)
        record = state.record("platform", "keys") or {}
        self._public_generation: int = record.get("public_generation", 0)
        self._issued = [PlatformCertificate(**entry) for entry in record.get("certificates", [])]

    @property
    def public_key_id(self) -> str:
        """The serial of the public key."""
        digits = int(key_ring.fingerprint(self._public_key), 16) % 10**32
        return f"PUB_KEY_ID_01{digits:032}"  # digits, as real ones

    @property
    def certificates(self) -> dict[str, str]:
        """Every platform certificate that is handed out as PEM, by serial, the oldest first."""
        return {one.serial: one.pem for one in self._valid()}

    @property
    def certificate_serial(self) -> str:
        """The serial of the newest platform certificate, 40 hexadecimal digits; empty where all are withdrawn."""
        return next(reversed(self.certificates), "")

    @property
    def root_certificate(self) -> str:
        """The certificate of Tenpay's root as PEM, which a chain check trusts (doc 4012069411)."""
        return self._authority.certificate(time.time())  # its readers go by the machine's clock

    def issue_certificate(self) -> str:
        """Sign with a new platform certificate from now on; the old ones are still handed out. Returns its serial."""
        with self._state.transaction():
            name = f"platform-certificate-{len(self._issued)}"
            key = self._ring.key(name)
            pem = self._authority.issue(PLATFORM, key, time.time())  # its readers go by the machine's clock
            self._issued.append(PlatformCertificate(key_ring.fingerprint(key), name, pem))
            self._write()
            return self._issued[-1].serial

    def withdraw_certificate(self, serial: str = "") -> str:
        """Withdraw a platform certificate, the newest without `serial`; with the last one, all downloads end in 404."""
        with self._state.transaction():
            serials = list(self.certificates)
            serial = serial or next(reversed(serials), "")
            if serial not in serials:
                raise ValueError(f"serial must be one of {', '.join(serials) or 'none: issue a certificate first'}")
            self._issued = [replace(one, withdrawn=one.withdrawn or one.serial == serial) for one in self._issued]
            self._write()
            return serial

    def replace_public_key(self) -> str:
        """Sign with a new public key from now on; the old one is unknown from now on. Returns its id."""
        with self._state.transaction():
            self._public_generation += 1
            self._write()
            return self.public_key_id

    def sign(self, serial: str, message: bytes) -> str:
        """Sign as the owner of this serial; any other serial gets a key that no merchant trusts."""
        return key_ring.sign(self._key(serial), message)

    def decrypt(self, serial: str, ciphertext: str) -> str:
        """Read a sensitive field that was encrypted for this serial; ValueError where it was not."""
        return key_ring.decrypt(self._key(serial), ciphertext)

    def keys(self, mode: Mode) -> dict[str, str]:
        """Return the keys that a merchant verifies with, by serial."""
        entries = {} if mode == "certificate" else {self.public_key_id: key_ring.public_pem(self._public_key)}
        return entries if mode == "public_key" else entries | self.certificates

    @property
    def _public_key(self) -> rsa.RSAPrivateKey:
        generation = self._public_generation
        return self._ring.key(f"platform-{generation}" if generation else "platform")

    def _key(self, serial: str, otherwise: str = "foreign") -> rsa.RSAPrivateKey:
        if serial == self.public_key_id:
            return self._public_key
        names = {one.serial: one.key_name for one in self._valid()}
        return self._ring.key(names.get(serial, otherwise))

    def _valid(self) -> list[PlatformCertificate]:
        with self._state.lock:
            if not self._issued:
                self.issue_certificate()
            return [one for one in self._issued if not one.withdrawn]

    def _write(self) -> None:
        certificates = [asdict(one) for one in self._issued]
        record = {"public_generation": self._public_generation, "certificates": certificates}
        self._state.put_record("platform", "keys", record)


@dataclass(frozen=True, slots=True)
class MerchantRecord:
    """What WeChat Pay stores of a merchant; `generation` counts how often its key was replaced."""

    generation: int = 0
    key_since: float = 0.0
    kind: Mode = "both"
    has_apiv3_key: bool = True


class SimulatedMerchant:
    """A merchant of WeChat Pay, with the key material of both sides."""

    def __init__(self, mchid: str, ring: KeyRing, platform: SimulatedPlatform, state: State) -> None:
        if not isinstance(mchid, str) or not re.fullmatch(r"[0-9]{1,32}", mchid):
            raise ValueError(f"mchid must be 1 to 32 digits, not {mchid!r}")
        self.mchid = mchid
        self._ring = ring
        self._platform = platform
        self._state = state
        stored = state.record("merchant", mchid)
        self._record = MerchantRecord(**stored) if stored else MerchantRecord(key_since=time.time())
        if not stored:
            self._write(self._record)

    @property
    def kind(self) -> Mode:
        """What verifies WeChat Pay's answers to this merchant; `both` in a migration."""
        return self._record.kind

    @property
    def has_apiv3_key(self) -> bool:
        """Whether the merchant has set an APIv3 key; without one it gets no notifications and no certificates."""
        return self._record.has_apiv3_key

    @property
    def apiv3_key(self) -> str:
        """The merchant's APIv3 key, 32 characters; empty where it has set none."""
        return (self.mchid + "0123456789abcdefghijklmnopqrstuv")[:32] if self.has_apiv3_key else ""

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The merchant's present key."""
        return self._ring.key(self._key_name(self._record.generation))

    @property
    def public_keys(self) -> dict[str, str]:
        """The public keys that the merchant has had as PEM, by their serials; the present one last."""
        keys = [self._ring.key(self._key_name(generation)) for generation in range(self._record.generation + 1)]
        return {key_ring.fingerprint(key): key_ring.public_pem(key) for key in keys}

    @property
    def private_key(self) -> str:
        """The merchant's present key as PEM: `apiclient_key.pem`."""
        return key_ring.private_pem(self.key)

    @property
    def certificate(self) -> str:
        """The merchant's API certificate as PEM: `apiclient_cert.pem` (doc 4013053057).

        Its serial is `serial_no`, its common name the mchid, its issuer Tenpay's root.
        """
        authority = CertificateAuthority(self._ring)
        return authority.issue(merchant_subject(self.mchid), self.key, self._record.key_since)

    @property
    def serial_no(self) -> str:
        """The serial of the merchant's API certificate."""
        return key_ring.fingerprint(self.key)

    def rotate_key(self) -> None:
        """Give the merchant a new key, serial and certificate; the old ones are refused from now on."""
        self._write(replace(self._record, generation=self._record.generation + 1, key_since=time.time()))

    def change(self, *, kind: Mode | None = None, has_apiv3_key: bool | None = None) -> None:
        """Change the merchant's kind, or whether it has set an APIv3 key."""
        if kind is not None and kind not in MODES:
            raise ValueError(f"kind must be one of {', '.join(MODES)}, not {kind!r}")
        record = self._record if kind is None else replace(self._record, kind=kind)
        self._write(record if has_apiv3_key is None else replace(record, has_apiv3_key=has_apiv3_key))

    def platform_keys(self, mode: Mode | None = None) -> dict[str, str]:
        """Return WeChat Pay's keys as the merchant holds them: by its kind; in a migration the public key alone."""
        return self._platform.keys(mode or ("public_key" if self.kind == "both" else self.kind))

    def secret(self, mode: Mode | None = None) -> dict[str, Any]:
        """Return the merchant's secret as the adapter reads it."""
        return {
            "mchid": self.mchid,
            "serial_no": self.serial_no,
            "private_key": self.private_key,
            "platform_keys": self.platform_keys(mode),
            "apiv3_key": self.apiv3_key or None,
        }

    def _key_name(self, generation: int) -> str:
        return f"{self.mchid}-{generation}"

    def _write(self, record: MerchantRecord) -> None:
        self._state.put_record("merchant", self.mchid, asdict(record))
        self._record = record
