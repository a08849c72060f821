"""The orders of a chaos run: merchants, endpoints and numbers, drawn from the seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.audit import WITH_SUB_MERCHANT, order_key
from sandbox.testbed import MERCHANT, OTHER_MERCHANT

KEYLESS_MERCHANT = "1999000109"  # a merchant whose secret is created only in the repair
SUB_MERCHANT, OTHER_SUB_MERCHANT, CHANNEL = "1900000555", "1900000777", "CHANNEL-1"

# percent of the orders, by endpoint
ENDPOINTS = {"direct": 80, "partner": 6, "acquiringbank": 5, "payafter": 4, "oversea": 5}
WITHOUT_PAYAFTER = {"nothing due"}  # payafter's answer for an order without anything due is not documented
SHARED_NUMBERS = 0.5  # of the sub-merchants' orders whose number another sub-merchant's order has too


@dataclass(frozen=True, slots=True)
class Sale:
    """An order at WeChat Pay whose payment a till will report."""

    mchid: str
    out_order_no: str
    endpoint: str = "direct"
    sub_mchid: str = ""

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return order_key(self.mchid, self.out_order_no, self.sub_mchid)

    def payload(self, paid_time: str) -> dict[str, object]:
        """Return the payload of the till's report."""
        more = {"endpoint": self.endpoint} if self.endpoint != "direct" else {}
        more |= {"sub_mchid": self.sub_mchid} if self.sub_mchid else {}
        more |= {"channel_id": CHANNEL} if self.endpoint == "acquiringbank" else {}
        return {"mchid": self.mchid, "out_order_no": self.out_order_no, **more, "detail": {"paid_time": paid_time}}


def draw(dice: random.Random, shares: Mapping[str, int]) -> str:
    """Draw a key with the weight that is its value."""
    return dice.choices(list(shares), list(shares.values()))[0]


def draw_sales(dice: random.Random, kind: str, number: str) -> list[Sale]:
    """Draw one order; two where another sub-merchant's order has the same number."""
    mchid = KEYLESS_MERCHANT if kind == "merchant without a secret" else dice.choice((MERCHANT, OTHER_MERCHANT))
    endpoint = draw(dice, ENDPOINTS)
    if endpoint == "payafter" and kind in WITHOUT_PAYAFTER:
        endpoint = "direct"
    if endpoint not in WITH_SUB_MERCHANT:
        return [Sale(mchid, number, endpoint)]
    shared = kind == "ready" and dice.random() < SHARED_NUMBERS
    owners = (SUB_MERCHANT, OTHER_SUB_MERCHANT) if shared else (SUB_MERCHANT,)
    return [Sale(mchid, number, endpoint, owner) for owner in owners]
