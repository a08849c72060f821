"""The client against a WeChat Pay that checks every signature and misbehaves by name."""

import asyncio
import copy
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

import wechatpay
from sandbox.wechat_pay import Simulator
from wechatpay.chain import Call

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


def a_client(wechat_pay: Simulator, mode: Any = "public_key", **changes: Any) -> wechatpay.Client:
    """A client with the merchant's real keys."""
    secret = wechat_pay.merchant(MCHID).secret(mode)
    keys = {"base_url": wechat_pay.base_url, "backup_url": wechat_pay.backup_url, "timeout": (1.0, 1.0)}
    return wechatpay.Client(**{**secret, **keys, **changes})


@pytest.fixture
def client(wechat_pay: Simulator) -> Iterator[wechatpay.Client]:
    """A client in public-key mode, and an order that waits for its money."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    with wechatpay.Session() as session:
        yield a_client(wechat_pay, session=session)


def test_all_six_forms_make_the_same_signed_call(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Pure chain, declarative and array style, each synchronous and asynchronous: one object, one request."""
    wechat_pay.misbehave("ok_on_replay")
    pure, declared, array = client.v3.payscore.serviceorder._out_order_no_.sync, client.chain(PATH), client[PATH]
    assert pure == declared == array

    async def awaited() -> list[wechatpay.Answer]:
        return [await form.post_async(out_order_no="A|1*", json=BODY) for form in (pure, declared, array)]

    answers = [form.post(out_order_no="A|1*", json=BODY) for form in (pure, declared, array)]
    answers += asyncio.run(awaited())
    assert {answer.json()["collection"]["details"][0]["paid_type"] for answer in answers} == {"MCH"}
    assert len({(call.method, call.path, call.body) for call in wechat_pay.calls}) == 1
    assert wechat_pay.calls[0].path == "/v3/payscore/serviceorder/A%7C1*/sync"


def test_an_answer_has_its_evidence(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Status, headers that ignore case, exact bytes, WeChat Pay's name for the exchange."""
    answer = client.v3.payscore.serviceorder.get(params=QUERY)
    assert answer.status == 200
    assert answer.headers["wechatpay-serial"] == answer.serial == wechat_pay.platform.public_key_id
    assert json.loads(answer.content) == answer.json()
    assert answer.request_id.startswith("08")


@pytest.mark.parametrize("mode", ["public_key", "certificate", "both"])
def test_the_key_is_chosen_by_the_serial_of_the_answer(wechat_pay: Simulator, mode: str) -> None:
    """A public key, a platform certificate, or both at once while a merchant migrates."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    client = a_client(wechat_pay, mode)
    wechat_pay.misbehave("certificate_serial", times=1 if mode == "both" else 0)
    answer = client.v3.payscore.serviceorder.get(params=QUERY)
    assert (answer.serial in client.platform_keys, answer.serial.startswith("PUB_KEY_ID_")) == (
        True,
        mode == "public_key",
    )
    asked = wechat_pay.calls[0].headers.get("Wechatpay-Serial", "")
    assert asked == ("" if mode == "certificate" else wechat_pay.platform.public_key_id)


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
    """With one type of error, which says why, and names the serial received and those held."""
    wechat_pay.misbehave(fault, **options)
    with pytest.raises(wechatpay.UntrustedError) as caught:
        client[PATH].post(out_order_no="A|1*", json=BODY)
    assert caught.value.reason == reason
    assert caught.value.held == (wechat_pay.platform.public_key_id,)
    assert caught.value.path == "/v3/payscore/serviceorder/A%7C1*/sync"
    assert wechat_pay.order(MCHID, "A|1*").syncs == 1


def test_an_answer_without_a_signature_type_counts_as_rsa(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Older answers have no such header."""
    wechat_pay.misbehave("missing_signature_headers", header="Wechatpay-Signature-Type")
    assert client.v3.payscore.serviceorder.get(params=QUERY).status == 200


def test_a_204_is_verified_over_its_empty_body(wechat_pay: Simulator) -> None:
    """The partner endpoint answers without the order; the signature covers a lone line end."""
    wechat_pay.ready_to_sync(MCHID, "P1", at=LONG_AGO, sub_mchid="1900000109")
    body = {"service_id": "500001", "sub_mchid": "1900000109", "type": "Order_Paid", "detail": BODY["detail"]}
    answer = a_client(wechat_pay).v3.payscore.partner.serviceorder._no_.sync.post(no="P1", json=body)
    assert (answer.status, answer.content) == (204, b"")
    with pytest.raises(wechatpay.MalformedError):
        answer.json()


def test_a_refusal_carries_wechat_pays_words(client: wechatpay.Client) -> None:
    """Code, Chinese message, Request-ID and its sub-code; unsigned, and it says so."""
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
    """A gateway's HTML has no code; a redirect is not followed."""
    wechat_pay.misbehave(fault)
    with pytest.raises(wechatpay.RefusedError) as caught:
        client.v3.payscore.serviceorder.get(params=QUERY)
    assert (caught.value.status, caught.value.code) == (status, "")
    assert len(wechat_pay.calls) == 1


@pytest.mark.parametrize(
    "fault", ["reset_before_answer", "reset_after_processing", "truncated_body", "silence", "huge_body"]
)
def test_without_a_whole_answer_the_request_may_have_arrived(
    client: wechatpay.Client, wechat_pay: Simulator, fault: str
) -> None:
    """On a fresh connection nothing is sent a second time."""
    wechat_pay.misbehave(fault)
    with pytest.raises(wechatpay.UnansweredError) as caught:
        client.v3.payscore.serviceorder.get(params=QUERY)
    assert caught.value.sent is True
    assert len(wechat_pay.calls) == 1


def test_the_backup_host_answers_when_the_main_one_is_down(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Newly signed, once."""
    wechat_pay.misbehave("connection_refused", host="main")
    assert client.v3.payscore.serviceorder.get(params=QUERY).status == 200
    assert [call.host for call in wechat_pay.calls] == ["backup"]


def test_the_backup_view_asks_the_backup_host_first(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """For the query after a silence of the main host."""
    assert client.backup.v3.payscore.serviceorder.get(params=QUERY).status == 200
    assert [call.host for call in wechat_pay.calls] == ["backup"]


def test_each_try_has_its_own_timestamp_and_nonce(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A call that is sent again is signed again."""
    client.v3.payscore.serviceorder.get(params=QUERY)
    wechat_pay.misbehave("reset_before_answer", times=1)
    client.v3.payscore.serviceorder.get(params=QUERY)
    sent = [call.headers["Authorization"] for call in wechat_pay.calls]
    assert len(sent) == len(set(sent)) == 3


def test_a_prepared_call_is_sent_when_it_is_time(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Signed at once, sent later, once; sent again it is signed anew, because no nonce is used twice."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    send = client.prepare(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY))
    assert wechat_pay.calls == []
    assert send().status == 200
    with pytest.raises(wechatpay.RefusedError, match="ORDER_DONE"):
        send()
    first, second = (made.headers["Authorization"] for made in wechat_pay.calls)
    assert first != second
    assert _stated(first, "nonce_str") != _stated(second, "nonce_str")


def test_a_signature_that_waited_too_long_is_made_again(wechat_pay: Simulator) -> None:
    """After a minute; WeChat Pay would refuse it after five."""
    now = [time.time() - 100]
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, clock=lambda: now[0], session=session)
        send = client.prepare(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY))
        now[0] += 61
        send()
    assert _stated(wechat_pay.calls[-1].headers["Authorization"], "timestamp") == str(int(now[0]))


def test_a_prepared_call_that_reaches_nobody_goes_to_the_backup_newly_signed(wechat_pay: Simulator) -> None:
    """As any other call does."""
    nonces = iter("ABCD")
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    with wechatpay.Session() as session:
        changes = {"base_url": "http://127.0.0.1:9", "nonce": lambda: next(nonces) * 32}
        client = a_client(wechat_pay, session=session, **changes)
        client.prepare(Call("POST", PATH, {"out_order_no": "A1"}, json=BODY))()
    [made] = wechat_pay.calls
    assert (made.host, _stated(made.headers["Authorization"], "nonce_str")) == ("backup", "B" * 32)


def test_what_cannot_be_sent_is_refused_while_it_is_prepared(client: wechatpay.Client) -> None:
    """Not when it is too late."""
    with pytest.raises(ValueError, match="out_order_no"):
        client.prepare(Call("POST", PATH, {"out_order_no": "a/b"}, json=BODY))


def _stated(authorization: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', authorization)
    assert found
    return found[1]


def test_the_official_headers_are_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """WeChat Pay refuses calls without Accept and User-Agent."""
    client[PATH].post(out_order_no="A|1*", json=BODY, headers={"Accept-Language": "en"})
    headers = wechat_pay.calls[0].headers
    assert (headers["Accept"], headers["Content-Type"], headers["Accept-Language"]) == (
        "application/json",
        "application/json",
        "en",
    )
    assert headers["User-Agent"].startswith("wechatpay-python/")
    assert headers["Accept-Encoding"] == "identity"


def test_a_body_of_chinese_is_signed_as_it_is_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Compact UTF-8, not escaped: the simulator has verified these bytes."""
    order = {"out_order_no": "C1", "appid": "wx1", "service_id": "500001", "service_introduction": "充电宝"}
    assert client.v3.payscore.serviceorder.post(json=order).json()["service_introduction"] == "充电宝"
    assert wechat_pay.calls[0].body == json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()


def test_many_threads_share_a_client(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Each gets its own answer."""
    numbers = [f"T{number}" for number in range(24)]
    for number in numbers:
        wechat_pay.ready_to_sync(MCHID, number, at=LONG_AGO)
    seen: dict[str, str] = {}

    def call(number: str) -> None:
        seen[number] = client[PATH].post(out_order_no=number, json=BODY).json()["out_order_no"]

    threads = [threading.Thread(target=call, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: number for number in numbers}


def test_many_calls_await_on_one_client(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """They overlap: none waits for the slowest of them."""
    wechat_pay.misbehave("slow", seconds=0.3)

    async def together() -> list[wechatpay.Answer]:
        calls = [client.v3.payscore.serviceorder.get_async(params=QUERY) for _ in range(8)]
        return await asyncio.gather(*calls)

    assert [answer.status for answer in asyncio.run(together())] == [200] * 8


def test_a_plain_session_works(wechat_pay: Simulator) -> None:
    """With a requests.Session of one's own."""
    wechat_pay.ready_to_sync(MCHID, "A|1*")
    with requests.Session() as session:
        assert a_client(wechat_pay, session=session).v3.payscore.serviceorder.get(params=QUERY).status == 200


def test_a_clock_that_is_wrong_is_refused_by_wechat_pay(wechat_pay: Simulator) -> None:
    """The clock and the nonce come in from outside; the timestamp is checked before the signature."""
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
    """At once, not at the first call."""
    with pytest.raises(ValueError, match=name):
        a_client(wechat_pay, **{name: value})


def test_a_sandboxed_client_never_falls_back_to_the_real_wechat_pay(wechat_pay: Simulator) -> None:
    """Another base_url without a backup has none."""
    wechat_pay.misbehave("connection_refused")
    with pytest.raises(wechatpay.UnansweredError):
        a_client(wechat_pay, backup_url=None).v3.payscore.serviceorder.get(params=QUERY)


def test_no_key_is_printable(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Whatever prints the client, a copy of it, or what hangs on it."""
    secret = wechat_pay.merchant(MCHID).secret()
    for thing in (client, copy.copy(client), client.merchant, client.v3, client.backup, client.payscore):
        assert secret["private_key"][40:80] not in repr(thing)
        assert secret["apiv3_key"] not in repr(thing)


@pytest.mark.parametrize("mode", ["public_key", "certificate", "both"])
def test_making_a_client_asks_nobody(wechat_pay: Simulator, mode: str) -> None:
    """Nor does it connect: a cold start does not wait for WeChat Pay."""
    a_client(wechat_pay, mode)
    a_client(wechat_pay, mode, platform_keys={})
    assert wechat_pay.calls == []
