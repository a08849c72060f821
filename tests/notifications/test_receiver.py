"""A notification from the front to the table: what it changes, what it must not change, and what is refused."""

import time
from copy import replace
from typing import Any

import pytest

from notifications.endings import Effect, Failed, Reason, Received, Refused, Trouble
from notifications.lookups import NEW_MERCHANTS
from notifications.reading import EVENT_TYPES, OTHER_TYPE, PAID
from orders.order import UNKNOWN, Attempt, Order, Receipt, Refusal, Status, instant
from sandbox.testbed import MERCHANT
from tests.notifications.conftest import Doorway
from tests.orders.values import PAYMENT, an_order

FINAL = [Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE]


def _reported(doorway: Doorway, number: str, status: Status, **changes: Any) -> Order:
    """Put an order that a till has reported into the table."""
    payment = replace(PAYMENT, mchid=MERCHANT, out_order_no=number)
    order = an_order(status, payment=payment, event_id="e1", message_id="m1", source="pos.till", **changes)
    doorway.table.items[order.key] = order
    return order


# ---- what changes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.RETRYING, Status.REJECTED])
def test_an_open_order_that_wechat_pay_has_collected_is_paid_twice(doorway: Doorway, status: Status) -> None:
    """A report that is retried or rejected becomes PAID_BY_WECHAT; whose report it was stays, as does its history."""
    history = (Attempt(instant(0), "m1", UNKNOWN),)
    open_order = {"outcome_unknown": True, "messages": {"m1": Receipt(1)}, "last_error": Refusal("X"), "attempts": 3}
    before = _reported(doorway, doorway.collected("A1"), status, history=history, rejected_at=instant(0), **open_order)
    assert doorway.effect("A1") == Effect.PAID_BY_WECHAT
    order = doorway.item("A1")
    assert order is not None
    assert (order.status, order.reason, order.version, order.attempts) == (Status.PAID_BY_WECHAT, "NEWTON", 2, 3)
    assert (order.payment, order.event_id, order.message_id) == (before.payment, "e1", "m1")
    assert (order.outcome_unknown, order.messages, order.rejected_at, order.last_error) == (False, {}, None, None)
    assert [one.outcome for one in order.history] == [UNKNOWN, Status.PAID_BY_WECHAT]
    assert order.facts is not None
    assert order.facts.transaction_id == doorway.wechat_pay.order(MERCHANT, "A1").transaction_id
    assert order.expires_at is None


def test_an_order_that_no_till_has_reported_is_remembered(doorway: Doorway) -> None:
    """WeChat Pay's own payment of an order without an item is COLLECTED for some days, with the verified answer."""
    assert doorway.effect(doorway.collected("A1")) == Effect.COLLECTED
    order = doorway.item("A1")
    assert order is not None
    assert (order.status, order.version, order.attempts, order.payment.paid_time) == (Status.COLLECTED, 1, 0, "")
    assert order.expires_at == int(doorway.clock.now) + 14 * 86_400
    assert order.facts is not None
    assert order.facts.paid_type == "NEWTON"
    assert order.facts.answer is not None


def test_an_order_of_a_sub_merchant_has_its_own_key(doorway: Doorway) -> None:
    """The notification of a service provider's order names the sub-merchant, and the item's key does as well."""
    doorway.wechat_pay.ready_to_sync(MERCHANT, "A1", sub_mchid="1900000109", endpoint="partner")
    doorway.wechat_pay.deduct(MERCHANT, "A1", sub_mchid="1900000109")
    ending = doorway.notify("A1")
    assert isinstance(ending, Received)
    assert ending.sub_mchid == "1900000109"
    assert list(doorway.table.items) == [f"{MERCHANT}/1900000109#A1"]


def test_a_payment_at_the_till_settles_an_open_order(doorway: Doorway) -> None:
    """A notification with MCH rests on a verified answer, as a query's does: the retried order is SYNCED."""
    doorway.wechat_pay.ready_to_sync(MERCHANT, "A1")
    _sync(doorway, "A1")
    _reported(doorway, "A1", Status.RETRYING)
    assert doorway.effect("A1") == Effect.SYNCED
    order = doorway.item("A1")
    assert order is not None
    assert (order.status, order.reason) == (Status.SYNCED, "OTHER_PAID_TIME")
    assert order.synced_at == instant(doorway.clock.now)


def _sync(doorway: Doorway, number: str) -> None:
    merchant = doorway.receiver.lookups.get(MERCHANT)
    merchant.client.payscore.sync(
        out_order_no=number, service_id="500001", appid="wxd678efh567hg6787", paid_time=_digits(doorway.clock.now - 60)
    )


def _digits(now: float) -> str:
    from sandbox.wechat_pay.times import digits

    return digits(now)


# ---- what does not change --------------------------------------------------------------------------------------------


def test_a_payment_that_no_till_has_reported_is_not_remembered(doorway: Doorway) -> None:
    """MCH says that another program has reported the payment: the table holds nothing that no till has told it."""
    doorway.wechat_pay.ready_to_sync(MERCHANT, "A1")
    _sync(doorway, "A1")
    assert doorway.effect("A1") == Effect.NOT_REPORTED
    assert doorway.table.items == {}


@pytest.mark.parametrize("status", [Status.SYNCED, Status.NOTHING_DUE])
def test_a_final_status_stays_and_the_contradiction_is_kept_once(doorway: Doorway, status: Status) -> None:
    """NEWTON for an order that is final goes into the history; sent again, it is counted again and not written."""
    before = _reported(doorway, doorway.collected("A1"), status)
    headers, body = doorway.notification("A1")
    endings = [doorway.deliver(headers, body) for _ in range(2)]
    effects = [ending.effect for ending in endings if isinstance(ending, Received)]
    assert effects == [Effect.CONTRADICTION, Effect.CONTRADICTION]
    order = doorway.item("A1")
    assert order is not None
    assert (order.status, order.facts, order.version) == (status, before.facts, 2)
    assert [one.outcome for one in order.history] == [Status.PAID_BY_WECHAT]


def test_a_collected_order_keeps_what_it_remembers(doorway: Doorway) -> None:
    """MCH after NEWTON for an order that no till has reported is a line of the history; it stays COLLECTED."""
    doorway.effect(doorway.collected("A1"))
    headers, body = doorway.notification("A1")
    order = doorway.table.items[f"{MERCHANT}#A1"]
    doorway.wechat_pay._store(replace(doorway.wechat_pay.order(MERCHANT, "A1"), paid_type="MCH"))
    assert doorway.effect("A1") == Effect.CONTRADICTION
    after = doorway.table.items[f"{MERCHANT}#A1"]
    assert (after.status, after.expires_at, after.version) == (Status.COLLECTED, order.expires_at, 2)
    ending = doorway.deliver(headers, body)
    assert isinstance(ending, Received)
    assert ending.effect is Effect.UNCHANGED


def test_a_replay_costs_a_read_and_no_write(doorway: Doorway) -> None:
    """The same notification again changes nothing, whatever it had made of the order."""
    doorway.effect(doorway.collected("A1"))
    _reported(doorway, doorway.collected("A2"), Status.RETRYING)
    calls = [doorway.notification(number) for number in ("A1", "A2")]
    first = [doorway.deliver(*call) for call in calls]
    items = dict(doorway.table.items)
    doorway.table.plan = ["refused"] * 4  # any write would fail
    again = [doorway.deliver(*call) for call in calls]
    effects = [[one.effect for one in endings if isinstance(one, Received)] for endings in (first, again)]
    assert effects == [[Effect.UNCHANGED, Effect.PAID_BY_WECHAT], [Effect.UNCHANGED, Effect.REPEATED]]
    assert doorway.table.items == items
    assert len(doorway.table.plan) == 4


@pytest.mark.parametrize("event_type", [*sorted(EVENT_TYPES - {PAID}), "PAYSCORE.SOMETHING_NEW"])
def test_every_other_event_is_opened_and_counted(doorway: Doorway, event_type: str) -> None:
    """An event that says nothing about an order's payment is verified, opened, answered with success, and counted."""
    _reported(doorway, doorway.collected("A1"), Status.RETRYING)
    ending = doorway.notify("A1", event_type)
    expected = event_type if event_type in EVENT_TYPES else OTHER_TYPE
    assert ending == Received(MERCHANT, expected, Effect.COUNTED)
    order = doorway.item("A1")
    assert order is not None
    assert order.status is Status.RETRYING


def test_words_that_this_version_does_not_know_settle_nothing(doorway: Doorway) -> None:
    """A paid order in a state without a word is counted for the alarm, and the order is not touched."""
    before = _reported(doorway, doorway.collected("A1"), Status.RETRYING)
    doorway.wechat_pay._store(replace(doorway.wechat_pay.order(MERCHANT, "A1"), state="SOMETHING_NEW"))
    assert doorway.effect("A1") == Effect.NOT_UNDERSTOOD
    assert doorway.item("A1") == before


# ---- forgeries -------------------------------------------------------------------------------------------------------


def _changed(headers: dict[str, str], **changes: str) -> dict[str, str]:
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}


def _refusal(doorway: Doorway, headers: dict[str, str], body: bytes, mchid: str = MERCHANT) -> Reason:
    items = dict(doorway.table.items)
    ending = doorway.deliver(headers, body, mchid)
    assert isinstance(ending, Refused), ending
    assert ending.mchid == mchid
    assert doorway.table.items == items
    return ending.reason


def test_a_tampered_body_is_refused(doorway: Doorway) -> None:
    """One byte more, less or other, and nothing is written."""
    headers, body = doorway.notification(doorway.collected("A1"))
    for forged in (body + b" ", body[:-1], body.replace(b"PAYSCORE", b"PAYSC0RE", 1)):
        assert _refusal(doorway, headers, forged) is Reason.WRONG_SIGNATURE


def test_a_foreign_signature_is_refused(doorway: Doorway) -> None:
    """A signature under a serial that the secret lacks, or by another's key under ours, is refused."""
    headers, body = doorway.notification(doorway.collected("A1"), serial="7" * 40)
    assert _refusal(doorway, headers, body) is Reason.UNKNOWN_SERIAL
    ours, _ = doorway.notification("A1")
    forged = _changed(headers, Wechatpay_Serial=ours["Wechatpay-Serial"])
    assert _refusal(doorway, forged, body) is Reason.WRONG_SIGNATURE


def test_a_moved_signature_is_refused(doorway: Doorway) -> None:
    """A genuine signature under another time or nonce is refused."""
    headers, body = doorway.notification(doorway.collected("A1"))
    for changes in ({"Wechatpay_Timestamp": str(int(doorway.clock.now) - 1)}, {"Wechatpay_Nonce": "other"}):
        assert _refusal(doorway, _changed(headers, **changes), body) is Reason.WRONG_SIGNATURE


def test_an_old_notification_is_refused(doorway: Doorway) -> None:
    """Six minutes after it was signed, a genuine notification proves nothing."""
    headers, body = doorway.notification(doorway.collected("A1"))
    doorway.clock.now += 360
    assert _refusal(doorway, headers, body) is Reason.STALE


def test_a_probe_is_refused(doorway: Doorway) -> None:
    """WeChat Pay tests now and then whether signatures are verified; that is answered as a refusal (doc 4013053249)."""
    headers, body = doorway.notification(doorway.collected("A1"))
    probe = _changed(headers, Wechatpay_Signature=f"WECHATPAY/SIGNTEST/{headers['Wechatpay-Signature']}")
    assert _refusal(doorway, probe, body) is Reason.PROBE


def test_another_signature_scheme_is_refused(doorway: Doorway) -> None:
    """Only RSA with SHA-256 is verified."""
    headers, body = doorway.notification(doorway.collected("A1"))
    other = _changed(headers, Wechatpay_Signature_Type="WECHATPAY2-SM2-WITH-SM3")
    assert _refusal(doorway, other, body) is Reason.WRONG_SIGNATURE


def test_a_merchant_without_a_secret_is_refused(doorway: Doorway) -> None:
    """A path that names no merchant of ours is refused, and asked for once within five minutes."""
    headers, body = doorway.notification(doorway.collected("A1"))
    for _ in range(3):
        assert _refusal(doorway, headers, body, "1999999999") is Reason.UNKNOWN_MERCHANT
    assert doorway.secrets.fetches == ["wechatpay/1999999999"]


def test_a_notification_for_another_merchant_is_refused(doorway: Doorway) -> None:
    """A genuine notification under another merchant's path is refused, even if both share their keys."""
    headers, body = doorway.notification(doorway.collected("A1"))
    own = doorway.secrets.secrets[f"wechatpay/{MERCHANT}"]
    doorway.secrets.secrets["wechatpay/1999999999"] = {**own, "mchid": "1999999999"}
    assert _refusal(doorway, headers, body, "1999999999") is Reason.OTHER_MERCHANT
    other_key = {**own, "mchid": "1999999999", "apiv3_key": "x" * 32}
    doorway.secrets.secrets["wechatpay/1999999999"] = other_key
    doorway.clock.now += 61
    headers, body = doorway.notification("A1")
    assert _refusal(doorway, headers, body, "1999999999") in {Reason.UNDECRYPTABLE, Reason.OTHER_MERCHANT}


def test_a_verified_body_that_is_no_order_is_refused(doorway: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed notification about a payment that names no order, or a strange one, is refused."""
    doorway.collected("A1")
    order = doorway.wechat_pay.order(MERCHANT, "A1")
    answer = order.answer()
    for changes in ({"state": None}, {"out_order_no": "A/1"}, {"out_order_no": "A#1"}, {"sub_mchid": "1/2"}):
        monkeypatch.setattr(type(order), "answer", lambda _, fields={**answer, **changes}: fields)
        assert _refusal(doorway, *doorway.notification("A1")) is Reason.MALFORMED
    without = {name: value for name, value in answer.items() if name != "mchid"}
    monkeypatch.setattr(type(order), "answer", lambda _: without)
    assert _refusal(doorway, *doorway.notification("A1")) is Reason.MALFORMED
    monkeypatch.setattr(type(order), "answer", lambda _: [answer])
    assert _refusal(doorway, *doorway.notification("A1")) is Reason.MALFORMED


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_that_was_just_added_is_found(doorway: Doorway) -> None:
    """A notification signed with a key that the secret has since a moment ago is opened."""
    doorway.effect(doorway.collected("A1"))
    name, merchant = f"wechatpay/{MERCHANT}", doorway.wechat_pay.merchant(MERCHANT)
    doorway.secrets.secrets[name] = {**doorway.secrets.secrets[name], "platform_keys": merchant.platform_keys("both")}
    serial = doorway.wechat_pay.platform.certificate_serial
    doorway.clock.now = time.time()  # certificates are valid from now
    ending = doorway.deliver(*doorway.notification("A1", serial=serial))
    assert isinstance(ending, Received), ending


def test_an_unknown_serial_fetches_a_secret_once_a_minute(doorway: Doorway) -> None:
    """However many requests name unknown serials, the merchant's secret is fetched again once a minute at most."""
    doorway.collected("A1")
    for number in range(20):
        doorway.deliver(*doorway.notification("A1", serial=f"{number:040}"))
    assert len(doorway.secrets.fetches) == 1  # it was fetched for the first of them
    for _ in range(3):
        doorway.clock.now += 61
        for number in range(20):
            doorway.deliver(*doorway.notification("A1", serial=f"{number:040}"))
    assert len(doorway.secrets.fetches) == 4


def test_strange_numbers_fetch_a_bounded_number_of_secrets(doorway: Doorway) -> None:
    """Requests that name numbers of no merchant cause thirty fetches a minute at most; a known merchant is served."""
    headers, body = doorway.notification(doorway.collected("A1"))
    assert isinstance(doorway.deliver(headers, body), Received)
    endings = [doorway.deliver(headers, body, f"{number:010}") for number in range(200)]
    assert len(doorway.secrets.fetches) == 1 + NEW_MERCHANTS - 1
    assert endings[-1] == Failed(Trouble.LOOKUPS_LIMITED, "0000000199")
    doorway.clock.now += 301  # the known merchant's secret is old by now
    headers, body = doorway.notification("A1")
    for number in range(200, 400):
        doorway.deliver(headers, body, f"{number:010}")
    assert isinstance(doorway.deliver(headers, body), Received)


def test_nothing_is_fetched_for_what_cannot_verify(doorway: Doorway) -> None:
    """A request without a signature, or with an old one, causes no call of AWS."""
    headers, body = doorway.notification(doorway.collected("A1"))
    doorway.deliver({}, body)
    doorway.deliver(_changed(headers, Wechatpay_Timestamp="1"), body)
    assert doorway.secrets.fetches == []


# ---- trouble ---------------------------------------------------------------------------------------------------------


def _trouble(doorway: Doorway, number: str, **options: Any) -> Trouble:
    ending = doorway.deliver(*doorway.notification(number), **options)
    assert isinstance(ending, Failed), ending
    return ending.trouble


def test_what_cannot_be_dealt_with_now_is_sent_again(doorway: Doorway) -> None:
    """Without the secret, its APIv3 key, the table or the time, the answer asks WeChat Pay to send it again."""
    number, name = doorway.collected("A1"), f"wechatpay/{MERCHANT}"
    doorway.secrets.fault = "InternalServiceError"
    assert _trouble(doorway, number) is Trouble.SECRET_UNAVAILABLE
    doorway.secrets.fault = ""
    doorway.clock.now += 2
    secret = doorway.secrets.secrets[name]
    doorway.secrets.secrets[name] = {key: value for key, value in secret.items() if key != "apiv3_key"}
    assert _trouble(doorway, number) is Trouble.NO_APIV3_KEY
    doorway.secrets.secrets[name] = secret
    doorway.clock.now += 301
    assert _trouble(doorway, number, time_left=2.0) is Trouble.OUT_OF_TIME
    doorway.table.plan = ["refused"]
    assert _trouble(doorway, number) is Trouble.TABLE_UNAVAILABLE
    assert doorway.table.items == {}
    assert doorway.effect(number) == Effect.COLLECTED


def test_a_cold_start_leaves_less_time(doorway: Doorway) -> None:
    """The five seconds begin when the front has received the request, two seconds of a start included."""
    headers, body = doorway.notification(doorway.collected("A1"))
    from sandbox.notifications_front import event_of

    for age, ends in ((2.5, Received), (3600.0, Received)):
        event = event_of("POST", f"/{MERCHANT}", headers.items(), body, doorway.clock.now - age)
        assert isinstance(doorway.receiver.receive(event, lambda: 60.0), ends)
    late = replace(doorway.receiver, within=4.0)
    event = event_of("POST", f"/{MERCHANT}", headers.items(), body, doorway.clock.now - 2.5)
    assert late.receive(event, lambda: 60.0) == Failed(Trouble.OUT_OF_TIME, MERCHANT)


def test_an_item_that_cannot_be_read_is_left_alone(doorway: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable item fails its own notification, which WeChat Pay sends again."""
    from orders.errors import UnreadableItemError

    doorway.collected("A1")
    key = f"{MERCHANT}#A1"
    monkeypatch.setattr(type(doorway.table), "load", lambda *_: {key: UnreadableItemError(key, "status")})
    assert _trouble(doorway, "A1") is Trouble.UNREADABLE_ITEM


def test_a_bug_is_answered(doorway: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error ends one notification, with an answer that has it sent again."""

    def break_down(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(type(doorway.table), "load", break_down)
    doorway.collected("A1")
    assert _trouble(doorway, "A1") is Trouble.UNEXPECTED


def test_a_new_certificate_is_downloaded(doorway: Doorway) -> None:
    """With platform certificates, an unknown serial has them downloaded; after a failure the next notification does."""
    merchant, name = doorway.wechat_pay.merchant(MERCHANT), f"wechatpay/{MERCHANT}"
    doorway.secrets.secrets[name] = {
        **doorway.secrets.secrets[name],
        "platform_keys": merchant.platform_keys("certificate"),
    }
    doorway.clock.now = time.time()  # certificates are valid from now
    number = doorway.collected("A1")
    doorway.wechat_pay.misbehave("gateway_error")
    serial = doorway.wechat_pay.platform.issue_certificate()
    ending = doorway.deliver(*doorway.notification(number, serial=serial))
    assert ending == Refused(Reason.UNKNOWN_SERIAL, MERCHANT)
    doorway.wechat_pay.end_faults()
    doorway.clock.now += 61
    ending = doorway.deliver(*doorway.notification(number, serial=serial))
    assert isinstance(ending, Received), ending


# ---- races -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [*FINAL, Status.RETRYING, Status.REJECTED, Status.COLLECTED])
def test_a_race_is_settled_on_top_of_what_was_written(doorway: Doorway, status: Status) -> None:
    """An order that is written between the read and the write is read again, and the rules apply to what it is then."""
    number = doorway.collected("A1")
    loads: list[Any] = []
    load = doorway.table.load

    def stale(keys: Any) -> Any:
        orders = load(keys)
        if not loads:
            _reported(doorway, number, status)
        loads.append(orders)
        return orders

    doorway.receiver = replace(doorway.receiver, table=_Loading(doorway.table, stale))
    doorway.notify(number)
    order = doorway.item(number)
    assert order is not None
    assert len(loads) == 2
    assert order.status is (status if status.final or status is Status.COLLECTED else Status.PAID_BY_WECHAT)


class _Loading:
    """The table with another way to load."""

    def __init__(self, table: Any, load: Any) -> None:
        self.load, self.create, self.save = load, table.create, table.save
