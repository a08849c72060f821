"""An answer before it is signed and sent: what a fault may change about it, and what reaches the wire."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sandbox.wechat_pay.keys import SCHEME, SimulatedPlatform
from sandbox.wechat_pay.message import SimulatedReply
from sandbox.wechat_pay.orders import SimulatedOrder

Wire = Literal["whole", "reset", "half", "silence"]
"""What of the answer reaches the wire."""


@dataclass(frozen=True, slots=True)
class Signing:
    """How an answer is signed: by the public key or a certificate's key, unless `serial` or `key` names another.

    `shift` seconds are added to the timestamp; `prefix` precedes the signature; the headers of `without` are left out.
    """

    by: Literal["public_key", "certificate"] = "certificate"
    serial: str = ""
    key: str = ""
    shift: float = 0.0
    prefix: str = ""
    without: tuple[str, ...] = ()

    def headers(self, platform: SimulatedPlatform, body: bytes, now: float) -> dict[str, str]:
        """Sign the body at this Unix time, and return the Wechatpay headers (doc 4012365336)."""
        serial = self.serial or self._own_serial(platform)
        timestamp, nonce = str(int(now + self.shift)), secrets.token_hex(16)
        signature = platform.sign(self.key or serial, f"{timestamp}\n{nonce}\n".encode() + body + b"\n")
        headers = {
            "Wechatpay-Serial": serial,
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": self.prefix + signature,
            "Wechatpay-Signature-Type": SCHEME,
        }
        return {name: value for name, value in headers.items() if name not in self.without}

    def _own_serial(self, platform: SimulatedPlatform) -> str:
        return platform.public_key_id if self.by == "public_key" else platform.certificate_serial


@dataclass(frozen=True, slots=True)
class Interim:
    """Interim answers (RFC 9110, 15.2) before the real one; `endless`: they never stop, and no answer follows."""

    count: int = 0
    status: int = 103
    size: int = 0  # bytes of one header in each
    seconds: float = 0.0  # between two
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the bytes of an answer reach the wire, after `delay` seconds; a pace is seconds per byte, 0 all at once."""

    delay: float = 0.0
    head_pace: float = 0.0
    body_pace: float = 0.0
    interim: Interim = Interim()
    chunked: bool = False
    trailers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """A signed answer, how much of it reaches the wire, and at what pace."""

    reply: SimulatedReply
    wire: Wire = "whole"
    delivery: Delivery = field(default_factory=Delivery)


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer that is not signed yet; `alter` changes its body after signing.

    `order` is the one that the request names, as it stood before, where there is one; `at` the Unix time of the call.
    """

    reply: SimulatedReply
    signing: Signing = Signing()
    alter: Callable[[bytes], bytes] = bytes
    wire: Wire = "whole"
    delivery: Delivery = Delivery()
    order: SimulatedOrder | None = None
    at: float = 0.0

    def with_reply(self, reply: SimulatedReply) -> "Draft":
        """Return the draft with another reply."""
        return replace(self, reply=reply)

    def with_body(self, body: bytes) -> "Draft":
        """Return the draft with another body, which is signed."""
        return replace(self, reply=replace(self.reply, body=body))

    def signed(self, signing: Signing) -> "Draft":
        """Return the draft to be signed otherwise."""
        return replace(self, signing=signing)

    def altered(self, alter: Callable[[bytes], bytes]) -> "Draft":
        """Return the draft with a body that is changed after signing."""
        return replace(self, alter=alter)

    def sign(self, platform: SimulatedPlatform, now: float) -> Response:
        """Sign the answer, unless WeChat Pay would not, and return what is sent."""
        reply = self.reply
        if reply.body and "Content-Type" not in reply.headers:
            reply = reply.with_headers(Content_Type="application/json")
        if reply.signed:
            reply = replace(reply, headers={**reply.headers, **self.signing.headers(platform, reply.body, now)})
        return Response(replace(reply, body=self.alter(reply.body)), self.wire, self.delivery)
