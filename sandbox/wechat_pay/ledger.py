"""The merchants and orders of WeChat Pay, and what shops, customers and WeChat Pay itself do to an order."""

from collections.abc import Callable
from typing import Any, Unpack

from sandbox.wechat_pay import numbers, orders
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.merchants import Merchants, MerchantsOptions
from sandbox.wechat_pay.order_store import OrderStore
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import NOT_EXIST
from sandbox.wechat_pay.verbs import verb
from sandbox.wechat_pay.wanted_states import COMPLETED, CONFIRMED, CREATED, OPEN

APPID = "wxd678efh567hg6787"
SERVICE_ID = "500001"


class LedgerOptions(MerchantsOptions, total=False):
    """What the ledger is started with."""

    notify_url: str | None


class Ledger(Merchants):
    """Merchants and their orders; one thread at a time changes them."""

    def __init__(self, *, notify_url: str | None = None, **options: Unpack[MerchantsOptions]) -> None:
        """Start with what the folder `state` has.

        `notify_url` is where the notifications about orders go that a verb has opened, none by default; `{mchid}` in it
        stands for the merchant. It may be set later: what receives them often needs the simulator first.
        """
        super().__init__(**options)
        self.notify_url = notify_url
        self._orders = OrderStore(self._state)

    @property
    def order_changes(self) -> int:
        """How often an order was stored: a follower reads the ledger again when it has grown."""
        return self._orders.changes

    @verb()
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
        notify_url: str | None = None,
        at: float | None = None,
    ) -> SimulatedOrder:
        """Create an order, as the shop does; a number that exists starts over.

        `at` is Unix seconds, now by default. `endpoint` is one of `families.ENDPOINTS`; without it the order belongs to
        the first that a request names. `every_field`: its answers have every field of the response dictionary.
        `notify_url` "" stands for an order without one; without the argument it has that of the ledger.
        """
        if endpoint not in {"", *ENDPOINTS}:
            raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}")
        now = self._clock() if at is None else at
        if notify_url is None:
            notify_url = (self.notify_url or "").replace("{mchid}", mchid)
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
            terms={"notify_url": notify_url} if notify_url else {},
            endpoint=endpoint,
            channel_id=channel_id,
            currency=currency,
            every_field=every_field,
        )
        return self._store(order)

    @verb(needs=CREATED)
    def confirm(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Confirm the order, as the customer does."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.confirm(order, self._clock()))

    @verb(needs=CONFIRMED)
    def complete(
        self, mchid: str, out_order_no: str, *, total_amount: int = 3900, at: float | None = None, sub_mchid: str = ""
    ) -> SimulatedOrder:
        """Complete the order, as the shop does; `total_amount` in fen, `at` Unix seconds."""
        now = self._clock() if at is None else at
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.complete(order, total_amount, now))

    @verb(needs=COMPLETED)
    def deduct(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Collect the money, as WeChat Pay itself does: NEWTON."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.deduct(order, self._clock()))

    @verb(needs=OPEN)
    def cancel(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Cancel the order, as the shop does."""
        return self._change(mchid, out_order_no, sub_mchid, orders.cancel)

    @verb(needs=CREATED)
    def expire(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Expire the order, which the customer has not confirmed for thirty days."""
        return self._change(mchid, out_order_no, sub_mchid, orders.expire)

    @verb(needs=COMPLETED)
    def deducting(self, mchid: str, out_order_no: str, on: bool = True, *, sub_mchid: str = "") -> SimulatedOrder:
        """Start a deduction, or end it without the money (`on` false): meanwhile sync is refused."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.set_deducting(order, on=on))

    @verb()
    def fill(self, mchid: str, out_order_no: str, on: bool = True, *, sub_mchid: str = "") -> SimulatedOrder:
        """Answer about the order with every field of the response dictionary, or no longer: a client's parser test."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.alter(order, every_field=on))

    @verb()
    def ready_to_sync(  # noqa: PLR0913  those of `open` that matter here, and of `complete`
        self,
        mchid: str,
        out_order_no: str,
        *,
        total_amount: int = 3900,
        at: float | None = None,
        every_field: bool = False,
        appid: str = APPID,
        service_id: str = SERVICE_ID,
        sub_mchid: str = "",
        channel_id: str = "",
        currency: str = "HKD",
        endpoint: str = "",
        notify_url: str | None = None,
    ) -> SimulatedOrder:
        """Open, confirm and complete an order at once: it waits for its money since `at`, an hour ago by default."""
        since = self._clock() - 3600 if at is None else at
        with self._state.transaction():
            self.open(
                mchid,
                out_order_no,
                appid=appid,
                service_id=service_id,
                sub_mchid=sub_mchid,
                channel_id=channel_id,
                currency=currency,
                endpoint=endpoint,
                notify_url=notify_url,
                every_field=every_field,
                at=since - 3600,
            )
            self.confirm(mchid, out_order_no, sub_mchid=sub_mchid)
            return self.complete(mchid, out_order_no, total_amount=total_amount, at=since, sub_mchid=sub_mchid)

    def order(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> SimulatedOrder:
        """Return the order as it stands; KeyError where there is none. `sub_mchid` selects among equal numbers."""
        same_number = self._orders.same_number(mchid, out_order_no)
        if not same_number:
            raise KeyError((mchid, out_order_no))
        return same_number[sub_mchid] if sub_mchid or "" in same_number else next(iter(same_number.values()))

    def ledger(self) -> list[dict[str, Any]]:
        """Return every order as a dictionary."""
        return [order.as_dict() for order in self._orders.all()]

    def numbers(self, mchid: str) -> list[str]:
        """Return the numbers of a merchant's newest orders."""
        return self._orders.numbers_of(mchid)

    def _find(self, mchid: str, out_order_no: str, sub_mchid: str, endpoint: str) -> SimulatedOrder | None:
        """Return the order of the sub-merchant, or one that was opened without naming an owner."""
        same_number = self._orders.same_number(mchid, out_order_no)
        if sub_mchid in same_number:
            return same_number[sub_mchid]
        unowned = [order for order in same_number.values() if not (order.endpoint and order.sub_mchid)]
        return next((order for order in unowned if order.endpoint in {"", endpoint}), None)

    def _store(self, order: SimulatedOrder, before: SimulatedOrder | None = None) -> SimulatedOrder:
        """Store the order in the place of the one that it was before, together with what follows from the change."""
        if order != before:
            with self._state.transaction():
                self.merchant(order.mchid)
                same_number = self._orders.same_number(order.mchid, order.out_order_no) if before is None else {}
                self._orders.put(order, before)
                self._follow(before or same_number.get(order.sub_mchid), order)
        return order

    def _follow(self, before: SimulatedOrder | None, order: SimulatedOrder) -> None:
        """Do what follows from an order's change, in its transaction."""

    def _change(
        self, mchid: str, out_order_no: str, sub_mchid: str, change: Callable[[SimulatedOrder], SimulatedOrder]
    ) -> SimulatedOrder:
        with self._lock:
            try:
                order = self.order(mchid, out_order_no, sub_mchid=sub_mchid)
            except KeyError:
                raise NOT_EXIST from None
            return self._store(change(order), order)
