"""What an operator does about an order: one row for each reason that an item, a log line or a dead letter can have.

`order show` prints it. A command is written without options that name the stack: the printer of the command adds those
that its own command line has. `{order}` in it stands for the order's arguments, `{key}` for its key in the table.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ops.installation import HERE
from orders.order import Attempt, Order, Status
from orders.rules import RETRIES_EXHAUSTED


class Course(StrEnum):
    """What kind of work an order needs."""

    NOTHING = "NOTHING"  # it is settled
    WAIT = "WAIT"  # retries settle it
    REPAIR = "REPAIR"  # remove the cause; what is in the dead letters is then redriven
    END = "END"  # it can never be synced: inform the shop, delete the message, acknowledge the order
    REFUND = "REFUND"  # the customer has paid twice


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means, and what to do about it; `commands` are of `bin/ops`, `name` is the reason's page."""

    course: Course
    meaning: str
    action: str
    commands: tuple[str, ...] = ()
    name: str = ""

    @property
    def page(self) -> str:
        """The page of the runbook about it."""
        return HERE.page(f"docs/operate/reasons/{self.name}.md")

    def command_lines(self, owner: str, out_order_no: str, program: str = HERE.ops) -> list[str]:
        """Return the commands for an order of `owner`: the mchid, with a sub-merchant `mchid/sub_mchid`."""
        mchid, _, sub_mchid = owner.partition("/")
        order = f"{mchid} {out_order_no}" + (f" --sub-mchid {sub_mchid}" if sub_mchid else "")
        key = shlex.quote(f"{owner}#{out_order_no}")
        return [f"{program} {command.format(mchid=mchid, order=order, key=key)}" for command in self.commands]


_CHECK = "keys check {mchid}"
_BOUND = "keys check {mchid} --bound"
_ADD = (
    "merchant add {mchid} --private-key apiclient_key.pem --certificate apiclient_cert.pem --public-key pub_key.pem"
    " --public-key-id PUB_KEY_ID"
)
_ECHO = "keys check {mchid} --echo"
_SHOW = "order show {order}"
_REDRIVE = "dead-letters redrive --order {key} --yes"
_DELETE = "dead-letters delete --order {key} --yes"
_ACKNOWLEDGE = "order acknowledge {order} --who NAME --why TEXT"
_SEND = "event send FILE"

_SYNCED = Advice(Course.NOTHING, "WeChat Pay knows what the customer paid at the till", "nothing to do", name="SETTLED")
_DOUBLE = Advice(
    Course.REFUND,
    "WeChat Pay has collected the money as well: the customer has paid twice",
    "refund it at WeChat Pay by its transaction_id, or give the till's money back; then acknowledge the order",
    (_ACKNOWLEDGE,),
    "NEWTON",
)
_COLLECTED = Advice(
    Course.NOTHING,
    "WeChat Pay has collected, and no till has reported a payment: as it should be",
    "nothing to do; the item ends by itself, and a till's report before that makes it PAID_BY_WECHAT",
    name="COLLECTED",
)
_NOTHING_DUE = Advice(
    Course.NOTHING, "WeChat Pay had nothing to collect for this order", "nothing to do", name="SETTLED"
)


def _closed(word: str) -> Advice:
    return Advice(
        Course.END,
        f"the order is {word} at WeChat Pay, and money was taken for it at the till",
        "nothing can be synced any more: inform the shop, delete the dead-letter message, acknowledge the order",
        (_DELETE, _ACKNOWLEDGE),
    )


def _not_completed(meaning: str) -> Advice:
    action = "nothing to do here: the order continues when the shop has completed it; tell the shop if that takes hours"
    return Advice(Course.WAIT, meaning, action)


def _wait(meaning: str, action: str = "nothing to do: retries settle it") -> Advice:
    return Advice(Course.WAIT, meaning, action)


_ROWS: Mapping[str, Advice] = {
    # ---- WeChat Pay's order ------------------------------------------------------------------------------------------
    "NEWTON": _DOUBLE,
    "OTHER_PAID_TIME": Advice(
        Course.NOTHING,
        "WeChat Pay has the payment with another paid_time: an earlier report was accepted",
        "nothing to do",
    ),
    "REVOKED": _closed("cancelled"),
    "EXPIRED": _closed("expired"),
    "USER_PAYING": _wait("WeChat Pay expects the payment, and has not taken the report yet"),
    "USER_CONFIRM": _not_completed("the customer has confirmed the order, and the shop has not completed it"),
    "CREATED": _not_completed("the customer has not confirmed the order yet"),
    "DEDUCTING": _wait("WeChat Pay is collecting at this moment; the order ends as SYNCED or PAID_BY_WECHAT"),
    "UNKNOWN_STATE": Advice(
        Course.WAIT,
        "the order is in a state that this version has no word for; it is queried again",
        "open an issue with the answer (`wechat`, without `openid`), or deploy a version that knows the state",
        (_SHOW,),
    ),
    # ---- WeChat Pay's refusals ---------------------------------------------------------------------------------------
    "ORDER_NOT_EXIST": Advice(
        Course.REPAIR,
        "WeChat Pay has no such order under this mchid",
        "compare out_order_no, mchid, endpoint with the shop's order; send a corrected event, or redrive if it exists",
        (_SEND, _REDRIVE),
    ),
    "RESOURCE_NOT_EXISTS": Advice(
        Course.REPAIR,
        "WeChat Pay has no such order or service under this mchid",
        "compare out_order_no, service_id, mchid and endpoint with the shop's order; send a corrected event",
        (_SEND, _REDRIVE),
    ),
    "PARAM_ERROR": Advice(
        Course.REPAIR,
        "WeChat Pay refuses a value; the last error names its field and the issue",
        "correct the till's event and send it; then delete the old message",
        (_SEND,),
    ),
    "NO_AUTH": Advice(
        Course.REPAIR,
        "appid, service_id and mchid do not belong together, or the product is not activated",
        "correct the defaults of the merchant's secret, or the event; then redrive",
        (_BOUND, _REDRIVE),
    ),
    "INVALID_REQUEST": Advice(
        Course.REPAIR,
        "WeChat Pay refuses the HTTP request itself",
        "a proxy may remove headers: check the way out; open an issue with the Request-ID; then redrive",
        (_REDRIVE,),
    ),
    "PAID_TIME_AHEAD": _wait("WeChat Pay's clock is behind the till's: one retry after a minute"),
    "THROTTLED": Advice(
        Course.WAIT,
        "WeChat Pay receives too many calls",
        "nothing to do for one order; if all orders wait, lower the stack's parameter MaximumConcurrency",
    ),
    # ---- keys --------------------------------------------------------------------------------------------------------
    "UNKNOWN_MERCHANT": Advice(
        Course.REPAIR,
        "there is no secret for this mchid",
        "create the secret with the merchant's keys, then redrive",
        (_ADD, _REDRIVE),
    ),
    "SECRET_UNAVAILABLE": Advice(
        Course.REPAIR,
        "the merchant's secret cannot be fetched or used; the last error has the cause",
        "correct the secret, or its key's policy (`Access to KMS`), or the function's role (`is not authorized`)",
        (_CHECK,),
    ),
    "SIGN_ERROR": Advice(
        Course.REPAIR,
        "WeChat Pay refuses our signature",
        "serial_no and private_key must be of one certificate that is valid and of this merchant; write both at once",
        (_ECHO,),
    ),
    "CLOCK": Advice(
        Course.REPAIR,
        "our clock or WeChat Pay's is more than five minutes off",
        "nothing on Lambda; elsewhere set the machine's clock",
        (_ECHO,),
    ),
    "WECHATPAY_SERIAL": Advice(
        Course.REPAIR,
        "WeChat Pay does not know the PUB_KEY_ID that we ask for",
        "correct the name of the public key in platform_keys: it is in WeChat Pay's console",
        (_ECHO,),
    ),
    "UNTRUSTED_ANSWER": Advice(
        Course.REPAIR,
        "answers arrive, and no platform key of the secret verifies them",
        "add the key that the last error names to platform_keys; if it is there, an intermediary changes bodies",
        (_ECHO,),
    ),
    # ---- the way to WeChat Pay ---------------------------------------------------------------------------------------
    "UNREACHABLE": _wait("WeChat Pay could not be reached; nothing was sent"),
    "OUTCOME_UNKNOWN": _wait(
        "WeChat Pay may have executed the call, and has not answered; the next attempt queries first"
    ),
    "CIRCUIT_OPEN": _wait(
        "WeChat Pay does not answer at all: calls are stopped, one batch a minute tries",
        "nothing to do if WeChat Pay is down; if it answers elsewhere, check the function's way out",
    ),
    # ---- the function ------------------------------------------------------------------------------------------------
    "SECOND_REPORT": _wait("another event of the same order went first"),
    "OUT_OF_TIME": _wait("the invocation had no time left for another call: the next one continues"),
    "TABLE_UNAVAILABLE": Advice(
        Course.REPAIR,
        "DynamoDB refuses or does not answer",
        "check the function's role, the table's key and its limits",
    ),
    "UNEXPECTED": Advice(
        Course.REPAIR,
        "a bug of the function",
        "deploy the previous version, open an issue with the log line; then redrive",
        (f"{_SHOW} --logs", _REDRIVE),
    ),
    RETRIES_EXHAUSTED: Advice(
        Course.REPAIR,
        "hours of retries did not succeed, and SQS gave the message up",
        "remove the cause, then redrive: where the outcome is unknown, the redrive queries first",
        (_REDRIVE,),
    ),
    # ---- messages and items that cannot be read ----------------------------------------------------------------------
    "UNREADABLE": Advice(
        Course.END,
        "the body is not a payload; the explanation names the field",
        "correct the till, send the right event, delete the message",
        (_SEND,),
    ),
    "UNREADABLE_ITEM": Advice(
        Course.REPAIR,
        "this version cannot read the order's item: it was edited by hand, or a later version wrote it",
        "correct the attribute, or deploy the version that wrote it; then redrive",
        (_SHOW, _REDRIVE),
    ),
    "NEVER_SETTLED": Advice(
        Course.REPAIR,
        "no attempt is recorded: the function was throttled, crashed, or the table did not answer",
        "read the function's log of that time and ErrorsAlarm, then redrive",
        (_REDRIVE,),
    ),
}

ROWS: Mapping[str, Advice] = {word: replace(row, name=row.name or word) for word, row in _ROWS.items()}
"""Advice by reason. Reasons that are made of others' words (`MISSING_…`, codes of WeChat Pay) are in `for_reason`."""

_MISSING = Advice(
    Course.REPAIR,
    "a field is neither in the event nor in the merchant's secret; the last error names all of them",
    "add it to one of them, then redrive or send the event again",
    (_SEND, _REDRIVE),
    "MISSING_FIELD",
)
_OTHER_CODE = Advice(
    Course.REPAIR,
    "WeChat Pay refuses the report; the reason is its own code, and the last error has its words",
    "look the code up in WeChat Pay's documentation, remove the cause, then redrive; or send a corrected event",
    (_SHOW, _REDRIVE),
    "OTHER_CODE",
)


def for_reason(reason: str) -> Advice:
    """Return the advice for a reason; a code of WeChat Pay that has no row is answered by what all of them share."""
    if reason.startswith("MISSING_"):
        return _MISSING
    return ROWS.get(reason, _OTHER_CODE)


def for_order(order: Order) -> Sequence[Advice]:
    """Return what to do about an order, the main thing first; after RETRIES_EXHAUSTED, the cause as well."""
    match order.status:
        case Status.PAID_BY_WECHAT:
            return (_DOUBLE,)
        case Status.NOTHING_DUE:
            return (_NOTHING_DUE,)
        case Status.COLLECTED:
            return (_COLLECTED,)
        case Status.SYNCED:
            return (for_reason(order.reason) if order.reason else _SYNCED,)
    if order.reason != RETRIES_EXHAUSTED:
        return (for_reason(order.reason),)
    cause = last_cause(order.history)
    return (for_reason(order.reason), for_reason(cause)) if cause else (for_reason(order.reason),)


def last_cause(history: Sequence[Attempt]) -> str:
    """Return the reason of the newest attempt that has one of its own; empty if none has."""
    reasons = (attempt.reason for attempt in reversed(history))
    return next((reason for reason in reasons if reason not in ("", RETRIES_EXHAUSTED)), "")
