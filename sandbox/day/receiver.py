"""The merchant's handler of notifications: verifies and opens each one, and refuses some at random, as handlers do."""

import base64
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.wechat_pay.forgeries import SignedNotification
from sandbox.wechat_pay.keys import SimulatedMerchant

REFUSED = 0.2  # the part of all attempts that the handler refuses


@dataclass(slots=True)
class Receiver:
    """A handler that counts what it has accepted: by order and event, and how often each id came."""

    merchant: SimulatedMerchant
    dice: random.Random
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    attempts: int = 0

    def receive(self, notify_url: str, signed: SignedNotification) -> int:
        """Answer as a handler does: 204, or 500 without having looked."""
        self.attempts += 1
        if self.dice.random() < REFUSED:
            return 500
        self._verify(signed)
        envelope = json.loads(signed.body)
        resource = envelope["resource"]
        cipher = AESGCM(self.merchant.apiv3_key.encode())
        sealed, data = base64.b64decode(resource["ciphertext"]), resource["associated_data"].encode()
        order = json.loads(cipher.decrypt(resource["nonce"].encode(), sealed, data))
        self.accepted[order["out_order_no"], envelope["event_type"]] += 1
        self.ids.add(envelope["id"])
        return 204

    def _verify(self, signed: SignedNotification) -> None:
        """Raise InvalidSignature unless the signature covers exactly what came."""
        names = ("Wechatpay-Timestamp", "Wechatpay-Nonce")
        text = "".join(f"{signed.headers[name]}\n" for name in names).encode() + signed.body + b"\n"
        [pem] = self.merchant.platform_keys("public_key").values()
        key = load_pem_public_key(pem.encode())
        signature = base64.b64decode(signed.headers["Wechatpay-Signature"])
        cast(rsa.RSAPublicKey, key).verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
