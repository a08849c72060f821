"""The client against a simulated WeChat Pay that checks every signature and injects faults by name."""

import asyncio
import copy
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.structures import CaseInsensitiveDict

import wechatpay
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator, examples
from tests.gate import hold_answers
from wechatpay.chain import Call

from .wire import OK, Server, hang_up, reset

MCHID = "1230000109"
PATH = "v3/payscore/serviceorder/{out_order_no}/sync"
BODY = {
    "appid": "wxd678efh567hg6787",
    "service_id": "500001",
    "type": "Order_Paid",
    "detail": {"paid_time": "20260101120000"},
}
QUERY = {"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A|1*"}
LONG_AGO = 1_764_547_200.0  # 2025-12-01, before the payment
BRIEF = (PATIENCE, 0.3)  # seconds: for calls that meet a silence, and nothing else


def a_client(wechat_pay: Simulator, mode: Any = "public_key", **changes: Any) -> wechatpay.Client:
    """Return a client with the merchant's real keys."""
    secret = wechat_pay.merchant(MCHID).secret(mode)
    keys = {"base_url": wechat_pay.base_url, "backup_url": wechat_pay.backup_url, "timeout": PATIENCE}
    return wechatpay.Client(**{**secret, **keys, **changes})


@pytest.fixture
def client(wechat_pay: Simulator) -> Iterator[wechatpay.Client]:
    """A client in public-key mode, and an order that waits for its payment."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    with wechatpay.Session() as session:
        yield a_client(wechat_pay, session=session)


def test_all_six_forms_make_the_same_signed_call(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """The pure chain, `chain()` and `[]`, each synchronous and asynchronous, are one object and send one request."""
    wechat_pay.misbehave("ok_on_replay")
    pure, declared, array = client.v3.payscore.serviceorder._out_order_no_.sync, client.chain(PATH), client[PATH]
    assert pure == declared == array

    async def gather() -> list[wechatpay.Answer]:
        return [await form.post_async(out_order_no="A|1*", json=BODY) for form in (pure, declared, array)]

    answers = [form.post(out_order_no="A|1*", json=BODY) for form in (pure, declared, array)]
    answers += asyncio.run(gather())
    assert {answer.json()["collection"]["details"][0]["paid_type"] for answer in answers} == {"MCH"}
    assert len({(call.method, call.path, call.body) for call in wechat_pay.calls}) == 1
    assert wechat_pay.calls[0].path == "/v3/payscore/serviceorder/A%7C1*/sync"


def test_an_answer_has_its_evidence(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An answer has its status, headers that ignore case, its exact bytes and its Request-ID."""
    answer = client.v3.payscore.serviceorder.get(params=QUERY)
    assert answer.status == 200
    assert answer.headers["wechatpay-serial"] == answer.serial == wechat_pay.platform.public_key_id
    assert json.loads(answer.content) == answer.json()
    assert answer.request_id.startswith("08")


@pytest.mark.parametrize("mode", ["public_key", "certificate", "both"])
def test_the_key_is_chosen_by_the_serial_of_the_answer(wechat_pay: Simulator, mode: str) -> None:
    """An answer is verified with the key that it names: a public key or a certificate, also where both are held."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    client = a_client(wechat_pay, mode)
    wechat_pay.misbehave("certificate_serial", times=1 if mode == "both" else 0)
    answer = client.v3.payscore.serviceorder.get(params=QUERY)
    assert (answer.serial in client.platform_keys, answer.serial.startswith("PUB_KEY_ID_")) == (
        True,
        mode == "public_key",
    )
    serial_header = wechat_pay.calls[0].headers.get("Wechatpay-Serial", "")
    assert serial_header == ("" if mode == "certificate" else wechat_pay.platform.public_key_id)


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("tampered_body", {}, "signature"),
        ("reserialised_body", {}, "signature"),
        ("stale_timestamp", {"seconds": -400}, "stale"),
        ("stale_timestamp", {"seconds": 400}, "stale"),
        ("foreign_serial", {}, "unknown_serial"),
        ("missing_signature_headers", {}, "unsigned"),
        ("missing_signature_headers", {"header": "Wechatpay-Signature"}, "unsigned"),
        ("missing_signature_headers", {"header": "Wechatpay-Nonce"}, "unsigned"),
        ("signtest", {}, "probe"),
    ],
)
def test_an_answer_that_does_not_verify_is_refused(
    client: wechatpay.Client, wechat_pay: Simulator, fault: str, options: dict[str, Any], reason: str
) -> None:
    """A 2xx that does not verify raises UntrustedError with its reason, the serial received and the serials held."""
    wechat_pay.misbehave(fault, **options)
    with pytest.raises(wechatpay.UntrustedError) as caught:
        client[PATH].post(out_order_no="A|1*", json=BODY)
    assert caught.value.reason == reason
    assert caught.value.held == (wechat_pay.platform.public_key_id,)
    assert caught.value.path == "/v3/payscore/serviceorder/A%7C1*/sync"
    assert wechat_pay.order(MCHID, "A|1*").syncs == 1


def test_an_answer_without_a_signature_type_counts_as_rsa(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An answer without `Wechatpay-Signature-Type` is verified as RSA."""
    wechat_pay.misbehave("missing_signature_headers", header="Wechatpay-Signature-Type")
    assert client.v3.payscore.serviceorder.get(params=QUERY).status == 200


def test_a_204_is_verified_over_its_empty_body(wechat_pay: Simulator) -> None:
    """The signature of a 204 covers an empty body, that is one line end."""
    wechat_pay.ready_to_sync(MCHID, "P1", at=LONG_AGO, sub_mchid="1900000109")
    body = {"service_id": "500001", "sub_mchid": "1900000109", "type": "Order_Paid", "detail": BODY["detail"]}
    answer = a_client(wechat_pay).v3.payscore.partner.serviceorder._no_.sync.post(no="P1", json=body)
    assert (answer.status, answer.content) == (204, b"")
    with pytest.raises(wechatpay.MalformedError):
        answer.json()


def test_a_refusal_carries_wechat_pays_words(client: wechatpay.Client) -> None:
    """RefusedError has WeChat Pay's code, Chinese message, Request-ID and sub-code; `verified` is None if unsigned."""
    with pytest.raises(wechatpay.RefusedError) as caught:
        client[PATH].post(out_order_no="MISSING", json=BODY)
    error = caught.value
    assert (error.status, error.code, error.message) == (404, "ORDER_NOT_EXIST", "订单不存在")
    assert (error.sub_code, error.verified) == ("271317510", None)
    assert "Request-ID 08" in str(error)


@pytest.mark.parametrize(("fault", "status"), [("gateway_error", 502), ("redirect", 302)])
def test_what_is_no_answer_of_wechat_pay_is_refused(
    client: wechatpay.Client, wechat_pay: Simulator, fault: str, status: int
) -> None:
    """A gateway's HTML raises RefusedError without a code, and so does a redirect, which is not followed."""
    wechat_pay.misbehave(fault)
    with pytest.raises(wechatpay.RefusedError) as caught:
        client.v3.payscore.serviceorder.get(params=QUERY)
    assert (caught.value.status, caught.value.code) == (status, "")
    assert len(wechat_pay.calls) == 1


@pytest.mark.parametrize(
    "fault", ["reset_before_answer", "reset_after_processing", "truncated_body", "silence", "huge_body"]
)
def test_without_a_whole_answer_the_request_may_have_arrived(wechat_pay: Simulator, fault: str) -> None:
    """On a fresh connection a call without a whole answer raises UnansweredError(sent=True) and is not sent again."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    wechat_pay.misbehave(fault)
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, session=session, timeout=BRIEF if fault == "silence" else PATIENCE)
        with pytest.raises(wechatpay.UnansweredError) as caught:
            client.v3.payscore.serviceorder.get(params=QUERY)
    assert caught.value.sent is True
    until(lambda: wechat_pay.calls or None, state="the call has arrived")
    assert len(wechat_pay.calls) == 1


def test_the_backup_host_answers_when_the_main_one_is_down(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Where connecting to the main host fails, the call goes to the backup host once."""
    wechat_pay.misbehave("connection_refused", host="main")
    assert client.v3.payscore.serviceorder.get(params=QUERY).status == 200
    assert [call.host for call in wechat_pay.calls] == ["backup"]


def test_the_backup_view_asks_the_backup_host_first(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`client.backup` sends its calls to the backup host although the main host is up."""
    assert client.backup.v3.payscore.serviceorder.get(params=QUERY).status == 200
    assert [call.host for call in wechat_pay.calls] == ["backup"]


def test_each_try_has_its_own_timestamp_and_nonce(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A call that is sent a second time on a fresh connection is newly signed."""
    client.v3.payscore.serviceorder.get(params=QUERY)
    wechat_pay.misbehave("reset_before_answer", times=1)
    client.v3.payscore.serviceorder.get(params=QUERY)
    sent = [call.headers["Authorization"] for call in wechat_pay.calls]
    assert len(sent) == len(set(sent)) == 3


def test_a_call_signed_ahead_is_sent_later(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A call signed ahead is sent once as it was signed; a second `send` signs again with another nonce."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    signed = client.sign(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY))
    assert wechat_pay.calls == []
    assert signed.send().status == 200
    with pytest.raises(wechatpay.RefusedError, match="ORDER_DONE"):
        signed.send()
    first, second = (call.headers["Authorization"] for call in wechat_pay.calls)
    assert first != second
    assert _field(first, "nonce_str") != _field(second, "nonce_str")


def test_a_signature_that_waited_too_long_is_made_again(wechat_pay: Simulator) -> None:
    """A signature made ahead is replaced after 60 s; WeChat Pay refuses it after 300 s."""
    now = [time.time() - 100]
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, clock=lambda: now[0], session=session)
        signed = client.sign(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY))
        now[0] += 61
        signed.send()
    assert _field(wechat_pay.calls[-1].headers["Authorization"], "timestamp") == str(int(now[0]))


def test_a_call_signed_ahead_goes_to_the_backup_newly_signed(wechat_pay: Simulator) -> None:
    """A call signed ahead that cannot connect to the main host goes to the backup host with a new signature."""
    nonces = iter("ABCD")
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    with wechatpay.Session() as session:
        changes = {"base_url": "http://127.0.0.1:9", "nonce": lambda: next(nonces) * 32}
        client = a_client(wechat_pay, session=session, **changes)
        client.sign(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY)).send()
    [call] = wechat_pay.calls
    assert (call.host, _field(call.headers["Authorization"], "nonce_str")) == ("backup", "B" * 32)


def test_a_call_signed_ahead_and_sent_by_threads_is_signed_for_each(
    client: wechatpay.Client, wechat_pay: Simulator
) -> None:
    """Of threads that send one signed call at once, one uses the signature made ahead and the others sign again."""
    rounds, threads = 20, 4
    for _ in range(rounds):
        signed = client.sign(Call("GET", "v3/payscore/serviceorder", {}, params=QUERY))
        together = threading.Barrier(threads)

        def send(signed: Any = signed, together: threading.Barrier = together) -> int:
            together.wait(PATIENCE)
            return int(signed.send().status)

        with ThreadPoolExecutor(threads) as pool:
            assert [each.result() for each in [pool.submit(send) for _ in range(threads)]] == [200] * threads
    nonces = [_field(call.headers["Authorization"], "nonce_str") for call in wechat_pay.calls]
    assert len(set(nonces)) == len(nonces) == rounds * threads


def test_a_signature_made_ahead_is_given_out_once(client: wechatpay.Client) -> None:
    """Taking the signature made ahead is one atomic step: it succeeds once."""
    signed = client.sign(Call("GET", "v3/x", {}))
    assert [signed._take_signature() is not None for _ in range(3)] == [True, False, False]


SECRETS = {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "name": "SECRET-NAME"}


def test_what_may_name_people_is_in_no_repr(client: wechatpay.Client) -> None:
    """No repr of a call, its request, its reply or its path shows values, body, query or headers."""
    call = Call(
        "POST", PATH, {"out_order_no": "SECRET-NO"}, json=SECRETS, params=SECRETS, headers={"X": "SECRET-HEADER"}
    )
    written = client._caller.sender.write(call)
    reply = wechatpay.transport.Reply(200, CaseInsensitiveDict({"Set-Cookie": "SECRET-COOKIE"}), b"SECRET-BODY")
    signed = client.sign(call)
    things: list[object] = [
        call,
        written,
        reply,
        signed,
        client._caller.sender.sign(written),
        client.v3,
        client.chain(PATH).post,
    ]
    for thing in things:
        assert "SECRET" not in repr(thing)
        assert SECRETS["openid"] not in repr(thing)
    assert PATH in repr(call)


@pytest.fixture
def shop(wechat_pay: Simulator, main: Server) -> Iterator[wechatpay.Client]:
    """A client of a host that answers by its script, with one connection to it that has served a call."""
    main.script = [OK]
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, base_url=main.url, backup_url=None, session=session)
        with pytest.raises(wechatpay.UntrustedError):
            client.v3.x.get()
        yield client


def _order(**more: Any) -> dict[str, Any]:
    return {"out_order_no": "A1", "service_id": "500001", "appid": "wx", **more}


NEW = _order(service_introduction="x", risk_fund={}, time_range={}, notify_url="https://shop.example.com/n")
BILL = _order(post_payments=[], total_amount=0)
CALLS = {
    "get": (lambda client: client.v3.x.get(), 2),
    "query": (lambda client: client.payscore.query(**_order()), 2),
    "create": (lambda client: client.payscore.create(**NEW), 2),
    "cancel": (lambda client: client.payscore.cancel(**_order(reason="x")), 2),
    "complete": (lambda client: client.payscore.complete(**BILL), 1),
    "modify": (lambda client: client.payscore.modify(**BILL, reason="x"), 1),
    "sync": (lambda client: client.payscore.sync(**_order(paid_time="20260101120000")), 1),
    "post": (lambda client: client.v3.x.post(json={}), 1),
    "put": (lambda client: client.v3.x.put(json={}), 1),
    "patch": (lambda client: client.v3.x.patch(json={}), 1),
    "delete": (lambda client: client.v3.x.delete(), 1),
    "echo": (lambda client: client.security.echo(), 1),
}


@pytest.mark.parametrize(("make", "times"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("death", [hang_up, reset])
def test_only_what_may_be_executed_twice_is_sent_twice(
    shop: wechatpay.Client, main: Server, make: Any, times: int, death: Any
) -> None:
    """On a dead reused connection GET, `create` and `cancel` are sent twice, every other call once."""
    main.script = [death, hang_up]
    main.requests.clear()
    with pytest.raises(wechatpay.UnansweredError) as caught:
        make(shop)
    assert caught.value.sent is True
    assert len(main.requests) == times


class Watch:
    """A clock that only the test moves; it begins at the present, because the simulator checks timestamps."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.mark.parametrize("kind", [wechatpay.Session, requests.Session], ids=["ours", "plain"])
def test_a_dead_main_host_is_remembered(wechat_pay: Simulator, kind: type[requests.Session]) -> None:
    """After a failure of the main host calls go to the backup for 60 s; then one call tries the main host again."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    watch = Watch()
    tried: list[str] = []
    with kind() as session:
        client = a_client(wechat_pay, clock=watch, session=session)
        send = session.send

        def send_and_note(request: Any, **settings: Any) -> Any:
            tried.append("main" if request.url.startswith(wechat_pay.base_url) else "backup")
            return send(request, **settings)

        session.send = send_and_note  # type: ignore[method-assign]

        def query() -> list[str]:
            tried.clear()
            assert client.v3.payscore.serviceorder.get(params=QUERY).status == 200
            return list(tried)

        wechat_pay.misbehave("connection_refused", host="main")
        assert query() == ["main", "backup"]
        assert query() == ["backup"]
        watch.now += 59
        assert query() == ["backup"]
        watch.now += 1
        assert query() == ["main", "backup"]
        assert query() == ["backup"]
        wechat_pay.behave()
        watch.now += 60
        assert query() == ["main"]
        assert query() == ["main"]


def test_clients_that_share_a_session_share_what_they_know_of_hosts(wechat_pay: Simulator) -> None:
    """Clients of one session share the state of hosts: a dead main host costs one time-out, not one per merchant."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    with wechatpay.Session() as session:
        one, other = (a_client(wechat_pay, session=session) for _ in range(2))
        wechat_pay.misbehave("connection_refused", host="main")
        one.v3.payscore.serviceorder.get(params=QUERY)
        assert other._caller.sender.order == (wechat_pay.backup_url, wechat_pay.base_url)
        assert other.backup._caller.sender.order == (wechat_pay.backup_url, wechat_pay.base_url)


def test_a_silent_main_host_is_left_as_well(wechat_pay: Simulator) -> None:
    """A call that met a read time-out is not repeated; the calls after it go to the backup host."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    wechat_pay.misbehave("silence", times=1)
    with wechatpay.Session() as session:
        with pytest.raises(wechatpay.UnansweredError) as caught:
            a_client(wechat_pay, session=session, timeout=BRIEF).v3.payscore.serviceorder.get(params=QUERY)
        assert caught.value.sent is True
        until(lambda: len(wechat_pay.calls) == 1, state="the call that meets the silence has arrived")
        a_client(wechat_pay, session=session).v3.payscore.serviceorder.get(params=QUERY)
    assert [call.host for call in wechat_pay.calls] == ["main", "backup"]


def test_the_backup_view_asks_the_backup_host_first_whatever_is_known(
    client: wechatpay.Client, wechat_pay: Simulator
) -> None:
    """`client.backup` keeps its order of hosts whichever host has failed."""
    wechat_pay.misbehave("connection_refused", host="backup")
    for _ in range(2):
        client.backup.v3.payscore.serviceorder.get(params=QUERY)
        assert client.backup._caller.sender.order == (wechat_pay.backup_url, wechat_pay.base_url)
    assert client._caller.sender.order == (wechat_pay.base_url, wechat_pay.backup_url)


def test_what_cannot_be_sent_is_refused_when_it_is_signed(client: wechatpay.Client) -> None:
    """`sign` raises for a call that cannot be sent; `send` is too late for that."""
    with pytest.raises(ValueError, match="out_order_no"):
        client.sign(Call("POST", PATH, {"out_order_no": "a/b"}, json=BODY))


def _field(authorization: str, name: str) -> str:
    value = re.search(rf'{name}="([^"]*)"', authorization)
    assert value
    return value[1]


def test_the_official_headers_are_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Accept, User-Agent and Content-Type are always sent; WeChat Pay refuses calls without the first two."""
    client[PATH].post(out_order_no="A|1*", json=BODY, headers={"Accept-Language": "en"})
    headers = wechat_pay.calls[0].headers
    assert (headers["Accept"], headers["Content-Type"], headers["Accept-Language"]) == (
        "application/json",
        "application/json",
        "en",
    )
    assert headers["User-Agent"].startswith(f"wechatpay-python/{wechatpay.__version__} ")
    assert headers["Accept-Encoding"] == "identity"


def test_a_body_of_chinese_is_signed_as_it_is_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A body is compact UTF-8 without escapes, signed over exactly the bytes sent."""
    order = examples.create("C1", service_introduction="充电宝")
    assert client.v3.payscore.serviceorder.post(json=order).json()["service_introduction"] == "充电宝"
    assert wechat_pay.calls[0].body == json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()


def test_many_threads_share_a_client(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Each of many threads that share a client gets the answer to its own call."""
    numbers = [f"T{number}" for number in range(24)]
    for number in numbers:
        wechat_pay.ready_to_sync(MCHID, number, at=LONG_AGO)
    numbers_read: dict[str, str] = {}

    def call(number: str) -> None:
        numbers_read[number] = client[PATH].post(out_order_no=number, json=BODY).json()["out_order_no"]

    threads = [threading.Thread(target=call, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers_read == {number: number for number in numbers}


def test_many_calls_await_on_one_client(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Awaited calls of one client overlap: all have arrived before one is answered."""

    async def together(let_go: threading.Event) -> list[wechatpay.Answer]:
        calls = [asyncio.create_task(client.v3.payscore.serviceorder.get_async(params=QUERY)) for _ in range(8)]
        async with asyncio.timeout(PATIENCE):
            while len(wechat_pay.calls) < 8:
                await asyncio.sleep(0.01)  # the simulator is polled
        let_go.set()
        return await asyncio.gather(*calls)

    with hold_answers(wechat_pay) as let_go:
        assert [answer.status for answer in asyncio.run(together(let_go))] == [200] * 8


def test_a_plain_session_works(wechat_pay: Simulator) -> None:
    """A `requests.Session` can take the place of `wechatpay.Session`."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    with requests.Session() as session:
        assert a_client(wechat_pay, session=session).v3.payscore.serviceorder.get(params=QUERY).status == 200


def test_a_clock_that_is_wrong_is_refused_by_wechat_pay(wechat_pay: Simulator) -> None:
    """The clock and the nonce of the constructor are those of the signature; a wrong time is a 401."""
    client = a_client(wechat_pay, clock=lambda: 1_000_000_000.0, nonce=lambda: "N" * 32)
    with pytest.raises(wechatpay.RefusedError) as caught:
        client.v3.payscore.serviceorder.get(params=QUERY)
    assert (caught.value.status, caught.value.code) == (401, "SIGN_ERROR")
    assert 'nonce_str="NNNN' in wechat_pay.calls[0].headers["Authorization"]
    assert 'timestamp="1000000000"' in wechat_pay.calls[0].headers["Authorization"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "api.mch.weixin.qq.com"),
        ("base_url", "https://api.mch.weixin.qq.com/gateway"),
        ("backup_url", "ftp://x"),
        ("timeout", 0),
        ("apiv3_key", "too short"),
        ("mchid", "shop"),
    ],
)
def test_a_wrong_argument_is_named(wechat_pay: Simulator, name: str, value: Any) -> None:
    """The constructor raises ValueError naming the argument that cannot be used."""
    with pytest.raises(ValueError, match=name):
        a_client(wechat_pay, **{name: value})


def test_a_sandboxed_client_never_falls_back_to_the_real_wechat_pay(wechat_pay: Simulator) -> None:
    """A client with another `base_url` and no `backup_url` has no backup host."""
    wechat_pay.misbehave("connection_refused")
    with pytest.raises(wechatpay.UnansweredError):
        a_client(wechat_pay, backup_url=None).v3.payscore.serviceorder.get(params=QUERY)


def test_no_key_is_printable(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """No repr of a client, of its copies or of its parts shows a key."""
    secret = wechat_pay.merchant(MCHID).secret()
    for thing in (client, copy.copy(client), client.merchant, client.v3, client.backup, client.payscore):
        assert secret["private_key"][40:80] not in repr(thing)
        assert secret["apiv3_key"] not in repr(thing)


@pytest.mark.parametrize("mode", ["public_key", "certificate", "both"])
def test_making_a_client_sends_nothing(wechat_pay: Simulator, mode: str) -> None:
    """Making a client sends nothing and connects to nothing."""
    a_client(wechat_pay, mode)
    a_client(wechat_pay, mode, platform_keys={})
    assert wechat_pay.calls == []
