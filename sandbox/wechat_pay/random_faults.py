"""Random faults: the seed alone decides which fault strikes which call of which order, not how calls interleave."""

import random
from collections import Counter
from dataclasses import dataclass, field

from sandbox.wechat_pay.faults import KINDS, Fault

DRAWN = sorted(name for name, kind in KINDS.items() if kind.strikes_a_call)
"""Every fault that WeChat Pay, the network or a gateway between may cause at a single call."""


@dataclass(slots=True)
class RandomFaults:
    """Draw a fault for `rate` of all calls: the nth call of an order draws the same in every run of a seed."""

    seed: int
    rate: float
    counts: Counter[str] = field(default_factory=Counter)
    _calls: Counter[str] = field(default_factory=Counter)

    def draw(self, operation: str, out_order_no: str) -> Fault | None:
        """Return the fault that strikes this call, or None."""
        self._calls[out_order_no] += 1
        dice = random.Random(f"{self.seed}/{out_order_no}/{self._calls[out_order_no]}")  # noqa: S311  not for secrets
        if dice.random() >= self.rate:
            return None
        name = dice.choice([name for name in DRAWN if KINDS[name].can_strike(operation)])
        self.counts[name] += 1
        options = KINDS[name].chaos_options
        return Fault.of(name, options, times=1, operation=operation, out_order_no=out_order_no)
