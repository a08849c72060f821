"""Switches of the simulator: where WeChat Pay's pages are silent or ambiguous, each choice has a name and a default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """The choices of one simulator; `dataclasses.replace` changes some of them.

    `signed_refusals`: refusals are signed too. Pages say that every answer is, most refusals in practice are not.
    `observed_parameter_errors`: a `PARAM_ERROR` has its sentence as message and only `location` and `value` as detail,
    as merchants report it; without, it has the form of doc 4012081709.
    `reason_limit`: characters of the reason of a cancellation; the newest page says 50, the former one 30.
    `location_limit`: characters of a place; some pages say 20, some 50.
    `service_risk_limit`: fen, the limit that WeChat Pay agrees with a merchant for its service. It bounds the total of
    an order with ESTIMATE_ORDER_COST; where it is not told (None), the order's own risk fund does.
    `cancel_after_complete`: an order that waits for its money can be canceled, as the page of cancel says; the official
    troubleshooting guide says that it cannot.
    `modify_to_equal`: the changed total may be the same as before; a former page asks for a smaller one.
    """

    signed_refusals: bool = False
    observed_parameter_errors: bool = False
    reason_limit: int = 30
    location_limit: int = 20
    service_risk_limit: int | None = None
    cancel_after_complete: bool = True
    modify_to_equal: bool = True


DEFAULTS = Switches()
"""The choices of a simulator that none were made for."""
