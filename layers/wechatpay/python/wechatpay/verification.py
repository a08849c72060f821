"""Verifying WeChat Pay's signatures: one pure function for answers and notifications (docs 4013053249, 4013053420)."""

import base64
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from wechatpay.errors import Reason, UntrustedError
from wechatpay.message import SCHEME, answer_message

WINDOW = 300
"""The most seconds between a signature's timestamp and our clock, either way; a replayed old answer has more."""

PROBE = "WECHATPAY/SIGNTEST/"
"""The prefix of a signature that WeChat Pay makes wrong on purpose (doc 4013053249)."""

_PADDING = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
_NUMBER = re.compile(r"[0-9]{1,12}")
_REQUIRED = {
    name.lower(): name for name in ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature")
}


def verify(headers: Mapping[str, str], body: bytes, keys: Mapping[str, rsa.RSAPublicKey], now: float) -> str:
    """Return the serial of the key that signed exactly these bytes; `now` is Unix seconds.

    The key is the one that `Wechatpay-Serial` names. Header names ignore case; an absent `Wechatpay-Signature-Type`
    counts as RSA. Raise UntrustedError with its `reason` for everything that does not verify.
    """
    values = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    serial, timestamp, nonce, signature = signed = [values.get(name, "") for name in _REQUIRED]

    def untrusted(reason: Reason, text: str) -> UntrustedError:
        return UntrustedError(text, reason=reason, serial=serial, held=keys, request_id=values.get("request-id", ""))

    if not all(signed):
        missing = [name for name, value in zip(_REQUIRED.values(), signed, strict=True) if not value]
        raise untrusted("unsigned", f"not signed: {', '.join(missing)} missing (a proxy may have dropped the headers)")
    if (kind := values.get("wechatpay-signature-type", SCHEME)) != SCHEME:
        raise untrusted("signature_type", f"signed with {kind[:64]!r}, only {SCHEME} is verified")
    if not _NUMBER.fullmatch(timestamp):
        raise untrusted("timestamp", "Wechatpay-Timestamp is not a number of seconds")
    if (key := keys.get(serial)) is None:
        ours = ", ".join(keys) or "none"
        raise untrusted("unknown_serial", f"signed with the key {serial[:64]!r}, which is not among ours: {ours}")
    if abs(now - int(timestamp)) > WINDOW:
        raise untrusted("stale", f"signed at {timestamp}, our clock says {now:.0f}: more than {WINDOW} s apart")
    if signature.startswith(PROBE):
        raise untrusted("probe", "signed wrongly on purpose, to test that signatures are verified here")
    if not _verifies(key, signature, timestamp, nonce, body):
        raise untrusted("signature", f"the signature is not that of the key {serial} over these {len(body)} bytes")
    return serial


def _verifies(key: rsa.RSAPublicKey, signature: str, timestamp: str, nonce: str, body: bytes) -> bool:
    if "\n" in nonce:  # otherwise the first lines of a signed body could be moved into the nonce
        return False
    try:
        message = answer_message(timestamp, nonce, body)
        key.verify(base64.b64decode(signature, validate=True), message, _PADDING, _SHA256)
    except (InvalidSignature, ValueError):  # ValueError: not base64, or not text
        return False
    return True
