"""The way of a notification: front, keys, verification, reading, table. Each step ends it, or hands a value on.

The answer is due within five seconds of the front's receipt, the write included (doc 4012587960): no call of AWS begins
that could take longer than what is left.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import wechatpay
from notifications import front, reading
from notifications.endings import Effect, Ending, Failed, Reason, Received, Refused, Trouble
from notifications.front import Request
from notifications.lookups import Lookups, LookupsLimitedError
from notifications.reading import OtherEvent, PaidOrder
from orders.dialogue import UNKNOWN_STATE
from orders.errors import (
    MerchantUnavailableError,
    OrdersError,
    OutOfTimeError,
    TableUnavailableError,
    UnknownMerchantError,
    UnreadableItemError,
)
from orders.merchants import Merchant
from orders.notices import record_notification
from orders.order import Order, Outcome, Status
from orders.ports import Table
from orders.recorder import Amended, amend
from orders.rules import raised_alarm

START_LIMIT = 2.0  # seconds: the longest start of an environment; a larger difference lies between two clocks

type Opened = tuple[Merchant, wechatpay.Notification]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes a notification from the front to the table.

    `days` is how long an order that no till has reported is remembered; `within` is the seconds in which WeChat Pay
    wants its answer, `call_limit` those that one call of AWS takes at most. `clock` is Unix seconds.
    """

    table: Table
    lookups: Lookups
    days: int
    within: float
    call_limit: float
    clock: Callable[[], float] = time.time

    def receive(self, event: object, time_left: Callable[[], float]) -> Ending:
        """Deal with what a front hands over; `time_left` is the invocation's remaining seconds. Never raises."""
        request = front.read(event)
        if isinstance(request, Refused):
            return request
        if reason := front.objection(request, self.clock()):
            return Refused(reason, request.mchid)
        try:
            return self._deal_with(request, self._deadline(request, time_left))
        except _EndingError as error:
            return error.ending
        except UnknownMerchantError:
            return Refused(Reason.UNKNOWN_MERCHANT, request.mchid)
        except Exception as error:  # noqa: BLE001  the edge of one notification: WeChat Pay must get an answer
            return Failed(_trouble(error), request.mchid)

    def _deadline(self, request: Request, time_left: Callable[[], float]) -> Callable[[], None]:
        """Return a function that raises OutOfTimeError where the next call could end too late."""
        arrived_at = request.arrived_at
        waited = 0.0 if arrived_at is None else min(START_LIMIT, max(0.0, self.clock() - arrived_at))
        surplus = max(0.0, time_left() - (self.within - waited))

        def require_time() -> None:
            if time_left() - surplus < self.call_limit:
                raise OutOfTimeError

        return require_time

    def _deal_with(self, request: Request, require_time: Callable[[], None]) -> Ending:
        merchant, notification = self._open(request, require_time)
        event_type = reading.event_type(notification)
        match reading.read(notification, request.mchid):
            case Reason() as reason:
                return Refused(reason, request.mchid)
            case OtherEvent():
                return Received(request.mchid, event_type, Effect.COUNTED)
            case PaidOrder() as paid:
                return self._record(paid, merchant.endpoint, require_time)

    def _open(self, request: Request, require_time: Callable[[], None]) -> Opened:
        """Verify and decrypt with the merchant's keys; if they do not fit, once more with those of a fresh secret."""
        require_time()
        merchant = self.lookups.get(request.mchid)
        opened = _try_to_open(merchant, request)
        if opened in {Reason.UNKNOWN_SERIAL, Reason.UNDECRYPTABLE}:
            require_time()
            if fresh := self.lookups.refresh(merchant):
                merchant, opened = fresh, _try_to_open(fresh, request)
        if isinstance(opened, Reason):
            raise _EndingError(Refused(opened, request.mchid))
        return merchant, opened

    def _record(self, paid: PaidOrder, endpoint: str, require_time: Callable[[], None]) -> Received:
        def change(order: Order | None) -> Order | None:
            outcome = paid.outcome(order, endpoint)
            return record_notification(order, outcome, paid.reporter, self.clock(), days=self.days)

        amended = amend(_PunctualTable(self.table, require_time), paid.key, change)
        effect = effect_of(amended, paid.outcome(amended.before, endpoint), paid.reporter.message_id)
        payment = paid.payment
        return Received(
            payment.mchid, reading.PAID, effect, payment.out_order_no, payment.sub_mchid or "", amended.order
        )


def effect_of(amended: Amended, outcome: Outcome, message_id: str) -> Effect:
    """Return what the notification with this id has changed."""
    before, after = amended
    if after is None:
        return _without_change(before, outcome, message_id)
    if before is not None and (before.status.final or before.status is Status.COLLECTED):
        return Effect.CONTRADICTION
    return _EFFECTS[after.status]


_EFFECTS: Mapping[Status, Effect] = {
    Status.COLLECTED: Effect.COLLECTED,
    Status.PAID_BY_WECHAT: Effect.PAID_BY_WECHAT,
    Status.SYNCED: Effect.SYNCED,
    Status.NOTHING_DUE: Effect.NOTHING_DUE,
}


def _without_change(order: Order | None, outcome: Outcome, message_id: str) -> Effect:
    """Return why nothing was written.

    A notification that had brought a double payment or a contradiction, and is sent again, had no answer: it may be
    that the alarm was not raised either.
    """
    if outcome.reason == UNKNOWN_STATE.reason:
        return Effect.NOT_UNDERSTOOD
    if order is None:
        return Effect.NOT_REPORTED
    if not raised_alarm(order, message_id):
        return Effect.UNCHANGED
    return Effect.REPEATED if outcome.status is order.status else Effect.CONTRADICTION


class _PunctualTable(NamedTuple):
    """The table, with a look at the time before each call."""

    table: Table
    require_time: Callable[[], None]

    def load(self, keys: Iterable[str]) -> Mapping[str, Order | UnreadableItemError]:
        self.require_time()
        return self.table.load(keys)

    def create(self, orders: Sequence[Order]) -> Mapping[str, OrdersError]:
        self.require_time()
        return self.table.create(orders)

    def save(self, order: Order) -> None:
        self.require_time()
        self.table.save(order)


class _EndingError(Exception):
    """A step has ended the notification."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(type(ending).__name__)
        self.ending = ending


_UNTRUSTED: Mapping[str, Reason] = {
    "unsigned": Reason.UNSIGNED,
    "timestamp": Reason.UNSIGNED,
    "unknown_serial": Reason.UNKNOWN_SERIAL,
    "stale": Reason.STALE,
    "probe": Reason.PROBE,
}
"""What the library says of a notification that does not verify; every other word is about the signature."""


def _try_to_open(merchant: Merchant, request: Request) -> wechatpay.Notification | Reason:
    try:
        return merchant.client.notification(request.headers, request.body)
    except wechatpay.UntrustedError as error:
        return _UNTRUSTED.get(error.reason, Reason.WRONG_SIGNATURE)
    except wechatpay.UndecryptableError:
        return Reason.UNDECRYPTABLE
    except wechatpay.MalformedError:
        return Reason.MALFORMED
    except ValueError:  # what a client without an APIv3 key raises
        raise _EndingError(Failed(Trouble.NO_APIV3_KEY, request.mchid)) from None


_TROUBLES: Sequence[tuple[type[Exception], Trouble]] = (
    (MerchantUnavailableError, Trouble.SECRET_UNAVAILABLE),
    (LookupsLimitedError, Trouble.LOOKUPS_LIMITED),
    (OutOfTimeError, Trouble.OUT_OF_TIME),
    (TableUnavailableError, Trouble.TABLE_UNAVAILABLE),
    (UnreadableItemError, Trouble.UNREADABLE_ITEM),
)


def _trouble(error: Exception) -> Trouble:
    return next((trouble for kind, trouble in _TROUBLES if isinstance(error, kind)), Trouble.UNEXPECTED)
