"""Misbehaviour by lot: which fault strikes which call of which order depends on the seed alone, not on the weather."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.wechat_pay.faults import Fault

LOTS: Mapping[str, Mapping[str, Any]] = {
    "system_error": {},
    "gateway_error": {},
    "unsigned_error": {},
    "frequency_limited": {},
    "sub_code_throttled": {},
    "clock_skew_401": {},
    "bad_sign_401": {},
    "accepted_202": {},
    "redirect": {},
    "tampered_body": {},
    "reserialised_body": {},
    "stale_timestamp": {},
    "foreign_serial": {},
    "missing_signature_headers": {},
    "signtest": {},
    "forged_success": {},
    "reset_before_answer": {},
    "reset_after_processing": {},
    "truncated_body": {},
    "silence": {"processed": True},
    "slow": {"seconds": 0.3},
    "huge_body": {},
    "unknown_state": {},
    "other_order": {},
    "order_done_on_replay": {},
    "invalid_order_state_on_replay": {},
    "invalid_request_on_replay": {},
    "ok_on_replay": {},
}
"""Every fault that WeChat Pay, the network or somebody in between may cause, with its options."""


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
        name = dice.choice(sorted(LOTS))
        self.drawn[name] += 1
        return Fault(name, 1, operation, out_order_no, LOTS[name])
