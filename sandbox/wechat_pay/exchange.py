"""One request that was authenticated, as an endpoint sees it, and what the endpoint makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.wechat_pay.customers import Customers
from sandbox.wechat_pay.keys import SimulatedMerchant
from sandbox.wechat_pay.message import Request, SimulatedReply
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.switches import DEFAULTS, Switches

type Parameters = Mapping[str, Any]  # of a query or of a JSON body


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request for an endpoint: who asks, when, and with what; `order` is the one that it names, as it stands.

    `path` has the values of the template's placeholders, decoded. `ledger` is for endpoints that are about more than
    one order; the order that an endpoint returns is stored by the service.
    """

    request: Request
    operation: str
    endpoint: str
    path: Mapping[str, str]
    parameters: Parameters
    mchid: str
    at: float
    ledger: Customers = field(repr=False)
    switches: Switches = DEFAULTS
    order: SimulatedOrder | None = None

    @property
    def merchant(self) -> SimulatedMerchant:
        """The merchant that signed the request."""
        return self.ledger.merchant(self.mchid)

    @property
    def out_order_no(self) -> str:
        """The order's number: in the path, or else among the parameters; empty where there is none."""
        return self.path.get("out_order_no") or str(self.parameters.get("out_order_no", ""))


@dataclass(frozen=True, slots=True)
class Executed:
    """The answer, and the order as it is afterwards; without one nothing is stored."""

    reply: SimulatedReply
    order: SimulatedOrder | None = None
