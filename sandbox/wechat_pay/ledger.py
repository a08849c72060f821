"""The merchants and orders of WeChat Pay, and what shops, customers and WeChat Pay itself do to an order."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.wechat_pay import numbers, orders, permissions, refunds
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.keys import KeyRing, SimulatedMerchant, SimulatedPlatform
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.payments import SimulatedPayment, payment_of
from sandbox.wechat_pay.permissions import SimulatedPermission
from sandbox.wechat_pay.refunds import SimulatedRefund
from sandbox.wechat_pay.refusals import NOT_EXIST
from sandbox.wechat_pay.registers import Bills, Permissions, Refunds

APPID = "wxd678efh567hg6787"
SERVICE_ID = "500001"


class Ledger:
    """Merchants with real keys, and their orders; one thread at a time changes it."""

    def __init__(self, *, clock: Callable[[], float] = time.time, keys: Path | None = None) -> None:
        """Start empty. `clock` returns Unix seconds; `keys` is the folder where keys outlive the process."""
        self._clock = clock
        self._ring = KeyRing(keys)
        self.platform = SimulatedPlatform(self._ring)
        self._lock = threading.RLock()
        self._merchants: dict[str, SimulatedMerchant] = {}
        self._orders: dict[tuple[str, str], dict[str, SimulatedOrder]] = {}  # by merchant and number, by sub-merchant
        self.permissions, self.refunds, self.bills = Permissions(), Refunds(), Bills()

    def merchant(self, mchid: str = "1230000109") -> SimulatedMerchant:
        """Return the merchant of this number, with real keys, made on first use."""
        with self._lock:
            if mchid not in self._merchants:
                self._merchants[mchid] = SimulatedMerchant(mchid, self._ring, self.platform)
            return self._merchants[mchid]

    def open(  # noqa: PLR0913  an order has these
        self,
        mchid: str,
        out_order_no: str,
        *,
        appid: str = APPID,
        service_id: str = SERVICE_ID,
        sub_mchid: str = "",
        channel_id: str = "",
        currency: str = "HKD",
        endpoint: str = "",
        every_field: bool = False,
        at: float | None = None,
    ) -> SimulatedOrder:
        """Create an order, as the shop does; `at` is Unix seconds, now by default.

        `every_field`: the order's answers have every field of the response dictionary.

        `endpoint` is one of `families.ENDPOINTS`; without it the order belongs to the first that a request names.
        """
        if endpoint not in {"", *ENDPOINTS}:
            raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
        now = self._clock() if at is None else at
        order = SimulatedOrder(
            mchid,
            out_order_no,
            appid,
            service_id,
            created_at=now,
            order_id=numbers.order_id(now),
            query_id=numbers.query_id(),
            usual=True,
            sub_mchid=sub_mchid,
            endpoint=endpoint,
            channel_id=channel_id,
            currency=currency,
            every_field=every_field,
        )
        return self._store(order)

    def confirm(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Confirm the order, as the customer does."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.confirm(order, self._clock()))

    def complete(
        self, mchid: str, out_order_no: str, *, total_amount: int = 3900, at: float | None = None, sub_mchid: str = ""
    ) -> SimulatedOrder:
        """Complete the order, as the shop does; `total_amount` in fen."""
        now = self._clock() if at is None else at
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.complete(order, total_amount, now))

    def deduct(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Collect the money, as WeChat Pay itself does: NEWTON."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.deduct(order, self._clock()))

    def cancel(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Cancel the order, as the shop does."""
        return self._change(mchid, out_order_no, sub_mchid, orders.cancel)

    def expire(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Expire the order, which the customer has never confirmed."""
        return self._change(mchid, out_order_no, sub_mchid, orders.expire)

    def deducting(self, mchid: str, out_order_no: str, on: bool = True, *, sub_mchid: str = "") -> SimulatedOrder:
        """Start a deduction, or end it without the money: meanwhile sync is refused."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: replace(order, deducting=on))

    def fill(self, mchid: str, out_order_no: str, on: bool = True, *, sub_mchid: str = "") -> SimulatedOrder:
        """Answer about the order with every field of the response dictionary, or no longer: a client's parser test."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: replace(order, every_field=on))

    def ready_to_sync(
        self,
        mchid: str,
        out_order_no: str,
        *,
        total_amount: int = 3900,
        at: float | None = None,
        every_field: bool = False,
        **options: str,
    ) -> SimulatedOrder:
        """Open, confirm and complete an order at once: it waits for its money since `at`, an hour ago by default."""
        since = self._clock() - 3600 if at is None else at
        self.open(mchid, out_order_no, at=since - 3600, every_field=every_field, **options)
        sub_mchid = options.get("sub_mchid", "")
        self.confirm(mchid, out_order_no, sub_mchid=sub_mchid)
        return self.complete(mchid, out_order_no, total_amount=total_amount, at=since, sub_mchid=sub_mchid)

    def order(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Return the order as it stands; KeyError where there is none. `sub_mchid` selects among equal numbers."""
        with self._lock:
            same_number = self._orders[mchid, out_order_no]
            return same_number[sub_mchid] if sub_mchid or "" in same_number else next(iter(same_number.values()))

    def open_service(
        self,
        mchid: str,
        authorization_code: str = "",
        *,
        openid: str = "",
        sub_openid: str = "",
        appid: str = APPID,
        service_id: str = SERVICE_ID,
    ) -> SimulatedPermission:
        """Open the service, as the user does; without `authorization_code` in the older way, without an application."""
        with self._lock:
            permission = self._permission(mchid, authorization_code, openid, appid, service_id)
            now = self._clock()
            return self.permissions.store(
                permissions.open_service(permission, now, openid=openid, sub_openid=sub_openid)
            )

    def close_service(self, mchid: str, authorization_code: str = "", *, openid: str = "") -> SimulatedPermission:
        """Close the service, as the user does."""
        with self._lock:
            user = {"openid": openid} if openid else {}
            permission = (
                self.permissions.of_code(mchid, authorization_code)
                if authorization_code
                else self.permissions.of_user(mchid, user)
            )
            if permission is None:
                raise LookupError(
                    f"merchant {mchid} has no such permission: give the authorization_code or openid of one"
                )
            return self.permissions.store(permissions.close_service(permission, self._clock()))

    def finish_refund(self, mchid: str, out_refund_no: str, status: str = "SUCCESS") -> SimulatedRefund:
        """End a refund, as WeChat Pay does: SUCCESS, CLOSED or ABNORMAL."""
        with self._lock:
            refund = self.refunds.of_number(mchid, out_refund_no)
            return self.refunds.store(refunds.finish(refund, status, self._clock()))

    def payments(self, mchid: str) -> list[SimulatedPayment]:
        """Return what WeChat Pay has collected for a merchant."""
        with self._lock:
            own = [order for (owner, _), same in self._orders.items() if owner == mchid for order in same.values()]
        return [payment for order in own if (payment := payment_of(order))]

    def _permission(
        self, mchid: str, authorization_code: str, openid: str, appid: str, service_id: str
    ) -> SimulatedPermission:
        """Return the permission that a user is about to open."""
        if not authorization_code:
            identity = {"openid": openid, "appid": appid, "service_id": service_id}
            permission_of_user = self.permissions.of_user(mchid, identity)
            return permission_of_user or SimulatedPermission(self.merchant(mchid).mchid, service_id, appid)
        permission = self.permissions.of_code(mchid, authorization_code)
        if permission is None:
            raise LookupError(f"merchant {mchid} has not applied for {authorization_code}: POST a permission first")
        return permission

    def ledger(self) -> list[dict[str, Any]]:
        """Return every order as a dictionary."""
        with self._lock:
            return [order.as_dict() for same_number in self._orders.values() for order in same_number.values()]

    def _find(self, mchid: str, out_order_no: str, sub_mchid: str, endpoint: str) -> SimulatedOrder | None:
        """Return the order of the sub-merchant, or one that was opened without naming an owner."""
        same_number = self._orders.get((mchid, out_order_no), {})
        if sub_mchid in same_number:
            return same_number[sub_mchid]
        unowned = [order for order in same_number.values() if not (order.endpoint and order.sub_mchid)]
        return next((order for order in unowned if order.endpoint in {"", endpoint}), None)

    def _store(self, order: SimulatedOrder, before: SimulatedOrder | None = None) -> SimulatedOrder:
        """Store the order in the place of the one that it was before."""
        with self._lock:
            self.merchant(order.mchid)
            same_number = self._orders.setdefault((order.mchid, order.out_order_no), {})
            if before is not None and before.sub_mchid != order.sub_mchid:
                del same_number[before.sub_mchid]
            same_number[order.sub_mchid] = order
        return order

    def _change(
        self, mchid: str, out_order_no: str, sub_mchid: str, change: Callable[[SimulatedOrder], SimulatedOrder]
    ) -> SimulatedOrder:
        with self._lock:
            try:
                order = self.order(mchid, out_order_no, sub_mchid=sub_mchid)
            except KeyError:
                raise NOT_EXIST from None
            return self._store(change(order))
