"""WeChat Pay tells the merchant: signed, encrypted, again after a refusal, and never in the way of an order."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from sandbox.waiting import until
from sandbox.wechat_pay import Simulator, examples, forgeries
from sandbox.wechat_pay.courier import Courier, objection
from sandbox.wechat_pay.forgeries import FORGERIES, Forgery, SignedNotification
from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.message import as_json
from sandbox.wechat_pay.notifications import LADDER, SUMMARIES, Attempt, Notification
from sandbox.wechat_pay.outbox import Outbox
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.verbs import CommandError
from tests.sandbox.handler import Handler, listening, open_resource, verify
from tests.sandbox.signed import BASE, MCHID, signed_request

NOON = 1_790_000_000.0


@pytest.fixture
def handler() -> Iterator[Handler]:
    """A merchant's handler that accepts everything."""
    with listening(204) as handler:
        yield handler


def delivered(simulator: Simulator, count: int) -> list[Notification]:
    """Wait until so many notifications have ended, and return them."""

    def look() -> list[Notification] | None:
        outcomes = [one for one in simulator.outbox.newest() if one.delivery != "waiting"]
        return outcomes if len(outcomes) >= count else None

    return until(look, state=f"{count} notifications have ended", instead=simulator.outbox.newest)


def test_confirmation_and_deduction_are_told(handler: Handler, key_ring: Path) -> None:
    """USER_CONFIRM and USER_PAID arrive in this order, verify, and say the order's state at that moment."""
    with Simulator(keys=key_ring, notify_url=handler.url) as simulator:
        simulator.ready_to_sync(MCHID, "S1")
        delivered(simulator, 1)
        simulator.deduct(MCHID, "S1")
        outcomes = delivered(simulator, 2)
        merchant = simulator.merchant(MCHID)
        first, second = (handler.opened(merchant, number) for number in (0, 1))
    assert [first["event_type"], second["event_type"]] == ["PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_PAID"]
    assert [first["summary"], second["summary"]] == ["微信支付分服务订单用户已确认", "支付成功"]
    assert (first["resource"]["state"], first["resource"]["state_description"]) == ("DOING", "USER_CONFIRM")
    assert second["resource"]["collection"]["details"][0]["paid_type"] == "NEWTON"
    assert first["id"] != second["id"]
    assert {len(first["id"]), len(second["id"])} == {36}
    assert second["resource_type"] == "encrypt-resource"
    age = time.time() - datetime.fromisoformat(second["create_time"]).timestamp()
    assert 0 <= age < 300
    assert second["create_time"].endswith("+08:00")
    assert [one.delivery for one in outcomes] == ["accepted", "accepted"]


def test_an_order_that_a_shop_has_created_is_told_to_its_own_notify_url(handler: Handler, key_ring: Path) -> None:
    """The address is the one of create, not the default."""
    with Simulator(keys=key_ring, notify_url="http://127.0.0.1:9/default") as simulator:
        simulator.merchant(MCHID)
        body = as_json(examples.create("S1", notify_url=handler.url))
        assert simulator.answer(signed_request(simulator, "POST", BASE, body)).reply.status == 200
        simulator.confirm(MCHID, "S1")
        [notification] = delivered(simulator, 1)
    assert notification.notify_url == handler.url
    assert notification.delivery == "accepted"


@pytest.mark.parametrize("tells", [True, False])
def test_whether_a_sync_is_told_is_a_switch(key_ring: Path, tells: bool) -> None:
    """The pages do not say whether a sync triggers USER_PAID; with the switch it does, with paid_type MCH."""
    service = SimulatedService(keys=key_ring, notify_url="http://127.0.0.1:9/n")
    service.ready_to_sync(MCHID, "S1")
    service.switch("sync_notifies", tells)
    body = as_json(examples.sync("20260101120000"))
    service.ready_to_sync(MCHID, "S1", at=1_764_547_200.0)
    assert service.answer(signed_request(service, "POST", f"{BASE}/S1/sync", body)).reply.status == 200
    events = [one.event_type for one in service.outbox.newest()]
    assert events.count("PAYSCORE.USER_PAID") == int(tells)
    if tells:
        opened = open_resource(service.merchant(MCHID), service.outbox.newest()[-1].body.encode())
        assert opened["resource"]["collection"]["details"][0]["paid_type"] == "MCH"


def driven(key_ring: Path, *statuses: int, scale: float = 1.0) -> tuple[SimulatedService, list[float], list[str]]:
    """Let a handler on a driven clock answer so; return the service, the times of the attempts, and the signatures."""
    now, times, signatures = [NOON], [], []

    def send(_: str, signed: SignedNotification) -> int:
        times.append(now[0] - NOON)
        signatures.append(signed.headers["Wechatpay-Signature"])
        return statuses[min(len(times), len(statuses)) - 1]

    service = SimulatedService(keys=key_ring, clock=lambda: now[0], notify_url="http://127.0.0.1/n", ladder_scale=scale)
    service.open(MCHID, "S1")
    service.confirm(MCHID, "S1")
    courier = Courier(service, clock=lambda: now[0], send=send)
    while (due := service.outbox.next_due) is not None:
        now[0] = max(now[0], due)
        courier.deliver_due()
    return service, times, signatures


def test_a_refused_notification_is_sent_again_by_the_official_ladder(key_ring: Path) -> None:
    """Ten attempts at 0/15/15/30/180/1800×4/3600 s, each signed afresh under the same id, then none (4012587960)."""
    service, times, signatures = driven(key_ring, 500)
    assert times == [sum(LADDER[: number + 1]) for number in range(10)]
    assert times == [0, 15, 30, 60, 240, 2040, 3840, 5640, 7440, 11040]
    assert len(set(signatures)) == 10
    [notification] = service.outbox.newest()
    assert notification.delivery == "given up"
    assert notification.attempts[-1].problem == "answered 500: only 200 and 204 accept"


def test_the_ladder_is_scaled(key_ring: Path) -> None:
    """A hundredth of the waits leaves the order of the attempts."""
    _, times, _ = driven(key_ring, 503, scale=0.01)
    assert times == pytest.approx([0, 0.15, 0.3, 0.6, 2.4, 20.4, 38.4, 56.4, 74.4, 110.4])


@pytest.mark.parametrize(("statuses", "attempts"), [((200,), 1), ((204,), 1), ((201, 200), 2), ((302, 500, 204), 3)])
def test_only_200_and_204_accept(key_ring: Path, statuses: tuple[int, ...], attempts: int) -> None:
    """Another status, 201 and redirects included, is a refusal, and the first 200 or 204 the end."""
    service, times, _ = driven(key_ring, *statuses)
    assert len(times) == attempts
    assert service.outbox.newest()[0].delivery == "accepted"


def test_a_redirect_is_not_followed(key_ring: Path) -> None:
    """A redirect is a refusal: the address that it names gets nothing."""
    with (
        listening(307, 204) as handler,
        Simulator(keys=key_ring, notify_url=handler.url, ladder_scale=0.001) as simulator,
    ):
        simulator.ready_to_sync(MCHID, "S1")
        [notification] = delivered(simulator, 1)
    assert [attempt.status for attempt in notification.attempts] == [307, 204]
    assert len(handler.calls) == 2
    first, second = (headers for headers, _ in handler.calls)
    assert first["Wechatpay-Nonce"] != second["Wechatpay-Nonce"]


def test_a_silent_handler_delays_no_order(key_ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a handler is silent orders are answered at once; after the limit the attempt has failed."""
    monkeypatch.setattr("sandbox.wechat_pay.courier.LIMIT", 0.2)  # five seconds, shortened
    with (
        listening(204, silent=True) as handler,
        Simulator(keys=key_ring, notify_url=handler.url, ladder_scale=1000) as simulator,
    ):
        for number in range(30):
            simulator.ready_to_sync(MCHID, f"S{number}")
            assert simulator.deduct(MCHID, f"S{number}").paid_type == "NEWTON"

        def look() -> Notification | None:
            return next((one for one in simulator.outbox.newest() if one.attempts), None)

        notification = until(look, state="an attempt has failed")
        assert (notification.attempts[0].status, notification.delivery) == (0, "waiting")
        assert "no answer" in notification.attempts[0].problem


def test_what_was_in_flight_at_a_restart_is_sent_again(tmp_path: Path, key_ring: Path) -> None:
    """A notification whose answer was not recorded is sent again by the next process, under the same id."""
    service = SimulatedService(state=tmp_path, keys=key_ring, notify_url="http://127.0.0.1:9/n")
    service.ready_to_sync(MCHID, "S1")
    [before] = service.outbox.newest()
    service.close()
    with listening(200) as handler:
        first = SimulatedService(state=tmp_path, keys=key_ring)
        with first._state.transaction() as database:
            address = json.dumps(before.as_dict() | {"notify_url": handler.url})
            database.execute("UPDATE notifications SET record = ?", (address,))
        first.close()
        with Simulator(state=tmp_path, keys=key_ring) as simulator:
            [after] = delivered(simulator, 1)
            assert handler.opened(simulator.merchant(MCHID))["id"] == before.id == after.id


def test_a_merchant_without_apiv3_key_is_not_told(key_ring: Path) -> None:
    """Without an APIv3 key nothing can be encrypted, so nothing is sent (doc 4012587960)."""
    service = SimulatedService(keys=key_ring, notify_url="http://127.0.0.1:9/n")
    service.change_merchant(MCHID, has_apiv3_key=False)
    service.ready_to_sync(MCHID, "S1")
    assert service.outbox.newest() == []
    with pytest.raises(CommandError, match="has set no APIv3 key"):
        service.notification(MCHID, "S1")


def test_an_order_without_notify_url_is_not_told(key_ring: Path) -> None:
    """An order that a verb has opened without an address is told to none."""
    service = SimulatedService(keys=key_ring)
    service.ready_to_sync(MCHID, "S1")
    assert service.outbox.newest() == []


@pytest.mark.parametrize(
    ("kind", "percent", "by"),
    [("public_key", 0, "PUB_KEY_ID"), ("certificate", 100, "5"), ("both", 100, "PUB_KEY_ID"), ("both", 0, "5")],
)
def test_the_key_that_signs_is_that_of_the_merchants_kind(key_ring: Path, kind: Mode, percent: int, by: str) -> None:
    """The public key, a certificate, or in a migration the share that the switch says (doc 4012154180)."""
    service = SimulatedService(keys=key_ring, notify_url="http://127.0.0.1:9/n")
    service.change_merchant(MCHID, kind=kind)
    service.switch("notifications_by_public_key", percent)
    service.ready_to_sync(MCHID, "S1")
    [notification] = service.outbox.newest()
    signed = service.signed(notification)
    assert signed.headers["Wechatpay-Serial"].startswith(by)
    verify(service.merchant(MCHID), dict(signed.headers), signed.body)


def test_in_a_migration_both_keys_sign(key_ring: Path) -> None:
    """With a share of fifty percent some notifications are signed by each key, each one always by the same."""
    service = SimulatedService(keys=key_ring, notify_url="http://127.0.0.1:9/n")
    service.switch("notifications_by_public_key", 50)
    for number in range(40):
        service.ready_to_sync(MCHID, f"S{number}")
    kinds = {service.signed(one).headers["Wechatpay-Serial"][:3] for one in service.outbox.newest()}
    assert len(kinds) == 2
    one = service.outbox.newest()[0]
    assert len({service.signed(one).headers["Wechatpay-Serial"] for _ in range(5)}) == 1


@pytest.mark.parametrize("event_type", SUMMARIES)
def test_a_notification_of_any_type_can_be_had_for_a_test(wechat_pay: Simulator, event_type: str) -> None:
    """The verb returns headers and body of any event type about any order, and sends nothing."""
    wechat_pay.ready_to_sync(MCHID, "S1")
    headers, body = wechat_pay.notification(MCHID, "S1", event_type)
    merchant = wechat_pay.merchant(MCHID)
    verify(merchant, headers, body)
    opened = open_resource(merchant, body)
    assert opened["event_type"] == event_type
    assert opened["resource"]["mchid"] == MCHID
    assert wechat_pay.outbox.newest() == []


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_notification_is_wrong_in_one_way(wechat_pay: Simulator, forgery: Forgery) -> None:
    """Each forgery fails exactly where it must: signature, time, serial, body or header."""
    wechat_pay.ready_to_sync(MCHID, "S1")
    headers, body = wechat_pay.notification(MCHID, "S1", forgery=forgery)
    problems = []
    merchant = wechat_pay.merchant(MCHID)
    if abs(time.time() - int(headers["Wechatpay-Timestamp"])) > 300:
        problems.append("stale_timestamp")
    if headers["Wechatpay-Serial"] == forgeries.FOREIGN:
        problems.append("foreign_serial")
    elif "Wechatpay-Signature" not in headers:
        problems.append("missing_signature")
    elif headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/"):
        problems.append("signtest")
    else:
        try:
            verify(merchant, headers, body)
        except InvalidSignature:
            problems.append("tampered_body" if b"encrypt-Resource" in body else "wrong_signature")
    assert problems == ([] if forgery == "none" else [forgery])


def test_a_replay_is_the_same_to_the_byte(wechat_pay: Simulator) -> None:
    """A replay has headers and body of the one before; without one before it is refused."""
    wechat_pay.ready_to_sync(MCHID, "S1")
    with pytest.raises(CommandError, match="ask once without replay"):
        wechat_pay.notification(MCHID, "S1", replay=True)
    first = wechat_pay.notification(MCHID, "S1")
    assert wechat_pay.notification(MCHID, "S1", replay=True) == first
    assert wechat_pay.notification(MCHID, "S1") != first


def test_a_notification_is_sent_once_more_by_command(handler: Handler, key_ring: Path) -> None:
    """`resend` sends an accepted notification again under its id: handlers must bear it."""
    with Simulator(keys=key_ring, notify_url=handler.url) as simulator:
        simulator.ready_to_sync(MCHID, "S1")
        [notification] = delivered(simulator, 1)
        simulator.resend(notification.id)
        until(lambda: len(handler.calls) == 2, state="it was sent again")
        with pytest.raises(CommandError, match="GET notifications lists them"):
            simulator.resend("nothing")
    assert len({json.loads(body)["id"] for _, body in handler.calls}) == 1


@pytest.mark.parametrize(
    ("notify_url", "beyond", "reason"),
    [
        ("http://127.0.0.1:4520/n", False, ""),
        ("https://localhost/n", False, ""),
        ("http://[::1]:80/n", False, ""),
        ("https://shop.example.com/notify", True, ""),
        ("https://shop.example.com/notify", False, "set the switch notify_beyond_loopback"),
        ("http://shop.example.com/notify", True, "http is for loopback alone"),
        ("http://127.0.0.1.example.com/n", True, "http is for loopback alone"),
        ("http://10.0.0.1/n", True, "http is for loopback alone"),
        ("https://shop.example.com/n?a=1", True, "no query string"),
        ("ftp://127.0.0.1/n", True, "no address of http or https"),
        ("http://127.0.0.1:99999/n", True, "is no address"),
        ("notify", True, "no address of http or https"),
    ],
)
def test_where_notifications_go(notify_url: str, beyond: bool, reason: str) -> None:
    """HTTP goes to loopback alone, HTTPS beyond it only by a switch; the reason names what to do."""
    problem = objection(notify_url, beyond_loopback=beyond)
    assert reason in problem
    assert bool(problem) == bool(reason)


def test_an_address_that_gets_nothing_is_recorded_with_the_reason(key_ring: Path) -> None:
    """A notification to another machine is not sent and not tried again, and the view says why."""
    with Simulator(keys=key_ring, notify_url="https://shop.example.com/notify") as simulator:
        simulator.ready_to_sync(MCHID, "S1")
        [notification] = delivered(simulator, 1)
    assert notification.delivery == "not sent"
    assert "set the switch notify_beyond_loopback" in notification.attempts[0].problem
    assert notification.next_at is None


def test_ended_notifications_are_kept_up_to_a_number_and_those_that_wait_always(key_ring: Path) -> None:
    """Of the notifications whose delivery has ended the oldest are removed; one that waits stays, however old it is."""
    service = SimulatedService(keys=key_ring, clock=lambda: NOON, notify_url="http://127.0.0.1:9/")
    service.outbox = Outbox(service._state, keep=2)
    for number in range(5):
        service.ready_to_sync(MCHID, f"K{number}")
    waiting, *others = service.outbox.newest()
    for one in others:
        service.record_attempt(one, Attempt(NOON, 204, "", "S"))
    assert [one.out_order_no for one in service.outbox.newest()] == ["K0", "K3", "K4"]
    assert [one.id for one in service.outbox.due(NOON)] == [waiting.id]
    service.record_unsent(waiting, "no address")
    assert [one.out_order_no for one in service.outbox.newest()] == ["K3", "K4"]
