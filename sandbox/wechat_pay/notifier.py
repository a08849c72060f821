"""A ledger whose changes are told to the merchants: notifications are made with the change, and sent by a courier."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Unpack

from sandbox.wechat_pay import forgeries, notifications
from sandbox.wechat_pay.customers import Customers
from sandbox.wechat_pay.draft import Signing
from sandbox.wechat_pay.forgeries import Forgery, SignedNotification
from sandbox.wechat_pay.ledger import LedgerOptions
from sandbox.wechat_pay.notification_facts import NotificationFacts
from sandbox.wechat_pay.notifications import Attempt, Notification
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.outbox import Outbox
from sandbox.wechat_pay.refusals import NOT_EXIST
from sandbox.wechat_pay.switches import DEFAULTS, Switches
from sandbox.wechat_pay.verbs import CommandError, nearest, verb

REPLAYS = 100  # notifications that were returned and can be returned once more


class NotifierOptions(LedgerOptions, total=False):
    """What the notifier is started with."""

    switches: Switches
    ladder_scale: float


class Notifier(Customers):
    """A ledger with an outbox: what is in it is sent until it is accepted or the ladder ends."""

    def __init__(
        self, *, switches: Switches = DEFAULTS, ladder_scale: float = 1.0, **options: Unpack[LedgerOptions]
    ) -> None:
        """Start as a ledger; `switches` are those that no command has changed.

        The waits between the attempts of a notification are those of the official ladder times `ladder_scale`.
        """
        super().__init__(**options)
        self._ladder_scale = ladder_scale
        self._moment: float | None = None  # of what happens by itself, while it happens
        for name, value in (self._state.record("settings", "switches") or {}).items():
            with suppress(CommandError):  # another version's
                switches = switches.changed(name, value)
        self.switches = switches
        self.wake: Callable[[], None] = lambda: None
        self.outbox = Outbox(self._state)
        self._returned: dict[tuple[str, str, str], SignedNotification] = {}

    @verb()
    def switch(self, name: str, value: str | int | float | bool | None) -> None:
        """Decide what the pages leave open: set the switch `name` to `value`."""
        with self._state.transaction():
            self.switches = self.switches.changed(name, value)
            choices = self._state.record("settings", "switches") or {}
            self._state.put_record("settings", "switches", {**choices, name: value})

    @verb()
    def notification(
        self,
        mchid: str,
        out_order_no: str,
        event_type: str = "PAYSCORE.USER_PAID",
        *,
        forgery: Forgery = "none",
        replay: bool = False,
        serial: str = "",
        sub_mchid: str = "",
    ) -> tuple[dict[str, str], bytes]:
        """Return a notification about the order as it stands, headers and body, for the test of a handler.

        `event_type`: also a legacy one, or one that WeChat Pay does not have. `replay`: the one that was returned last,
        byte for byte. `serial` names the certificate that signs.
        """
        if not notifications.EVENT_TYPE.fullmatch(event_type):
            names = list(notifications.SUMMARIES)
            raise CommandError(
                f"event_type must be a type such as {', '.join(names)}, not {event_type!r:.80}",
                field="event_type",
                accepted=names,
                nearest=nearest(event_type, names),
            )
        key = (mchid, out_order_no, event_type)
        if not replay:
            self._remember(key, self._sign(*key, forgery, serial, sub_mchid))
        elif key not in self._returned:
            raise CommandError(f"no {event_type} about {out_order_no} was returned before: ask once without replay")
        signed = self._returned[key]
        return dict(signed.headers), signed.body

    @verb()
    def resend(self, id: str) -> None:
        """Send a notification once more, now, even one that was accepted; `id` is in the view `notifications`."""
        with self._state.transaction():
            try:
                notification = self.outbox.get(id)
            except KeyError:
                raise CommandError(f"there is no notification {id!r:.80}: GET notifications lists them") from None
            self.outbox.put(replace(notification, delivery="waiting", next_at=self._now()))
        self.wake()

    def record_attempt(self, notification: Notification, attempt: Attempt) -> Notification:
        """Store what became of one attempt to deliver."""
        with self._state.transaction():
            after = self.outbox.get(notification.id).after(attempt, self._ladder_scale)
            self.outbox.put(after)
        self.wake()
        return after

    def record_unsent(self, notification: Notification, reason: str) -> None:
        """Store that a notification cannot be sent to its address."""
        self.outbox.put(notification.unsent(reason, self._now()))

    def signed(self, notification: Notification) -> SignedNotification:
        """Sign a notification for an attempt now, with the key of the merchant's kind (doc 4012154180)."""
        body = notification.body.encode()
        signing = self._signing(notification.mchid, notification.id)
        return SignedNotification(signing.headers(self.platform, body, self._now()), body)

    def _now(self) -> float:
        """Return the Unix time: the clock's, or that of what happens by itself at this moment."""
        return self._clock() if self._moment is None else self._moment

    def _follow(self, before: SimulatedOrder | None, order: SimulatedOrder) -> None:
        """Tell the merchant of the order's change."""
        event = notifications.event_of(before, order, sync_notifies=self.switches.sync_notifies)
        notify_url, merchant = order.terms.get("notify_url"), self.merchant(order.mchid)
        if event and isinstance(notify_url, str) and merchant.has_apiv3_key:
            self.outbox.put(notifications.new(merchant, order, event, notify_url, self._now()))
            self.wake()

    def _tell(self, mchid: str, number: str, facts: NotificationFacts) -> None:
        """Tell the merchant of a permission or a refund."""
        merchant = self.merchant(mchid)
        if facts.notify_url and merchant.has_apiv3_key:
            self.outbox.put(notifications.of_facts(merchant, number, facts, self._now()))
            self.wake()

    def _sign(
        self, mchid: str, out_order_no: str, event_type: str, forgery: Forgery, serial: str, sub_mchid: str
    ) -> SignedNotification:
        merchant, now = self.merchant(mchid), self._now()
        if not merchant.has_apiv3_key:
            raise CommandError(
                f"merchant {mchid} has set no APIv3 key: it gets no notifications; change it by merchant"
            )
        resource = self._resource(mchid, out_order_no, event_type, sub_mchid)
        body = notifications.body(merchant, resource, event_type, now)
        signing = Signing("public_key", serial) if serial else self._signing(mchid, notifications.random_id())
        headers = forgeries.signing_for(forgery, signing).headers(self.platform, body, now)
        return SignedNotification({"Content-Type": "application/json", **headers}, forgeries.body_for(forgery, body))

    def _resource(self, mchid: str, out_order_no: str, event_type: str, sub_mchid: str) -> object:
        try:
            order = self.order(mchid, out_order_no, sub_mchid=sub_mchid)
        except KeyError:
            raise NOT_EXIST from None
        return notifications.resource(order, event_type, self._now())

    def _signing(self, mchid: str, id_: str) -> Signing:
        kind = self.merchant(mchid).kind
        in_share = notifications.share(id_) <= self.switches.notifications_by_public_key
        by_public_key = kind == "public_key" or (kind == "both" and in_share) or not self.platform.certificate_serial
        return Signing("public_key" if by_public_key else "certificate")

    def _remember(self, key: tuple[str, str, str], signed: SignedNotification) -> None:
        self._returned.pop(key, None)
        self._returned[key] = signed
        while len(self._returned) > REPLAYS:
            del self._returned[next(iter(self._returned))]
