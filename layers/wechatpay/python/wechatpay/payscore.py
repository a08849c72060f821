"""PayScore with types: telling WeChat Pay that an order was paid elsewhere, and asking for its state.

Five endpoints do the same under different names; `ENDPOINTS` says what each takes and what it answers.
Direct: docs 4012587962 (sync), 4012587902 (query); partner 4013138975, 4013138559; acquiring bank 4013194292;
oversea 4014096438, 4014096411; payafter: wiki chapter 24.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, cast

from wechatpay.chain import Call
from wechatpay.errors import MalformedError

if TYPE_CHECKING:
    from wechatpay.answer import Answer
    from wechatpay.client import Client

EndpointName = Literal["direct", "partner", "acquiringbank", "payafter", "oversea"]

BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of the five: its path, what identifies an order there, what it may be told, and what it answers."""

    path: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    answers_with_order: bool = False
    rfc_3339: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that the endpoint has a place for."""
        return self.required + self.optional


ENDPOINTS: Mapping[str, Endpoint] = {
    "direct": Endpoint("v3/payscore/serviceorder", ("service_id", "appid"), answers_with_order=True),
    "partner": Endpoint("v3/payscore/partner/serviceorder", ("service_id", "sub_mchid"), ("seq", "paid_amount")),
    "acquiringbank": Endpoint("v3/payscore/acquiringbank/serviceorder", ("service_id", "sub_mchid"), ("channel_id",)),
    "payafter": Endpoint("v3/payscore/payafter-orders", ("service_id", "appid")),
    "oversea": Endpoint(
        "v3/payscore/oversea/partner/serviceorder", ("service_id", "sub_mchid"), ("seq", "paid_amount"), rfc_3339=True
    ),
}

_IN_DETAIL = ("seq", "paid_amount")
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")


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


class PayScore:
    """Service orders of one merchant; reached as `client.payscore`."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def sync(  # noqa: PLR0913  the contract
        self,
        *,
        out_order_no: str,
        service_id: str,
        paid_time: datetime | str,
        appid: str | None = None,
        endpoint: EndpointName = "direct",
        sub_mchid: str | None = None,
        channel_id: str | None = None,
        seq: int | None = None,
        paid_amount: int | None = None,
    ) -> ServiceOrder | None:
        """Tell WeChat Pay that the order was paid elsewhere at `paid_time`; it will not collect any more.

        `paid_time`: an aware datetime, `yyyyMMddHHmmss` or `yyyyMMdd` (Beijing time), or RFC 3339 with an offset.
        `paid_amount` is fen. Returns the order, or None where the endpoint answers without one: then `query`.
        Raises ValueError for what the endpoint needs or has no place for, MalformedError for an answer about another
        order, and what `Client.call` raises.
        """
        given = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        call = _sync_call(endpoint, out_order_no, paid_time, given | {"seq": seq, "paid_amount": paid_amount})
        return self._synced(self._host(endpoint).call(call), endpoint, out_order_no)

    async def sync_async(  # noqa: PLR0913  the contract
        self,
        *,
        out_order_no: str,
        service_id: str,
        paid_time: datetime | str,
        appid: str | None = None,
        endpoint: EndpointName = "direct",
        sub_mchid: str | None = None,
        channel_id: str | None = None,
        seq: int | None = None,
        paid_amount: int | None = None,
    ) -> ServiceOrder | None:
        """`sync`, to be awaited."""
        given = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        call = _sync_call(endpoint, out_order_no, paid_time, given | {"seq": seq, "paid_amount": paid_amount})
        return self._synced(await self._host(endpoint).call_async(call), endpoint, out_order_no)

    def query(
        self,
        *,
        out_order_no: str,
        service_id: str,
        appid: str | None = None,
        endpoint: EndpointName = "direct",
        sub_mchid: str | None = None,
        channel_id: str | None = None,
    ) -> ServiceOrder:
        """Ask for the order; changes nothing. Raises as `sync` does."""
        given = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        answer = self._host(endpoint).call(_query_call(endpoint, out_order_no, given))
        return service_order(answer, out_order_no, self._client.mchid)

    async def query_async(
        self,
        *,
        out_order_no: str,
        service_id: str,
        appid: str | None = None,
        endpoint: EndpointName = "direct",
        sub_mchid: str | None = None,
        channel_id: str | None = None,
    ) -> ServiceOrder:
        """`query`, to be awaited."""
        given = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        answer = await self._host(endpoint).call_async(_query_call(endpoint, out_order_no, given))
        return service_order(answer, out_order_no, self._client.mchid)

    def _host(self, endpoint: str) -> "Client":
        return self._client.oversea if endpoint == "oversea" else self._client

    def _synced(self, answer: "Answer", endpoint: str, out_order_no: str) -> ServiceOrder | None:
        if answer.status == 202:  # "accepted": repeat the request, nothing is settled (doc 4012081717)
            raise MalformedError("accepted but not processed (202)", method=answer.method, path=answer.path)
        if ENDPOINTS[endpoint].answers_with_order:
            return service_order(answer, out_order_no, self._client.mchid)
        return None


def _sync_call(endpoint: str, out_order_no: str, paid_time: datetime | str, given: Mapping[str, object]) -> Call:
    there, told = _checked(endpoint, out_order_no, given)
    detail = {"paid_time": written(paid_time, rfc_3339=there.rfc_3339)}
    detail |= {name: told.pop(name) for name in _IN_DETAIL if name in told}
    body = {**told, "type": "Order_Paid", "detail": detail}
    return Call("POST", f"{there.path}/{{out_order_no}}/sync", {"out_order_no": out_order_no}, json=body)


def _query_call(endpoint: str, out_order_no: str, given: Mapping[str, object]) -> Call:
    there, told = _checked(endpoint, out_order_no, given)
    return Call("GET", there.path, {}, params={**told, "out_order_no": out_order_no})


def _checked(endpoint: str, out_order_no: str, given: Mapping[str, object]) -> tuple[Endpoint, dict[str, Any]]:
    """Return the endpoint and the fields to be told; ValueError naming the first that is lacking or has no place."""
    there = ENDPOINTS.get(endpoint)
    if there is None:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    if not isinstance(out_order_no, str) or not _OUT_ORDER_NO.fullmatch(out_order_no):
        raise ValueError("out_order_no must be 1 to 32 of digits, letters, _ - | *")
    told = {name: value for name, value in given.items() if value is not None}
    for name in there.required:
        if not told.get(name):
            raise ValueError(f"{name} is required by the endpoint {endpoint!r}")
    for name in told:
        if name not in there.fields:
            raise ValueError(f"{name} has no place at the endpoint {endpoint!r}")
    return there, told


def written(paid_time: datetime | str, *, rfc_3339: bool = False) -> str:
    """Return a time of payment as the endpoint wants it; ValueError for naive, impossible or unreadable ones.

    Beijing time in 14 digits (8 digits stay as they are), or RFC 3339 with Beijing's offset.
    """
    digits = isinstance(paid_time, str) and paid_time.isascii() and paid_time.isdigit() and len(paid_time) in {8, 14}
    moment = _moment(paid_time, digits=digits)
    if moment.tzinfo is None:
        raise ValueError(
            "paid_time has no offset: give an aware datetime, or RFC 3339 such as 2026-01-01T12:00:00+08:00"
        )
    if rfc_3339:
        return moment.astimezone(BEIJING).isoformat(timespec="seconds")
    return cast("str", paid_time) if digits else moment.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def _moment(paid_time: datetime | str, *, digits: bool) -> datetime:
    if isinstance(paid_time, datetime):
        return paid_time
    try:
        if digits:
            return datetime.strptime(paid_time.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
        return datetime.fromisoformat(paid_time)
    except (ValueError, TypeError):
        raise ValueError("paid_time must be yyyyMMddHHmmss, yyyyMMdd or RFC 3339, and must exist") from None


def service_order(answer: "Answer", out_order_no: str, mchid: str) -> ServiceOrder:
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
