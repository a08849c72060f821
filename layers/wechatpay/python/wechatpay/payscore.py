"""PayScore with types: telling WeChat Pay that an order was paid elsewhere, and asking for its state.

Five endpoints do the same under different names; `ENDPOINTS` says what each takes and what it answers.
Direct: docs 4012587962 (sync), 4012587902 (query); partner 4013138975, 4013138559; acquiring bank 4013194292;
oversea 4014096438, 4014096411; payafter: wiki chapter 24.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, Unpack

from wechatpay.chain import Call
from wechatpay.direct_orders import DirectOrders, identified_by
from wechatpay.errors import MalformedError
from wechatpay.service_order import ServiceOrder, service_order
from wechatpay.times import written

if TYPE_CHECKING:
    from wechatpay.answer import Answer
    from wechatpay.client import Client

EndpointName = Literal["direct", "partner", "acquiringbank", "payafter", "oversea"]


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
_APART = frozenset({"out_order_no", "paid_time", "endpoint"})  # they stand elsewhere than in the body's own fields


class Payment(TypedDict):
    """What `sync` tells."""

    out_order_no: str
    service_id: str
    paid_time: datetime | str
    appid: NotRequired[str | None]
    endpoint: NotRequired[EndpointName]
    sub_mchid: NotRequired[str | None]
    channel_id: NotRequired[str | None]
    seq: NotRequired[int | None]
    paid_amount: NotRequired[int | None]


class PayScore(DirectOrders):
    """Service orders of one merchant; reached as `client.payscore`.

    `sync` and `query` know all five endpoints; `create`, `complete`, `modify` and `cancel` the direct one.
    """

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
        return self.prepare_sync(
            out_order_no=out_order_no,
            service_id=service_id,
            paid_time=paid_time,
            appid=appid,
            endpoint=endpoint,
            sub_mchid=sub_mchid,
            channel_id=channel_id,
            seq=seq,
            paid_amount=paid_amount,
        )()

    def prepare_sync(self, **payment: Unpack[Payment]) -> Callable[[], ServiceOrder | None]:
        """Write `sync` down and sign it; return what sends it, once and within a minute (see `Client.prepare`).

        Takes what `sync` takes, and raises its ValueError; what is returned does and raises the rest.
        """
        endpoint, out_order_no = payment.get("endpoint", "direct"), payment["out_order_no"]
        given = {name: value for name, value in payment.items() if name not in _APART}
        call = _sync_call(endpoint, out_order_no, payment["paid_time"], given)
        send = self._host(endpoint).prepare(call)
        return lambda: self._synced(send(), endpoint, out_order_no)

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
    there, told = _checked(endpoint, given)
    detail = {"paid_time": written(paid_time, rfc_3339=there.rfc_3339)}
    detail |= {name: told.pop(name) for name in _IN_DETAIL if name in told}
    body = {**told, "type": "Order_Paid", "detail": detail}
    return Call("POST", f"{there.path}/{{out_order_no}}/sync", identified_by(out_order_no), json=body)


def _query_call(endpoint: str, out_order_no: str, given: Mapping[str, object]) -> Call:
    there, told = _checked(endpoint, given)
    return Call("GET", there.path, {}, params={**told, **identified_by(out_order_no)})


def _checked(endpoint: str, given: Mapping[str, object]) -> tuple[Endpoint, dict[str, Any]]:
    """Return the endpoint and the fields to be told; ValueError naming the first that is lacking or has no place."""
    there = ENDPOINTS.get(endpoint)
    if there is None:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    told = {name: value for name, value in given.items() if value is not None}
    for name in there.required:
        if not told.get(name):
            raise ValueError(f"{name} is required by the endpoint {endpoint!r}")
    for name in told:
        if name not in there.fields:
            raise ValueError(f"{name} has no place at the endpoint {endpoint!r}")
    return there, told
