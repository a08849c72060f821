"""Read a service order from a verified answer.

Tolerantly: WeChat Pay may add fields and words at any time (4012081709), and its own samples write an object where a
list is due, numbers as text, and blanks around names. What cannot be read is None; `raw` has it as it came.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from wechatpay.answer import Answer, JsonObject, decode_json
from wechatpay.errors import MalformedError
from wechatpay.service_order import (
    Collection,
    CollectionDetail,
    GoodsDetail,
    Location,
    PostDiscount,
    PostPayment,
    PromotionDetail,
    RiskFund,
    ServiceOrder,
    TimeRange,
)
from wechatpay.text import printable

T = TypeVar("T")


def read_order(
    answer: Answer, out_order_no: str, mchid: str, identity: Mapping[str, object] | None = None
) -> ServiceOrder:
    """Return the order of a verified answer; raise as `order_fields` does, and MalformedError where it has no state.

    An answer is signed, but does not say for which request: a genuine one about another order must not pass for ours.
    """
    raw = order_fields(answer, out_order_no, mchid, identity)
    if not isinstance(raw.get("state"), str) or not raw["state"]:
        raise MalformedError("the verified answer is no service order", method=answer.method, path=answer.path)
    return _read(ServiceOrder, {**raw, "request_id": answer.request_id, "raw": raw})


def read_resource(resource: JsonObject) -> ServiceOrder:
    """Return the order in a verified notification (doc 4012587960); MalformedError where it has no number or state."""
    raw = decode_json(json.dumps(resource).encode(), tidied=True)
    if not all(isinstance(raw.get(name), str) and raw[name] for name in ("out_order_no", "state")):
        raise MalformedError("the notification's resource is no service order")
    return _read(ServiceOrder, {**raw, "raw": raw})


def order_fields(
    answer: Answer, out_order_no: str, mchid: str, identity: Mapping[str, object] | None = None
) -> JsonObject:
    """Return the fields of a verified answer about this merchant's order of this number.

    `identity`: further fields as the call named them. MalformedError where the answer names another value of any; a
    field that it leaves out does not contradict.
    """
    raw = answer.json(tidied=True)
    if not isinstance(raw, dict):
        raise MalformedError("the verified answer is no service order", method=answer.method, path=answer.path)
    expected = {"mchid": mchid} | {name: str(value) for name, value in (identity or {}).items()}
    if raw.get("out_order_no") != out_order_no or any(raw.get(name, text) != text for name, text in expected.items()):
        raise MalformedError("the verified answer is about another order", method=answer.method, path=answer.path)
    return raw


def _read(record: Callable[..., T], members: Mapping[str, object]) -> T:
    """Make a record, each of its fields read by the field's own type; an absent or unreadable one keeps its default."""
    readers = _readers(record)
    values: dict[str, Any] = {}
    for name, value in members.items():
        if (read := readers.get(name)) is not None and (readable := read(value)) is not None:
            values[name] = readable
    return record(**values)


@cache
def _readers(record: Any) -> Mapping[str, Callable[[object], object]]:  # noqa: ANN401  a dataclass has no type of its own
    return {field.name: _WORDS.get(field.name) or _READERS[field.type] for field in fields(record)}


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_number(value: object) -> int | None:
    """Return a whole number; the documentation's own samples write some of them as text."""
    if type(value) is int:  # True and False are of another type
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else None


def _read_flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_object(value: object) -> JsonObject | None:
    return value if isinstance(value, dict) else None


def _read_collection(value: object) -> Collection | None:
    if not isinstance(value, dict):
        return None
    return _read(Collection, {**value, "unreadable": not _is_readable(value.get("details", []))})


def _is_readable(details: object) -> bool:
    """Whether each part of a collection is an object that says how it was paid; an object stands for a list of one."""
    parts = details if isinstance(details, list) else [details]
    return all(isinstance(part, dict) and _read_text(part.get("paid_type")) for part in parts)


def _word(limit: int) -> Callable[[object], str | None]:
    """Return a reader of a text that people see in tables, logs and consoles: cleaned, and bounded to the limit."""

    def read(value: object) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        return value if len(value) <= limit and value.isprintable() else printable(value, limit)

    return read


def _one(record: Callable[..., T]) -> Callable[[object], T | None]:
    return lambda value: _read(record, value) if isinstance(value, dict) else None


def _many(record: Callable[..., T]) -> Callable[[object], tuple[T, ...]]:
    def read(value: object) -> tuple[T, ...]:
        parts = value if isinstance(value, list) else [value]
        return tuple(_read(record, part) for part in parts if isinstance(part, dict))

    return read


# A word is bounded far above the longest documented one; the documented bound of a transaction number is 64
# (4012587902).
_WORDS = {
    **dict.fromkeys(("state", "state_description", "paid_type", "pay_type"), _word(64)),
    **dict.fromkeys(("transaction_id", "finish_transaction_id"), _word(128)),
}
_READERS: Mapping[object, Callable[[object], object]] = {
    str: _read_text,
    str | None: _read_text,
    int | None: _read_number,
    bool: _read_flag,
    bool | None: _read_flag,
    JsonObject: _read_object,
    Collection | None: _read_collection,
    RiskFund | None: _one(RiskFund),
    TimeRange | None: _one(TimeRange),
    Location | None: _one(Location),
    tuple[PostPayment, ...]: _many(PostPayment),
    tuple[PostDiscount, ...]: _many(PostDiscount),
    tuple[CollectionDetail, ...]: _many(CollectionDetail),
    tuple[PromotionDetail, ...]: _many(PromotionDetail),
    tuple[GoodsDetail, ...]: _many(GoodsDetail),
}
