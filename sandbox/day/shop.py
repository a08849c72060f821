"""A shop that signs its calls by hand and sends them to a service in the same process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.wechat_pay import examples, times
from sandbox.wechat_pay.key_ring import SCHEME, sign
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.service import SimulatedService

BASE = "/v3/payscore/serviceorder"


@dataclass(slots=True)
class Shop:
    """One merchant's shop: `service` may be another one after a restart."""

    service: SimulatedService
    mchid: str
    notify_url: str
    clock: Callable[[], float]
    calls: int = 0

    def create(self, out_order_no: str) -> str:
        """Create an order; return the code of the refusal, empty for none."""
        return self._call("", examples.create(out_order_no, notify_url=self.notify_url))

    def complete(self, out_order_no: str, total_amount: int) -> str:
        """Complete an order."""
        return self._call(f"/{out_order_no}/complete", examples.complete(total_amount, self.clock()))

    def sync(self, out_order_no: str) -> str:
        """Report a payment of this moment."""
        return self._call(f"/{out_order_no}/sync", examples.sync(times.digits(self.clock())))

    def cancel(self, out_order_no: str) -> str:
        """Cancel an order."""
        return self._call(f"/{out_order_no}/cancel", examples.cancel())

    def _call(self, path: str, value: dict[str, Any]) -> str:
        self.calls += 1
        body, target = json.dumps(value, ensure_ascii=False).encode(), BASE + path
        merchant, now = self.service.merchant(self.mchid), str(int(self.clock()))
        signature = sign(merchant.key, f"POST\n{target}\n{now}\n{self.calls}\n".encode() + body + b"\n")
        fields = {"mchid": self.mchid, "nonce_str": str(self.calls), "signature": signature, "timestamp": now}
        pairs = ",".join(f'{name}="{text}"' for name, text in {**fields, "serial_no": merchant.serial_no}.items())
        headers = {
            "Authorization": f"{SCHEME} {pairs}",
            "Accept": "application/json",
            "User-Agent": "shop/1",
            "Content-Type": "application/json",
            "Wechatpay-Serial": self.service.platform.public_key_id,
        }
        reply = self.service.answer(Request("POST", target, headers, body)).reply
        return "" if reply.status < 300 else str(json.loads(reply.body)["code"])
