"""Reads what a till reported: WeChat Pay's own request, plus who and which. Refuses by field, with the remedy.

The payload's JSON Schema is `events/order_paid.schema.json`; a property test proves that both agree.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from orders.errors import MalformedEventError
from orders.order import ENDPOINTS, Payment, Reporter

BODY_LIMIT = 65_536  # bytes; a payload has some 300
MOST = 2_147_483_647  # what a 32-bit integer holds, as WeChat Pay's amounts in fen
FUTURE_LIMIT = 60.0  # seconds: WeChat Pay's own grace for `paid_time` (doc 4012587962)
BEIJING = timezone(timedelta(hours=8))

_MCHID = re.compile(r"[0-9]{1,32}")
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_ANYTHING = re.compile(r".*", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery: an SQS record, or a bare EventBridge event (no receipt handle, nothing to extend)."""

    message_id: str
    body: str
    receive_count: int = 1
    receipt_handle: str | None = None
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class OrderPaid:
    """A readable message: the payment it reports, and who reported it."""

    payment: Payment
    reporter: Reporter


def read(message: Message, now: float) -> OrderPaid:
    """Read a message's body: the payload itself, or a whole EventBridge event around it.

    `now` is Unix seconds: a payment cannot lie in the future. Raises MalformedEventError naming the field.
    """
    body = _Fields(_object(message.body))
    if "detail-type" not in body.values:
        return _order_paid(body, message, event_id=None, source="sqs", now=now)
    if body.values["detail-type"] != "Order_Paid":
        raise MalformedEventError("detail-type", "is not Order_Paid", "this function reads no other event")
    event_id, source = body.text("id", limit=128), body.text("source", limit=256)
    return _order_paid(body.nested("detail"), message, event_id, source or "events", now)


def _order_paid(payload: "_Fields", message: Message, event_id: str | None, source: str, now: float) -> OrderPaid:
    own_id = payload.text("event_id", limit=128)
    reporter = Reporter(message.message_id, own_id or event_id or message.message_id, source)
    return OrderPaid(_payment(payload, now), reporter)


def _payment(payload: "_Fields", now: float) -> Payment:
    mchid = payload.matching("mchid", _MCHID, "1 to 32 digits")
    out_order_no = payload.matching("out_order_no", _OUT_ORDER_NO, "1 to 32 of digits, letters, _ - | *")
    payload.one_of("type", ("Order_Paid",))
    detail = payload.nested("detail")
    return Payment(
        mchid=mchid,
        out_order_no=out_order_no,
        paid_time=_paid_time(detail, now),
        appid=payload.text("appid"),
        service_id=payload.text("service_id"),
        endpoint=payload.one_of("endpoint", ENDPOINTS),
        sub_mchid=payload.text("sub_mchid"),
        channel_id=payload.text("channel_id"),
        seq=detail.integer("seq", least=1),
        paid_amount=detail.integer("paid_amount", least=0),
    )


def _object(body: str) -> dict[str, Any]:
    if len(body.encode("utf-8", "surrogatepass")) > BODY_LIMIT:
        raise MalformedEventError("body", f"is over {BODY_LIMIT} bytes", "send the payload alone, not the whole sale")
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedEventError("body", "is not JSON", "send the payload as one JSON object in UTF-8") from None
    if not isinstance(value, dict):
        raise MalformedEventError("body", "is not a JSON object", "send the payload as one JSON object")
    return value


def _refuse_constant(_: str) -> None:
    raise ValueError


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object whose fields are read by rule; `path` leads to it, for the messages."""

    values: Mapping[str, Any]
    path: str = ""

    def nested(self, name: str) -> "_Fields":
        value = self._present(name, "add it: WeChat Pay wants to know when the customer paid")
        if not isinstance(value, dict):
            raise self._wrong(name, "is not an object", "send a JSON object")
        return _Fields(value, f"{self.path}{name}.")

    def text(self, name: str, limit: int = 32) -> str | None:
        if name not in self.values:
            return None
        value = self._present(name, "")
        if not isinstance(value, str):
            raise self._wrong(name, "is not a string", "send it in quotation marks")
        if not 1 <= len(value) <= limit:
            raise self._wrong(name, f"is not 1 to {limit} characters long", "send the identifier as WeChat Pay has it")
        if any(character > "\uffff" or "\ud800" <= character <= "\udfff" for character in value):
            raise self._wrong(name, "has a character of 4 bytes", "WeChat Pay takes UTF-8 of 1 to 3 bytes")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], rule: str) -> str:
        self._present(name, f"add it: {rule}, as a string")
        value = self.text(name)
        if value is None or not pattern.fullmatch(value):
            raise self._wrong(name, "has characters that WeChat Pay does not take", f"send {rule}")
        return value

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in words:
            raise self._wrong(name, "is not a word this function knows", f"send {' or '.join(words)}, or leave it out")
        return value

    def integer(self, name: str, least: int) -> int | None:
        if name not in self.values:
            return None
        value = self._present(name, "")
        number = int(value) if isinstance(value, float) and value.is_integer() else value  # JSON's 1.0 is 1
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= MOST:
            raise self._wrong(name, f"is not an integer from {least} to {MOST}", "send a number (money in fen)")
        return number

    def _present(self, name: str, remedy: str) -> object:
        if name not in self.values:
            raise self._wrong(name, "is missing", remedy)
        if self.values[name] is None:
            raise self._wrong(name, "is null", "WeChat Pay takes no null: send a value or leave the field out")
        value: object = self.values[name]
        return value

    def _wrong(self, name: str, problem: str, remedy: str) -> MalformedEventError:
        return MalformedEventError(self.path + name, problem, remedy)


_TIME_FORMS = "send yyyyMMddHHmmss (Beijing time) or RFC 3339 with an offset, such as 2026-01-01T12:00:00+08:00"


def _paid_time(detail: _Fields, now: float) -> str:
    """The time of payment as WeChat Pay takes it: Beijing time, digits only. It is converted, never invented."""
    detail.matching("paid_time", _ANYTHING, "the time at which the customer paid")
    text = detail.text("paid_time") or ""
    moment = _moment(text)
    if moment.timestamp() > now + FUTURE_LIMIT:
        raise _untimely("lies in the future", "check the till's clock and time zone")
    return text if _DIGITS.fullmatch(text) else re.sub(r"\D", "", moment.isoformat()[:19])  # strftime cuts years < 1000


def _moment(text: str) -> datetime:
    if _NAIVE.fullmatch(text):
        raise _untimely("has no offset", _TIME_FORMS)
    try:
        if _DIGITS.fullmatch(text):
            return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(BEIJING)
    except (ValueError, OverflowError):
        raise _untimely("is a date or time that does not exist", _TIME_FORMS) from None
    raise _untimely("is not a time", _TIME_FORMS)


def _untimely(problem: str, remedy: str) -> MalformedEventError:
    return MalformedEventError("detail.paid_time", problem, remedy)
