"""A call that is sent and not waited for: many of them under way in one thread."""

import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import wechatpay
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator
from tests.gate import hold_answers
from wechatpay import connections
from wechatpay.chain import Call

from .test_client import BRIEF, LONG_AGO, MCHID, QUERY, Watch, a_client

THE_QUERY = Call("GET", "v3/payscore/serviceorder", {}, params=QUERY)


@pytest.fixture
def client(wechat_pay: Simulator) -> Iterator[wechatpay.Client]:
    """A client over a session with one connection that stands."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, session=session)
        client.call(THE_QUERY)
        yield client


def is_readable(way: socket.socket | None) -> bool:
    """Whether the answer comes."""
    assert way is not None
    return bool(select.select([way], [], [], PATIENCE)[0])


def test_nothing_is_sent_where_no_connection_stands(wechat_pay: Simulator) -> None:
    """Connecting takes time, so such a call is made when its result is asked for, with the signature made ahead."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    nonces = iter("AB")
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, session=session, nonce=lambda: next(nonces) * 32)
        started = client.sign(THE_QUERY).start()
        assert (started.socket, wechat_pay.calls) == (None, [])
        assert started.result().status == 200
    [call] = wechat_pay.calls
    assert f'nonce_str="{"A" * 32}"' in call.headers["Authorization"]


def test_calls_are_under_way_in_one_thread(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Each call has a connection of its own until its result; then the connection serves another one."""
    with ThreadPoolExecutor(2) as pool, hold_answers(wechat_pay) as release:
        two = [pool.submit(client.call, THE_QUERY) for _ in range(2)]
        until(lambda: len(wechat_pay.calls) == 3, state="both calls are there, over a connection of each")
        release.set()
        assert [one.result().status for one in two] == [200, 200]
    for _ in range(2):
        before = len(wechat_pay.calls)
        with hold_answers(wechat_pay):
            started = [client.sign(THE_QUERY).start() for _ in range(2)]
            assert len({one.socket for one in started} - {None}) == 2
            until(partial(_have_arrived, wechat_pay, before + 2), state="both have arrived")
        assert [one.result().status for one in started] == [200, 200]


def _have_arrived(wechat_pay: Simulator, number: int) -> bool:
    return len(wechat_pay.calls) == number


def test_a_second_start_signs_again(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A signature is used once."""
    signed = client.sign(THE_QUERY)
    assert [signed.start().result().status for _ in range(2)] == [200, 200]
    headers = [call.headers["Authorization"] for call in wechat_pay.calls]
    assert len(set(headers)) == len(headers) == 3


@pytest.mark.parametrize("fault", ["reset_before_answer", "system_error"])
def test_a_started_call_ends_as_one_that_was_sent(client: wechatpay.Client, wechat_pay: Simulator, fault: str) -> None:
    """What may be repeated is repeated, and what is refused is refused."""

    def end(*, started: bool) -> tuple[int, int]:
        wechat_pay.misbehave(fault, times=1)
        before, signed = len(wechat_pay.calls), client.sign(THE_QUERY)
        try:
            status = (signed.start().result() if started else signed.send()).status
        except wechatpay.RefusedError as error:
            status = error.status
        return status, len(wechat_pay.calls) - before

    assert end(started=True) == end(started=False)


def test_silence_is_given_up_by_the_limit_of_the_try(wechat_pay: Simulator) -> None:
    """The limit begins when the call is sent; the request may have arrived."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    with wechatpay.Session() as session:
        a_client(wechat_pay, session=session).call(THE_QUERY)
        wechat_pay.misbehave("silence", times=1)
        started = a_client(wechat_pay, session=session, timeout=BRIEF).sign(THE_QUERY).start()
        assert started.socket is not None
        with pytest.raises(wechatpay.UnansweredError) as caught:
            started.result()
        assert caught.value.sent is True


@pytest.mark.parametrize(("fault", "whole"), [("system_error", True), ("reset_before_answer", False)])
def test_what_must_be_repeated_is_not_repeated_while_answers_are_received(
    client: wechatpay.Client, wechat_pay: Simulator, fault: str, whole: bool
) -> None:
    """Who reads many answers in one thread leaves a call that must be repeated to another."""
    wechat_pay.misbehave(fault, times=1)
    started = client.sign(THE_QUERY).start()
    before = len(wechat_pay.calls)
    assert started.receive() is whole
    assert len(wechat_pay.calls) - before <= 1
    if whole:
        with pytest.raises(wechatpay.RefusedError):
            started.result()
    else:
        assert started.result().status == 200


def test_the_main_host_is_tried_again_after_an_outage(wechat_pay: Simulator) -> None:
    """The one call a minute that tries the main host has no connection to it: it must not be used up by starting."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    watch = Watch()
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, clock=watch, session=session)
        wechat_pay.misbehave("connection_refused", host="main")
        client.call(THE_QUERY)
        wechat_pay.behave()
        hosts = []
        for seconds in (0, 59, 1, 0):
            watch.now += seconds
            client.sign(THE_QUERY).start().result()
            hosts.append(wechat_pay.calls[-1].host)
    assert hosts == ["backup", "backup", "main", "main"]


def test_the_socket_tells_when_the_answer_comes(client: wechatpay.Client) -> None:
    """Who has many calls under way waits on their sockets."""
    started = client.sign(THE_QUERY).start()
    assert is_readable(started.socket)
    assert started.result().status == 200


class _Watching(wechatpay.Session):
    """A session that counts what it sends."""

    sent = 0

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Count, and send."""
        self.sent += 1
        return super().send(request, **settings)


def test_a_send_of_ones_own_sees_every_request(wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subclass's `send`, one that was put into an object, and one in the place of `HTTPAdapter.send`."""
    wechat_pay.ready_to_sync(MCHID, "A|1*", at=LONG_AGO)
    with _Watching() as watching:
        client = a_client(wechat_pay, session=watching)
        for _ in range(3):
            client.sign(THE_QUERY).start().result()
        assert watching.sent == 3
    requests_of: list[str] = []
    with wechatpay.Session() as session:
        client, send = a_client(wechat_pay, session=session), session.send
        session.send = lambda request, **settings: requests_of.append("object") or send(request, **settings)  # type: ignore[func-returns-value,method-assign]
        for _ in range(3):
            client.sign(THE_QUERY).start().result()
    original = HTTPAdapter.send

    def watched(self: HTTPAdapter, *args: Any, **settings: Any) -> requests.Response:
        if isinstance(self, connections._Adapter):
            requests_of.append("adapter")
        return original(self, *args, **settings)

    monkeypatch.setattr(HTTPAdapter, "send", watched)  # records our adapters alone
    with wechatpay.Session() as session:
        client = a_client(wechat_pay, session=session)
        for _ in range(3):
            client.sign(THE_QUERY).start().result()
    assert requests_of == ["object"] * 3 + ["adapter"] * 3
