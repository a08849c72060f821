"""PayScore with types: report that an order was paid elsewhere, and query its state.

Five endpoint families do the same under different names; `ENDPOINTS` says what each takes and what it answers.
"""

from collections.abc import Mapping
from typing import Unpack

from wechatpay import times
from wechatpay.answer import Answer
from wechatpay.arguments import OrderQuery, SyncPayment, is_natural, require_names, require_out_order_no
from wechatpay.caller import Caller, TypedCall
from wechatpay.chain import Call
from wechatpay.direct_orders import DirectOrders
from wechatpay.endpoints import ENDPOINTS, SYNC_DETAIL, Endpoint, EndpointName
from wechatpay.errors import MalformedError
from wechatpay.read_order import order_fields, read_order
from wechatpay.service_order import ServiceOrder
from wechatpay.signed_call import SignedCall

__all__ = ["ENDPOINTS", "Endpoint", "EndpointName", "OrderQuery", "PayScore", "SyncPayment"]

_APART = frozenset({"out_order_no", "paid_time", "endpoint"})  # they stand elsewhere than in the fields of the request


class PayScore(DirectOrders):
    """Service orders of one merchant; reached as `client.payscore`.

    `sync` and `query` serve all five endpoints; `create`, `complete`, `modify` and `cancel` the direct one.
    """

    def sync(self, **payment: Unpack[SyncPayment]) -> ServiceOrder | None:
        """Report that an order was paid elsewhere; WeChat Pay stops collecting it (doc 4012587962).

        Args:
            **payment: keyword arguments, those of `SyncPayment`.
                `out_order_no` (str): the merchant's number of the order, 1 to 32 of digits, letters, `_ - | *`.
                `service_id` (str): the PayScore service of the order.
                `paid_time` (datetime or str): an aware datetime, `yyyyMMddHHmmss` or `yyyyMMdd` (Beijing time), or RFC
                3339 with an offset.
                `endpoint` (str): `direct` (the default), `partner`, `acquiringbank`, `payafter` or `oversea`.
                `appid`, `sub_mchid`, `channel_id` (str), `seq` (int), `paid_amount` (int, fen): where the endpoint has
                them, see `ENDPOINTS`; None is the same as left out.

        Returns:
            The order, or None where the endpoint answers without one: then `query`.

        Raises:
            TypeError: a name is missing, or is none of these.
            ValueError: a value that the endpoint needs, cannot take or has no place for, named.
            MalformedError: the answer is about another order, or is not an answer to this call.
            UnansweredError, RefusedError, UntrustedError: as `Client.call` raises them. The report is never repeated
                by this library; after an unknown outcome, `query` first.
        """
        caller, call = self._sync(payment)
        return caller.run(call)

    async def sync_async(self, **payment: Unpack[SyncPayment]) -> ServiceOrder | None:
        """Do what `sync` does, on a thread of the client."""
        caller, call = self._sync(payment)
        return await caller.run_async(call)

    def sign_sync(self, **payment: Unpack[SyncPayment]) -> SignedCall[ServiceOrder | None]:
        """Sign a `sync` that is sent later: once and within 60 s as it was signed here, otherwise newly signed.

        Takes what `sync` takes and raises its TypeError or ValueError; `send` returns what `sync` returns and raises
        the rest.
        """
        caller, call = self._sync(payment)
        return caller.sign(call)

    def query(self, **order: Unpack[OrderQuery]) -> ServiceOrder:
        """Query an order; changes nothing (doc 4012587902).

        Args:
            **order: keyword arguments, those of `OrderQuery`; the same as of `sync`, without the payment.

        Returns:
            The order in WeChat Pay's own words.

        Raises:
            TypeError, ValueError, MalformedError, UnansweredError, RefusedError, UntrustedError: as `sync` does.
        """
        caller, call = self._query(order)
        return caller.run(call)

    async def query_async(self, **order: Unpack[OrderQuery]) -> ServiceOrder:
        """Do what `query` does, on a thread of the client."""
        caller, call = self._query(order)
        return await caller.run_async(call)

    def _sync(self, payment: SyncPayment) -> tuple[Caller, TypedCall[ServiceOrder | None]]:
        require_names(SyncPayment.__required_keys__, SyncPayment.__optional_keys__, payment)
        endpoint, fields = _fields(payment)
        number, identity = payment["out_order_no"], endpoint.identity_of(fields)
        detail: dict[str, object] = {"paid_time": times.write(payment["paid_time"], rfc_3339=endpoint.rfc_3339)}
        detail |= {name: _natural(name, fields.pop(name)) for name in SYNC_DETAIL if name in fields}
        call = Call(
            "POST",
            f"{endpoint.path}/{{out_order_no}}/sync",
            {"out_order_no": require_out_order_no(number)},
            json={**fields, "type": "Order_Paid", "detail": detail},
        )
        mchid = self._caller.merchant.mchid
        return self._caller_for(endpoint), TypedCall(
            call, lambda answer: _read_sync(answer, endpoint, number, mchid, identity)
        )

    def _query(self, order: OrderQuery) -> tuple[Caller, TypedCall[ServiceOrder]]:
        require_names(OrderQuery.__required_keys__, OrderQuery.__optional_keys__, order)
        endpoint, fields = _fields(order)
        number, identity = order["out_order_no"], endpoint.identity_of(fields)
        call = Call("GET", endpoint.path, {}, params={**fields, "out_order_no": require_out_order_no(number)})
        mchid = self._caller.merchant.mchid
        return self._caller_for(endpoint), TypedCall(call, lambda answer: read_order(answer, number, mchid, identity))

    def _caller_for(self, endpoint: Endpoint) -> Caller:
        return self._caller.oversea if endpoint.overseas else self._caller


def _fields(arguments: OrderQuery) -> tuple[Endpoint, dict[str, object]]:
    """Return the endpoint and the fields of the request; ValueError naming the first that is missing or surplus."""
    name = arguments.get("endpoint", "direct")
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
    fields = {key: value for key, value in arguments.items() if value is not None and key not in _APART}
    for key in endpoint.required:
        if not fields.get(key):
            raise ValueError(f"{key} is required by the endpoint {name!r}")
    for key in fields:
        if key not in endpoint.fields:
            raise ValueError(f"{key} has no place at the endpoint {name!r}")
    return endpoint, fields


def _natural(name: str, value: object) -> object:
    if not is_natural(value):
        raise ValueError(f"{name} must be a whole number, not negative (money in fen)")
    return value


def _read_sync(
    answer: Answer, endpoint: Endpoint, out_order_no: str, mchid: str, identity: Mapping[str, object]
) -> ServiceOrder | None:
    """Return the order of the answer, None where the endpoint answers without one; raise MalformedError."""
    if answer.status == 202:  # "accepted": repeat the request, nothing is settled (doc 4012081717)
        raise MalformedError("accepted but not processed (202)", method=answer.method, path=answer.path)
    match endpoint.sync_answer:
        case "order":
            return read_order(answer, out_order_no, mchid, identity)
        case "acknowledgement":  # an answer with a state is one to a query, replayed
            is_answer = "state" not in order_fields(answer, out_order_no, mchid, identity)
        case "nothing":
            is_answer = not answer.content
    if not is_answer:
        raise MalformedError("the verified answer is not one to a sync", method=answer.method, path=answer.path)
    return None
