"""Misbehaviour by lot: which fault strikes which call of which order depends on the seed alone, not on the weather."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.wechat_pay.faults import NAMES, Fault, can_strike

LOTS: Mapping[str, Mapping[str, Any]] = {
    name: {} for name in sorted(NAMES - {"connection_refused", "certificate_serial"})
} | {
    "silence": {"processed": True},
    "slow": {"seconds": 0.3},
    "drip_headers": {"seconds": 0.002},  # some two seconds for an answer's headers, or for its body
    "drip_body": {"seconds": 0.002},
    "interim_answers": {"count": 3},
    "big_headers": {"bytes": 102_400, "lines": 10},
    "big_trailers": {"bytes": 102_400, "lines": 10},
}
"""Every fault that WeChat Pay, the network or a gateway between may cause at a call, with the options of the lot."""


@dataclass(slots=True)
class Fate:
    """Draws a fault for `rate` of all calls: the nth call of an order draws the same in every run of a seed."""

    seed: int
    rate: float
    drawn: Counter[str] = field(default_factory=Counter)
    _calls: Counter[str] = field(default_factory=Counter)

    def draw(self, operation: str, out_order_no: str) -> Fault | None:
        """The fault that strikes this call, if any."""
        self._calls[out_order_no] += 1
        dice = random.Random(f"{self.seed}/{out_order_no}/{self._calls[out_order_no]}")  # noqa: S311  a game
        if dice.random() >= self.rate:
            return None
        name = dice.choice([lot for lot in sorted(LOTS) if can_strike(lot, operation)])
        self.drawn[name] += 1
        return Fault.named(name, LOTS[name], times=1, operation=operation, out_order_no=out_order_no)
