"""What a conversation asks for, and what can come of it: the values between the rule and the network.

`settlement` yields the asks and is sent the replies. `wechat` makes the replies that come from WeChat Pay,
`conversation` makes the others. They are named tuples: a dataclass takes five times as long to define at a cold start.
"""

from collections.abc import Generator
from enum import StrEnum
from typing import Literal, NamedTuple

from orders.order import Facts, Payment, Refusal, Status
from orders.waits import NO_FLOOR, UNRECOGNIZED_STATE, Wait

# ---- asks ------------------------------------------------------------------------------------------------------------


class FetchKeys(NamedTuple):
    """Use the keys of the merchant's secret; `fresh`: of a secret that was fetched since the batch began."""

    fresh: bool = False


class Ask(NamedTuple):
    """Make one call about the payment, signed with the keys in use; `backup`: on the backup host."""

    operation: Literal["sync", "query"]
    payment: Payment
    backup: bool = False


# ---- replies to FetchKeys --------------------------------------------------------------------------------------------


class Keys(NamedTuple):
    """The merchant's keys are in use.

    `payment` has the defaults of the secret, `missing` names the fields that its endpoint requires and that neither the
    event nor the secret has. `changed`: the keys are others than those in use before.
    """

    payment: Payment
    missing: tuple[str, ...] = ()
    changed: bool = True


class UnknownMerchant(NamedTuple):
    """There is no secret for this `mchid`."""

    problem: str


class SecretUnavailable(NamedTuple):
    """The secret cannot be fetched or used; the keys in use stay."""

    problem: str


KeysReply = Keys | UnknownMerchant | SecretUnavailable

# ---- replies to Ask --------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What a verified order means for the payment at the till."""

    status: Status
    reason: str = ""
    wait: Wait = NO_FLOOR


PAYING = Verdict(Status.RETRYING, "USER_PAYING")
UNKNOWN_STATE = Verdict(Status.RETRYING, "UNKNOWN_STATE", UNRECOGNIZED_STATE)
CLOSED_REASONS = frozenset({"REVOKED", "EXPIRED"})
"""Reasons of a REJECTED order that rest on the order itself: another secret would not change them."""


class Action(StrEnum):
    """What a refusal asks for."""

    QUERY = "QUERY"  # the order decides
    WAIT = "WAIT"
    REJECT = "REJECT"
    REJECT_UNLESS_CLOSED = "REJECT_UNLESS_CLOSED"  # query; if the order is still open, the refusal counts
    NOT_EXIST = "NOT_EXIST"  # one short retry: the order may be seconds old
    SIGN_AGAIN = "SIGN_AGAIN"
    FRESH_KEYS = "FRESH_KEYS"


class Judgement(NamedTuple):
    """What to do about a refusal, the reason to record, and how long to wait if waiting is the answer."""

    action: Action
    reason: str
    wait: Wait = NO_FLOOR


class Verified(NamedTuple):
    """WeChat Pay answered with the order, and the answer's signature verifies."""

    verdict: Verdict
    facts: Facts
    request_id: str = ""


class Acknowledged:
    """WeChat Pay accepted the sync and answered without the order, as four of five endpoints do."""


class Refused(NamedTuple):
    """WeChat Pay, or a gateway in between, refused the call; `ahead`: because of a `paid_time` ahead of its clock."""

    judgement: Judgement
    refusal: Refusal
    ahead: bool = False


class Silence(NamedTuple):
    """No whole answer arrived; `sent`: the call may have been executed."""

    refusal: Refusal
    sent: bool


class Untrusted(NamedTuple):
    """A 2xx that proves nothing; `about_keys`: the platform keys in use do not verify it, and others may."""

    refusal: Refusal
    about_keys: bool = False


class OutOfTime:
    """The call was not made: the invocation has too little time left for it."""


AskReply = Verified | Acknowledged | Refused | Silence | Untrusted | OutOfTime
type Dialogue[T] = Generator[FetchKeys | Ask, KeysReply | AskReply, T]
