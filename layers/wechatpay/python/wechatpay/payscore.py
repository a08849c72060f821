"""PayScore with types: report that an order was paid elsewhere, and query its state.

Five endpoint families do the same under different names; `ENDPOINTS` says what each takes and what it answers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

from wechatpay.chain import Call
from wechatpay.direct_orders import DirectOrders, identified_by
from wechatpay.endpoints import ENDPOINTS, SYNC_DETAIL, Endpoint, EndpointName
from wechatpay.errors import MalformedError
from wechatpay.service_order import ServiceOrder, about, service_order
from wechatpay.signed_call import SignedCall
from wechatpay.times import written

if TYPE_CHECKING:
    from wechatpay.answer import Answer
    from wechatpay.client import Client

__all__ = ["ENDPOINTS", "Endpoint", "EndpointName", "PayScore", "SyncPayment"]

_APART = frozenset({"out_order_no", "paid_time", "endpoint"})  # they stand elsewhere than in the body's own fields


class SyncPayment(TypedDict):
    """What `sync` reports."""

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

    `sync` and `query` serve all five endpoints; `create`, `complete`, `modify` and `cancel` the direct one.
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
        """Report that the order was paid elsewhere at `paid_time`; WeChat Pay stops collecting it.

        `paid_time`: an aware datetime, `yyyyMMddHHmmss` or `yyyyMMdd` (Beijing time), or RFC 3339 with an offset.
        `paid_amount` is fen. Returns the order, or None where the endpoint answers without one: then `query`.
        Raises ValueError for what the endpoint needs or has no place for, MalformedError for an answer that is about
        another order or is not an answer to this call, and what `Client.call` raises.
        """
        return self.sign_sync(
            out_order_no=out_order_no,
            service_id=service_id,
            paid_time=paid_time,
            appid=appid,
            endpoint=endpoint,
            sub_mchid=sub_mchid,
            channel_id=channel_id,
            seq=seq,
            paid_amount=paid_amount,
        ).send()

    def sign_sync(self, **payment: Unpack[SyncPayment]) -> SignedCall[ServiceOrder | None]:
        """Sign a `sync` that is sent later: once and within 60 s as it was signed here, otherwise newly signed.

        Takes what `sync` takes and raises its TypeError or ValueError; `send` does and raises the rest.
        """
        request = _SyncRequest(payment)
        client, mchid = self._client_for(request.endpoint), self._client.mchid
        return client._sign(request.call, lambda answer: request.order(answer, mchid))

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
        request = _SyncRequest(
            {
                "out_order_no": out_order_no,
                "service_id": service_id,
                "paid_time": paid_time,
                "appid": appid,
                "endpoint": endpoint,
                "sub_mchid": sub_mchid,
                "channel_id": channel_id,
                "seq": seq,
                "paid_amount": paid_amount,
            }
        )
        answer = await self._client_for(request.endpoint).call_async(request.call)
        return request.order(answer, self._client.mchid)

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
        """Query the order; changes nothing. Raises as `sync` does."""
        fields = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        request = _QueryRequest(endpoint, out_order_no, fields)
        return request.order(self._client_for(request.endpoint).call(request.call), self._client.mchid)

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
        fields = {"service_id": service_id, "appid": appid, "sub_mchid": sub_mchid, "channel_id": channel_id}
        request = _QueryRequest(endpoint, out_order_no, fields)
        return request.order(await self._client_for(request.endpoint).call_async(request.call), self._client.mchid)

    def _client_for(self, endpoint: Endpoint) -> "Client":
        return self._client.oversea if endpoint.overseas else self._client


class _SyncRequest:
    """One sync: the call, and how its answer is read."""

    def __init__(self, payment: SyncPayment) -> None:
        if missing := sorted({"out_order_no", "paid_time"} - payment.keys()):
            raise TypeError(f"missing {', '.join(missing)}")
        name = payment.get("endpoint", "direct")
        self.endpoint, fields = _checked(name, {key: value for key, value in payment.items() if key not in _APART})
        self._out_order_no, self._identity = payment["out_order_no"], self.endpoint.identified_by(fields)
        detail: dict[str, str | int] = {"paid_time": written(payment["paid_time"], rfc_3339=self.endpoint.rfc_3339)}
        detail |= {key: _whole(key, fields.pop(key)) for key in SYNC_DETAIL if key in fields}
        body = {**fields, "type": "Order_Paid", "detail": detail}
        path = f"{self.endpoint.path}/{{out_order_no}}/sync"
        self.call = Call("POST", path, identified_by(self._out_order_no), json=body)

    def order(self, answer: "Answer", mchid: str) -> ServiceOrder | None:
        """Return the order of the answer, None where the endpoint answers without one; raise MalformedError."""
        if answer.status == 202:  # "accepted": repeat the request, nothing is settled (doc 4012081717)
            raise MalformedError("accepted but not processed (202)", method=answer.method, path=answer.path)
        match self.endpoint.sync_answer:
            case "order":
                return service_order(answer, self._out_order_no, mchid, self._identity)
            case "acknowledgement":
                said = about(answer, self._out_order_no, mchid, self._identity)
                is_this = "state" not in said  # an answer with a state is one to a query, replayed
            case "nothing":
                is_this = not answer.content
        if not is_this:
            raise MalformedError("the verified answer is not one to a sync", method=answer.method, path=answer.path)
        return None


class _QueryRequest:
    """One query: the call, and how its answer is read."""

    def __init__(self, endpoint: str, out_order_no: str, arguments: Mapping[str, object]) -> None:
        self.endpoint, fields = _checked(endpoint, arguments)
        self._out_order_no, self._identity = out_order_no, self.endpoint.identified_by(fields)
        self.call = Call("GET", self.endpoint.path, {}, params={**fields, **identified_by(out_order_no)})

    def order(self, answer: "Answer", mchid: str) -> ServiceOrder:
        """Return the order of the answer; raise MalformedError."""
        return service_order(answer, self._out_order_no, mchid, self._identity)


def _whole(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{key} must be a whole number, not negative (money in fen)")
    return value


def _checked(name: str, arguments: Mapping[str, object]) -> tuple[Endpoint, dict[str, Any]]:
    """Return the endpoint and the fields to send; ValueError naming the first that is missing or has no place."""
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    fields = {key: value for key, value in arguments.items() if value is not None}
    for key in endpoint.required:
        if not fields.get(key):
            raise ValueError(f"{key} is required by the endpoint {name!r}")
    for key in fields:
        if key not in endpoint.fields:
            raise ValueError(f"{key} has no place at the endpoint {name!r}")
    return endpoint, fields
