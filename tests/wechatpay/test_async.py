"""The asynchronous forms run the same code on threads, so that the event loop never waits for WeChat Pay."""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import wechatpay
from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator
from tests.gate import hold_answers

from .test_connections import in_a_child

MCHID = "1230000109"
QUERY = {"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A1"}


@pytest.fixture
def client(wechat_pay: Simulator) -> Iterator[wechatpay.Client]:
    """A client, and an order to query."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    with wechatpay.Session() as session:
        yield wechatpay.Client(
            **wechat_pay.merchant(MCHID).secret(),
            base_url=wechat_pay.base_url,
            backup_url=wechat_pay.backup_url,
            session=session,
            timeout=PATIENCE,
        )


def ask(client: wechatpay.Client) -> Coroutine[Any, Any, wechatpay.Answer]:
    """Return one call that has not begun."""
    return client.v3.payscore.serviceorder.get_async(params=QUERY)


async def until_called(wechat_pay: Simulator, times: int) -> None:
    """Wait until so many calls have arrived, on the event loop: it runs while they wait for their answers."""
    async with asyncio.timeout(PATIENCE):
        while len(wechat_pay.calls) < times:
            await asyncio.sleep(0.01)  # the simulator is polled


def test_twenty_gathered_calls_overlap(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Of twenty gathered calls all have arrived before the first is answered."""

    async def together(let_go: threading.Event) -> list[wechatpay.Answer]:
        calls = [asyncio.create_task(ask(client)) for _ in range(20)]
        await until_called(wechat_pay, 20)
        assert not any(call.done() for call in calls)
        let_go.set()
        return await asyncio.gather(*calls)

    with hold_answers(wechat_pay) as let_go:
        assert [answer.status for answer in asyncio.run(together(let_go))] == [200] * 20


def test_a_call_can_be_cancelled(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Cancelling ends the waiting, not the call, which has arrived; the client stays usable."""

    async def cancelled(let_go: threading.Event) -> None:
        call = asyncio.create_task(ask(client))
        await until_called(wechat_pay, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not let_go.is_set()
        let_go.set()
        assert (await ask(client)).status == 200

    with hold_answers(wechat_pay) as let_go:
        asyncio.run(cancelled(let_go))


def test_a_call_obeys_a_timeout_around_it(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`asyncio.timeout` around a call ends the waiting for it."""

    async def impatient(let_go: threading.Event) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):  # there is no answer before it ends, however late it ends
                await ask(client)
        assert not let_go.is_set()
        let_go.set()  # asyncio waits for its threads when it ends

    with hold_answers(wechat_pay) as let_go:
        asyncio.run(impatient(let_go))


def test_an_error_arrives_where_it_is_awaited(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An awaited call raises the errors of the synchronous form with the same evidence."""
    wechat_pay.misbehave("tampered_body", times=1)

    async def gather() -> list[wechatpay.Answer | BaseException]:
        return await asyncio.gather(*(ask(client) for _ in range(3)), return_exceptions=True)

    outcomes = asyncio.run(gather())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Answer", "Answer", "UntrustedError"]


def test_a_wrong_name_is_told_when_awaited_and_nothing_is_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A missing path value raises TypeError when the call is awaited; nothing is sent."""
    with pytest.raises(TypeError, match="needs out_order_no"):
        asyncio.run(client["v3/payscore/serviceorder/{out_order_no}/sync"].post_async(json={}))
    assert wechat_pay.calls == []


def test_asyncio_reports_nothing_in_debug_mode(
    client: wechatpay.Client, wechat_pay: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """In asyncio's debug mode the calls log nothing: all are awaited, and no callback blocks the loop.

    A callback that waited for an answer would wait for ever: the loop itself releases the answers.
    """

    async def together(let_go: threading.Event) -> None:
        asyncio.get_running_loop().slow_callback_duration = PATIENCE / 2
        calls = [asyncio.create_task(ask(client)) for _ in range(10)]
        await until_called(wechat_pay, 10)
        let_go.set()
        await asyncio.gather(*calls)

    with hold_answers(wechat_pay) as let_go, caplog.at_level(logging.WARNING, logger="asyncio"):
        asyncio.run(together(let_go), debug=True)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_notification_is_opened_on_a_thread(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`notification_async` runs on a thread of the client, with the result and the errors of `notification`."""
    headers, body = wechat_pay.notification(MCHID, "A1")
    threads: list[str] = []
    opened = client.notification

    def open_and_note(*arguments: Any) -> wechatpay.Notification:
        threads.append(threading.current_thread().name)
        return opened(*arguments)

    client.notification = open_and_note  # type: ignore[assignment, method-assign]
    assert asyncio.run(client.notification_async(headers, body)) == opened(headers, body)
    assert threads[0].startswith("wechatpay")
    with pytest.raises(wechatpay.UntrustedError):
        asyncio.run(client.notification_async(headers, body + b" "))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_awaits_on_threads_of_its_own(client: wechatpay.Client) -> None:
    """A forked process starts threads of its own: its parent's do not exist there."""
    asyncio.run(ask(client))
    in_a_child(lambda: asyncio.run(asyncio.wait_for(ask(client), PATIENCE)))


def test_one_client_serves_several_event_loops(client: wechatpay.Client) -> None:
    """A client can be used by one event loop after another."""
    assert [asyncio.run(ask(client)).status for _ in range(3)] == [200] * 3


def test_no_more_calls_run_at_once_than_the_client_has_threads(wechat_pay: Simulator) -> None:
    """Of four awaited calls of a client with `async_threads=2` two run; the others wait for a thread."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    with wechatpay.Session() as session:
        client = wechatpay.Client(
            **wechat_pay.merchant(MCHID).secret(),
            base_url=wechat_pay.base_url,
            session=session,
            timeout=PATIENCE,
            async_threads=2,
        )

        async def together(let_go: threading.Event) -> int:
            calls = [asyncio.create_task(ask(client)) for _ in range(4)]
            await until_called(wechat_pay, 2)
            started = set(threading.enumerate()) - before
            let_go.set()
            await asyncio.gather(*calls)
            return sum(thread.name.startswith("wechatpay") for thread in started)

        before = set(threading.enumerate())
        with hold_answers(wechat_pay) as let_go:
            assert asyncio.run(together(let_go)) == 2
    assert len(wechat_pay.calls) == 4


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "4", None])
def test_a_number_of_threads_that_cannot_be_used_is_refused(wechat_pay: Simulator, threads: Any) -> None:
    """`async_threads` is a whole number above zero; everything else raises ValueError naming it."""
    with pytest.raises(ValueError, match="async_threads"):
        wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), async_threads=threads)
