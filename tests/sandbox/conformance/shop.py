"""A shop that calls WeChat Pay without a network: real signatures both ways, and a clock that stands still."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox.wechat_pay import examples
from sandbox.wechat_pay.keys import sign
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.times import digits

MCHID = "1230000109"
ORDERS = "/v3/payscore/serviceorder"
NOON = 1_767_240_000.0  # 2026-01-01, 12:00 in Beijing
SCHEME = "WECHATPAY2-SHA256-RSA2048"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the shop reads it."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        value: dict[str, Any] = json.loads(self.content or b"{}")
        return value

    @property
    def refusal(self) -> tuple[int, str, str]:
        """Status, code and message."""
        return self.status, self.json["code"], self.json["message"]

    def wrong(self, path: str, issue: str = "", location: str = "body") -> None:
        """Assert that this is the `PARAM_ERROR` of one parameter, in words that contain `issue`."""
        assert self.refusal == (400, "PARAM_ERROR", "参数错误"), self.json
        detail = self.json["detail"]
        assert set(detail) == {"field", "value", "issue", "location"}
        assert (detail["field"], detail["location"]) == (path, location), self.json
        assert issue in detail["issue"], self.json


@dataclass(slots=True)
class Shop:
    """A merchant with a simulator of its own; `now` is the time of both."""

    keys: Path
    now: float = NOON
    service: SimulatedService = field(init=False)

    def __post_init__(self) -> None:
        self.service = SimulatedService(clock=lambda: self.now, keys=self.keys)
        self.service.merchant(MCHID)

    def switch(self, **choices: Any) -> None:
        """Choose where pages are silent."""
        self.service.switches = replace(self.service.switches, **choices)

    # ---- calls

    def request(
        self, method: str, target: str, content: bytes = b"", /, *, mchid: str = MCHID, serial: str = "", **signed: str
    ) -> Request:
        """Make a signed request; `signed` replaces what goes into the Authorization."""
        merchant = self.service.merchant(mchid)
        parts = {"timestamp": str(int(self.now)), "nonce_str": "593BEC0C930BF1AFEB40B4A08C8FB242", **signed}
        message = f"{method}\n{target}\n{parts['timestamp']}\n{parts['nonce_str']}\n".encode() + content + b"\n"
        pairs = {"mchid": mchid, "serial_no": serial or merchant.serial_no, "signature": sign(merchant.key, message)}
        value = ",".join(f'{name}="{text}"' for name, text in {**pairs, **parts}.items())
        headers = {
            "Authorization": f"{SCHEME} {value}",
            "Accept": "application/json",
            "User-Agent": "till/1",
            "Content-Type": "application/json",
            "Wechatpay-Serial": self.service.platform.public_key_id,
        }
        return Request(method, target, headers, content)

    def send(self, request: Request) -> Answer:
        """Send a request; a success must verify."""
        reply = self.service.answer(request).reply
        answer = Answer(reply.status, reply.headers, reply.body)
        if reply.status < 300:
            self.verify(answer)
        return answer

    def verify(self, answer: Answer) -> None:
        """Verify the signature of an answer with the key that its serial names."""
        headers = answer.headers
        message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode()
        key = self.service.platform._key(headers["Wechatpay-Serial"], "foreign").public_key()
        signature = base64.b64decode(headers["Wechatpay-Signature"], validate=True)
        key.verify(signature, message + answer.content + b"\n", padding.PKCS1v15(), hashes.SHA256())

    def post(self, path: str, body: object, **signed: str) -> Answer:
        """Send JSON to a path below the service orders."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.send(self.request("POST", ORDERS + path, content, **signed))

    def create(self, number: str = "S1", /, **changes: object) -> Answer:
        """Create an order with the documented body; `changes` replace fields, None leaves one out."""
        return self.post("", without_none(examples.create(number, **changes)))

    def complete(self, total: int = 3900, /, **changes: object) -> Answer:
        """Complete the order S1."""
        return self.post("/S1/complete", without_none(examples.complete(total, self.now, **changes)))

    def modify(self, total: int = 3000, /, **changes: object) -> Answer:
        """Modify the order S1."""
        return self.post("/S1/modify", without_none(examples.modify(total, **changes)))

    def cancel(self, **changes: object) -> Answer:
        """Cancel the order S1."""
        return self.post("/S1/cancel", without_none(examples.cancel(**changes)))

    def sync(self, paid_time: str = "", /, **changes: object) -> Answer:
        """Report a payment of the order S1, now by default."""
        return self.post("/S1/sync", without_none(examples.sync(paid_time or digits(self.now), **changes)))

    def query(self, mchid: str = MCHID, /, **parameters: object) -> Answer:
        """Query the order S1, or by other parameters."""
        names = without_none({"out_order_no": "S1", **examples.WHO, **parameters})
        return self.send(self.request("GET", f"{ORDERS}?{urlencode(names)}", mchid=mchid))

    # ---- an order in a state

    def order(self) -> SimulatedOrder:
        """The order S1 as WeChat Pay has it."""
        return self.service.order(MCHID, "S1")

    def created(self, number: str = "S1", /, **changes: object) -> dict[str, Any]:
        """Have the order S1 created."""
        answer = self.create(number, **changes)
        assert answer.status == 200, answer.content
        return answer.json

    def confirmed(self, **changes: object) -> None:
        """Have the order S1 confirmed by the customer."""
        self.created(**changes)
        self.service.confirm(MCHID, "S1")

    def completed(self, total: int = 3900, **changes: object) -> dict[str, Any]:
        """Have the order S1 completed; a minute passes."""
        self.confirmed(**changes)
        answer = self.complete(total)
        assert answer.status == 200, answer.content
        self.now += 60
        return answer.json


def without_none(body: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that have a value."""
    return {name: value for name, value in body.items() if value is not None}
