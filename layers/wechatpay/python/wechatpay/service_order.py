"""A service order, read tolerantly: WeChat Pay may add fields and words at any time (doc 4012081709)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechatpay.answer import Answer
from wechatpay.errors import MalformedError


@dataclass(frozen=True, slots=True)
class CollectionDetail:
    """One part of what was collected, in fen; `paid_type` is NEWTON (by WeChat Pay) or MCH (by the merchant)."""

    seq: int | None = None
    amount: int | None = None
    paid_type: str | None = None
    paid_time: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """What is collected for an order; `state` is USER_PAYING, USER_PAID or a word to come; amounts are fen."""

    state: str | None = None
    total_amount: int | None = None
    paying_amount: int | None = None
    paid_amount: int | None = None
    details: tuple[CollectionDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """A service order as WeChat Pay has it, read tolerantly: new fields and words may appear at any time (4012081709).

    `state` is CREATED, DOING, DONE, REVOKED, EXPIRED or a word to come; `state_description` belongs to DOING.
    `raw` is the whole verified answer, decoded. `repr` shows no openid.
    """

    out_order_no: str
    state: str
    state_description: str | None = None
    mchid: str | None = None
    service_id: str | None = None
    appid: str | None = None
    order_id: str | None = None
    total_amount: int | None = None
    collection: Collection | None = None
    request_id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def collection_state(self) -> str | None:
        """The state of the collection; None before the merchant completes the order, or where nothing was due."""
        return self.collection.state if self.collection else None

    @property
    def paid_type(self) -> str | None:
        """How it was paid: NEWTON if any part was collected by WeChat Pay, otherwise the last part's word."""
        words = [detail.paid_type for detail in self._details if detail.paid_type]
        return "NEWTON" if "NEWTON" in words else words[-1] if words else None

    @property
    def transaction_id(self) -> str | None:
        """WeChat Pay's number of its own collection, which a refund needs; None where the merchant took the money."""
        return next((detail.transaction_id for detail in self._details if detail.transaction_id), None)

    @property
    def _details(self) -> tuple[CollectionDetail, ...]:
        return self.collection.details if self.collection else ()


def service_order(answer: Answer, out_order_no: str, mchid: str) -> ServiceOrder:
    """Read an order from a verified answer; MalformedError unless it is this merchant's order of this number.

    An answer is signed, but does not say for which request: a genuine one about another order must not pass for ours.
    """
    raw = _trimmed(answer.json())
    if not isinstance(raw, dict) or not isinstance(raw.get("state"), str):
        raise MalformedError("the verified answer is no service order", method=answer.method, path=answer.path)
    if raw.get("out_order_no") != out_order_no or raw.get("mchid", mchid) != mchid:
        raise MalformedError("the verified answer is about another order", method=answer.method, path=answer.path)
    return ServiceOrder(
        out_order_no=out_order_no,
        state=raw["state"],
        state_description=_text(raw.get("state_description")),
        mchid=_text(raw.get("mchid")),
        service_id=_text(raw.get("service_id")),
        appid=_text(raw.get("appid")),
        order_id=_text(raw.get("order_id")),
        total_amount=_fen(raw.get("total_amount")),
        collection=_collection(raw.get("collection")),
        request_id=answer.request_id,
        raw=raw,
    )


def _trimmed(value: Any) -> Any:  # noqa: ANN401  JSON
    """Drop the blanks that WeChat Pay's own samples have around some field names (`"transaction_id "`)."""
    match value:
        case dict():
            return {name.strip(): _trimmed(member) for name, member in value.items()}
        case list():
            return [_trimmed(member) for member in value]
        case _:
            return value


def _collection(value: object) -> Collection | None:
    if not isinstance(value, dict):
        return None
    details = value.get("details", [])
    parts = details if isinstance(details, list) else [details]
    return Collection(
        state=_text(value.get("state")),
        total_amount=_fen(value.get("total_amount")),
        paying_amount=_fen(value.get("paying_amount")),
        paid_amount=_fen(value.get("paid_amount")),
        details=tuple(_detail(part) for part in parts if isinstance(part, dict)),
    )


def _detail(value: Mapping[str, Any]) -> CollectionDetail:
    return CollectionDetail(
        seq=_fen(value.get("seq")),
        amount=_fen(value.get("amount")),
        paid_type=_text(value.get("paid_type")),
        paid_time=_text(value.get("paid_time")),
        transaction_id=_text(value.get("transaction_id")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fen(value: object) -> int | None:
    """An integer; the documentation's own samples write some of them as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
