"""A call to the simulated WeChat Pay with its answer, as it was on the wire."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox.wechat_pay import SimulatedCall, signature_report


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that arrived at `at` (Unix seconds), and its answer; `status` 0: none reached the wire.

    `signature` is WeChat Pay's own report of what it read of the request's: `wechat_pay/signature_report`.
    """

    at: float
    operation: str
    method: str
    target: str
    mchid: str
    out_order_no: str
    host: str
    status: int
    code: str
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_body: bytes = field(default=b"", repr=False)
    answer_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer_body: bytes = field(default=b"", repr=False)
    signature: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, call: SimulatedCall) -> Self:
        """Return the exchange of a recorded call."""
        answer = call.answer
        return cls(
            call.at,
            call.operation,
            call.method,
            call.target,
            call.mchid,
            call.out_order_no,
            call.host,
            call.status,
            call.code,
            dict(call.headers),
            call.body,
            dict(answer.headers),
            answer.body,
            signature_report.report(call),
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read a call of the control port's view `calls?detail=true`."""
        answer = document.get("answer", {})
        return cls(
            float(document["at"]),
            document["operation"],
            document["method"],
            document["target"],
            document["mchid"],
            document["out_order_no"],
            document["host"],
            int(document["status"]),
            document["code"],
            document["headers"],
            base64.b64decode(document["body_base64"]),
            answer.get("headers", {}),
            base64.b64decode(answer.get("body_base64", "")),
            document["signature"],
        )

    def header(self, name: str) -> str:
        """Return a header of the request; empty if there is none."""
        return next((value for key, value in self.request_headers.items() if key.lower() == name.lower()), "")

    @property
    def is_verified(self) -> bool:
        """Whether WeChat Pay has verified the request's signature."""
        return bool(self.signature.get("verified"))

    @property
    def problem(self) -> str:
        """Why WeChat Pay has not verified it, in its own words; empty where it has."""
        return str(self.signature.get("problem", ""))

    @property
    def signed_text(self) -> bytes:
        """The text that the signature must cover as WeChat Pay reads the request; empty where it cannot."""
        return base64.b64decode(self.signature.get("signed_text_base64", ""))

    @property
    def refusal(self) -> Mapping[str, Any]:
        """The members of a refusal: `code`, `message` and `detail`; empty for a success or another body."""
        if self.status < 400:
            return {}
        try:
            members = json.loads(self.answer_body)
        except (ValueError, RecursionError):
            return {}
        return members if isinstance(members, dict) else {}

    @property
    def detail(self) -> Mapping[str, Any]:
        """The refusal's `detail`: `field`, `issue`, `location`, `value`."""
        detail = self.refusal.get("detail")
        return detail if isinstance(detail, dict) else {}
