"""A merchant in the same process as the simulated WeChat Pay: it signs by hand, asks, and reads the answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sandbox.wechat_pay.message import SimulatedReply
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.switches import DEFAULTS, Switches
from tests.sandbox.signed import MCHID, signed_request

APPID, SERVICE_ID = "wxd678efh567hg6787", "500001"
SUB_MCHID, SUB_APPID, CHANNEL_ID = "1900000109", "wxd678efh567hg6999", "1230000110"
OPENID, OTHER_OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMuAJO_M2pxb1Q9zNjWeS7p"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status and its JSON, empty where it has none."""

    reply: SimulatedReply
    status: int
    body: dict[str, Any]

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a refusal."""
        return self.status, str(self.body.get("code", ""))

    @property
    def field(self) -> str:
        """The parameter that a PARAM_ERROR names."""
        return str(self.body.get("detail", {}).get("field", ""))


class HandClock:
    """A clock that stands until it is moved by hand; it starts on 2026-01-01, noon in Beijing."""

    def __init__(self) -> None:
        self.now = 1_767_240_000.0

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


class Asking:
    """A merchant that asks, and WeChat Pay's clock."""

    def __init__(self, service: SimulatedService, clock: HandClock) -> None:
        self.service, self.clock = service, clock
        self.mchid = service.merchant(MCHID).mchid

    @classmethod
    def alone(cls, key_ring: Path, switches: Switches = DEFAULTS) -> Self:
        """Return one with a simulator of its own."""
        clock = HandClock()
        return cls(SimulatedService(clock=clock, keys=key_ring, switches=switches), clock)

    def post(self, target: str, body: dict[str, Any]) -> Answer:
        """Ask with a body."""
        return self._ask("POST", target, json.dumps(body, ensure_ascii=False).encode())

    def get(self, target: str, **query: str) -> Answer:
        """Ask without a body."""
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self._ask("GET", f"{target}?{text}" if query else target)

    def _ask(self, method: str, target: str, body: bytes = b"") -> Answer:
        reply = self.service.answer(signed_request(self.service, method, target, body, at=self.clock.now)).reply
        is_json = reply.headers.get("Content-Type", "application/json") == "application/json"
        return Answer(reply, reply.status, json.loads(reply.body) if is_json and reply.body else {})
