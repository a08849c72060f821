"""The asynchronous forms: the same core, on threads, so that the event loop never waits for WeChat Pay."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import wechatpay
from sandbox.wechat_pay import Simulator

from .test_connections import in_a_child

MCHID = "1230000109"
QUERY = {"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A1"}


@pytest.fixture
def client(wechat_pay: Simulator) -> Iterator[wechatpay.Client]:
    """A client, and an order to ask for."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    with wechatpay.Session() as session:
        yield wechatpay.Client(
            **wechat_pay.merchant(MCHID).secret(),
            base_url=wechat_pay.base_url,
            backup_url=wechat_pay.backup_url,
            session=session,
        )


def ask(client: wechatpay.Client) -> Coroutine[Any, Any, wechatpay.Answer]:
    """One call, not begun yet."""
    return client.v3.payscore.serviceorder.get_async(params=QUERY)


async def until_called(wechat_pay: Simulator, times: int) -> None:
    """Wait until so many calls have arrived."""
    async with asyncio.timeout(10):
        while len(wechat_pay.calls) < times:
            await asyncio.sleep(0.01)


def test_twenty_gathered_calls_overlap(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """All have arrived before the first of them is answered."""
    wechat_pay.misbehave("slow", seconds=1.5)

    async def together() -> list[wechatpay.Answer]:
        calls = [asyncio.create_task(ask(client)) for _ in range(20)]
        await until_called(wechat_pay, 20)
        assert not any(call.done() for call in calls)
        return await asyncio.gather(*calls)

    assert [answer.status for answer in asyncio.run(together())] == [200] * 20


def test_a_call_can_be_cancelled(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """The waiting ends at once, not the call: it has arrived, so that its outcome is open. The client goes on."""
    wechat_pay.misbehave("slow", times=1, seconds=2.0)

    async def cancelled() -> float:
        call = asyncio.create_task(ask(client))
        await until_called(wechat_pay, 1)
        begun = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        waited = time.monotonic() - begun
        assert (await ask(client)).status == 200
        return waited

    assert asyncio.run(cancelled()) < 1.5


def test_a_call_obeys_a_timeout_around_it(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`asyncio.timeout` works as with any awaitable."""
    wechat_pay.misbehave("slow", times=1, seconds=2.0)

    async def impatient() -> None:
        async with asyncio.timeout(0.2):
            await ask(client)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())


def test_an_error_arrives_where_it_is_awaited(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """The same family, with the same evidence."""
    wechat_pay.misbehave("tampered_body", times=1)

    async def awaited() -> list[wechatpay.Answer | BaseException]:
        return await asyncio.gather(*(ask(client) for _ in range(3)), return_exceptions=True)

    outcomes = asyncio.run(awaited())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Answer", "Answer", "UntrustedError"]


def test_a_wrong_name_is_told_when_awaited_and_nothing_is_sent(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """As from the synchronous forms."""
    with pytest.raises(TypeError, match="needs out_order_no"):
        asyncio.run(client["v3/payscore/serviceorder/{out_order_no}/sync"].post_async(json={}))
    assert wechat_pay.calls == []


def test_asyncio_has_nothing_to_complain_of(
    client: wechatpay.Client, wechat_pay: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """In debug mode it tells of callbacks that block the loop, here for half an answer, and of what was not awaited."""
    wechat_pay.misbehave("slow", seconds=2.0)

    async def together() -> None:
        asyncio.get_running_loop().slow_callback_duration = 1.0
        await asyncio.gather(*(ask(client) for _ in range(10)))

    with caplog.at_level(logging.WARNING, logger="asyncio"):
        asyncio.run(together(), debug=True)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_notification_is_opened_beside_the_event_loop(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """On a thread of the client, which may have to download a certificate; with the same result and errors."""
    headers, body = wechat_pay.notification(MCHID, "A1")
    threads: list[str] = []
    opened = client.notification

    def noted(*arguments: Any) -> wechatpay.Notification:
        threads.append(threading.current_thread().name)
        return opened(*arguments)

    client.notification = noted  # type: ignore[assignment, method-assign]
    assert asyncio.run(client.notification_async(headers, body)) == opened(headers, body)
    assert threads[0].startswith("wechatpay")
    with pytest.raises(wechatpay.UntrustedError):
        asyncio.run(client.notification_async(headers, body + b" "))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_awaits_on_threads_of_its_own(client: wechatpay.Client) -> None:
    """The parent's do not exist there."""
    asyncio.run(ask(client))
    in_a_child(lambda: asyncio.run(asyncio.wait_for(ask(client), 30)))


def test_one_client_serves_several_event_loops(client: wechatpay.Client) -> None:
    """Nothing of a loop that has ended is kept."""
    assert [asyncio.run(ask(client)).status for _ in range(3)] == [200] * 3
