"""Switches of the simulator: where WeChat Pay's pages are silent or ambiguous, each choice has a name and a default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """The choices of one simulator; `dataclasses.replace` changes some of them.

    `signed_refusals`: refusals are signed too. Pages say that every answer is, most refusals in practice are not.
    `lower_case_serials`: the serial of a certificate is taken in small letters as well; no page says so.
    `largest_body`: bytes of a body, above which it is refused; no page states a limit.
    `unknown_fields_refused`: a field that the page does not have is a `PARAM_ERROR`, which finds a misspelled name.
    `observed_parameter_errors`: a `PARAM_ERROR` has its sentence as message and only `location` and `value` as detail,
    as merchants report it; without, it has the form of doc 4012081709.
    `reason_limit`: characters of the reason of a cancellation; the newest page says 50, the former one 30.
    `location_limit`: characters of a place; some pages say 20, some 50.
    `service_risk_limit`: fen, the limit that WeChat Pay agrees with a merchant for its service. It bounds the total of
    an order with ESTIMATE_ORDER_COST; where it is not told (None), the order's own risk fund does.
    `cancel_after_complete`: an order that waits for its money can be canceled, as the page of cancel says; the official
    troubleshooting guide says that it cannot.
    `modify_to_equal`: the changed total may be the same as before; a former page asks for a smaller one.
    `channel_id_required`: every request of acquiringbank names its channel, as the pages say; the OpenAPI description
    requires it by create, query and cancel alone, and former versions by none but create.
    `pay_collects`: WeChat Pay collects at once what `pay` asks for; the page says that its own schedule is unchanged.
    `refund_seconds`: how long a refund is in process; pages say minutes for a balance, days for a bank card.
    `end_may_equal_start`: a service may end in the second of its start; the page of complete wants a later end, the
    words of its refusal one that is not earlier.
    """

    signed_refusals: bool = False
    lower_case_serials: bool = True
    largest_body: int = 1 << 20
    unknown_fields_refused: bool = False
    observed_parameter_errors: bool = False
    reason_limit: int = 30
    location_limit: int = 20
    service_risk_limit: int | None = None
    cancel_after_complete: bool = True
    modify_to_equal: bool = True
    channel_id_required: bool = True
    pay_collects: bool = False
    refund_seconds: float = 60.0
    end_may_equal_start: bool = True


DEFAULTS = Switches()
"""The choices of a simulator that none were made for."""
