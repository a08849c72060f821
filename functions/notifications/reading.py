"""What a verified notification says: which order it is about and how that was paid, or nothing of the kind. Pure.

Every type is opened. Only PAYSCORE.USER_PAID says something about an order's payment (doc 4012587960); the others are
counted by their type, of which the metrics have a fixed number.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from notifications.endings import Reason
from orders.order import Order, Outcome, Payment, Reporter, order_key
from orders.wechat.replies import order_reply
from wechatpay import MalformedError, Notification, ServiceOrder
from wechatpay.text import printable

PAID = "PAYSCORE.USER_PAID"
EVENT_TYPES = frozenset(
    {
        PAID,
        *(f"PAYSCORE.{name}" for name in ("USER_CONFIRM", "USER_OPEN_SERVICE", "USER_CLOSE_SERVICE")),
        *(f"PAYSCORE.{name}" for name in ("MCH_PREPAY", "USER_ACCEPTED", "USER_CANCEL")),  # of older interfaces
        *(f"REFUND.{name}" for name in ("SUCCESS", "ABNORMAL", "CLOSED")),
        "SECURITY_ECHO.SUCCESS",
    }
)
OTHER_TYPE = "OTHER"
SOURCE = "wechatpay"  # the source of an order that a notification has made

_IDENTIFIER = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_ID_LIMIT = 64  # characters; a notification's id has 36


class PaidOrder(NamedTuple):
    """A verified notification about a paid order: as it was told, and what the table needs of it.

    `payment` has the names of the order, and no time at which a till took money.
    """

    order: ServiceOrder
    payment: Payment
    reporter: Reporter

    @property
    def key(self) -> str:
        """The order's key in the table; an order of a sub-merchant names it."""
        return order_key(self.payment.mchid, self.payment.out_order_no, None, self.payment.sub_mchid)

    def outcome(self, order: Order | None, endpoint: str) -> Outcome:
        """Return what it means on top of the order's item; `endpoint` is the merchant's default."""
        payment = order.payment if order is not None else self.payment
        reply = order_reply(self.order, payment._replace(endpoint=payment.endpoint or endpoint))
        return Outcome(reply.verdict.status, payment, reply.verdict.reason, facts=reply.facts)


class OtherEvent(NamedTuple):
    """A verified notification that says nothing about an order's payment."""


def read(notification: Notification, mchid: str) -> PaidOrder | OtherEvent | Reason:
    """Return what the notification says, or why it is refused: it is of another merchant, or names no order."""
    if _names_another(notification.resource, mchid):
        return Reason.OTHER_MERCHANT
    if notification.event_type != PAID:
        return OtherEvent()
    try:
        order = notification.service_order()
    except MalformedError:
        return Reason.MALFORMED
    if order.mchid != mchid or not all(map(_is_identifier, (order.out_order_no, order.sub_mchid or "0"))):
        return Reason.MALFORMED
    message_id = printable(notification.id, _ID_LIMIT).strip() or "-"
    return PaidOrder(order, _payment(order, mchid), Reporter(message_id, message_id, SOURCE))


def event_type(notification: Notification) -> str:
    """Return the type as the metrics have it."""
    return notification.event_type if notification.event_type in EVENT_TYPES else OTHER_TYPE


def _names_another(resource: Mapping[str, object], mchid: str) -> bool:
    """Whether the resource names a merchant, as a partner's resource does by `sp_mchid`, and none is the path's."""
    merchants = [resource[name] for name in ("sp_mchid", "mchid") if name in resource]
    return bool(merchants) and mchid not in merchants


def _payment(order: ServiceOrder, mchid: str) -> Payment:
    return Payment(
        mchid,
        order.out_order_no,
        appid=order.appid,
        service_id=order.service_id,
        sub_mchid=order.sub_mchid,
        channel_id=order.channel_id,
    )


def _is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None
