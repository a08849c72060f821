"""The merchants and orders of WeChat Pay, and what shops, customers and WeChat Pay itself do to an order."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.wechat_pay import orders, times
from sandbox.wechat_pay.keys import KeyRing, SimulatedMerchant, SimulatedPlatform
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import NOT_EXIST
from sandbox.wechat_pay.routes import ENDPOINTS

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

    def merchant(self, mchid: str = "1230000109") -> SimulatedMerchant:
        """Return the merchant of this number, with real keys, made on first use."""
        with self._lock:
            if mchid not in self._merchants:
                self._merchants[mchid] = SimulatedMerchant(mchid, self._ring, self.platform)
            return self._merchants[mchid]

    @property
    def public_keys(self) -> dict[str, dict[str, str]]:
        """Every public key as PEM by owner and serial: WeChat Pay's, and each merchant's, its present one last."""
        with self._lock:
            merchants = list(self._merchants.values())
        return {"WeChat Pay": self.platform.keys("both")} | {one.mchid: one.public_keys for one in merchants}

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
        at: float | None = None,
    ) -> SimulatedOrder:
        """Create an order, as the shop does; `at` is Unix seconds, now by default.

        `endpoint` is one of `routes.ENDPOINTS`; without it the order belongs to the first that a request names.
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
            order_id=f"1000000000{times.digits(now)}{secrets.randbelow(10**7):07d}",
            sub_mchid=sub_mchid,
            endpoint=endpoint,
            channel_id=channel_id,
            currency=currency,
        )
        return self._store(order)

    def confirm(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Confirm the order, as the customer does."""
        return self._change(mchid, out_order_no, sub_mchid, orders.confirm)

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

    def ready_to_sync(
        self, mchid: str, out_order_no: str, *, total_amount: int = 3900, at: float | None = None, **options: str
    ) -> SimulatedOrder:
        """Open, confirm and complete an order at once: it waits for its money since `at`, an hour ago by default."""
        since = self._clock() - 3600 if at is None else at
        self.open(mchid, out_order_no, at=since - 3600, **options)
        sub_mchid = options.get("sub_mchid", "")
        self.confirm(mchid, out_order_no, sub_mchid=sub_mchid)
        return self.complete(mchid, out_order_no, total_amount=total_amount, at=since, sub_mchid=sub_mchid)

    def order(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Return the order as it stands; KeyError where there is none. `sub_mchid` selects among equal numbers."""
        with self._lock:
            same_number = self._orders[mchid, out_order_no]
            return same_number[sub_mchid] if sub_mchid or "" in same_number else next(iter(same_number.values()))

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
