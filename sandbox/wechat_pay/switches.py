"""Switches of the simulator: where WeChat Pay's pages are silent or ambiguous, each choice has a name and a default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """The choices of one simulator; `dataclasses.replace` changes some of them.

    `signed_refusals`: refusals are signed too. Pages say that every answer is, most refusals in practice are not.
    """

    signed_refusals: bool = False


DEFAULTS = Switches()
"""The choices of a simulator that none were made for."""
