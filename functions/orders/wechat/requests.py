"""A payment as the arguments of the library's calls: the merchant's defaults filled in, what the endpoint takes."""

from typing import Protocol, cast

import wechatpay
from orders.order import Payment
from wechatpay.endpoints import ENDPOINTS, Endpoint, EndpointName


class Defaults(Protocol):
    """What a merchant's secret says for the fields that an event leaves out."""

    @property
    def appid(self) -> str | None:
        """The appid of an event without one."""

    @property
    def service_id(self) -> str | None:
        """The service_id of an event without one."""

    @property
    def endpoint(self) -> str:
        """The endpoint of an event without one."""


def with_defaults(payment: Payment, defaults: Defaults) -> Payment:
    """Return the payment as it is sent, the fields that the event leaves out from the merchant's secret."""
    return payment._replace(
        endpoint=payment.endpoint or defaults.endpoint,
        appid=payment.appid or defaults.appid,
        service_id=payment.service_id or defaults.service_id,
    )


def missing_fields(payment: Payment) -> tuple[str, ...]:
    """Return the names of the fields that the endpoint requires and the payment lacks."""
    return tuple(name for name in _endpoint(payment).required if not getattr(payment, name))


def order_query(payment: Payment) -> wechatpay.OrderQuery:
    """Return the arguments of a query: those for which the order's endpoint has a place."""
    places = _endpoint(payment).fields
    return {
        "out_order_no": payment.out_order_no,
        "service_id": payment.service_id or "",
        "endpoint": _endpoint_name(payment),
        "appid": payment.appid if "appid" in places else None,
        "sub_mchid": payment.sub_mchid if "sub_mchid" in places else None,
        "channel_id": payment.channel_id if "channel_id" in places else None,
    }


def sync_payment(payment: Payment) -> wechatpay.SyncPayment:
    """Return the arguments of a sync: what the endpoint has a place for; a POS may send more."""
    places = _endpoint(payment).fields
    return {
        **order_query(payment),
        "paid_time": payment.paid_time,
        "seq": payment.seq if "seq" in places else None,
        "paid_amount": payment.paid_amount if "paid_amount" in places else None,
    }


def _endpoint(payment: Payment) -> Endpoint:
    return ENDPOINTS[_endpoint_name(payment)]


def _endpoint_name(payment: Payment) -> EndpointName:
    return cast("EndpointName", payment.endpoint or "direct")  # `event` and `secret` let no other name through
