"""Switches of the simulator: where WeChat Pay's pages are silent or ambiguous, each choice has a name and a default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """The choices of one simulator; `dataclasses.replace` changes some of them.

    `signed_refusals`: refusals are signed too. Pages say that every answer is, most refusals in practice are not.
    `pay_collects`: WeChat Pay collects at once what `pay` asks for; the page says that its own schedule is unchanged.
    `refund_seconds`: how long a refund is in process; pages say minutes for a balance, days for a bank card.
    """

    signed_refusals: bool = False
    pay_collects: bool = False
    refund_seconds: float = 60.0


DEFAULTS = Switches()
"""The choices of a simulator that none were made for."""
