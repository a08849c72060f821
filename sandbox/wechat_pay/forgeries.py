"""Notifications for those who test their own handler: genuine ones, and those that it must refuse (doc 4012071382)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sandbox.wechat_pay.draft import Signing

Forgery = Literal[
    "none", "wrong_signature", "stale_timestamp", "foreign_serial", "tampered_body", "missing_signature", "signtest"
]
FORGERIES = get_args(Forgery)

FOREIGN = "5" + "F" * 39  # a serial that no merchant holds
STALE = -301.0  # seconds: just outside the window of five minutes


@dataclass(frozen=True, slots=True)
class SignedNotification:
    """A notification as it stands on the wire."""

    headers: Mapping[str, str]
    body: bytes

    def as_dict(self) -> dict[str, object]:
        """Return headers and body, and the text that was signed, for the verb."""
        names = ("Wechatpay-Timestamp", "Wechatpay-Nonce")
        lines = [self.headers.get(name, "") for name in names]
        text = self.body.decode()
        return {"headers": dict(self.headers), "body": text, "signed_text": "\n".join([*lines, text, ""])}


_SIGNINGS: Mapping[str, Callable[[Signing], Signing]] = {
    "wrong_signature": lambda signing: replace(signing, key="another key"),
    "stale_timestamp": lambda signing: replace(signing, shift=STALE),
    "foreign_serial": lambda signing: replace(signing, serial=FOREIGN),
    "missing_signature": lambda signing: replace(signing, without=("Wechatpay-Signature",)),
    "signtest": lambda signing: replace(signing, prefix="WECHATPAY/SIGNTEST/"),
}


def signing_for(forgery: Forgery, signing: Signing) -> Signing:
    """Return how a forged notification is signed; a genuine one as it would be anyway."""
    return _SIGNINGS[forgery](signing) if forgery in _SIGNINGS else signing


def body_for(forgery: Forgery, body: bytes) -> bytes:
    """Return the body that is sent under the signature of the genuine one."""
    return body.replace(b"encrypt-resource", b"encrypt-Resource", 1) if forgery == "tampered_body" else body
